"""The block of ConvNeXt on windows: only rows whose change the arithmetic can see go through the products.

The depthwise convolution is linear and made of the change alone. Between the blocks maps and changes stay float32:
rounding ConvNeXt's maps in every block would cost ten times the accuracy that all products in bf16 cost together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ...networks.layout import WideBlock
from .operators import ROWS, ChannelNorm, Convolve, Linear, can_pack, precisely
from .rows import Ends
from .ways import Ways
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

    def __init__(self, layer: WideBlock, dtype: torch.dtype, device: torch.device, ways: Ways) -> None:
        self._ways = ways
        depthwise, norm = layer.depthwise, layer.norm
        self.dtype, self._padding = dtype, layer.reach.padding
        mixing = depthwise.weight.detach()
        self._mix = Convolve(depthwise, mixing, depthwise.bias.detach(), torch.float32, device)
        self._mix_change = Convolve(depthwise, mixing, None, dtype, device)
        self._norm, self.epsilon = ChannelNorm(norm, False, device), norm.eps
        weight, bias = precisely(layer.widen.weight), precisely(layer.widen.bias)
        self._widen = Linear(weight * precisely(norm.weight), bias + weight @ precisely(norm.bias), dtype, device)
        scale = precisely(layer.scale).flatten()
        narrow, bias = precisely(layer.narrow.weight) * scale[:, None], precisely(layer.narrow.bias) * scale
        self._narrow = Linear(narrow, bias, dtype, device)
        self.narrow_weight, self.narrow_bias = (values.float().to(device) for values in (narrow, bias))
        self.chunk = max(CHUNK // mixing.shape[0] // ROWS, 1) * ROWS if can_pack(device) else 1 << 40

    def keep(self, x: KeptMap, last: bool) -> KeptBlock:
        """Runs the block on an untouched map. ``last``: only the mean of its output is wanted."""
        mixed = KeptMap(self._mix(x.values[None], self._padding)[0])
        variance = mixed.rows.var(1, correction=0) + self.epsilon
        made = self._made_of(mixed, last)
        output = None if last else KeptMap(x.values + made.values)
        return KeptBlock(output, mixed, (variance * mixed.rows.shape[1]).sqrt(), made)

    def keep_again(self, kept: KeptBlock, last: bool) -> KeptBlock:
        """The block's answer in this kernel's precision to a map that another one has kept."""
        return replace(kept, made=self._made_of(kept.mixed, last))

    def change(
        self, kept: KeptBlock, window: Window, place: Place, unseen: float | None, reuse: bool
    ) -> tuple[torch.Tensor, Ends | None]:
        """The output's change at ``place``, float32 ``(n, h, w, c)``, and where the branch changed.

        Args:
            kept: of the slice.
            window: the input's change; what changes outside ``place`` is left out (a halo does that).
            place: what is wanted.
            unseen: rows that change by so much at most keep their branch; None computes all.
            reuse: whether the window's memory may become that of the answer.

        Returns:
            The change and its ends; None instead of the latter stands for everywhere.
        """
        return self._ways.rows(self, kept, window, place, unseen, reuse).changed()

    def change_of_hidden(self, kept: KeptBlock, window: Window, place: Place, unseen: float | None) -> torch.Tensor:
        """What the wide rows of windows change, summed over the cells: float32 ``(n, 4 c)``."""
        return self._ways.rows(self, kept, window, place, unseen, True).hidden()

    def mixed_change(self, change: torch.Tensor) -> torch.Tensor:
        """What the depthwise convolution makes of a change, ``(n, h, w, c)``, with nothing around it."""
        return self._mix_change(change.to(self.dtype), self._padding)

    def normed(self, rows: torch.Tensor) -> torch.Tensor:
        """Mixed rows ``(m, c)``, float32, ready for :meth:`made`."""
        return self._norm(rows).to(self.dtype)

    def made(self, normed: torch.Tensor, hidden: bool) -> torch.Tensor:
        """The branch of normed rows ``(m, c)``, or their wide rows ``(m, 4 c)``."""
        wide = self._widen(normed, gelu=True)
        return wide if hidden else self._narrow(wide)

    def _made_of(self, mixed: KeptMap, hidden: bool) -> KeptMap:
        made = torch.cat([self.made(self.normed(part), hidden) for part in mixed.rows.split(self.chunk)])
        return KeptMap(made.view(mixed.side, mixed.side, -1))
