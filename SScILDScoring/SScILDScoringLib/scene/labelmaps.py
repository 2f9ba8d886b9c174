"""Label maps on the CT's grid: canonical arrays as Slicer's oriented images, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..scan import CTScan
from .errors import SceneError

BINARY = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
"""Slicer's name for voxels, in contrast to surfaces, in a segmentation."""


def labelmapOfVolume(scan: CTScan, labels: np.ndarray):
    """Labels ``(z, y, x)`` on the scan's canonical grid as an image on the file's grid, in the world.

    It covers what is not zero; one voxel of zero when all is.
    """
    box = []
    for axis in range(3):
        hit = np.flatnonzero(labels.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append((int(hit[0]), int(hit[-1])) if len(hit) else (0, 0))
    (k0, k1), (j0, j1), (i0, i1) = box
    return _labelmap(scan, labels[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1], (i0, j0, k0))


def labelmapOfPlanes(scan: CTScan, planes: Mapping[int, np.ndarray]):
    """Boolean slices ``(y, x)`` by canonical index as an image on the file's grid; None when nothing is in them."""
    planes = {k: plane for k, plane in planes.items() if plane.any()}
    if not planes:
        return None
    together = np.logical_or.reduce(list(planes.values()))
    rows, columns = (np.flatnonzero(together.any(axis=axis)) for axis in (1, 0))
    i0, i1, j0, j1 = int(columns[0]), int(columns[-1]), int(rows[0]), int(rows[-1])
    k0 = min(planes)
    labels = np.zeros((max(planes) - k0 + 1, j1 - j0 + 1, i1 - i0 + 1), np.uint8)
    for k, plane in planes.items():
        labels[k - k0] = plane[j0 : j1 + 1, i0 : i1 + 1]
    return _labelmap(scan, labels, (i0, j0, k0))


def labelmapOfArray(array: np.ndarray, worldFromVoxels: np.ndarray):
    """A uint8 array ``(k, j, i)`` with its 4x4 matrix from ``(i, j, k, 1)`` to the world, as an oriented image."""
    depth, height, width = array.shape
    return _image(array, (0, width - 1, 0, height - 1, 0, depth - 1), worldFromVoxels)


def labelmapOfSegment(segmentation, segmentID: str):
    """One segment's voxels as 0 and 1, also when it shares its label map with others; None when it has none."""
    segment = segmentation.GetSegment(segmentID)
    shared = segment.GetRepresentation(BINARY)
    if shared is None or shared.IsEmpty():
        return None
    image = slicer.vtkOrientedImageData()
    image.ShallowCopy(shared)
    values = vtk_to_numpy(shared.GetPointData().GetScalars())
    _setScalars(image, (values == segment.GetLabelValue()).astype(np.uint8))
    return image


def segmentsAsVoxels(segmentation, segmentIDs: Sequence[str], scan: CTScan, toWorld: np.ndarray):
    """A copy of a segmentation of surfaces, as voxels on the scan's grid; None when it cannot be made.

    Args:
        toWorld: 4x4 matrix from the segmentation's coordinates to the world.
    """
    copy = slicer.vtkSegmentation()
    copy.SetSourceRepresentationName(segmentation.GetSourceRepresentationName())
    copy.CopyConversionParameters(segmentation)
    for one in segmentIDs:
        copy.CopySegmentFromSegmentation(segmentation, one)
    setReferenceGeometry(copy, np.linalg.inv(toWorld) @ scan.ras_from_index, scan.shape)
    return copy if copy.CreateRepresentation(BINARY, True) else None


def setReferenceGeometry(segmentation, rasFromVoxels: np.ndarray, shape: tuple[int, int, int]) -> None:
    """Tells a segmentation on which grid it is to be edited, made of surfaces and saved; ``shape`` is (k, j, i)."""
    depth, height, width = shape
    converter = slicer.vtkSegmentationConverter
    extent = [0, width - 1, 0, height - 1, 0, depth - 1]
    geometry = converter.SerializeImageGeometry(slicer.util.vtkMatrixFromArray(rasFromVoxels), extent)
    segmentation.SetConversionParameter(converter.GetReferenceImageGeometryParameterName(), geometry)


def onFileGrid(image, scan: CTScan, toWorld: np.ndarray | None = None) -> np.ndarray:
    """The values of a label map at the centres of the scan's voxels, zero outside of it.

    Args:
        image: an oriented image; None stands for an empty one.
        toWorld: 4x4 matrix from the image's coordinates to the world, when it is not there already.

    Returns:
        uint8 ``(k, j, i)`` of the scan's file (see :meth:`~SScILDScoringLib.scan.CTScan.from_file_order`).

    Raises:
        SceneError: VTK refuses the geometry.
    """
    if image is None:
        return np.zeros(fileShape(scan), np.uint8)
    depth, height, width = shape = fileShape(scan)  # on the file's grid a segmentation of this CT is only copied
    reference = slicer.vtkOrientedImageData()
    reference.SetExtent(0, width - 1, 0, height - 1, 0, depth - 1)
    reference.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(scan.ras_from_file_index))
    if toWorld is not None:
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        placed = slicer.vtkOrientedImageData()
        placed.ShallowCopy(image)
        placed.SetGeometryFromImageToWorldMatrix(
            slicer.util.vtkMatrixFromArray(toWorld @ slicer.util.arrayFromVTKMatrix(matrix))
        )
        image = placed
    resampled = slicer.vtkOrientedImageData()
    if not slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        image, reference, resampled
    ):
        raise SceneError("The lung segmentation cannot be brought onto the CT's grid. Choose another one.")
    return vtk_to_numpy(resampled.GetPointData().GetScalars()).reshape(shape).astype(np.uint8, copy=False)


def fileShape(scan: CTScan) -> tuple[int, int, int]:
    """Numbers of voxels along the file's own k, j, i."""
    axes = scan.file_axes
    return tuple(axes.size[axes.axis.index(b)] for b in (2, 1, 0))


def _labelmap(scan: CTScan, part: np.ndarray, first: tuple[int, int, int]):
    """Part of a canonical array, from index ``first`` (i, j, k) on, as an image on the file's grid."""
    axes = scan.file_axes
    backwards = tuple(slice(None, None, -1 if axes.reversed[a] else 1) for a in (2, 1, 0))
    stored = np.transpose(part[backwards], np.argsort([2 - axes.axis[a] for a in (2, 1, 0)]))
    extent = [0] * 6
    for a in range(3):
        low, high = first[a], first[a] + part.shape[2 - a] - 1
        if axes.reversed[a]:
            low, high = axes.size[a] - 1 - high, axes.size[a] - 1 - low
        extent[2 * axes.axis[a] : 2 * axes.axis[a] + 2] = low, high
    return _image(stored, tuple(extent), scan.ras_from_file_index)


def _image(array: np.ndarray, extent: tuple[int, ...], worldFromVoxels: np.ndarray):
    image = slicer.vtkOrientedImageData()
    image.SetExtent(extent)
    _setScalars(image, np.ascontiguousarray(array).ravel())
    image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(worldFromVoxels))
    return image


def _setScalars(image, values: np.ndarray) -> None:
    scalars = numpy_to_vtk(values, deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
