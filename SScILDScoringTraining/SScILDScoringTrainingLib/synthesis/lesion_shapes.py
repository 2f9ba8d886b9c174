"""Where disease lies in a slice: soft regions of a wanted area, from ellipses or from thresholded noise.

A region is made in two steps: a *preference* (any real number a pixel, larger where disease is likelier) and
:func:`soft_region`, which takes the best part of the lung up to the wanted area and gives it a soft edge.
"""

from __future__ import annotations

import numpy as np

from .backgrounds import LungAnatomy
from .noise_fields import irregular_cells, smooth_noise


def ellipse_field(
    shape: tuple[int, int], centre: tuple[float, float], axes: tuple[float, float], angle: float
) -> np.ndarray:
    """1 minus the normalised radius of an ellipse: 1 in the centre, 0 on the outline, negative outside.

    Args:
        shape: rows and columns.
        centre: row and column in pixels.
        axes: the two full axis lengths in pixels.
        angle: radians by which the first axis is turned from the row direction.
    """
    rows = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(centre[0])
    columns = np.arange(shape[1], dtype=np.float32)[None, :] - np.float32(centre[1])
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    first = (rows * cosine + columns * sine) * np.float32(2 / axes[0])
    second = (columns * cosine - rows * sine) * np.float32(2 / axes[1])
    return 1 - np.sqrt(first * first + second * second)


def ellipse_preference(
    anatomy: LungAnatomy, rng: np.random.Generator, spacing_mm: tuple[float, float], place: np.ndarray
) -> np.ndarray:
    """One to five ellipses with wavy outlines whose centres favour large ``place`` values (float, non-negative)."""
    shape = anatomy.lung.shape
    candidates = np.flatnonzero(anatomy.lung)
    weight = np.cumsum(place.ravel()[candidates], dtype=np.float64)
    field = None
    for _ in range(int(rng.integers(1, 6))):
        pick = candidates[min(np.searchsorted(weight, rng.random() * weight[-1]), len(candidates) - 1)]
        centre = divmod(int(pick), shape[1])
        long_mm = float(np.exp(rng.uniform(np.log(8), np.log(120))))
        axes = (long_mm / spacing_mm[0], long_mm * float(rng.uniform(0.3, 1.0)) / spacing_mm[0])
        one = ellipse_field(shape, centre, axes, float(rng.uniform(0, np.pi)))
        field = one if field is None else np.maximum(field, one, out=field)
    waves = smooth_noise(shape, rng, rng.uniform(4, 14) / spacing_mm[0])
    return field + np.float32(rng.uniform(0.08, 0.35)) * waves


def noise_preference(
    anatomy: LungAnatomy,
    rng: np.random.Generator,
    spacing_mm: tuple[float, float],
    subpleural: float,
    posterior: float,
    ragged: float,
) -> np.ndarray:
    """Smooth noise, pulled towards the pleura and the back.

    Args:
        subpleural: weight of the distance to the pleura; 0 is diffuse, 2 a rim.
        posterior: weight of the position from front (0) to back (1).
        ragged: weight of small structures in the outline.
    """
    shape = anatomy.lung.shape
    field = smooth_noise(shape, rng, rng.uniform(10, 40) / spacing_mm[0])
    if ragged > 0:
        field += np.float32(ragged) * smooth_noise(shape, rng, rng.uniform(3, 8) / spacing_mm[0])
    if subpleural:
        depth = anatomy.costal_mm if rng.random() < 0.7 else anatomy.pleural_mm
        reach = rng.uniform(10, 35)
        field += np.float32(2.2 * subpleural) * np.exp(depth.astype(np.float32) * np.float32(-1 / reach))
    if posterior:
        field += np.float32(2.0 * posterior) * anatomy.posterior
    return field


def lobular(
    field: np.ndarray, rng: np.random.Generator, spacing_mm: tuple[float, float], strength: float
) -> np.ndarray:
    """The preference with borders along polygons of 10 to 22 mm, as where secondary lobules are spared or filled."""
    shape = field.shape
    rows = np.arange(shape[0], dtype=np.float32)[:, None] + 3 / spacing_mm[0] * smooth_noise(
        shape, rng, 6 / spacing_mm[0]
    )
    columns = np.arange(shape[1], dtype=np.float32)[None, :] + 3 / spacing_mm[0] * smooth_noise(
        shape, rng, 6 / spacing_mm[0]
    )
    _, cell = irregular_cells(rows, columns, rng, rng.uniform(10, 22) / spacing_mm[0])
    return field + np.float32(strength) * (cell - np.float32(0.5))


def soft_region(
    field: np.ndarray, lung: np.ndarray, area: float, edge_px: float, rim: np.ndarray | None = None
) -> np.ndarray:
    """The part of the lung where ``field`` is largest, as an opacity with a soft edge.

    Args:
        field: preference ``(y, x)``.
        lung: bool ``(y, x)``.
        area: wanted part of the lung area, 0..1; opacity is above 0.5 in exactly that part (to one pixel, or more
            where many pixels have equal preference).
        edge_px: width in pixels over which the opacity falls from 1 to 0.
        rim: bool ``(y, x)``, the lung and what may be painted beside it; None is the lung alone.

    Returns:
        float32 in 0..1, zero outside ``rim``.
    """
    rim = lung if rim is None else rim
    inside = field[lung]
    wanted = round(area * inside.size)
    if wanted <= 0 or inside.size == 0:
        return np.zeros(field.shape, np.float32)
    if wanted >= inside.size:
        return rim.astype(np.float32)
    cut = np.partition(inside, inside.size - wanted - 1)[inside.size - wanted - 1]
    return _soft_edged(field > cut, rim, edge_px)


def _soft_edged(chosen: np.ndarray, rim: np.ndarray, edge_px: float) -> np.ndarray:
    """Opacity of a region, float32: 0.5 on its border, falling from 1 to 0 over ``edge_px`` pixels across it.

    The edge follows the distance to the border and not the preference: where that is flat, an edge along its values
    would be a wide veil that is seen and not counted. The pleura is no border: disease reaches it undiminished.
    """
    chosen, spared = chosen & rim, rim & ~chosen
    if not spared.any():
        return rim.astype(np.float32)
    # Distances run from pixel centre to pixel centre; the border lies halfway. Farther from it than this all is 0 or 1.
    edge_px = max(edge_px, 1.0)
    reach = int(np.ceil(0.5 * edge_px + 0.5))
    depth = np.where(chosen, distance_within(spared, reach), 1 - distance_within(chosen, reach))
    depth *= np.float32(1 / edge_px)
    depth += np.float32(0.5 - 0.5 / edge_px)
    np.clip(depth, 0, 1, out=depth)
    depth *= rim
    return depth


def distance_within(target: np.ndarray, reach: int) -> np.ndarray:
    """Distance in pixels to the nearest pixel of ``target`` (bool ``(y, x)``), exact up to ``reach``; float32.

    Farther away the value is any number above ``reach``. Ten times faster than a complete distance transform.
    """
    squared = np.where(target, np.uint32(0), np.uint32(4 * (reach + 1) ** 2))
    if reach <= 100:
        squared = squared.astype(np.uint16)
    for _ in range(2):  # down the columns, then along the rows
        near = np.pad(squared, ((reach, reach), (0, 0)), constant_values=4 * (reach + 1) ** 2)
        count = len(squared)
        for step in range(1, reach + 1):
            beside = np.minimum(near[reach - step : reach - step + count], near[reach + step : reach + step + count])
            beside += squared.dtype.type(step * step)
            np.minimum(squared, beside, out=squared)
        squared = np.ascontiguousarray(squared.T)
    return np.sqrt(squared, dtype=np.float32)
