"""Thresholds chosen on validation slices, and what the scores derived with them are worth (method.md section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.heatmaps.thresholds import STEP, Threshold, candidates, error_curve, threshold_of_curve
from SScILDScoringLib.scores import PATTERNS, Pattern

from ..agreement.bootstrap import Interval, bootstrap_mean
from ..agreement.measures import absolute_error, regression_line
from .records import SliceRecord


@dataclass(frozen=True)
class DerivedScores:
    """Derived scores against S-Net's clipped output, at one way of setting the threshold.

    Args:
        how: ``chosen`` (here, on these slices), ``left_out`` (for each patient on all the others) or ``bundle``.
        pattern: which map. threshold: percentage points; of ``left_out`` the mean over the patients.
        n, patients: slices and patients.
        mae, sd: mean and SD (ddof 0) of the absolute difference, percentage points. mae_interval: of it, by patient.
        r2: squared Pearson correlation of derived and network score. slope, intercept: of the regression line.
    """

    how: str
    pattern: Pattern
    threshold: float
    n: int
    patients: int
    mae: float
    sd: float
    mae_interval: Interval
    r2: float
    slope: float
    intercept: float


@dataclass(frozen=True, eq=False)
class ThresholdEvaluation:
    """Thresholds and derived scores.

    Args:
        tried: ``(t,)`` percentage points. errors: by pattern, ``(t,)``: the MAE at each.
        chosen: the best threshold of each pattern.
        bundle: the thresholds that the bundle has; None without, or when one lies outside of the range.
        derived: the figures of each pattern, for every way of setting the threshold.
        pairs: by pattern: network and derived scores at the chosen threshold, percent, ``(n,)`` each.
    """

    tried: np.ndarray
    errors: dict[Pattern, np.ndarray]
    chosen: dict[Pattern, Threshold]
    bundle: dict[Pattern, float] | None
    derived: tuple[DerivedScores, ...]
    pairs: dict[Pattern, tuple[np.ndarray, np.ndarray]]

    @property
    def values(self) -> dict[str, float]:
        """The chosen thresholds as metadata have them."""
        return {pattern.value: self.chosen[pattern].value for pattern in PATTERNS}

    @property
    def at_the_end(self) -> list[Pattern]:
        """Patterns whose chosen threshold lies at the lower end of the range, so that a better one may lie beyond."""
        return [p for p in PATTERNS if self.chosen[p].value <= self.tried[0] + STEP]

    def of(self, how: str, pattern: Pattern) -> DerivedScores | None:
        """The figures of one pattern and one way, or None."""
        return next((d for d in self.derived if (d.how, d.pattern) == (how, pattern)), None)


def evaluate_thresholds(
    records: Sequence[SliceRecord], bundle: dict[str, float] | None = None, samples: int = 2000, seed: int = 0
) -> ThresholdEvaluation:
    """Chooses the threshold of every pattern and measures the derived scores.

    A threshold is measured three times: on the slices it was chosen on, which flatters; on each patient with the one
    chosen on all the others, which does not; and the bundle's own.

    Args:
        bundle: thresholds of the bundle by ``tot``, ``gg``, ``ret``. samples, seed: of the bootstrap (0: no intervals).

    Raises:
        SettingsError: no slice.
    """
    if not records:
        raise SettingsError("A threshold needs at least one slice with lung.")
    tried = candidates()
    given = {p: float(bundle[p.value]) for p in PATTERNS} if bundle else {}
    if any(not tried[0] <= value <= tried[-1] for value in given.values()):
        given = {}  # a bundle may ask for more than this range; nothing can be said about it here
    errors, chosen, derived, pairs = {}, {}, [], {}
    patients = np.array([r.patient for r in records])
    for i, pattern in enumerate(PATTERNS):
        curves = np.stack([r.derived[i] for r in records])
        wanted = np.array([r.network[i] for r in records])
        errors[pattern] = error_curve(curves, wanted)
        best = chosen[pattern] = threshold_of_curve(pattern, tried, errors[pattern], len(records))
        answers = {"chosen": (best.value, at_threshold(curves, tried, best.value))}
        if len(set(patients)) > 1:
            answers["left_out"] = _left_out(pattern, curves, wanted, tried, patients)
        if given:
            answers["bundle"] = (given[pattern], at_threshold(curves, tried, given[pattern]))
        pairs[pattern] = (wanted, answers["chosen"][1])
        derived += [
            _figures(how, pattern, value, wanted, answer, patients, samples, seed)
            for how, (value, answer) in answers.items()
        ]
    return ThresholdEvaluation(tried, errors, chosen, given or None, tuple(derived), pairs)


def at_threshold(curves: np.ndarray, tried: np.ndarray, value: float) -> np.ndarray:
    """Values ``(..., t)`` of curves at one threshold ``(...)``: those of the nearest one that was tried."""
    return curves[..., int(np.argmin(np.abs(tried - value)))]


def _left_out(
    pattern: Pattern, curves: np.ndarray, wanted: np.ndarray, tried: np.ndarray, patients: np.ndarray
) -> tuple[float, np.ndarray]:
    """Every patient's derived scores at the threshold of all the others, and the mean of these thresholds."""
    answer, values = np.empty(len(wanted)), []
    for patient in sorted(set(patients.tolist())):
        own = patients == patient
        best = threshold_of_curve(pattern, tried, error_curve(curves[~own], wanted[~own]), int((~own).sum()))
        answer[own] = at_threshold(curves[own], tried, best.value)
        values.append(best.value)
    return float(np.mean(values)), answer


def _figures(how, pattern, value, wanted, answer, patients, samples: int, seed: int) -> DerivedScores:
    mae, deviation = absolute_error(wanted, answer)
    line = regression_line(wanted, answer)
    interval = bootstrap_mean(patients, np.abs(answer - wanted), samples, seed) if samples else Interval(np.nan, np.nan)
    n, count = len(wanted), len(set(patients.tolist()))
    return DerivedScores(how, pattern, value, n, count, mae, deviation, interval, line.r**2, line.slope, line.intercept)
