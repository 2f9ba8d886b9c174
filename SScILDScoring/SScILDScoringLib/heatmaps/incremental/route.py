"""Which cells a patch changes, layer by layer, and which cells are read to compute them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...networks.layout import INPUT, Layer, stages_of

SIZES = 64
"""Windows of a map have at most about so many different sizes along an axis: every new size of a layer's input costs
the preparation of its kernel."""


@dataclass(frozen=True)
class Span:
    """A stretch of one length along an axis for every position: ``size`` cells from ``starts[position]``.

    A stretch that is read may begin before 0 and end behind the map; padding lies there.
    """

    starts: np.ndarray
    size: int


@dataclass(frozen=True)
class Route:
    """What a change meets on its way through the network, along one axis.

    Args:
        entry: the window of the network's input.
        windows: of every layer's output, the cells that are computed again.
        crops: of every layer's input, the cells that are read for them.
    """

    entry: Span
    windows: tuple[Span, ...]
    crops: tuple[Span, ...]

    def window(self, layer: int) -> Span:
        """The window of a layer's output, or of the input."""
        return self.entry if layer == INPUT else self.windows[layer]


def sizes_along(layers: Sequence[Layer], size: int) -> list[int]:
    """Cells of every layer's output along an axis, for an input of ``size`` cells."""
    sizes: list[int] = []
    for layer in layers:
        sizes.append(layer.reach.size_out(size if layer.reads == INPUT else sizes[layer.reads]))
    return sizes


class Routes:
    """The way of every position along one axis.

    Windows stay inside the image. Those of all positions of a group get one length; near the border of the image a
    window is moved inwards and holds some cells that do not change, which does no harm.

    Args:
        layers: the network's description.
        size: cells of the input along the axis.
        first, last: for every position the first changed input cell, and the one behind the last.
        halo: for every stage, by how many cells a window may grow at either end beyond the window that enters the
            stage; None leaves nothing out.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        size: int,
        first: np.ndarray,
        last: np.ndarray,
        halo: Sequence[int] | None = None,
    ) -> None:
        self._layers, self._size, self._sizes = layers, size, sizes_along(layers, size)
        self._changed: dict[int, tuple[np.ndarray, np.ndarray]] = {INPUT: (first, last)}
        entered: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for number, (layer, stage) in enumerate(zip(layers, stages_of(layers), strict=True)):
            kernel, stride, padding = layer.reach
            first, last = self._changed[layer.reads]
            first = np.clip(-((kernel - 1 - padding - first) // stride), 0, self._sizes[number])
            last = np.clip((last - 1 + padding) // stride + 1, first, self._sizes[number])
            if layer.adds is not None:
                other_first, other_last = self._changed[layer.adds]
                first, last = np.minimum(first, other_first), np.maximum(last, other_last)
            if halo is not None:
                entry_first, entry_last = entered.setdefault(stage, (first, last))
                first = np.maximum(first, entry_first - halo[stage])
                last = np.minimum(last, entry_last + halo[stage])
            self._changed[number] = first, last

    def of(self, positions: Sequence[int]) -> Route:
        """The way of a group of positions."""
        group = np.asarray(positions)
        windows, crops = [], []
        for number, (layer, size) in enumerate(zip(self._layers, self._sizes, strict=True)):
            kernel, stride, padding = layer.reach
            window = _span(*(ends[group] for ends in self._changed[number]), size)
            windows.append(window)
            crops.append(Span(window.starts * stride - padding, (window.size - 1) * stride + kernel))
        entry = _span(*(ends[group] for ends in self._changed[INPUT]), self._size)
        return Route(entry, tuple(windows), tuple(crops))


def whole_route(layers: Sequence[Layer], size: int) -> Route:
    """The way of a change that covers the whole input."""
    return Routes(layers, size, np.array([0]), np.array([size])).of([0])


def _span(first: np.ndarray, last: np.ndarray, size: int) -> Span:
    unit = max(size // SIZES, 1)
    length = max(int((last - first).max()), 1)
    length = min(-(-length // unit) * unit, size)
    return Span(np.clip(first, 0, size - length), length)
