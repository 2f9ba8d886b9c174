"""Small CT scans in every arrangement a file or a patient may have, for tests of geometry."""

from __future__ import annotations

import numpy as np

from SScILDScoringLib.scan import CTScan, scan_from_array

SIZE = (12, 14, 16)
"""Voxels along the file's k, j, i."""


def rotation(axis: int, degrees: float) -> np.ndarray:
    """3x3 rotation about axis 0, 1 or 2."""
    a, b = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


def _flipped(*axes: int) -> np.ndarray:
    return np.diag([-1.0 if a in axes else 1.0 for a in range(3)])


def _tilted(degrees: float) -> np.ndarray:
    """A gantry tilt: slices lean to the back, but are stacked straight along the body."""
    matrix = np.eye(3)
    matrix[:, 0] = (1, 0, 0)
    matrix[:, 1] = (0, np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))
    return matrix


# Columns are LPS directions of the file's i, j, k.
DIRECTIONS = {
    "straight": np.eye(3),
    "flipped_i": _flipped(0),
    "flipped_j": _flipped(1),
    "flipped_k": _flipped(2),
    "flipped_all": _flipped(0, 1, 2),
    "permuted_kij": np.eye(3)[:, [2, 0, 1]],
    "permuted_jik_flipped": np.eye(3)[:, [1, 0, 2]] @ _flipped(1, 2),
    "coronal_stack": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "oblique": rotation(0, 18) @ rotation(1, -11) @ rotation(2, 7),
    "oblique_permuted": rotation(2, 12) @ rotation(0, -15) @ np.eye(3)[:, [1, 2, 0]] @ _flipped(1),
    "tilted": _tilted(20),
    "tilted_flipped": _tilted(-14) @ _flipped(0, 2),
}


def scan_in(arrangement: str, size=SIZE, spacing=(1.5, 1.25, 4.0), seed: int = 0, name: str = "scan") -> CTScan:
    """A scan of random voxels in one of ``DIRECTIONS``; ``spacing`` along the file's i, j, k."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = DIRECTIONS[arrangement] * spacing
    matrix[:3, 3] = (-33.25, 71.5, -120.75)
    voxels = rng.integers(-1024, 1500, size).astype(np.int16)
    return scan_from_array(voxels, matrix, identity={"name": name})


def chest(shape=(60, 72, 72), spacing=(4.0, 4.0, 5.0)) -> CTScan:
    """Two lungs in a body, straight: enough to look at and to drag levels over. ``spacing`` along x, y, z."""
    z, y, x = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing[::-1], strict=True)], indexing="ij"
    )
    voxels = np.full(shape, -1000, np.int16)
    voxels[(x / 140) ** 2 + (y / 100) ** 2 < 1] = 40
    for side in (-1, 1):
        voxels[((x - side * 65) / 50) ** 2 + (y / 72) ** 2 + (z / 125) ** 2 < 1] = -850
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = [-(n - 1) / 2 * s for n, s in zip(shape[::-1], spacing, strict=True)]
    return scan_from_array(voxels, matrix, identity={"name": "chest"})
