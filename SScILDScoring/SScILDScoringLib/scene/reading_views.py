"""The views of a reader study: one slice large, the level lines beside it, and the reference atlas on request.

Scores are read in one axial view with the coronal and the sagittal view at its side. Heat maps are rated with the bare
slice on the left and the same slice with the map on the right. Either can have the atlas's three examples in a column.
"""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util

from ..scan import CTScan
from . import views

READING_VIEW, MAP_VIEW = "SScILDReading", "SScILDReadingMap"
ATLAS_VIEWS = ("SScILDAtlas1", "SScILDAtlas2", "SScILDAtlas3")
"""From the least to the most extensive example."""

_SCORES, _SCORES_ATLAS, _MAPS, _MAPS_ATLAS = 5611, 5612, 5613, 5614
LAYOUT_IDS = (_SCORES, _SCORES_ATLAS, _MAPS, _MAPS_ATLAS)

_GROUPS = {name: 5621 + n for n, name in enumerate((READING_VIEW, MAP_VIEW, *ATLAS_VIEWS))}
_LABELS = {READING_VIEW: "CT", MAP_VIEW: "CT + map"}
_MARGIN = 0.03


def layoutFor(maps: bool, atlas: bool) -> int:
    """The number of the layout.

    Args:
        maps: for the rating of heat maps. atlas: with the reference atlas.
    """
    return LAYOUT_IDS[2 * bool(maps) + bool(atlas)]


def layoutDescription(maps: bool, atlas: bool) -> str:
    """A layout as XML for ``vtkMRMLLayoutNode``; arguments as in :func:`layoutFor`."""
    strip = "".join(_item(33, _view(name)) for name in ATLAS_VIEWS)
    middle = _item(20, f'<layout type="vertical" split="true">{strip}</layout>') if atlas else ""
    lines = _item(50, _compared(views.CORONAL_VIEW, "Coronal")) + _item(50, _compared(views.SAGITTAL_VIEW, "Sagittal"))
    if maps:
        content = _item(40, _view(READING_VIEW)) + _item(40, _view(MAP_VIEW)) + middle
    else:
        content = _item(50, _view(READING_VIEW)) + middle
        content += _item(30, f'<layout type="vertical" split="true">{lines}</layout>')
    return f'<layout type="horizontal" split="true">{content}</layout>'


def registerLayouts(layoutNode) -> None:
    """Makes the layouts known to Slicer's layout node, without switching to them. May be called again."""
    for maps in (False, True):
        for atlas in (False, True):
            number, description = layoutFor(maps, atlas), layoutDescription(maps, atlas)
            if layoutNode.IsLayoutDescription(number):
                layoutNode.SetLayoutDescription(number, description)
            else:
                layoutNode.AddLayoutDescription(number, description)


def sliceNode(scene, name: str):
    """The ``vtkMRMLSliceNode`` of one of the views of this file; made when the scene has none yet."""
    node = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
    if node is None:
        if scene.GetDefaultNodeByClass("vtkMRMLSliceNode") is None:
            slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
        node = scene.CreateNodeByClass("vtkMRMLSliceNode")
        node.SetName(name)
        node.SetLayoutName(name)
        node.SetSingletonTag(name)
        made = scene.AddNode(node)
        node.UnRegister(None)
        node = made
        node.SetLayoutLabel(_LABELS.get(name, "E"))
    if node.GetViewGroup() != _GROUPS[name]:  # linked views and jumps must not move these
        node.SetViewGroup(_GROUPS[name])
    return node


def showVolumeIn(scene, name: str, volumeNode) -> None:
    """Shows a volume alone in one view, or nothing when None; the toolbars' choice of volumes does not change it."""
    composite = views.compositeNode(scene, name)
    composite.SetDoPropagateVolumeSelection(False)
    composite.SetForegroundVolumeID(None)
    composite.SetForegroundOpacity(0.0)
    composite.SetLabelVolumeID(None)
    composite.SetBackgroundVolumeID(volumeNode.GetID() if volumeNode is not None else None)


def showCase(scene, volumeNode, scan: CTScan, k: int) -> None:
    """Shows a CT in the reading views and in those with the level lines, all of it, on one slice.

    Args:
        k: canonical index of the slice.
    """
    views.showVolume(scene, volumeNode, scan)
    for name in (READING_VIEW, MAP_VIEW):
        showVolumeIn(scene, name, volumeNode)
    fitSlices(scene, scan, k)


def emptyViews(scene) -> None:
    """Takes the CT, and what lies over it, out of all views of this file and of :mod:`.views`."""
    views.showVolume(scene, None, None)
    for name in (*views.SLICE_VIEWS, READING_VIEW, MAP_VIEW):
        showVolumeIn(scene, name, None)


def showSlice(scene, scan: CTScan, k: int) -> None:
    """Puts the reading views exactly on one slice of the CT; zoom and pan stay.

    Raises:
        ScanError: the scan has no such slice.
    """
    scan.axial_slice(k)
    axes = views.sliceAxes(scan)
    target = scan.ras_at(((scan.shape[2] - 1) / 2, (scan.shape[1] - 1) / 2, k))
    for name in (READING_VIEW, MAP_VIEW):
        node = sliceNode(scene, name)
        centre = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3]
        views.placeView(node, axes, centre + ((target - centre) @ axes[:, 2]) * axes[:, 2])


def fitSlices(scene, scan: CTScan, k: int) -> None:
    """Shows the whole of one slice in the reading views."""
    axes = views.sliceAxes(scan)
    _z, y, x = scan.shape
    corners = np.array([scan.ras_at((i, j, k)) for i in (-0.5, x - 0.5) for j in (-0.5, y - 0.5)])
    for name in (READING_VIEW, MAP_VIEW):
        node = sliceNode(scene, name)
        views.placeView(node, axes, scan.ras_at(((x - 1) / 2, (y - 1) / 2, k)))
        views.fitView(node, np.ptp(corners @ axes, axis=0)[:2] * (1 + _MARGIN))


def sliceShown(scene, scan: CTScan) -> int:
    """Canonical index of the slice that the reading view shows (the nearest one, within the scan)."""
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode(scene, READING_VIEW).GetSliceToRAS())
    return int(np.clip(np.rint(scan.index_at(matrix[:3, 3])[2]), 0, scan.slice_count - 1))


def _item(size: int, content: str) -> str:
    return f'<item splitSize="{size}">{content}</item>'


def _view(name: str) -> str:
    label = _LABELS.get(name, "E")
    return _sliceView(name, "Axial", label, _GROUPS[name])


def _compared(name: str, orientation: str) -> str:
    return _sliceView(name, orientation, orientation[0], views.VIEW_GROUPS[name])


def _sliceView(name: str, orientation: str, label: str, group: int) -> str:
    return (
        f'<view class="vtkMRMLSliceNode" singletontag="{name}">'
        f'<property name="orientation" action="default">{orientation}</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">#C8C8C8</property>'
        f'<property name="viewgroup" action="default">{group}</property></view>'
    )
