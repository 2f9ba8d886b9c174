"""Augmentation of volumes: geometry first, then intensity. All randomness comes from the given generator.

Only what the network sees is computed: a sample is a patch of the volume along z. The geometry is a rotation about z,
an in-plane scale and shift, and a stretch and tilt along z, so trilinear interpolation falls into two exact steps: the
slices one by one, with the same in-plane grid for all of them, then along z. That takes a fraction of the time of a
general three-dimensional grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

AIR = -1024.0


@dataclass(frozen=True)
class VolumeAugmentation:
    """Augmentation of L-Net's volumes.

    Args:
        rotation_degrees: about the z axis, uniform within plus or minus this.
        tilt_degrees: about the x axis.
        scale: in-plane size factor. shift: in-plane, as a share of the image's side, within plus or minus this.
        cut: largest share of the volume's height cut off at each end before it is stretched to full height again;
            a level is never cut off. Simulates other coverage.
        pad: largest share of height added at each end, filled with copies of the end slice (scans that reach
            further than the training scans do).
        noise_hu: standard deviation range of Gaussian noise. offset_hu: shift within plus or minus this.
        contrast: factor range on HU above -200 (bone, contrast agent). gamma: range of an exponent on scaled HU.
        blur_share: how often a 3x3x3 blur is applied.
        clear_outside_share: how often everything outside a random ellipse around the body is set to air (tables, arms).
    """

    rotation_degrees: float = 0.0
    tilt_degrees: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    cut: float = 0.0
    pad: float = 0.0
    noise_hu: tuple[float, float] = (0.0, 30.0)
    offset_hu: float = 0.0
    contrast: tuple[float, float] = (1.0, 1.0)
    gamma: tuple[float, float] = (1.0, 1.0)
    blur_share: float = 0.0
    clear_outside_share: float = 0.0


@dataclass(frozen=True)
class VolumeView:
    """How a volume is looked at: which part of its height fills the whole, and how its slices are moved.

    Args:
        shape: of the volume, ``(z, y, x)``.
        low, high: the part of the height, in slice edges (0..z), stretched to the full height; may reach outside.
        plane: 2x3, from output to input in-plane coordinates ``(x, y)``, both in [-1, 1].
        tilt: slices of z per pixel of y (both in voxels), about the line through the image's centre.
    """

    shape: tuple[int, int, int]
    low: float
    high: float
    plane: np.ndarray
    tilt: float = 0.0

    @classmethod
    def drawn(
        cls, shape: tuple[int, int, int], levels: np.ndarray, augmentation: VolumeAugmentation, rng: np.random.Generator
    ) -> VolumeView:
        """A random view that keeps all ``levels`` (slice numbers) with a margin of 2 % of the height."""
        depth = shape[0]
        low, high = volume_view(levels, depth, augmentation, rng)
        angle = np.radians(rng.uniform(-1, 1) * augmentation.rotation_degrees)
        tilt = float(np.tan(np.radians(rng.uniform(-1, 1) * augmentation.tilt_degrees)))
        scale = rng.uniform(*augmentation.scale)
        shift = rng.uniform(-2, 2, 2) * augmentation.shift
        cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
        linear = np.array([[cos, sin], [-sin, cos]])
        return cls(shape, float(low), float(high), np.column_stack([linear, -linear @ shift]), tilt)

    def levels(self, levels: np.ndarray) -> np.ndarray:
        """The slice numbers that ``levels`` have in the view. A tilt leaves them where the image's centre is."""
        depth = self.shape[0]
        return (levels + 0.5 - self.low) * depth / (self.high - self.low) - 0.5

    def of(self, volume: np.ndarray, first: int = 0, count: int | None = None) -> torch.Tensor:
        """Slices ``first`` to ``first + count - 1`` of the view: float32 HU ``(count, y, x)``.

        Outside the slices there is air; beyond the ends of the volume the last slice repeats.
        """
        depth, height, _ = self.shape
        count = depth - first if count is None else count
        z = self.low + (np.arange(first, first + count) + 0.5) * (self.high - self.low) / depth - 0.5
        if self.tilt:
            z = z[:, None] + self.tilt * (np.arange(height) + 0.5 - height / 2)
        z = np.clip(z, 0, depth - 1)
        start, end = int(z.min()), int(np.ceil(z.max())) + 1
        slices = self._moved(torch.from_numpy(volume[start:end].astype(np.float32)))
        below = np.minimum(np.floor(z - start).astype(np.int64), len(slices) - 1)
        part = (z - start - below).astype(np.float32)
        if not part.any():
            still = z.ndim == 1 and bool((np.diff(below) == 1).all())
            return slices[below[0] : below[-1] + 1] if still else self._picked(slices, below)
        above = np.minimum(below + 1, len(slices) - 1)
        weight = torch.from_numpy(part).reshape(*part.shape, *(1,) * (3 - part.ndim))
        return self._picked(slices, below).lerp_(self._picked(slices, above), weight)

    def _picked(self, slices: torch.Tensor, numbers: np.ndarray) -> torch.Tensor:
        """The slices of these numbers, or the rows where every row of an image has its own."""
        index = torch.from_numpy(numbers)
        return slices[index] if index.dim() == 1 else slices[index, torch.arange(slices.shape[1])]

    def _moved(self, slices: torch.Tensor) -> torch.Tensor:
        if np.allclose(self.plane, [[1, 0, 0], [0, 1, 0]], atol=1e-9):
            return slices
        _, height, width = self.shape
        theta = torch.from_numpy(self.plane.astype(np.float32))[None]
        grid = functional.affine_grid(theta, (1, 1, height, width), align_corners=False)
        # All slices share the grid: they are the channels of one image.
        return functional.grid_sample((slices - AIR)[None], grid, align_corners=False)[0].add_(AIR)


def volume_view(
    levels: np.ndarray, height: int, augmentation: VolumeAugmentation, rng: np.random.Generator
) -> tuple[float, float]:
    """Which part ``(low, high)`` of a volume (in slice edges, 0..height) is stretched to the full height.

    May reach outside (padding), and always keeps all five ``levels`` (slice numbers) with a margin of 2 % of height.
    """
    margin = 0.02 * height
    low = rng.uniform(-augmentation.pad, augmentation.cut) * height
    high = height - rng.uniform(-augmentation.pad, augmentation.cut) * height
    return min(low, levels.min() - margin), max(high, levels.max() + 1 + margin)


def augmented_volume(
    volume: np.ndarray,
    levels: np.ndarray,
    augmentation: VolumeAugmentation,
    rng: np.random.Generator,
    depth: int | None = None,
    first_slice: Callable[[np.ndarray], int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A resized CT, moved and stretched at random: float32 HU, and its five new slice numbers.

    Args:
        volume: HU ``(z, y, x)``.
        levels: slice numbers (with fraction) of L1..L5.
        depth: slices of the patch that is wanted; None: all.
        first_slice: new slice numbers of the levels -> first slice of the patch; the slice numbers that are returned
            count from there.

    A tilt moves each level along the line through the image's centre, where it stays.
    """
    view = VolumeView.drawn(volume.shape, levels, augmentation, rng)
    moved = view.levels(levels)
    first = first_slice(moved) if first_slice is not None else 0
    patch = view.of(volume, first, depth or volume.shape[0] - first)
    return _volume_intensity(patch, augmentation, rng).numpy(), moved - first


def _volume_intensity(volume: torch.Tensor, augmentation: VolumeAugmentation, rng: np.random.Generator):
    """Changes of scanner and body that no level follows; ``volume`` is changed in place where that is possible."""
    if rng.random() < augmentation.blur_share:
        volume = functional.avg_pool3d(
            functional.pad(volume[None, None], (1, 1, 1, 1, 1, 1), "replicate"), 3, stride=1
        )[0, 0]
    factor = rng.uniform(*augmentation.contrast)
    if factor != 1.0:
        volume += (volume + 200).clamp_(min=0).mul_(factor - 1)
    gamma = rng.uniform(*augmentation.gamma)
    if gamma != 1.0:
        volume.sub_(AIR).div_(2048).clamp_(0, 1).pow_(gamma).mul_(2048).add_(AIR)
    if rng.random() < augmentation.clear_outside_share:
        volume = _outside_cleared(volume, rng)
    sigma = rng.uniform(*augmentation.noise_hu)
    offset = float(rng.uniform(-1, 1) * augmentation.offset_hu)
    if sigma > 0:
        # torch draws four times as fast as numpy; its seed comes from the sample's generator.
        drawn = torch.Generator().manual_seed(int(rng.integers(2**63)))
        volume += torch.empty_like(volume).normal_(offset, sigma, generator=drawn)
    elif offset:
        volume += offset
    return volume


def _outside_cleared(volume: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    _, height, width = volume.shape
    y = (torch.arange(height) + 0.5) / height * 2 - 1
    x = (torch.arange(width) + 0.5) / width * 2 - 1
    axes = rng.uniform(0.8, 1.2, 2)
    outside = (y[:, None] / axes[0]) ** 2 + (x[None, :] / axes[1]) ** 2 > 1
    return volume.masked_fill_(outside, AIR)
