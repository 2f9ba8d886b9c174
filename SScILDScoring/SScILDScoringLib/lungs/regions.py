"""Which air in the body is lung, and which lung: topology on the coarse grid."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..errors import ScanError
from ..morphology import box_sum, components, dilated, eroded, opened, smoothed
from .airways import Airways
from .coarse import CoarseScan

RIGHT, LEFT = 1, 2

AIR_BELOW_HU = -350
"""Below this a coarse voxel inside the body is air or aerated lung (half way between lung and soft tissue)."""

_ILL_BELOW_HU = -220  # what hangs together with aerated lung is lung up to here; fat is denser
_DISEASE_BELOW_HU = -200  # mean over about 7 mm: honeycombs and dense networks whose own voxels scatter around it

SMALLEST_LUNGS_ML = 500.0
_SMALLEST_PIECE_ML = 12.0
_GAS_HU = -960
_GAS_MM2 = 80.0
_GAS_IN_TISSUE_SHARE = 0.7
_OTHER_LUNG_SHARE = 0.12
_LARGEST_NECK_MM = 14.0
_SKIN_PIXELS = 2
_THICK_MM = 4.0


def lung_regions(coarse: CoarseScan, airways: Airways) -> np.ndarray:
    """Lung that is not quite airless on the coarse grid: uint8 ``(z, y, x)``, 1 = right, 2 = left.

    The two large airy pieces of the body that are left when trachea and main bronchi are taken out; lungs that touch
    each other are parted where they are thinnest. Smaller pieces are added unless they are gas (stomach, bowel,
    pharynx), which is emptier than any lung. Denser, diseased lung is added where it hangs together with these.

    Raises:
        ScanError: less than half a litre of lung.
    """
    inside = np.empty_like(coarse.body)
    for z in range(len(inside)):
        inside[z] = eroded(coarse.body[z], _SKIN_PIXELS)
        if airways.lumen[z].any():
            inside[z] &= ~dilated(airways.lumen[z], 1)
    air = (coarse.hu < AIR_BELOW_HU) & inside
    _remove_gas(air, inside, coarse, airways)
    _remove_streaks(air, coarse, airways)
    labels, counts = _components3d(air)
    del air
    pieces = _lung_like(coarse, labels, counts)
    if not pieces or counts[pieces].sum() * coarse.voxel_ml < SMALLEST_LUNGS_ML:
        raise ScanError(
            "No lungs were found: the scan holds less than half a litre of aerated lung. "
            "Check that it is a CT of the chest in Hounsfield units."
        )
    box = _bounding_box(labels, pieces)
    cut = labels[box]
    result = np.zeros(labels.shape, np.uint8)
    result[box] = _sides(cut, pieces, counts, coarse.spacing, _middle(coarse, airways) - box[2].start)
    del labels, cut
    _add_dense_disease(result, inside, coarse, airways)
    return result


def _add_dense_disease(lungs: np.ndarray, inside: np.ndarray, coarse: CoarseScan, airways: Airways) -> None:
    """Adds to ``lungs`` what is denser than aerated lung but less dense than fat and hangs together with them."""
    ill = ((coarse.hu < _ILL_BELOW_HU) | _dense_disease(coarse.hu)) & inside & (lungs == 0)
    _remove_streaks(ill, coarse, airways)
    labels, counts = _components3d(ill | (lungs > 0))
    joined = np.zeros(len(counts), bool)
    joined[np.unique(labels[lungs > 0])] = True
    joined[0] = False
    ill &= joined[labels]
    del labels
    if coarse.spacing[0] > _THICK_MM:
        # Half a thick slice of lung, half of something else: at the apex and on top of the diaphragm.
        whole = ill | (lungs > 0)
        ill[1:-1] &= whole[:-2] & whole[2:]
    for z in np.flatnonzero(ill.any(axis=(1, 2))):
        ill[z] = opened(ill[z], 1)  # not the rim of voxels that hold half lung, half wall
    centres = [_mean_x(lungs == side) for side in (RIGHT, LEFT) if (lungs == side).any()]
    middle = int(np.mean(centres)) if len(centres) == 2 else int(_middle(coarse, airways))
    lungs[:, :, :middle][ill[:, :, :middle]] = RIGHT
    lungs[:, :, middle:][ill[:, :, middle:]] = LEFT


def _dense_disease(hu: np.ndarray) -> np.ndarray:
    """Where the surroundings are less dense than fat, although single voxels may not be.

    The mean over 3 x 5 x 5 voxels reaches beyond the lung's border by the box's half width; eroding takes that back.
    """
    result = np.empty(hu.shape, bool)
    sums = [box_sum(hu[z]) for z in (0, 0)]
    for z in range(len(hu)):
        following = box_sum(hu[min(z + 1, len(hu) - 1)])
        near = (sums[0] + sums[1] + following) < 75 * _DISEASE_BELOW_HU
        result[z] = eroded(near, 2)
        sums = [sums[1], following]
    return result


def _remove_gas(air: np.ndarray, inside: np.ndarray, coarse: CoarseScan, airways: Airways) -> None:
    """Takes stomach and bowel gas out of ``air``, and with a wide margin out of ``inside``.

    Gas is empty as the trachea, lies in soft tissue, and well below the carina. A thin wall between stomach and lung is
    lost in thick slices, so that connectedness alone does not part them. A bulla is as empty but lies in lung.
    """
    reference = [coarse.hu[z][core] for z, core in _trachea_cores(airways)]
    reference_hu = float(np.median(np.concatenate(reference))) if reference else -985.0
    emptier_than = min(max(reference_hu + 30, -980.0), -925.0)
    carina = airways.carina if airways.carina is not None else 0.6 * len(air)
    for z in range(max(0, int(carina - 40 / coarse.spacing[0]))):
        if not air[z].any():
            continue
        labels, counts = components((smoothed(coarse.hu[z]) < emptier_than + 15) & air[z])
        for n in np.flatnonzero(counts * coarse.pixel_mm2 >= _GAS_MM2):
            if n == 0:
                continue
            piece = labels == n
            core = eroded(piece, 1)
            if not core.any() or np.median(coarse.hu[z][core]) > emptier_than:
                continue
            ring = dilated(piece, 4) & ~dilated(piece, 2)
            if (coarse.hu[z][ring] > -450).mean() >= _GAS_IN_TISSUE_SHARE:
                air[z] &= ~dilated(piece, 3)
                inside[z] &= ~dilated(piece, 6)


def _trachea_cores(airways: Airways):
    for z in sorted({int(z) for z, _, _ in airways.trachea}):
        core = eroded(airways.lumen[z], 1)
        if core.any():
            yield z, core


def _remove_streaks(air: np.ndarray, coarse: CoarseScan, airways: Airways) -> None:
    """Takes dark streaks from dense contrast or shoulders, thin and above the carina, out of ``air``."""
    carina = airways.carina if airways.carina is not None else 0.6 * len(air)
    radius = max(1, round(3 / coarse.spacing[1]))
    for z in range(int(carina), len(air)):
        if air[z].any():
            air[z] &= dilated(opened(air[z], radius), radius)


def _components3d(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(image, False))
    return labels, np.bincount(labels.ravel())


def _lung_like(coarse: CoarseScan, labels: np.ndarray, counts: np.ndarray) -> list[int]:
    """Labels of the pieces that are lung, the largest first."""
    order = [int(n) for n in np.argsort(counts)[::-1] if n and counts[n] * coarse.voxel_ml >= _SMALLEST_PIECE_ML]
    kept: list[int] = []
    emptier_than = _GAS_HU
    for n in order:
        inside = coarse.hu[labels == n]
        large = not kept or counts[n] >= _OTHER_LUNG_SHARE * counts[kept[0]]
        if np.median(inside) <= (_GAS_HU if large else emptier_than):
            continue
        if not kept:
            # A small piece emptier than nearly all of the large lung is gas even where gas is not read as -1000 HU.
            emptier_than = max(_GAS_HU, float(np.percentile(inside, 10)))
        kept.append(n)
    return kept


def _bounding_box(labels: np.ndarray, pieces: list[int]) -> tuple[slice, slice, slice]:
    wanted = np.zeros(int(labels.max()) + 1, bool)
    wanted[pieces] = True
    mask = wanted[labels]
    box = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box)


def _middle(coarse: CoarseScan, airways: Airways) -> float:
    """The patient's middle along x on the coarse grid: the trachea, or else the body's middle."""
    if airways.trachea:
        return float(np.median([x for _, _, x in airways.trachea]))
    columns = np.flatnonzero(coarse.body.any(axis=(0, 1)))
    return float(columns.mean()) if len(columns) else coarse.hu.shape[2] / 2


def _sides(
    labels: np.ndarray, pieces: list[int], counts: np.ndarray, spacing: tuple[float, float, float], middle: float
) -> np.ndarray:
    """1 and 2 for the right and the left lung among ``pieces`` of ``labels``."""
    result = np.zeros(labels.shape, np.uint8)
    largest = labels == pieces[0]
    second = next((n for n in pieces[1:] if counts[n] >= _OTHER_LUNG_SHARE * counts[pieces[0]]), None)
    halves = None if second is not None else _parted(largest, spacing)
    if halves is not None:
        first, other = halves
    elif second is not None:
        first, other = largest, labels == second
    else:
        first, other = largest, None
    x_first = _mean_x(first)
    if other is None:
        result[first] = RIGHT if x_first < middle else LEFT
    else:
        x_other = _mean_x(other)
        result[first], result[other] = (RIGHT, LEFT) if x_first < x_other else (LEFT, RIGHT)
        middle = (x_first + x_other) / 2
    for n in pieces[1:]:
        piece = labels == n
        if not result[piece].any():
            result[piece] = RIGHT if _mean_x(piece) < middle else LEFT
    return result


def _mean_x(mask: np.ndarray) -> float:
    per_column = mask.sum(axis=(0, 1))
    return float((per_column * np.arange(len(per_column))).sum() / per_column.sum())


def _parted(mask: np.ndarray, spacing: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray] | None:
    """One piece parted into two lungs where it is thinnest, or None when it is one lung only.

    The piece is shrunk step by step until it falls into two large parts that lie side by side; every voxel then goes
    to the part it is nearer to.
    """
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    image.SetSpacing(spacing[::-1])
    depth = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, True, False, True))
    for radius in np.arange(min(spacing) * 1.01, _LARGEST_NECK_MM / 2, min(spacing) / 2):
        labels, counts = _components3d(depth > radius)
        order = np.argsort(counts[1:])[::-1] + 1
        if len(order) < 2 or counts[order[1]] < _OTHER_LUNG_SHARE * counts[order[0]]:
            continue
        cores = [labels == n for n in order[:2]]
        if abs(_mean_x(cores[0]) - _mean_x(cores[1])) * spacing[2] < 60:
            continue
        distances = []
        for core in cores:
            seed = sitk.GetImageFromArray(core.view(np.uint8))
            seed.SetSpacing(spacing[::-1])
            distances.append(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(seed, False, False, True)))
        nearer = distances[0] < distances[1]
        return mask & nearer, mask & ~nearer
    return None
