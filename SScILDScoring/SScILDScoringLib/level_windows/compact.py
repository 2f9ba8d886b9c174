"""The starter's L-Net on sliding windows: the first convolution for all of them, BatchNorm folded into the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from ..networks.compact_3d import Compact3D, expected_slice
from .layers import Slab, channels_last, convolution, first_convolution, normalisations, slices_of

BLOCK = 4
"""Slices whose first convolution is computed together."""

CELLS = 8
"""Slices of the second convolution that are computed together, so that their input stays in the cache."""


class CompactWindows:
    """The windows of one CT.

    Args:
        network: a :class:`~SScILDScoringLib.networks.compact_3d.Compact3D` in evaluation mode.
        volume: the resized CT, float32 ``(z, y, x)`` in HU.
        starts, depth: the windows.
    """

    shared_cost = 0.2
    """Of the common part, in windows."""

    def __init__(self, network: Compact3D, volume: np.ndarray, starts: Sequence[int], depth: int) -> None:
        self._network, self._starts, self._depth = network, tuple(starts), depth
        self._windows = normalisations(volume, starts, depth)
        # Convolving differences to a value near all means keeps rounding small.
        self._reference = float(np.mean([n.mean for n in self._windows]))
        self._values = torch.from_numpy(volume - np.float32(self._reference))
        first, *rest = network.features
        self._weight, self._shift = _folded(first)
        self._rest = {torch.float32: [_Convolution(layer) for layer in rest]}
        self._shape = (volume.shape[1] // 2, volume.shape[2] // 2, len(self._weight))
        self._convolved = torch.empty((len(volume), *self._shape))
        ones = torch.ones((3, *volume.shape[1:]))
        # What subtracting 1 HU from every voxel does in the lowest slice, in the middle and in the uppermost slice.
        self._ones = self._convolution(ones, 0, 3)

    @staticmethod
    def fit(network: nn.Module, shape: Sequence[int], depth: int) -> bool:
        """Whether this is such a network, and the windows have even sides."""
        return isinstance(network, Compact3D) and not any(side % 2 for side in (depth, *shape[1:]))

    @property
    def rounds(self) -> list[list[int]]:
        """Parts that have to be given to :meth:`share` before windows are answered, in any order within a round."""
        return [list(range(0, len(self._values), BLOCK))]

    def share(self, part: int) -> None:
        """Computes a part of what windows have in common."""
        count = min(BLOCK, len(self._values) - part)
        self._convolved[part : part + count] = self._convolution(self._values, part, count)

    def prepare(self, precision: torch.dtype) -> None:
        """Has to be called once before :meth:`answer` is asked in a precision other than float32."""
        _, *rest = self._network.features
        self._rest.setdefault(precision, [_Convolution(layer, precision) for layer in rest])

    def answer(self, n: int, precision: torch.dtype, check: Callable[[float], None]) -> np.ndarray:
        """The network's answer ``(5,)`` to window number ``n``; ``check`` is told the share done and may raise."""
        second, *others = self._rest[precision]
        put = self._first_stage(n)
        cells = self._depth // 2
        x = None
        for z in range(0, cells, CELLS):
            check(0.5 * z / cells)
            last = min(z + CELLS, cells) - 1
            slab = Slab(2 * z - 1, 2 * last + 1, self._depth, self._shape, precision)
            slab.fill(partial(put, slab))
            part = second(slab.values, pad_z=False)
            if x is None:
                x = part.new_empty((cells, *part.shape[1:]))
            x[z : last + 1] = part
        for number, layer in enumerate(others):
            check(0.5 + 0.5 * number / len(others))
            x = layer(x)
        features = x.permute(3, 0, 1, 2)[None].float()
        return expected_slice(self._network.profile_of(features, self._depth))[0].numpy().astype(float)

    def _first_stage(self, n: int) -> Callable[[Slab, torch.Tensor], None]:
        """What puts a slab's slices of the first stage of window number ``n`` into a map."""
        start, window, end = self._starts[n], self._windows[n], self._starts[n] + self._depth
        below, middle, above = self._shift - window.scale * (window.mean - self._reference) * self._ones
        # The lowest slice does not see what lies below the window, nor the uppermost one what lies above.
        lowest = self._convolution(self._values[start : start + 2], 0, 1)[0]
        uppermost = self._convolution(self._values[end - 2 : end], 1, 1)[0]
        lowest, uppermost = (edge + window.scale * x for edge, x in ((below, lowest), (above, uppermost)))
        scale = torch.tensor(window.scale)

        def put(slab: Slab, values: torch.Tensor) -> None:
            convolved = self._convolved[start + slab.first : start + slab.last + 1].flatten(2)
            torch.addcmul(middle.flatten(1), convolved, scale, out=values.flatten(2))
            if slab.first == 0:
                values[0] = lowest
            if slab.last == self._depth - 1:
                values[-1] = uppermost
            values.relu_()

        return put

    def _convolution(self, values: torch.Tensor, z: int, count: int) -> torch.Tensor:
        return slices_of(first_convolution(values, z, count, self._weight, 2), len(self._weight))


class _Convolution:
    """Convolution, BatchNorm and ReLU as one operation."""

    def __init__(self, layer: nn.Sequential, precision: torch.dtype = torch.float32) -> None:
        weight, bias = _folded(layer)
        self._weight, self._bias = channels_last(weight.to(precision)), bias.to(precision)
        self._stride = tuple(layer[0].stride)

    def __call__(self, x: torch.Tensor, pad_z: bool = True) -> torch.Tensor:
        return convolution(x, self._weight, self._bias, self._stride, pad_z, relu=True)


def _folded(layer: nn.Sequential) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution with the BatchNorm behind it."""
    convolution, norm = layer[0], layer[1]
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return convolution.weight * gain[:, None, None, None, None], norm.bias - norm.running_mean * gain
