"""Slices that are missing or lie unevenly, brought onto an even grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ScanError

MOST_MISSING = 0.10
"""Share of missing slices up to which a scan is filled by interpolation; above it is refused."""

_TOLERANCE = 0.05  # of the slice distance: positions this close to the even grid count as being on it


class UnevenSlices(ScanError):
    """Too many slices are missing for the gaps to be filled."""


@dataclass(frozen=True)
class SliceGrid:
    """How the even grid's slices come from the measured ones.

    Slice ``k`` of the grid lies at ``start + k * step`` mm and is
    ``(1 - weight[k]) * measured[lower[k]] + weight[k] * measured[lower[k] + 1]``.
    ``missing`` counts absent slices, ``largest_gap`` is the largest distance in mm between neighbours that were
    measured, ``uneven`` tells that measured slices lie between the grid's positions.
    """

    start: float
    step: float
    lower: np.ndarray
    weight: np.ndarray
    missing: int
    largest_gap: float
    uneven: bool

    @property
    def count(self) -> int:
        """Number of slices of the even grid."""
        return len(self.lower)

    @property
    def interpolated(self) -> np.ndarray:
        """Indices of the grid's slices that were not measured as they are."""
        return np.flatnonzero((self.weight > 0) & (self.weight < 1))


def even_grid(positions: np.ndarray) -> SliceGrid:
    """The even grid for slices at ``positions`` (mm, strictly ascending, at least two).

    Slices on the grid (to a twentieth of the slice distance) are taken as they are; the others come from their
    two neighbours by linear interpolation.

    Raises:
        UnevenSlices: more than 10 % of the slices are missing.
    """
    positions = np.asarray(positions, float)
    gaps = np.diff(positions)
    nominal = float(np.median(gaps))
    numbers = np.concatenate([[0], np.cumsum(np.maximum(np.rint(gaps / nominal), 1))])
    start, step = positions[0], (positions[-1] - positions[0]) / numbers[-1]
    if np.abs(start + step * numbers - positions).max() > 1e-4:  # jitter in the header: the line through all slices
        step, start = np.polyfit(numbers, positions, 1)
    on_grid = np.abs(start + step * numbers - positions).max() <= _TOLERANCE * nominal
    if on_grid:
        count = int(numbers[-1]) + 1
    else:
        count = round((positions[-1] - positions[0]) / nominal) + 1
        start, step = positions[0], (positions[-1] - positions[0]) / max(count - 1, 1)
    missing = int(numbers[-1]) + 1 - len(positions)
    if missing > MOST_MISSING * (missing + len(positions)):
        raise UnevenSlices(
            f"{missing} of {missing + len(positions)} slices are missing or lie unevenly (distances "
            f"{gaps.min():.2f} to {gaps.max():.2f} mm); at most 10 % can be filled in. Export the whole series again."
        )
    grid = np.arange(count, dtype=float) if on_grid else start + step * np.arange(count)
    known = numbers if on_grid else positions
    lower = np.clip(np.searchsorted(known, grid, side="right") - 1, 0, len(known) - 2)
    weight = np.clip((grid - known[lower]) / (known[lower + 1] - known[lower]), 0.0, 1.0)
    snap = _TOLERANCE * (1.0 if on_grid else nominal)
    near_upper = np.abs(known[lower + 1] - grid) <= snap
    weight[np.abs(grid - known[lower]) <= snap] = 0.0
    last = near_upper & (lower == len(known) - 2)
    lower[near_upper & ~last] += 1
    weight[near_upper & ~last] = 0.0
    weight[last] = 1.0
    return SliceGrid(float(start), float(step), lower, weight, missing, float(gaps.max()), not on_grid)
