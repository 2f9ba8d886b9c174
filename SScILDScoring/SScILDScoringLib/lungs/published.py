"""The lung mask of the published segmentation system: eight steps on every axial slice (method.md section 7, D)."""

from __future__ import annotations

import numpy as np

from ..errors import ScanError
from ..morphology import closed, components, eroded, without_holes
from ..progress import Progress, silent
from ..scan import CTScan
from .masks import LungMask
from .regions import LEFT, RIGHT, SMALLEST_LUNGS_ML

THRESHOLD_HU = -400
EROSION_PIXELS = 2
CLOSING_PIXELS = 10


def published_slice_mask(hu: np.ndarray) -> np.ndarray:
    """The eight steps on one slice: bool ``(y, x)``.

    Binarise, clear what touches the border, label, keep the two largest pieces, erode by 2 pixels, close by 10 pixels,
    fill holes; superimposing (the eighth) is up to the caller. The source does not give the threshold; -400 HU is
    ours. As published it includes the trachea where that is among the two largest, and loses dense disease at the
    pleura.

    Args:
        hu: Hounsfield units ``(y, x)``.
    """
    labels, counts = components(np.asarray(hu) < THRESHOLD_HU)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        counts[np.unique(edge)] = 0
    counts[0] = 0
    kept = np.zeros(len(counts), bool)
    kept[np.argsort(counts)[-2:]] = True
    kept &= counts > 0
    # Disks, as in the source, are approximated by octagons.
    return without_holes(closed(eroded(kept[labels], EROSION_PIXELS), CLOSING_PIXELS))


def published_lungs(scan: CTScan, progress: Progress = silent) -> LungMask:
    """The published mask of every slice; the pieces on either side of the middle are called right and left.

    Raises:
        ScanError: no lung is found.
        Cancelled: by ``progress``.
    """
    labels = np.zeros(scan.shape, np.uint8)
    per_column = np.zeros(scan.shape[2])
    for k in range(scan.slice_count):
        mask = published_slice_mask(scan.voxels[k])
        labels[k] = mask
        per_column += mask.sum(axis=0)
        if k % 8 == 0:
            progress("lungs", k / scan.slice_count, "Finding the lungs slice by slice")
    if per_column.sum() * np.prod(scan.spacing) / 1000 < SMALLEST_LUNGS_ML:
        raise ScanError(
            "No lungs were found by the published two-dimensional method: less than half a litre. "
            "Check that the scan is a CT of the chest, or use the method 3d."
        )
    split_at_the_middle(labels, per_column)
    progress("lungs", 1.0, "Lungs found")
    return LungMask(labels, "published_2d")


def split_at_the_middle(labels: np.ndarray, per_column: np.ndarray) -> None:
    """Calls every piece of a slice right (1) or left (2) by the side of the middle most of it lies on, in place.

    Args:
        labels: uint8 ``(z, y, x)``, nonzero where there is lung.
        per_column: lung voxels of every column x; the middle is where half of them lie on either side.
    """
    share = np.cumsum(per_column) / per_column.sum()
    middle = int(np.searchsorted(share, 0.5))
    for plane in labels:
        if not plane.any():
            continue
        pieces, counts = components(plane > 0)
        on_right = np.bincount(pieces[:, :middle].ravel(), minlength=len(counts))
        for n in range(1, len(counts)):
            piece = pieces == n
            share_right = on_right[n] / counts[n]
            if 0.2 < share_right < 0.8 and counts[n] > 400:  # both lungs in one piece
                plane[:, :middle][piece[:, :middle]] = RIGHT
                plane[:, middle:][piece[:, middle:]] = LEFT
            else:
                plane[piece] = RIGHT if share_right >= 0.5 else LEFT
