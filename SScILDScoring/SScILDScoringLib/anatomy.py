"""Landmarks without a network, and the five levels estimated from them.

This is the cross-check for the level network and its stand-in where no network is at hand. The proportions below were
fitted by eye on a handful of patients; an estimate from them says so through its source ``anatomy`` and its spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .levels import Levels, ordered_mm
from .lungs.airways import trace_airways
from .lungs.coarse import coarse_scan
from .lungs.masks import LEFT, RIGHT, LungMask
from .morphology import components, eroded
from .progress import Progress, silent
from .scan import CTScan

_GRID_MM = 2.2
_RIM_MM = 8.0
_STEEPEST_DOME = 0.8  # mm of height per mm; the lung's side of heart and chest wall is steeper
_SMALLEST_DOME_CM2 = 4.0
_DOME_PERCENTILE = 97
_KNOWN_SHARE = 0.25
_SMALLEST_SLICE_MM2 = 30.0
_CUT_OFF_MM2 = 1500.0


@dataclass(frozen=True)
class Landmarks:
    """Heights of landmarks, RAS S in millimetres (of the slice at the image centre, as everywhere).

    Args:
        lung_top_mm, lung_bottom_mm: highest and lowest slice with lung.
        carina_mm: where the trachea divides; None when not seen.
        right_dome_mm, left_dome_mm: top of the diaphragm below each lung: highest point of the lung's base, neither
            its rim nor the side of the heart; None when not seen.
        top_cut, bottom_cut: the lungs go on beyond the first or last slice of the scan.
        notes: what was not found and why, as sentences.
    """

    lung_top_mm: float
    lung_bottom_mm: float
    carina_mm: float | None = None
    right_dome_mm: float | None = None
    left_dome_mm: float | None = None
    top_cut: bool = False
    bottom_cut: bool = False
    notes: tuple[str, ...] = ()


def find_landmarks(scan: CTScan, lungs: LungMask, progress: Progress = silent) -> Landmarks:
    """Lung ends, carina and diaphragm domes of ``scan``.

    The carina comes from tracing the airway (:mod:`.airways`), the domes from the shape of the lungs' bases.

    Raises:
        Cancelled: by ``progress``.
    """
    progress("landmarks", 0.0, "Tracing the trachea")
    airways = lungs.airways
    if airways is None:
        airways = trace_airways(coarse_scan(scan))
    progress("landmarks", 0.7, "Looking for the diaphragm")
    notes = []
    carina = None
    if airways.carina_slice is not None:
        carina = scan.mm_of_slice(airways.carina_slice)
    else:
        notes.append(f"The carina was not found: {airways.note}.")

    areas = lungs.areas().sum(axis=1) * scan.spacing[0] * scan.spacing[1]
    filled = np.flatnonzero(areas >= _SMALLEST_SLICE_MM2)
    low, high = (int(filled[0]), int(filled[-1])) if len(filled) else (0, scan.slice_count - 1)
    top_cut = high == scan.slice_count - 1 and areas[high] >= _CUT_OFF_MM2
    bottom_cut = low == 0 and areas[low] >= _CUT_OFF_MM2
    if top_cut:
        notes.append("The lungs go on above the scan.")
    if bottom_cut:
        notes.append("The lungs go on below the scan.")

    domes = {}
    for side, name in ((RIGHT, "right"), (LEFT, "left")):
        position = _dome(scan, lungs, side)
        domes[side] = None if position is None else scan.mm_of_slice(position)
        if position is None:
            notes.append(f"The {name} dome of the diaphragm was not found.")
    progress("landmarks", 1.0, "Landmarks found")
    return Landmarks(
        scan.mm_of_slice(high),
        scan.mm_of_slice(low),
        carina,
        domes[RIGHT],
        domes[LEFT],
        bool(top_cut),
        bool(bottom_cut),
        tuple(notes),
    )


def _dome(scan: CTScan, lungs: LungMask, side: int) -> float | None:
    """Slice position of the diaphragm's top below one lung, or None.

    The lung's base is a surface of heights over the axial plane. The dome is its largest gently sloping part; the rim
    and the sides of heart and hilum are steep. Columns that reach the scan's lowest slice tell nothing.
    """
    step = max(1, round(_GRID_MM / scan.spacing[0]))
    cell = scan.spacing[0] * step
    mask = lungs.labels[:, ::step, ::step] == side
    foot = mask.any(axis=0)
    first = np.argmax(mask, axis=0)
    known = foot & (first > 0)
    if not known.any():
        return None
    height = _smoothed_inside(first * scan.mm_per_slice, known)
    slope = np.hypot(*np.gradient(height, cell))
    labels, counts = components(eroded(known, max(1, round(_RIM_MM / cell))) & (slope < _STEEPEST_DOME))
    if len(counts) < 2 or counts[1:].max() * cell**2 / 100 < _SMALLEST_DOME_CM2:
        return None
    if counts[1:].max() < _KNOWN_SHARE * np.count_nonzero(foot & ~known):
        return None  # most of the base lies below the scan: what is seen is the heart's side
    plateau = labels == int(np.argmax(counts[1:])) + 1
    return float(np.percentile(first[plateau], _DOME_PERCENTILE)) - 0.5


def _smoothed_inside(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Two 5 x 5 means of ``values`` over the pixels of ``inside`` only."""
    values = np.where(inside, values, 0.0)
    for _ in range(2):
        total, weight = _box(values), _box(inside.astype(float))
        values = np.where(inside, total / np.maximum(weight, 1.0), 0.0)
    return values


def _box(values: np.ndarray, radius: int = 2) -> np.ndarray:
    padded = np.pad(values, radius)
    rows = sum(padded[d : d + values.shape[0]] for d in range(2 * radius + 1))
    return sum(rows[:, d : d + values.shape[1]] for d in range(2 * radius + 1))


# ---- levels ------------------------------------------------------------------------------------------------------

_ABOVE_DOME_MM = 10.0  # the definition of level 5

# Distances that hold for adults, and shares of lung lengths; both from the few patients of the development scans.
_GREAT_VESSELS_ABOVE_CARINA = (36.0, 0.44)  # mm; share of carina to lung top
_VEINS_BELOW_CARINA = (41.0, 0.50)  # mm; share of carina to lung top
_DOME_BELOW_CARINA_MM = 86.0
_CARINA_BELOW_TOP = 0.34  # share of the lungs' height
_DOME_BELOW_TOP = 0.70
_RIGHT_OVER_LEFT_DOME_MM = 15.0
_LOWEST_VEINS = 0.66  # of the way from carina to dome
_GAP_MM = 3.0


def estimate_levels(landmarks: Landmarks, scan: CTScan) -> Levels:
    """The five levels from landmarks, with source ``anatomy`` and a spread that grows with every landmark missing.

    Level 2 is the carina, level 5 lies 10 mm above the right dome, level 4 half way between levels 3 and 5
    (definitions); level 1 (origin of the great vessels) and level 3 (venous confluence) follow from distances and
    proportions. Without carina or right dome, proportions of the lungs' height stand in.

    Raises:
        ScanError: never; positions are kept inside the scan.
    """
    top, bottom = landmarks.lung_top_mm, landmarks.lung_bottom_mm
    height = top - bottom
    whole = not (landmarks.top_cut or landmarks.bottom_cut)
    carina, dome = landmarks.carina_mm, landmarks.right_dome_mm
    carina_spread, dome_spread = 4.0, 6.0
    if dome is None and landmarks.left_dome_mm is not None:
        dome, dome_spread = landmarks.left_dome_mm + _RIGHT_OVER_LEFT_DOME_MM, 15.0
    if carina is None:
        carina_spread = 20.0
        if whole or dome is None:
            carina = top - _CARINA_BELOW_TOP * height
        else:
            carina = dome + _DOME_BELOW_CARINA_MM
    if dome is None:
        dome_spread = 25.0
        dome = top - _DOME_BELOW_TOP * height if whole else carina - _DOME_BELOW_CARINA_MM
        dome = min(dome, carina - 45.0)
    above, below = _GREAT_VESSELS_ABOVE_CARINA[0], _VEINS_BELOW_CARINA[0]
    if not landmarks.top_cut and top > carina:
        above = (above + _GREAT_VESSELS_ABOVE_CARINA[1] * (top - carina)) / 2
        below = (below + _VEINS_BELOW_CARINA[1] * (top - carina)) / 2
    below = min(below, _LOWEST_VEINS * max(carina - dome, 0.0))
    veins = carina - below
    lowest = dome + _ABOVE_DOME_MM
    mm = (carina + above, carina, veins, (veins + lowest) / 2, lowest)
    veins_spread = float(np.hypot(carina_spread, 10.0))
    spread = (
        float(np.hypot(carina_spread, 8.0)),
        carina_spread,
        veins_spread,
        float(np.hypot(veins_spread, dome_spread) / 2),
        dome_spread,
    )
    first, last = scan.mm_of_slice(0), scan.mm_of_slice(scan.slice_count - 1)
    gap = min(_GAP_MM, (last - first) / 8)
    inside = [min(max(v, first + (4 - i) * gap), last - i * gap) for i, v in enumerate(mm)]
    return Levels.from_mm(ordered_mm(inside, gap), "anatomy", spread, l4_follows=True)
