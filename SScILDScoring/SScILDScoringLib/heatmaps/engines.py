"""How heat maps are computed: the plain definition, and faster ways to the same numbers.

An engine is a function ``(hu, network, settings, texture, sums, progress, batch_size) -> baseline`` that runs S-Net
on every patch position and adds the change of its answer to ``sums``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ..progress import Progress, silent
from ..slice_network import SliceNetwork
from .replacement import HeatMapSettings, margin_of, opacity_of, patch_windows, positions
from .slice_input import LocalInput, body_of
from .sums import MapSums
from .windows import can_be_windowed, windowed_heat_maps


def reference_heat_maps(
    hu: np.ndarray,
    network: SliceNetwork,
    settings: HeatMapSettings,
    texture: np.ndarray,
    sums: MapSums,
    progress: Progress = silent,
    batch_size: int | None = None,
) -> np.ndarray:
    """The definition in plain words, and the yardstick of every faster engine: one network run for every position.

    The whole slice is built, prepared and given to the network as if it were another patient's. ``batch_size`` is
    not used. Returns the network's answer to the untouched slice.
    """
    body = body_of(hu, network)
    baseline = network.run(network.input.prepare(hu, body)[None])[0]
    height, width = hu.shape
    size, margin = settings.patch, margin_of(settings)
    corners = positions(height, width, settings.step)
    for number, (y, x) in enumerate(corners):
        progress("heat_maps", number / len(corners), f"Heat map: position {number + 1} of {len(corners)}")
        mask = np.zeros((height, width), bool)
        mask[y : y + size, x : x + size] = sums.lung[y : y + size, x : x + size]
        if not mask.any():
            continue
        replacement = np.zeros((height + 2 * margin + size, width + 2 * margin + size), np.float32)
        replacement[y : y + size + 2 * margin, x : x + size + 2 * margin] = texture
        replacement = replacement[margin : margin + height, margin : margin + width]
        opacity = opacity_of(mask, settings)
        blended = hu.astype(np.float32) + opacity * (replacement - hu)
        answer = network.run(network.input.prepare(blended, body)[None])[0]
        sums.add(slice(None), slice(None), mask, answer - baseline)
    return baseline


def batched_heat_maps(
    hu: np.ndarray,
    network: SliceNetwork,
    settings: HeatMapSettings,
    texture: np.ndarray,
    sums: MapSums,
    progress: Progress = silent,
    batch_size: int | None = None,
) -> np.ndarray:
    """As :func:`reference_heat_maps`, but off-lung positions cost nothing, only the window that a patch changes is
    prepared again, and several positions share a network run."""
    slice_input = LocalInput(hu, network)
    baseline = network.run(slice_input.untouched[None])[0]
    windows = list(patch_windows(sums.lung, settings, texture))
    batch_size = batch_size or (8 if network.device.type == "cpu" else 64)
    batch = torch.from_numpy(np.repeat(slice_input.untouched[None], min(batch_size, max(len(windows), 1)), axis=0))
    untouched = torch.from_numpy(slice_input.untouched)
    for start in range(0, len(windows), batch_size):
        progress("heat_maps", start / len(windows), f"Heat map: position {start + 1} of {len(windows)}")
        group = windows[start : start + batch_size]
        places = []
        for n, window in enumerate(group):
            rows, columns, values = slice_input.changed(window)
            batch[n, rows, columns] = torch.from_numpy(values)
            places.append((rows, columns))
        answers = network.run(batch[: len(group)])
        for n, (window, (rows, columns)) in enumerate(zip(group, places, strict=True)):
            sums.add(window.rows, window.columns, window.covers, answers[n] - baseline)
            batch[n, rows, columns] = untouched[rows, columns]
    progress("heat_maps", 1.0, "Heat map done")
    return baseline


Engine = Callable[..., np.ndarray]

ENGINES: dict[str, Engine] = {
    "windowed": windowed_heat_maps,
    "batched": batched_heat_maps,
    "reference": reference_heat_maps,
}


def best_engine(network: SliceNetwork) -> str:
    """The fastest engine that gives this network's exact maps: ``windowed`` where it describes itself."""
    return "windowed" if can_be_windowed(network) else "batched"
