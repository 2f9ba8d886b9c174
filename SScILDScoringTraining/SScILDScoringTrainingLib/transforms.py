"""Augmentation of slices: geometry first, then intensity. All randomness comes from the given generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional


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


def warp_slice(stack: np.ndarray, matrix: np.ndarray, size: int, fill: np.ndarray) -> np.ndarray:
    """Channels ``stack (c, y, x)`` seen through ``matrix``: float32 ``(c, size, size)``, bilinear.

    Outside the input each channel has its ``fill (c,)`` value. When the output is much smaller than the input, the
    input is first averaged over squares, so that no pixel is dropped.
    """
    source = torch.from_numpy(np.ascontiguousarray(stack, np.float32))
    fill = torch.as_tensor(fill, dtype=torch.float32)[:, None, None]
    source = (source - fill)[None]
    factor = stack.shape[-1] // (2 * size)
    if factor > 1:
        source = functional.avg_pool2d(source, factor)
    theta = torch.from_numpy(matrix.astype(np.float32))[None]
    grid = functional.affine_grid(theta, (1, len(stack), size, size), align_corners=False)
    return (functional.grid_sample(source, grid, align_corners=False)[0] + fill).numpy()


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
    radius = max(int(3 * sigma + 0.5), 1)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(
        torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None], (radius,) * 4, "replicate"
    )
    padded = functional.conv2d(padded, kernel[None, None, :, None])
    return functional.conv2d(padded, kernel[None, None, None, :])[0, 0].numpy()
