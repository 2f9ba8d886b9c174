"""One small chest-like scan, kept by its file in different arrangements: the canonical voxels are always the same."""

from __future__ import annotations

import numpy as np

from scene_scans import DIRECTIONS
from SScILDScoringLib.scan import CTScan, FileAxes, canonical_axes, scan_from_array

ARRANGEMENTS = tuple(DIRECTIONS)
SPACING = (1.5, 1.9, 4.0)
"""Millimetres along canonical x, y, z."""


def scan_of(name: str, shape: tuple[int, int, int] = (9, 36, 48)) -> CTScan:
    """A scan of canonical ``shape`` (z, y, x), arranged as ``DIRECTIONS`` says: noise and a denser corner."""
    axis, backwards = canonical_axes(DIRECTIONS[name])
    axes = FileAxes(axis, backwards, (shape[2], shape[1], shape[0]))
    voxels = np.random.default_rng(0).integers(-900, -700, shape).astype(np.int16)
    voxels[:, : shape[1] // 4, : shape[2] // 3] = 40
    canonical = CTScan(voxels, (0.0, 0.0, 0.0), SPACING, file_axes=axes)
    matrix = np.eye(4)
    matrix[:3, :3] = DIRECTIONS[name] * [SPACING[axis.index(b)] for b in range(3)]
    matrix[:3, 3] = (-31.25, -42.5, 117.75)
    return scan_from_array(np.ascontiguousarray(canonical.to_file_order(voxels)), matrix, {"name": name})
