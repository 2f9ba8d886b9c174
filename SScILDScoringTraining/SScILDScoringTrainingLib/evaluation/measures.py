"""How well two series of scores agree: MAE, linearly weighted kappa, ICC(A,1) (method.md section 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CATEGORIES = list(range(0, 101, 5))


def absolute_error(truth: Sequence[float], answer: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (ddof 0) of the absolute error."""
    errors = np.abs(np.asarray(truth, float) - np.asarray(answer, float))
    return float(errors.mean()), float(errors.std())


def weighted_kappa(truth: Sequence[float], answer: Sequence[float]) -> float:
    """Linearly weighted Cohen's kappa of scores rounded to 5 %, over the fixed 21 categories 0, 5, ..., 100.

    NaN when both series are one and the same single category, where kappa is not defined.
    """
    from sklearn.metrics import cohen_kappa_score

    from SScILDScoringLib.scores import rounded

    first, second = rounded(np.asarray(truth, float)), rounded(np.asarray(answer, float))
    if len(set(first.tolist()) | set(second.tolist())) == 1:
        return float("nan")
    return float(cohen_kappa_score(first, second, labels=CATEGORIES, weights="linear"))


def icc_agreement(truth: Sequence[float], answer: Sequence[float]) -> float:
    """ICC(A,1): single rating, absolute agreement, two-way random effects (McGraw and Wong 1996; pingouin's ICC2).

    NaN for fewer than two cases or when nothing varies.
    """
    table = np.column_stack([np.asarray(truth, float), np.asarray(answer, float)])
    n, k = table.shape
    if n < 2:
        return float("nan")
    mean = table.mean()
    rows = k * ((table.mean(axis=1) - mean) ** 2).sum() / (n - 1)
    columns = n * ((table.mean(axis=0) - mean) ** 2).sum() / (k - 1)
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + mean
    error = (residual**2).sum() / ((n - 1) * (k - 1))
    below = rows + (k - 1) * error + k * (columns - error) / n
    return float((rows - error) / below) if abs(below) > 1e-12 else float("nan")
