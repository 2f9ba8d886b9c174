"""From aerated lung to the whole lung on the coarse grid: vessels, masses and dense disease belong to it."""

from __future__ import annotations

import numpy as np

from ..morphology import closed, components, dilated, opened, without_holes
from .airways import Airways
from .coarse import CoarseScan
from .regions import LEFT, RIGHT

CLOSING_MM = 10.0
_REACH_MM = 40.0
_SHORT_REACH_MM = 25.0
_SMALLEST_DOME_MM2 = 40.0
_SUPPORTED_SHARE = 0.4
_SURROUNDED_SHARE = 0.6
_CALCIUM_OR_CONTRAST_HU = 160
_FAT_HU = (-140, -35)


def whole_lungs(coarse: CoarseScan, airways: Airways, aerated: np.ndarray) -> np.ndarray:
    """The lungs with what disease, vessels and masses took out of them: uint8 ``(z, y, x)``, 1 = right, 2 = left.

    Three steps, each lung for itself: closing by 10 mm in the axial plane; holes filled unless they are the top of the
    diaphragm (no lung anywhere below); and dense regions with lung above, below and on their inner side within 40 mm
    (:func:`_enclosed`).

    Args:
        aerated: the result of :func:`.regions.lung_regions`.
    """
    result = aerated.copy()
    allowed = coarse.body & ~_central_airways(airways.lumen, aerated > 0)
    radius = max(1, round(CLOSING_MM / coarse.spacing[1]))
    smallest_dome = _SMALLEST_DOME_MM2 / coarse.pixel_mm2
    for side in (RIGHT, LEFT):
        mask = aerated == side
        if not mask.any():
            continue
        dome = _domes(mask, smallest_dome)
        result[dome & mask] = 0
        mask &= ~dome
        free = allowed & ~dome
        for z in np.flatnonzero(mask.any(axis=(1, 2))):
            plane = without_holes(closed(mask[z], radius))
            result[z][plane & free[z] & (result[z] == 0)] = side
        extra = _enclosed(result == side, side, coarse) & free & (result == 0)
        for z in np.flatnonzero(extra.any(axis=(1, 2))):
            whole = without_holes(closed(opened(extra[z], 2) | (result[z] == side), radius // 2))
            result[z][whole & free[z] & (result[z] == 0)] = side
    return result


def _central_airways(lumen: np.ndarray, aerated: np.ndarray) -> np.ndarray:
    """The airways that are not lung, with their walls: all but the pieces that aerated lung surrounds on most sides."""
    result = np.zeros_like(lumen)
    for z in np.flatnonzero(lumen.any(axis=(1, 2))):
        labels, counts = components(lumen[z])
        for n in range(1, len(counts)):
            piece = dilated(labels == n, 2)
            ring = dilated(piece, 3) & ~piece
            if aerated[z][ring].mean() < _SURROUNDED_SHARE:
                result[z] |= piece
    return result


def _domes(mask: np.ndarray, smallest: float) -> np.ndarray:
    """The diaphragm's tops: what the lung surrounds in an axial slice and has no lung below, gas in it included.

    Args:
        mask: one aerated lung ``(z, y, x)``.
        smallest: pixels from which a hole counts; smaller ones are vessels.
    """
    result = np.zeros_like(mask)
    lung_below = np.zeros(mask.shape[1:], bool)
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        labels, counts = components(closed(mask[z], 1))
        largest = labels == int(np.argmax(counts[1:])) + 1
        holes, sizes = components(without_holes(largest) & ~largest)
        if len(sizes) > 1:
            supported = np.bincount(holes.ravel(), weights=lung_below.ravel())
            dome = (sizes >= smallest) & (supported < _SUPPORTED_SHARE * sizes)
            dome[0] = False
            result[z] = dome[holes]
        lung_below |= mask[z] & ~result[z]
    return result


def _enclosed(mask: np.ndarray, side: int, coarse: CoarseScan) -> np.ndarray:
    """Dense tissue that lies in the lung although no slice shows it enclosed: consolidation and masses at the pleura.

    It has this lung above and below it and

    * lung towards the patient's middle, so it is no mediastinum, heart or hilum, or
    * lung in front and none to the outer side (dependent consolidation), all within 40 mm, or
    * lung above, below, to the outer side, in front and behind, all within 25 mm (a mass that reaches the hilum).

    The chest wall bulges outwards and so never has lung both above and below; the diaphragm has none below. Fat, bone
    and contrast are left out.
    """
    far = _REACH_MM / np.asarray(coarse.spacing)
    near = _SHORT_REACH_MM / np.asarray(coarse.spacing)
    between = _hit(mask, 0, True, far[0]) & _hit(mask, 0, False, far[0])
    if not between.any():
        return between
    leftwards, rightwards = (_hit(mask, 2, ahead, far[2]) for ahead in (True, False))
    inner, outer = (leftwards, rightwards) if side == RIGHT else (rightwards, leftwards)
    front = _hit(mask, 1, False, far[1])
    result = between & (inner | (front & ~outer))
    result |= (
        _hit(mask, 0, True, near[0])
        & _hit(mask, 0, False, near[0])
        & _hit(mask, 1, True, near[1])
        & _hit(mask, 1, False, near[1])
        & _hit(mask, 2, side == LEFT, near[2])
    )
    hu = coarse.hu
    return result & (hu < _CALCIUM_OR_CONTRAST_HU) & ~((hu > _FAT_HU[0]) & (hu < _FAT_HU[1]))


def _hit(mask: np.ndarray, axis: int, ahead: bool, steps: float) -> np.ndarray:
    """Whether ``mask`` is met within ``steps`` voxels when going along ``axis``, forwards or backwards."""
    view = np.flip(mask, axis) if ahead else mask
    size = mask.shape[axis]
    index = np.arange(size, dtype=np.int16).reshape([-1 if a == axis else 1 for a in range(3)])
    last = np.maximum.accumulate(np.where(view, index, np.int16(-30000)), axis=axis)
    met = (index - last) <= np.int16(max(1, round(steps)))
    return np.flip(met, axis) if ahead else met
