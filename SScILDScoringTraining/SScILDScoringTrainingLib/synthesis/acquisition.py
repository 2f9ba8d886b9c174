"""Changes of scanner and reconstruction that no score may follow: kernel, noise, offset, streaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from .noise_fields import fine_noise, smooth_noise


@dataclass(frozen=True)
class AcquisitionSettings:
    """Scanner and reconstruction.

    Args:
        blur, sharpen, noise, offset, streaks: shares of the slices in which each happens.
        blur_px: largest standard deviation of the blur, in pixels of a 512-pixel slice.
        sharpen_amount: largest amount of unsharp masking.
        noise_hu: largest standard deviation of added noise.
        offset_hu: largest absolute shift of all HU.
        streaks_hu: largest amplitude of streaks.
    """

    blur: float = 0.25
    blur_px: float = 1.2
    sharpen: float = 0.2
    sharpen_amount: float = 1.2
    noise: float = 0.5
    noise_hu: float = 60.0
    offset: float = 0.5
    offset_hu: float = 50.0
    streaks: float = 0.08
    streaks_hu: float = 120.0


def change_acquisition(
    hu: np.ndarray, spacing_mm: tuple[float, float], rng: np.random.Generator, settings: AcquisitionSettings
) -> np.ndarray:
    """A slice as another scanner or kernel would show it (float32 ``(y, x)``; may change ``hu`` in place)."""
    per_pixel = hu.shape[1] / 512  # pixels of this slice per pixel of a 512-pixel slice
    kernel = rng.random()
    if kernel < settings.blur:
        hu = gaussian_filter(hu, rng.uniform(0.3, 1) * settings.blur_px * per_pixel, truncate=2.5)
    elif kernel < settings.blur + settings.sharpen:
        soft = gaussian_filter(hu, max(1.0 * per_pixel, 0.5), truncate=2.5)
        amount = np.float32(rng.uniform(0.2, 1) * settings.sharpen_amount)
        hu = hu + amount * np.clip(hu - soft, -250, 250)
    if rng.random() < settings.streaks:
        hu = hu + streaks(hu.shape, rng, settings.streaks_hu)
    if rng.random() < settings.noise:
        amplitude = settings.noise_hu * rng.random() ** 1.5
        hu = hu + np.float32(amplitude) * fine_noise(hu.shape, rng, rng.choice([0.0, 0.0, 0.6, 1.0]) * per_pixel)
    if rng.random() < settings.offset:
        hu = hu + np.float32(rng.uniform(-settings.offset_hu, settings.offset_hu))
    return hu


def streaks(shape: tuple[int, int], rng: np.random.Generator, amplitude: float) -> np.ndarray:
    """Streaks from a dense object inside the slice, or horizontal ones from the shoulders; float32 HU."""
    amplitude = np.float32(amplitude * rng.uniform(0.3, 1))
    if rng.random() < 0.5:
        bands = fine_noise((shape[0], 1), rng, 0.0) * np.float32(0.6) + smooth_noise((shape[0], 1), rng, 3.0)
        return amplitude * np.float32(0.4) * bands * (1 + np.float32(0.4) * smooth_noise(shape, rng, shape[1] / 6))
    rows = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(rng.uniform(0.3, 0.6) * shape[0])
    columns = np.arange(shape[1], dtype=np.float32)[None, :] - np.float32(rng.uniform(0.3, 0.7) * shape[1])
    angle = np.arctan2(rows, columns)
    count = int(rng.integers(180, 720))
    profile = rng.standard_normal(count).astype(np.float32)
    profile *= np.float32(rng.uniform(0, 1)) + smooth_noise((count, 1), rng, 12.0)[:, 0] ** 2
    profile /= max(float(profile.std()), 1e-6)
    position = (angle + np.float32(np.pi)) * np.float32(count / (2 * np.pi) * 0.9999)
    index = position.astype(np.int32)
    part = position - index
    value = profile.take(index) * (1 - part) + profile.take((index + 1) % count) * part
    radius = np.sqrt(rows * rows + columns * columns)
    return amplitude * value / (np.float32(1) + radius * np.float32(4 / shape[1]))
