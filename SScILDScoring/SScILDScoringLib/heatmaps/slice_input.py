"""A slice prepared for S-Net, of which a patch changes only a window."""

from __future__ import annotations

import numpy as np

from ..preprocessing import resize_weights
from ..slice_network import SliceNetwork
from .replacement import PatchWindow


class LocalInput:
    """A slice prepared for S-Net, of which only a changed window is prepared again.

    Preparing is clipping, scaling and linear resizing, so that a change stays within the cells whose weights reach
    into the window.
    """

    def __init__(self, hu: np.ndarray, network: SliceNetwork) -> None:
        self._hu = hu
        self._input = network.input
        self._body = body_of(hu, network)
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


def body_of(hu: np.ndarray, network: SliceNetwork) -> np.ndarray | None:
    """Body mask of the untouched slice, where the network wants one: a patch does not change where the body is."""
    if not network.input.clear_outside_body:
        return None
    from ..body import body_mask

    return body_mask(hu)
