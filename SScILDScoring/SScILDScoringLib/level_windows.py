"""L-Net on all sliding windows of one CT, with what the windows have in common computed once.

Neighbouring windows see nearly the same voxels, but each is z-scored by its own mean and deviation. A convolution is
linear, and a maximum does not mind a constant that is added everywhere: the first convolution and the first pooling,
where most of the published network's time goes, are therefore done once for the whole CT, and a window shifts and
scales their result. Behind the first ReLU the windows differ everywhere, and every one is computed by itself.

Where a window's own zero padding shows (its first slice, the first row and column) the shift is another one; these
cells are made anew. The answers are the network's own, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .heatmaps.precision import choose_precision
from .preprocessing import normalized_patch

BLOCK = 4
"""Slices whose first convolution is computed together."""

CHECKED = 3
"""Windows that are computed in both precisions before bf16 is believed: the first, the middle and the last."""

BF16_SCATTER = 0.045
"""Slices of the resized CT: how far bf16's differences on the checked windows may lie apart.

What they have in common is taken out again, and a level is the mean of many windows: what stays of such a scatter is
about a third of it, 0.02 mm where slices are 1.2 mm thick.
"""

Tick = Callable[[float, int], None]


def window_answers(
    network: nn.Module,
    volume: np.ndarray,
    starts: Sequence[int],
    depth: int,
    device: torch.device | str = "cpu",
    precision: str = "auto",
    tick: Tick = lambda done, window: None,
) -> np.ndarray:
    """L-Net's answers on every window, counted from the bottom of the whole CT.

    Args:
        network: the L-Net, in evaluation mode, on ``device``.
        volume: the resized CT, float32 ``(z, y, x)`` in HU, not normalised.
        starts: first slices of the windows.
        depth: slices of a window.
        device: where the network is.
        precision: ``fp32``; ``bf16``, which is used only where it agrees with fp32 on the windows that are checked;
            ``auto`` takes bf16 where the processor has matrix units for it.
        tick: called several times a window with the share of the work that is done, 0 to 1, and the number of the
            window; may cancel by raising.

    Returns:
        float64 ``(windows, 5)``, slice numbers of the resized CT.
    """
    place = torch.device(device)
    with torch.inference_mode():
        if place.type == "cpu" and can_share(network, volume.shape, depth):
            if precision == "auto":
                precision = choose_precision("auto", place)
            return _shared_answers(network, volume, starts, depth, precision, tick)
        answers = np.empty((len(starts), 5))
        for n, start in enumerate(starts):
            tick(n / len(starts), n)
            patch = torch.from_numpy(normalized_patch(volume[start : start + depth]))[None, None].to(place)
            if place.type == "cpu":
                patch = _channels_last(patch)
            answers[n] = start + network(patch)[0].float().cpu().numpy()
        return answers


def can_share(network: nn.Module, shape: Sequence[int], depth: int) -> bool:
    """Whether windows of a volume of ``shape`` share the first layers: a published network, windows of even sides."""
    features = getattr(network, "features", None)
    if not isinstance(features, nn.Sequential) or not hasattr(network, "classifier"):
        return False
    kinds = [type(m) for m in features[:4]]
    if kinds != [nn.Conv3d, nn.ReLU, nn.BatchNorm3d, nn.MaxPool3d]:
        return False
    convolution, pool = features[0], features[3]
    published = (convolution.kernel_size, convolution.stride, convolution.padding) == ((3, 3, 3), (1, 1, 1), (1, 1, 1))
    pooled = (pool.kernel_size, pool.stride, pool.padding) == (3, 2, 0)
    return published and pooled and not any(side % 2 for side in (depth, *shape[1:]))


def _shared_answers(
    network: nn.Module,
    volume: np.ndarray,
    starts: Sequence[int],
    depth: int,
    precision: str,
    tick: Tick,
) -> np.ndarray:
    first_share = 2 / (len(starts) + 2)  # the shared part takes about as long as two windows
    block = Block(*_blocks(network.features)[0])
    first = FirstStage(block, volume, starts, depth, lambda done: tick(first_share * done, 0))
    rest, correction = Rest(network), np.zeros(5)
    answers = np.empty((len(starts), 5))
    checked: list[int] = []
    finished = 0

    def answer(n: int, rest: Rest) -> np.ndarray:
        nonlocal finished
        runs, before = len(starts) + (CHECKED if precision == "bf16" else 0), finished
        finished += 1

        def told(done: float) -> None:
            tick(first_share + (1 - first_share) * ((before + done) / runs), n)

        told(0.0)
        return starts[n] + rest(first.window(n), told)

    if precision == "bf16" and len(starts) > CHECKED:
        fast = Rest(network, torch.bfloat16)
        checked = [0, len(starts) // 2, len(starts) - 1]
        answers[checked] = [answer(n, rest) for n in checked]
        differences = answers[checked] - [answer(n, fast) for n in checked]
        # Rounded weights shift all windows alike: that part is known now and taken out again.
        if np.ptp(differences, axis=0).max() <= BF16_SCATTER:
            rest, correction = fast, differences.mean(axis=0)
    for n in (n for n in range(len(starts)) if n not in checked):
        answers[n] = answer(n, rest) + correction
    return answers


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.to(memory_format=torch.channels_last_3d)


# ---- the shared part -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation of a window in HU; ``scale`` is 0 for a constant window, as its z-score is."""

    mean: float
    scale: float

    @classmethod
    def of(cls, window: np.ndarray) -> Normalisation:
        """Those that :func:`~.preprocessing.normalized_patch` uses."""
        deviation = float(window.std())
        return cls(float(window.mean()), 1 / deviation if deviation > 1e-6 else 0.0)


class FirstStage:
    """Convolution, ReLU, BatchNorm and pooling of every window, from one convolution of the whole CT.

    Args:
        block: the network's first block.
        volume: the resized CT, float32 ``(z, y, x)`` in HU.
        starts, depth: the windows.
        tick: called now and then with the share that is done; may cancel by raising.
    """

    def __init__(
        self,
        block: Block,
        volume: np.ndarray,
        starts: Sequence[int],
        depth: int,
        tick: Callable[[float], None] = lambda done: None,
    ) -> None:
        self._depth, self._starts = depth, tuple(starts)
        self._block, self._weight = block, block.weight
        self._windows = [Normalisation.of(volume[start : start + depth]) for start in starts]
        # Convolving differences to a value near all means keeps rounding small.
        self._reference = float(np.mean([n.mean for n in self._windows]))
        values = torch.from_numpy(volume - np.float32(self._reference))
        channels, (_, height, width) = len(self._weight), volume.shape
        cells = (height // 2 - 1, width // 2 - 1)
        # Slices pooled in plane only, because windows start at any slice; channels last.
        self._planes = torch.empty((len(volume), *cells, channels))
        self._rows = torch.empty((len(volume), 3, width, channels))
        self._columns = torch.empty((len(volume), height, 3, channels))
        for z in range(0, len(volume), BLOCK):
            tick(z / len(volume))
            parts = self._parts(self._convolved(values, z, min(BLOCK, len(volume) - z)))
            for kept, part in zip((self._planes, self._rows, self._columns), parts, strict=True):
                kept[z : z + BLOCK] = part
        self._edges = []
        for start in starts:
            tick(1.0)
            self._edges.append(_Slab(*self._parts(self._convolved(values[start:], 0, 1))))
        # What subtracting 1 HU from every voxel does, in the middle and where the window's zero padding shows.
        ones = torch.ones((6, min(height, 8), min(width, 8)))
        self._one = self._slices(self._convolved(ones, 2, 1))[0]
        self._one_at_edge = self._slices(self._convolved(ones, 0, 1))[0]
        self._pooled: dict[int, torch.Tensor] = {}

    def window(self, n: int) -> torch.Tensor:
        """The first stage of window number ``n``: float32 ``(1, channels, d, h, w)``, channels last."""
        start, window = self._starts[n], self._windows[n]
        offset = window.mean - self._reference
        middle = offset * self._one[3, 3]
        scaled = (self._block.bias - window.scale * middle, torch.tensor(window.scale))
        pooled = torch.addcmul(scaled[0], self._pooled_from(start), scaled[1])

        def put(cells: torch.Tensor, values: torch.Tensor) -> None:
            cells.copy_(torch.addcmul(scaled[0], values + middle, scaled[1]))

        first, edge = self._edges[n], self._one_at_edge
        inner = torch.maximum(self._planes[start + 1], self._planes[start + 2]) - middle
        put(pooled[0], torch.maximum(first.plane[0] - offset * edge[3, 3], inner))
        rows = self._strip(self._rows, first.rows, start, offset, lambda one: one[:3, 3].unsqueeze(1))
        columns = self._strip(self._columns, first.columns, start, offset, lambda one: one[3, :3].unsqueeze(0))
        put(pooled[:, 0], _pooled_along(rows, 1))
        put(pooled[:, :, 0], _pooled_along(columns, 1))
        # Where the first row and the first column cross, both paddings show.
        corner = self._strip(self._rows[:, :, :3], first.rows[:, :, :3], start, offset, lambda one: one[:3, :3])
        put(pooled[:, 0, 0], corner.amax(1))
        return self._block.activated(pooled.permute(3, 0, 1, 2)[None])

    def _strip(self, kept: torch.Tensor, edge: torch.Tensor, start: int, offset: float, part) -> torch.Tensor:
        """The first three rows or columns, their maxima, pooled along z; ``(d, cells along the strip, channels)``."""
        strip = kept[start : start + self._depth] - offset * part(self._one)
        strip[0] = edge[0] - offset * part(self._one_at_edge)
        return _pooled_along(strip.amax(1 if strip.shape[1] == 3 else 2), 0)

    def _pooled_from(self, start: int) -> torch.Tensor:
        """The maxima over slices 0-2, 2-4, 4-6 ... counted from ``start``; ``(d, h, w, channels)``."""
        phase = start % 2
        if phase not in self._pooled:
            self._pooled[phase] = _pooled_along(self._planes[phase:], 0)
        first = (start - phase) // 2
        return self._pooled[phase][first : first + self._depth // 2 - 1]

    def _convolved(self, values: torch.Tensor, z: int, count: int) -> torch.Tensor:
        """The convolution (without bias) of ``count`` slices from ``z`` on: ``(1, count * channels, y, x)``.

        Slices are the channels of a 2D convolution: of ``count + 2`` slices, each of ``count`` sees three.
        """
        below, above = max(z - 1, 0), min(z + count + 1, len(values))
        slab = F.pad(values[below:above], (0, 0, 0, 0, below - (z - 1), z + count + 1 - above))
        channels = len(self._weight)
        weight = torch.zeros(count, channels, count + 2, 3, 3)
        for plane in range(count):
            weight[plane, :, plane : plane + 3] = self._weight[:, 0]
        slab = slab[None].contiguous(memory_format=torch.channels_last)
        weight = weight.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return F.conv2d(slab, weight, padding=1)

    def _parts(self, convolved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Slices pooled in plane, their first three rows and their first three columns; channels last."""
        parts = F.max_pool2d(convolved, 3, 2), convolved[:, :, :3], convolved[:, :, :, :3]
        return tuple(self._slices(part) for part in parts)

    def _slices(self, convolved: torch.Tensor) -> torch.Tensor:
        """``(1, slices * channels, y, x)`` as ``(slices, y, x, channels)``."""
        return convolved[0].unflatten(0, (-1, len(self._weight))).permute(0, 2, 3, 1)


@dataclass(frozen=True)
class _Slab:
    """The first slice of a window, below which its zero padding begins."""

    plane: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor


def _pooled_along(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Maxima of three cells with step 2 along an axis."""
    cells = (x.shape[axis] - 1) // 2
    even = x.narrow(axis, 0, 2 * cells + 1)
    even = even[(slice(None),) * axis + (slice(None, None, 2),)]
    odd = x.narrow(axis, 1, 2 * cells)
    odd = odd[(slice(None),) * axis + (slice(None, None, 2),)]
    return torch.maximum(torch.maximum(even.narrow(axis, 0, cells), odd), even.narrow(axis, 1, cells))


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
        self.weight = _channels_last(weight.to(precision))
        self.bias = (convolution.bias * turned + limit).to(precision)
        self._low, self._high = (v[:, None, None, None].to(precision) for v in (low, high))
        self._turned = bool((sign < 0).any())
        self._pool = pool

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = F.conv3d(x, self.weight, self.bias, padding=1)
        return self.activated(x if self._pool is None else self._pool(x))

    def activated(self, x: torch.Tensor) -> torch.Tensor:
        """The norm of the ReLU, without the gain, of convolved cells; in place."""
        return x.clamp_(self._low, self._high) if self._turned else x.clamp_min_(self._low)


class Rest:
    """Everything behind the first block, for one window.

    Args:
        network: the L-Net.
        precision: of the convolutions; the fully connected layers use fp32.
    """

    def __init__(self, network: nn.Module, precision: torch.dtype = torch.float32) -> None:
        first, *others = _blocks(network.features)
        scale = Block(*first).gain
        self._blocks, self._precision = [], precision
        for modules in others:
            self._blocks.append(Block(*modules, scale, precision))
            scale = self._blocks[-1].gain
        self._scale, self._network = scale[:, None, None, None], network

    def __call__(self, x: torch.Tensor, tick: Callable[[float], None] = lambda done: None) -> np.ndarray:
        """The answer ``(5,)`` to the first stage of a window."""
        x = x.to(self._precision)
        for n, block in enumerate(self._blocks):
            x = block(x)
            tick((n + 1) / len(self._blocks))
        features = self._network.avgpool(x.float() * self._scale).flatten(1)
        return self._network.classifier(features)[0].numpy().astype(float)


def _blocks(features: nn.Sequential) -> list[tuple[nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d | None]]:
    """Convolution, norm and pooling (None where there is none) of every block."""
    modules = [*features, None]
    return [
        (module, modules[n + 2], modules[n + 3] if isinstance(modules[n + 3], nn.MaxPool3d) else None)
        for n, module in enumerate(modules)
        if isinstance(module, nn.Conv3d)
    ]
