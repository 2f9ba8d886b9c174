"""How ground glass and reticulation look: HU fields drawn from noise, with no picture of disease behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise_fields import band_noise, fine_noise, irregular_cells, smooth_noise


@dataclass(frozen=True)
class GroundGlassSettings:
    """Ground glass: haze through which vessels stay visible.

    Args:
        hu: range of the mean density of a slice's ground glass.
        contrast: HU that it is denser than the healthy lung beside it, at least.
        fine: HU range of the finest texture's standard deviation.
    """

    hu: tuple[float, float] = (-680.0, -400.0)
    contrast: float = 110.0
    fine: tuple[float, float] = (10.0, 40.0)


@dataclass(frozen=True)
class ReticulationSettings:
    """Reticulation: a network of lines.

    Args:
        line_hu: range of the density of a fully expressed line.
        width_mm: range of the lines' thickness (full width at half height, before the scanner's blur).
        mesh_mm: range of the mean distance between fine lines.
        septa_mm: range of the diameter of the polygons that thickened septa draw.
        haze: share of slices in which the tissue between the lines is slightly dense too.
        honeycomb: share of slices in which a part of the network becomes cysts with walls.
        dark_cells: share of slices in which the tissue between the lines is darker than healthy lung.
    """

    line_hu: tuple[float, float] = (-420.0, -20.0)
    width_mm: tuple[float, float] = (0.6, 1.5)
    mesh_mm: tuple[float, float] = (2.2, 6.0)
    septa_mm: tuple[float, float] = (8.0, 18.0)
    haze: float = 0.5
    honeycomb: float = 0.15
    dark_cells: float = 0.2


def ground_glass_hu(
    base_hu: np.ndarray, rng: np.random.Generator, spacing_mm: tuple[float, float], settings: GroundGlassSettings
) -> np.ndarray:
    """Density of the air-bearing tissue where ground glass is complete.

    Args:
        base_hu: float32 ``(y, x)``, smoothed density of the healthy tissue.

    Returns:
        float32 HU ``(y, x)``: slow variation over the slice, a cloudy middle scale, a fine grain.
    """
    shape, mm = base_hu.shape, spacing_mm[0]
    level = rng.uniform(*settings.hu)
    field = smooth_noise(shape, rng, rng.uniform(10, 30) / mm)
    field *= np.float32(rng.uniform(15, 60))
    field += np.float32(rng.uniform(10, 45)) * smooth_noise(shape, rng, rng.uniform(2.5, 6) / mm)
    grain = fine_noise(shape, rng, rng.uniform(0.5, 1.1) / mm)
    field += np.float32(rng.uniform(*settings.fine) * min(1.0, 0.8 / mm)) * grain
    field += np.float32(level)
    # Ground glass is denser than the healthy lung beside it, also where that is dense (expiration, dependent lung).
    return np.maximum(field, base_hu + np.float32(settings.contrast * rng.uniform(0.9, 1.5)))


def reticular_lines(
    shape: tuple[int, int], rng: np.random.Generator, spacing_mm: tuple[float, float], settings: ReticulationSettings
) -> np.ndarray:
    """How much of a pixel is line, 0..1, float32: two or three overlaid networks of different mesh and kind."""
    mm = spacing_mm[0]
    mesh = rng.uniform(*settings.mesh_mm)
    lines = _crossings(shape, rng, mm, mesh, rng.uniform(*settings.width_mm), rng.uniform(0.6, 1.0))
    if rng.random() < 0.7:
        second = _crossings(
            shape, rng, mm, mesh * rng.uniform(1.2, 2.2), rng.uniform(*settings.width_mm), rng.uniform(0.5, 1.0)
        )
        np.maximum(lines, second, out=lines)
    if rng.random() < 0.7:
        np.maximum(lines, _septa(shape, rng, mm, settings), out=lines)
    # Lines fade in places, and never all at once.
    fade = np.float32(0.75) + np.float32(0.3) * smooth_noise(shape, rng, rng.uniform(4, 12) / mm)
    lines *= np.clip(fade, 0.25, 1, out=fade)
    return lines


def _crossings(
    shape: tuple[int, int], rng: np.random.Generator, mm: float, mesh_mm: float, width_mm: float, strength: float
) -> np.ndarray:
    """Zero crossings of band-passed noise, drawn as lines of even thickness that come and go."""
    field = band_noise(shape, rng, 0.55 * mesh_mm / mm)
    if mesh_mm > 4:  # fine waviness, so that long lines are not smooth curves
        field += np.float32(0.22) * band_noise(shape, rng, 0.22 * mesh_mm / mm)
    gradient = _gradient_length(field)
    np.abs(field, out=field)
    field /= gradient + np.float32(0.06 * float(gradient.mean()))
    return _profile(field, width_mm / mm, mm) * np.float32(strength)


def _septa(shape: tuple[int, int], rng: np.random.Generator, mm: float, settings: ReticulationSettings) -> np.ndarray:
    """Thickened interlobular septa: walls of irregular polygons, each wall more or less expressed."""
    size = rng.uniform(*settings.septa_mm) / mm
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    columns = np.arange(shape[1], dtype=np.float32)[None, :]
    bend = np.float32(0.12 * size)
    wall, cell = irregular_cells(
        rows + bend * smooth_noise(shape, rng, 0.3 * size),
        columns + bend * smooth_noise(shape, rng, 0.3 * size),
        rng,
        size,
    )
    strength = np.float32(rng.uniform(0.5, 1.0)) * (np.float32(0.35) + np.float32(0.65) * cell)
    return _profile(wall, rng.uniform(*settings.width_mm) / mm, mm) * strength


def honeycomb(
    shape: tuple[int, int], rng: np.random.Generator, spacing_mm: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Cysts of 3 to 9 mm with walls: ``(wall 0..1, lumen 0..1)``, float32."""
    mm = spacing_mm[0]
    size = rng.uniform(3, 9) / mm
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    columns = np.arange(shape[1], dtype=np.float32)[None, :]
    bend = np.float32(0.15 * size)
    distance, cell = irregular_cells(
        rows + bend * smooth_noise(shape, rng, 0.5 * size),
        columns + bend * smooth_noise(shape, rng, 0.5 * size),
        rng,
        size,
        jitter=0.7,
    )
    wall = _profile(distance, rng.uniform(0.9, 1.8) / mm, mm)
    lumen = np.clip(distance - np.float32(0.7 / mm), 0, 1) * (cell > 0.2)
    return wall, lumen


def _gradient_length(field: np.ndarray) -> np.ndarray:
    vertical = np.empty_like(field)
    horizontal = np.empty_like(field)
    np.subtract(field[2:], field[:-2], out=vertical[1:-1])
    vertical[0], vertical[-1] = vertical[1], vertical[-2]
    np.subtract(field[:, 2:], field[:, :-2], out=horizontal[:, 1:-1])
    horizontal[:, 0], horizontal[:, -1] = horizontal[:, 1], horizontal[:, -2]
    vertical *= vertical
    horizontal *= horizontal
    vertical += horizontal
    np.sqrt(vertical, out=vertical)
    vertical *= np.float32(0.5)
    return vertical


def _profile(distance_px: np.ndarray, width_px: float, mm: float) -> np.ndarray:
    """Cross-section of a line as the scanner shows it: blurred, and paler when it is thinner than the blur."""
    blur = max(0.45 / mm, 0.5)  # standard deviation of scanner and pixel together
    sigma = np.hypot(width_px / 2.35, blur)
    height = min(1.0, 1.35 * width_px / (2.5 * sigma))
    result = distance_px * np.float32(1 / sigma)
    result *= result
    result *= np.float32(-0.5)
    np.exp(result, out=result)
    result *= np.float32(height)
    return result
