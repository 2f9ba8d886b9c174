"""What the networks see: slices for S-Net and resized volumes for L-Net. Training and scoring share this code.

The settings stand in a model bundle's metadata, so that a bundle is always fed as it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from .errors import ModelError, SettingsError
from .progress import Progress, silent

AIR_HU = -1024


def resize_weights(size_in: int, size_out: int) -> np.ndarray:
    """Weights ``(size_out, size_in)`` that resize along one axis; every row sums to 1.

    Shrinking averages over the area that an output cell covers, so that no slice is dropped; growing interpolates
    linearly. Cell ``o`` of the output covers ``[o, o + 1) * size_in / size_out`` of the input.
    """
    return _resize_weights(int(size_in), int(size_out))


@lru_cache(maxsize=64)
def _resize_weights(size_in: int, size_out: int) -> np.ndarray:
    scale = size_in / size_out
    cells = np.arange(size_in)
    if scale > 1:
        start = np.arange(size_out)[:, None] * scale
        weights = np.minimum(cells + 1, start + scale) - np.maximum(cells, start)
        weights = np.clip(weights, 0, None)
    else:
        centre = np.clip((np.arange(size_out)[:, None] + 0.5) * scale - 0.5, 0, size_in - 1)
        weights = np.clip(1 - np.abs(cells - centre), 0, None)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    weights.flags.writeable = False
    return weights


def resize_slice(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """``image (y, x)`` resized to float32 ``(height, width)`` as described at :func:`resize_weights`."""
    image = np.asarray(image, np.float32)
    if image.shape[0] != height:
        image = resize_weights(image.shape[0], height) @ image
    if image.shape[1] != width:
        image = image @ resize_weights(image.shape[1], width).T
    return image


def _scaled(hu: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    low, high = window
    return (np.clip(hu, low, high).astype(np.float32) - np.float32(low)) / np.float32(high - low)


def _check_window(window: tuple[float, float]) -> None:
    if len(window) != 2 or not window[0] < window[1]:
        raise SettingsError(f"A HU window is two numbers, low before high, not {window}.")


@dataclass(frozen=True)
class SliceInput:
    """How an axial slice becomes S-Net's input.

    Args:
        size: pixels along each side of the square input (512 in the published systems).
        hu_window: HU clipped to this range and scaled to [0, 1]; published: (-1500, 1500).
        clear_outside_body: set everything outside the body (table, clothes) to air first.
    """

    size: int = 512
    hu_window: tuple[float, float] = (-1500.0, 1500.0)
    clear_outside_body: bool = False

    def __post_init__(self) -> None:
        _check_window(self.hu_window)
        object.__setattr__(self, "hu_window", tuple(float(v) for v in self.hu_window))

    def prepare(self, hu: np.ndarray, body: np.ndarray | None = None) -> np.ndarray:
        """Network input, float32 ``(size, size)`` in [0, 1], of an axial slice.

        Args:
            hu: Hounsfield units ``(y, x)``, any numeric type.
            body: boolean ``(y, x)``, true inside the body; found when it is needed and None.
        """
        return resize_slice(self.scaled(hu, body), self.size, self.size)

    def scaled(self, hu: np.ndarray, body: np.ndarray | None = None) -> np.ndarray:
        """The first half of :meth:`prepare`: clipped and scaled, float32, still in the slice's own size."""
        if self.clear_outside_body:
            if body is None:
                from .body import body_mask

                body = body_mask(hu)
            hu = np.where(body, hu, AIR_HU)
        return _scaled(hu, self.hu_window)

    def to_metadata(self) -> dict:
        """Plain values for a bundle's metadata."""
        return asdict(self)

    @classmethod
    def from_metadata(cls, values: Mapping) -> SliceInput:
        """The settings of a bundle. Raises ModelError when they are unknown or incomplete."""
        return _from_metadata(cls, values)


@dataclass(frozen=True)
class VolumeInput:
    """How a CT becomes L-Net's input.

    Args:
        size: ``(z, y, x)`` to which the whole CT is resized; published: (256, 256, 256).
        depth: slices of a patch along z; published: 192. The patch spans y and x entirely.
        hu_window: HU clipped to this range; published: (-1500, 1500).
        stride: step of the sliding window along z at inference; published: 4.
    """

    size: tuple[int, int, int] = (256, 256, 256)
    depth: int = 192
    hu_window: tuple[float, float] = (-1500.0, 1500.0)
    stride: int = 4

    def __post_init__(self) -> None:
        _check_window(self.hu_window)
        object.__setattr__(self, "size", tuple(int(v) for v in self.size))
        object.__setattr__(self, "hu_window", tuple(float(v) for v in self.hu_window))
        if not 0 < self.depth <= self.size[0] or self.stride < 1:
            raise SettingsError(f"A patch of {self.depth} slices does not fit into {self.size[0]} slices.")

    def prepare(self, voxels: np.ndarray, progress: Progress = silent) -> np.ndarray:
        """The whole CT resized: float32 ``size`` in HU, clipped, not yet normalised (that is per patch).

        Args:
            voxels: canonical HU ``(z, y, x)``.
        """
        depth, height, width = self.size
        rows = np.empty((voxels.shape[0], height * width), np.float32)
        low, high = self.hu_window
        for k, plane in enumerate(voxels):
            rows[k] = resize_slice(np.clip(plane, low, high), height, width).ravel()
            if k % 64 == 0:
                progress("levels", 0.5 * k / len(voxels), "Resizing the CT")
        if voxels.shape[0] != depth:
            rows = resize_weights(voxels.shape[0], depth) @ rows
        return rows.reshape(self.size)

    def patch_starts(self) -> tuple[int, ...]:
        """First slices of the sliding windows along z, the last one touching the top."""
        last = self.size[0] - self.depth
        starts = list(range(0, last + 1, self.stride))
        return tuple(starts if starts[-1] == last else [*starts, last])

    def resized_from_slice(self, k: float, slice_count: int) -> float:
        """Position along z in the resized CT (slice number, with fraction) of canonical slice ``k``."""
        return (k + 0.5) * self.size[0] / slice_count - 0.5

    def slice_from_resized(self, z: float, slice_count: int) -> float:
        """Inverse of :meth:`resized_from_slice`."""
        return (z + 0.5) * slice_count / self.size[0] - 0.5

    def to_metadata(self) -> dict:
        """Plain values for a bundle's metadata."""
        return asdict(self)

    @classmethod
    def from_metadata(cls, values: Mapping) -> VolumeInput:
        """The settings of a bundle. Raises ModelError when they are unknown or incomplete."""
        return _from_metadata(cls, values)


def normalized_patch(patch: np.ndarray) -> np.ndarray:
    """A patch z-scored by its own mean and standard deviation (float32); a constant patch gives zeros."""
    patch = np.asarray(patch, np.float32)
    deviation = float(patch.std())
    return (patch - patch.mean()) / deviation if deviation > 1e-6 else np.zeros_like(patch)


def _from_metadata(cls, values: Mapping):
    try:
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    except (TypeError, SettingsError) as error:
        raise ModelError(f"The bundle's input settings are not usable: {error}") from error
