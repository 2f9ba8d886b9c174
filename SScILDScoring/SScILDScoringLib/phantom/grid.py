"""Where the voxels of a phantom lie in the patient, and the coarser grid on which smooth shapes are evaluated.

Patient coordinates are millimetres with the carina at the origin: x to the left, y to posterior, z to the head.
Every shape is a *depth*: a field that is about the distance in millimetres to the shape's surface, positive inside.
Such fields are smooth, so they are evaluated about every two millimetres and interpolated to the voxels; only then
they are compared with zero. That keeps surfaces sharp at any voxel size and costs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .spec import PhantomSpec

FIELD_STEP_MM = 2.2
PROFILE_STEP_MM = 0.125
PROFILE_TOP_MM = 400.0


def rotation(degrees: Sequence[float]) -> np.ndarray:
    """3x3 matrix that turns about x, then y, then z by ``degrees``."""
    ax, ay, az = np.radians(degrees)
    cx, sx, cy, sy, cz, sz = np.cos(ax), np.sin(ax), np.cos(ay), np.sin(ay), np.cos(az), np.sin(az)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@dataclass(frozen=True)
class Points:
    """Patient coordinates of a box of grid points: ``x``, ``y``, ``z`` float32, shape ``(nz, ny, nx)``."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @cached_property
    def _row(self) -> np.ndarray:
        steps = (PROFILE_TOP_MM - self.z) * np.float32(1 / PROFILE_STEP_MM)
        return np.clip(steps, 0, 2 * PROFILE_TOP_MM / PROFILE_STEP_MM).astype(np.int16)

    def profile(self, heights: Sequence[float], values: Sequence[float]) -> np.ndarray:
        """A quantity that depends on z alone: ``values`` at ``heights`` (descending), linear between them."""
        table_z = PROFILE_TOP_MM - np.arange(int(2 * PROFILE_TOP_MM / PROFILE_STEP_MM) + 1) * PROFILE_STEP_MM
        table = np.interp(table_z[::-1], np.asarray(heights, float)[::-1], np.asarray(values, float)[::-1])[::-1]
        return np.ascontiguousarray(table, np.float32)[self._row]

    def __getitem__(self, box) -> Points:
        part = Points(self.x[box], self.y[box], self.z[box])
        if "_row" in self.__dict__:
            part.__dict__["_row"] = self._row[box]
        return part


class Lattice:
    """A regular grid of points given by the affine map from its index ``(i, j, k)`` to patient millimetres."""

    def __init__(self, shape: tuple[int, int, int], patient_from_index: np.ndarray) -> None:
        self.shape = shape
        self.patient_from_index = patient_from_index
        self.index_from_patient = np.linalg.inv(patient_from_index)
        self.step_mm = np.linalg.norm(patient_from_index[:3, :3], axis=0)

    @cached_property
    def points(self) -> Points:
        """Patient coordinates of every grid point."""
        return self.points_in(tuple(slice(0, n) for n in self.shape))

    def points_in(self, box: tuple[slice, slice, slice]) -> Points:
        """Patient coordinates of the grid points in ``box`` (slices along z, y, x)."""
        matrix = self.patient_from_index.astype(np.float32)
        k, j, i = (np.arange(s.start, s.stop, dtype=np.float32) for s in box)
        coordinates = [
            (matrix[a, 0] * i)[None, None, :]
            + (matrix[a, 1] * j)[None, :, None]
            + (matrix[a, 2] * k + matrix[a, 3])[:, None, None]
            for a in range(3)
        ]
        return Points(*coordinates)

    def box(self, low: Sequence[float], high: Sequence[float]) -> tuple[slice, slice, slice] | None:
        """The part of the grid (slices along z, y, x) that may hold points between two patient corners, or None."""
        low, high = np.asarray(low, float), np.asarray(high, float)
        matrix = self.index_from_patient[:3, :3]
        centre = matrix @ ((low + high) / 2) + self.index_from_patient[:3, 3]
        reach = np.abs(matrix) @ ((high - low) / 2)
        first = np.maximum(np.ceil(centre - reach), 0).astype(int)
        last = np.minimum(np.floor(centre + reach), np.array(self.shape[::-1]) - 1).astype(int)
        if (last < first).any():
            return None
        return tuple(slice(int(first[a]), int(last[a]) + 1) for a in (2, 1, 0))


@dataclass(frozen=True)
class Steps:
    """How ``count`` positions lie between ``nodes`` that are spread evenly from the first position to the last.

    Position ``n`` has the value ``node[low[n]] * (1 - share[n]) + node[high[n]] * share[n]``.
    """

    low: np.ndarray
    high: np.ndarray
    share: np.ndarray

    @classmethod
    def between(cls, nodes: int, count: int) -> Steps:
        """The steps from ``nodes`` to ``count`` positions."""
        at = np.arange(count) * ((nodes - 1) / (count - 1))
        low = np.minimum(at.astype(np.intp), nodes - 1)
        return cls(low, np.minimum(low + 1, nodes - 1), (at - low).astype(np.float32))

    def __getitem__(self, part: slice) -> Steps:
        return Steps(self.low[part], self.high[part], self.share[part])


class ScanGrid(Lattice):
    """The voxels of the scan that a :class:`PhantomSpec` asks for, and its coarser :attr:`field_grid`."""

    def __init__(self, spec: PhantomSpec, chest_centre_y: float) -> None:
        self.spec = spec
        dz = spec.spacing[2]
        count = spec.slices or max(2, int(np.ceil(spec.coverage_mm / dz)))
        shape = (count, spec.matrix, spec.matrix)
        turn = rotation(spec.oblique_deg)
        lean = rotation((spec.tilt_deg, 0, 0))
        # Gantry tilt leans the slices; the table goes on moving along z.
        self.direction = np.column_stack([turn @ lean[:, 0], turn @ lean[:, 1], turn[:, 2]])
        self.patient = rotation(spec.rotation_deg)
        lps_from_index = np.eye(4)
        lps_from_index[:3, :3] = self.direction * np.asarray(spec.spacing)
        top, bottom = spec.apex_mm + spec.above_mm, -(spec.lung_bottom_mm + spec.below_mm)
        middle = np.array([spec.centre_mm[0], chest_centre_y + spec.centre_mm[1], 0.0])
        middle = self.patient @ (middle + np.array([0, 0, (top + bottom) / 2])) + spec.carina_lps
        centre_index = np.array([(shape[2] - 1) / 2, (shape[1] - 1) / 2, (shape[0] - 1) / 2])
        lps_from_index[:3, 3] = middle - lps_from_index[:3, :3] @ centre_index
        self.lps_from_index = lps_from_index
        patient_from_lps = np.eye(4)
        patient_from_lps[:3, :3] = self.patient.T
        patient_from_lps[:3, 3] = -self.patient.T @ np.asarray(spec.carina_lps)
        super().__init__(shape, patient_from_lps @ lps_from_index)

    @cached_property
    def field_grid(self) -> Lattice:
        """The grid for smooth fields: the voxels themselves when they are large, else about every 2.2 mm."""
        nodes = [self._nodes(n, step) for n, step in zip(self.shape[::-1], self.step_mm, strict=True)]
        scale = np.diag([(n - 1) / (m - 1) for n, m in zip(self.shape[::-1], nodes, strict=True)] + [1.0])
        return Lattice(tuple(nodes[::-1]), self.patient_from_index @ scale)

    @staticmethod
    def _nodes(count: int, step: float) -> int:
        return count if step > 1.6 else min(count, int(np.ceil((count - 1) * step / FIELD_STEP_MM)) + 1)

    @cached_property
    def _steps(self) -> tuple[Steps, Steps, Steps]:
        return tuple(Steps.between(m, n) for n, m in zip(self.shape, self.field_grid.shape, strict=True))

    def z_nodes(self, k: int) -> tuple[int, int]:
        """The field planes between which slice ``k`` lies (twice the same when it lies on one)."""
        steps = self._steps[0]
        low = int(steps.low[k])
        return low, int(steps.high[k]) if steps.share[k] > 1e-6 else low

    def field_plane(self, values: np.ndarray, k: int) -> np.ndarray:
        """Field-grid ``values`` interpolated along z to slice ``k``: ``(ny, nx)`` of the field grid."""
        low, high = self.z_nodes(k)
        if low == high:
            return values[low]
        share = self._steps[0].share[k]
        return values[low] * (1 - share) + values[high] * share

    def spread(self, plane: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """A field plane interpolated to the voxels in ``rows`` and ``columns`` of a slice.

        By hand rather than by matrices: the slices are drawn in threads, and a threaded matrix product inside
        them makes the processors wait for each other.
        """
        if plane.shape == self.shape[1:]:
            return plane[rows, columns]
        y, x = self._steps[1][rows], self._steps[2][columns]
        first, last = x.low[0], x.high[-1] + 1
        plane = plane[:, first:last]
        lower = plane[y.low]
        lower += (plane[y.high] - lower) * y.share[:, None]
        near = lower.take(x.low - first, axis=1)
        far = lower.take(x.high - first, axis=1)
        far -= near
        far *= x.share
        near += far
        return near

    def voxel_span(self, axis: int, first: int, last: int) -> slice:
        """Voxels along ``axis`` (0 z, 1 y, 2 x) that the field nodes ``first`` to ``last`` (inclusive) influence."""
        n, m = self.shape[axis], self.field_grid.shape[axis]
        ratio = (n - 1) / (m - 1)
        return slice(max(0, int(np.floor((first - 1) * ratio))), min(n, int(np.ceil((last + 1) * ratio)) + 1))
