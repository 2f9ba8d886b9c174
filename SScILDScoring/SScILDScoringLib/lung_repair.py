"""From aerated lung to the whole lung on the coarse grid: vessels, masses and dense disease belong to it."""

from __future__ import annotations

import numpy as np

from .airways import Airways
from .coarse import CoarseScan
from .morphology import closed, components, dilated, opened, without_holes

RIGHT, LEFT = 1, 2
CLOSING_MM = 10.0
_REACH_MM = 40.0
_CALCIUM_OR_CONTRAST_HU = 160
_FAT_HU = (-140, -35)


def whole_lungs(coarse: CoarseScan, airways: Airways, aerated: np.ndarray) -> np.ndarray:
    """The lungs with what disease, vessels and masses took out of them: uint8 ``(z, y, x)``, 1 = right, 2 = left.

    Three steps, each lung for itself: closing by 10 mm in the axial plane; holes filled unless they are the top of the
    diaphragm (no lung anywhere below); and dense regions with lung above, below and on their inner side within 40 mm
    (:func:`_enclosed`).

    Args:
        aerated: the result of :func:`.lung_regions.lung_regions`.
    """
    result = aerated.copy()
    allowed = coarse.body & ~_widened(airways.lumen, 2)
    radius = max(1, round(CLOSING_MM / coarse.spacing[1]))
    for side in (RIGHT, LEFT):
        mask = aerated == side
        if not mask.any():
            continue
        below = _seen_from_above(mask)
        for z in np.flatnonzero(mask.any(axis=(1, 2))):
            plane = closed(mask[z], radius)
            plane |= _holes_to_fill(plane, mask[z], below[z])
            result[z][plane & allowed[z] & (result[z] == 0)] = side
        extra = _enclosed(result == side, side, coarse) & allowed & (result == 0)
        for z in np.flatnonzero(extra.any(axis=(1, 2))):
            added = opened(extra[z], 2)
            whole = added | (result[z] == side)
            whole |= _holes_to_fill(whole, mask[z], below[z])
            result[z][whole & allowed[z] & (result[z] == 0)] = side
    return result


def _widened(mask: np.ndarray, radius: int) -> np.ndarray:
    wide = np.zeros_like(mask)
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        wide[z] = dilated(mask[z], radius)
    return wide


def _seen_from_above(mask: np.ndarray) -> np.ndarray:
    """Where there is lung somewhere below, in the same column."""
    any_up_to = np.logical_or.accumulate(mask, axis=0)
    below = np.zeros_like(mask)
    below[1:] = any_up_to[:-1]
    return below


def _holes_to_fill(plane: np.ndarray, aerated: np.ndarray, lung_below: np.ndarray) -> np.ndarray:
    """The holes of ``plane`` that are not a diaphragm's top: most of their columns hold lung further down.

    Small holes are filled in any case: vessels.
    """
    holes = without_holes(plane) & ~plane
    if not holes.any():
        return holes
    labels, counts = components(holes)
    supported = np.bincount(labels.ravel(), weights=(lung_below | aerated).ravel())
    fill = supported >= 0.4 * counts
    fill[0] = False
    return fill[labels]


def _enclosed(mask: np.ndarray, side: int, coarse: CoarseScan) -> np.ndarray:
    """Dense tissue that lies in the lung although no slice shows it enclosed: consolidation and masses at the pleura.

    It has this lung above and below it, and either towards the patient's middle (so it is no mediastinum, heart or
    hilum), or in front with no lung to the outer side (dependent consolidation); all within 40 mm. The chest wall
    bulges outwards and so never has lung both above and below; the diaphragm has none below. Fat, bone and contrast
    are left out.
    """
    dz, dy, dx = coarse.spacing
    up = _hit(mask, 0, True, _REACH_MM / dz) & _hit(mask, 0, False, _REACH_MM / dz)
    if not up.any():
        return up
    leftwards, rightwards = (_hit(mask, 2, ahead, _REACH_MM / dx) for ahead in (True, False))
    inner, outer = (leftwards, rightwards) if side == RIGHT else (rightwards, leftwards)
    front = _hit(mask, 1, False, _REACH_MM / dy)
    hu = coarse.hu
    plain = (hu < _CALCIUM_OR_CONTRAST_HU) & ~((hu > _FAT_HU[0]) & (hu < _FAT_HU[1]))
    return up & (inner | (front & ~outer)) & plain


def _hit(mask: np.ndarray, axis: int, ahead: bool, steps: float) -> np.ndarray:
    """Whether ``mask`` is met within ``steps`` voxels when going along ``axis``, forwards or backwards."""
    view = np.flip(mask, axis) if ahead else mask
    size = mask.shape[axis]
    index = np.arange(size, dtype=np.int16).reshape([-1 if a == axis else 1 for a in range(3)])
    last = np.maximum.accumulate(np.where(view, index, np.int16(-30000)), axis=axis)
    met = (index - last) <= np.int16(max(1, round(steps)))
    return np.flip(met, axis) if ahead else met
