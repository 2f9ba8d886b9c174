"""A slice with known disease, and how scores follow from masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def scores_from_masks(lung: np.ndarray, ground_glass: np.ndarray, reticulation: np.ndarray) -> tuple[float, ...]:
    """TOT, GG and RET in percent of the lung area (method.md section 1); TOT is the union of both patterns.

    Args:
        lung, ground_glass, reticulation: bool ``(y, x)``, as they lie after every warp. Patterns outside the lung do
            not count. A slice without lung scores 0, 0, 0.
    """
    area = int(np.count_nonzero(lung))
    if area == 0:
        return 0.0, 0.0, 0.0
    ground_glass = ground_glass & lung
    reticulation = reticulation & lung
    counts = (np.count_nonzero(m) for m in (ground_glass | reticulation, ground_glass, reticulation))
    return tuple(100.0 * int(c) / area for c in counts)


@dataclass(frozen=True, eq=False)
class SyntheticSlice:
    """A slice and its truth.

    Args:
        hu: int16 HU ``(y, x)``.
        ground_glass, reticulation: bool masks inside the lung; they may overlap.
        lung: bool; without what synthesis consolidated.
        body: bool, inside of the body.
        spacing_mm: pixel size ``(y, x)``.
        name: the background's name.
    """

    hu: np.ndarray
    ground_glass: np.ndarray
    reticulation: np.ndarray
    lung: np.ndarray
    body: np.ndarray
    spacing_mm: tuple[float, float]
    name: str = ""

    @property
    def scores(self) -> tuple[float, float, float]:
        """TOT, GG, RET in percent, exact from the masks."""
        return scores_from_masks(self.lung, self.ground_glass, self.reticulation)
