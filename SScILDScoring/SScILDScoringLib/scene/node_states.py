"""Telling whether a node has changed since something was computed from it."""

from __future__ import annotations

from weakref import WeakValueDictionary

import vtk

from .volumes import scanFromVolume

# Scans that somebody still holds, by the state of their volume: reading one copies all of its voxels.
_scans: WeakValueDictionary = WeakValueDictionary()


def volumeState(volumeNode) -> tuple:
    """Plain values that change whenever a volume's voxels or its place in the world change."""
    image = volumeNode.GetImageData()
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    chain, transform = [], volumeNode.GetParentTransformNode()
    while transform is not None:
        chain.append((transform.GetID(), transform.GetTransformToParent().GetMTime()))
        transform = transform.GetParentTransformNode()
    elements = tuple(matrix.GetElement(row, column) for row in range(4) for column in range(4))
    return volumeNode.GetID(), _pixelTime(image), elements, tuple(chain)


def contentState(node) -> tuple | None:
    """Plain values that change whenever a segmentation's or a label volume's content changes; None for no node."""
    if node is None:
        return None
    if node.IsA("vtkMRMLSegmentationNode"):
        return node.GetID(), node.GetSegmentation().GetMTime()
    return volumeState(node)


def scanOfVolume(volumeNode):
    """The CT of a volume node as the science layer knows it, read once while it does not change.

    Raises:
        SceneError: the volume cannot be scored; see :func:`~.volumes.scanFromVolume`.
    """
    key = volumeState(volumeNode)
    scan = _scans.get(key)
    if scan is None:
        scan = _scans[key] = scanFromVolume(volumeNode)
    return scan


def _pixelTime(image) -> int | None:
    """Modification time of the voxels; VTK's times are unique in a process, so it also tells two images apart."""
    if image is None:
        return None
    scalars = image.GetPointData().GetScalars()
    return max(image.GetMTime(), scalars.GetMTime() if scalars is not None else 0)
