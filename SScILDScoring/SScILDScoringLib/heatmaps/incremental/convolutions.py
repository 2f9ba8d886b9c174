"""Convolutions and pooling on windows: the output's change, of the input's.

A convolution is linear up to its norm and activation, so it is made of the change alone: in coarse arithmetic what
does not change is not rounded, and of a change that is small beside the map only its own last digits are lost.

Every kernel has ``keep(x, other)``, which runs the layer on an untouched map, float32 ``(side, side, c)``, and
``change(kept, window, other, place, around)``, the output's change at ``place``, which is float32 ``(n, h, w, c)``;
``around`` is what the layer reads for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ...networks.layout import Convolution, NormedConvolution, Pooling
from .operators import ROWS, ChannelNorm, Convolve, Linear, precisely
from .ways import Ways, patches_of
from .windows import KeptMap, Place, Window


@dataclass(frozen=True)
class Kept:
    """What a layer said of the untouched slice.

    Args:
        output: its map.
        inner: what the layer needs besides to answer to changes.
        normed: the same with the layer's norm, where that stands in front.
    """

    output: KeptMap
    inner: KeptMap | None = None
    normed: KeptMap | None = None


class ConvolutionKernel:
    """A convolution with BatchNorm folded into it."""

    def __init__(self, layer: Convolution, dtype: torch.dtype, device: torch.device, ways: Ways) -> None:
        self._ways = ways
        convolution, norm = layer.convolution, layer.norm
        weight = precisely(convolution.weight)
        bias = weight.new_zeros(len(weight)) if convolution.bias is None else precisely(convolution.bias)
        if norm is not None:
            factor = precisely(norm.weight) / torch.sqrt(precisely(norm.running_var) + norm.eps)
            weight = weight * factor[:, None, None, None]
            bias = (bias - precisely(norm.running_mean)) * factor + precisely(norm.bias)
        self._dtype, self._relu, self._reach = dtype, layer.relu, layer.reach
        self._whole = Convolve(convolution, weight, bias, torch.float32, device)
        self._change = Convolve(convolution, weight, None, dtype, device)

    def keep(self, x: KeptMap, other: KeptMap | None) -> Kept:
        """Keeps what stands in front of the activation."""
        before = self._whole(x.values[None], self._reach.padding)[0]
        before = before if other is None else before + other.values
        if not self._relu:
            return Kept(KeptMap(before))
        return Kept(KeptMap(before.relu()), KeptMap(before))

    def change(self, kept: Kept, window: Window, other: Window | None, place: Place, around: Place) -> torch.Tensor:
        """Of the convolution, and of the map that is added to it."""
        change = self._change(*window.around(around, self._dtype, self._reach.kernel - 1))
        if other is not None:
            change = other.at(place).add_(change)
        return change.float() if kept.inner is None else self._ways.rectified(change, kept.inner, place)


class PoolingKernel:
    """Max pooling: the only layer that reads kept values around a window, not only changes."""

    def __init__(self, layer: Pooling, dtype: torch.dtype, device: torch.device, ways: Ways) -> None:
        self._kernel, self._stride, self._padding = layer.reach

    def keep(self, x: KeptMap, other: None) -> Kept:
        """Keeps the input with its padding."""
        padded = x.padded(self._padding)
        return Kept(KeptMap(self._pooled(padded.values[None])[0]), padded)

    def change(self, kept: Kept, window: Window, other: None, place: Place, around: Place) -> torch.Tensor:
        """Of the largest values."""
        values = kept.inner.at(around.shifted(self._padding)).add_(window.at(around))
        return self._pooled(values).sub_(kept.output.at(place))

    def _pooled(self, x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x.permute(0, 3, 1, 2), self._kernel, self._stride).permute(0, 2, 3, 1).contiguous()


class NormedConvolutionKernel:
    """A convolution whose patches do not overlap, as a product; a norm in front of it is folded into its weights."""

    def __init__(self, layer: NormedConvolution, dtype: torch.dtype, device: torch.device, ways: Ways) -> None:
        self._ways = ways
        convolution, norm = layer.convolution, layer.norm
        self._side, self._norm_first = convolution.stride[0], layer.norm_first
        # The one at the network's entry is small, and its norm would enlarge what rounding does.
        self._dtype = dtype if layer.norm_first else torch.float32
        weight = precisely(convolution.weight).permute(0, 2, 3, 1)
        bias = precisely(convolution.bias)
        if layer.norm_first:
            bias = bias + (weight * precisely(norm.bias)).sum((1, 2, 3))
            weight = weight * precisely(norm.weight)
        weight = weight.flatten(1)
        self._whole = Linear(weight, bias, torch.float32, device)
        self._change = Linear(weight, None, self._dtype, device)
        self._norm = ChannelNorm(norm, not layer.norm_first, device)

    def keep(self, x: KeptMap, other: None) -> Kept:
        """Keeps the input, whose norm changes with it, or what stands in front of the norm."""
        read = x.side // self._side * self._side
        if self._norm_first:
            normed = self._norm(x.values)
            return Kept(KeptMap(self._product(self._whole, normed[None, :read, :read])[0]), x, KeptMap(normed))
        before = self._product(self._whole, x.values[None, :read, :read])
        return Kept(KeptMap(self._norm(before)[0]), KeptMap(before[0]))

    def change(self, kept: Kept, window: Window, other: None, place: Place, around: Place) -> torch.Tensor:
        """Of the norm and the product, in their order."""
        if self._norm_first:
            patches = self._ways.normed_patches(
                kept.inner, kept.normed, window, around, self._norm, self._side, self._dtype
            )
            return self._multiplied(self._change, patches).float()
        before = kept.inner.at(place).add_(self._product(self._change, window.at(around, self._dtype)))
        return self._norm(before).sub_(kept.output.at(place))

    def _product(self, linear: Linear, x: torch.Tensor) -> torch.Tensor:
        return self._multiplied(linear, patches_of(x, self._side))

    @staticmethod
    def _multiplied(linear: Linear, patches: torch.Tensor) -> torch.Tensor:
        rows = patches.view(-1, patches.shape[-1])
        count, missing = len(rows), -len(rows) % ROWS
        rows = F.pad(rows, (0, 0, 0, missing)) if missing else rows
        return linear(rows)[:count].view(*patches.shape[:3], -1)
