"""The linear baseline: scores from 13 numbers about the HU in the lung. What a network has to beat."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

FEATURES = (
    *("mean", "standard deviation", "skewness"),
    *(f"percentile {p}" for p in (5, 25, 50, 75, 90, 95)),
    *("share -850..-700", "share -700..-500", "share -500..-300", "share -300..100"),
)


def hu_features(hu: np.ndarray, lung: np.ndarray) -> np.ndarray:
    """The 13 :data:`FEATURES` of the lung's HU, float64 ``(13,)``; zeros without lung.

    Args:
        hu: ``(y, x)``. lung: bool ``(y, x)``.
    """
    values = np.clip(hu[lung].astype(float), -1024, 200)
    if values.size < 2:
        return np.zeros(len(FEATURES))
    mean, deviation = values.mean(), max(values.std(), 1e-6)
    edges = [-850, -700, -500, -300, 100]
    shares = [((values >= a) & (values < b)).mean() for a, b in itertools.pairwise(edges)]
    skewness = ((values - mean) ** 3).mean() / deviation**3
    return np.array([mean, deviation, skewness, *np.percentile(values, [5, 25, 50, 75, 90, 95]), *shares])


class LinearBaseline:
    """Least squares from standardised features to TOT, GG and RET, answers limited to 0..100."""

    def __init__(self, features: np.ndarray, scores: Sequence[Sequence[float]]) -> None:
        features = np.asarray(features, float)
        self._mean = features.mean(axis=0)
        self._deviation = np.maximum(features.std(axis=0), 1e-6)
        # A little ridge: the shares of HU ranges are nearly a linear combination of the percentiles.
        x = self._design(features)
        self._weights = np.linalg.solve(x.T @ x + 1e-3 * np.eye(x.shape[1]), x.T @ np.asarray(scores, float))

    def _design(self, features: np.ndarray) -> np.ndarray:
        scaled = (np.atleast_2d(features) - self._mean) / self._deviation
        return np.column_stack([np.ones(len(scaled)), scaled])

    def __call__(self, hu: np.ndarray, lung: np.ndarray) -> np.ndarray:
        """TOT, GG, RET in percent ``(3,)`` of a slice with its lung mask."""
        return np.clip(self._design(hu_features(hu, lung))[0] @ self._weights, 0, 100)
