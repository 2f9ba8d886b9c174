"""A network as a list of layers, for engines that recompute only a window of each of them.

A network that describes itself has ``layers()``, the way from the input to the last feature map, and ``head(map)``,
which makes scores of that map. Where the head begins with the mean over all cells it also has ``head_of_mean(mean)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

INPUT = -1
"""The number under which layers read the network's input."""


class Reach(NamedTuple):
    """An output cell ``o`` depends on the input cells ``o * stride - padding`` to ``o * stride - padding + kernel - 1``
    along y and along x. Everything outside the image counts as zero."""

    kernel: int = 1
    stride: int = 1
    padding: int = 0

    def size_out(self, size: int) -> int:
        """Cells of the output along an axis."""
        return (size + 2 * self.padding - self.kernel) // self.stride + 1


@dataclass(frozen=True)
class Convolution:
    """``relu(norm(convolution(x)) + other)``; norm, sum and relu where there are any.

    Args:
        name: where the convolution stands in the network (its parameter prefix).
        reads: number of the layer whose output is ``x``.
        convolution: of square kernels, without dilation.
        norm: BatchNorm behind it.
        adds: number of the layer whose output is ``other``.
        relu: whether the result is rectified.
    """

    name: str
    reads: int
    convolution: nn.Conv2d
    norm: nn.BatchNorm2d | None = None
    adds: int | None = None
    relu: bool = False

    @property
    def reach(self) -> Reach:
        c = self.convolution
        return Reach(c.kernel_size[0], c.stride[0], c.padding[0])

    def __call__(self, x: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
        x = self.convolution(x)
        x = x if self.norm is None else self.norm(x)
        x = x if other is None else x + other
        return x.relu() if self.relu else x


@dataclass(frozen=True)
class Pooling:
    """The largest value of a square of cells. Padded cells count as zero: the map holds nothing below zero then."""

    name: str
    reads: int
    pooling: nn.MaxPool2d
    adds: None = None

    @property
    def reach(self) -> Reach:
        p = self.pooling
        return Reach(*(v[0] if isinstance(v, tuple) else v for v in (p.kernel_size, p.stride, p.padding)))

    def __call__(self, x: torch.Tensor, other: None = None) -> torch.Tensor:
        return self.pooling(x)


@dataclass(frozen=True)
class NormedConvolution:
    """A convolution with LayerNorm over the channels in front of it or behind it.

    Args:
        name, reads: as for :class:`Convolution`.
        convolution: of square kernels; it pads nothing.
        norm: over the channels of every cell.
        norm_first: whether the norm stands in front.
    """

    name: str
    reads: int
    convolution: nn.Conv2d
    norm: nn.LayerNorm
    norm_first: bool
    adds: None = None

    @property
    def reach(self) -> Reach:
        return Reach(self.convolution.kernel_size[0], self.convolution.stride[0], self.convolution.padding[0])

    def __call__(self, x: torch.Tensor, other: None = None) -> torch.Tensor:
        return self.convolution(self.norm(x)) if self.norm_first else self.norm(self.convolution(x))


@dataclass(frozen=True)
class WideBlock:
    """``x + scale * narrow(gelu(widen(norm(depthwise(x)))))``, the block of ConvNeXt.

    Args:
        name, reads: as for :class:`Convolution`.
        block: the module that is all of this.
        depthwise: square kernel, as many groups as channels, padded so that the size stays.
        norm: over the channels of every cell.
        widen, narrow: linear, over the channels of every cell.
        scale: ``(channels, 1, 1)``.
    """

    name: str
    reads: int
    block: nn.Module
    depthwise: nn.Conv2d
    norm: nn.LayerNorm
    widen: nn.Linear
    narrow: nn.Linear
    scale: torch.Tensor
    adds: None = None

    @property
    def reach(self) -> Reach:
        return Reach(self.depthwise.kernel_size[0], 1, self.depthwise.padding[0])

    def __call__(self, x: torch.Tensor, other: None = None) -> torch.Tensor:
        return self.block(x)


Layer = Convolution | Pooling | NormedConvolution | WideBlock


class LayerList(list):
    """Layers in the order in which they are computed; each reads the one in front of it unless it says otherwise."""

    @property
    def last(self) -> int:
        """Number of the last layer."""
        return len(self) - 1

    def sequence(self, prefix: str, modules: nn.Sequential) -> LayerList:
        """Appends a flat sequence of convolutions, BatchNorms, ReLUs, max poolings and blocks of our own.

        A block of our own appends itself: ``block.describe(layers, name)``.
        """
        modules = list(modules)
        position = 0
        while position < len(modules):
            name, module = f"{prefix}.{position}", modules[position]
            position += 1
            if hasattr(module, "describe"):
                module.describe(self, name)
            elif isinstance(module, nn.MaxPool2d):
                self.append(Pooling(name, self.last, module))
            else:
                following = modules[position : position + 2]
                norm = following[0] if following and isinstance(following[0], nn.BatchNorm2d) else None
                after = following[1:] if norm is not None else following
                relu = bool(after) and isinstance(after[0], nn.ReLU)
                position += (norm is not None) + relu
                self.append(Convolution(name, self.last, module, norm, relu=relu))
        return self


def run_layers(layers: Sequence[Layer], x: torch.Tensor) -> list[torch.Tensor]:
    """The outputs ``(n, c, h, w)`` of all layers for an input ``(n, 1, s, s)``; the last one is the head's input."""
    outputs: list[torch.Tensor] = []
    for layer in layers:
        read = x if layer.reads == INPUT else outputs[layer.reads]
        outputs.append(layer(read, None if layer.adds is None else outputs[layer.adds]))
    return outputs


def stages_of(layers: Sequence[Layer]) -> list[int]:
    """For every layer the number of its stage: stages are the resolutions behind the first layer, in their order."""
    strides: list[int] = []
    for layer in layers:
        strides.append(layer.reach.stride * (1 if layer.reads == INPUT else strides[layer.reads]))
    return [sorted(set(strides)).index(stride) for stride in strides]


def receptive_field(layers: Sequence[Layer]) -> tuple[int, int]:
    """``(pixels, stride)``: how many input pixels along an axis one cell of the last map sees, and their step."""
    first, last = input_range(layers, 0, 0)
    following, _ = input_range(layers, 1, 1)
    return last - first + 1, following - first


def input_range(layers: Sequence[Layer], first: int, last: int) -> tuple[int, int]:
    """First and last input pixel along an axis that the cells ``first`` to ``last`` of the last map depend on.

    May leave the image; what lies outside it is padding.
    """
    seen: dict[int, tuple[int, int]] = {len(layers) - 1: (first, last)}
    for number in range(len(layers) - 1, -1, -1):
        if number not in seen:
            continue
        layer, (first, last) = layers[number], seen[number]
        kernel, stride, padding = layer.reach
        read = (first * stride - padding, last * stride - padding + kernel - 1)
        for source, cells in ((layer.reads, read), (layer.adds, (first, last))):
            if source is not None:
                low, high = seen.get(source, cells)
                seen[source] = (min(low, cells[0]), max(high, cells[1]))
    return seen[INPUT]
