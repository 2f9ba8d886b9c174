"""Which cells a patch changes, layer by layer, and which cells are read to compute them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...networks.layout import INPUT, Layer, stages_of

SIZES = 64
"""Windows of a map have at most about so many different sizes along an axis: every new size of a layer's input costs
the preparation of its kernel."""

NARROWED_SIZES = 16
"""The same where every slice brings windows of other sizes."""


@dataclass(frozen=True)
class Span:
    """A stretch of one length along an axis for every position: ``size`` cells from ``starts[position]``.

    A stretch that is read may begin before 0 and end behind the map; padding lies there.
    """

    starts: np.ndarray
    size: int


class Route:
    """What the changes of a group meet on their way through the network, along one axis.

    Layers are asked for in their order. Where a change turns out to end earlier than it might have, it is
    :meth:`narrowed`, and the windows of the layers behind are smaller.

    Args:
        layers: the network's description.
        sizes: cells of every layer's output; under INPUT, those of the input.
        first, last: of the input, for every position, the first changed cell, and the one behind the last.
        limits: of layers' outputs, the cells beyond which changes are left out; may be empty.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        sizes: dict[int, int],
        first: np.ndarray,
        last: np.ndarray,
        limits: dict[int, tuple[np.ndarray, np.ndarray]],
    ) -> None:
        self._layers, self._sizes, self._limits = layers, sizes, limits
        self._changed = {INPUT: (first, last)}
        self._different = SIZES
        self.entry = _span(first, last, sizes[INPUT], SIZES)

    def through(self, number: int) -> tuple[Span, Span]:
        """The window of a layer's output that is computed again, and the crop of its input that is read for it."""
        layer, size = self._layers[number], self._sizes[number]
        kernel, stride, padding = layer.reach
        first, last = reached(layer, self._changed, size)
        if number in self._limits:
            first, last = np.maximum(first, self._limits[number][0]), np.minimum(last, self._limits[number][1])
        self._changed[number] = first, last
        window = _span(first, last, size, self._different)
        return window, Span(window.starts * stride - padding, (window.size - 1) * stride + kernel)

    def narrowed(self, number: int, first: np.ndarray, last: np.ndarray) -> None:
        """Says where the cells of a layer's output lie that changed in truth, besides those of the input it adds."""
        source_first, source_last = self._changed[self._layers[number].reads]
        self._changed[number] = np.minimum(first, source_first), np.maximum(last, source_last)
        self._different = NARROWED_SIZES


def reached(
    layer: Layer, changed: dict[int, tuple[np.ndarray, np.ndarray]], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """First changed cell of a layer's output and the one behind the last, for those of the layers in front of it."""
    kernel, stride, padding = layer.reach
    first, last = changed[layer.reads]
    first = _between(-((kernel - 1 - padding - first) // stride), 0, size)
    last = _between((last - 1 + padding) // stride + 1, first, size)
    if layer.adds is not None:
        other_first, other_last = changed[layer.adds]
        first, last = np.minimum(first, other_first), np.maximum(last, other_last)
    return first, last


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
        self._layers, self._first, self._last = layers, first, last
        self._sizes = dict(enumerate(sizes_along(layers, size))) | {INPUT: size}
        self._limits: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        if halo is None:
            return
        changed, entered = {INPUT: (first, last)}, {}
        for number, (layer, stage) in enumerate(zip(layers, stages_of(layers), strict=True)):
            first, last = reached(layer, changed, self._sizes[number])
            entry_first, entry_last = entered.setdefault(stage, (first, last))
            changed[number] = (
                np.maximum(first, entry_first - halo[stage]),
                np.minimum(last, entry_last + halo[stage]),
            )
        self._limits = changed

    def of(self, positions: Sequence[int]) -> Route:
        """The way of a group of positions."""
        group = np.asarray(positions)
        limits = {number: (first[group], last[group]) for number, (first, last) in self._limits.items()}
        return Route(self._layers, self._sizes, self._first[group], self._last[group], limits)


def _span(first: np.ndarray, last: np.ndarray, size: int, different: int) -> Span:
    unit = max(size // different, 1)
    length = max(int((last - first).max()), 1)
    length = min(-(-length // unit) * unit, size)
    return Span(_between(first, 0, size - length), length)


def _between(values: np.ndarray, least, most) -> np.ndarray:
    """As ``np.clip``, which takes ten times as long for so few values."""
    return np.minimum(np.maximum(values, least), most)
