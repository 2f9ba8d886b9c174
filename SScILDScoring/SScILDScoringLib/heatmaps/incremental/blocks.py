"""The block of ConvNeXt on windows: only rows whose change the arithmetic can see go through the products.

Far from a patch, and where a patch left the lung out, the mixed values of a cell change by less than rounding may move
them. Multiplying such a row again gives the noise of two roundings and little else; its branch stays what it was. In
float32 that is no more than what computing in another order does to the answers.

The depthwise convolution is linear and made of the change alone. Between the blocks maps and changes stay float32:
rounding ConvNeXt's maps in every block would cost ten times the accuracy that all products in bf16 cost together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from ...networks.layout import WideBlock
from .operators import ROWS, ChannelNorm, Convolve, Linear, can_pack
from .route import Span
from .windows import KeptMap, Place, Window

UNSEEN = {torch.float32: 2.0**-20, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}
"""Change of a mixed row, as a share of its spread (root mean squares over the channels), up to which it counts as
unchanged. In bf16 and fp16 it is the largest share by which rounding moves a number; in float32 what rounding makes of
the sums of some hundred numbers of which products consist, 16 times as much."""

CHUNK = 196_608
"""Values of rows that go through a block together on a CPU: they and what becomes of them stay in its caches."""


@dataclass(frozen=True)
class KeptBlock:
    """What a wide block made of the untouched slice.

    Args:
        output: its map; None for the last block in front of a mean.
        mixed: float32, what the depthwise convolution gave.
        spread: float32 ``(side * side,)``: of every mixed row, the norm of what LayerNorm divides.
        made: the branch, or the wide rows where only they are wanted.
    """

    output: KeptMap | None
    mixed: KeptMap
    spread: torch.Tensor
    made: KeptMap


class WideBlockKernel:
    """The norm's affine part is folded into the first linear layer, the scale into the second."""

    def __init__(self, layer: WideBlock, dtype: torch.dtype, device: torch.device) -> None:
        depthwise, norm = layer.depthwise, layer.norm
        self._dtype, self._padding = dtype, layer.reach.padding
        mixing = depthwise.weight.detach()
        self._mix = Convolve(depthwise, mixing, depthwise.bias.detach(), torch.float32, device)
        self._mix_change = Convolve(depthwise, mixing, None, dtype, device)
        self._norm = ChannelNorm(norm, False, device)
        weight, bias = layer.widen.weight.detach().double(), layer.widen.bias.detach().double()
        self._widen = Linear(
            weight * norm.weight.detach().double(), bias + weight @ norm.bias.detach().double(), dtype, device
        )
        scale = layer.scale.detach().double().flatten()
        narrow, self.narrow_bias = layer.narrow.weight.detach().double() * scale[:, None], layer.narrow.bias.detach()
        self.narrow_bias = (self.narrow_bias.double() * scale).to(device, torch.float32)
        self._narrow = Linear(narrow, self.narrow_bias, dtype, device)
        self.narrow_weight = narrow.to(device, torch.float32)
        self._chunk = max(CHUNK // mixing.shape[0] // ROWS, 1) * ROWS if can_pack(device) else 1 << 40

    def keep(self, x: KeptMap, last: bool) -> KeptBlock:
        """Runs the block on an untouched map. ``last``: only the mean of its output is wanted."""
        mixed = self._mix(x.values[None], self._padding)[0]
        rows = mixed.view(x.side**2, -1)
        variance = rows.var(1, correction=0) + self._norm.epsilon
        made = torch.cat([self._made(part, last) for part in rows.split(self._chunk)]).view(x.side, x.side, -1)
        output = None if last else KeptMap(x.values + made)
        return KeptBlock(output, KeptMap(mixed), (variance * rows.shape[1]).sqrt(), KeptMap(made))

    def change(
        self, kept: KeptBlock, window: Window, place: Place, unseen: float | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The output's change at ``place``, float32 ``(n, h, w, c)``, and where the branch changed.

        Args:
            kept: of the slice.
            window: the input's change; what changes outside ``place`` is left out (a halo does that).
            place: what is wanted.
            unseen: rows that change by so much at most keep their branch; None computes all.

        Returns:
            The change, and boolean ``(n, h, w)``; None instead of the latter stands for all.
        """
        change = window.at(place)
        rows = _Rows(self, kept, change.to(self._dtype), place, unseen)
        flat = change.view(-1, change.shape[-1])
        for chosen, made in rows.made(hidden=False):
            flat.index_add_(0, chosen, made.float())
        return change, rows.seen

    def change_of_hidden(self, kept: KeptBlock, window: Window, place: Place, unseen: float | None) -> torch.Tensor:
        """What the wide rows of windows change, summed over the cells: float32 ``(n, 4 c)``."""
        n, height, width = place.shape
        change = torch.zeros((n, kept.made.values.shape[-1]), device=kept.spread.device)
        limits = torch.arange(n + 1, device=change.device) * (height * width)
        for chosen, made in _Rows(self, kept, window.at(place, self._dtype), place, unseen).made(hidden=True):
            ends = torch.searchsorted(chosen, limits).tolist()
            for position, (start, stop) in enumerate(pairwise(ends)):
                if stop > start:
                    change[position] += made[start:stop].sum(0, dtype=torch.float32)
        return change

    def mixed_change(self, change: torch.Tensor) -> torch.Tensor:
        """What the depthwise convolution makes of a change, ``(n, h, w, c)``, with nothing around it."""
        return self._mix_change(change, self._padding)

    def _made(self, mixed: torch.Tensor, hidden: bool) -> torch.Tensor:
        """The branch of mixed rows ``(m, c)``, or their wide rows ``(m, 4 c)``."""
        wide = self._widen(self._norm(mixed).to(self._dtype), gelu=True)
        return wide if hidden else self._narrow(wide)


class _Rows:
    """The rows of a group's windows that go through a block's products.

    Args:
        kernel, kept: the block.
        change: of its input at ``place``, ``(n, h, w, c)``.
        place: where.
        unseen: see :meth:`WideBlockKernel.change`.

    Attributes:
        seen: boolean ``(n, h, w)``, which rows; None for all.
    """

    def __init__(
        self,
        kernel: WideBlockKernel,
        kept: KeptBlock,
        change: torch.Tensor,
        place: Place,
        unseen: float | None,
    ) -> None:
        self._kernel, self._kept = kernel, kept
        change = kernel.mixed_change(change)
        self._change = change.view(-1, change.shape[-1])
        self._cells = place.cells(kept.mixed.side, change.device)
        self.seen = None
        if unseen is None:
            self._chosen = torch.arange(len(self._change), device=change.device)
        else:
            size = torch.linalg.vector_norm(self._change, dim=1).float()
            seen = size > unseen * kept.spread.index_select(0, self._cells)
            self._chosen = seen.nonzero().flatten()
            self.seen = seen.view(place.shape)

    def made(self, hidden: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Numbers of rows and what the block makes of their change, chunk by chunk."""
        if not len(self._chosen):
            return
        for chosen in self._chosen.split(self._kernel._chunk):
            # The last row again and again up to a number of rows that oneDNN knows.
            padded = torch.cat([chosen, chosen[-1:].expand(-len(chosen) % ROWS)])
            cells = self._cells.index_select(0, padded)
            mixed = self._kept.mixed.rows.index_select(0, cells).add_(self._change.index_select(0, padded))
            made = self._kernel._made(mixed, hidden).sub_(self._kept.made.rows.index_select(0, cells))
            yield chosen, made[: len(chosen)]


def ends_of(seen: torch.Tensor, place: Span, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """First cell of a map and the one behind the last that ``seen (n, h, w)`` marks in windows, along an axis.

    Args:
        seen: in windows.
        place: where the windows lie along the axis.
        dim: the other axis of ``seen``, 2 for rows and 1 for columns.
    """
    marked = seen.any(dim).cpu().numpy()
    first, last = marked.argmax(1), marked.shape[1] - marked[:, ::-1].argmax(1)
    nothing = ~marked.any(1)
    # Where nothing is marked, ends that no smallest and no largest value takes notice of.
    first, last = np.where(nothing, 1 << 30, first), np.where(nothing, -(1 << 30), last)
    return place.starts + first, place.starts + last
