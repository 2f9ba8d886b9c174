"""What S-Net is trained towards where a slice has masks: areas of lung and patterns as they lie after augmentation."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as functional

from ..slice_data import GROUND_GLASS, LUNG, RETICULATION
from ..transforms import warp_masks

BITS = (LUNG, GROUND_GLASS | RETICULATION, GROUND_GLASS, RETICULATION)


def warped_areas(flags: np.ndarray, matrix: np.ndarray, size: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Lung, TOT, GG and RET seen through ``matrix``: areas, and the shares of each cell of a coarse grid they cover.

    A pixel counts with the share of it that is covered, so the patterns, which lie in the lung, never exceed it.

    Args:
        flags: packed masks, uint8 ``(y, x)``.
        matrix, size: as for :func:`..transforms.warp_slice`.
        cells: cells of the grid along each side; 0 for none.

    Returns:
        ``(4,)`` in pixels of the ``size`` by ``size`` slice, and float32 ``(4, cells, cells)``, 0..1.
    """
    present = [n for n, bit in enumerate(BITS) if (flags & bit).any()]
    # Most slices lack a pattern: only what is there is moved.
    only_one = len(present) == 3 and 0 in present
    if only_one:
        present.remove(1)  # TOT is that one pattern
    area, shares = np.zeros(4), np.zeros((4, cells, cells), np.float32)
    if present:
        step = size // cells if cells else 1
        covered, window = warp_masks(flags, [BITS[n] for n in present], matrix, size, step)
        if cells and covered.size:
            covered = functional.avg_pool2d(torch.from_numpy(covered), step).numpy()
            rows, columns = (slice(part.start // step, part.stop // step) for part in window)
            shares[present, rows, columns] = covered
        area[present] = covered.sum((1, 2), dtype=np.float64) * (step * step)
        if only_one:
            area[1], shares[1] = area[present[-1]], shares[present[-1]]
    return area, shares
