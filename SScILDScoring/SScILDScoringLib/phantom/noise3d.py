"""Random fields in patient millimetres: the same at every sampling. Periodic blocks, made once per process."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .grid import rotation

BLOCK = 64


@lru_cache(maxsize=4)
def band_block(low: float = 5.0, high: float = 10.0) -> np.ndarray:
    """Periodic noise ``(64, 64, 64)`` with wavelengths between ``low`` and ``high`` lattice steps, SD 1, float32."""
    rng = np.random.default_rng([1, int(low * 10), int(high * 10)])
    white = np.fft.rfftn(rng.standard_normal((BLOCK,) * 3, dtype=np.float32))
    f = np.fft.fftfreq(BLOCK)
    radius = np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + np.fft.rfftfreq(BLOCK)[None, None, :] ** 2)
    gain = np.exp(-((radius * low) ** 2)) - np.exp(-((radius * high) ** 2))
    block = np.fft.irfftn(white * gain, (BLOCK,) * 3, (0, 1, 2)).astype(np.float32)
    block /= block.std()
    block.flags.writeable = False
    return block


@lru_cache(maxsize=2)
def cell_block(cell: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Periodic foam: ``(wall, hue)``, each ``(64, 64, 64)`` float32.

    ``wall`` is the distance to the nearest wall between two cells, in units of the mean cell size; ``hue`` is
    a random number of the cell, 0..1. Cells are the Voronoi cells of one jittered point per ``cell`` lattice steps.
    """
    n = BLOCK // cell
    rng = np.random.default_rng([2, cell])
    seeds = (rng.uniform(0.08, 0.92, (n, n, n, 3))).astype(np.float32)
    hues = rng.uniform(0, 1, (n, n, n)).astype(np.float32)
    at = (np.arange(BLOCK, dtype=np.float32) + 0.5) / cell
    home = at.astype(int)
    shapes = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))
    nearest = np.full((BLOCK,) * 3, 9, np.float32)
    hue = np.zeros_like(nearest)
    home_seed = [np.zeros_like(nearest) for _ in range(3)]
    wall = nearest.copy()
    for looking_for_walls in (False, True):
        for step in np.ndindex(3, 3, 3):
            cells = [home + s - 1 for s in step]
            wrapped = np.ix_(*(c % n for c in cells))
            seed = [seeds[..., a][wrapped] + c.reshape(s) for a, (c, s) in enumerate(zip(cells, shapes, strict=True))]
            square = sum((seed[a] - at.reshape(shapes[a])) ** 2 for a in range(3))
            if looking_for_walls:
                # Distance to the plane halfway between this point and the nearest one.
                apart = np.sqrt(sum((seed[a] - home_seed[a]) ** 2 for a in range(3)))
                other = apart > 1e-3
                plane = (square - nearest) / (2 * np.where(other, apart, 1))
                wall = np.where(other, np.minimum(wall, plane), wall)
            else:
                closer = square < nearest
                hue = np.where(closer, hues[wrapped], hue)
                home_seed = [np.where(closer, seed[a], home_seed[a]) for a in range(3)]
                nearest = np.minimum(nearest, square)
    for block in (wall, hue):
        block.flags.writeable = False
    return wall, hue


class Placement:
    """How a periodic block lies in the patient: turned and shifted at random, ``step_mm`` between lattice points.

    The turn keeps the block's period from lining up with the slices, so that repetition is not seen.
    """

    def __init__(self, rng: np.random.Generator, step_mm: float) -> None:
        self.matrix = (rotation(rng.uniform(0, 360, 3)) / step_mm).astype(np.float32)
        self.shift = rng.uniform(0, BLOCK, 3).astype(np.float32) + 4 * BLOCK

    def lattice(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lattice coordinates (may exceed the block) of points in patient millimetres."""
        m, s = self.matrix, self.shift
        return tuple(m[a, 0] * x + m[a, 1] * y + m[a, 2] * z + s[a] for a in range(3))


def sample(block: np.ndarray, lattice: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Trilinear samples of a periodic block at lattice coordinates (any shape)."""
    whole = [np.floor(c) for c in lattice]
    fx, fy, fz = (c - w for c, w in zip(lattice, whole, strict=True))
    ix, iy, iz = (w.astype(np.int32) & (BLOCK - 1) for w in whole)
    jx, jy, jz = ((i + 1) & (BLOCK - 1) for i in (ix, iy, iz))
    flat = block.ravel()
    iy, jy = iy * BLOCK, jy * BLOCK
    iz, jz = iz * (BLOCK * BLOCK), jz * (BLOCK * BLOCK)

    def row(base):
        low, high = flat[base + ix], flat[base + jx]
        return low + (high - low) * fx

    near = row(iz + iy)
    near = near + (row(iz + jy) - near) * fy
    far = row(jz + iy)
    far = far + (row(jz + jy) - far) * fy
    return near + (far - near) * fz


def sample_nearest(block: np.ndarray, lattice: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """The block's values at the nearest lattice points."""
    ix, iy, iz = ((c + np.float32(0.5)).astype(np.int32) & (BLOCK - 1) for c in lattice)
    return block.ravel()[(iz * BLOCK + iy) * BLOCK + ix]
