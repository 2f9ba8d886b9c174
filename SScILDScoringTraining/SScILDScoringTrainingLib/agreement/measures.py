"""How well two series agree: plain functions on arrays; every definition is that of method.md section 6.

Series are ``(n,)`` numbers: percent of lung area, or millimetres. NaN stands for what is not defined (one case,
series without any variation); nothing here raises for small or degenerate data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.scores import rounded

CATEGORIES = list(range(0, 101, 5))
LIMITS_FACTOR = 1.96
CORRECTIONS = {"bonferroni": "bonf", "holm": "holm", "fdr": "fdr_bh"}
"""Corrections for several tests, with pingouin's names (fdr: Benjamini and Hochberg 1995)."""
NAN = float("nan")
_TINY = 1e-9
"""Variation below this share of the values' size is rounding, not variation."""


class Limits(NamedTuple):
    """Bias (mean of second - first) with the 95 % limits of agreement, in the series' unit."""

    bias: float
    low: float
    high: float


class Line(NamedTuple):
    """Regression of the second series on the first, with Pearson's correlation."""

    slope: float
    intercept: float
    r: float


class ErrorTests(NamedTuple):
    """Two raters' absolute errors compared: mean difference (second - first) and two-sided p-values."""

    n: int
    difference: float
    wilcoxon_p: float
    t_p: float


def absolute_error(truth: Sequence[float], answer: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (ddof 0) of the absolute error; NaN without any row."""
    errors = np.abs(np.subtract(*_pair(truth, answer)))
    return (float(errors.mean()), float(errors.std())) if errors.size else (NAN, NAN)


def limits_of_agreement(first: Sequence[float], second: Sequence[float]) -> Limits:
    """Bias and 95 % limits of agreement: bias ± 1.96 SD of the differences (Bland and Altman 1986).

    As there, this SD is that of a sample (ddof 1), so the limits of a single pair are NaN.
    """
    x, y = _pair(first, second)
    if not x.size:
        return Limits(NAN, NAN, NAN)
    bias = float((y - x).mean())
    half = LIMITS_FACTOR * float((y - x).std(ddof=1)) if x.size > 1 else NAN
    return Limits(bias, bias - half, bias + half)


def weighted_kappa(truth: Sequence[float], answer: Sequence[float]) -> float:
    """Linearly weighted Cohen's kappa of scores rounded to 5 %, over the fixed 21 categories 0, 5, ..., 100.

    NaN without rows, and when both series are one and the same single category, where kappa is not defined.
    """
    first, second = (rounded(values) for values in _pair(truth, answer))
    return category_kappa(first, second, CATEGORIES, "linear")


def category_kappa(
    first: Sequence, second: Sequence, categories: Sequence[object], weights: str | None = None
) -> float:
    """Cohen's kappa over a fixed list of categories (scikit-learn's).

    Args:
        weights: None, ``linear`` or ``quadratic``; by the places of the categories in the list.

    Returns:
        NaN without rows, and when both series are one and the same single category.
    """
    from sklearn.metrics import cohen_kappa_score

    occurring = set(np.asarray(first).tolist()) | set(np.asarray(second).tolist())
    if len(occurring) < 2:
        return NAN
    return float(cohen_kappa_score(first, second, labels=list(categories), weights=weights))


def icc_agreement(*series: Sequence[float]) -> float:
    """ICC(A,1) of two or more raters: single rating, absolute agreement, two-way random effects (McGraw and Wong 1996).

    It is ICC(2,1) of Shrout and Fleiss (1979) and pingouin's "ICC2" / "ICC(A,1)". The closed form stands here because
    pingouin refuses fewer than five ratings and takes 40 ms a call; a test holds both equal.
    NaN for fewer than two cases or when nothing varies.
    """
    table = np.column_stack([np.asarray(s, float) for s in series])
    n, k = table.shape
    if n < 2 or k < 2 or not varies(table):
        return NAN
    mean = table.mean()
    rows = k * ((table.mean(axis=1) - mean) ** 2).sum() / (n - 1)
    columns = n * ((table.mean(axis=0) - mean) ** 2).sum() / (k - 1)
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + mean
    error = (residual**2).sum() / ((n - 1) * (k - 1))
    below = rows + (k - 1) * error + k * (columns - error) / n
    return float((rows - error) / below) if abs(below) > 1e-12 else NAN


def regression_line(first: Sequence[float], second: Sequence[float]) -> Line:
    """Least-squares line of the second series on the first, and Pearson's r (scipy's linregress).

    All NaN for fewer than two rows or a constant first series; r alone is NaN for a constant second one.
    """
    from scipy.stats import linregress

    x, y = _pair(first, second)
    if x.size < 2 or not varies(x):
        return Line(NAN, NAN, NAN)
    if not varies(y):
        return Line(0.0, float(y.mean()), NAN)
    fit = linregress(x, y)
    return Line(float(fit.slope), float(fit.intercept), float(fit.rvalue))


def compare_errors(truth: Sequence[float], first: Sequence[float], second: Sequence[float]) -> ErrorTests:
    """Wilcoxon signed-rank test and paired t-test of two raters' absolute errors on the same rows (scipy's).

    Zero differences are left out of the Wilcoxon test as Wilcoxon (1945) did; the p-value is exact for up to 50
    differences without ties and from the normal approximation otherwise. Equal errors throughout give p = 1; fewer
    than two rows give NaN.
    """
    errors = [np.abs(np.subtract(*_pair(answer, truth))) for answer in (first, second)]
    return compare_paired(*errors)


def compare_paired(first: Sequence[float], second: Sequence[float]) -> ErrorTests:
    """The tests of :func:`compare_errors` on two paired series as they are."""
    from scipy.stats import ttest_rel, wilcoxon

    x, y = _pair(first, second)
    if x.size < 2:
        return ErrorTests(x.size, float((y - x).mean()) if x.size else NAN, NAN, NAN)
    difference = y - x
    # Rounding of the kind 0.1 + 0.2 - 0.3 must make neither a sign nor a rank.
    difference[np.abs(difference) <= _TINY * np.maximum(np.abs(x), np.abs(y))] = 0.0
    if not difference.any():
        return ErrorTests(x.size, 0.0, 1.0, 1.0)
    mean = float(difference.mean())
    t_p = float(ttest_rel(y, x).pvalue) if varies(difference) else 0.0
    return ErrorTests(x.size, mean, float(wilcoxon(difference).pvalue), t_p)


def corrected(p_values: Sequence[float], method: str) -> list[float]:
    """p-values corrected for their number (pingouin's multicomp); NaN stays NaN and does not count.

    Args:
        method: ``bonferroni``, ``holm`` or ``fdr``.

    Raises:
        SettingsError: another method.
    """
    if method not in CORRECTIONS:
        raise SettingsError(f"--correct is one of {', '.join(CORRECTIONS)}, not {method!r}.")
    values = np.asarray(p_values, float)
    known = np.isfinite(values)
    if known.any():
        from pingouin import multicomp

        values = values.copy()
        values[known] = multicomp(values[known], method=CORRECTIONS[method])[1]
    return [float(v) for v in values]


def varies(values: np.ndarray) -> bool:
    """Whether the values differ by more than rounding; False without any value."""
    values = np.asarray(values, float)
    return bool(values.size) and bool(np.ptp(values) > _TINY * max(1.0, float(np.abs(values).max())))


def _pair(first: Sequence[float], second: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(first, float), np.asarray(second, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"two series of the same length are needed, not {x.shape} and {y.shape}")
    return x, y
