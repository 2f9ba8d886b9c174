"""Growing a texture without period from a small patch, by blending randomly placed and turned copies of it.

After Heitz and Neyret ("High-performance by-example noise using a histogram-preserving blending operator", 2018):
the patch's values are first made normally distributed, copies are blended with weights whose squares sum to 1, so
that contrast stays the same everywhere, and the result is given the patch's own distribution of values again.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage, special


class GrowingTexture:
    """A patch prepared for growing: values made normal, and the way back.

    Args:
        patch: HU ``(y, x)``, at least 16x16, entirely of one pattern.
        sharpness: exponent of the blending weights; high values keep lines whole and make narrow transitions.
    """

    def __init__(self, patch: np.ndarray, sharpness: float = 3.0) -> None:
        patch = np.asarray(patch, np.float32)
        # A slope across the patch is anatomy, not texture, and would show as cells.
        patch = patch - _plane(patch) + patch.mean()
        order = np.argsort(patch, axis=None, kind="stable")
        levels = special.ndtri((np.arange(patch.size) + 0.5) / patch.size)
        normal = np.empty(patch.size, np.float32)
        normal[order] = levels
        self._values = patch.ravel()[order]
        self._levels = levels.astype(np.float32)
        self._sharpness = float(sharpness)
        normal = normal.reshape(patch.shape)
        # Mirrored once, so that a turned copy may reach over the border.
        self._source = np.block([[normal, normal[:, ::-1]], [normal[::-1], normal[::-1, ::-1]]])
        self._cell = 0.7 * min(patch.shape)

    def grow(self, shape: tuple[int, int], rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
        """A texture of ``shape``, float32 HU, its structures ``scale`` times as large as the patch's."""
        rows = np.arange(shape[0], dtype=np.float32)[:, None] / np.float32(scale)
        columns = np.arange(shape[1], dtype=np.float32)[None, :] / np.float32(scale)
        angle = rng.uniform(0, np.pi)
        first = rows * np.float32(np.cos(angle)) + columns * np.float32(np.sin(angle))
        second = columns * np.float32(np.cos(angle)) - rows * np.float32(np.sin(angle))
        corners = _triangle_grid(first, second, np.float32(1 / self._cell))
        low_first = min(int(c[0].min()) for c in corners)
        low_second = min(int(c[1].min()) for c in corners)
        width = max(int(c[1].max()) for c in corners) - low_second + 1
        count = (max(int(c[0].max()) for c in corners) - low_first + 1) * width
        copies = self._copies(count, rng)
        total = np.zeros(shape, np.float32)
        power = np.zeros(shape, np.float32)
        for node_first, node_second, weight in corners:
            index = (node_first - low_first) * width + (node_second - low_second)
            weight **= np.float32(self._sharpness)
            total += weight * self._read(first, second, copies, index)
            power += weight * weight
        total /= np.sqrt(power)
        return np.interp(total, self._levels, self._values).astype(np.float32)

    def _copies(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """How the patch lies around each node: cosine and sine of its turn, mirrored or not, and its offset."""
        turn = rng.uniform(0, 2 * np.pi, count)
        height, length = self._source.shape
        mirror = rng.choice([-1.0, 1.0], count)
        offset = rng.uniform(0, height, count), rng.uniform(0, length, count)
        return np.stack([np.cos(turn), np.sin(turn), mirror, *offset]).astype(np.float32)

    def _read(self, first: np.ndarray, second: np.ndarray, copies: np.ndarray, index: np.ndarray) -> np.ndarray:
        """The normalised patch at every pixel, placed as the copy of the pixel's node lies."""
        cosine, sine, mirror, down, right = (row.take(index) for row in copies)
        y = first * cosine
        y += second * sine
        y *= mirror
        y += down
        x = second * cosine
        x -= first * sine
        x += right
        return ndimage.map_coordinates(self._source, (y, x), order=1, mode="grid-wrap")


def _triangle_grid(first: np.ndarray, second: np.ndarray, frequency: np.float32):
    """The three corners of each pixel's triangle (integer coordinates) and its three weights, which sum to 1."""
    u = (first - second * np.float32(0.57735027)) * frequency
    v = second * (np.float32(1.15470054) * frequency)
    base_u, base_v = np.floor(u), np.floor(v)
    u -= base_u
    v -= base_v
    base_u, base_v = base_u.astype(np.int32), base_v.astype(np.int32)
    upper = u + v > 1
    flip = upper.astype(np.int32)
    return (
        (base_u + flip, base_v + flip, np.abs(1 - u - v)),
        (base_u, base_v + 1, np.where(upper, 1 - u, v)),
        (base_u + 1, base_v, np.where(upper, 1 - v, u)),
    )


@lru_cache(maxsize=8)
def _terms(shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.stack([np.ones(rows.size), rows.ravel(), columns.ravel()], axis=1)


def _plane(patch: np.ndarray) -> np.ndarray:
    terms = _terms(patch.shape)
    solution, *_ = np.linalg.lstsq(terms, patch.ravel(), rcond=None)
    return (terms @ solution).reshape(patch.shape).astype(np.float32)
