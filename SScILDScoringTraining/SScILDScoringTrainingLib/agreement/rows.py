"""Every number of one comparison of two raters, per column and pooled, per level and, for scores, per patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from SScILDScoringLib.levels import Level

from . import measures
from .bootstrap import MEASURES, NO_INTERVAL, SAMPLES, Interval, bootstrap_intervals, bootstrap_mean
from .tables import Aligned, ScoreTable, Table, align, patient_means

POOLED, EXTENT = "pooled", "extent"
GROUPS = (POOLED, *(level.name for level in Level))
"""Values of a row's ``level``; scores have :data:`EXTENT` too, the patient's mean over the five levels."""

KINDS = {
    "reference": "against the reference",
    "inter": "inter-observer",
    "intra": "intra-observer",
}
_WHAT = ("kind", "first", "second", "column", "level", "n", "cases", "patients")
SLICE_MM = 1.2
"""Thickness of the slices in which the published level errors are given (method.md section 2)."""


@dataclass(frozen=True)
class Settings:
    """How a comparison is made.

    Args:
        samples: bootstrap samples; 0: no intervals. seed: of the bootstrap.
        correction: of p-values over the patterns: ``bonferroni``, ``holm``, ``fdr`` or None.
    """

    samples: int = SAMPLES
    seed: int = 0
    correction: str | None = None


@dataclass(frozen=True)
class Row:
    """The numbers of two raters in one column (pattern) and one group of rows.

    Args:
        kind: a key of :data:`KINDS`. first, second: titles of the raters; differences are second - first.
        column: ``tot``, ``gg``, ``ret`` or ``position_mm``. level: one of :data:`GROUPS` or :data:`EXTENT`.
        n: rows compared. cases: how many they belong to. patients: whose cases these are, what the bootstrap draws.
        values: measure -> estimate; the measures of :data:`.bootstrap.MEASURES`, NaN where not defined.
        intervals: measure -> 95 % confidence interval.
    """

    kind: str
    first: str
    second: str
    column: str
    level: str
    n: int
    cases: int
    patients: int
    values: Mapping[str, float]
    intervals: Mapping[str, Interval]

    @property
    def title(self) -> str:
        """The two raters: ``A - reference``."""
        return f"{self.second} - {self.first}"

    def flat(self) -> dict:
        """One level of keys, for CSV: every measure followed by its interval."""
        flat = {name: getattr(self, name) for name in _WHAT}
        for name, value in self.values.items():
            interval = self.intervals.get(name, NO_INTERVAL)
            flat |= {name: value, f"{name}_ci_low": interval.low, f"{name}_ci_high": interval.high}
        return flat


@dataclass(frozen=True)
class Difference:
    """Two raters' absolute errors against the reference, compared on the rows that all three have.

    Args:
        kind, first, second, column, level, n, cases, patients: as in :class:`Row`.
        mae_first, mae_second: their mean absolute errors on these rows. difference: mean of second - first.
        interval: of the difference, by patient.
        wilcoxon_p, t_p: two-sided p-values. wilcoxon_p_corrected, t_p_corrected: over the patterns; None when no
            correction was asked for.
    """

    kind: str
    first: str
    second: str
    column: str
    level: str
    n: int
    cases: int
    patients: int
    mae_first: float
    mae_second: float
    difference: float
    interval: Interval
    wilcoxon_p: float
    t_p: float
    wilcoxon_p_corrected: float | None = None
    t_p_corrected: float | None = None

    def flat(self) -> dict:
        """One level of keys, for CSV."""
        flat = {}
        for name, value in vars(self).items():
            if name == "interval":
                flat |= {"difference_ci_low": value.low, "difference_ci_high": value.high}
            else:
                flat[name] = value
        return flat


def pairs(raters: list[Table]) -> list[tuple[str, Table, Table]]:
    """The pairs of raters that are compared, with their kind.

    Inter-observer: different raters in the same session, or where one of them has no session. Intra-observer: one
    rater's sessions.
    """
    found = []
    for i, first in enumerate(raters):
        for second in raters[i + 1 :]:
            if first.rater == second.rater:
                found.append(("intra", first, second))
            elif first.session == second.session or not (first.session and second.session):
                found.append(("inter", first, second))
    return found


def agreement_rows(kind: str, aligned: Aligned, settings: Settings) -> list[Row]:
    """All rows of one comparison. A group without any common row is left out."""
    rows = _rows(kind, aligned, row_groups(aligned), settings)
    if aligned.columns == ScoreTable.columns:
        extents = patient_means(aligned)
        if len(extents):
            rows += _rows(kind, extents, {EXTENT: extents.rows()}, settings)
    return rows


def row_groups(aligned: Aligned) -> dict[str, np.ndarray]:
    """The groups of :data:`GROUPS` that have rows: name -> ``(n,)`` bool."""
    groups = {POOLED: aligned.rows(), **{level.name: aligned.rows(level) for level in Level}}
    return {name: rows for name, rows in groups.items() if rows.any()}


def _rows(kind: str, aligned: Aligned, groups: dict[str, np.ndarray], settings: Settings) -> list[Row]:
    # Kappa has the 21 categories of a single slice's score; millimetres and patients' means are no categories.
    kappa = aligned.columns == ScoreTable.columns and EXTENT not in groups
    intervals = {}
    if settings.samples:
        intervals = bootstrap_intervals(aligned, groups, settings.samples, settings.seed, kappa)
    rows = []
    for column in aligned.columns:
        number = aligned.columns.index(column)
        for name, chosen in groups.items():
            values = estimates(aligned.x[chosen, number], aligned.y[chosen, number], kappa)
            found = intervals.get((column, name), dict.fromkeys(MEASURES, NO_INTERVAL))
            if not kappa:
                values, found = ({k: v for k, v in d.items() if k != "kappa"} for d in (values, found))
            counts = int(chosen.sum()), _different(aligned.case[chosen]), _different(aligned.drawn[chosen])
            rows.append(Row(kind, aligned.first, aligned.second, column, name, *counts, values, found))
    return rows


def estimates(x: np.ndarray, y: np.ndarray, kappa: bool = True) -> dict[str, float]:
    """Every measure of :data:`.bootstrap.MEASURES` for two series ``(n,)``."""
    mae, deviation = measures.absolute_error(x, y)
    limits = measures.limits_of_agreement(x, y)
    line = measures.regression_line(x, y)
    values = {
        "mae": mae,
        "sd": deviation,
        "bias": limits.bias,
        "limit_low": limits.low,
        "limit_high": limits.high,
        "kappa": measures.weighted_kappa(x, y) if kappa else measures.NAN,
        "icc": measures.icc_agreement(x, y),
        "r": line.r,
        "slope": line.slope,
        "intercept": line.intercept,
    }
    return {name: values[name] for name in MEASURES}


def differences(kind: str, reference: Table, first: Table, second: Table, settings: Settings) -> list[Difference]:
    """The absolute errors of two raters compared, for each column and group of rows that all three tables have."""
    ours, theirs = align(reference, first), align(reference, second)
    common = sorted(set(zip(ours.case.tolist(), ours.level.tolist(), strict=True)) & _keys(theirs))
    x, y = (_errors(aligned, common) for aligned in (ours, theirs))
    case = np.array([key[0] for key in common], dtype=str)
    level = np.array([key[1] for key in common], dtype=int)
    patients = {**_patients(theirs), **_patients(ours)}
    patient = np.array([patients[c] for c in case.tolist()], dtype=str)
    found: list[Difference] = []
    for name in GROUPS:
        chosen = np.ones(len(case), bool) if name == POOLED else level == Level[name]
        if chosen.any():
            found += _differences(
                kind, (first, second), name, (case[chosen], patient[chosen]), x[chosen], y[chosen], settings
            )
    return found


def _differences(kind, raters, name, whose, x, y, settings: Settings) -> list[Difference]:
    case, patient = whose
    tests = [measures.compare_paired(x[:, i], y[:, i]) for i in range(x.shape[1])]
    corrections = [{} for _ in tests]
    if settings.correction:
        for key in ("wilcoxon_p", "t_p"):
            corrected = measures.corrected([getattr(t, key) for t in tests], settings.correction)
            for values, p in zip(corrections, corrected, strict=True):
                values[f"{key}_corrected"] = p
    found = []
    for i, column in enumerate(raters[0].columns):
        interval = NO_INTERVAL
        if settings.samples:
            interval = bootstrap_mean(patient, y[:, i] - x[:, i], settings.samples, settings.seed)
        found.append(
            Difference(
                kind,
                raters[0].title,
                raters[1].title,
                column,
                name,
                len(case),
                _different(case),
                _different(patient),
                float(x[:, i].mean()),
                float(y[:, i].mean()),
                tests[i].difference,
                interval,
                tests[i].wilcoxon_p,
                tests[i].t_p,
                **corrections[i],
            )
        )
    return found


def _different(names: np.ndarray) -> int:
    return len(set(names.tolist()))


def _patients(aligned: Aligned) -> dict[str, str]:
    return dict(zip(aligned.case.tolist(), aligned.drawn.tolist(), strict=True))


def _keys(aligned: Aligned) -> set:
    return set(zip(aligned.case.tolist(), aligned.level.tolist(), strict=True))


def _errors(aligned: Aligned, wanted: list) -> np.ndarray:
    places = {key: i for i, key in enumerate(zip(aligned.case.tolist(), aligned.level.tolist(), strict=True))}
    chosen = [places[key] for key in wanted]
    return np.abs(aligned.y[chosen] - aligned.x[chosen])
