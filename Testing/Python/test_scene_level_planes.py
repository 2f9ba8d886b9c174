# ruff: noqa: E402 - what needs slicer is imported after the check that it is there
"""Five level lines that are dragged along the body only, keep their order, and survive saving."""

from __future__ import annotations

import gc
import weakref
from itertools import combinations

import numpy as np
import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

import slicer
import slicer.util
import vtk

from scene_scans import DIRECTIONS, chest, scan_in
from SScILDScoringLib.errors import ScanError
from SScILDScoringLib.levels import Level, LevelError, LevelPosition, Levels
from SScILDScoringLib.scene.errors import SceneError
from SScILDScoringLib.scene.level_display import LEVEL_COLOURS
from SScILDScoringLib.scene.level_nodes import LEVEL_ATTRIBUTE
from SScILDScoringLib.scene.level_planes import LevelPlanes
from SScILDScoringLib.scene.views import CORONAL_VIEW, LEVEL_VIEWS, SAGITTAL_VIEW, fitViews, showLevel, showVolume
from SScILDScoringLib.scene.volumes import scanFromVolume, volumeFromScan

CHEST_MM = (100.0, 62.5, 20.0, -15.0, -50.0)
ACTIVE_HANDLE = slicer.vtkMRMLMarkupsDisplayNode.ComponentTranslationHandle


def levelsAt(mm=CHEST_MM, follows=True) -> Levels:
    spreads = (1.5, None, 0.25, None, 3.0)
    sources = ("l_net", "l_net", "anatomy", "given", "l_net")
    positions = [LevelPosition(*p) for p in zip(Level, mm, sources, spreads, strict=True)]
    return Levels(tuple(positions), follows)


def levelsIn(scan) -> Levels:
    """Levels at five slices of a small scan, between the centres too."""
    return levelsAt([scan.mm_of_slice(k) for k in (10, 8, 6.3, 4, 1)])


class Desk:
    """A chest in a coronal and a sagittal view with level lines, a mouse in each, and a list of what happened."""

    def __init__(self, application, scan=None, levels=None, size=(700, 520)):
        from minimal_application import Mouse

        self.application, self.scan = application, scan or chest()
        self.volume = volumeFromScan(self.scan, "CT")
        self.coronal = application.sliceView(CORONAL_VIEW, "Coronal", size)
        self.sagittal = application.sliceView(SAGITTAL_VIEW, "Sagittal", size)
        showVolume(application.scene, self.volume, self.scan)
        self.planes = LevelPlanes.create(application.scene, self.scan, levels or levelsAt())
        self.render()
        self.mice = {view: Mouse(view) for view in (self.coronal, self.sagittal)}
        self.happened: list[tuple] = []
        self.planes.observe(
            lambda level, mm: self.happened.append(("moving", level, mm)),
            lambda level, levels: self.happened.append(("moved", level, levels)),
        )

    def render(self):
        return self.coronal.render(), self.sagittal.render()

    def node(self, level):
        return self.planes.nodes[level - 1]

    def handle(self, level, view=None):
        """Where the mouse takes hold of a level's arrow."""
        view = view or self.coronal
        x, y = view.pixelOf(self.node(level).GetOriginWorld())
        display = self.node(level).GetDisplayNode()
        for up in range(12, 60, 3):
            self.mice[view].move((x, y + up))
            if display.GetActiveComponentType() == ACTIVE_HANDLE:
                return x, y + up
        raise AssertionError(f"level {level:d} has no handle that the mouse can find")

    def drag(self, level, by, view=None, steps=10):
        view = view or self.coronal
        self.mice[view].drag(self.handle(level, view), by, steps)

    def pixels(self, mm: float, view=None) -> float:
        """How many pixels up so many millimetres are."""
        view = view or self.coronal
        return view.pixelOf((0, 0, mm))[1] - view.pixelOf((0, 0, 0))[1]


@pytest.fixture
def desk(application):
    return Desk(application)


# ---- what the nodes are ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("follows", [True, False])
def test_levels_come_back_exactly_as_they_were_given(scene, follows):
    levels = levelsAt(follows=follows)
    planes = LevelPlanes.create(scene, chest(), levels)
    assert planes.levels == levels
    assert [node.GetAttribute(LEVEL_ATTRIBUTE) for node in planes.nodes] == ["1", "2", "3", "4", "5"]
    assert [node.GetNthControlPointLabel(0) for node in planes.nodes] == ["L1", "L2", "L3", "L4", "L5"]


@pytest.mark.parametrize("arrangement", sorted(DIRECTIONS))
def test_planes_lie_in_the_slices_that_are_scored(scene, arrangement):
    scan = scan_in(arrangement)
    levels = levelsIn(scan)
    planes = LevelPlanes.create(scene, scan, levels)
    _, y, x = scan.shape
    for node, position in zip(planes.nodes, levels, strict=True):
        origin, normal = np.array(node.GetOriginWorld()), np.array(node.GetNormalWorld())
        k = scan.slice_position(position.mm)
        for corner in ((0, 0), (x - 1, 0), (0, y - 1), (x - 1, y - 1)):
            assert abs((scan.ras_at((*corner, k)) - origin) @ normal) < 1e-6
        assert normal[2] > 0
    assert planes.levels == levels
    assert planes.levels.slice_indices(scan) == levels.slice_indices(scan)


@pytest.mark.parametrize("arrangement", sorted(DIRECTIONS))
def test_planes_reach_over_the_whole_ct(scene, arrangement):
    scan = scan_in(arrangement)
    for node, position in zip(LevelPlanes.create(scene, scan, levelsIn(scan)).nodes, levelsIn(scan), strict=True):
        corners = vtk.vtkPoints()
        corners.SetDataTypeToDouble()
        node.GetPlaneCornerPointsWorld(corners)
        inPlane = np.array([scan.index_at(corners.GetPoint(n)) for n in range(4)])
        size = np.array(scan.shape[:0:-1])
        assert (inPlane[:, :2].min(axis=0) <= -0.5).all()
        assert (inPlane[:, :2].max(axis=0) >= size - 0.5).all()
        assert (np.ptp(inPlane[:, :2], axis=0) < 1.4 * size).all()
        np.testing.assert_allclose(inPlane[:, 2], scan.slice_position(position.mm), atol=1e-6)


def test_in_a_straight_scan_the_planes_are_horizontal_at_the_level_s_s(scene):
    planes = LevelPlanes.create(scene, chest(), levelsAt())
    for node, mm in zip(planes.nodes, CHEST_MM, strict=True):
        assert node.GetOriginWorld()[2] == pytest.approx(mm, abs=1e-9)
        np.testing.assert_allclose(node.GetNormalWorld(), (0, 0, 1), atol=1e-12)


def test_levels_outside_the_scan_are_refused_and_leave_nothing_behind(scene):
    with pytest.raises(ScanError, match="outside the scan"):
        LevelPlanes.create(scene, chest(), levelsAt((400, 60, 20, -15, -50)))
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsPlaneNode") == 0


def test_lines_are_drawn_in_the_given_views_only(scene):
    planes = LevelPlanes.create(scene, chest(), levelsAt(), viewNodeIDs=["vtkMRMLSliceNodeYellow"])
    assert all(node.GetDisplayNode().GetViewNodeIDs() == ("vtkMRMLSliceNodeYellow",) for node in planes.nodes)
    ours = LevelPlanes.create(scene, chest(), levelsAt())
    expected = ("vtkMRMLSliceNodeSScILDCoronal", "vtkMRMLSliceNodeSScILDSagittal")
    assert all(node.GetDisplayNode().GetViewNodeIDs() == expected for node in ours.nodes)


# ---- what one sees -----------------------------------------------------------------------------------------------


def _seen(colours, kind):
    """Linear RGB as seen without one kind of cone (Viénot, Brettel and Mollon 1999)."""
    rgbToLms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    missing = {
        "normal": np.eye(3),
        "protan": np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
        "deutan": np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
    }[kind]
    return np.clip((np.linalg.inv(rgbToLms) @ missing @ rgbToLms @ (np.array(colours) ** 2.2).T).T, 0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("kind", ["normal", "protan", "deutan"])
def test_the_five_colours_can_be_told_apart_and_are_bright(kind):
    seen = _seen([LEVEL_COLOURS[level] for level in Level], kind)
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 0.15
    assert (seen @ (0.2126, 0.7152, 0.0722)).min() > 0.4


def test_every_level_is_a_line_over_the_whole_ct_in_both_views_with_its_label_beside_it(desk):
    for view, picture in zip((desk.coronal, desk.sagittal), desk.render(), strict=True):
        across = 0 if view is desk.coronal else 1
        corners = np.array([desk.scan.ras_at((x, y, 0)) for x in (0, 71) for y in (0, 71)])
        left, right = sorted(view.pixelOf((s * corners[:, 0].max(), s * corners[:, 1].max(), 0))[0] for s in (-1, 1))
        assert across in (0, 1)
        for level, mm in zip(Level, CHEST_MM, strict=True):
            colour = 255 * np.array(LEVEL_COLOURS[level])
            row = picture.shape[0] - 1 - round(view.pixelOf((0, 0, mm))[1])
            line = picture[row - 2 : row + 3, round(left) : round(right)].astype(int)
            near = (np.abs(line - colour).max(axis=2) < 30).any(axis=0)
            assert near.mean() > 0.98, f"{level!r} in {view.layoutName}"

            x, y = view.pixelOf(desk.node(level).GetOriginWorld())
            rows = slice(round(picture.shape[0] - 1 - y - 25), round(picture.shape[0] - 1 - y - 4))
            label = picture[rows, max(round(x - 5), 0) : round(x + 40)].astype(int)
            assert (np.abs(label - colour).max(axis=2) < 60).sum() > 20, f"label of {level!r}"


@pytest.mark.parametrize("arrangement", ["tilted", "oblique_permuted"])
def test_lines_are_horizontal_and_single_in_a_tilted_scan_too(application, arrangement):
    scan = scan_in(arrangement, size=(40, 40, 40), spacing=(6, 6, 6))
    desk = Desk(application, scan, levelsAt([scan.mm_of_slice(k) for k in (35, 27, 20, 13, 5)]))
    desk.application.scene.RemoveNode(desk.volume)  # lines alone, on black
    for picture in desk.render():
        for level in Level:
            near = np.abs(picture.astype(int) - 255 * np.array(LEVEL_COLOURS[level])).max(axis=2) < 30
            rows = np.flatnonzero(near.sum(axis=1) > 150)
            assert 1 <= len(rows) <= 5, f"{level!r} is drawn in rows {rows}"
            assert np.ptp(rows) < 5


def test_hidden_lines_are_not_drawn(desk):
    shown = desk.coronal.render()
    desk.planes.setVisible(False)
    hidden = desk.coronal.render()
    colourful = [np.ptp(p.astype(int), axis=2).max() for p in (shown, hidden)]
    assert colourful[0] > 80
    assert colourful[1] == 0
    desk.planes.setVisible(True)
    assert np.array_equal(desk.coronal.render(), shown)


# ---- dragging ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", list(Level))
def test_a_drag_moves_a_level_along_the_body_only_whatever_the_mouse_does_sideways(desk, level):
    x, y, s = desk.node(level).GetOriginWorld()
    desk.drag(level, (25, 10))
    moved = desk.node(level).GetOriginWorld()
    assert moved[:2] == pytest.approx((x, y), abs=1e-9)
    assert moved[2] - s == pytest.approx(10 / desk.pixels(1), abs=1.5)
    assert desk.node(level).GetNormalWorld() == pytest.approx((0, 0, 1), abs=1e-9)
    assert desk.planes.levels[level].source == "manual"


def test_a_drag_in_the_sagittal_view_does_the_same(desk):
    before = desk.planes.levels
    desk.drag(Level.L2, (-30, -12), desk.sagittal)
    after = desk.planes.levels
    assert before[2].mm - after[2].mm == pytest.approx(12 / desk.pixels(1, desk.sagittal), abs=1.5)
    assert [after[n] for n in (1, 3, 4, 5)] == [before[n] for n in (1, 3, 4, 5)]


def test_one_hears_of_every_step_and_then_once_of_the_end(desk):
    before = desk.planes.levels
    desk.drag(Level.L2, (5, 20), steps=8)
    kinds = [kind for kind, *_ in desk.happened]
    assert kinds == ["moving"] * 8 + ["moved"]
    assert {level for _, level, _ in desk.happened} == {Level.L2}
    heights = [mm for kind, _, mm in desk.happened if kind == "moving"]
    assert heights == sorted(heights)
    last = desk.happened[-1][2]
    assert last == desk.planes.levels == before.moved(Level.L2, heights[-1])


def test_while_a_level_is_dragged_its_node_is_where_one_hears_it_is(desk):
    seen = []
    desk.planes.observe(lambda level, mm: seen.append((mm, desk.planes.levels[level].mm, desk.planes.dragging)))
    desk.drag(Level.L5, (0, -15))
    assert seen
    assert all(told == read and dragging is Level.L5 for told, read, dragging in seen)
    assert desk.planes.dragging is None


def test_a_click_without_moving_is_no_move(desk):
    before = desk.planes.levels
    mouse = desk.mice[desk.coronal]
    mouse.press(desk.handle(Level.L2))
    mouse.release()
    assert desk.happened == []
    assert desk.planes.levels == before
    assert not desk.planes.canUndo


def places(*opened) -> np.ndarray:
    return np.array([slicer.util.arrayFromVTKMatrix(view.node.GetSliceToRAS()) for view in opened])


@pytest.mark.parametrize("grip", ["dot", "arrow"])
def test_a_click_leaves_all_views_where_they_are(desk, grip):
    """Slicer sends views to what was clicked; a grip lies beside the CT, where there is nothing to see."""
    jumps = []
    jump = slicer.vtkMRMLMarkupsDisplayNode.JumpToPointEvent
    desk.node(3).GetDisplayNode().AddObserver(jump, lambda caller, event: jumps.append(event))
    own = desk.application.sliceView("Green", "Coronal", (300, 300))
    own.show(desk.volume)
    level = desk.application.sliceView(LEVEL_VIEWS[2], "Axial", (300, 300))
    showLevel(desk.application.scene, 3, desk.scan, 30)
    every = (desk.coronal, desk.sagittal, own, level)
    before = places(*every)
    dot = desk.coronal.pixelOf(desk.node(3).GetOriginWorld())
    mouse = desk.mice[desk.coronal]
    mouse.press(dot if grip == "dot" else desk.handle(3))
    mouse.release()
    assert jumps
    np.testing.assert_array_equal(places(*every), before)


@pytest.mark.parametrize("view", ["coronal", "sagittal"])
def test_a_level_dragged_past_its_neighbour_stops_one_slice_before_it(desk, view):
    gap = desk.scan.mm_per_slice
    desk.drag(Level.L2, (0, 200), getattr(desk, view))
    assert desk.planes.levels[2].mm == pytest.approx(100.0 - gap, abs=1e-4)
    desk.drag(Level.L2, (0, -300), getattr(desk, view))
    assert desk.planes.levels[2].mm == pytest.approx(20.0 + gap, abs=1e-4)
    indices = desk.planes.levels.slice_indices(desk.scan)
    assert len(set(indices)) == 5


def test_a_level_waits_at_its_limit_until_the_pointer_comes_back(desk):
    before = desk.planes.levels[2].mm
    mouse = desk.mice[desk.coronal]
    mouse.press(desk.handle(Level.L2))
    mouse.pull((0, 150))
    assert desk.planes.levels[2].mm == pytest.approx(95, abs=1e-4)
    mouse.pull((0, -60))  # still above the neighbour
    assert desk.planes.levels[2].mm == pytest.approx(95, abs=1e-4)
    mouse.pull((0, -90))
    assert desk.planes.levels[2].mm == pytest.approx(before, abs=1e-6)
    mouse.release()


def test_the_outer_levels_stay_in_the_scan(desk):
    top, bottom = desk.scan.mm_of_slice(desk.scan.slice_count - 1), desk.scan.mm_of_slice(0)
    desk.drag(Level.L1, (0, 400))
    desk.drag(Level.L5, (0, -400))
    levels = desk.planes.levels
    assert (levels[1].mm, levels[5].mm) == pytest.approx((top, bottom), abs=1e-9)
    assert levels.slice_indices(desk.scan)[::4] == (desk.scan.slice_count - 1, 0)


@pytest.mark.parametrize("dragged", [Level.L3, Level.L5])
def test_level_4_follows_live_while_its_neighbours_are_dragged(desk, dragged):
    seen = []
    desk.planes.observe(lambda level, mm: seen.append([n.GetOriginWorld()[2] for n in desk.planes.nodes[2:]]))
    desk.drag(dragged, (10, 14), steps=6)
    assert len(seen) == 6
    for third, fourth, fifth in seen:
        assert fourth == pytest.approx((third + fifth) / 2, abs=1e-9)
    assert seen[0][1] != pytest.approx(seen[-1][1], abs=1)
    levels = desk.planes.levels
    assert levels.l4_follows
    assert (levels[dragged].source, levels[4].source) == ("manual", "given")


def test_after_it_was_dragged_itself_level_4_follows_no_longer(desk):
    desk.drag(Level.L4, (0, 8))
    there = desk.planes.levels[4]
    assert there.source == "manual"
    assert not desk.planes.levels.l4_follows
    desk.drag(Level.L3, (0, 15))
    assert desk.planes.levels[4] == there


def test_level_3_leaves_room_for_a_level_4_that_follows(desk):
    desk.drag(Level.L3, (0, -300))
    levels, gap = desk.planes.levels, desk.scan.mm_per_slice
    assert levels[3].mm == pytest.approx(-50 + 2 * gap, abs=1e-3)
    assert len(set(levels.slice_indices(desk.scan))) == 5


def test_a_level_pulled_at_the_dot_of_its_line_also_moves_along_the_body_only(desk):
    node = desk.node(Level.L2)
    before = node.GetOriginWorld()
    mouse, start = desk.mice[desk.coronal], desk.coronal.pixelOf(before)
    mouse.move(start)
    assert node.GetDisplayNode().GetActiveComponentType() == slicer.vtkMRMLMarkupsDisplayNode.ComponentControlPoint
    mouse.press(start)
    mouse.pull((-20, 200))
    mouse.pull((0, -188))
    mouse.release()
    after = node.GetOriginWorld()
    assert after[:2] == pytest.approx(before[:2], abs=1e-9)
    assert after[2] - before[2] == pytest.approx(12 / desk.pixels(1), abs=1.5)


def test_locked_levels_stay_under_the_mouse(desk):
    start = desk.handle(Level.L2)
    desk.planes.setLocked(True)
    before = desk.planes.levels
    desk.mice[desk.coronal].drag(start, (0, 30))
    assert desk.planes.levels == before
    desk.planes.setLocked(False)
    desk.drag(Level.L2, (0, 20))
    assert desk.planes.levels != before


def test_the_delete_key_takes_no_level_away(desk, vtk_messages):
    mouse, node = desk.mice[desk.coronal], desk.node(Level.L2)
    for shift in (False, True):
        mouse.move(desk.coronal.pixelOf(node.GetOriginWorld()))
        desk.coronal.interactor.SetEventInformation(*map(round, mouse.position), 0, int(shift), chr(127), 1, "Delete")
        desk.coronal.interactor.KeyPressEvent()
        desk.coronal.interactor.CharEvent()
    assert node.GetNumberOfControlPoints() == 1
    assert desk.planes.levels == levelsAt()
    assert ["number locked" in message for message in vtk_messages] == [True, True]  # Slicer's own words in its log
    vtk_messages.clear()


@pytest.mark.parametrize("arrangement", ["tilted", "tilted_flipped", "oblique"])
def test_in_a_tilted_scan_a_dragged_plane_stays_in_the_slices(application, arrangement):
    scan = scan_in(arrangement, size=(40, 40, 40), spacing=(6, 6, 6))
    levels = levelsAt([scan.mm_of_slice(k) for k in (34, 26, 20, 12.5, 5)])
    desk = Desk(application, scan, levels)
    for view in (desk.coronal, desk.sagittal):
        node, before = desk.node(Level.L2), desk.planes.levels[2].mm
        normal = np.array(node.GetNormalWorld())
        desk.drag(Level.L2, (15, 20), view)
        after = desk.planes.levels[2].mm
        assert after > before + 3
        np.testing.assert_allclose(node.GetNormalWorld(), normal, atol=1e-9)
        k = scan.slice_position(after)
        for corner in ((0, 0), (39, 0), (0, 39), (39, 39)):
            distance = (scan.ras_at((*corner, k)) - np.array(node.GetOriginWorld())) @ normal
            assert abs(distance) < 1e-6
    desk.drag(Level.L2, (0, 400))
    assert desk.planes.levels[2].mm == pytest.approx(levels[1].mm - scan.mm_per_slice, abs=1e-3)


# ---- undo --------------------------------------------------------------------------------------------------------


def test_undo_and_redo_restore_positions_sources_and_following(desk):
    states = [desk.planes.levels]
    for level, up in ((Level.L3, 10), (Level.L4, 6), (Level.L5, -9)):
        desk.drag(level, (0, up))
        states.append(desk.planes.levels)
    assert [s.l4_follows for s in states] == [True, True, False, False]
    assert not desk.planes.canRedo
    for expected in states[-2::-1]:
        assert desk.planes.canUndo
        desk.planes.undo()
        assert desk.planes.levels == expected
    assert not desk.planes.canUndo
    for expected in states[1:]:
        desk.planes.redo()
        assert desk.planes.levels == expected
    assert not desk.planes.canRedo


def test_listeners_hear_of_undo_and_of_which_level_it_moved(desk):
    desk.drag(Level.L5, (0, 12))
    first = desk.planes.levels
    desk.drag(Level.L4, (0, 6))
    desk.happened.clear()
    desk.planes.undo()
    desk.planes.undo()
    desk.planes.redo()
    assert [(kind, level) for kind, level, _ in desk.happened] == [
        ("moved", Level.L4),
        ("moved", Level.L5),
        ("moved", Level.L5),
    ]
    assert desk.happened[-1][2] == first


def test_a_new_move_ends_what_could_be_done_again(scene):
    planes = LevelPlanes.create(scene, chest(), levelsAt())
    planes.moveLevel(1, 110)
    planes.undo()
    planes.moveLevel(2, 50)
    assert not planes.canRedo
    planes.redo()  # does nothing
    assert planes.levels[1].mm == 100
    planes.undo()
    planes.undo()  # does nothing
    assert planes.levels == levelsAt()


# ---- without the mouse -------------------------------------------------------------------------------------------


def test_setting_levels_is_no_person_s_move_but_can_be_undone(desk):
    found = Levels.from_mm((90, 60, 30, 0, -60), source="l_net")
    desk.planes.setLevels(found)
    assert desk.planes.levels == found
    assert desk.happened == []
    desk.planes.undo()
    assert desk.planes.levels == levelsAt()


def test_setting_the_same_levels_again_is_no_step_of_undo(scene):
    planes = LevelPlanes.create(scene, chest(), levelsAt())
    planes.setLevels(levelsAt())
    assert not planes.canUndo


def test_levels_outside_the_scan_change_nothing(scene):
    planes = LevelPlanes.create(scene, chest(), levelsAt())
    with pytest.raises(ScanError):
        planes.setLevels(levelsAt((500, 60, 20, -15, -50)))
    assert planes.levels == levelsAt()


def test_moving_a_level_by_number_is_a_person_s_move_within_its_limits(desk):
    assert desk.planes.moveLevel(2, 70.0)[2] == LevelPosition(Level.L2, 70.0, "manual")
    assert [(kind, level) for kind, level, _ in desk.happened] == [("moved", Level.L2)]
    assert desk.planes.moveLevel(2, 500)[2].mm == pytest.approx(95, abs=1e-4)
    assert desk.planes.moveLevel(5, -500)[5].mm == desk.scan.mm_of_slice(0)
    with pytest.raises(LevelError, match="millimetres"):
        desk.planes.moveLevel(1, float("nan"))


def test_a_move_to_where_a_level_is_changes_nothing(desk):
    desk.planes.moveLevel(3, CHEST_MM[2])
    assert desk.planes.levels == levelsAt()
    assert not desk.planes.canUndo
    assert desk.happened == []


def test_limits_say_how_far_a_level_can_go(scene):
    scan = chest()
    planes = LevelPlanes.create(scene, scan, levelsAt())
    assert planes.limits(2) == pytest.approx((25, 95), abs=1e-4)
    assert planes.limits(1) == pytest.approx((67.5, scan.mm_of_slice(59)), abs=1e-4)
    assert planes.limits(3) == pytest.approx((-40, 57.5), abs=1e-4)
    assert planes.limits(5) == pytest.approx((scan.mm_of_slice(0), 10), abs=1e-4)
    planes.moveLevel(4, -10)
    assert planes.limits(3) == pytest.approx((-5, 57.5), abs=1e-4)
    assert planes.limits(5) == pytest.approx((scan.mm_of_slice(0), -15), abs=1e-4)


def test_levels_closer_than_a_slice_may_stay_where_they_are(scene):
    planes = LevelPlanes.create(scene, chest(), levelsAt((100, 62, 60, 0, -50), follows=False))
    low, high = planes.limits(2)
    assert low == 62
    assert high == pytest.approx(95, abs=1e-4)
    assert planes.moveLevel(2, 30)[2].mm == 62


def test_a_position_typed_into_the_markups_module_is_a_move_within_the_limits(desk):
    node = desk.node(Level.L2)
    x, y, _ = node.GetOriginWorld()
    node.SetNthControlPointPositionWorld(0, 5.0, -7.0, 71.0)
    assert node.GetOriginWorld() == pytest.approx((x, y, 71.0), abs=1e-9)
    assert desk.planes.levels[2] == LevelPosition(Level.L2, pytest.approx(71.0), "manual")
    assert [(kind, level) for kind, level, _ in desk.happened] == [("moved", Level.L2)]
    node.SetNthControlPointPositionWorld(0, x, y, -300.0)
    assert desk.planes.levels[2].mm == pytest.approx(25, abs=1e-4)
    desk.planes.undo()
    assert desk.planes.levels[2].mm == pytest.approx(71.0)


def test_levels_set_during_a_drag_are_where_the_drag_goes_on(desk):
    mouse = desk.mice[desk.coronal]
    mouse.press(desk.handle(Level.L2))
    mouse.pull((0, 10))
    found = Levels.from_mm((90, 50, 30, 0, -60), source="l_net")
    desk.planes.setLevels(found)
    assert desk.planes.levels == found
    mouse.pull((0, 10))
    mouse.release()
    assert desk.planes.levels[2].mm == pytest.approx(50 + 10 / desk.pixels(1), abs=1.5)
    assert [desk.planes.levels[n] for n in (1, 3, 4, 5)] == [found[n] for n in (1, 3, 4, 5)]


def test_a_listener_can_stop_listening_without_the_others(desk):
    heard = []
    tag = desk.planes.observe(onMoved=lambda level, levels: heard.append(level))
    desk.planes.moveLevel(1, 105)
    desk.planes.stopObserving(tag)
    desk.planes.moveLevel(1, 110)
    assert heard == [Level.L1]
    assert len(desk.happened) == 2
    desk.planes.stopObserving()
    desk.planes.moveLevel(1, 100)
    assert len(desk.happened) == 2


# ---- keeping them ------------------------------------------------------------------------------------------------


def planeNodes(scene) -> list:
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsPlaneNode", scene)
    return [node for node in nodes if node.GetAttribute(LEVEL_ATTRIBUTE)]


@pytest.mark.parametrize("arrangement", ["straight", "oblique_permuted", "tilted"])
def test_a_saved_scene_gives_back_planes_with_everything(application, tmp_path, arrangement):
    from minimal_application import savedAndLoaded

    scan = scan_in(arrangement)
    volumeFromScan(scan, "CT")
    planes = LevelPlanes.create(application.scene, scan, levelsIn(scan))
    planes.moveLevel(3, scan.mm_of_slice(5.7))
    levels, looks = planes.levels, [n.GetDisplayNode().GetSelectedColor() for n in planes.nodes]

    with savedAndLoaded(application, tmp_path) as loaded:
        volume = slicer.util.getFirstNodeByName("CT")
        again = LevelPlanes.fromNodes(planeNodes(loaded.scene)[::-1], scanFromVolume(volume))
        assert again.levels == levels
        for node, look in zip(again.nodes, looks, strict=True):
            display = node.GetDisplayNode()
            assert display.GetSelectedColor() == pytest.approx(look)
            assert display.GetViewNodeIDs() == ("vtkMRMLSliceNodeSScILDCoronal", "vtkMRMLSliceNodeSScILDSagittal")
            assert not display.GetFillVisibility()
            assert list(display.GetTranslationHandleComponentVisibility()) == [False, False, True, False]
            assert node.GetFixedNumberOfControlPoints()
        assert again.moveLevel(5, scan.mm_of_slice(2))[4].mm == pytest.approx(
            (again.levels[3].mm + again.levels[5].mm) / 2
        )


def test_the_same_nodes_have_one_owner(scene):
    scan = chest()
    planes = LevelPlanes.create(scene, scan, levelsAt())
    assert LevelPlanes.fromNodes(planes.nodes, scan) is planes
    assert LevelPlanes.create(scene, scan, levelsAt()) is not planes


def test_planes_go_when_nobody_holds_them_and_leave_the_nodes_in_peace(scene):
    scan = chest()
    planes = LevelPlanes.create(scene, scan, levelsAt())
    nodes, gone = planes.nodes, weakref.ref(planes)
    del planes
    gc.collect()
    assert gone() is None
    nodes[1].SetNthControlPointPositionWorld(0, 0, 0, 70)  # nobody puts it right now
    assert nodes[1].GetOriginWorld() == pytest.approx((0, 0, 70))
    assert LevelPlanes.fromNodes(nodes, scan).levels[2].mm == pytest.approx(70)


def test_nodes_that_are_no_levels_or_not_five_are_refused(scene):
    planes = LevelPlanes.create(scene, chest(), levelsAt())
    with pytest.raises(SceneError, match="missing"):
        LevelPlanes.fromNodes(planes.nodes[:4], chest())
    with pytest.raises(SceneError, match="twice"):
        LevelPlanes.fromNodes([*planes.nodes[:4], planes.nodes[0]], chest())
    other = scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", "My plane")
    with pytest.raises(SceneError, match="My plane"):
        LevelPlanes.fromNodes([*planes.nodes[:4], other], chest())


def test_nodes_out_of_order_are_refused(scene):
    planes = LevelPlanes.create(scene, chest(), levelsAt())
    nodes = planes.nodes
    del planes
    gc.collect()
    nodes[0].SetNthControlPointPositionWorld(0, 0, 0, -100)
    with pytest.raises(LevelError, match="above"):
        LevelPlanes.fromNodes(nodes, chest())


def test_an_attribute_that_somebody_spoiled_costs_the_source_not_the_level(scene):
    planes = LevelPlanes.create(scene, chest(), levelsAt())
    planes.nodes[0].SetAttribute("SScILD.source", "magic")
    planes.nodes[0].SetAttribute("SScILD.spreadMm", "wide")
    planes.nodes[0].SetAttribute("SScILD.mm", "high")
    assert planes.levels[1] == LevelPosition(Level.L1, pytest.approx(100.0), "given", None)


def test_removing_takes_the_nodes_and_their_looks_out_of_the_scene(scene):
    before = scene.GetNumberOfNodes()
    planes = LevelPlanes.create(scene, chest(), levelsAt())
    assert planes.present
    planes.remove()
    assert not planes.present
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsPlaneNode") == 0
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsPlaneDisplayNode") == 0
    assert scene.GetNumberOfNodes() == before


def test_a_level_deleted_by_the_user_is_noticed(scene):
    planes = LevelPlanes.create(scene, chest(), levelsAt())
    scene.RemoveNode(planes.nodes[2])
    assert not planes.present
    with pytest.raises(SceneError, match="deleted"):
        LevelPlanes.fromNodes(planes.nodes, chest())


# ---- in zoomed views ---------------------------------------------------------------------------------------------


def gripsSeen(desk) -> list[bool]:
    """Whether grip and label of each level lie within both pictures."""
    seen = []
    for node in desk.planes.nodes:
        across = [view.pixelOf(node.GetOriginWorld())[0] for view in (desk.coronal, desk.sagittal)]
        seen.append(all(15 < x < 700 - 35 for x in across))
    return seen


def zoom(view, width: float, centre) -> None:
    columns, rows, _ = view.node.GetDimensions()
    view.node.SetFieldOfView(width, width * rows / columns, 1)
    view.node.JumpSliceByCentering(*centre)


def test_views_fitted_to_the_ct_show_grips_and_labels_beside_it(desk):
    fitViews(desk.application.scene, desk.scan)
    assert all(gripsSeen(desk))
    for node in desk.planes.nodes:
        i, j, _ = desk.scan.index_at(node.GetOriginWorld())
        assert not 0 <= i <= 71
        assert not 0 <= j <= 71


def test_grips_stay_in_sight_when_the_views_are_zoomed_and_the_levels_stay_where_they_are(desk):
    levels = desk.planes.levels
    beside = [node.GetOriginWorld() for node in desk.planes.nodes]
    zoom(desk.coronal, 140, (60, 0, 20))
    zoom(desk.sagittal, 90, (60, -30, 10))
    assert all(gripsSeen(desk))
    assert desk.planes.levels == levels
    assert not desk.planes.canUndo
    assert desk.happened == []
    for view in (desk.coronal, desk.sagittal):
        before = desk.planes.levels[3].mm
        mouse, start = desk.mice[view], view.pixelOf(desk.node(3).GetOriginWorld())
        view.render()
        mouse.drag(start, (10, 30))
        assert desk.planes.levels[3].mm - before == pytest.approx(30 / desk.pixels(1, view), abs=1)
        desk.planes.undo()
    fitViews(desk.application.scene, desk.scan)
    for node, origin in zip(desk.planes.nodes, beside, strict=True):
        assert node.GetOriginWorld() == pytest.approx(origin, abs=1e-6)


def test_lines_reach_over_the_whole_ct_also_from_a_grip_inside_it(desk):
    zoom(desk.coronal, 140, (60, 0, 20))
    fitted = desk.application.sliceView("Other", "Coronal", (400, 400))
    fitted.show(desk.volume)
    for node in desk.planes.nodes:
        node.GetDisplayNode().AddViewNodeID(fitted.node.GetID())
    picture = fitted.render().astype(int)
    left, right = (fitted.pixelOf(desk.scan.ras_at((i, 36, 30)))[0] for i in (0, 71))
    for level, mm in zip(Level, CHEST_MM, strict=True):
        row = 399 - round(fitted.pixelOf((0, 0, mm))[1])
        line = picture[row - 2 : row + 3, round(left) : round(right)]
        near = (np.abs(line - 255 * np.array(LEVEL_COLOURS[level])).max(axis=2) < 30).any(axis=0)
        assert near.mean() > 0.9  # labels and arrows cover a little


def test_grips_find_views_that_come_later_than_the_planes(application):
    scan = chest()
    planes = LevelPlanes.create(application.scene, scan, levelsAt())
    view = application.sliceView(CORONAL_VIEW, "Coronal", (700, 500))
    view.show(volumeFromScan(scan, "CT"))
    zoom(view, 120, (0, 0, 0))
    assert all(15 < view.pixelOf(node.GetOriginWorld())[0] < 665 for node in planes.nodes)
    assert planes.levels == levelsAt()


def test_scrolling_through_slices_changes_no_plane(desk):
    changes = []
    for node in desk.planes.nodes:
        node.AddObserver("ModifiedEvent", lambda caller, event: changes.append(event))
    desk.coronal.logic.SetSliceOffset(25)
    desk.sagittal.logic.SetSliceOffset(-40)
    assert changes == []
