"""Adding up what the patches of a heat map changed."""

from __future__ import annotations

import numpy as np

from ..scores import PATTERNS


class MapSums:
    """Adds up what the patches changed, and divides by how many covered each pixel.

    Args:
        lung: boolean ``(y, x)``.
    """

    def __init__(self, lung: np.ndarray) -> None:
        self.lung = lung
        self.patches = 0
        self._sums = np.zeros((len(PATTERNS), *lung.shape))
        self._counts = np.zeros(lung.shape, np.int32)

    def add(self, rows: slice, columns: slice, covers: np.ndarray, change: np.ndarray) -> None:
        """Adds the ``change (3,)`` of one patch to the pixels of its window that it ``covers``."""
        self._sums[:, rows, columns] += change[:, None, None] * covers
        self._counts[rows, columns] += covers
        self.patches += 1

    @property
    def covered(self) -> np.ndarray:
        """Boolean ``(y, x)``: pixels that a patch covered so far."""
        return self._counts > 0

    def means(self) -> np.ndarray:
        """The maps so far: float32 ``(3, y, x)``, 0 where nothing was covered."""
        return (self._sums / np.maximum(self._counts, 1)).astype(np.float32)
