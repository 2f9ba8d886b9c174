# ruff: noqa: E402 - what needs slicer is imported after the check that it is there
"""The module's own views show the CT, the level lines, and exactly the slices that are scored."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

import slicer
import slicer.util
import vtk

from scene_scans import DIRECTIONS, chest, rotation, scan_in
from SScILDScoringLib.errors import ScanError
from SScILDScoringLib.levels import Level
from SScILDScoringLib.scene import views
from SScILDScoringLib.scene.volumes import scanFromVolume, volumeFromScan

USERS_VIEWS = ("Red", "Green", "Yellow")


def sliceToRas(node) -> np.ndarray:
    return slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())


def everything(node) -> str:
    """All that a node says about itself, but for times and counts of references."""
    lines = [node.GetNodeTagName(), *(f"{a}={node.GetAttribute(a)}" for a in node.GetAttributeNames())]
    if node.IsA("vtkMRMLSliceNode"):
        lines += [str(sliceToRas(node)), str(node.GetFieldOfView()), str(node.GetDimensions()), node.GetOrientation()]
    else:
        lines += [f"{get()}" for get in (node.GetBackgroundVolumeID, node.GetForegroundVolumeID)]
        lines += [f"{node.GetForegroundOpacity()}"]
        lines += [str(node.GetLabelVolumeID()), str(node.GetDoPropagateVolumeSelection())]
    return "\n".join(lines)


# ---- layout ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "profile"), [(views.LAYOUT_ID, False), (views.LAYOUT_WITH_PROFILE_ID, True)])
def test_slicer_s_layout_logic_makes_our_views_from_the_description(application, number, profile):
    layout = application.layoutNode
    views.registerLayout(layout)
    views.registerLayout(layout)  # a reloaded module registers again
    layout.SetViewArrangement(number)
    assert layout.GetViewArrangement() == number
    shown = set()
    collection = application.layoutLogic.GetViewNodes()
    for n in range(collection.GetNumberOfItems()):
        shown.add(collection.GetItemAsObject(n).GetID())
    expected = {f"vtkMRMLSliceNode{name}" for name in views.SLICE_VIEWS} | {"vtkMRMLTableViewNodeSScILDTable"}
    assert shown == (expected | {"vtkMRMLPlotViewNodeSScILDPlot"} if profile else expected)

    nodes = {name: application.scene.GetNodeByID(views.viewNodeID(name)) for name in views.SLICE_VIEWS}
    assert [nodes[n].GetOrientation() for n in views.SLICE_VIEWS] == ["Coronal", "Sagittal"] + 5 * ["Axial"]
    assert [nodes[n].GetLayoutLabel() for n in views.SLICE_VIEWS] == ["C", "S", "L1", "L2", "L3", "L4", "L5"]


def test_registering_the_layout_does_not_switch_to_it(application):
    application.layoutNode.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    views.registerLayout(application.layoutNode)
    assert application.layoutNode.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_jumps_in_one_view_reach_none_of_ours_nor_ours_the_user_s(application):
    scan = chest()
    volume = volumeFromScan(scan, "CT")
    own = [application.sliceView(name, "Axial", (200, 200)) for name in USERS_VIEWS]
    views.registerLayout(application.layoutNode)
    application.layoutNode.SetViewArrangement(views.LAYOUT_ID)
    ours = {name: application.sliceView(name, None, (200, 200)) for name in views.SLICE_VIEWS}
    views.showVolume(application.scene, volume, scan)

    def moved(view) -> set[str]:
        """Which views a jump from one view takes along."""
        every = [*own, *ours.values()]
        before = [sliceToRas(v.node) for v in every]
        view.node.JumpAllSlices(view.node.GetScene(), 11, 12, 13, 1, view.node.GetViewGroup(), view.node)
        after = [sliceToRas(v.node) for v in every]
        for v, matrix in zip(every, before, strict=True):
            v.node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
            v.node.UpdateMatrices()
        return {v.layoutName for v, a, b in zip(every, before, after, strict=True) if not np.array_equal(a, b)}

    assert moved(own[0]) == {"Green", "Yellow"}
    assert [moved(view) for view in ours.values()] == 7 * [set()]


@pytest.mark.parametrize("profile", [False, True])
def test_the_layout_has_big_overviews_on_top_and_five_equal_levels_below(profile):
    top, levels, table = ElementTree.fromstring(views.layoutDescription(profile)).findall("item")
    heights = [int(row.get("splitSize")) for row in (top, levels, table)]
    assert heights[0] >= 1.5 * heights[1] > heights[2]
    names = [view.get("singletontag") for row in (top, levels, table) for view in row.iter("view")]
    plot = ["SScILDPlot"] if profile else []
    assert names == ["SScILDCoronal", "SScILDSagittal", *plot, *views.LEVEL_VIEWS, "SScILDTable"]
    assert len({item.get("splitSize") for item in levels.find("layout").findall("item")}) == 1


def test_layout_numbers_are_not_slicer_s_own():
    own = {getattr(slicer.vtkMRMLLayoutNode, n) for n in dir(slicer.vtkMRMLLayoutNode) if n.startswith("SlicerLayout")}
    assert {views.LAYOUT_ID, views.LAYOUT_WITH_PROFILE_ID}.isdisjoint(own)


# ---- nodes without a layout --------------------------------------------------------------------------------------


def test_without_a_layout_the_nodes_are_made_once_and_later_taken_by_it(application):
    made = {name: views.sliceNode(application.scene, name) for name in views.SLICE_VIEWS}
    assert {n.GetID() for n in made.values()} == {views.viewNodeID(name) for name in views.SLICE_VIEWS}
    assert all(views.sliceNode(application.scene, name) is node for name, node in made.items())
    composites = {name: views.compositeNode(application.scene, name) for name in views.SLICE_VIEWS}

    views.registerLayout(application.layoutNode)
    application.layoutNode.SetViewArrangement(views.LAYOUT_ID)
    for name in views.SLICE_VIEWS:
        view = application.sliceView(name)
        assert view.node is made[name]
        assert view.compositeNode is composites[name]


def test_a_bare_scene_gets_views_with_orientations_too():
    scene = slicer.vtkMRMLScene()
    nodes = [views.sliceNode(scene, name) for name in views.SLICE_VIEWS]
    assert [n.GetOrientation() for n in nodes] == ["Coronal", "Sagittal"] + 5 * ["Axial"]
    assert [n.GetLayoutLabel() for n in nodes[2:]] == ["L1", "L2", "L3", "L4", "L5"]


# ---- what they show ----------------------------------------------------------------------------------------------


def test_a_ct_is_shown_in_all_our_views_and_toolbars_leave_them_alone(application):
    scan = chest()
    volume = volumeFromScan(scan, "CT")
    views.showVolume(application.scene, volume, scan)
    other = volumeFromScan(scan, "other CT")
    application.logic.GetSelectionNode().SetActiveVolumeID(other.GetID())
    application.logic.PropagateVolumeSelection()
    for name in views.SLICE_VIEWS:
        composite = views.compositeNode(application.scene, name)
        assert composite.GetBackgroundVolumeID() == volume.GetID()
        assert not composite.GetDoPropagateVolumeSelection()


def test_another_ct_takes_the_overlays_of_the_former_one_away_the_same_ct_does_not(application):
    scan = chest()
    first, second, overlay = (volumeFromScan(scan, name) for name in ("first", "second", "heat map"))
    views.showVolume(application.scene, first, scan)
    composite = views.compositeNode(application.scene, views.LEVEL_VIEWS[2])
    composite.SetForegroundVolumeID(overlay.GetID())
    views.showVolume(application.scene, first, scan)
    assert composite.GetForegroundVolumeID() == overlay.GetID()
    views.showVolume(application.scene, second, scan)
    assert composite.GetForegroundVolumeID() is None
    views.showVolume(application.scene, None, None)
    assert composite.GetBackgroundVolumeID() is None


def test_the_user_s_own_views_are_never_touched(application):
    scan = scan_in("oblique")
    volume = volumeFromScan(scan, "CT")
    own = [application.sliceView(name, "Axial", (200, 200)) for name in USERS_VIEWS]
    nodes = [n for view in own for n in (view.node, view.compositeNode)]
    before = [everything(n) for n in nodes]
    views.registerLayout(application.layoutNode)
    views.showVolume(application.scene, volume, scan)
    views.fitViews(application.scene, scan)
    for level in Level:
        views.showLevel(application.scene, level, scan, 3)
    assert [everything(n) for n in nodes] == before


@pytest.mark.parametrize("arrangement", sorted(DIRECTIONS))
def test_a_level_view_holds_the_voxel_centres_of_its_slice_in_radiological_order(scene, arrangement):
    scan = scan_in(arrangement)
    z, y, x = scan.shape
    views.showVolume(scene, volumeFromScan(scan, "CT"), scan)
    for level, k in ((Level.L1, z - 1), (Level.L3, 5), (Level.L5, 0)):
        views.showLevel(scene, level, scan, k)
        node = views.sliceNode(scene, views.levelView(level))
        rasToSlice = np.linalg.inv(sliceToRas(node))
        for corner in ((0, 0), (x - 1, 0), (0, y - 1), (x - 1, y - 1), (3, 7)):
            assert abs((rasToSlice @ (*scan.ras_at((*corner, k)), 1))[2]) < 1e-9
        right, up, normal = sliceToRas(node)[:3, :3].T
        toLeft, toBack, toHead = scan.ras_from_index[:3, :3].T
        assert right @ toLeft == pytest.approx(np.linalg.norm(toLeft))  # the patient's right is on the picture's left
        assert right[0] < 0
        assert up @ toBack < 0
        assert up[1] > 0
        assert normal @ toHead > 0
        np.testing.assert_allclose(sliceToRas(node)[:3, :3].T @ sliceToRas(node)[:3, :3], np.eye(3), atol=1e-12)
        assert views.sliceOfView(scene, level, scan) == k


@pytest.mark.parametrize("arrangement", sorted(DIRECTIONS))
def test_the_picture_of_a_level_is_the_slice_voxel_by_voxel(application, arrangement):
    """Rendered without interpolation, every voxel of the slice is found where it belongs, and no neighbour's."""
    scan = scan_in(arrangement)
    k, (_, rows, columns) = 7, scan.shape
    volume = volumeFromScan(scan, "CT")
    volume.GetDisplayNode().SetInterpolate(False)
    volume.GetDisplayNode().SetWindowLevelMinMax(-1024, 1500)
    view = application.sliceView(views.levelView(Level.L2), "Axial", (420, 420))
    views.showVolume(application.scene, volume, scan)
    views.showLevel(application.scene, Level.L2, scan, k)
    picture = view.render()[::-1, :, 0].astype(float)
    shown = np.empty((rows, columns))
    for j in range(rows):
        for i in range(columns):
            x, y = view.pixelOf(scan.ras_at((i, j, k)))
            shown[j, i] = picture[round(y), round(x)]
    expected = (scan.axial_slice(k) + 1024.0) / 2524 * 255
    np.testing.assert_allclose(shown, expected, atol=1.5)
    left, right = (view.pixelOf(scan.ras_at((i, 7, k)))[0] for i in (0, columns - 1))
    front, back = (view.pixelOf(scan.ras_at((8, j, k)))[1] for j in (0, rows - 1))
    assert left < right
    assert front > back


def test_a_level_view_shows_the_right_slice_of_a_volume_below_a_transform(application):
    node = volumeFromScan(scan_in("flipped_k"), "CT")
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(0, 17), (5, 6, 70)
    transform = application.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    node.GetDisplayNode().SetInterpolate(False)
    node.GetDisplayNode().SetWindowLevelMinMax(-1024, 1500)
    scan = scanFromVolume(node)
    view = application.sliceView(views.levelView(Level.L4), "Axial", (300, 300))
    views.showVolume(application.scene, node, scan)
    views.showLevel(application.scene, Level.L4, scan, 3)
    picture = view.render()[::-1, :, 0].astype(float)
    for i, j in ((0, 0), (15, 0), (4, 13), (8, 6)):
        x, y = view.pixelOf(scan.ras_at((i, j, 3)))
        assert picture[round(y), round(x)] == pytest.approx((scan.voxels[3, j, i] + 1024) / 2524 * 255, abs=1.5)


def test_showing_a_slice_keeps_zoom_and_pan(application):
    scan = chest()
    views.showVolume(application.scene, volumeFromScan(scan, "CT"), scan)
    node = views.sliceNode(application.scene, views.levelView(Level.L1))
    node.SetFieldOfView(120, 110, 1)
    node.JumpSliceByCentering(40, 20, 0)
    views.showLevel(application.scene, Level.L1, scan, 41)
    assert node.GetFieldOfView()[:2] == (120, 110)
    np.testing.assert_allclose(sliceToRas(node)[:3, 3], (40, 20, scan.mm_of_slice(41)), atol=1e-9)


def test_a_slice_that_is_not_there_is_refused(scene):
    with pytest.raises(ScanError, match="no slice"):
        views.showLevel(scene, Level.L1, chest(), 60)


@pytest.mark.parametrize("arrangement", ["straight", "flipped_all", "permuted_kij", "coronal_stack"])
def test_in_a_scan_along_the_body_axes_the_overviews_are_slicer_s_coronal_and_sagittal(scene, arrangement):
    scan = scan_in(arrangement)
    views.showVolume(scene, volumeFromScan(scan, "CT"), scan)
    orientations = [views.sliceNode(scene, name).GetOrientation() for name in views.SLICE_VIEWS]
    assert orientations == ["Coronal", "Sagittal"] + 5 * ["Axial"]


@pytest.mark.parametrize("arrangement", ["oblique", "oblique_permuted", "tilted", "tilted_flipped"])
def test_in_a_tilted_scan_the_overviews_stand_upright_on_its_slices(scene, arrangement):
    scan = scan_in(arrangement)
    views.showVolume(scene, volumeFromScan(scan, "CT"), scan)
    toLeft, toBack = scan.ras_from_index[:3, :2].T
    for name, along in ((views.CORONAL_VIEW, toLeft), (views.SAGITTAL_VIEW, toBack)):
        right, up, _ = sliceToRas(views.sliceNode(scene, name))[:3, :3].T
        assert up @ toLeft == pytest.approx(0, abs=1e-9)
        assert up @ toBack == pytest.approx(0, abs=1e-9)
        assert up[2] > 0.8
        assert right @ along / np.linalg.norm(along) > 0.95


@pytest.mark.parametrize("size", [(700, 470), (280, 280), (300, 600)])
@pytest.mark.parametrize("arrangement", ["straight", "oblique_permuted", "tilted"])
def test_fitted_views_show_the_whole_ct_and_little_else(application, arrangement, size):
    scan = scan_in(arrangement, size=(30, 30, 30), spacing=(3, 3, 4))
    opened = {name: application.sliceView(name, None, size) for name in views.SLICE_VIEWS}
    views.showVolume(application.scene, volumeFromScan(scan, "CT"), scan)
    for view in opened.values():
        view.node.SetFieldOfView(30, 30, 1)
    views.fitViews(application.scene, scan)
    for name, view in opened.items():
        pixels = []
        for corner in ((a, b, c) for a in (-0.5, 29.5) for b in (-0.5, 29.5) for c in (-0.5, 29.5)):
            pixels.append(view.pixelOf(scan.ras_at(corner)))
        low, high = np.min(pixels, axis=0), np.max(pixels, axis=0)
        assert (low >= -1).all(), name
        assert (high <= np.add(size, 1)).all(), name
        assert max((high - low) / size) > 0.8, name
        width, height, _ = view.node.GetFieldOfView()
        assert width / height == pytest.approx(size[0] / size[1], rel=1e-6)


def test_fitting_keeps_the_slices_of_the_level_views(scene):
    scan = scan_in("oblique")
    views.showVolume(scene, volumeFromScan(scan, "CT"), scan)
    for level, k in zip(Level, (11, 8, 5, 4, 1), strict=True):
        views.showLevel(scene, level, scan, k)
    views.fitViews(scene, scan)
    assert [views.sliceOfView(scene, level, scan) for level in Level] == [11, 8, 5, 4, 1]


def test_the_sagittal_overview_goes_through_the_right_lung(application):
    scan = chest()
    view = application.sliceView(views.SAGITTAL_VIEW, None, (300, 300))
    views.showVolume(application.scene, volumeFromScan(scan, "CT"), scan)
    centre = sliceToRas(view.node)[:3, 3]
    assert centre[0] > 20  # R is positive
    i, j, k = np.rint(scan.index_at(centre)).astype(int)
    assert scan.voxels[k, j, i] == -850


def test_a_scene_saved_without_the_application_opens_with_views_on_the_levels(application, vtk_messages, tmp_path):
    from minimal_application import savedAndLoaded

    scan = scan_in("tilted")
    views.showVolume(application.scene, volumeFromScan(scan, "CT"), scan)
    views.showLevel(application.scene, Level.L3, scan, 4)
    before = sliceToRas(views.sliceNode(application.scene, views.levelView(3)))
    with savedAndLoaded(application, tmp_path) as loaded:
        views.registerLayout(loaded.layoutNode)
        loaded.layoutNode.SetViewArrangement(views.LAYOUT_ID)
        view = loaded.sliceView(views.levelView(3))
        np.testing.assert_allclose(sliceToRas(view.node), before, atol=1e-3)  # a scene file has six digits
        assert view.compositeNode.GetBackgroundVolumeID() == slicer.util.getNode("CT").GetID()
        showing = views.sliceNode(loaded.scene, views.levelView(3))
        assert showing.GetViewGroup() == views.VIEW_GROUPS[views.levelView(3)]
        assert view.render().std() > 10
    # Slicer saves "Reformat" as a rotated view's orientation and complains about it itself when it loads the scene.
    assert all("preset name: Reformat" in message for message in vtk_messages)
    vtk_messages.clear()


def test_view_nodes_take_the_colours_of_their_level_lines(application):
    from SScILDScoringLib.scene.level_display import LEVEL_COLOURS

    views.registerLayout(application.layoutNode)
    application.layoutNode.SetViewArrangement(views.LAYOUT_ID)
    for level in Level:
        node = application.scene.GetNodeByID(views.viewNodeID(views.levelView(level)))
        assert node.GetLayoutColor() == pytest.approx(LEVEL_COLOURS[level], abs=0.004)
    assert isinstance(node.GetSliceToRAS(), vtk.vtkMatrix4x4)
