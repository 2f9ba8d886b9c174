"""Reading windows out of kept maps, with what changed in them.

Both ways give the same: slice by slice, which copies little, and by index tensors, which needs few launches.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .route import Span


class KeptMap:
    """One layer's map of the untouched slice, with the zeros around it that the layers behind it look at.

    Args:
        values: ``(side, side, c)``.
        padding: cells of zeros on every side.
    """

    def __init__(self, values: torch.Tensor, padding: int) -> None:
        self.side, self.padding = len(values), padding
        self._padded = F.pad(values, (0, 0, padding, padding, padding, padding)).contiguous()
        self._rounded: KeptMap | None = None

    def rounded(self, dtype: torch.dtype) -> KeptMap:
        """The same map in another arithmetic; made once."""
        if self._padded.dtype == dtype:
            return self
        if self._rounded is None:
            rounded = copy.copy(self)
            rounded._padded = self._padded.to(dtype)
            self._rounded = rounded  # complete before another thread sees it
        return self._rounded

    @property
    def dtype(self) -> torch.dtype:
        """Of the values."""
        return self._padded.dtype

    @property
    def all(self) -> torch.Tensor:
        """The values without the zeros around them, ``(side, side, c)``."""
        inside = slice(self.padding, self.padding + self.side)
        return self._padded[inside, inside]

    def part(self, rows: Span, columns: Span, n: int = 0) -> torch.Tensor:
        """A view of the part that position ``n`` of a group reads, ``(h, w, c)``."""
        top, left = int(rows.starts[n]) + self.padding, int(columns.starts[n]) + self.padding
        return self._padded[top : top + rows.size, left : left + columns.size]

    def parts(self, rows: Span, columns: Span, by_index: bool) -> torch.Tensor:
        """The parts that all positions of a group read, ``(n, h, w, c)``; of one position only a view."""
        n = len(rows.starts)
        if n == 1:
            return self.part(rows, columns)[None]
        if not by_index:
            return torch.stack([self.part(rows, columns, i) for i in range(n)])
        y, x = (_cells(span, self.padding, self._padded.device) for span in (rows, columns))
        return self._padded[y[:, :, None], x[:, None, :]]


@dataclass(frozen=True)
class Window:
    """The recomputed cells of one layer for a group of positions.

    Args:
        values: ``(n, h, w, c)``.
        rows, columns: where they lie in the layer's map.
    """

    values: torch.Tensor
    rows: Span
    columns: Span


def read(kept: KeptMap | None, changed: Window, rows: Span, columns: Span, by_index: bool) -> torch.Tensor:
    """The kept map at ``rows`` and ``columns`` with the changed window in it, ``(n, h, w, c)``.

    Without a kept map there are zeros around the window. The result may be the window's own values.
    """
    if _same(rows, changed.rows) and _same(columns, changed.columns):
        return changed.values
    return (_read_by_index if by_index else _read_by_slices)(kept, changed, rows, columns)


def _read_by_slices(kept: KeptMap | None, changed: Window, rows: Span, columns: Span) -> torch.Tensor:
    shape = (len(rows.starts), rows.size, columns.size, changed.values.shape[-1])
    result = changed.values.new_zeros(shape) if kept is None else changed.values.new_empty(shape, dtype=kept.dtype)
    n = len(result)
    for i in range(n):
        if kept is not None:
            result[i] = kept.part(rows, columns, i)
        to_y, from_y = _overlap(rows, changed.rows, i)
        to_x, from_x = _overlap(columns, changed.columns, i)
        result[i, to_y, to_x] = changed.values[i, from_y, from_x]
    return result


def _read_by_index(kept: KeptMap | None, changed: Window, rows: Span, columns: Span) -> torch.Tensor:
    device = changed.values.device
    y = _cells(rows, 0, device) - torch.as_tensor(changed.rows.starts, device=device)[:, None]
    x = _cells(columns, 0, device) - torch.as_tensor(changed.columns.starts, device=device)[:, None]
    inside = ((y >= 0) & (y < changed.rows.size))[:, :, None] & ((x >= 0) & (x < changed.columns.size))[:, None, :]
    y, x = y.clamp(0, changed.rows.size - 1), x.clamp(0, changed.columns.size - 1)
    n = torch.arange(len(y), device=device)[:, None, None]
    values = changed.values[n, y[:, :, None], x[:, None, :]]
    if kept is None:
        return torch.where(inside[..., None], values, values.new_zeros(()))
    return torch.where(inside[..., None], values.to(kept.dtype), kept.parts(rows, columns, True))


def _cells(span: Span, offset: int, device: torch.device) -> torch.Tensor:
    """Numbers ``(n, size)`` of the cells of a span."""
    return torch.as_tensor(span.starts + offset, device=device)[:, None] + torch.arange(span.size, device=device)


def _same(one: Span, other: Span) -> bool:
    return one.size == other.size and np.array_equal(one.starts, other.starts)


def _overlap(crop: Span, window: Span, n: int) -> tuple[slice, slice]:
    """Where a crop and a window of the same map overlap, counted in the crop and in the window."""
    first, offset = int(crop.starts[n]), int(window.starts[n])
    start = max(first, offset)
    stop = max(min(first + crop.size, offset + window.size), start)
    return slice(start - first, stop - first), slice(start - offset, stop - offset)
