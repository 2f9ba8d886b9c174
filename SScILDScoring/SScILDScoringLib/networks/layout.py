"""A network as a flat list of steps, for engines that recompute only a window of each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Step:
    """One step from input to feature map: ``features = module(features)``.

    Args:
        name: where the module stands in the network (its parameter prefix).
        module: what is run.
        kernel, stride, padding: an output cell ``o`` depends on the input cells ``o * stride - padding`` to
            ``o * stride - padding + kernel - 1`` along y and along x. Everything outside the image counts as zero,
            in front of every convolution (so also between the two of a residual block), never after it.
    """

    name: str
    module: nn.Module
    kernel: int = 1
    stride: int = 1
    padding: int = 0


def steps_of(prefix: str, sequence: nn.Sequential) -> list[Step]:
    """The steps of a flat sequence of convolutions, poolings, norms, activations and blocks.

    A block of our own says its reach itself by an attribute ``reach = (kernel, stride, padding)``.
    """
    steps = []
    for position, module in enumerate(sequence):
        if hasattr(module, "reach"):
            reach = module.reach
        elif isinstance(module, (nn.Conv2d, nn.MaxPool2d)):
            reach = tuple(
                v[0] if isinstance(v, tuple) else v for v in (module.kernel_size, module.stride, module.padding)
            )
        else:
            reach = (1, 1, 0)
        steps.append(Step(f"{prefix}.{position}", module, *reach))
    return steps


def receptive_field(steps: Sequence[Step]) -> tuple[int, int]:
    """``(pixels, stride)``: how many input pixels along an axis one cell of the last map sees, and their step."""
    size, stride = 1, 1
    for step in steps:
        size += (step.kernel - 1) * stride
        stride *= step.stride
    return size, stride


def input_range(steps: Sequence[Step], first: int, last: int) -> tuple[int, int]:
    """First and last input pixel along an axis that the cells ``first`` to ``last`` of the last map depend on.

    May leave the image; what lies outside it is padding.
    """
    for step in reversed(steps):
        first = first * step.stride - step.padding
        last = last * step.stride - step.padding + step.kernel - 1
    return first, last
