"""Thresholded heat maps and lungs as segments on the CT's grid, and lungs out of a user's segmentation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import slicer
import slicer.util
import vtk

from ..scan import CTScan
from ..scores import PATTERNS, Pattern
from .errors import SceneError
from .labelmaps import (
    BINARY,
    fileShape,
    labelmapOfArray,
    labelmapOfPlanes,
    labelmapOfSegment,
    labelmapOfVolume,
    onFileGrid,
    segmentsAsVoxels,
    setReferenceGeometry,
)
from .volumes import worldFromVoxels

if TYPE_CHECKING:
    from ..heatmaps import HeatMaps
    from ..lungs import LungMask

RIGHT, LEFT = 1, 2
"""Labels of the patient's right and left lung, as in :class:`~SScILDScoringLib.lungs.LungMask`."""

_LUNG_SEGMENTS = {RIGHT: ("RightLung", "Right lung", "#7fb2e5"), LEFT: ("LeftLung", "Left lung", "#e5b27f")}


# ---- thresholded heat maps -----------------------------------------------------------------------------------------


def thresholdSegmentation(
    scene,
    node,
    scan: CTScan,
    volumeNode,
    maps: Sequence[HeatMaps],
    thresholds: Mapping[Pattern, float],
    slice_indices: Sequence[int],
) -> slicer.vtkMRMLSegmentationNode:
    """The lung below each pattern's threshold as segments TOT, GG and RET, each level's area on its own slice only.

    Args:
        scene: where the segmentation goes.
        node: an earlier segmentation to update, or None for a new one. Its three segments are replaced, what the user
            has corrected in them too; other segments and the display stay.
        scan, volumeNode: the CT; the segmentation takes its geometry (in the world) and can be edited on it.
        maps: heat maps of the levels, L1 first.
        thresholds: percentage points by pattern; a pattern without one has an empty segment.
        slice_indices: canonical indices of the levels' slices, L1 first.

    Returns:
        The segmentation node.

    Raises:
        ValueError: not one slice for each map.
        ScanError: the scan has no such slice.
    """
    if len(maps) != len(slice_indices):
        raise ValueError(f"{len(maps)} maps of {len(slice_indices)} slices")
    labelmaps = {}
    for pattern in PATTERNS:
        planes: dict[int, np.ndarray] = {}
        if pattern in thresholds:
            for one, k in zip(maps, slice_indices, strict=True):
                scan.file_slice(k)  # refuses a slice that is not there
                area = one.area_below(pattern, thresholds[pattern])
                planes[k] = planes[k] | area if k in planes else area
        labelmaps[pattern] = labelmapOfPlanes(scan, planes)
    if node is None:
        node = _newSegmentation(scene, scan, volumeNode, "heat-map areas")
        display = node.GetDisplayNode()
        display.SetOpacity2DFill(0.2)
        display.SetOpacity2DOutline(1.0)
        display.SetVisibility3D(False)  # five thin sheets tell nothing in a 3D view
    modifying = node.StartModify()
    for pattern, labelmap in labelmaps.items():
        _putSegment(node, pattern, labelmap)
        value = thresholds.get(pattern)
        node.SetAttribute(f"SScILD.threshold.{pattern.value}", None if value is None else repr(float(value)))
    node.EndModify(modifying)
    return node


def _putSegment(node, pattern: Pattern, labelmap) -> None:
    """Gives a pattern's segment these voxels; makes it when the segmentation has none."""
    from ..report.colours import PATTERN_COLOURS

    segmentation = node.GetSegmentation()
    if segmentation.GetSegment(pattern.name) is None:
        name = f"{pattern.name}, {pattern.title}"
        segmentation.AddEmptySegment(pattern.name, name, _rgb(PATTERN_COLOURS[pattern]))
    if labelmap is None:
        segmentation.ClearSegment(pattern.name)
    else:
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetBinaryLabelmapToSegment(labelmap, node, pattern.name, logic.MODE_REPLACE)


# ---- lungs ---------------------------------------------------------------------------------------------------------


def lungSegmentation(scene, scan: CTScan, lungs: LungMask, volumeNode) -> slicer.vtkMRMLSegmentationNode:
    """A lung mask as segments "Right lung" and "Left lung" on the CT's geometry, hidden until somebody shows it.

    Args:
        scene: where the segmentation goes.
        scan, volumeNode: the CT.
        lungs: the mask on the scan's canonical grid.

    Raises:
        ScanError: the mask does not have the scan's size.
    """
    scan.to_file_order(lungs.labels)  # a view; refuses another size
    node = _newSegmentation(scene, scan, volumeNode, "lungs")
    labelmap = labelmapOfVolume(scan, lungs.labels)
    for label, (segmentID, name, colour) in _LUNG_SEGMENTS.items():
        # Lungs do not overlap: both are values of one label map, which halves memory.
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetColor(*_rgb(colour))
        segment.SetLabelValue(label)
        segment.AddRepresentation(BINARY, labelmap)
        node.GetSegmentation().AddSegment(segment, segmentID)
    display = node.GetDisplayNode()
    display.SetOpacity2DFill(0.15)
    display.SetVisibility3D(False)
    display.SetVisibility(False)
    return node


def lungsOfSegmentation(node, scan: CTScan, segmentIds: Sequence[str] | None = None) -> np.ndarray:
    """Lungs that the user has, as labels on the scan's grid for :func:`~SScILDScoringLib.lungs.lungs_from_labels`.

    The segmentation may have any geometry, also below a linear transform: every voxel of the scan takes the label of
    the voxel that its centre lies in. The node is not changed.

    Args:
        node: a segmentation (of voxels or surfaces), or a volume of labels (0 = background).
        scan: the CT.
        segmentIds: the segments to take. When None those that are named lung or lobe; all when none is.

    Returns:
        uint8 ``(z, y, x)`` in canonical order: 1 = right lung, 2 = left lung where the segments' names (or their
        terminology) tell the side of every one; a volume of exactly two labels gives 1 for the smaller and 2 for the
        larger one; else 1 everywhere.

    Raises:
        SceneError: the node holds no labels, or none where the scan is.
    """
    if node is None:
        raise SceneError("Choose a segmentation of the lungs, or none.")
    if node.IsA("vtkMRMLSegmentationNode"):
        labels = _labelsOfSegments(node, scan, segmentIds)
    elif node.IsA("vtkMRMLScalarVolumeNode"):
        labels = _labelsOfVolume(node, scan)
    else:
        raise SceneError(f"{node.GetName()} is neither a segmentation nor a label volume; choose another lung mask.")
    if not labels.any():
        raise SceneError(
            f"{node.GetName()} has no segmented voxel where the CT lies. Choose a lung segmentation of this CT."
        )
    return labels


def _labelsOfSegments(node, scan: CTScan, segmentIds: Sequence[str] | None) -> np.ndarray:
    segmentation = node.GetSegmentation()
    known = list(segmentation.GetSegmentIDs())
    chosen = list(segmentIds) if segmentIds is not None else lungSegments(segmentation)
    missing = [one for one in chosen if one not in known]
    if missing:
        raise SceneError(f"{node.GetName()} has no segment {', '.join(missing)}; choose among its segments.")
    if not chosen:
        raise SceneError(f"{node.GetName()} has no segments. Segment the lungs first, or choose no lung mask.")
    sides = {one: _side(segmentation.GetSegment(one)) for one in chosen}
    told = all(sides.values())
    toWorld = _transformToWorld(node)
    if not segmentation.ContainsRepresentation(BINARY):
        segmentation = segmentsAsVoxels(segmentation, chosen, scan, toWorld)
        if segmentation is None:
            raise SceneError(
                f"{node.GetName()} cannot be turned into voxels. Export it as a label map and choose that."
            )
    labels = np.zeros(fileShape(scan), np.uint8)
    for one in chosen:
        mask = onFileGrid(labelmapOfSegment(segmentation, one), scan, toWorld)
        for plane, new in zip(labels, mask, strict=True):
            plane[(new != 0) & (plane == 0)] = sides[one] if told else 1
    return np.ascontiguousarray(scan.from_file_order(labels))


def _labelsOfVolume(node, scan: CTScan) -> np.ndarray:
    image = node.GetImageData()
    if image is None or not image.GetNumberOfPoints() or image.GetNumberOfScalarComponents() != 1:
        raise SceneError(f"{node.GetName()} is no volume of labels; choose a lung segmentation of this CT.")
    array = slicer.util.arrayFromVolume(node)
    values = np.unique(array)
    whole = bool(np.isfinite(values).all()) and bool((values == np.rint(values)).all())
    if not whole or values[0] < 0 or len(values) > 256:
        raise SceneError(
            f"{node.GetName()} holds values from {values[0]:g} to {values[-1]:g}: an image, no labels. "
            "Choose a lung segmentation of this CT."
        )
    present = values[values != 0]
    labels = (array != 0).astype(np.uint8)
    if len(present) == 2:
        labels[array == present[1]] = 2
    found = onFileGrid(labelmapOfArray(labels, worldFromVoxels(node)), scan)
    return np.ascontiguousarray(scan.from_file_order(found))


def _transformToWorld(node) -> np.ndarray:
    """4x4 matrix of the transforms above a segmentation.

    Raises:
        SceneError: one of them bends space.
    """
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise SceneError(
            f"{node.GetName()} is deformed by the transform {parent.GetName()!r}. Harden the transform on it, or take "
            "it out of the transform."
        )
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


# ---- what segments are called --------------------------------------------------------------------------------------

_LUNG_WORDS = {"lung", "lungs", "lobe", "lobes", "lul", "lll", "rul", "rml", "rll"}
_OTHER_WORDS = {
    *("vessel", "vessels", "nodule", "nodules", "tumor", "tumour", "mass", "lesion", "lesions", "airway", "airways"),
    *("bronchus", "bronchi", "trachea", "opacity", "consolidation", "infiltrate", "effusion", "liver", "thyroid"),
    *("brain", "temporal", "frontal", "parietal", "occipital", "cerebellum"),
}


def lungSegments(segmentation) -> list[str]:
    """IDs of the segments that are a lung or a lobe of one by their names; of all segments when no name tells."""
    known = list(segmentation.GetSegmentIDs())
    words = {one: _words(segmentation.GetSegment(one)) for one in known}
    return [one for one in known if words[one] & _LUNG_WORDS and not words[one] & _OTHER_WORDS] or known


def _side(segment) -> int:
    """RIGHT or LEFT as the segment's name or terminology says, 0 when neither or both."""
    words = _words(segment)
    right = bool(words & {"right", "r", "rul", "rml", "rll"})
    left = bool(words & {"left", "l", "lul", "lll"})
    return 0 if right == left else RIGHT if right else LEFT


def _words(segment) -> set[str]:
    """The words of a segment's name (``RightLung``, ``lung_upper_lobe_left``) and of its terminology, in lower case."""
    text = segment.GetName() or ""
    entry = vtk.reference("")
    if segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), entry):
        # context~category~type~modifier~...; type and modifier are scheme^code^meaning.
        text = " ".join([text, *(part.split("^")[-1] for part in str(entry).split("~")[2:4])])
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()))


def _newSegmentation(scene, scan: CTScan, volumeNode, kind: str) -> slicer.vtkMRMLSegmentationNode:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{volumeNode.GetName()} {kind}")
    node.SetSourceRepresentationToBinaryLabelmap()
    node.CreateDefaultDisplayNodes()
    # The grid is the CT's in the world: transforms above the CT are in it, the segmentation itself is below none.
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    setReferenceGeometry(node.GetSegmentation(), scan.ras_from_file_index, fileShape(scan))
    return node


def _rgb(colour: str) -> tuple[float, float, float]:
    return tuple(int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
