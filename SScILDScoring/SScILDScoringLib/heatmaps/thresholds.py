"""Choosing the threshold at which a heat map's area says the same as S-Net's score (method.md section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import SettingsError
from ..scores import PATTERNS, Pattern, SliceScores
from .maps import HeatMaps

LOWEST, HIGHEST, STEP = -4.0, 0.0, 0.02


@dataclass(frozen=True)
class Threshold:
    """The best threshold of one pattern.

    Args:
        pattern: which map it belongs to.
        value: percentage points; lung where the map is below counts as diseased.
        error: mean absolute error in percentage points between derived score and S-Net's clipped answer.
        slices: how many slices it was chosen on.
    """

    pattern: Pattern
    value: float
    error: float
    slices: int


def candidates() -> np.ndarray:
    """The thresholds that are tried: -4 to 0 percentage points in steps of 0.02."""
    return np.round(np.arange(LOWEST, HIGHEST + STEP / 2, STEP), 6)


def derived_scores(maps: HeatMaps, pattern: Pattern, thresholds: np.ndarray) -> np.ndarray:
    """The derived score at each of several thresholds, in percent: :meth:`HeatMaps.derived_score`, all at once."""
    values = np.sort(maps.of(pattern)[maps.covered])
    lung = int(maps.lung.sum())
    below = np.searchsorted(values, np.asarray(thresholds, np.float32), side="left")
    return 100.0 * below / lung if lung else np.zeros(len(below))


def choose_threshold(
    maps: Sequence[HeatMaps],
    scores: Sequence[SliceScores] | None = None,
    pattern: Pattern = Pattern.TOT,
    thresholds: np.ndarray | None = None,
) -> Threshold:
    """The threshold whose derived scores come closest to S-Net's clipped scores over validation slices.

    Args:
        maps: heat maps of validation slices.
        scores: S-Net's scores of these slices; the maps' own baselines when None.
        pattern: which of the three.
        thresholds: the ones to try; :func:`candidates` when None.

    Returns:
        The one with the smallest mean absolute error. Where several are equally good (healthy slices agree with many)
        the middle one of the first such run, which is furthest from being worse.

    Raises:
        SettingsError: no slice, or not one score for every map.
    """
    scores = [m.baseline for m in maps] if scores is None else list(scores)
    if not maps or len(scores) != len(maps):
        raise SettingsError(
            f"A threshold needs slices, and one score for each: {len(maps)} maps, {len(scores)} scores."
        )
    tried = candidates() if thresholds is None else np.asarray(thresholds, float)
    wanted = np.array([s.clipped[PATTERNS.index(pattern)] for s in scores])
    derived = np.stack([derived_scores(m, pattern, tried) for m in maps])
    return threshold_of_curve(pattern, tried, error_curve(derived, wanted), len(maps))


def error_curve(derived: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mean absolute error of derived scores at each threshold, percentage points ``(t,)``.

    Args:
        derived: ``(n, t)`` percent: :func:`derived_scores` of every slice.
        wanted: ``(n,)`` percent: S-Net's clipped scores of the slices.
    """
    return np.abs(derived - wanted[:, None]).mean(axis=0)


def threshold_of_curve(pattern: Pattern, tried: np.ndarray, errors: np.ndarray, slices: int) -> Threshold:
    """The best threshold of an :func:`error_curve`; see :func:`choose_threshold` for which one of several.

    Args:
        tried: the thresholds ``(t,)``. errors: their errors ``(t,)``. slices: how many slices the curve was made of.
    """
    best = np.flatnonzero(errors <= errors.min() + 1e-9)
    run = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)[0]
    chosen = int(run[len(run) // 2])
    return Threshold(pattern, float(tried[chosen]), float(errors[chosen]), slices)
