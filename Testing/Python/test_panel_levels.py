"""Levels in the panel: numbers and lines are two hands on the same thing. No worker runs here."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from panel_driving import MODULE, PanelDriver, withoutPyTorch
from SScILDScoringLib.levels import Level

pytest_plugins = ["panel_fixtures"]


@pytest.fixture
def driver(openModule, monkeypatch):
    """A CT with levels placed by hand, in the scoring layout."""
    withoutPyTorch(monkeypatch)
    driver = PanelDriver(openModule(MODULE))
    driver.application.showMainWindow()
    driver.opened.enter()
    driver.chooseCT()
    driver.ui.placeByHandButton.click()
    driver.settle()
    return driver


def box(driver, level):
    return driver.panel.levels.table.rows[level].mm


def sliceInView(driver, level) -> int:
    from SScILDScoringLib.scene.views import sliceOfView

    return sliceOfView(driver.scene, level, driver.desk.scan)


def expectedSlice(driver, level) -> int:
    return driver.desk.scan.slice_at(driver.desk.case.levels[level].mm)


class Hand:
    """A mouse in the coronal view."""

    def __init__(self, driver):
        from minimal_application import Mouse

        from SScILDScoringLib.scene.views import CORONAL_VIEW

        self.view = driver.application.layoutManager().sliceWidget(CORONAL_VIEW).offscreen
        self.view.resize(600, 500)
        self.view.fit()
        self.view.render()
        self.mouse = Mouse(self.view)
        self.planes = driver.desk.case.levelPlanes

    def handle(self, level):
        """Where the mouse takes hold of the level's arrow; None when there is none to take."""
        import slicer

        display = self.planes.nodes[level - 1].GetDisplayNode()
        arrow = slicer.vtkMRMLMarkupsDisplayNode.ComponentTranslationHandle
        middle = self.view.pixelOf(self.planes.nodes[level - 1].GetOriginWorld())
        for x in range(int(middle[0]) - 260, int(middle[0]) + 261, 10):
            for up in range(-48, 49, 6):
                self.mouse.move((x, middle[1] + up))
                if display.GetActiveComponentType() == arrow:
                    return x, middle[1] + up
        return None


def test_a_number_moves_the_line_and_the_levels_view(driver):
    before = driver.desk.case.levels[2].mm
    box(driver, 2).setValue(before - 8)
    assert driver.desk.case.levels[2].mm == pytest.approx(before - 8, abs=0.06)
    assert sliceInView(driver, 2) == expectedSlice(driver, 2)
    assert driver.panel.levels.table.rows[2].slice.text == str(driver.desk.scan.file_slice(expectedSlice(driver, 2)))


def test_the_arrow_keys_go_slice_by_slice(driver):
    before = expectedSlice(driver, 1)
    box(driver, 1).stepUp()
    assert expectedSlice(driver, 1) == before + 1
    box(driver, 1).stepDown()
    assert expectedSlice(driver, 1) == before


def test_a_number_beyond_the_neighbour_stops_before_it(driver):
    levels = driver.desk.case.levels
    box(driver, 2).setValue(levels[1].mm + 50)
    moved = driver.desk.case.levels
    assert levels[2].mm < moved[2].mm < moved[1].mm
    assert expectedSlice(driver, 2) < expectedSlice(driver, 1)
    assert box(driver, 2).value == pytest.approx(moved[2].mm, abs=0.06)


def test_level_4_follows_and_says_so_until_it_is_moved(driver):
    row = driver.panel.levels.table.rows[4]
    assert row.source.text == "halfway"
    before = row.mm.value
    box(driver, 3).setValue(box(driver, 3).value + 8)
    assert row.mm.value == pytest.approx(before + 4, abs=0.11)
    row.mm.setValue(row.mm.value + 8)
    assert row.source.text == "by hand"


def test_a_drag_with_the_mouse_shows_at_once_in_table_and_view_and_can_be_undone(driver):
    hand = Hand(driver)
    before = driver.desk.case.levels
    shown = []
    start = hand.handle(Level.L3)
    assert start is not None, "there is no handle to drag"
    hand.mouse.press(start)
    for _n in range(3):
        hand.mouse.pull((0, 6), steps=3)
        shown.append((box(driver, 3).value, sliceInView(driver, 3)))
    hand.mouse.release()
    driver.settle()
    after = driver.desk.case.levels
    assert shown[0][0] < shown[1][0] < shown[2][0]  # the number follows while the mouse moves
    assert shown[-1][1] > driver.desk.scan.slice_at(before[3].mm)
    assert after[3].mm > before[3].mm
    assert after[3].source == "manual"
    assert box(driver, 3).value == pytest.approx(after[3].mm, abs=0.06)
    assert driver.ui.undoButton.enabled
    driver.ui.undoButton.click()
    assert driver.desk.case.levels.mm == pytest.approx(before.mm)
    assert box(driver, 3).value == pytest.approx(before[3].mm, abs=0.06)
    assert sliceInView(driver, 3) == driver.desk.scan.slice_at(before[3].mm)
    driver.ui.redoButton.click()
    assert driver.desk.case.levels.mm == pytest.approx(after.mm)


def test_locked_levels_can_be_moved_neither_by_mouse_nor_by_number(driver):
    driver.ui.levelsLockedCheckBox.setChecked(True)
    assert not box(driver, 2).enabled
    assert "locked" in box(driver, 2).toolTip
    assert Hand(driver).handle(Level.L2) is None
    driver.ui.levelsLockedCheckBox.setChecked(False)
    assert box(driver, 2).enabled


def test_lines_can_be_hidden_and_hidden_ones_stay_hidden_after_coming_back(driver):
    planes = driver.desk.case.levelPlanes
    driver.ui.levelsVisibleCheckBox.setChecked(False)
    assert not any(node.GetDisplayNode().GetVisibility() for node in planes.nodes)
    driver.opened.exit()
    driver.opened.enter()
    assert not any(node.GetDisplayNode().GetVisibility() for node in planes.nodes)
    assert not driver.ui.levelsVisibleCheckBox.checked


def test_show_puts_the_level_into_its_own_view_and_into_the_users_views(driver):
    manager = driver.application.layoutManager()
    driver.ui.layoutCheckBox.setChecked(False)
    red = manager.sliceWidget("Red").mrmlSliceNode()
    driver.panel.levels.table.rows[5].jump.click()
    scan, mm = driver.desk.scan, driver.desk.case.levels[5].mm
    assert red.GetSliceOffset() == pytest.approx(scan.mm_of_slice(scan.slice_at(mm)), abs=0.01)


def test_a_level_moved_elsewhere_shows_in_the_panel(driver):
    """By the console, another module, or a script."""
    driver.desk.case.levelPlanes.moveLevel(Level.L5, driver.desk.case.levels[5].mm + 8)
    assert box(driver, 5).value == pytest.approx(driver.desk.case.levels[5].mm, abs=0.06)
