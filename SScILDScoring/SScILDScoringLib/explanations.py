"""The second explanation: the lung and disease maps that a ratio-head network makes its scores of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .scores import PATTERNS, Pattern


@dataclass(frozen=True)
class ExplanationMaps:
    """What a ratio-head S-Net saw in one axial slice; shown beside the replacement heat maps, never instead of them.

    Args:
        lung: float32 ``(y, x)``, 0..1: how much lung the network sees in each pixel.
        patterns: float32 ``(3, y, x)``, 0..1: TOT, GG, RET. The score is the lung-weighted mean of these.
    """

    lung: np.ndarray
    patterns: np.ndarray

    def of(self, pattern: Pattern) -> np.ndarray:
        """The map of one pattern, float32 ``(y, x)``."""
        return self.patterns[PATTERNS.index(pattern)]
