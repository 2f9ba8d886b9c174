"""A CT volume node as the science layer's :class:`~SScILDScoringLib.scan.CTScan`, and back.

A volume node keeps what a file had: its own index order and an IJK-to-RAS matrix, whose columns need not be
perpendicular (a tilted gantry). Above it there may be transforms. A scan read here lies in world coordinates, where
the user sees it.
"""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk

from ..errors import ScanError
from ..scan import LPS_TO_RAS, CTScan, scan_from_array
from .errors import SceneError

_HOUNSFIELD_UNIT = "[hnsf'U]"
_SMALLEST_VOLUME = 1e-3
"""Of the box that three unit vectors along the axes span; below it the axes lie in one plane."""


def scanFromVolume(volumeNode) -> CTScan:
    """The CT of a scalar volume node, in world coordinates.

    Voxels are copied: what happens to the node later does not change the scan. Linear parent transforms, also nested,
    are applied to the geometry; voxels are never resampled. A transform may shear or scale.

    Args:
        volumeNode: ``vtkMRMLScalarVolumeNode`` with one component and Hounsfield units.

    Returns:
        The scan; its identity holds the node's ``name`` and, when it came from DICOM, ``instance_uids``.

    Raises:
        SceneError: no CT volume, no voxels, values that are not numbers, or a transform that is not linear; the
            sentence says what to do.
    """
    _checkKind(volumeNode)
    name = volumeNode.GetName() or "The volume"
    matrix = worldFromVoxels(volumeNode)
    try:
        return scan_from_array(
            slicer.util.arrayFromVolume(volumeNode),
            LPS_TO_RAS @ matrix,
            identity=_identity(volumeNode),
        )
    except ScanError as error:
        raise SceneError(f"{name} cannot be scored. {error}") from error


def volumeFromScan(scan: CTScan, name: str, scene=None):
    """A new ``vtkMRMLScalarVolumeNode`` with the scan's voxels as the file had them, shown in the lung window.

    Args:
        scan: voxels are copied, in the file's own index order and with the file's IJK-to-RAS matrix.
        name: of the node.
        scene: ``slicer.mrmlScene`` when None.
    """
    scene = scene if scene is not None else slicer.mrmlScene
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(scan.ras_from_file_index))
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(scan.to_file_order(scan.voxels)))
    node.CreateDefaultDisplayNodes()
    showLungWindow(node)
    return node


def showLungWindow(volumeNode) -> None:
    """Gives a volume node the grey values that the report's pictures have too."""
    from ..report.colours import LUNG_WINDOW

    display = volumeNode.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(*LUNG_WINDOW)


def worldFromVoxels(volumeNode) -> np.ndarray:
    """4x4 matrix from the array index ``(i, j, k, 1)`` of a volume node to world RAS, parent transforms applied.

    Raises:
        SceneError: a parent transform is not linear, or flattens the volume.
    """
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    result = slicer.util.arrayFromVTKMatrix(matrix)
    transform = volumeNode.GetParentTransformNode()
    if transform is not None:
        if not transform.IsTransformToWorldLinear():
            raise SceneError(
                f"{volumeNode.GetName()} is deformed by the transform {transform.GetName()!r}. Harden the transform "
                "(Data module, right click on the volume's transform) and score the volume again."
            )
        transform.GetMatrixTransformToWorld(matrix)
        result = slicer.util.arrayFromVTKMatrix(matrix) @ result
    lengths = np.linalg.norm(result[:3, :3], axis=0)
    if not np.isfinite(result).all() or lengths.min() <= 0:
        flat = True
    else:
        flat = abs(np.linalg.det(result[:3, :3] / lengths)) < _SMALLEST_VOLUME
    if flat:
        raise SceneError(
            f"The geometry of {volumeNode.GetName()} is not usable: its axes lie in one plane. Load the CT again or "
            "remove its transform."
        )
    first = volumeNode.GetImageData().GetExtent()[::2] if volumeNode.GetImageData() is not None else (0, 0, 0)
    return result @ _shift(first)  # after cropping, an image may begin at another voxel than the first


def _checkKind(volumeNode) -> None:
    if volumeNode is None:
        raise SceneError("No volume is chosen; choose a chest CT.")
    if not volumeNode.IsA("vtkMRMLScalarVolumeNode") or volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        raise SceneError(f"{volumeNode.GetName()} is no CT volume; choose a chest CT.")
    image = volumeNode.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None or min(image.GetDimensions()) < 1:
        raise SceneError(f"{volumeNode.GetName()} holds no image; load the CT again.")
    if image.GetNumberOfScalarComponents() != 1:
        raise SceneError(f"{volumeNode.GetName()} is a colour or vector image, no CT; choose a chest CT.")
    units = volumeNode.GetVoxelValueUnits()
    if units is not None and units.GetCodeValue() and units.GetCodeValue() != _HOUNSFIELD_UNIT:
        meaning = units.GetCodeMeaning() or units.GetCodeValue()
        raise SceneError(f"{volumeNode.GetName()} holds values in {meaning}, no Hounsfield units; choose a chest CT.")


def _identity(volumeNode) -> dict[str, object]:
    identity: dict[str, object] = {"name": volumeNode.GetName() or ""}
    uids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    if uids:
        identity["instance_uids"] = tuple(uids)
    return identity


def _shift(index) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = index
    return matrix
