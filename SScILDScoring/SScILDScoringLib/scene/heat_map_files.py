"""Heat maps from files, as :func:`~SScILDScoringLib.heatmaps.map_files.write_heat_maps` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..scan import CTScan, FileAxes, canonical_axes, in_canonical_order
from .errors import SceneError

_SAME_PLACE = 0.25
"""Voxels by which a map may lie beside its slice: files round."""


def readHeatMap(path: str | Path, scan: CTScan, k: int, name: str) -> np.ndarray:
    """The values of a heat map's file in the orientation of the scan's slices.

    Args:
        path: an image with one voxel along the body. scan: the CT it belongs to. k: canonical index of its slice.
        name: what messages call the map; they must not name a file.

    Returns:
        float32 percentage points, shape ``(y, x)``.

    Raises:
        SceneError: the file is missing or is no image, or it does not lie exactly on that slice.
    """
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise SceneError(f"{name} cannot be read. Tell the person who runs the study.") from error
    wrong = SceneError(f"{name} does not lie on its slice of the CT. Tell the person who runs the study.")
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise wrong
    array = sitk.GetArrayFromImage(image)
    axis, backwards = canonical_axes(np.reshape(image.GetDirection(), (3, 3)))
    values = in_canonical_order(array, FileAxes(axis, backwards, array.shape[::-1]))
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    expected = ((scan.shape[2] - 1) / 2, (scan.shape[1] - 1) / 2, k)
    found = scan.index_at((-middle[0], -middle[1], middle[2]))
    if values.shape != (1, *scan.shape[1:]) or np.abs(np.asarray(found) - expected).max() > _SAME_PLACE:
        raise wrong
    return np.ascontiguousarray(values[0], np.float32)
