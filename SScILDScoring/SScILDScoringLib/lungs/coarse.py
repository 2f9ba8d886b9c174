"""A scan averaged to about 1.5 x 1.5 x 2 mm: fine enough for anatomy, small enough to work on in three dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..body import body_mask
from ..morphology import shrunk
from ..progress import Progress, silent
from ..scan import CTScan

IN_PLANE_MM = 1.5
ALONG_Z_MM = 2.0


@dataclass(frozen=True)
class CoarseScan:
    """Means over blocks of a scan's voxels.

    Args:
        hu: int16 ``(z, y, x)``, limited to -1100..3000 HU.
        body: bool ``(z, y, x)``, inside of the body.
        factors: how many of the scan's voxels lie in a block along z, y, x.
        spacing: millimetres of a block along z, y, x.
    """

    hu: np.ndarray
    body: np.ndarray
    factors: tuple[int, int, int]
    spacing: tuple[float, float, float]

    @property
    def voxel_ml(self) -> float:
        """Volume of a block in millilitres."""
        return float(np.prod(self.spacing)) / 1000

    @property
    def pixel_mm2(self) -> float:
        """Area of a block in the axial plane."""
        return self.spacing[1] * self.spacing[2]

    def scan_slice(self, z: float) -> float:
        """The scan's slice index, with fraction, at the centre of coarse slice ``z`` (fractions allowed)."""
        return (z + 0.5) * self.factors[0] - 0.5


def coarse_scan(scan: CTScan, progress: Progress = silent) -> CoarseScan:
    """The coarse version of ``scan``; made slice by slice, so that memory stays low.

    The last block along z may average fewer slices; incomplete blocks in the plane are left out.
    """
    factors = tuple(
        max(1, round(wanted / have))
        for wanted, have in zip((ALONG_Z_MM, IN_PLANE_MM, IN_PLANE_MM), scan.spacing[::-1], strict=True)
    )
    in_plane = min(factors[1], factors[2])
    factors = (factors[0], in_plane, in_plane)
    depth = -(-scan.slice_count // factors[0])
    shape = (depth, scan.shape[1] // in_plane, scan.shape[2] // in_plane)
    hu = np.empty(shape, np.int16)
    body = np.empty(shape, bool)
    for z in range(depth):
        block = scan.voxels[z * factors[0] : (z + 1) * factors[0]]
        total = np.zeros(scan.shape[1:], np.int32)
        for plane in block:
            total += np.clip(plane, -1100, 3000)
        hu[z] = shrunk(total // len(block), in_plane)
        body[z] = body_mask(hu[z])
        if z % 16 == 0:
            progress("lungs", z / depth, "Looking at the whole scan")
    spacing = tuple(s * f for s, f in zip(scan.spacing[::-1], factors, strict=True))
    return CoarseScan(hu, body, factors, spacing)
