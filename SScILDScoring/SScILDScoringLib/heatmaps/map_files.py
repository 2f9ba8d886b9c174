"""Heat maps as image files that lie on the CT in any viewer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SettingsError
from ..files import replacing
from ..levels import Level
from ..scan import CTScan
from ..scores import PATTERNS
from .maps import HeatMaps


def write_heat_maps(
    maps: Sequence[HeatMaps], scan: CTScan, slice_indices: Sequence[int], folder: str | Path
) -> list[Path]:
    """Writes ``level_1_tot.nrrd`` ... ``level_5_ret.nrrd``: compressed NRRD, float32 percentage points.

    Args:
        maps: five heat maps, L1 first.
        scan: the scan they belong to.
        slice_indices: canonical indices of the five slices.

    Returns:
        The files written.

    Raises:
        SettingsError: the folder cannot be written.
    """
    files = []
    for level, k, one in zip(Level, slice_indices, maps, strict=True):
        for pattern in PATTERNS:
            path = Path(folder) / f"level_{level:d}_{pattern.value}.nrrd"
            with replacing(path) as temporary:
                try:
                    sitk.WriteImage(slice_image(one.of(pattern), scan, k), str(temporary), True)
                except RuntimeError as error:
                    raise SettingsError(f"{path} cannot be written; is the disk full?") from error
            files.append(path)
    return files


def slice_image(values: np.ndarray, scan: CTScan, k: int) -> sitk.Image:
    """An image of one axial slice on the file's own grid, at its place in the file's world coordinates.

    Voxel (i, j) of the image is voxel (i, j) of the file's slice: an axis that the file stores backwards or at another
    place is stored so here, too, and the axial axis has one voxel.

    Args:
        values: ``(y, x)`` in canonical orientation, of a type that images can hold.
        scan: the scan.
        k: canonical index of the axial slice.

    Raises:
        ValueError: ``values`` do not have the size of the scan's slices.
    """
    if values.shape != scan.shape[1:]:
        raise ValueError(f"values have the shape {values.shape}, the scan's slices {scan.shape[1:]}")
    axes = scan.file_axes
    stored = values[None]
    # Numpy axes (z, y, x) are the canonical axes (2, 1, 0).
    for a in (0, 1):
        if axes.reversed[a]:
            stored = np.flip(stored, 2 - a)
    order = [2 - axes.axis.index(b) for b in (2, 1, 0)]
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.transpose(stored, order)))
    first = [0.0, 0.0, 0.0, 1.0]
    first[scan.file_slice_axis] = float(scan.file_slice(k))
    lps_from_file = scan.lps_from_index @ axes.canonical_from_file()
    steps = lps_from_file[:3, :3]
    spacing = np.linalg.norm(steps, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((steps / spacing).ravel().tolist())
    image.SetOrigin((lps_from_file @ first)[:3].tolist())
    return image
