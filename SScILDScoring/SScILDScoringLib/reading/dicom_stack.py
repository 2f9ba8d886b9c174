"""Images of one DICOM series put into a stack: which belong together, in which order, and where they lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ScanError
from .dicom_headers import Frame
from .slice_grid import SliceGrid, even_grid

_LOCALISER = {"LOCALIZER", "LOCALISER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"}
_SAME_PLACE_MM = 0.01
_MOST_SHIFT_MM = 5.0


@dataclass(frozen=True)
class Stack:
    """Images with one size, orientation and pixel spacing at distinct places, ascending along their normal.

    ``positions`` are mm along the normal. ``duplicates`` images at a place already taken, ``phases`` more stacks of
    the same places (another phase, another kernel) and ``foreign`` images of other size or orientation were left out.
    """

    frames: tuple[Frame, ...]
    positions: np.ndarray
    duplicates: int
    phases: int
    foreign: int

    @property
    def normal(self) -> np.ndarray:
        """LPS unit vector of a row crossed with that of a column."""
        return _normal(self.frames[0])

    @property
    def extent_mm(self) -> float:
        """Distance of the outermost slices along the normal."""
        return float(self.positions[-1] - self.positions[0])

    @property
    def slice_distance_mm(self) -> float:
        """Median distance of neighbouring slices; 0 for a single one."""
        return float(np.median(np.diff(self.positions))) if len(self.frames) > 1 else 0.0


@dataclass(frozen=True)
class Placement:
    """Where the even grid of a stack lies: ``lps_from_index`` for file index (column, row, slice)."""

    grid: SliceGrid
    lps_from_index: np.ndarray
    shift_mm: float


def is_localiser(frame: Frame) -> bool:
    """Whether the image calls itself a localiser (scout view, topogram)."""
    return any(word in _LOCALISER for word in frame.image_type)


def build_stack(frames: Sequence[Frame]) -> Stack | None:
    """The largest stack of distinct places among ``frames``; None when no image tells where it lies.

    Where images lie at the same place they are told apart by acquisition number, temporal position and kernel; the
    phase with most slices (of equal ones the first) is taken.
    """
    placed = [f for f in frames if f.position and f.orientation and f.pixel_spacing]
    groups: list[list[Frame]] = []
    for frame in placed:
        for group in groups:
            if _alike(group[0], frame):
                group.append(frame)
                break
        else:
            groups.append([frame])
    if not groups:
        return None
    best = max(groups, key=_distinct_places)
    foreign = len(frames) - len(best)
    phases = 0
    if _distinct_places(best) < len(best):
        by_phase = defaultdict(list)
        for frame in best:
            by_phase[frame.phase].append(frame)
        if len(by_phase) > 1 and max(map(_distinct_places, by_phase.values())) > 0.9 * _distinct_places(best):
            phases = len(by_phase) - 1
            best = max(by_phase.values(), key=_distinct_places)
    normal = _normal(best[0])
    ordered = sorted(best, key=lambda f: (round(float(normal @ f.position), 3), f.instance, str(f.path), f.number))
    kept: list[Frame] = []
    for frame in ordered:
        if not kept or normal @ np.subtract(frame.position, kept[-1].position) > _SAME_PLACE_MM:
            kept.append(frame)
    positions = np.array([normal @ f.position for f in kept])
    return Stack(tuple(kept), positions, len(best) - len(kept), phases, foreign)


def place(stack: Stack) -> Placement:
    """The even grid of a stack. A gantry-tilted stack gives a sheared matrix.

    Raises:
        UnevenSlices: too many slices are missing.
        ScanError: the slices do not lie along one line.
    """
    grid = even_grid(stack.positions)
    places = np.array([f.position for f in stack.frames])
    height = stack.positions - stack.positions[0]
    slope = (places[-1] - places[0]) / height[-1]  # LPS mm along the stack for one mm along the normal
    base = places[0]
    if np.abs(base + height[:, None] * slope - places).max() > 1e-4:  # jitter: the line through all slices
        centred = height - height.mean()
        slope = (centred @ places) / (centred @ centred)
        base = places.mean(axis=0) - slope * height.mean()
    start = base + slope * (grid.start - stack.positions[0])
    # Along the normal the grid has been checked; here only the sideways deviation counts.
    off = base + height[:, None] * slope - places
    off -= (off @ stack.normal)[:, None] * stack.normal
    shift = float(np.linalg.norm(off, axis=1).max())
    if shift > _MOST_SHIFT_MM:
        raise ScanError(
            f"The slices of this series are shifted against each other by up to {shift:.0f} mm (two scans in one "
            "series, or a moved field of view); export one scan alone."
        )
    first = stack.frames[0]
    matrix = np.eye(4)
    matrix[:3, 0] = np.array(first.orientation[:3]) * first.pixel_spacing[1]
    matrix[:3, 1] = np.array(first.orientation[3:]) * first.pixel_spacing[0]
    matrix[:3, 2] = slope * grid.step
    matrix[:3, 3] = start
    return Placement(grid, matrix, shift)


def _normal(frame: Frame) -> np.ndarray:
    return np.cross(frame.orientation[:3], frame.orientation[3:])


def _alike(a: Frame, b: Frame) -> bool:
    return (
        (a.rows, a.columns) == (b.rows, b.columns)
        and np.abs(np.subtract(a.orientation, b.orientation)).max() < 2e-3
        and np.abs(np.subtract(a.pixel_spacing, b.pixel_spacing)).max() < 1e-3 * a.pixel_spacing[0]
    )


def _distinct_places(frames: Sequence[Frame]) -> int:
    normal = _normal(frames[0])
    places = np.sort([normal @ f.position for f in frames])
    return int(1 + (np.diff(places) > _SAME_PLACE_MM).sum())
