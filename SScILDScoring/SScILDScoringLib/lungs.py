"""Lung masks: of a whole scan in three dimensions, of a single slice, and as given by the user."""

from __future__ import annotations

import numpy as np

from .body import body_mask
from .morphology import closed, components, dilated, smoothed, without_holes

LUNG_BELOW_HU = -350
"""Below this (after slight smoothing) a voxel inside the body is air or aerated lung."""

_GAS_HU = -965  # stomach and bowel gas; aerated lung is denser, even an emphysematous one on the average
_AIRWAY_HU = -900
_LARGEST_AIRWAY_MM2 = 700.0
_SMALLEST_LUNG_MM2 = 100.0
_CLOSING_MM = 9.0


def slice_lung_mask(hu: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Both lungs in a single axial slice, for slices that come without their volume.

    Aerated regions inside the body without bowel gas, trachea and main bronchi; each side closed by 9 mm, so that
    vessels and dense disease inside the lung or along the pleura belong to it. A slice alone cannot tell everything:
    a whole consolidated lobe stays out. For scans use :func:`segment_lungs`.

    Args:
        hu: Hounsfield units ``(y, x)``, canonical or not.
        spacing_mm: pixel size along y and x.

    Returns:
        bool ``(y, x)``; all false when the slice holds no lung.
    """
    hu = np.clip(hu, -1100, 3000).astype(np.int16)
    body = body_mask(hu)
    lung = np.zeros(hu.shape, bool)
    if not body.any():
        return lung
    pixel_mm2 = float(spacing_mm[0] * spacing_mm[1])
    columns = np.flatnonzero(body.any(axis=0))
    middle, width = columns.mean(), columns[-1] - columns[0] + 1
    soft = smoothed(hu)
    labels, counts = components((soft < LUNG_BELOW_HU) & body)
    sides = {-1: lung.copy(), 1: lung.copy()}
    airway = lung.copy()
    for n in np.flatnonzero(counts * pixel_mm2 >= _SMALLEST_LUNG_MM2):
        if n == 0:
            continue
        piece = labels == n
        median = float(np.median(soft[piece]))
        x = float(np.nonzero(piece)[1].mean())
        central = abs(x - middle) < 0.15 * width
        if central and median < _AIRWAY_HU and counts[n] * pixel_mm2 < _LARGEST_AIRWAY_MM2:
            airway |= piece
        elif median > _GAS_HU:
            sides[-1 if x < middle else 1] |= piece
    radius = max(1, round(_CLOSING_MM / float(np.mean(spacing_mm))))
    keep_out = dilated(airway, 2)
    for side in sides.values():
        if side.any():
            lung |= side | (without_holes(closed(side, radius)) & ~keep_out)
    return lung & body
