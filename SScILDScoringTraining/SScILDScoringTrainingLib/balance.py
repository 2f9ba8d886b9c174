"""Balanced sampling: rare scores are drawn as often as frequent ones (method.md section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def balanced_probabilities(tot: Sequence[float], bin_width: float = 0.0) -> np.ndarray:
    """Probability of every image, inversely proportional to the frequency of its TOT score; they sum to 1.

    Args:
        tot: TOT in percent, one per image.
        bin_width: scores are counted in bins of this width, centred on its multiples (5: a synthetic 12.4 counts as
            10). 0 counts equal scores, which is right for human scores in steps of 5.
    """
    tot = np.asarray(tot, float)
    if tot.ndim != 1 or len(tot) == 0 or not np.isfinite(tot).all():
        raise ValueError("balanced sampling needs at least one finite score per image")
    keys = np.floor(tot / bin_width + 0.5) if bin_width > 0 else tot
    _, index, count = np.unique(keys, return_inverse=True, return_counts=True)
    weights = 1.0 / count[index]
    return weights / weights.sum()
