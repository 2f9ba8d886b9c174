"""Lung masks: of a whole scan in three dimensions, of a single slice, and as given by the user."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..body import body_mask
from ..errors import SettingsError
from ..morphology import box_sum, closed, components, dilated, enlarged, eroded, opened, shrunk, smoothed, without_holes
from ..progress import Progress, part_of, silent
from ..scan import CTScan
from .airways import Airways, trace_airways
from .coarse import CoarseScan, coarse_scan
from .regions import LEFT, RIGHT, lung_regions
from .repair import whole_lungs

METHODS = ("3d", "published_2d")

LUNG_BELOW_HU = -350
"""Below this (after slight smoothing) a voxel inside the body is air or aerated lung."""

_GAS_HU = -965  # stomach and bowel gas; aerated lung is denser, even an emphysematous one on the average
_AIRWAY_HU = -700
_LARGEST_AIRWAY_MM2 = 700.0
_SMALLEST_LUNG_MM2 = 100.0
_CLOSING_MM = 9.0


@dataclass(frozen=True)
class LungMask:
    """The lungs of a scan, on the scan's own canonical grid. Not to be modified.

    Args:
        labels: uint8 ``(z, y, x)``: 1 = the patient's right lung, 2 = the left one, 0 = anything else.
        method: how it was made: ``3d``, ``published_2d``, ``given``, or ``phantom``.
        airways: trachea and bronchi, where they were traced on the way; None otherwise.
    """

    labels: np.ndarray = field(repr=False)
    method: str
    airways: Airways | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.labels.ndim != 3 or self.labels.dtype != np.uint8:
            raise ValueError(f"labels are uint8 (z, y, x), not {self.labels.dtype} with {self.labels.ndim} dimensions")
        view = self.labels.view()
        view.flags.writeable = False
        object.__setattr__(self, "labels", view)

    def mask(self, k: int) -> np.ndarray:
        """Both lungs in axial slice ``k`` (canonical): bool ``(y, x)``."""
        return self.labels[k] > 0

    def side(self, k: int, side: int) -> np.ndarray:
        """One lung (1 = right, 2 = left) in axial slice ``k``: bool ``(y, x)``."""
        return self.labels[k] == side

    def areas(self) -> np.ndarray:
        """Lung pixels of every axial slice, shape ``(z, 2)``: right, left."""
        return np.array([[np.count_nonzero(plane == side) for side in (RIGHT, LEFT)] for plane in self.labels])


def segment_lungs(scan: CTScan, method: str = "3d", progress: Progress = silent) -> LungMask:
    """Both lungs of a scan.

    ``3d``: aerated lung is found on a coarse grid (airways traced and taken out, gas left out, lungs parted), dense
    disease inside it and along the pleura is added (:mod:`.repair`), and the border is drawn anew on the scan's
    own grid. ``published_2d``: the eight steps of the published system (:mod:`.published`), slice by slice.

    Raises:
        ScanError: no lung is found.
        SettingsError: an unknown method.
        Cancelled: by ``progress``.
    """
    if method == "published_2d":
        from .published import published_lungs

        return published_lungs(scan, progress)
    if method != "3d":
        raise SettingsError(f"The lung mask's method is one of {', '.join(METHODS)}, not {method!r}.")

    coarse = coarse_scan(scan, part_of(progress, 0.0, 0.3))
    airways = trace_airways(coarse)
    progress("lungs", 0.35, "Finding the lungs")
    aerated = lung_regions(coarse, airways)
    progress("lungs", 0.45, "Adding dense parts of the lungs")
    lungs = whole_lungs(coarse, airways, aerated)
    labels = _refined(scan, lungs, aerated, airways.lumen, coarse, part_of(progress, 0.5, 1.0))
    progress("lungs", 1.0, "Lungs found")
    return LungMask(labels, "3d", airways)


def _refined(
    scan: CTScan,
    lungs: np.ndarray,
    aerated: np.ndarray,
    lumen: np.ndarray,
    coarse: CoarseScan,
    progress: Progress,
) -> np.ndarray:
    """Coarse masks brought to the scan's grid; where lung meets soft tissue, the scan's own voxels decide."""
    hu, factors = coarse.hu, coarse.factors
    labels = np.zeros(scan.shape, np.uint8)
    occupied = lungs.any(axis=(1, 2))
    slices = np.flatnonzero(occupied)
    if not len(slices):
        return labels
    rows = np.flatnonzero(lungs.any(axis=(0, 2)))
    columns = np.flatnonzero(lungs.any(axis=(0, 1)))
    crop = tuple(
        slice(max(0, hit[0] - 3), min(size, hit[-1] + 4))
        for hit, size in zip((rows, columns), lungs.shape[1:], strict=True)
    )
    f = factors[1]
    full = tuple(slice(c.start * f, c.stop * f) for c in crop)
    shape = tuple(c.stop - c.start for c in full)
    for z in range(max(0, slices[0] - 1), min(len(lungs), slices[-1] + 2)):
        around = slice(max(0, z - 1), z + 2)
        closed_to = enlarged(dilated(lumen[z][crop], 1), f, shape)
        sides = []
        for side in (RIGHT, LEFT):
            here = lungs[z][crop] == side
            near = (lungs[around][(slice(None), *crop)] == side).any(axis=0)
            # Voxels at the lung's border are dense because they hold wall; thicker dense parts are disease or vessel.
            dense = here & (aerated[z][crop] == 0) | opened(here & (hu[z][crop] > LUNG_BELOW_HU), 1)
            sides.append(
                (
                    enlarged(dilated(near, 1) & (lungs[z][crop] != RIGHT + LEFT - side), f, shape) & ~closed_to,
                    enlarged(eroded(here, 1) | dense, f, shape),
                )
            )
        for k in range(z * factors[0], min(scan.slice_count, (z + 1) * factors[0])):
            air = smoothed(np.clip(scan.voxels[k][full], -1100, 3000)) < LUNG_BELOW_HU
            plane = labels[k][full]
            for side, (near, inside) in zip((RIGHT, LEFT), sides, strict=True):
                mask = (air & near) | inside
                plane[mask & (plane == 0)] = side
        if z % 8 == 0:
            progress("lungs", (z - slices[0] + 1) / (len(slices) + 2), "Drawing the lungs' border")
    return labels


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
    inside = eroded(body, 3)
    labels, counts = components((soft < LUNG_BELOW_HU) & inside)
    ill = _ill_lung(hu, spacing_mm) & inside
    sides = {-1: lung.copy(), 1: lung.copy()}
    airway = lung.copy()
    for n in np.flatnonzero(counts * pixel_mm2 >= _SMALLEST_LUNG_MM2):
        if n == 0:
            continue
        piece = labels == n
        median = float(np.median(soft[piece]))
        x = float(np.nonzero(piece)[1].mean())
        small_and_central = abs(x - middle) < 0.15 * width and counts[n] * pixel_mm2 < _LARGEST_AIRWAY_MM2
        if small_and_central and median < _AIRWAY_HU and _in_soft_tissue(soft, piece, spacing_mm):
            airway |= piece
        elif median > _GAS_HU:
            sides[-1 if x < middle else 1] |= piece
    for name, side in sides.items():
        sides[name] = _without_outlying(side)
    radius = max(1, round(_CLOSING_MM / float(np.mean(spacing_mm))))
    keep_out = dilated(airway, 2)
    pieces, _ = components(ill | sides[-1] | sides[1])
    ill &= np.isin(pieces, np.unique(pieces[sides[-1] | sides[1]])) & ~keep_out
    half = np.arange(hu.shape[1]) < middle
    for name, side in sides.items():
        if side.any():
            side |= ill & (half if name < 0 else ~half)
            lung |= side | (without_holes(closed(side, radius)) & ~keep_out)
    return lung & body


def _without_outlying(side: np.ndarray) -> np.ndarray:
    """One side without small pieces beside its largest one: the air between arm and trunk."""
    pieces, counts = components(side)
    if len(counts) < 3:
        return side
    largest = int(np.argmax(counts[1:])) + 1
    columns = (pieces == largest).any(axis=0)
    beside = [n for n in range(1, len(counts)) if not ((pieces == n).any(axis=0) & columns).any()]
    return side & ~np.isin(pieces, [n for n in beside if counts[n] < 0.15 * counts[largest]])


def _ill_lung(hu: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Where a slice is less dense than fat on the average over about 7 mm, or over 1.4 mm: dense diseased lung."""
    factor = max(1, round(1.4 / float(np.mean(spacing_mm))))
    small = shrunk(hu, factor)
    ill = opened((small < -220) | eroded(box_sum(small) < 25 * -200, 2), 1)
    return enlarged(ill, factor, hu.shape)


def _in_soft_tissue(hu: np.ndarray, piece: np.ndarray, spacing_mm: tuple[float, float]) -> bool:
    """Whether a piece of air lies mostly in soft tissue, as an airway outside the lung does."""
    wall = max(2, round(3.0 / float(np.mean(spacing_mm))))
    ring = dilated(piece, 2 * wall) & ~dilated(piece, wall)
    return float((hu[ring] > -450).mean()) >= 0.55


def lungs_from_labels(scan: CTScan, labels: np.ndarray) -> LungMask:
    """A mask given as an array on the scan's canonical grid. See :func:`.given.lungs_from_labels`."""
    from .given import lungs_from_labels as from_labels

    return from_labels(scan, labels)


def load_lung_mask(path: str | Path, scan: CTScan) -> LungMask:
    """A mask given as a label file. See :func:`.given.load_lung_mask`."""
    from .given import load_lung_mask as load

    return load(path, scan)
