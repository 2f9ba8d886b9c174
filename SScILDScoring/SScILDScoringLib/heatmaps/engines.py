"""How heat maps are computed: the plain definition, and faster ways to the same numbers.

An engine is a function ``(work) -> outcome`` that runs S-Net on every patch position and adds the change of its
answer to the work's sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..slice_network import SliceNetwork
from .incremental import describes_itself
from .incremental_maps import incremental_heat_maps, preview_heat_maps
from .replacement import HeatMapSettings, margin_of, opacity_of, patch_windows, positions
from .reporting import Outcome, Reporter
from .slice_input import LocalInput, body_of
from .sums import MapSums


@dataclass(frozen=True)
class Work:
    """What an engine has to do.

    Args:
        hu: Hounsfield units ``(y, x)``.
        network: the S-Net.
        settings: patch, step and edge.
        texture: the replacement in HU, as :func:`~.replacement.replacement_texture` gives it.
        sums: where the changes are added up.
        report: told how far the work is; may cancel by raising.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``; engines that run the network itself use fp32.
        batch_size: positions computed together; the engine's choice when None.
    """

    hu: np.ndarray
    network: SliceNetwork
    settings: HeatMapSettings
    texture: np.ndarray
    sums: MapSums
    report: Reporter
    precision: str = "auto"
    batch_size: int | None = None


def reference_heat_maps(work: Work) -> Outcome:
    """The definition in plain words, and the yardstick of every faster engine: one network run for every position.

    The whole slice is built, prepared and given to the network as if it were another patient's.
    """
    hu, network, settings, sums = work.hu, work.network, work.settings, work.sums
    body = body_of(hu, network)
    baseline = network.run(network.input.prepare(hu, body)[None])[0]
    outcome = Outcome(baseline)
    height, width = hu.shape
    size, margin = settings.patch, margin_of(settings)
    corners = positions(height, width, settings.step)
    for number, (y, x) in enumerate(corners):
        work.report.batch(number, len(corners), outcome)
        mask = np.zeros((height, width), bool)
        mask[y : y + size, x : x + size] = sums.lung[y : y + size, x : x + size]
        if not mask.any():
            continue
        replacement = np.zeros((height + 2 * margin + size, width + 2 * margin + size), np.float32)
        replacement[y : y + size + 2 * margin, x : x + size + 2 * margin] = work.texture
        replacement = replacement[margin : margin + height, margin : margin + width]
        opacity = opacity_of(mask, settings)
        blended = hu.astype(np.float32) + opacity * (replacement - hu)
        answer = network.run(network.input.prepare(blended, body)[None])[0]
        sums.add(slice(None), slice(None), mask, answer - baseline)
    work.report.batch(len(corners), len(corners), outcome)
    return outcome


def batched_heat_maps(work: Work) -> Outcome:
    """As :func:`reference_heat_maps`, but off-lung positions cost nothing, only the window that a patch changes is
    prepared again, and several positions share a network run."""
    network, sums = work.network, work.sums
    slice_input = LocalInput(work.hu, network)
    outcome = Outcome(network.run(slice_input.untouched[None])[0])
    windows = list(patch_windows(sums.lung, work.settings, work.texture))
    batch_size = work.batch_size or (8 if network.device.type == "cpu" else 64)
    batch = torch.from_numpy(np.repeat(slice_input.untouched[None], min(batch_size, max(len(windows), 1)), axis=0))
    untouched = torch.from_numpy(slice_input.untouched)
    for start in range(0, len(windows), batch_size):
        work.report.batch(start, len(windows), outcome)
        group = windows[start : start + batch_size]
        places = []
        for n, window in enumerate(group):
            rows, columns, values = slice_input.changed(window)
            batch[n, rows, columns] = torch.from_numpy(values)
            places.append((rows, columns))
        answers = network.run(batch[: len(group)])
        for n, (window, (rows, columns)) in enumerate(zip(group, places, strict=True)):
            sums.add(window.rows, window.columns, window.covers, answers[n] - outcome.baseline)
            batch[n, rows, columns] = untouched[rows, columns]
    work.report.batch(len(windows), len(windows), outcome)
    return outcome


Engine = Callable[[Work], Outcome]

ENGINES: dict[str, Engine] = {
    "incremental": incremental_heat_maps,
    "preview": preview_heat_maps,
    "batched": batched_heat_maps,
    "reference": reference_heat_maps,
}


def best_engine(network: SliceNetwork) -> str:
    """The fastest engine that gives this network's exact maps: ``incremental`` where it describes itself."""
    return "incremental" if describes_itself(network.network) else "batched"
