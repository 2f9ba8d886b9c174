"""The panel opens anywhere, explains itself, keeps its settings in the scene and leaves nothing behind.

No worker runs in these tests: PyTorch is missing in them, as on a fresh computer.
"""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from panel_driving import MODULE, PanelDriver, withoutPyTorch

pytest_plugins = ["panel_fixtures"]

BUTTONS_THAT_NEED_A_CT = (
    *("findLevelsButton", "placeByHandButton", "undoButton", "redoButton", "scoreButton", "scoreEverySliceButton"),
    *("heatMapsButton", "segmentationButton", "exportButton", "restartWorkerButton"),
)


@pytest.fixture
def driver(openModule, monkeypatch):
    withoutPyTorch(monkeypatch)
    return PanelDriver(openModule(MODULE).enter())


# ---- opening ---------------------------------------------------------------------------------------------------------


def test_it_opens_without_a_main_window_and_starts_nothing(driver):
    assert driver.application.layoutManager() is None
    assert not driver.desk.worker.running
    assert driver.ui.volumeSelector.currentNode() is None


def test_opening_imports_neither_torch_nor_simpleitk(driver):
    """Judged in a process of its own: other tests of this one import them."""
    import subprocess

    code = (
        "import sys; sys.path[:0] = sys.argv[1:4]\n"
        "from minimal_application import MinimalApplication\n"
        "from standins.install import install\n"
        "with MinimalApplication() as minimal:\n"
        "    installation = install(minimal)\n"
        "    from standins.module_opening import openModule\n"
        "    module = openModule(sys.argv[4])\n"
        "    module.enter()\n"
        "    heavy = {'torch', 'SimpleITK', 'pydicom', 'jinja2', 'monai'} & set(sys.modules)\n"
        "    module.close(); installation.remove()\n"
        "print('heavy:', sorted(heavy))\n"
    )
    root = MODULE.parents[1]
    folders = [str(root / "Testing" / "Application"), str(root / "SScILDScoring"), str(root / "Testing" / "Python")]
    done = subprocess.run(
        [sys.executable, "-c", code, *folders, str(MODULE)], capture_output=True, text=True, timeout=100
    )
    assert "heavy: []" in done.stdout, done.stdout + done.stderr


def test_it_says_that_it_is_for_research_only(driver):
    assert "For research use only" in driver.ui.noticeLabel.text
    assert "research use only" in driver.opened.cpp.helpText


def test_help_and_acknowledgement_are_there(driver):
    assert "Goh" in driver.opened.cpp.helpText
    assert "Jia" in driver.opened.cpp.acknowledgementText


# ---- buttons explain themselves --------------------------------------------------------------------------------------


def test_without_a_ct_every_button_says_that_one_is_needed(driver):
    for name in BUTTONS_THAT_NEED_A_CT:
        button = getattr(driver.ui, name)
        assert not button.enabled, name
        assert "CT" in button.toolTip, f"{name}: {button.toolTip}"


def test_without_pytorch_finding_levels_names_it_and_placing_by_hand_works(driver):
    driver.chooseCT()
    assert not driver.ui.findLevelsButton.enabled
    assert "torch" in driver.ui.findLevelsButton.toolTip
    assert "Software" in driver.ui.findLevelsButton.toolTip
    driver.ui.placeByHandButton.click()
    levels = driver.desk.case.levels
    assert [p.source for p in levels] == ["manual"] * 5
    assert not driver.ui.placeByHandButton.enabled
    assert "already" in driver.ui.placeByHandButton.toolTip
    assert "torch" in driver.ui.scoreButton.toolTip


def test_missing_software_opens_its_section_and_is_listed_with_its_size(driver):
    assert not driver.ui.environmentSection.collapsed
    assert "torch" in driver.ui.environmentLabel.text
    assert "250 MB" in driver.ui.environmentLabel.text
    table = driver.ui.environmentTable
    assert [table.item(0, column).text() for column in (0, 3)] == ["torch", "missing"]
    assert driver.ui.installButton.enabled


def test_every_button_and_field_has_a_tool_tip(driver):
    import qt

    kinds = (qt.QPushButton, qt.QCheckBox, qt.QComboBox, qt.QLineEdit, qt.QDoubleSpinBox)
    own = [getattr(driver.ui, name) for name in vars(driver.ui)]
    silent = [w.name for w in own if isinstance(w, kinds) and not w.toolTip and not w.name.startswith("qt_")]
    assert not silent


def test_a_volume_that_cannot_be_scored_says_why(driver):
    import numpy as np
    import slicer

    driver.choose(slicer.util.addVolumeFromArray(np.zeros((1, 8, 8), np.int16), name="one slice"))
    assert "one slice only" in driver.ui.scanLabel.text
    assert "one slice only" in driver.ui.findLevelsButton.toolTip
    assert not driver.ui.placeByHandButton.enabled


def test_the_keyboard_visits_the_panel_from_top_to_bottom(driver):
    driver.chooseCT()
    driver.ui.placeByHandButton.click()
    ui, rows = driver.ui, driver.panel.levels.table.rows
    wanted = [ui.layoutCheckBox, rows[1].mm, rows[1].jump, rows[5].jump, ui.undoButton, ui.levelsLockedCheckBox]
    widget, visited = ui.volumeSelector, []
    for _n in range(400):
        widget = widget.nextInFocusChain()
        visited.append(widget)
    places = [visited.index(w) for w in wanted]
    assert places == sorted(places)


# ---- settings --------------------------------------------------------------------------------------------------------


def test_every_setting_comes_back_with_the_scene(driver, tmp_path):
    driver.chooseCT()
    ui = driver.ui
    ui.autoRescoreCheckBox.setChecked(False)
    ui.layoutCheckBox.setChecked(False)
    ui.fvcCheckBox.setChecked(True)
    ui.fvcSpinBox.setValue(63)
    ui.eachLevelCheckBox.setChecked(False)
    ui.opacitySlider.value = 0.35
    ui.windowSlider.value = 7.5
    ui.caseNameEdit.text = "patient 7"
    ui.folderEdit.currentPath = str(tmp_path)
    ui.lNetComboBox.setCurrentIndex(ui.lNetComboBox.count - 1)
    driver.parameters.pattern = "ret"
    driver.settle()
    driver.saveAndLoad(tmp_path)
    assert driver.parameters.inputVolume.GetName() == "CT"
    assert ui.volumeSelector.currentNode() is driver.parameters.inputVolume
    assert not ui.autoRescoreCheckBox.checked
    assert not ui.layoutCheckBox.checked
    assert (ui.fvcCheckBox.checked, ui.fvcSpinBox.value) == (True, 63)
    assert not ui.eachLevelCheckBox.checked
    assert (ui.opacitySlider.value, ui.windowSlider.value) == (pytest.approx(0.35), 7.5)
    assert (ui.caseNameEdit.text, ui.folderEdit.currentPath) == ("patient 7", str(tmp_path))
    assert driver.parameters.lNet == "anatomy"
    assert "anatomy" in ui.lNetComboBox.currentText
    assert ui.retPatternButton.checked


def test_levels_come_back_with_the_scene(driver, tmp_path):
    driver.chooseCT()
    driver.ui.placeByHandButton.click()
    driver.panel.levels.table.rows[2].mm.setValue(driver.desk.case.levels[2].mm + 8)
    before = driver.desk.case.levels
    driver.saveAndLoad(tmp_path)
    assert driver.desk.case.levels.mm == pytest.approx(before.mm, abs=1e-3)
    assert driver.panel.levels.table.rows[2].mm.value == pytest.approx(before[2].mm, abs=0.06)
    assert driver.panel.levels.table.rows[2].mm.enabled


# ---- coming and going ------------------------------------------------------------------------------------------------


def test_leaving_disconnects_and_coming_back_shows_what_changed_meanwhile(driver):
    driver.chooseCT()
    driver.ui.placeByHandButton.click()
    planes, table = driver.desk.case.levelPlanes, driver.panel.levels.table
    driver.opened.exit()
    assert driver.parameters is None
    parameters = driver.panel.logic.getParameterNode()
    parameters.opacity = 0.2
    shown = table.rows[1].mm.value
    planes.moveLevel(1, planes.levels[1].mm + 8)
    driver.settle()
    assert driver.ui.opacitySlider.value == pytest.approx(0.7)
    assert table.rows[1].mm.value == shown
    driver.opened.enter()
    driver.settle()
    assert driver.ui.opacitySlider.value == pytest.approx(0.2)
    assert table.rows[1].mm.value == pytest.approx(planes.levels[1].mm, abs=0.06)


def test_the_former_layout_comes_back_when_the_module_is_left(driver):
    driver.application.showMainWindow()
    manager = driver.application.layoutManager()
    former = manager.layout
    driver.chooseCT()
    assert manager.layout == former  # nothing to show yet
    driver.ui.placeByHandButton.click()
    assert driver.panel.views.shown
    driver.opened.exit()
    assert manager.layout == former
    driver.opened.enter()
    assert driver.panel.views.shown
    driver.ui.layoutCheckBox.setChecked(False)
    assert manager.layout == former


def test_a_layout_that_the_user_chose_meanwhile_is_kept_when_leaving(driver):
    driver.application.showMainWindow()
    manager = driver.application.layoutManager()
    driver.chooseCT()
    driver.ui.placeByHandButton.click()
    manager.setLayout(6)
    driver.opened.exit()
    assert manager.layout == 6


def test_closing_the_scene_empties_the_panel(driver):
    driver.chooseCT()
    driver.ui.opacitySlider.value = 0.3
    driver.ui.placeByHandButton.click()
    driver.scene.Clear(0)
    driver.settle()
    assert driver.desk.case is None
    assert driver.ui.volumeSelector.currentNode() is None
    assert "Choose a CT" in driver.ui.findLevelsButton.toolTip
    assert driver.panel.levels.table.rows[3].slice.text == "–"
    assert not driver.panel.levels.table.rows[3].mm.enabled
    assert driver.ui.opacitySlider.value == pytest.approx(0.7)


def test_closing_the_scene_while_another_module_is_shown(driver):
    driver.chooseCT()
    driver.ui.placeByHandButton.click()
    driver.opened.exit()
    driver.scene.Clear(0)
    driver.opened.enter()
    assert driver.desk.case is None
    assert driver.parameters.inputVolume is None


def test_removing_the_ct_is_noticed(driver):
    volume = driver.chooseCT()
    driver.ui.placeByHandButton.click()
    driver.scene.RemoveNode(volume)
    driver.settle()
    assert "Choose a CT" in driver.ui.findLevelsButton.toolTip


def test_the_volume_in_the_views_is_chosen_when_the_module_is_entered(driver):
    driver.opened.exit()
    volume = driver.addCT()
    driver.application.applicationLogic().GetSelectionNode().SetActiveVolumeID(volume.GetID())
    driver.opened.enter()
    assert driver.ui.volumeSelector.currentNode() is volume


def test_moving_the_ct_moves_what_the_panel_knows_of_it(driver):
    import numpy as np
    import slicer

    volume = driver.chooseCT()
    before = driver.desk.scan.mm_of_slice(0)
    transform = driver.scene.AddNewNodeByClass("vtkMRMLTransformNode")
    matrix = np.eye(4)
    matrix[2, 3] = 100
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    driver.waitUntil(lambda: driver.desk.scan.mm_of_slice(0) != before, "the CT's new place")
    assert driver.desk.scan.mm_of_slice(0) == pytest.approx(before + 100)
