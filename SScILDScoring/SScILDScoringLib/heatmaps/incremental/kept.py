"""The kept maps of one slice, and the answers to changed windows of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...networks.layout import INPUT, WideBlock
from .blocks import UNSEEN, KeptBlock, ends_of
from .reading import KeptMap, Window, read
from .route import Route, Routes, Span, whole_route

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
        unseen: see :class:`~.blocks.KeptBlock`.
    """

    def __init__(
        self,
        kept: KeptSlice,
        changes: Sequence[Change],
        halo: Sequence[int] | None = None,
        unseen: float = UNSEEN,
    ) -> None:
        self.changes, self.unseen = changes, unseen
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
        self._prepared = prepared
        paddings = dict.fromkeys(range(INPUT, len(network.layers)), 0)
        for layer in network.layers:
            paddings[layer.reads] = max(paddings[layer.reads], layer.reach.padding)
        route = whole_route(network.layers, self.size)
        with torch.inference_mode():
            image = torch.as_tensor(prepared, dtype=torch.float32)[:, :, None].to(network.device)
            self._maps = {INPUT: KeptMap(image, paddings[INPUT])}
            self._before: dict[int, KeptMap] = {}
            self._blocks: dict[int, KeptBlock] = {}
            for number, layer in enumerate(network.layers):
                tick()
                whole, read_from = route.through(number)
                crop = self._maps[layer.reads].part(read_from, read_from)[None]
                other = None if layer.adds is None else self._maps[layer.adds].part(whole, whole)[None]
                kernel = network.kernels[number]
                if isinstance(layer, WideBlock):
                    self._blocks[number] = KeptBlock(kernel, crop[0], number == network.last_wide_block)
                    if number != network.last_wide_block:
                        inner = self._maps[layer.reads].part(whole, whole)
                        self._maps[number] = KeptMap(inner + self._blocks[number].branch.all, paddings[number])
                elif kernel.by_change:
                    before = kernel.before(crop, other)[0]
                    values = kernel.activated(before)
                    self._maps[number] = KeptMap(values, paddings[number])
                    self._before[number] = self._maps[number] if values is before else KeptMap(before, 0)
                else:
                    self._maps[number] = KeptMap(kernel(crop, other)[0], paddings[number])
            self._last_use = {source: n for n, y in enumerate(network.layers) for source in (y.reads, y.adds)}
            self.baseline = self._baseline(whole.size)

    def answered_by(self, network: IncrementalNetwork) -> KeptSlice:
        """The same slice for the same network in another precision, where that keeps the same maps."""
        other = copy.copy(self)
        other.network = network
        return other

    # ---- from windows to what the head reads ---------------------------------------------------------------------

    def ends(self, plan: Plan, group: Sequence[int], tick: Tick = no_tick) -> torch.Tensor:
        """What the head needs of a group of positions, one row each; :meth:`answers` makes scores of it."""
        unseen = plan.unseen if self.network.skips else None
        with torch.inference_mode():
            rows, columns = plan.of(group)
            windows = {INPUT: self._entry([plan.changes[n] for n in group], rows.entry, columns.entry)}
            layers, kernels, by_index = self.network.layers, self.network.kernels, self.network.by_index
            for number, layer in enumerate(layers):
                tick()
                kept, changed, padding = self._maps[layer.reads], windows[layer.reads], layer.reach.padding
                place, crops = zip(rows.through(number), columns.through(number), strict=True)
                kernel = kernels[number]
                # Where all of the map changes there is nothing to read around it.
                whole = changed.rows.size == changed.columns.size == kept.side
                whole = whole and crops[0].size == crops[1].size == kept.side + 2 * padding
                if isinstance(layer, WideBlock):
                    if whole:
                        crop = changed.values
                    else:
                        crop, padding = read(kept.rounded(self.network.dtype), changed, *crops, by_index), 0
                    normed = kernel.normed(crop, padding)
                    if number == self.network.last_wide_block:
                        change = self._change_of_mean(layer.reads, changed)
                        hidden = self._blocks[number].change_of_hidden(kernel, normed, *place, unseen)
                        return torch.cat([change, hidden / self._cells], dim=1)
                    values = read(kept, changed, *place, by_index)
                    if values is changed.values and self._last_use[layer.reads] != number:
                        values = values.clone()
                    seen = self._blocks[number].add_branch(kernel, values, normed, *place, unseen)
                    if seen is not None:
                        rows.narrowed(number, *ends_of(seen, place[0], 2))
                        columns.narrowed(number, *ends_of(seen, place[1], 1))
                    windows[number] = Window(values, *place)
                    if self._last_use[layer.reads] == number:
                        del windows[layer.reads]
                    continue
                if kernel.by_change:
                    untouched = kept.parts(changed.rows, changed.columns, by_index)
                    changed = Window(kernel.change_of(changed.values, untouched), changed.rows, changed.columns)
                if padding and whole:
                    crop = changed.values
                else:
                    crop, padding = read(None if kernel.by_change else kept, changed, *crops, by_index), 0
                other = None
                if layer.adds is not None:
                    other = read(self._maps[layer.adds], windows[layer.adds], *place, by_index)
                if kernel.by_change:
                    if other is not None:
                        other = other - self._maps[layer.adds].parts(*place, by_index)
                    before = self._before[number].parts(*place, by_index)
                    values = kernel.changed(crop, before, other, padding)
                else:
                    values = kernel(crop, other, padding)
                windows[number] = Window(values, *place)
                for used in (layer.reads, layer.adds):
                    if used is not None and self._last_use[used] == number:
                        del windows[used]
            return self._end(windows[len(layers) - 1])

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

    def _entry(self, changes: Sequence[Change], rows: Span, columns: Span) -> Window:
        """The windows of the input with the patches in them."""
        windows = np.empty((len(changes), rows.size, columns.size), np.float32)
        for window, change, top, left in zip(windows, changes, rows.starts, columns.starts, strict=True):
            window[:] = self._prepared[top : top + rows.size, left : left + columns.size]
            y, x = change.rows, change.columns
            window[y.start - top : y.stop - top, x.start - left : x.stop - left] = change.values
        values = torch.from_numpy(windows)[..., None].to(self.network.device)
        return Window(values, rows, columns)

    # ---- the last map and the head -------------------------------------------------------------------------------

    def _baseline(self, side: int) -> np.ndarray:
        """The scores of the untouched slice; keeps what the ends of changed ones are compared with."""
        network = self.network
        self._cells, last = side * side, len(network.layers) - 1
        whole = Span(np.zeros(1, int), side)
        if network.head_of_mean is None:
            return self.answers([self._maps[last].part(whole, whole)[None]])[0]
        if not network.ends_in_wide_block:
            self._mean = self._maps[last].part(whole, whole).float().mean((0, 1))
            return self.answers([torch.zeros_like(self._mean)[None]])[0]
        kernel, source = network.kernels[-1], network.layers[-1].reads
        hidden = self._blocks[last].hidden.all.sum((0, 1), dtype=torch.float32)
        self._mean = self._maps[source].part(whole, whole).float().mean((0, 1))
        self._mean += kernel.narrow_weight @ (hidden / self._cells) + kernel.narrow_bias
        nothing = torch.zeros(1, len(self._mean) + len(hidden), device=network.device)
        return self.answers([nothing])[0]

    def _end(self, window: Window) -> torch.Tensor:
        """Of a changed last map: all of it, or what it changes of the mean."""
        if self.network.head_of_mean is not None:
            return self._change_of_mean(len(self.network.layers) - 1, window)
        last = self._maps[len(self.network.layers) - 1]
        side = round(self._cells**0.5)
        whole = Span(np.zeros(len(window.values), int), side)
        return read(last, window, whole, whole, self.network.by_index)

    def _change_of_mean(self, number: int, window: Window) -> torch.Tensor:
        untouched = self._maps[number].parts(window.rows, window.columns, self.network.by_index)
        return (window.values.float() - untouched.float()).sum((1, 2)) / self._cells
