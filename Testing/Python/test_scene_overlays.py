"""Heat maps over the CT: where colour is drawn, which colour, the legend, and that it all survives saving.

Pixels are those of Slicer's own slice logic, in views that nobody sees.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

import slicer  # noqa: E402
import slicer.util  # noqa: E402

from arranged_scans import ARRANGEMENTS, scan_of  # noqa: E402
from scene_files_on_disk import saved_and_loaded  # noqa: E402
from SScILDScoringLib.errors import ScanError  # noqa: E402
from SScILDScoringLib.report.colours import heat_colours  # noqa: E402
from SScILDScoringLib.scene.colours import heatMapColours, heatMapTable  # noqa: E402
from SScILDScoringLib.scene.errors import SceneError  # noqa: E402
from SScILDScoringLib.scene.overlays import (  # noqa: E402
    addLegend,
    createOverlay,
    mouseAdjustsCtOnly,
    readOverlay,
    setWindow,
    showOverlay,
    sliceOfOverlay,
    updateOverlay,
    windowOf,
)
from SScILDScoringLib.scene.views import showLevel, showVolume  # noqa: E402
from SScILDScoringLib.scene.volumes import volumeFromScan  # noqa: E402

VIEW = "SScILDLevel3"


def asymmetric_values(scan) -> np.ndarray:
    """An F of -2 and a dot of +3 points in a field of zeros: no flip and no rotation leaves it as it is."""
    values = np.zeros(scan.shape[1:], np.float32)
    height, width = values.shape
    values[4 : height - 4, 6:9] = -2.0
    values[4:7, 6 : width // 2] = -2.0
    values[height // 2 : height // 2 + 2, 6 : width // 3] = -2.0
    values[height - 7, width - 5] = 3.0
    return values


def level_view(application, scan, k, volumeNode, size=(331, 287)):
    """The view of level 3, of an odd size, exactly on slice ``k``."""
    view = application.sliceView(VIEW, None, size)
    showVolume(application.scene, volumeNode, scan)
    showLevel(application.scene, 3, scan, k)
    return view


def voxels_below_pixels(view, scan) -> np.ndarray:
    """The canonical index (with fractions) below the centre of every pixel: (height, width, 3), first row on top."""
    height, width = view.render().shape[:2]
    matrix = slicer.util.arrayFromVTKMatrix(view.node.GetXYToRAS())
    x, y = np.meshgrid(np.arange(width), np.arange(height)[::-1])
    xy = np.stack([x, y, np.zeros_like(x), np.ones_like(x)], axis=-1)
    return (xy @ (np.linalg.inv(scan.ras_from_index) @ matrix).T)[..., :3]


def values_below_pixels(view, scan, values) -> tuple[np.ndarray, np.ndarray]:
    """The value in the voxel below every pixel, and whether the pixel is clear of any voxel's border."""
    index = voxels_below_pixels(view, scan)
    i, j = (np.floor(index[..., a] + 0.5).astype(int) for a in (0, 1))
    inside = (i >= 0) & (i < values.shape[1]) & (j >= 0) & (j < values.shape[0])
    below = np.zeros(i.shape, np.float32)
    below[inside] = values[j[inside], i[inside]]
    fraction = np.abs(index[..., :2] + 0.5 - np.round(index[..., :2] + 0.5))
    return below, (fraction > 0.03).all(axis=-1)


def coloured(picture: np.ndarray) -> np.ndarray:
    return np.ptp(picture.astype(int), axis=2) > 12


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_colour_lies_exactly_on_the_voxels_that_changed_and_the_ct_is_grey_elsewhere(application, name):
    scan = scan_of(name)
    volumeNode = volumeFromScan(scan, "CT")
    k = 6
    values = asymmetric_values(scan)
    view = level_view(application, scan, k, volumeNode)
    bare = view.render()
    node = createOverlay(application.scene, scan, k, values, "overlay")
    assert showOverlay(application.scene, VIEW, node)
    picture = view.render()
    below, clear = values_below_pixels(view, scan, values)
    assert (below != 0).sum() > 2000
    assert (coloured(picture) == (below != 0))[clear].all()
    assert (picture == bare)[clear & (below == 0)].all()
    assert not coloured(bare).any()


@pytest.mark.parametrize("name", ["straight", "oblique_permuted", "tilted"])
def test_the_colours_are_those_of_the_report(application, name):
    scan = scan_of(name)
    values = asymmetric_values(scan)
    view = level_view(application, scan, 2, volumeFromScan(scan, "CT"))
    showOverlay(application.scene, VIEW, createOverlay(application.scene, scan, 2, values, "overlay"))
    picture = view.render().astype(int)
    below, clear = values_below_pixels(view, scan, values)
    for value in (-2.0, 3.0):
        expected = heat_colours(np.array(value))[:3].astype(int)
        assert np.abs(picture[clear & (below == value)] - expected).max() <= 4


def test_negative_is_drawn_warm_and_positive_cold(application):
    scan = scan_of("straight")
    values = np.zeros(scan.shape[1:])
    values[:, :20], values[:, 20:] = -3.5, 3.5
    view = level_view(application, scan, 4, volumeFromScan(scan, "CT"))
    showOverlay(application.scene, VIEW, createOverlay(application.scene, scan, 4, values, "overlay"))
    picture = view.render().astype(int)
    below, _ = values_below_pixels(view, scan, values)
    disease, other = picture[below < 0].mean(axis=0), picture[below > 0].mean(axis=0)
    assert disease[0] > disease[2] + 80
    assert other[2] > other[0] + 80
    # The patient's right (low i) is on the left of the picture.
    assert np.argwhere(below < 0)[:, 1].mean() < np.argwhere(below > 0)[:, 1].mean()


def test_an_axial_view_of_an_oblique_scan_shows_the_overlay_only_where_it_cuts_the_slice(application):
    scan = scan_of("oblique")
    values = np.full(scan.shape[1:], -3.0)
    k = 4
    view = application.sliceView("Red", "Axial", (331, 287))
    node = createOverlay(application.scene, scan, k, values, "overlay")
    view.show(volumeFromScan(scan, "CT"), node)
    view.logic.SetSliceOffset(scan.mm_of_slice(k))
    index = voxels_below_pixels(view, scan)
    within = (np.abs(index[..., 2] - k) < 0.45) & (index[..., 0] > 0) & (index[..., 0] < scan.shape[2] - 1)
    within &= (index[..., 1] > 0) & (index[..., 1] < scan.shape[1] - 1)
    outside = np.abs(index[..., 2] - k) > 0.55
    painted = coloured(view.render())
    assert within.sum() > 1000
    assert outside.sum() > 1000
    assert painted[within].all()
    assert not painted[outside].any()


def test_zero_and_what_is_no_number_is_fully_transparent(application):
    scan = scan_of("straight")
    values = np.zeros(scan.shape[1:])
    values[10:20] = np.nan
    values[20:22] = np.inf
    view = level_view(application, scan, 4, volumeFromScan(scan, "CT"))
    bare = view.render()
    node = createOverlay(application.scene, scan, 4, values, "overlay")
    assert np.isfinite(slicer.util.arrayFromVolume(node)).all()
    for window in (0.5, 1.0, 3.0, 4.0, 10.0):
        setWindow(node, window)
        showOverlay(application.scene, VIEW, node, 1.0)
        assert (view.render() == bare).all()


def test_changes_of_an_eighth_of_the_window_and_more_are_drawn_and_weaker_ones_are_not(application):
    scan = scan_of("straight")
    steps = np.array([0.0, -0.02, 0.45, -0.45, -0.55, 0.55, -1.5, -9.0])
    values = np.repeat(steps, 6)[None].repeat(scan.shape[1], axis=0)
    view = level_view(application, scan, 4, volumeFromScan(scan, "CT"))
    bare = view.render().astype(int)
    node = createOverlay(application.scene, scan, 4, values, "overlay")
    showOverlay(application.scene, VIEW, node)
    picture = view.render().astype(int)
    below, clear = values_below_pixels(view, scan, values)
    for value in steps:
        where = clear & (below == np.float32(value))
        if abs(value) < 0.5:
            assert (picture == bare)[where].all()
        else:
            expected = heat_colours(np.array(value))[:3].astype(int)
            assert np.abs(picture[where] - expected).max() <= 6
    setWindow(node, 1.0)  # a narrower window shows weaker ones
    drawn = coloured(view.render())
    assert drawn[clear & (np.abs(below) > 0.4)].all()
    assert not drawn[clear & (np.abs(below) < 0.1)].any()


def test_the_window_widens_and_the_opacity_lets_the_ct_through(application):
    scan = scan_of("straight")
    values = np.full(scan.shape[1:], -4.0)
    view = level_view(application, scan, 4, volumeFromScan(scan, "CT"))
    bare = view.render().astype(float)
    node = createOverlay(application.scene, scan, 4, values, "overlay")
    below, clear = values_below_pixels(view, scan, values)
    where = clear & (below != 0)
    showOverlay(application.scene, VIEW, node, 1.0)
    strong = view.render().astype(float)
    setWindow(node, 8.0)
    assert windowOf(node) == 8.0
    expected = heat_colours(np.array(-4.0), limit=8.0)[:3]
    assert np.abs(view.render()[where].astype(int) - expected.astype(int)).max() <= 4
    setWindow(node, 4.0)
    showOverlay(application.scene, VIEW, node, 0.5)
    half = view.render().astype(float)
    assert np.abs(half[where] - (strong[where] + bare[where]) / 2).max() <= 3
    showOverlay(application.scene, VIEW, None)
    assert (view.render() == bare).all()


def test_switching_patterns_exchanges_what_lies_over_the_same_slice(application):
    scan = scan_of("permuted_kij")
    first, second = np.zeros(scan.shape[1:]), np.zeros(scan.shape[1:])
    first[5:10, 5:10], second[20:25, 30:40] = -3, -3
    view = level_view(application, scan, 4, volumeFromScan(scan, "CT"))
    nodes = [createOverlay(application.scene, scan, 4, v, n) for v, n in ((first, "TOT"), (second, "GG"))]
    for node, values in zip((*nodes, nodes[0]), (first, second, first), strict=True):
        showOverlay(application.scene, VIEW, node)
        below, clear = values_below_pixels(view, scan, values)
        assert (coloured(view.render()) == (below != 0))[clear].all()


def test_an_update_moves_the_same_node_to_other_values_and_another_slice(application):
    scan = scan_of("oblique")
    node = createOverlay(application.scene, scan, 2, asymmetric_values(scan), "overlay")
    setWindow(node, 6.0)
    view = level_view(application, scan, 7, volumeFromScan(scan, "CT"))
    showOverlay(application.scene, VIEW, node)
    assert not coloured(view.render()).any()
    values = -asymmetric_values(scan)[::-1]
    updateOverlay(node, scan, 7, values)
    assert sliceOfOverlay(node, scan) == 7
    assert windowOf(node) == 6.0
    below, clear = values_below_pixels(view, scan, values)
    assert (coloured(view.render()) == (below != 0))[clear].all()


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_what_is_put_in_comes_out(scene, name):
    scan = scan_of(name)
    values = np.random.default_rng(1).normal(0, 3, scan.shape[1:]).astype(np.float32)
    node = createOverlay(scene, scan, 3, values, "overlay")
    assert (readOverlay(node) == values).all()
    assert sliceOfOverlay(node, scan) == 3


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_a_voxel_of_the_overlay_is_the_voxel_of_the_ct_at_the_same_place(scene, name):
    scan = scan_of(name)
    k = 5
    volumeNode = volumeFromScan(scan, "CT")
    node = createOverlay(scene, scan, k, scan.axial_slice(k).astype(float), "overlay")
    ct, overlay = slicer.util.arrayFromVolume(volumeNode), slicer.util.arrayFromVolume(node)
    ours, theirs = (slicer.util.vtkMatrixFromArray(np.eye(4)) for _ in range(2))
    node.GetIJKToRASMatrix(ours)
    volumeNode.GetRASToIJKMatrix(theirs)
    toCt = slicer.util.arrayFromVTKMatrix(theirs) @ slicer.util.arrayFromVTKMatrix(ours)
    assert np.abs(toCt[:3, :3] - np.eye(3)).max() < 1e-6
    for k_, j, i in np.ndindex(overlay.shape):
        at = np.rint(toCt @ (i, j, k_, 1)).astype(int)
        assert overlay[k_, j, i] == ct[at[2], at[1], at[0]]


def test_a_slice_that_is_not_there_or_values_of_another_size_leave_the_scene_as_it_was(scene):
    scan = scan_of("straight")
    before = scene.GetNumberOfNodes()
    with pytest.raises(ScanError, match="no slice 99"):
        createOverlay(scene, scan, 99, np.zeros(scan.shape[1:]), "overlay")
    with pytest.raises(ValueError, match="shape"):
        createOverlay(scene, scan, 1, np.zeros((3, 3)), "overlay")
    assert scene.GetNumberOfNodes() == before


@pytest.mark.parametrize("points", [0.0, -1.0, float("nan"), float("inf")])
def test_a_window_that_cannot_be_drawn_is_refused(scene, points):
    scan = scan_of("straight")
    node = createOverlay(scene, scan, 1, np.zeros(scan.shape[1:]), "overlay")
    with pytest.raises(SceneError, match="positive"):
        setWindow(node, points)
    assert windowOf(node) == 4.0


def test_an_overlay_of_another_scan_has_no_slice_here(scene):
    scan = scan_of("straight")
    node = createOverlay(scene, scan_of("tilted"), 1, np.zeros(scan.shape[1:]), "overlay")
    with pytest.raises(SceneError, match="does not lie on a slice"):
        sliceOfOverlay(node, scan)


def test_without_a_view_nothing_is_shown_and_nothing_fails(scene):
    assert not showOverlay(scene, VIEW, None)


@pytest.fixture
def window_mode(application):
    """Slicer's mouse mode for grey values, in views that are made from now on."""
    manager = "vtkMRMLScalarBarDisplayableManager"
    application.factory.RegisterDisplayableManager(manager)
    interaction = application.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(interaction.AdjustWindowLevel)
    yield
    application.factory.UnRegisterDisplayableManager(manager)


def test_the_mouse_mode_for_grey_values_changes_the_ct_below_an_overlay_and_not_its_colours(application, window_mode):
    from minimal_application import Mouse

    scan = scan_of("straight")
    volumeNode = volumeFromScan(scan, "CT")
    view = level_view(application, scan, 5, volumeNode)
    node = createOverlay(application.scene, scan, 5, asymmetric_values(scan), "overlay")
    showOverlay(application.scene, VIEW, node)
    view.render()
    mouse = Mouse(view)
    mouseAdjustsCtOnly(view.managers.GetDisplayableManagerByClassName("vtkMRMLScalarBarDisplayableManager"))
    before = [n.GetDisplayNode().GetWindowLevelMax() for n in (volumeNode, node)]
    mouse.drag((160, 140), (40, 25))
    after = [n.GetDisplayNode().GetWindowLevelMax() for n in (volumeNode, node)]
    assert after[0] != before[0]
    assert after[1] == before[1] == 4.0


# ---- colours -------------------------------------------------------------------------------------------------------


def test_there_is_one_colour_table_for_all_overlays_of_a_scene(scene):
    scan = scan_of("straight")
    tables = {
        createOverlay(scene, scan, k, np.zeros(scan.shape[1:]), "overlay").GetDisplayNode().GetColorNodeID()
        for k in range(3)
    }
    assert tables == {heatMapColours(scene).GetID()}


def test_the_table_has_the_report_s_colours_and_none_around_zero():
    table = heatMapTable().astype(int)
    shares = np.linspace(-1, 1, 256)
    assert table.shape == (256, 4)
    drawn = np.abs(shares) >= 0.125
    assert (table[:, 3] == np.where(drawn, 255, 0)).all()
    assert (table[drawn, :3] == heat_colours(shares, limit=1.0)[drawn, :3]).all()
    assert (np.ptp(table[~drawn, :3], axis=1) == 0).all()  # grey in the legend: not drawn


def test_table_and_overlay_are_the_same_after_saving_and_loading(application, vtk_messages, tmp_path):
    scan = scan_of("oblique_permuted")
    values = asymmetric_values(scan)
    k = 5
    view = level_view(application, scan, k, volumeFromScan(scan, "CT"))
    node = createOverlay(application.scene, scan, k, values, "overlay")
    setWindow(node, 3.0)
    addLegend(node, [view.node.GetID()], "TOT, change in percentage points")
    showOverlay(application.scene, VIEW, node, 0.8)
    before = view.render()
    view.close()
    saved_and_loaded(application.scene, tmp_path)
    # Slicer itself says so of every view that was turned onto an oblique slice and loaded again.
    vtk_messages[:] = [m for m in vtk_messages if "orientation preset name: Reformat" not in m]
    node = slicer.util.getNode("overlay")
    assert (readOverlay(node) == values).all()
    assert sliceOfOverlay(node, scan) == k
    assert windowOf(node) == 3.0
    assert heatMapColours(application.scene).GetID() == node.GetDisplayNode().GetColorNodeID()
    assert [heatMapColours(application.scene).GetColorName(n) for n in (0, 255)] == ["-1.000", "+1.000"]
    assert application.scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 1
    view = level_view(application, scan, k, slicer.util.getNode("CT"))
    showOverlay(application.scene, VIEW, node, 0.8)
    assert np.abs(view.render().astype(int) - before).max() <= 1


# ---- legend --------------------------------------------------------------------------------------------------------


def legend_pixels(view, node, title="TOT, change in percentage points"):
    """Pixels that the legend changes."""
    without = view.render()
    addLegend(node, [view.node.GetID()], title)
    return (view.render().astype(int) != without).any(axis=2)


@pytest.mark.parametrize("size", [(200, 260), (260, 260), (420, 380), (300, 600), (640, 300), (900, 800)])
@pytest.mark.parametrize("window", [4.0, 1.0, 2.5])
def test_the_legend_is_small_and_complete_in_views_of_any_size(application, size, window):
    scan = scan_of("straight")
    node = createOverlay(application.scene, scan, 4, np.zeros(scan.shape[1:]), "overlay")
    setWindow(node, window)
    view = level_view(application, scan, 4, volumeFromScan(scan, "CT"), size)
    showOverlay(application.scene, VIEW, node)
    drawn = legend_pixels(view, node)
    height, width = drawn.shape
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    assert rows[0] > 0.8 * height  # at the bottom
    assert columns[0] > 2  # the title is not cut off
    assert columns[-1] < width - 3
    assert (columns[-1] - columns[0] + 1) / width > 0.15
    assert rows[-1] - rows[0] + 1 >= 16  # readable: bar, numbers and title


def test_the_legend_shows_in_its_own_view_and_only_while_the_overlay_does(application):
    scan = scan_of("straight")
    volumeNode = volumeFromScan(scan, "CT")
    node = createOverlay(application.scene, scan, 4, np.zeros(scan.shape[1:]), "overlay")
    mine, other = (application.sliceView(f"SScILDLevel{n}", None, (300, 300)) for n in (3, 4))
    showVolume(application.scene, volumeNode, scan)
    for n, view in ((3, mine), (4, other)):
        showLevel(application.scene, n, scan, 4)
        showOverlay(application.scene, view.layoutName, node)
    bare, bareOther = mine.render(), other.render()
    legend = addLegend(node, [mine.node.GetID()], "TOT")
    assert (mine.render() != bare).any()
    assert (other.render() == bareOther).all()
    showOverlay(application.scene, "SScILDLevel3", None)
    assert (mine.render() == bare).all()
    assert addLegend(node, [other.node.GetID()], "GG") is legend
    assert legend.GetTitleText() == "GG"
    assert (other.render() != bareOther).any()


def test_the_legend_s_bar_has_the_colours_of_its_window(application):
    scan = scan_of("straight")
    node = createOverlay(application.scene, scan, 4, np.zeros(scan.shape[1:]), "overlay")
    view = level_view(application, scan, 4, volumeFromScan(scan, "CT"), (500, 500))
    showOverlay(application.scene, VIEW, node)
    legend_pixels(view, node)
    picture = view.render().astype(int)
    bar = picture[np.ptp(picture, axis=2).sum(axis=1).argmax()]
    where = np.flatnonzero(np.ptp(bar, axis=1) > 40)
    left, right = bar[where[2]], bar[where[-3]]
    assert np.abs(left - heat_colours(np.array(-4.0))[:3]).max() < 25
    assert np.abs(right - heat_colours(np.array(4.0))[:3]).max() < 25
