"""The ratio head: a score as the diseased share of the lung, from two kinds of maps."""

from __future__ import annotations

import torch

LUNG_FLOOR = 0.001
"""Lung area, as a share of the image, at which a score is halved; see :func:`ratio_scores`."""


def ratio_scores(lung: torch.Tensor, patterns: torch.Tensor, floor: float = LUNG_FLOOR) -> torch.Tensor:
    """TOT, GG, RET in percent ``(n, 3)`` from maps in 0..1: ``100 * sum(lung * patterns) / sum(lung)``.

    Computed in float32 whatever the maps' type. So that a slice without lung scores 0 and not the noise of an empty
    map, the quotient is multiplied by ``s^2 / (s^2 + e^2)``, where ``s`` is the lung's area and ``e`` the share
    ``floor`` of the image (1 cell of 32x32): half at ``s = e``, 1 % less at ten times ``e`` (a lung tip of 1 % of the
    image), 0.01 % less at a hundred times.

    Args:
        lung: ``(n, 1, h, w)``, how much a cell is lung.
        patterns: ``(n, 3, h, w)``, which share of the lung in the cell shows the pattern.
    """
    lung, patterns = lung.float(), patterns.float()
    area = lung.sum((2, 3))
    empty = floor * lung.shape[2] * lung.shape[3]
    return 100 * (lung * patterns).sum((2, 3)) * area / (area**2 + empty**2)
