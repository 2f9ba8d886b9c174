"""Heat maps on the CT: volumes of a single slice, shown as the foreground of a slice view, with a legend.

Values are percentage points: below zero where the network found disease, zero where nothing was covered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import slicer
import slicer.util
import vtk

from ..scan import LPS_TO_RAS, CTScan, FileAxes, canonical_axes, in_canonical_order
from .colours import heatMapColours
from .errors import SceneError
from .nodes import nodesOfClass

DEFAULT_WINDOW = 4.0
"""Percentage points at the ends of the colours, as in the report."""

WINDOW_ATTRIBUTE = "SScILD.window"
OVERLAY_ATTRIBUTE = "SScILD.overlay"


def createOverlay(scene, scan: CTScan, k: int, values: np.ndarray, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """A volume of one slice that lies exactly on an axial slice of the scan, in the scene's colours of heat maps.

    Args:
        scene: where the volume goes.
        scan: the CT; the overlay lies at its place in the world, not below a transform.
        k: canonical index of the axial slice.
        values: percentage points, shape ``(y, x)`` of the scan's slices in canonical orientation. What is not a number
            becomes zero: Slicer would draw it in the strongest colour.
        name: of the node.

    Raises:
        ScanError: the scan has no such slice.
        ValueError: ``values`` do not have the size of the scan's slices.
    """
    array, ijkToRas = sliceOnFileGrid(scan, k, values)  # checked before anything is added to the scene
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAttribute(OVERLAY_ATTRIBUTE, "1")
    _setVoxels(node, array, ijkToRas)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(heatMapColours(scene).GetID())
    display.SetInterpolate(False)  # each value stays within its voxel
    setWindow(node, DEFAULT_WINDOW)
    return node


def updateOverlay(node, scan: CTScan, k: int, values: np.ndarray) -> None:
    """Puts other values, or another slice, into an overlay. Arguments and errors as in :func:`createOverlay`."""
    array, ijkToRas = sliceOnFileGrid(scan, k, values)
    _setVoxels(node, array, ijkToRas)


def readOverlay(node) -> np.ndarray:
    """The values of an overlay in canonical orientation: float32 ``(y, x)``. Inverse of :func:`createOverlay`."""
    array = slicer.util.arrayFromVolume(node)
    axis, backwards = canonical_axes(_lpsDirection(node))
    size = tuple(array.shape[2 - axis[a]] for a in range(3))
    return in_canonical_order(array, FileAxes(axis, backwards, size))[0].astype(np.float32)


def sliceOfOverlay(node, scan: CTScan) -> int:
    """Canonical index of the scan's slice on which an overlay lies.

    Raises:
        SceneError: the overlay lies on no slice of this scan.
    """
    ijkToRas = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijkToRas)
    middle = [(n - 1) / 2 for n in node.GetImageData().GetDimensions()]
    position = scan.index_at(ijkToRas.MultiplyPoint((*middle, 1.0))[:3])
    k = round(float(position[2]))
    expected = ((scan.shape[2] - 1) / 2, (scan.shape[1] - 1) / 2, k)
    if not 0 <= k < scan.slice_count or np.abs(position - expected).max() > 0.25:
        raise SceneError(f"{node.GetName()} does not lie on a slice of this scan. Render the heat maps again.")
    return k


def sliceOnFileGrid(scan: CTScan, k: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A canonical slice as the scan's file would hold it.

    Args:
        scan, k, values: as in :func:`createOverlay`.

    Returns:
        float32 array ``(k, j, i)`` of the file with one voxel along the stacking axis, and the 4x4 matrix from its
        index ``(i, j, k, 1)`` to RAS millimetres. Voxel ``(i, j)`` of it is voxel ``(i, j)`` of the file's slice.
    """
    number = scan.file_slice(k)
    values = np.asarray(values, np.float32)
    if values.shape != scan.shape[1:]:
        raise ValueError(f"values have the shape {values.shape}, the scan's slices {scan.shape[1:]}")
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    axes = scan.file_axes
    flipped = values[None, :: -1 if axes.reversed[1] else 1, :: -1 if axes.reversed[0] else 1]
    array = np.transpose(flipped, np.argsort([2 - axes.axis[a] for a in (2, 1, 0)]))
    ijkToRas = scan.ras_from_file_index
    first = np.array([0.0, 0.0, 0.0, 1.0])
    first[scan.file_slice_axis] = number
    ijkToRas[:, 3] = ijkToRas @ first
    return np.ascontiguousarray(array), ijkToRas


# ---- how it is shown -----------------------------------------------------------------------------------------------


def setWindow(node, points: float) -> None:
    """Sets the ends of an overlay's colours to minus and plus ``points`` percentage points; zero stays transparent.

    Raises:
        SceneError: not a positive number.
    """
    if not math.isfinite(points) or points <= 0:
        raise SceneError(f"The window of a heat map is a positive number of percentage points, not {points}.")
    node.SetAttribute(WINDOW_ATTRIBUTE, repr(float(points)))
    display = node.GetDisplayNode()
    modifying = display.StartModify()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(-points, points)
    display.EndModify(modifying)
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    if legend is not None:
        _sizeLegend(node, legend)


def windowOf(node) -> float:
    """The percentage points at the ends of an overlay's colours, as they were set."""
    return float(node.GetAttribute(WINDOW_ATTRIBUTE) or DEFAULT_WINDOW)


def mouseAdjustsCtOnly(scalarBarManager) -> None:
    """Lets Slicer's window/level mouse mode change the CT's grey values below an overlay, never the overlay's colours.

    By itself the mode takes the volume in front, which moves the transparent colours away from zero.

    Args:
        scalarBarManager: of the slice view; in Slicer
            ``sliceView.displayableManagerByClassName("vtkMRMLScalarBarDisplayableManager")``. (The interactor style's
            ``SetActionEnabled`` does not serve: it ignores whether these actions are to be enabled or not.)
    """
    scalarBarManager.SetAdjustForegroundWindowLevelEnabled(False)


def showOverlay(scene, viewName: str, node, opacity: float = 1.0) -> bool:
    """Shows an overlay in front of the CT of one slice view, or nothing in front of it.

    Args:
        scene: the scene with the view.
        viewName: the view's layout name (``SScILDLevel1``).
        node: the overlay; None takes away what is shown.
        opacity: 0 to 1.

    Returns:
        Whether the scene has such a view; without a main window it has none.
    """
    composites = nodesOfClass(scene, "vtkMRMLSliceCompositeNode")
    composite = next((one for one in composites if one.GetLayoutName() == viewName), None)
    if composite is None:
        return False
    # As if the user had chosen the volume: only then does a view look for legends that it has to show or hide.
    flags = composite.GetInteractionFlags()
    modifying = composite.StartModify()
    composite.SetInteractionFlags(flags | composite.ForegroundVolumeFlag)
    composite.SetForegroundVolumeID(node.GetID() if node is not None else None)
    composite.SetForegroundOpacity(min(max(float(opacity), 0.0), 1.0) if node is not None else 0.0)
    composite.Modified()
    composite.EndModify(modifying)
    composite.SetInteractionFlags(flags)
    return True


def addLegend(node, viewNodeIDs: Sequence[str], title: str) -> slicer.vtkMRMLColorLegendDisplayNode:
    """A legend of an overlay's colours; it is drawn where the overlay is shown, and only in the given views.

    Args:
        node: the overlay.
        viewNodeIDs: of the slice views; none means all that show the overlay.
        title: what the colours stand for, such as ``TOT, change in percentage points``.

    Returns:
        The legend's display node, always the same one for an overlay.
    """
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    if legend is None:
        legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node)
    modifying = legend.StartModify()
    legend.SetTitleText(title)
    legend.SetLabelFormat("%g")
    # A flat bar at the bottom, where an axial chest has the table, covers no lung.
    legend.SetOrientation(legend.Horizontal)
    legend.SetPosition(0.5, 0.02)
    _sizeLegend(node, legend)
    for text in (legend.GetTitleTextProperty(), legend.GetLabelTextProperty()):
        text.SetBackgroundColor(0.0, 0.0, 0.0)  # to be read on a bright table, too
        text.SetBackgroundOpacity(0.45)
    legend.SetVisibility(True)
    legend.SetViewNodeIDs(list(viewNodeIDs))
    legend.EndModify(modifying)
    return legend


def _sizeLegend(node, legend) -> None:
    """Numbers without many digits, and a bar so short that they, and the title in their size, stay within the view."""
    even = windowOf(node) % 2 == 0
    legend.SetNumberOfLabels(5 if even else 3)
    legend.SetSize(0.14, 0.33 if even else 0.2)


def _setVoxels(node, array: np.ndarray, ijkToRas: np.ndarray) -> None:
    modifying = node.StartModify()
    slicer.util.updateVolumeFromArray(node, array)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    node.EndModify(modifying)


def _lpsDirection(node) -> np.ndarray:
    ijkToRas = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijkToRas)
    steps = (LPS_TO_RAS @ slicer.util.arrayFromVTKMatrix(ijkToRas))[:3, :3]
    return steps / np.linalg.norm(steps, axis=0)
