"""Random fields that disease is drawn with: smooth noise, band-passed noise, and irregular cells.

All fields are drawn on a coarse grid and interpolated with cubic B-splines, so that their cost hardly depends on
their scale. Lengths are pixels here; whoever calls converts from millimetres.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from ..smoothing import smooth, weighted_rows


def _stretched(nodes: np.ndarray, size: int, step: float, offset: float) -> np.ndarray:
    """Cubic B-spline interpolation along the first axis: ``size`` rows, ``step`` to a node, row 0 ``1 + offset`` in."""
    position = np.arange(size) / step + (1.0 + offset)
    first = position.astype(np.intp)
    part = position - first
    taps = np.stack(
        [
            (1 - part) ** 3 / 6,
            2 / 3 - part**2 + part**3 / 2,
            2 / 3 - (1 - part) ** 2 + (1 - part) ** 3 / 2,
            part**3 / 6,
        ],
        axis=1,
    )
    # Unit-variance nodes stay unit variance after interpolation, wherever the pixel lies between the nodes.
    taps /= np.sqrt((taps**2).sum(axis=1, keepdims=True))
    return weighted_rows(first[:, None] + np.arange(-1, 3), taps, nodes)


def white_noise(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Independent normal numbers of mean 0 and standard deviation 1, float32."""
    if shape[0] * shape[1] < 5000:
        return rng.standard_normal(shape, dtype=np.float32)
    # PyTorch draws many normal numbers three times as fast; its seed comes from the sample's generator.
    drawn = torch.Generator().manual_seed(int(rng.integers(2**63)))
    return torch.empty(shape).normal_(generator=drawn).numpy()


def _interpolate(nodes: np.ndarray, shape: tuple[int, int], step: float, rng: np.random.Generator) -> np.ndarray:
    across = _stretched(np.ascontiguousarray(nodes.T), shape[1], step, rng.random())
    return _stretched(np.ascontiguousarray(across.T), shape[0], step, rng.random())


def _nodes(shape: tuple[int, int], step: float, rng: np.random.Generator, margin: int = 0) -> np.ndarray:
    size = tuple(int(np.ceil(s / step)) + 5 + 2 * margin for s in shape)
    return white_noise(size, rng)


def smooth_noise(shape: tuple[int, int], rng: np.random.Generator, scale_px: float) -> np.ndarray:
    """Gaussian noise of mean 0 and standard deviation 1 that is smooth over about ``scale_px`` pixels.

    Args:
        shape: rows and columns of the field.
        scale_px: distance of the independent nodes in pixels; structures are about twice as wide; below 1 it
            is white noise.

    Returns:
        float32 ``shape``. Correlation falls to zero at four times the scale, so nothing ever repeats.
    """
    if scale_px < 1:
        return white_noise(shape, rng)
    return _interpolate(_nodes(shape, scale_px, rng), shape, scale_px, rng)


def band_noise(shape: tuple[int, int], rng: np.random.Generator, scale_px: float) -> np.ndarray:
    """Noise without its slow part, standard deviation about 1: blobs of about twice ``scale_px``.

    Its zero crossings are curves that keep a distance of about twice ``scale_px`` from each other.
    """
    step = max(scale_px, 1.0)
    nodes = _nodes(shape, step, rng, margin=2)
    nodes -= gaussian_filter(nodes, 1.4, mode="reflect")
    return _interpolate(np.ascontiguousarray(nodes[2:-2, 2:-2]), shape, step, rng)


def fine_noise(shape: tuple[int, int], rng: np.random.Generator, sigma_px: float) -> np.ndarray:
    """White noise blurred by a Gaussian of ``sigma_px``, scaled back to standard deviation 1."""
    noise = white_noise(shape, rng)
    if sigma_px < 0.3:
        return noise
    noise = smooth(noise, sigma_px, truncate=2.5, mode="reflect")
    noise *= np.float32(1 / max(float(noise.std()), 1e-6))
    return noise


def irregular_cells(
    rows: np.ndarray, columns: np.ndarray, rng: np.random.Generator, cell_px: float, jitter: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """Irregular polygons around random points, evaluated at the given positions.

    Args:
        rows, columns: float32 positions in pixels, any equal shapes (they may be warped beforehand).
        cell_px: mean diameter of a cell in pixels.
        jitter: 0 gives squares, 1 points anywhere in their square.

    Returns:
        ``(wall, cell)``: distance in pixels to the nearest wall (approximately: half the difference of the
        distances to the two nearest points), float32; and a random number in [0, 1) that is constant in a cell.
    """
    row = rows * np.float32(1 / cell_px)
    column = columns * np.float32(1 / cell_px)
    row -= row.min() - 1.5
    column -= column.min() - 1.5
    size = int(row.max()) + 3, int(column.max()) + 3
    spread = (1 - jitter) / 2
    point_row = np.arange(size[0])[:, None] + spread + jitter * rng.random(size)
    point_column = np.arange(size[1])[None, :] + spread + jitter * rng.random(size)
    points = point_row.astype(np.float32).ravel(), point_column.astype(np.float32).ravel()
    value = rng.random(size, dtype=np.float32).ravel()
    wall, cell = np.empty(row.shape, np.float32), np.empty(row.shape, np.float32)
    positions = row.ravel(), column.ravel()
    for first in range(0, row.size, _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        second, nearest, owner = _two_nearest(*(p[part] for p in positions), *points, size[1])
        second -= nearest
        np.multiply(second, np.float32(0.5 * cell_px), out=wall.ravel()[part])
        value.take(owner, out=cell.ravel()[part], mode="clip")
    return wall, cell


_AT_ONCE = 16384
"""Positions whose cells are looked for at once: as many as the processor's cache holds with all that is known of them.
"""


def _two_nearest(
    row: np.ndarray, column: np.ndarray, point_row: np.ndarray, point_column: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances to the second nearest and the nearest point, and the number of the nearest; all 1D.

    Points lie one in each unit square, ``width`` squares in a row of them; positions keep away from the outermost.
    """
    home = row.astype(np.intp)
    home *= width
    home += column.astype(np.intp)
    around = np.array([down * width + right for down in (-1, 0, 1) for right in (-1, 0, 1)], np.intp)
    nearest = np.full(row.shape, np.inf, np.float32)
    second = nearest.copy()
    distance, other = np.empty_like(nearest), np.empty_like(nearest)
    candidate = np.empty_like(home)
    for n, step in enumerate(around):
        np.add(home, step, out=candidate)
        # All candidates exist; "clip" only saves a test of each.
        point_row.take(candidate, out=distance, mode="clip")
        distance -= row
        distance *= distance
        point_column.take(candidate, out=other, mode="clip")
        other -= column
        other *= other
        distance += other
        # The squared distance carries its point's number in its lowest bits: then minima are all that is needed.
        bits = distance.view(np.int32)
        bits &= np.int32(~15)
        bits |= np.int32(n)
        np.maximum(nearest, distance, out=other)
        np.minimum(second, other, out=second)
        np.minimum(nearest, distance, out=nearest)
    owner = home + around.take(nearest.view(np.int32) & 15)
    return np.sqrt(second, out=second), np.sqrt(nearest, out=nearest), owner
