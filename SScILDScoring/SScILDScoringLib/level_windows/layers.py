"""What the shared computations of all L-Nets are made of. Maps are ``(z, y, x, channels)`` here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..heatmaps.incremental.operators import can_pack


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation of a window in HU; ``scale`` is 0 for a constant window, as its z-score is."""

    mean: float
    scale: float


def normalisations(volume: np.ndarray, starts: Sequence[int], depth: int) -> list[Normalisation]:
    """Those that :func:`~SScILDScoringLib.preprocessing.normalized_patch` uses, every slice looked at once."""
    doubles = (plane.astype(np.float64) for plane in volume)
    means, variances = np.array([(plane.mean(), plane.var()) for plane in doubles]).T
    found = []
    for start in starts:
        window = slice(start, start + depth)
        deviation = float(np.sqrt(variances[window].mean() + means[window].var()))
        found.append(Normalisation(float(means[window].mean()), 1 / deviation if deviation > 1e-6 else 0.0))
    return found


def first_convolution(values: torch.Tensor, z: int, count: int, weight: torch.Tensor, stride: int = 1) -> torch.Tensor:
    """A 3x3x3 convolution of one channel (without bias) of ``count`` slices of ``values (z, y, x)`` from ``z`` on.

    Slices are the channels of a 2D convolution: of ``count + 2`` slices, each of ``count`` sees three. Zeros are
    thought around ``values``.

    Args:
        weight: ``(channels, 1, 3, 3, 3)``.
        stride: in plane.

    Returns:
        ``(1, count * channels, y, x)``; :func:`slices_of` takes it apart.
    """
    below, above = max(z - 1, 0), min(z + count + 1, len(values))
    slab = F.pad(values[below:above], (0, 0, 0, 0, below - (z - 1), z + count + 1 - above))
    spread = torch.zeros(count, len(weight), count + 2, 3, 3)
    for plane in range(count):
        spread[plane, :, plane : plane + 3] = weight[:, 0]
    slab = slab[None].contiguous(memory_format=torch.channels_last)
    spread = spread.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return F.conv2d(slab, spread, stride=stride, padding=1)


def slices_of(convolved: torch.Tensor, channels: int) -> torch.Tensor:
    """``(1, slices * channels, y, x)`` as ``(slices, y, x, channels)``."""
    return convolved[0].unflatten(0, (-1, channels)).permute(0, 2, 3, 1)


def convolution(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    stride: tuple[int, int, int] = (1, 1, 1),
    pad_z: bool = True,
    relu: bool = False,
) -> torch.Tensor:
    """A 3x3x3 convolution of a map; zeros are thought around it in plane, and below and above where ``pad_z``."""
    padding = (int(pad_z), 1, 1)
    x = x.permute(3, 0, 1, 2)[None]
    if can_pack(x.device):
        # Asked for by its name: F.conv3d takes a slow path for small maps.
        y = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, padding, stride, (1, 1, 1), 1, "relu" if relu else "none", [], ""
        )
    else:
        y = F.conv3d(x, weight, bias, stride, padding)
        y = y.relu_() if relu else y
    return y[0].permute(1, 2, 3, 0).contiguous()


def channels_last(weight: torch.Tensor) -> torch.Tensor:
    """A 3D convolution's weight in the layout that maps have here."""
    return weight.contiguous(memory_format=torch.channels_last_3d)


def pooled_along(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Maxima of three cells with step 2 along an axis."""
    cells = (x.shape[axis] - 1) // 2
    even = x.narrow(axis, 0, 2 * cells + 1)
    even = even[(slice(None),) * axis + (slice(None, None, 2),)]
    odd = x.narrow(axis, 1, 2 * cells)
    odd = odd[(slice(None),) * axis + (slice(None, None, 2),)]
    return torch.maximum(torch.maximum(even.narrow(axis, 0, cells), odd), even.narrow(axis, 1, cells))


def pooled(x: torch.Tensor) -> torch.Tensor:
    """Maxima of 3x3x3 cells with step 2; twice as fast as PyTorch's, which looks for their places as well."""
    return pooled_along(pooled_along(pooled_along(x, 0), 1), 2)


class Slab:
    """Some slices of a window's map with zeros where the window has ended.

    Args:
        first, last: of the slices wanted, counted from the window's bottom; below 0 and above ``depth - 1`` are zeros.
        depth: of the window's map.
        cell: shape of a slice, ``(y, x, channels)``.
        precision: of the slab.
    """

    def __init__(self, first: int, last: int, depth: int, cell: tuple[int, int, int], precision: torch.dtype) -> None:
        self.first, self.last = max(first, 0), min(last, depth - 1)
        self.values = torch.empty((last - first + 1, *cell), dtype=precision)
        inside = slice(self.first - first, self.last - first + 1)
        self.values[: inside.start] = 0
        self.values[inside.stop :] = 0
        self._inside = self.values[inside]

    def fill(self, make: Callable[[torch.Tensor], None]) -> None:
        """``make`` puts the slices inside the window into a float32 map ``(z, y, x, channels)``."""
        if self._inside.dtype == torch.float32:
            make(self._inside)
        else:
            values = torch.empty(self._inside.shape)
            make(values)
            self._inside.copy_(values)
