"""Changes of scanner and reconstruction that no score may follow: motion, kernel, noise, offset, streaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from ..smoothing import smooth
from .noise_fields import fine_noise, smooth_noise


@dataclass(frozen=True)
class AcquisitionSettings:
    """Scanner and reconstruction.

    Args:
        motion, blur, sharpen, noise, offset, streaks: shares of the slices in which each happens.
        motion_mm: range of the largest displacement of a beating heart or of breathing; the borders and vessels
            there become double and hazy, as they do in slices thicker than the structures they cut.
        blur_px: largest standard deviation of the blur, in pixels of a 512-pixel slice.
        sharpen_amount: largest amount of unsharp masking.
        noise_hu: largest standard deviation of added noise.
        offset_hu: largest absolute shift of all HU.
        streaks_hu: largest amplitude of streaks.
    """

    motion: float = 0.3
    motion_mm: tuple[float, float] = (2.0, 9.0)
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
    """A slice as another scanner or kernel would show it (float32 ``(y, x)``, contiguous; may be changed in place)."""
    per_pixel = hu.shape[1] / 512  # pixels of this slice per pixel of a 512-pixel slice
    if rng.random() < settings.motion:
        hu = moved(hu, spacing_mm, rng, rng.uniform(*settings.motion_mm))
    kernel = rng.random()
    if kernel < settings.blur:
        hu = smooth(hu, rng.uniform(0.3, 1) * settings.blur_px * per_pixel, truncate=2.5, mode="reflect")
    elif kernel < settings.blur + settings.sharpen:
        soft = smooth(hu, max(1.0 * per_pixel, 0.5), truncate=2.5, mode="reflect")
        amount = np.float32(rng.uniform(0.2, 1) * settings.sharpen_amount)
        np.subtract(hu, soft, out=soft)
        np.clip(soft, -250, 250, out=soft)
        soft *= amount
        hu += soft
    if rng.random() < settings.streaks:
        hu += streaks(hu.shape, rng, settings.streaks_hu)
    if rng.random() < settings.noise:
        amplitude = settings.noise_hu * rng.random() ** 1.5
        noise = fine_noise(hu.shape, rng, rng.choice([0.0, 0.0, 0.6, 1.0]) * per_pixel)
        noise *= np.float32(amplitude)
        hu += noise
    if rng.random() < settings.offset:
        hu += np.float32(rng.uniform(-settings.offset_hu, settings.offset_hu))
    return hu


def moved(hu: np.ndarray, spacing_mm: tuple[float, float], rng: np.random.Generator, amplitude_mm: float) -> np.ndarray:
    """The mean of what the scanner saw while a region moved back and forth; ``hu`` (float32 ``(y, x)``) is changed.

    The region has a radius of 30 to 90 mm and lies anywhere in the middle half of the slice; outside it nothing moves.
    """
    mm = spacing_mm[0]
    radius = rng.uniform(30, 90) / mm
    rows, columns = (np.arange(n, dtype=np.float32) - n * rng.uniform(0.25, 0.75) for n in hu.shape)
    weight = np.exp(np.float32(-0.5 / radius**2) * (rows[:, None] ** 2 + columns[None, :] ** 2))
    top, bottom, left, right = _reach(weight > 0.05)
    weight = weight[top:bottom, left:right]
    angle = rng.uniform(0, 2 * np.pi) + np.float32(0.5) * smooth_noise(weight.shape, rng, 0.5 * radius)
    weight = weight * np.float32(amplitude_mm / mm)
    rows, columns = (part.astype(np.float32) for part in np.ogrid[top:bottom, left:right])
    # Whence each pixel is moved, as grid_sample wants it: x and y, -1 and 1 in the middle of the outermost pixels.
    whence = np.empty((*weight.shape, 2), np.float32)
    source, other = torch.from_numpy(hu)[None, None], np.zeros(weight.shape, np.float32)
    places = int(rng.integers(1, 4))  # one leaves double borders, several make them hazy
    for place in range(1, places + 1):
        way = weight * np.float32(place / places)
        whence[..., 0] = (columns + way * np.cos(angle)) * np.float32(2 / max(hu.shape[1] - 1, 1)) - 1
        whence[..., 1] = (rows + way * np.sin(angle)) * np.float32(2 / max(hu.shape[0] - 1, 1)) - 1
        there = torch.from_numpy(whence)[None]
        other += functional.grid_sample(source, there, padding_mode="border", align_corners=True)[0, 0].numpy()
    other *= np.float32(1 / places)
    region = hu[top:bottom, left:right]
    other -= region
    other *= np.float32(rng.uniform(0.3, 0.6) if places == 1 else rng.uniform(0.5, 0.8))
    region += other
    return hu


def _reach(mask: np.ndarray) -> tuple[int, int, int, int]:
    """First and last row and column (exclusive) of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


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
