"""Which rows of windows go through the products of a wide block, and what becomes of them.

Far from a patch, and where a patch left the lung out, the mixed values of a cell change by less than rounding may move
them. Multiplying such a row again gives the noise of two roundings and little else; its branch stays what it was. In
float32 that is no more than what computing in another order does to the answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from .operators import ROWS
from .windows import Place, Window

if TYPE_CHECKING:
    from .blocks import KeptBlock, WideBlockKernel

NOWHERE = 1 << 30
"""An end of nothing: no smallest cell takes notice of it, and no largest one of its negative."""


class Ends(NamedTuple):
    """Where something changed in the windows of a group: along either axis the first cell of the map and the one
    behind the last, ``(n,)`` each."""

    first_row: np.ndarray
    last_row: np.ndarray
    first_column: np.ndarray
    last_column: np.ndarray


class Rows:
    """The rows of a group's windows that go through a block's products.

    Args:
        kernel, kept: the block.
        window: the change of its input.
        place: where the output's change is wanted; what changes outside is left out (a halo does that).
        unseen: rows that change by so much at most keep their branch; None computes all.
        reuse: whether the window's memory may be written to.
    """

    def __init__(
        self,
        kernel: WideBlockKernel,
        kept: KeptBlock,
        window: Window,
        place: Place,
        unseen: float | None,
        reuse: bool,
    ) -> None:
        self._kernel, self._kept, self._place, self._unseen = kernel, kept, place, unseen
        self._change = window.change if reuse and window.place.equals(place) else window.at(place)

    def changed(self) -> tuple[torch.Tensor, Ends | None]:
        """The output's change, float32 ``(n, h, w, c)``, and where the branch changed; None stands for everywhere."""
        flat = self._change.view(-1, self._change.shape[-1])
        mixed, cells = self._mixed()
        if self._unseen is None:
            flat.add_(self._made(mixed, cells, hidden=False))
            return self._change, None
        seen = self._seen(mixed, cells)
        for part, made in self._made_of(seen, mixed, cells, hidden=False):
            flat.index_add_(0, part, made.float())
        return self._change, ends_of(seen.view(self._place.shape), self._place)

    def hidden(self) -> torch.Tensor:
        """What the block's wide rows change, summed over the cells: float32 ``(n, 4 c)``."""
        n, height, width = self._place.shape
        mixed, cells = self._mixed()
        if self._unseen is None:
            made = self._made(mixed, cells, hidden=True)
            return made.view(n, height * width, -1).sum(1, dtype=torch.float32)
        sums = torch.zeros((n, self._kept.made.values.shape[-1]), device=self._change.device)
        limits = torch.arange(n + 1, device=sums.device) * (height * width)
        for part, made in self._made_of(self._seen(mixed, cells), mixed, cells, hidden=True):
            ends = torch.searchsorted(part, limits).tolist()
            for position, (start, stop) in enumerate(pairwise(ends)):
                if stop > start:
                    sums[position] += made[start:stop].sum(0, dtype=torch.float32)
        return sums

    def _mixed(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The change of the mixed rows, ``(m, c)``, and their cells in the map."""
        mixed = self._kernel.mixed_change(self._change)
        return mixed.view(-1, mixed.shape[-1]), self._place.cells(self._kept.mixed.side, mixed.device)

    def _seen(self, mixed: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        """Which rows change by more than what is not seen, boolean ``(m,)``."""
        size = torch.linalg.vector_norm(mixed, dim=1, dtype=torch.float32)
        return size > self._unseen * self._kept.spread.index_select(0, cells)

    def _made(self, mixed: torch.Tensor, cells: torch.Tensor, hidden: bool) -> torch.Tensor:
        """What the block makes of the change of rows ``(m, c)`` at these cells."""
        values = self._kept.mixed.rows.index_select(0, cells).add_(mixed)
        kept = self._kept.made.rows.index_select(0, cells)
        return self._kernel.made(self._kernel.normed(values), hidden).sub_(kept)

    def _made_of(
        self, seen: torch.Tensor, mixed: torch.Tensor, cells: torch.Tensor, hidden: bool
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Numbers of the rows that are seen and what the block makes of their change, chunk by chunk."""
        chosen = seen.nonzero().flatten()
        for part in chosen.split(self._kernel.chunk) if len(chosen) else ():
            # The last row again and again up to a number of rows that oneDNN knows.
            padded = torch.cat([part, part[-1:].expand(-len(part) % ROWS)])
            made = self._made(mixed.index_select(0, padded), cells.index_select(0, padded), hidden)
            yield part, made[: len(part)]


def ends_of(seen: torch.Tensor, place: Place) -> Ends:
    """Where ``seen``, boolean ``(n, h, w)``, marks something in windows."""
    found = []
    for span, other in ((place.rows, 2), (place.columns, 1)):
        marked = seen.any(other).cpu().numpy()
        first, last = marked.argmax(1), marked.shape[1] - marked[:, ::-1].argmax(1)
        nothing = ~marked.any(1)
        found += [span.starts + np.where(nothing, NOWHERE, first), span.starts + np.where(nothing, -NOWHERE, last)]
    return Ends(*found)
