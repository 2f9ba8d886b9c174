"""Bootstrap confidence intervals by patient, fast enough for every measure, pattern and level at once.

A bootstrap sample draws patients with replacement and takes all rows of each (slices of one patient are not
independent). Every measure is a function of sums over the rows, and a sample's sums are its patients' sums weighted
by how often each was drawn: one matrix product gives them for all samples, and no row is ever copied. The formulas on
sums are held equal to :mod:`.measures` by tests. Intervals are percentiles (Efron and Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from SScILDScoringLib.scores import rounded

from .measures import CATEGORIES, LIMITS_FACTOR, NAN
from .tables import Aligned

SAMPLES = 2000
CONFIDENCE = 0.95
DEFINED_SHARE = 0.95
"""No interval is given when a measure is defined in fewer of the samples (kappa where all drawn scores are 0)."""

MEASURES = ("mae", "sd", "bias", "limit_low", "limit_high", "kappa", "icc", "r", "slope", "intercept")
_TINY = 1e-9


class Interval(NamedTuple):
    """A confidence interval; NaN where there is none."""

    low: float
    high: float


NO_INTERVAL = Interval(NAN, NAN)


@lru_cache(maxsize=4)
def _draws(patients: int, samples: int, seed: int) -> np.ndarray:
    """``(samples, patients)``. Kept, because the comparisons of one report mostly have equally many patients."""
    shares = np.full(patients, 1 / patients)
    counts = np.random.default_rng(seed).multinomial(patients, shares, size=samples).astype(float)
    counts.flags.writeable = False
    return counts


class Resampler:
    """Patients drawn with replacement.

    Args:
        patient: ``(n,)`` the patient of every row, at least one. samples: how many.
        seed: the same seed and number of patients give the same draws.

    ``counts`` is ``(samples, patients)`` float: how often each patient is in each sample.
    """

    def __init__(self, patient: Sequence[str], samples: int = SAMPLES, seed: int = 0) -> None:
        names, self._patient = np.unique(np.asarray(patient, dtype=str), return_inverse=True)
        self.patients = len(names)
        self.counts = _draws(self.patients, samples, seed)

    def sums(self, features: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Sums of the rows' features in every sample: ``(samples, f)`` for features ``(n, f)``.

        Args:
            rows: ``(n,)`` bool, the rows that count; all when None.
        """
        patient = self._patient if rows is None else self._patient[rows]
        chosen = features if rows is None else features[rows]
        by_patient = np.zeros((self.patients, features.shape[1]))
        np.add.at(by_patient, patient, chosen)
        return self.counts @ by_patient

    def interval(self, values: np.ndarray) -> Interval:
        """The percentile interval of a measure's values in the samples, ``(samples,)``.

        None (NaN) for fewer than two patients or samples, or when too many values are undefined.
        """
        known = values[np.isfinite(values)]
        if self.patients < 2 or len(values) < 2 or len(known) < DEFINED_SHARE * len(values):
            return NO_INTERVAL
        tail = 50 * (1 - CONFIDENCE)
        return Interval(*(float(v) for v in np.percentile(known, [tail, 100 - tail])))


def bootstrap_intervals(
    aligned: Aligned,
    groups: Mapping[object, np.ndarray],
    samples: int = SAMPLES,
    seed: int = 0,
    kappa: bool = True,
) -> dict[tuple[str, object], dict[str, Interval]]:
    """Intervals of all :data:`MEASURES` for each column and each group of rows.

    Args:
        groups: name of a group (a level, ``pooled``) -> ``(n,)`` bool, its rows.
        kappa: with weighted kappa (scores); without it (millimetres) its interval is NaN.

    Returns:
        ``(column, group) -> measure -> interval``.
    """
    resampler = Resampler(aligned.drawn, samples, seed)
    return {
        key: {measure: resampler.interval(values[measure]) for measure in MEASURES}
        for key, values in _values(resampler, aligned, groups, kappa)
    }


def bootstrap_values(
    aligned: Aligned, groups: Mapping[object, np.ndarray], samples: int = SAMPLES, seed: int = 0, kappa: bool = True
) -> Iterator[tuple[tuple[str, object], dict[str, np.ndarray]]]:
    """What :func:`bootstrap_intervals` takes percentiles of: ``(column, group)`` and measure -> ``(samples,)``."""
    return _values(Resampler(aligned.drawn, samples, seed), aligned, groups, kappa)


def _values(resampler: Resampler, aligned: Aligned, groups: Mapping[object, np.ndarray], kappa: bool) -> Iterator:
    for number, column in enumerate(aligned.columns):
        x, y = aligned.x[:, number], aligned.y[:, number]
        features, centre = moment_features(x, y)
        width = features.shape[1]
        if kappa:
            features = np.hstack([features, kappa_features(*_category_numbers(x, y), len(CATEGORIES))])
        for name, rows in groups.items():
            sums = resampler.sums(features, rows)
            values = measures_of_sums(sums[:, :width], centre)
            values["kappa"] = kappa_of_sums(sums[:, width:]) if kappa else np.full(len(sums), NAN)
            yield (column, name), values


def bootstrap_mean(patient: Sequence[str], values: np.ndarray, samples: int = SAMPLES, seed: int = 0) -> Interval:
    """Interval of the mean of ``values``, ``(n,)``, over the rows of resampled patients (``(n,)``, whose row it is)."""
    if not len(values):
        return NO_INTERVAL
    resampler = Resampler(patient, samples, seed)
    sums = resampler.sums(np.column_stack([np.ones(len(values)), values]))
    return resampler.interval(_ratio(sums[:, 1], sums[:, 0]))


# ---- from sums to measures -------------------------------------------------------------------------------------------


def moment_features(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """``(n, 8)`` features whose sums hold every measure but kappa, and the value that was subtracted from x and y.

    The series are centred first: variances are differences of sums, which would lose digits far from zero.
    """
    centre = float(np.concatenate([x, y]).mean()) if x.size else 0.0
    x, y = x - centre, y - centre
    d = y - x
    return np.column_stack([np.ones_like(x), x, y, x * x, y * y, x * y, np.abs(d), d * d]), centre


def measures_of_sums(sums: np.ndarray, centre: float) -> dict[str, np.ndarray]:
    """Every measure but kappa from sums of :func:`moment_features`; values ``(samples,)``, NaN where undefined."""
    n, sx, sy, sxx, syy, sxy, abs_d, dd = sums.T
    bias = _ratio(sy - sx, n)
    mae = _ratio(abs_d, n)
    squares = _variation(dd, n, sy - sx)
    half = LIMITS_FACTOR * np.sqrt(_ratio(squares, n - 1))
    size = sxx + syy
    vx, vy = _variation(sxx, n, sx, size), _variation(syy, n, sy, size)
    vxy = sxy - _ratio(sx * sy, n)
    slope = _ratio(vxy, vx)
    # A constant y has slope 0 exactly; without this the correlation would be rounding divided by rounding.
    slope = np.where((vy == 0) & (vx > 0), 0.0, slope)
    return {
        "mae": mae,
        "sd": np.sqrt(np.maximum(_ratio(dd, n) - mae**2, 0)),
        "bias": bias,
        "limit_low": bias - half,
        "limit_high": bias + half,
        "icc": _icc(n, bias, squares, vx + vy + 2 * vxy, size),
        "r": np.clip(_ratio(vxy, np.sqrt(vx * vy)), -1, 1),
        "slope": slope,
        "intercept": _ratio(sy, n) - slope * _ratio(sx, n) + centre * (1 - slope),
    }


def kappa_features(first: np.ndarray, second: np.ndarray, categories: int, linear: bool = True) -> np.ndarray:
    """``(n, 2 c + 1)`` features of (linearly weighted) kappa from category numbers ``(n,)``, 0 to c - 1."""
    identity = np.eye(categories)
    apart = _disagreement(categories, linear)[first, second]
    return np.hstack([identity[first], identity[second], apart[:, None]])


def kappa_of_sums(sums: np.ndarray, linear: bool = True) -> np.ndarray:
    """Kappa from sums of :func:`kappa_features`: 1 - observed / expected disagreement; NaN where none is expected."""
    categories = (sums.shape[1] - 1) // 2
    rows, columns, apart = sums[:, :categories], sums[:, categories:-1], sums[:, -1]
    expected = ((rows @ _disagreement(categories, linear)) * columns).sum(axis=1)
    return 1 - _ratio(apart * rows.sum(axis=1), expected)


def _disagreement(categories: int, linear: bool) -> np.ndarray:
    numbers = np.arange(categories)
    apart = np.abs(np.subtract.outer(numbers, numbers))
    return (apart if linear else apart > 0).astype(float)


def _category_numbers(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rounded(x) // 5, rounded(y) // 5


def _icc(n, bias, squares, twice_rows, size):
    """ICC(A,1) of two raters; see :func:`.measures.icc_agreement`.

    With two raters the residuals are half the deviations of the differences, and the rows' means half the sums.
    """
    rows = _ratio(twice_rows / 2, n - 1)
    columns = n * bias**2 / 2
    error = _ratio(squares / 2, n - 1)
    below = rows + error + 2 * _ratio(columns - error, n)
    return _ratio(rows - error, np.where(np.abs(below) > _TINY * _ratio(size, n), below, 0.0))


def _variation(squares, n, total, size=None):
    """Sum of squared deviations from the mean; exactly 0 where it is rounding beside ``size``."""
    value = squares - _ratio(total * total, n)
    return np.where(value > _TINY * (squares if size is None else size), value, 0.0)


def _ratio(above, below):
    """``above / below``; NaN where nothing stands below."""
    below = np.asarray(below, float)
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, NAN), where=below > 0)
