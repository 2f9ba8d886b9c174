"""The views of a scored case: layout, names, what they show and where.

The module has slice views of its own and leaves the user's Red, Green and Yellow alone: a coronal and a sagittal view
with the level lines, and one view for each level that shows exactly the slice that is scored. View nodes are made by
Slicer's layout, or here when there is no layout yet (a scene written without the application).
"""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util

from ..levels import Level
from ..scan import CTScan
from .level_display import LEVEL_COLOURS, hexColour

LAYOUT_ID = 5601
LAYOUT_WITH_PROFILE_ID = 5602
"""The same with a plot view on the right."""

CORONAL_VIEW, SAGITTAL_VIEW = "SScILDCoronal", "SScILDSagittal"
COMPARED_VIEWS = (CORONAL_VIEW, SAGITTAL_VIEW)
"""The views that show all five levels at once, as lines."""

LEVEL_VIEWS = tuple(f"SScILDLevel{level:d}" for level in Level)
"""One axial view for each level, L1 first."""

SLICE_VIEWS = (*COMPARED_VIEWS, *LEVEL_VIEWS)
TABLE_VIEW, PLOT_VIEW = "SScILDTable", "SScILDPlot"

VIEW_GROUPS = {name: LAYOUT_ID + n for n, name in enumerate(SLICE_VIEWS)}
"""View groups by view. Linked views, the crosshair and jumps to a clicked place move only views of the same group.

Every view of ours is a group of its own: a level view must stay on its slice, a click on a line's grip must not send
the other overview there, and none may follow the user's views.
"""

_MARGIN = 0.04
"""How much more than the CT a fitted view shows, as a share of its size."""

_LINE_MARGIN = 0.2
"""The same to the sides of the coronal and the sagittal view, where labels and handles of the level lines are."""


# ---- layout ------------------------------------------------------------------------------------------------------


def layoutDescription(profile: bool = False) -> str:
    """The layout as XML for ``vtkMRMLLayoutNode``.

    Coronal and sagittal view on top, the five levels in a row below them, the table at the bottom.

    Args:
        profile: with the plot of scores along the body, to the right of the sagittal view.
    """
    compared = [
        _item(40, _sliceView(CORONAL_VIEW, "Coronal", "C", "#C8C8C8")),
        _item(40, _sliceView(SAGITTAL_VIEW, "Sagittal", "S", "#C8C8C8")),
    ]
    if profile:
        compared.append(_item(32, _otherView("vtkMRMLPlotViewNode", PLOT_VIEW, "P")))
    levels = [
        _item(20, _sliceView(name, "Axial", f"L{level:d}", hexColour(LEVEL_COLOURS[level])))
        for level, name in zip(Level, LEVEL_VIEWS, strict=True)
    ]
    rows = [
        _item(50, _layout("horizontal", compared)),
        _item(32, _layout("horizontal", levels)),
        _item(18, _otherView("vtkMRMLTableViewNode", TABLE_VIEW, "T")),
    ]
    return _layout("vertical", rows)


def registerLayout(layoutNode) -> None:
    """Makes the layouts known to Slicer's layout node, without switching to them.

    Switch with ``slicer.app.layoutManager().setLayout(LAYOUT_ID)``. May be called again.
    """
    for number, profile in ((LAYOUT_ID, False), (LAYOUT_WITH_PROFILE_ID, True)):
        if layoutNode.IsLayoutDescription(number):
            layoutNode.SetLayoutDescription(number, layoutDescription(profile))
        else:
            layoutNode.AddLayoutDescription(number, layoutDescription(profile))


def _layout(direction: str, items: list[str]) -> str:
    return f'<layout type="{direction}" split="true">{"".join(items)}</layout>'


def _item(size: int, content: str) -> str:
    return f'<item splitSize="{size}">{content}</item>'


def _sliceView(name: str, orientation: str, label: str, colour: str) -> str:
    return (
        f'<view class="vtkMRMLSliceNode" singletontag="{name}">'
        f'<property name="orientation" action="default">{orientation}</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{colour}</property>'
        f'<property name="viewgroup" action="default">{VIEW_GROUPS[name]}</property></view>'
    )


def _otherView(className: str, name: str, label: str) -> str:
    return (
        f'<view class="{className}" singletontag="{name}">'
        f'<property name="viewlabel" action="default">{label}</property></view>'
    )


# ---- nodes -------------------------------------------------------------------------------------------------------


def levelView(level: Level | int) -> str:
    """The name of a level's view."""
    return LEVEL_VIEWS[Level(level) - 1]


def viewNodeID(name: str) -> str:
    """The ID of the slice node of one of our views, whether or not it exists yet."""
    return f"vtkMRMLSliceNode{name}"


def sliceNode(scene, name: str):
    """The ``vtkMRMLSliceNode`` of one of our views, in its own view group; made when the scene has none yet."""
    node = scene.GetSingletonNode(name, "vtkMRMLSliceNode") or _newSliceNode(scene, name)
    if node.GetViewGroup() != VIEW_GROUPS[name]:  # a scene file keeps only whether there was one
        node.SetViewGroup(VIEW_GROUPS[name])
    return node


def _newSliceNode(scene, name: str):
    if not _hasOrientations(scene):
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    node = scene.CreateNodeByClass("vtkMRMLSliceNode")
    node.SetName(name)
    node.SetLayoutName(name)
    node.SetSingletonTag(name)
    made = scene.AddNode(node)
    node.UnRegister(None)
    orientation = {CORONAL_VIEW: "Coronal", SAGITTAL_VIEW: "Sagittal"}.get(name, "Axial")
    made.SetOrientation(orientation)
    if name in LEVEL_VIEWS:
        level = Level(LEVEL_VIEWS.index(name) + 1)
        made.SetLayoutLabel(f"L{level:d}")
        made.SetLayoutColor(*LEVEL_COLOURS[level])
    else:
        made.SetLayoutLabel(orientation[0])
    return made


def compositeNode(scene, name: str):
    """The ``vtkMRMLSliceCompositeNode`` of one of our views (which volumes it shows); made when there is none yet."""
    node = scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLSliceCompositeNode")
        node.SetName(f"{name} composite")
        node.SetLayoutName(name)
        node.SetSingletonTag(name)
        made = scene.AddNode(node)
        node.UnRegister(None)
        node = made
    return node


def _hasOrientations(scene) -> bool:
    default = scene.GetDefaultNodeByClass("vtkMRMLSliceNode")
    return default is not None and default.GetNumberOfSliceOrientationPresets() > 0


# ---- what they show ----------------------------------------------------------------------------------------------


def showVolume(scene, volumeNode, scan: CTScan) -> None:
    """Shows a CT in all our slice views and fits them; overlays of another CT go.

    The views then ignore the toolbars' choice of volumes, as each has its own overlay.

    Args:
        volumeNode: the CT's volume node; None empties the views.
        scan: the CT, for its place in the world.
    """
    volumeID = volumeNode.GetID() if volumeNode is not None else None
    for name in SLICE_VIEWS:
        composite = compositeNode(scene, name)
        composite.SetDoPropagateVolumeSelection(False)
        if composite.GetBackgroundVolumeID() != volumeID:
            composite.SetForegroundVolumeID(None)
            composite.SetLabelVolumeID(None)
        composite.SetBackgroundVolumeID(volumeID)
    if volumeNode is None:
        return
    for name in LEVEL_VIEWS:
        _placeOnSlice(sliceNode(scene, name), scan, (scan.slice_count - 1) // 2)
    fitViews(scene, scan)


def showLevel(scene, level: Level | int, scan: CTScan, k: int) -> None:
    """Puts a level's view exactly on one slice of the CT.

    The view's plane holds all voxel centres of the slice, also in an oblique, permuted or tilted scan. The patient's
    right is on the left of the picture and the front on top. Zoom and pan of the view stay as they are.

    Args:
        k: canonical index of the slice, see :class:`~SScILDScoringLib.scan.CTScan`.

    Raises:
        ScanError: the scan has no such slice.
    """
    scan.axial_slice(k)
    _placeOnSlice(sliceNode(scene, levelView(level)), scan, k)


def fitViews(scene, scan: CTScan) -> None:
    """Centres all our slice views on the CT and shows all of it.

    Level views keep their slice. The coronal view goes through the middle of the CT, the sagittal one through the
    middle of its right half, where the right lung and the dome of its diaphragm are. Both stand upright on the CT's
    slices, so that level lines are horizontal in a tilted scan too.
    """
    corners, axes, size = _corners(scan), sliceAxes(scan), np.array(scan.shape[::-1])
    left, front, up = axes.T
    for name, across, through, share in (
        (CORONAL_VIEW, left, front, (0.5, 0.5, 0.5)),
        (SAGITTAL_VIEW, -front, left, (0.28, 0.5, 0.5)),
    ):
        matrix = np.stack([across, up, through], axis=1)
        node = sliceNode(scene, name)
        placeView(node, matrix, scan.ras_at(size * share - 0.5))
        fitView(node, np.ptp(corners @ matrix, axis=0) * (1 + _LINE_MARGIN, 1 + _MARGIN, 1))
    for name in LEVEL_VIEWS:
        node = sliceNode(scene, name)
        shown = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        k = scan.index_at(shown[:3, 3])[2]
        placeView(node, axes, scan.ras_at((*(size[:2] - 1) / 2, k)))
        fitView(node, np.ptp(corners @ axes, axis=0) * (1 + _MARGIN))


def sliceOfView(scene, level: Level | int, scan: CTScan) -> int:
    """The canonical index of the slice that a level's view shows now (the nearest one, within the scan)."""
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode(scene, levelView(level)).GetSliceToRAS())
    return int(np.clip(np.rint(scan.index_at(matrix[:3, 3])[2]), 0, scan.slice_count - 1))


def sliceAxes(scan: CTScan) -> np.ndarray:
    """Directions of the axial slices in RAS, as a 3x3 matrix of perpendicular unit columns.

    Column 0 is the direction of a slice's rows (to the patient's left), column 1 lies in the slice too (to the front),
    column 2 is the slice's normal (to the head).
    """
    rows, columns = scan.ras_from_index[:3, 0], scan.ras_from_index[:3, 1]
    normal = np.cross(rows, columns)
    normal = normal * np.sign(normal @ scan.ras_from_index[:3, 2])
    x, z = rows / np.linalg.norm(rows), normal / np.linalg.norm(normal)
    y = np.cross(z, x)
    return np.stack([x, y if y @ columns < 0 else -y, z], axis=1)


def _placeOnSlice(node, scan: CTScan, k: int) -> None:
    axes = sliceAxes(scan)
    normal, centre = axes[:, 2], slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3]
    target = scan.ras_at(((scan.shape[2] - 1) / 2, (scan.shape[1] - 1) / 2, k))
    placeView(node, axes, centre + ((target - centre) @ normal) * normal)


def placeView(node, axes: np.ndarray, centre: np.ndarray) -> None:
    """Turns a view to ``axes`` (3x3, columns right, up, normal, RAS) around ``centre`` (RAS, mm)."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = centre
    wasModifying = node.StartModify()
    node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
    node.UpdateMatrices()
    node.EndModify(wasModifying)


def fitView(node, size: np.ndarray) -> None:
    """Sets the field of view so that ``size`` (mm along the view's axes: width, height) fits, pixels staying square."""
    width, height, _ = node.GetDimensions()
    scale = max(size[0] / max(width, 1), size[1] / max(height, 1))
    node.SetFieldOfView(max(width, 1) * scale, max(height, 1) * scale, node.GetFieldOfView()[2])


def _corners(scan: CTScan) -> np.ndarray:
    """The eight outer corners of the CT in RAS, shape (8, 3)."""
    size = scan.shape[::-1]
    index = np.array([[(-0.5, n - 0.5)[bit >> a & 1] for a, n in enumerate(size)] for bit in range(8)])
    return np.array([scan.ras_at(i) for i in index])
