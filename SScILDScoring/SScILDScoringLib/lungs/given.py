"""Lung masks that the user brings along: from a segmentation tool or corrected by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import ScanError
from ..scan import CTScan, scan_from_array
from .masks import LungMask
from .regions import LEFT, RIGHT

_SMALLEST_ML = 50.0


def lungs_from_labels(scan: CTScan, labels: np.ndarray) -> LungMask:
    """A mask from an array on the scan's canonical grid.

    Any nonzero value is lung. With exactly two values the one lying more to the patient's right is the right lung;
    with any other number of values (one, or one per lobe) the sides come from the pieces' positions.

    Args:
        labels: shape ``(z, y, x)`` as ``scan.voxels``, integer or boolean.

    Raises:
        ScanError: another shape than the scan's, or hardly any lung (less than 50 ml).
    """
    labels = np.asarray(labels)
    if labels.shape != scan.shape:
        raise ScanError(
            f"The lung mask has {labels.shape[::-1]} voxels along x, y, z, the scan {scan.shape[::-1]}. "
            "Give a mask of this scan."
        )
    columns: dict[int, np.ndarray] = {}
    result = np.zeros(scan.shape, np.uint8)
    for k, plane in enumerate(labels):
        for value in np.unique(plane):
            if value:
                here = plane == value
                result[k][here] = 1
                columns[int(value)] = columns.get(int(value), 0) + here.sum(axis=0)
    total = sum(columns.values(), np.zeros(scan.shape[2]))
    if total.sum() * np.prod(scan.spacing) / 1000 < _SMALLEST_ML:
        raise ScanError("The lung mask is empty, or nearly so, within this scan. Give a mask of this scan.")
    if len(columns) == 2:
        positions = {value: (n * np.arange(len(n))).sum() / n.sum() for value, n in columns.items()}
        right = min(positions, key=positions.get)
        for k, plane in enumerate(labels):
            result[k][plane != 0] = LEFT
            result[k][plane == right] = RIGHT
    else:
        from .published import split_at_the_middle

        split_at_the_middle(result, total)
    return LungMask(result, "given")


def load_lung_mask(path: str | Path, scan: CTScan) -> LungMask:
    """A mask from a label file (NIfTI, NRRD, MHA), brought onto the scan's grid through physical coordinates.

    The file may be cropped, flipped or of another resolution: every voxel of the scan takes the label of the nearest
    voxel of the file.

    Raises:
        ScanError: the file cannot be read, is not three-dimensional, or does not overlap with the scan.
    """
    path = Path(path)
    if not path.is_file():
        raise ScanError(f"The lung mask {path.name} does not exist.")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ScanError(f"The lung mask {path.name} cannot be read; save it as NIfTI or NRRD.") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise ScanError(f"The lung mask {path.name} is not one three-dimensional label image.")
    array = sitk.GetArrayFromImage(image)
    if array.dtype.kind == "f":
        array = np.rint(np.nan_to_num(array))
    if array.min() < 0 or array.max() > 32767:
        raise ScanError(
            f"The lung mask {path.name} holds values from {array.min()} to {array.max()}, which are no labels."
        )
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    mask = scan_from_array(array.astype(np.int16), matrix)
    labels = _nearest(mask, scan)
    if not labels.any():
        raise ScanError(
            f"The lung mask {path.name} does not overlap with the scan: no labelled voxel lies where the scan does. "
            "Is it the mask of another scan?"
        )
    return lungs_from_labels(scan, labels)


def _nearest(mask: CTScan, scan: CTScan) -> np.ndarray:
    """The labels of ``mask`` at the centres of the scan's voxels, nearest neighbour; 0 outside."""
    to_mask = np.linalg.inv(mask.lps_from_index) @ scan.lps_from_index
    depth, height, width = scan.shape
    if np.allclose(to_mask, np.eye(4), atol=1e-3) and mask.shape == scan.shape:
        return mask.voxels
    labels = np.zeros(scan.shape, np.int16)
    y, x = np.mgrid[:height, :width]
    for k in range(depth):
        i, j, s = (np.rint(to_mask[a, 0] * x + to_mask[a, 1] * y + to_mask[a, 2] * k + to_mask[a, 3]) for a in range(3))
        size_z, size_y, size_x = mask.shape
        hit = (i >= 0) & (i < size_x) & (j >= 0) & (j < size_y) & (s >= 0) & (s < size_z)
        labels[k][hit] = mask.voxels[s[hit].astype(int), j[hit].astype(int), i[hit].astype(int)]
    return labels
