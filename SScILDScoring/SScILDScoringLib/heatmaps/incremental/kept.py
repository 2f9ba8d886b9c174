"""The kept maps of one slice, and the answers to changed windows of it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...networks.layout import INPUT, WideBlock
from .blocks import UNSEEN
from .route import Route, Routes, Span
from .windows import KeptMap, Place, Window, on_device

if TYPE_CHECKING:
    from .network import IncrementalNetwork

Tick = Callable[[], None]


def no_tick() -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Change:
    """A window of the prepared slice with a patch in it.

    Args:
        rows, columns: the window.
        values: float32, the window's shape: its new values.
    """

    rows: slice
    columns: slice
    values: np.ndarray


class Plan:
    """Where the changes of a slice lead, for any group of them.

    Args:
        kept: the slice.
        changes: of all positions.
        halo: see :class:`~.route.Routes`.
        unseen: see :meth:`.blocks.WideBlockKernel.change`; that of the network's arithmetic when None.
    """

    def __init__(
        self,
        kept: KeptSlice,
        changes: Sequence[Change],
        halo: Sequence[int] | None = None,
        unseen: float | None = None,
    ) -> None:
        self.changes = changes
        self.unseen = UNSEEN[kept.network.dtype] if unseen is None else unseen
        rows, columns = (
            np.array([(s.start, s.stop) for s in slices], int).reshape(-1, 2).T
            for slices in ([c.rows for c in changes], [c.columns for c in changes])
        )
        layers = kept.network.layers
        self._rows = Routes(layers, kept.size, *rows, halo)
        self._columns = Routes(layers, kept.size, *columns, halo)

    def of(self, group: Sequence[int]) -> tuple[Route, Route]:
        """The ways of a group along y and along x."""
        return self._rows.of(group), self._columns.of(group)


class KeptSlice:
    """What every layer of a network said of an untouched slice.

    Args:
        network: the prepared network.
        prepared: the network's input, float32 ``(size, size)``.
        tick: called between layers; may cancel by raising.
    """

    def __init__(self, network: IncrementalNetwork, prepared: np.ndarray, tick: Tick = no_tick) -> None:
        self.network, self.size = network, len(prepared)
        with torch.inference_mode():
            image = torch.as_tensor(prepared, dtype=torch.float32)[:, :, None].to(network.device)
            maps, self._layers = {INPUT: KeptMap(image)}, {}
            self._prepared = prepared
            for number, (layer, kernel) in enumerate(zip(network.layers, network.kernels, strict=True)):
                tick()
                if isinstance(layer, WideBlock):
                    kept = kernel.keep(maps[layer.reads], number == network.last_wide_block)
                else:
                    kept = kernel.keep(maps[layer.reads], None if layer.adds is None else maps[layer.adds])
                self._layers[number], maps[number] = kept, kept.output
            self._last_use = {source: n for n, y in enumerate(network.layers) for source in (y.reads, y.adds)}
            self.baseline = self._baseline(maps)

    def answered_by(self, network: IncrementalNetwork, tick: Tick = no_tick) -> KeptSlice:
        """The same slice for the same network in another precision, which rounds nothing but what it multiplies.

        ``tick`` is called between layers and may cancel by raising.
        """
        other = copy.copy(self)
        other.network, other._layers = network, dict(self._layers)
        with torch.inference_mode():
            for number, (layer, kernel) in enumerate(zip(network.layers, network.kernels, strict=True)):
                tick()
                if isinstance(layer, WideBlock):
                    last = number == network.last_wide_block
                    other._layers[number] = kernel.keep_again(self._layers[number], last)
        return other

    # ---- from windows to what the head reads ---------------------------------------------------------------------

    def ends(self, plan: Plan, group: Sequence[int], tick: Tick = no_tick) -> torch.Tensor:
        """What the head needs of a group of positions, one row each; :meth:`answers` makes scores of it."""
        network, moved = self.network, self.network.ways.moved
        unseen = plan.unseen if network.skips else None
        with torch.inference_mode():
            rows, columns = plan.of(group)
            windows = {INPUT: self._entry([plan.changes[n] for n in group], Place(rows.entry, columns.entry))}
            for number, (layer, kernel) in enumerate(zip(network.layers, network.kernels, strict=True)):
                tick()
                place, around = itertools.starmap(
                    Place, zip(rows.through(number), columns.through(number), strict=True)
                )
                kept, window = self._layers[number], windows[layer.reads]
                if number == network.last_wide_block:
                    hidden = kernel.change_of_hidden(kept, window, place, unseen)
                    return torch.cat([self._mean_of(window), hidden / self._cells], dim=1)
                if isinstance(layer, WideBlock):
                    change, ends = kernel.change(kept, window, place, unseen, self._last_use[layer.reads] == number)
                    if ends is not None:
                        rows.narrowed(number, ends.first_row, ends.last_row)
                        columns.narrowed(number, ends.first_column, ends.last_column)
                else:
                    other = None if layer.adds is None else windows[layer.adds]
                    change = kernel.change(kept, window, other, place, around)
                windows[number] = Window(change, place, moved)
                for used in (layer.reads, layer.adds):
                    if used is not None and self._last_use[used] == number:
                        del windows[used]
            return self._end(windows[len(network.layers) - 1])

    def answers(self, ends: Sequence[torch.Tensor]) -> np.ndarray:
        """Scores, float64 ``(n, 3)``, of what :meth:`ends` gave."""
        with torch.inference_mode():
            rows = torch.cat(list(ends)).float()
            network = self.network
            if network.head_of_mean is None:
                scores = network.head(rows.permute(0, 3, 1, 2))
            else:
                if network.ends_in_wide_block:
                    width = self._mean.shape[-1]
                    rows = rows[:, :width] + rows[:, width:] @ network.kernels[-1].narrow_weight.T
                scores = network.head_of_mean(self._mean + rows)
            return scores.float().cpu().numpy().astype(float)

    def _entry(self, changes: Sequence[Change], place: Place) -> Window:
        """What the patches change in the input."""
        windows = np.zeros(place.shape, np.float32)
        for window, change, top, left in zip(windows, changes, place.rows.starts, place.columns.starts, strict=True):
            y, x = change.rows, change.columns
            difference = change.values - self._prepared[y, x]
            window[y.start - top : y.stop - top, x.start - left : x.stop - left] = difference
        return Window(on_device(windows, self.network.device)[..., None], place, self.network.ways.moved)

    # ---- the last map and the head -------------------------------------------------------------------------------

    def _baseline(self, maps: dict[int, KeptMap | None]) -> np.ndarray:
        """The scores of the untouched slice; keeps what the ends of changed ones are compared with."""
        network, last = self.network, len(self.network.layers) - 1
        if network.head_of_mean is None:
            self._last = maps[last]
            return self.answers([self._last.values[None]])[0]
        if not network.ends_in_wide_block:
            self._cells, self._mean = maps[last].side ** 2, maps[last].rows.mean(0)
            return self.answers([torch.zeros_like(self._mean)[None]])[0]
        kernel, block = network.kernels[-1], self._layers[last]
        self._cells, self._mean = block.made.side**2, maps[network.layers[-1].reads].rows.mean(0)
        hidden = block.made.rows.sum(0, dtype=torch.float32)
        self._mean += kernel.narrow_weight @ (hidden / self._cells) + kernel.narrow_bias
        nothing = torch.zeros(1, len(self._mean) + len(hidden), device=network.device)
        return self.answers([nothing])[0]

    def _end(self, window: Window) -> torch.Tensor:
        """Of a changed last map: all of it, or what it changes of the mean."""
        if self.network.head_of_mean is not None:
            return self._mean_of(window)
        n, side = len(window.change), self._last.side
        whole = Span(np.zeros(n, int), side)
        return window.at(Place(whole, whole)).add_(self._last.values)

    def _mean_of(self, window: Window) -> torch.Tensor:
        return window.change.sum((1, 2)) / self._cells
