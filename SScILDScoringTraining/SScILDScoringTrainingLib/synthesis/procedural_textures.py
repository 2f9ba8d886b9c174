"""How ground glass and reticulation look: HU fields drawn from noise, with no picture of disease behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise_fields import band_noise, fine_noise, irregular_cells, smooth_noise

SMALLEST_CELL_PX = 4.0  # finer networks cannot be shown on the pixel grid


@dataclass(frozen=True)
class GroundGlassSettings:
    """Ground glass: haze through which vessels stay visible.

    Args:
        hu: range of the mean density of a slice's ground glass.
        contrast: HU that it is denser than the healthy lung beside it, at least.
        faintest: it is never fainter than this density, HU, but for its grain: healthy lung gets as dense as that
            when breathing out.
        fine: HU range of the finest texture's standard deviation.
        lobules: share of slices in which secondary lobules differ in density.
    """

    hu: tuple[float, float] = (-620.0, -360.0)
    contrast: float = 150.0
    faintest: float = -670.0
    fine: tuple[float, float] = (8.0, 30.0)
    lobules: float = 0.3


@dataclass(frozen=True)
class ReticulationSettings:
    """Reticulation: a network of lines.

    Args:
        line_hu: range of the density of a fully expressed line.
        contrast: range of the HU by which such a line exceeds the tissue it crosses, at least.
        width_mm: range of the lines' thickness (full width at half height, before the scanner's blur).
        mesh_mm: range of the mean distance between fine lines.
        septa_mm: range of the diameter of the polygons that thickened septa draw.
        haze: share of slices in which the tissue between the lines is slightly dense too.
        haze_hu: range of that density. It stays below the contrast of ground glass: haze that is as dense is ground
            glass, and has to be counted as such.
        honeycomb: share of slices in which a part of the network becomes cysts with walls.
        dark_cells: share of slices in which the tissue between the lines is darker than healthy lung.
    """

    line_hu: tuple[float, float] = (-430.0, -40.0)
    contrast: tuple[float, float] = (190.0, 300.0)
    width_mm: tuple[float, float] = (0.7, 1.6)
    mesh_mm: tuple[float, float] = (2.0, 5.0)
    septa_mm: tuple[float, float] = (8.0, 18.0)
    haze: float = 0.5
    haze_hu: tuple[float, float] = (15.0, 55.0)
    honeycomb: float = 0.15
    dark_cells: float = 0.2


def ground_glass_hu(
    base_hu: np.ndarray,
    rng: np.random.Generator,
    spacing_mm: tuple[float, float],
    settings: GroundGlassSettings,
    where: np.ndarray | None = None,
) -> np.ndarray:
    """Density of the air-bearing tissue where ground glass is complete.

    Args:
        base_hu: float32 ``(y, x)``, smoothed density of the healthy tissue.
        where: bool ``(y, x)``; elsewhere the texture need not be complete.

    Returns:
        float32 HU ``(y, x)``: slow variation over the slice, clouds of two sizes, a fine grain; lobules that differ
        from their neighbours in some slices.
    """
    shape, mm = base_hu.shape, spacing_mm[0]
    clouds = rng.random()  # some slices are even, some are patchy
    field = smooth_noise(shape, rng, rng.uniform(10, 30) / mm)
    field *= np.float32(rng.uniform(15, 90))
    field += np.float32(15 + 60 * clouds) * smooth_noise(shape, rng, rng.uniform(4, 8) / mm)
    # Kept low: at the scale of a mesh, strong contrast is a network.
    field += np.float32(8 + 24 * clouds * rng.random()) * smooth_noise(shape, rng, rng.uniform(1.3, 3) / mm)
    grain = fine_noise(shape, rng, rng.uniform(0.4, 0.8) / mm)
    grain *= np.float32(rng.uniform(*settings.fine) * min(1.0, 0.8 / mm))
    if rng.random() < settings.lobules:
        wall, cell = _polygons(shape, rng, rng.uniform(9, 20) / mm, 0.12, where)
        amplitude = rng.uniform(30, 110)
        # A lobule's density changes within a pixel or two of its wall, not in a step.
        field += np.float32(amplitude) * (cell - np.float32(0.5)) * np.clip(wall * np.float32(0.7 * mm), 0, 1)
    field += np.float32(rng.uniform(*settings.hu))
    # Ground glass is denser than the healthy lung beside it, also where that is dense (expiration, dependent lung).
    np.maximum(field, base_hu + np.float32(settings.contrast * rng.uniform(0.9, 1.5)), out=field)
    np.maximum(field, np.float32(settings.faintest), out=field)
    field += grain
    return np.minimum(field, np.float32(-150), out=field)


def reticular_lines(
    where: np.ndarray, rng: np.random.Generator, spacing_mm: tuple[float, float], settings: ReticulationSettings
) -> np.ndarray:
    """How much of a pixel is line, 0..1, float32: overlaid networks of different mesh and kind.

    Fine lines within the lobules are walls of small ragged polygons, zero crossings of band-passed noise, or both;
    thickened septa draw larger polygons over them. Thickness varies along each line, and lines break off.

    Args:
        where: bool ``(y, x)``; elsewhere the network need not be complete.
    """
    shape = where.shape
    mm = spacing_mm[0]
    mesh = rng.uniform(*settings.mesh_mm)
    thickness = smooth_noise(shape, rng, rng.uniform(1.5, 4) / mm)
    thickness *= np.float32(0.35)
    np.exp(thickness, out=thickness)
    kind = rng.random()
    lines = filled = np.zeros(shape, np.float32)
    if kind < 0.95:
        size = max(1.5 * mesh / mm, SMALLEST_CELL_PX)
        wall, cell = _polygons(shape, rng, size, rng.uniform(0.03, 0.09), where)
        lines = _profile(wall, thickness * _width_px(rng, settings, size, mm), mm)
        filled = cell**4 * np.float32(rng.uniform(0, 0.5))  # few meshes are filled, most are open
    if kind > 0.72:
        size = max(mesh * rng.uniform(1.0, 2.2) / mm, 1.5 * SMALLEST_CELL_PX)
        crossing = _crossings(shape, rng, size)
        np.maximum(lines, _profile(crossing, thickness * _width_px(rng, settings, size, mm), mm), out=lines)
    # Broken off at the scale of the mesh, paler in places at a larger one.
    broken = smooth_noise(shape, rng, max(0.5 * mesh, 1.4) / mm)
    broken *= np.float32(0.5)
    broken += np.float32(rng.uniform(0.5, 1.0))
    lines *= np.clip(broken, 0, 1, out=broken)
    if rng.random() < 0.6:
        size = rng.uniform(*settings.septa_mm) / mm
        wall, cell = _polygons(shape, rng, size, 0.13, where)
        septa = _profile(wall, thickness * _width_px(rng, settings, size, mm), mm)
        septa *= np.float32(rng.uniform(0.5, 1.0)) * (np.float32(0.25) + np.float32(0.75) * cell)
        np.maximum(lines, septa, out=lines)
    fade = smooth_noise(shape, rng, rng.uniform(4, 12) / mm)
    fade *= np.float32(0.3)
    fade += np.float32(0.8)
    lines *= np.clip(fade, 0.3, 1, out=fade)
    _strengthen(lines, where, rng)
    return np.maximum(lines, filled, out=lines)


def _strengthen(lines: np.ndarray, where: np.ndarray, rng: np.random.Generator) -> None:
    """Makes the strongest twentieth of faint lines plain (in place): a network nobody sees has no score."""
    inside = lines[::2, ::2][where[::2, ::2]]
    if inside.size:
        strong = float(np.quantile(inside, 0.95))
        lines *= np.float32(np.clip(rng.uniform(0.5, 0.9) / max(strong, 1e-3), 1, 2.2) / 0.9)
        # Bends rather than cuts off: tissue is never of one grey, and the scanner's noise shows through.
        np.tanh(lines, out=lines)
        lines *= np.float32(0.9)


def _width_px(rng: np.random.Generator, settings: ReticulationSettings, size_px: float, mm: float) -> np.float32:
    """Width of lines: from the settings, but never so wide that meshes of this size close."""
    return np.float32(min(rng.uniform(*settings.width_mm) / mm, 0.25 * size_px))


def _crossings(shape: tuple[int, int], rng: np.random.Generator, mesh_px: float) -> np.ndarray:
    """Distance in pixels to the zero crossings of band-passed noise, about ``mesh_px`` apart."""
    field = band_noise(shape, rng, 0.55 * mesh_px)
    if mesh_px > 6:  # fine waviness, so that long lines are no smooth curves
        field += np.float32(0.25) * band_noise(shape, rng, 0.2 * mesh_px)
    gradient = _gradient_length(field)
    np.abs(field, out=field)
    field /= gradient + np.float32(0.06 * float(gradient.mean()))
    return field


def _polygons(
    shape: tuple[int, int], rng: np.random.Generator, size_px: float, bend: float, where: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Irregular polygons with walls bent by ``bend`` times their size.

    Args:
        where: bool ``shape``; polygons are found there only (they are the costliest part of a slice).

    Returns:
        Distance to the nearest wall in pixels (far away where not asked for), and a value in [0, 1) per polygon.
    """
    rows = smooth_noise(shape, rng, 0.3 * size_px)
    rows *= np.float32(bend * size_px)
    rows += np.arange(shape[0], dtype=np.float32)[:, None]
    columns = smooth_noise(shape, rng, 0.3 * size_px)
    columns *= np.float32(bend * size_px)
    columns += np.arange(shape[1], dtype=np.float32)[None, :]
    if where is None:
        return irregular_cells(rows, columns, rng, size_px)
    wall = np.full(shape, 1e3, np.float32)
    cell = np.zeros(shape, np.float32)
    index = np.flatnonzero(where)
    if index.size:
        found = irregular_cells(rows.ravel()[index], columns.ravel()[index], rng, size_px)
        wall.ravel()[index], cell.ravel()[index] = found
    return wall, cell


def honeycomb(
    where: np.ndarray, rng: np.random.Generator, spacing_mm: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Cysts of 3.5 to 10 mm with walls: ``(wall 0..1, lumen 0..1)``, float32, complete at the pixels ``where``."""
    shape = where.shape
    mm = spacing_mm[0]
    distance, cell = _polygons(shape, rng, max(rng.uniform(3.5, 10) / mm, SMALLEST_CELL_PX), 0.08, where)
    width = np.full(shape, rng.uniform(0.6, 1.3) / mm, np.float32)
    wall = _profile(distance, width, mm)
    lumen = np.clip(np.float32(0.7) * (distance - np.float32(0.5 / mm)), 0, 1) * (cell > 0.2)
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


def _profile(distance_px: np.ndarray, width_px: np.ndarray, mm: float) -> np.ndarray:
    """Cross-section of lines as the scanner shows them: blurred, and paler where thinner than the blur.

    Args:
        distance_px: distance to the middle of the nearest line.
        width_px: true width of the line there.
    """
    blur = max(0.45 / mm, 0.5)  # standard deviation of scanner and pixel together
    variance = width_px * width_px
    variance *= np.float32(1 / 2.35**2)
    variance += np.float32(blur * blur)
    result = distance_px * distance_px
    result /= variance
    result *= np.float32(-0.5)
    np.exp(result, out=result)
    np.sqrt(variance, out=variance)
    result *= np.minimum(np.float32(0.54) * width_px / variance, 1)
    return result
