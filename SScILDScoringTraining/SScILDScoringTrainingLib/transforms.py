"""Augmentation of slices: geometry first, then intensity. All randomness comes from the given generator."""

from __future__ import annotations

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
    stack: np.ndarray, matrix: np.ndarray, size: int, fill: np.ndarray, window: tuple[slice, slice] | None = None
) -> np.ndarray:
    """Channels ``stack (c, y, x)`` seen through ``matrix``: float32 ``(c, size, size)``, bilinear.

    Outside the input each channel has its ``fill (c,)`` value. When the output is much smaller than the input, the
    input is first averaged over squares, so that no pixel is dropped. ``window``: rows and columns of the output that
    are wanted; None is all of it.
    """
    source = torch.from_numpy(np.ascontiguousarray(stack, np.float32))
    fill = torch.as_tensor(fill, dtype=torch.float32)[:, None, None]
    if fill.any():
        source = source - fill
    factor = stack.shape[-1] // (2 * size)
    if factor > 1:
        source = functional.avg_pool2d(source, factor)
    result = functional.grid_sample(source[None], _grid(matrix, size, window), align_corners=False)[0]
    return (result.add_(fill) if fill.any() else result).numpy()


def _grid(matrix: np.ndarray, size: int, window: tuple[slice, slice] | None) -> torch.Tensor:
    """Where the pixels of the output lie in the input, float32 ``(1, y, x, 2)``, as grid_sample wants it."""
    rows, columns = window or (slice(0, size), slice(0, size))
    y, x = ((2 * torch.arange(part.start, part.stop) + 1) / size - 1 for part in (rows, columns))
    grid = torch.empty(len(y), len(x), 2)
    for axis, (along, down, shift) in enumerate(matrix.tolist()):
        torch.add((along * x)[None, :], (down * y + shift)[:, None], out=grid[..., axis])
    return grid[None]


def warp_masks(
    masks: np.ndarray, matrix: np.ndarray, size: int, multiple: int = 1
) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Masks ``(c, y, x)`` (bool) seen through ``matrix``, only where any of them lies.

    Args:
        matrix, size: as for :func:`warp_slice`.
        multiple: the window begins and ends at whole multiples of this (``size`` is one itself).

    Returns:
        How much of each pixel is covered, 0..1, float32 ``(c, h, w)``, and the window ``(rows, columns)`` of the output
        ``(size, size)`` that this is; it is 0 outside. Empty when all masks are.
    """
    any_mask = masks.any(0)
    rows, columns = np.flatnonzero(any_mask.any(1)), np.flatnonzero(any_mask.any(0))
    if not len(rows):
        return np.zeros((len(masks), 0, 0), np.float32), (slice(0, 0), slice(0, 0))
    box = [[columns[0], columns[-1] + 1], [rows[0], rows[-1] + 1]]  # x, y, as in the matrix
    shape = masks.shape[:0:-1]
    crop = np.column_stack([np.eye(2), np.zeros(2)])
    if shape[0] // (2 * size) <= 1:  # else the input is averaged over squares, which the box would move
        masks = masks[:, box[1][0] : box[1][1], box[0][0] : box[0][1]]
        # Coordinates within the box in terms of those of the whole slice.
        for axis, (first, last) in enumerate(box):
            crop[axis, axis] = shape[axis] / (last - first)
            crop[axis, 2] = (shape[axis] - first - last) / (last - first)
    corners = np.array([[x, y] for x in (box[0][0] - 1, box[0][1] + 1) for y in (box[1][0] - 1, box[1][1] + 1)])
    seen = np.linalg.solve(matrix[:, :2], (2 * corners / shape - 1).T - matrix[:, 2:])
    pixels = (seen + 1) * size / 2
    window = []
    for low, high in zip(np.floor(pixels.min(1)) - 1, np.ceil(pixels.max(1)) + 1, strict=True):
        first, last = (int(np.clip(v, 0, size)) for v in (low // multiple * multiple, -(-high // multiple) * multiple))
        window.append(slice(first, max(first, last)))
    window = window[1], window[0]
    within = crop[:, :2] @ matrix
    within[:, 2] += crop[:, 2]
    if window[0].start == window[0].stop or window[1].start == window[1].stop:
        return np.zeros((len(masks), 0, 0), np.float32), (slice(0, 0), slice(0, 0))
    return warp_slice(masks, within, size, np.zeros(len(masks), np.float32), window), window


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
