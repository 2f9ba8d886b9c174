"""Augmentation of slices: geometry first, then intensity. All randomness comes from the given generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from .smoothing import smooth


@dataclass(frozen=True)
class SliceAugmentation:
    """Augmentation of S-Net's slices. The geometric defaults are the published ones (method.md section 3).

    Args:
        rotation_degrees: uniform within plus or minus this.
        scale: size factor, uniform in this range.
        shift_pixels: uniform within plus or minus this, in pixels of the original slice, in x and y.
        mirror: share of slices mirrored left to right (the published systems do not mirror).
        noise_hu: standard deviation of Gaussian noise, uniform in this range.
        noise_share, blur_share, sharpen_share: how often each is applied.
        blur_pixels: standard deviation of the blur, uniform in this range (pixels of the network's input).
        offset_hu: the whole slice shifted by a uniform value within plus or minus this.
    """

    rotation_degrees: float = 30.0
    scale: tuple[float, float] = (0.95, 1.05)
    shift_pixels: float = 10.0
    mirror: float = 0.0
    noise_hu: tuple[float, float] = (0.0, 30.0)
    noise_share: float = 1.0
    blur_share: float = 0.0
    blur_pixels: tuple[float, float] = (0.3, 1.0)
    sharpen_share: float = 0.0
    offset_hu: float = 0.0


def slice_matrix(augmentation: SliceAugmentation, size: int, rng: np.random.Generator) -> np.ndarray:
    """Random 2x3 matrix for :func:`warp_slice`: from output to input coordinates, both in [-1, 1], ``(x, y)``.

    ``size`` is the side of the original slice in pixels, in which ``shift_pixels`` is meant.
    """
    angle = np.radians(rng.uniform(-1, 1) * augmentation.rotation_degrees)
    scale = rng.uniform(*augmentation.scale)
    shift = rng.uniform(-1, 1, 2) * augmentation.shift_pixels * 2 / size
    mirror = -1.0 if rng.random() < augmentation.mirror else 1.0
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    # Output = shift + scale * rotation * input, inverted.
    linear = np.array([[cos * mirror, sin * mirror], [-sin, cos]])
    return np.column_stack([linear, -linear @ shift])


def warp_slice(
    stack: Sequence[np.ndarray],
    matrix: np.ndarray,
    size: int,
    fill: Sequence[float],
    window: tuple[slice, slice] | None = None,
) -> np.ndarray:
    """Channels ``stack (c, y, x)`` seen through ``matrix``: float32 ``(c, size, size)``, bilinear.

    Outside the input each channel has its ``fill (c,)`` value. When the output is much smaller than the input, the
    input is first averaged over squares, so that no pixel is dropped. ``window``: rows and columns of the output that
    are wanted; None is all of it.
    """
    source = np.empty((len(stack), *np.shape(stack[0])), np.float32)
    for channel, given, outside in zip(source, stack, fill, strict=True):
        np.subtract(given, np.float32(outside), out=channel)
    source = torch.from_numpy(source)
    factor = source.shape[-1] // (2 * size)
    if factor > 1:
        source = functional.avg_pool2d(source, factor)
    result = functional.grid_sample(source[None], _grid(matrix, size, window), align_corners=False)[0].numpy()
    for channel, outside in zip(result, fill, strict=True):
        if outside:
            channel += np.float32(outside)
    return result


def _grid(matrix: np.ndarray, size: int, window: tuple[slice, slice] | None) -> torch.Tensor:
    """Where the pixels of the output lie in the input, float32 ``(1, y, x, 2)``, as grid_sample wants it."""
    rows, columns = window or (slice(0, size), slice(0, size))
    y, x = ((2 * torch.arange(part.start, part.stop) + 1) / size - 1 for part in (rows, columns))
    grid = torch.empty(len(y), len(x), 2)
    for axis, (along, down, shift) in enumerate(matrix.tolist()):
        torch.add((along * x)[None, :], (down * y + shift)[:, None], out=grid[..., axis])
    return grid[None]


def warp_masks(
    flags: np.ndarray, bits: Sequence[int], matrix: np.ndarray, size: int, multiple: int = 1
) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Packed masks seen through ``matrix``, moved only where any of them lies.

    Args:
        flags: uint8 ``(y, x)``. bits: of each of the ``c`` masks; a mask of several bits is their union.
        matrix, size: as for :func:`warp_slice`.
        multiple: the window begins and ends at whole multiples of this (``size`` is one itself).

    Returns:
        How much of each pixel is covered, 0..1, float32 ``(c, h, w)``, and the window ``(rows, columns)`` of the output
        ``(size, size)`` that this is; it is 0 outside. Empty when all masks are, or nothing of them is in sight.
    """
    nothing = np.zeros((len(bits), 0, 0), np.float32), (slice(0, 0), slice(0, 0))
    covered = (flags & np.bitwise_or.reduce(bits)) != 0
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    if not len(rows):
        return nothing
    box = np.array([[columns[0], columns[-1] + 1], [rows[0], rows[-1] + 1]])  # x, y, as in the matrix
    shape = np.array(flags.shape[::-1])
    reach = _reach(box, shape, matrix, size)
    window = [slice(first // multiple * multiple, -(-last // multiple) * multiple) for first, last in reach]
    if any(part.start >= part.stop for part in window):
        return nothing
    if shape[0] // (2 * size) <= 1:  # else squares are averaged, which do not begin where the box does
        flags = flags[slice(*box[1]), slice(*box[0])]
        # Coordinates in the box, from those in the whole slice.
        length = box[:, 1] - box[:, 0]
        matrix = matrix * (shape / length)[:, None]
        matrix[:, 2] += (shape - box.sum(1)) / length
    window = window[1], window[0]
    return warp_slice([(flags & bit) != 0 for bit in bits], matrix, size, [0.0] * len(bits), window), window


def _reach(box: np.ndarray, shape: np.ndarray, matrix: np.ndarray, size: int) -> list[tuple[int, int]]:
    """First and last pixel (exclusive) of the output, in x and y, that a box ``(x, y)`` of the input shares."""
    corners = np.array([[x, y] for x in (box[0, 0] - 1, box[0, 1] + 1) for y in (box[1, 0] - 1, box[1, 1] + 1)])
    places = np.linalg.solve(matrix[:, :2], (2 * corners / shape - 1).T - matrix[:, 2:])
    pixels = (places + 1) * size / 2
    first, last = np.floor(pixels.min(1)) - 1, np.ceil(pixels.max(1)) + 1
    return [(int(np.clip(a, 0, size)), int(np.clip(b, 0, size))) for a, b in zip(first, last, strict=True)]


def intensity_augmented(
    hu: np.ndarray, augmentation: SliceAugmentation, rng: np.random.Generator, keep: np.ndarray | None = None
) -> np.ndarray:
    """``hu (y, x)`` with random blur or sharpening, offset and noise; float32.

    ``keep`` marks pixels (outside the body) that get neither noise nor offset because they are set to air anyway.
    """
    result = np.asarray(hu, np.float32)
    choice = rng.random()
    if choice < augmentation.blur_share:
        result = gaussian_blur(result, rng.uniform(*augmentation.blur_pixels))
    elif choice < augmentation.blur_share + augmentation.sharpen_share:
        result = result + rng.uniform(0.3, 1.2) * (result - gaussian_blur(result, rng.uniform(0.6, 1.2)))
    change = np.float32(rng.uniform(-1, 1) * augmentation.offset_hu)
    if rng.random() < augmentation.noise_share:
        sigma = rng.uniform(*augmentation.noise_hu)
        # torch draws faster than numpy; its seed comes from the sample's generator.
        drawn = torch.Generator().manual_seed(int(rng.integers(2**63)))
        noise = torch.empty(result.shape).normal_(generator=drawn).numpy()
        if rng.random() < 0.5:  # noise of a soft kernel is correlated over neighbouring pixels
            noise = gaussian_blur(noise, 0.7)
            noise /= max(float(noise.std()), 1e-6)
        change = change + np.float32(sigma) * noise
    result = result + change
    return np.where(keep, np.asarray(hu, np.float32), result) if keep is not None else result


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """``image (y, x)`` smoothed by a Gaussian of ``sigma`` pixels, edges repeated; float32."""
    return smooth(image, sigma, truncate=3.0, mode="nearest")
