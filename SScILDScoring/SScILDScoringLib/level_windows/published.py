"""The published L-Net (3D VGG) on sliding windows: the first convolution and the first pooling for all of them.

Most of the published network's time goes there. A convolution is linear, and a maximum does not mind a constant that
is added everywhere: a window shifts and scales what was convolved and pooled for the whole CT. Where its own zero
padding shows (its first slice, the first row and column) the shift is another one; these cells are made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from .layers import Slab, channels_last, convolution, first_convolution, normalisations, pooled, pooled_along, slices_of

BLOCK = 4
"""Slices whose first convolution is computed together."""

CELLS = 8
"""Pooled slices of the second block that are computed together, so that what it hands on stays in the cache."""


class PublishedWindows:
    """The windows of one CT.

    Args:
        network: a :class:`~SScILDScoringLib.networks.vgg_3d.VGG3D` in evaluation mode.
        volume: the resized CT, float32 ``(z, y, x)`` in HU.
        starts, depth: the windows.
    """

    shared_cost = 3.0
    """Of the common part, in windows."""

    def __init__(self, network: nn.Module, volume: np.ndarray, starts: Sequence[int], depth: int) -> None:
        self._network = network
        self._first = FirstStage(Block(*_blocks(network.features)[0]), volume, starts, depth)
        self._rest: dict[torch.dtype, list[Block]] = {}
        self.prepare(torch.float32)

    @staticmethod
    def fit(network: nn.Module, shape: Sequence[int], depth: int) -> bool:
        """Whether this is such a network of 11 layers, and the windows have even sides."""
        features = getattr(network, "features", None)
        if not isinstance(features, nn.Sequential) or not hasattr(network, "classifier"):
            return False
        if [type(m) for m in features[:8]] != 2 * [nn.Conv3d, nn.ReLU, nn.BatchNorm3d, nn.MaxPool3d]:
            return False
        first, pool = features[0], features[3]
        convolved = (first.kernel_size, first.stride, first.padding) == ((3, 3, 3), (1, 1, 1), (1, 1, 1))
        halved = (pool.kernel_size, pool.stride, pool.padding) == (3, 2, 0)
        return convolved and halved and not any(side % 2 for side in (depth, *shape[1:]))

    @property
    def rounds(self) -> list[list[tuple]]:
        """Parts that have to be given to :meth:`share` before windows are answered, in any order within a round."""
        return self._first.rounds

    def share(self, part: tuple) -> None:
        """Computes a part of what windows have in common."""
        self._first.share(*part)

    def prepare(self, precision: torch.dtype) -> None:
        """Has to be called once before :meth:`answer` is asked in a precision other than float32."""
        first, *others = _blocks(self._network.features)
        scale, blocks = Block(*first).gain, []
        for modules in others:
            blocks.append(Block(*modules, scale, precision))
            scale = blocks[-1].gain
        self._rest[precision], self._scale = blocks, scale[:, None, None, None]

    def answer(self, n: int, precision: torch.dtype, check: Callable[[float], None]) -> np.ndarray:
        """The network's answer ``(5,)`` to window number ``n``; ``check`` is told the share done and may raise."""
        second, *others = self._rest[precision]
        window = self._first.window(n)
        x = self._streamed(second, window, precision, lambda done: check(0.6 * done))
        for number, block in enumerate(others):
            check(0.6 + 0.4 * number / len(others))
            x = block(x)
        features = x.permute(3, 0, 1, 2)[None].float() * self._scale
        return self._network.classifier(self._network.avgpool(features).flatten(1))[0].numpy().astype(float)

    @staticmethod
    def _streamed(block: Block, window: Window, precision: torch.dtype, check: Callable[[float], None]) -> torch.Tensor:
        """The second block, some slices after the other."""
        cells, x = (window.depth - 1) // 2, None
        for z in range(0, cells, CELLS):
            check(z / cells)
            last = min(z + CELLS, cells) - 1
            # Pooling sees the convolution's slices 2z .. 2z + 2, and that one slice more on either side.
            slab = Slab(2 * z - 1, 2 * last + 3, window.depth, window.cell, precision)
            slab.fill(partial(window.put, slab))
            part = block(slab.values, pad_z=False)
            if x is None:
                x = part.new_empty((cells, *part.shape[1:]))
            x[z : last + 1] = part
        return x


# ---- the shared part -------------------------------------------------------------------------------------------------


class FirstStage:
    """Convolution, ReLU, BatchNorm and pooling of every window, from one convolution of the whole CT.

    Args:
        block: the network's first block.
        volume: the resized CT, float32 ``(z, y, x)`` in HU.
        starts, depth: the windows.
    """

    def __init__(self, block: Block, volume: np.ndarray, starts: Sequence[int], depth: int) -> None:
        self._depth, self._starts = depth, tuple(starts)
        self._block, self._weight = block, block.weight
        self._windows = normalisations(volume, starts, depth)
        # Convolving differences to a value near all means keeps rounding small.
        self._reference = float(np.mean([n.mean for n in self._windows]))
        self._values = torch.from_numpy(volume - np.float32(self._reference))
        channels, (_, height, width) = len(self._weight), volume.shape
        self._cell = (height // 2 - 1, width // 2 - 1, channels)
        # Slices pooled in plane only, because windows start at any slice.
        self._planes = torch.empty((len(volume), *self._cell))
        self._rows = torch.empty((len(volume), 3, width, channels))
        self._columns = torch.empty((len(volume), height, 3, channels))
        phases = {start % 2 for start in starts}
        self._pooled = {phase: torch.empty(((len(volume) - phase - 1) // 2, *self._cell)) for phase in phases}
        # What subtracting 1 HU from every voxel does, in the middle and where the window's zero padding shows.
        ones = torch.ones((6, min(height, 8), min(width, 8)))
        self._one = self._slices(self._convolved(ones, 2, 1))[0]
        self._one_at_edge = self._slices(self._convolved(ones, 0, 1))[0]

    @property
    def rounds(self) -> list[list[tuple]]:
        """What :meth:`share` is to be called with: the CT in blocks of slices, convolved first, then pooled along z."""
        blocks = range(0, len(self._planes), BLOCK)
        return [[(z,) for z in blocks], [(z, phase) for phase in self._pooled for z in blocks]]

    def share(self, z: int, phase: int | None = None) -> None:
        """Convolves the block of slices from ``z`` on, or pools it along z beginning with an even or odd slice."""
        if phase is not None:
            cells = pooled_along(self._planes[z + phase : z + phase + BLOCK + 1], 0)
            self._pooled[phase][z // 2 : z // 2 + len(cells)] = cells
            return
        parts = self._parts(self._convolved(self._values, z, min(BLOCK, len(self._planes) - z)))
        for kept, part in zip((self._planes, self._rows, self._columns), parts, strict=True):
            kept[z : z + BLOCK] = part

    def window(self, n: int) -> Window:
        """The first stage of window number ``n``."""
        start, normalisation = self._starts[n], self._windows[n]
        offset = normalisation.mean - self._reference
        middle = offset * self._one[3, 3]
        scale = torch.tensor(normalisation.scale)

        def scaled(cells: torch.Tensor) -> torch.Tensor:
            return torch.addcmul(self._block.bias, cells, scale)

        plane, first_rows, first_columns = self._parts(self._convolved(self._values[start : start + 2], 0, 1))
        edge = self._one_at_edge
        inner = torch.maximum(self._planes[start + 1], self._planes[start + 2]) - middle
        lowest = scaled(torch.maximum(plane[0] - offset * edge[3, 3], inner))
        rows = self._strip(self._rows, first_rows, start, offset, lambda one: one[:3, 3].unsqueeze(1))
        columns = self._strip(self._columns, first_columns, start, offset, lambda one: one[3, :3].unsqueeze(0))
        # Where the first row and the first column cross, both paddings show.
        corner = self._strip(self._rows[:, :, :3], first_rows[:, :, :3], start, offset, lambda one: one[:3, :3])
        rows, columns = scaled(pooled_along(rows, 1)), scaled(pooled_along(columns, 1))
        rows[:, 0] = columns[:, 0] = scaled(corner.amax(1))
        lowest[0], lowest[:, 0] = rows[0], columns[0]
        phase = start % 2
        cells = self._pooled[phase][(start - phase) // 2 :][: self._depth // 2 - 1]
        shift = self._block.bias - normalisation.scale * middle
        return Window(self._block, cells, shift, scale, lowest, rows, columns)

    def _strip(self, kept: torch.Tensor, edge: torch.Tensor, start: int, offset: float, part) -> torch.Tensor:
        """The first three rows or columns, their maxima, pooled along z; ``(d, cells along the strip, channels)``."""
        strip = kept[start : start + self._depth] - offset * part(self._one)
        strip[0] = edge[0] - offset * part(self._one_at_edge)
        return pooled_along(strip.amax(1 if strip.shape[1] == 3 else 2), 0)

    def _convolved(self, values: torch.Tensor, z: int, count: int) -> torch.Tensor:
        return first_convolution(values, z, count, self._weight)

    def _parts(self, convolved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Slices pooled in plane, their first three rows and their first three columns."""
        parts = nn.functional.max_pool2d(convolved, 3, 2), convolved[:, :, :3], convolved[:, :, :, :3]
        return tuple(self._slices(part) for part in parts)

    def _slices(self, convolved: torch.Tensor) -> torch.Tensor:
        return slices_of(convolved, len(self._weight))


class Window:
    """The first stage of one window, made slab by slab.

    Args:
        block: the network's first block.
        cells: the window's slices, convolved and pooled.
        shift, scale: what makes them the window's.
        lowest: the lowest slice of the stage, ``(y, x, channels)``.
        rows, columns: the first row and the first column of all slices of the stage.
    """

    def __init__(
        self,
        block: Block,
        cells: torch.Tensor,
        shift: torch.Tensor,
        scale: torch.Tensor,
        lowest: torch.Tensor,
        rows: torch.Tensor,
        columns: torch.Tensor,
    ) -> None:
        self._block, self._cells, self._scale = block, cells, scale
        self.depth, self.cell = len(cells), tuple(cells.shape[1:])
        self._shift = shift.repeat(self.cell[1])
        self._lowest, self._rows, self._columns = lowest, rows, columns

    def put(self, slab: Slab, values: torch.Tensor) -> None:
        """Puts a slab's slices of the stage into a map."""
        inside = slice(slab.first, slab.last + 1)
        # Rows of cells at once: a channel at a time the processor's vectors would stay half empty.
        torch.addcmul(self._shift, self._cells[inside].flatten(2), self._scale, out=values.flatten(2))
        values[:, 0] = self._rows[inside]
        values[:, :, 0] = self._columns[inside]
        if slab.first == 0:
            values[0] = self._lowest
        self._block.activated(values)


# ---- the network, rearranged -----------------------------------------------------------------------------------------


class Block:
    """Convolution, ReLU, BatchNorm and maybe pooling in as few passes over the cells as possible.

    With ``gain`` and ``shift`` of the norm, its answer is ``|gain|`` times what is computed here, which is left to the
    weights of the next block. What is computed is ``clamp(pool(convolution))``: ``gain * relu(c) + shift`` is
    ``gain * max(c + e, e)`` with ``e = shift / gain``, and for a negative gain ``|gain| * min(-c - e, -e)``; rising
    functions like these can change places with the maxima of a pooling.

    Args:
        convolution, norm, pool: the modules.
        scale: what the cells that come in are to be multiplied by, channel by channel; None for the first block.
        precision: of the convolution.
    """

    def __init__(
        self,
        convolution: nn.Conv3d,
        norm: nn.BatchNorm3d,
        pool: nn.MaxPool3d | None,
        scale: torch.Tensor | None = None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * gain
        constant = gain.abs() < 1e-12  # such a channel is its shift, whatever comes in
        sign = torch.where(gain < 0, -1.0, 1.0)
        self.gain = torch.where(constant, 1.0, gain.abs())
        limit = shift / self.gain
        turned = torch.where(constant, 0.0, sign)
        weight = convolution.weight * turned[:, None, None, None, None]
        if scale is not None:
            weight = weight * scale[None, :, None, None, None]
        infinity = torch.full_like(limit, torch.inf)
        low, high = torch.where(sign > 0, limit, -infinity), torch.where(sign > 0, infinity, limit)
        self.weight = channels_last(weight.to(precision))
        self.bias = (convolution.bias * turned + limit).to(precision)
        self._limits = low.to(precision), high.to(precision)
        self._turned = bool((sign < 0).any())
        self._pools = pool is not None

    def __call__(self, x: torch.Tensor, pad_z: bool = True) -> torch.Tensor:
        x = convolution(x, self.weight, self.bias, pad_z=pad_z)
        return self.activated(pooled(x) if self._pools else x)

    def activated(self, x: torch.Tensor) -> torch.Tensor:
        """The norm of the ReLU, without the gain, of convolved cells ``(z, y, x, channels)``; in place."""
        low, high = (limit.repeat(x.shape[2]) for limit in self._limits)
        rows = x.flatten(2)
        if self._turned:
            rows.clamp_(low, high)
        else:
            rows.clamp_min_(low)
        return x


def _blocks(features: nn.Sequential) -> list[tuple[nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d | None]]:
    """Convolution, norm and pooling (None where there is none) of every block."""
    modules = [*features, None]
    return [
        (module, modules[n + 2], modules[n + 3] if isinstance(modules[n + 3], nn.MaxPool3d) else None)
        for n, module in enumerate(modules)
        if isinstance(module, nn.Conv3d)
    ]
