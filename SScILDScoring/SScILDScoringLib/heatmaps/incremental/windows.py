"""Windows of a layer's map: what a group of positions changes in it, and what lies under and around that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .route import Span


@dataclass(frozen=True)
class Place:
    """Where the windows of a group of positions lie in a map. Windows that are read may reach beyond it."""

    rows: Span
    columns: Span

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(n, h, w)``."""
        return len(self.rows.starts), self.rows.size, self.columns.size

    def cells(self, side: int, device: torch.device) -> torch.Tensor:
        """Numbers ``(n * h * w,)`` of the cells in a map of ``side`` by ``side``, row by row."""
        y, x = (_counted(span.starts, span.size, device) for span in (self.rows, self.columns))
        return (y[:, :, None] * side + x[:, None, :]).reshape(-1)

    def equals(self, other: Place) -> bool:
        """Whether the windows are the same."""
        return self.shape == other.shape and all(
            (own.starts == others.starts).all()
            for own, others in ((self.rows, other.rows), (self.columns, other.columns))
        )

    def shifted(self, cells: int) -> Place:
        """The same windows in a map with so many more cells in front of it."""
        return Place(*(Span(span.starts + cells, span.size) for span in (self.rows, self.columns)))


def one_by_one(change: torch.Tensor, own: Place, place: Place, dtype: torch.dtype) -> torch.Tensor:
    """Windows ``(n, h, w, c)`` at another place, zero outside the old ones: little is copied."""
    result = change.new_zeros((*place.shape, change.shape[-1]), dtype=dtype)
    for n in range(len(result)):
        to_y, from_y = _overlap(place.rows, own.rows, n)
        to_x, from_x = _overlap(place.columns, own.columns, n)
        result[n, to_y, to_x] = change[n, from_y, from_x]
    return result


def by_index(change: torch.Tensor, own: Place, place: Place, dtype: torch.dtype) -> torch.Tensor:
    """The same by index tensors: few launches, for a GPU."""
    device = change.device
    y, x = (
        _counted(to.starts - source.starts, to.size, device)
        for to, source in ((place.rows, own.rows), (place.columns, own.columns))
    )
    _, height, width = own.shape
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    n = torch.arange(len(y), device=device)[:, None, None]
    values = change[n, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]]
    return torch.where(inside[..., None], values, values.new_zeros(())).to(dtype)


@dataclass(frozen=True)
class Window:
    """What changes in one layer's map for a group of positions.

    Args:
        change: ``(n, h, w, c)``, new values less the kept ones.
        place: where.
        moved: how windows are moved; every way gives the same.
    """

    change: torch.Tensor
    place: Place
    moved: Callable[[torch.Tensor, Place, Place, torch.dtype], torch.Tensor] = one_by_one

    def at(self, place: Place, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The change at another place, ``(n, h, w, c)``: zero outside the window. Always a new tensor."""
        return self.moved(self.change, self.place, place, self.change.dtype if dtype is None else dtype)

    def around(self, place: Place, dtype: torch.dtype, most: int) -> tuple[torch.Tensor, int]:
        """The change at a place, with so many cells of zeros to be thought around it, ``most`` at most: layers that
        pad by themselves save a copy."""
        margins = {
            int(margin)
            for own, other in zip((self.place.rows, self.place.columns), (place.rows, place.columns), strict=True)
            for margin in (*(own.starts - other.starts), *(other.starts + other.size - own.starts - own.size))
        }
        if len(margins) == 1 and 0 <= min(margins) <= most:
            return self.change.to(dtype), margins.pop()
        return self.at(place, dtype), 0


class KeptMap:
    """A layer's map of the untouched slice.

    Args:
        values: ``(side, side, c)``.
    """

    def __init__(self, values: torch.Tensor) -> None:
        self.side, self.values = len(values), values.contiguous()

    @property
    def rows(self) -> torch.Tensor:
        """The cells, row by row: ``(side * side, c)``."""
        return self.values.view(self.side**2, -1)

    def at(self, place: Place) -> torch.Tensor:
        """The kept values under windows, ``(n, h, w, c)``: a new tensor."""
        return self.rows.index_select(0, place.cells(self.side, self.values.device)).view(*place.shape, -1)

    def padded(self, padding: int) -> KeptMap:
        """With so many cells of zeros around it."""
        return KeptMap(F.pad(self.values, (0, 0, padding, padding, padding, padding)))


def on_device(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """A copy on the device, for which nobody waits."""
    values = torch.from_numpy(values)
    return (values.pin_memory() if device.type == "cuda" else values).to(device, non_blocking=True)


def _counted(starts: np.ndarray, size: int, device: torch.device) -> torch.Tensor:
    """``size`` numbers from every start on, ``(n, size)``."""
    return on_device(starts, device)[:, None] + torch.arange(size, device=device)


def _overlap(to: Span, own: Span, n: int) -> tuple[slice, slice]:
    """Where two windows of the same map overlap, counted in either."""
    first, offset = int(to.starts[n]), int(own.starts[n])
    start = max(first, offset)
    stop = max(min(first + to.size, offset + own.size), start)
    return slice(start - first, stop - first), slice(start - offset, stop - offset)
