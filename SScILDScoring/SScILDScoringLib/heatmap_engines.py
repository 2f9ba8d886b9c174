"""How heat maps are computed: the plain definition, and faster ways to the same numbers.

An engine is a function ``(hu, network, settings, texture, sums, progress, batch_size) -> baseline`` that runs S-Net
on every patch position and adds the change of its answer to ``sums``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from .preprocessing import resize_weights
from .progress import Progress, silent
from .replacement import HeatMapSettings, PatchWindow, margin_of, opacity_of, patch_windows, positions
from .scores import PATTERNS
from .slice_network import SliceNetwork


class MapSums:
    """Adds up what the patches changed, and divides by how many covered each pixel.

    Args:
        lung: boolean ``(y, x)``.
    """

    def __init__(self, lung: np.ndarray) -> None:
        self.lung = lung
        self.patches = 0
        self._sums = np.zeros((len(PATTERNS), *lung.shape))
        self._counts = np.zeros(lung.shape, np.int32)

    def add(self, rows: slice, columns: slice, covers: np.ndarray, change: np.ndarray) -> None:
        """Adds the ``change (3,)`` of one patch to the pixels of its window that it ``covers``."""
        self._sums[:, rows, columns] += change[:, None, None] * covers
        self._counts[rows, columns] += covers
        self.patches += 1

    @property
    def covered(self) -> np.ndarray:
        """Boolean ``(y, x)``: pixels that a patch covered so far."""
        return self._counts > 0

    def means(self) -> np.ndarray:
        """The maps so far: float32 ``(3, y, x)``, 0 where nothing was covered."""
        return (self._sums / np.maximum(self._counts, 1)).astype(np.float32)


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
    body = _body(hu, network)
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


ENGINES: dict[str, Callable[..., np.ndarray]] = {"batched": batched_heat_maps, "reference": reference_heat_maps}


class LocalInput:
    """A slice prepared for S-Net, of which only a changed window is prepared again.

    Preparing is clipping, scaling and linear resizing, so that a change stays within the cells whose weights reach
    into the window.
    """

    def __init__(self, hu: np.ndarray, network: SliceNetwork) -> None:
        self._hu = hu
        self._input = network.input
        self._body = _body(hu, network)
        size = self._input.size
        self.untouched = network.input.prepare(hu, self._body)
        self._scaled = self._input.scaled(hu, self._body)
        self._row_weights = resize_weights(hu.shape[0], size)
        self._column_weights = resize_weights(hu.shape[1], size)
        self._reach = {}

    def changed(self, window: PatchWindow) -> tuple[slice, slice, np.ndarray]:
        """Rows, columns and new values (float32) of the network input with the patch in it."""
        body = None if self._body is None else self._body[window.rows, window.columns]
        values = self._input.scaled(window.blended(self._hu), body)
        rows, from_rows = self._reached(0, self._row_weights, window.rows)
        columns, from_columns = self._reached(1, self._column_weights, window.columns)
        part = self._scaled[from_rows, from_columns].copy()
        y, x = window.rows.start - from_rows.start, window.columns.start - from_columns.start
        part[y : y + values.shape[0], x : x + values.shape[1]] = values
        if self._row_weights.shape[0] != self._row_weights.shape[1]:
            part = self._row_weights[rows, from_rows] @ part
        if self._column_weights.shape[0] != self._column_weights.shape[1]:
            part = part @ self._column_weights[columns, from_columns].T
        return rows, columns, part

    def _reached(self, axis: int, weights: np.ndarray, changed: slice) -> tuple[slice, slice]:
        """The input cells that see the changed pixels, and all pixels that these cells see."""
        key = (axis, changed.start, changed.stop)
        if key not in self._reach:
            cells = np.flatnonzero(weights[:, changed].any(axis=1))
            # Strong shrinking of a narrow window always reaches a cell; strong growing too: no cell set is empty.
            rows = slice(int(cells[0]), int(cells[-1]) + 1)
            pixels = np.flatnonzero(weights[rows].any(axis=0))
            start, stop = min(int(pixels[0]), changed.start), max(int(pixels[-1]) + 1, changed.stop)
            self._reach[key] = rows, slice(start, stop)
        return self._reach[key]


def _body(hu: np.ndarray, network: SliceNetwork) -> np.ndarray | None:
    """Body mask of the untouched slice, where the network wants one: a patch does not change where the body is."""
    if not network.input.clear_outside_body:
        return None
    from .body import body_mask

    return body_mask(hu)
