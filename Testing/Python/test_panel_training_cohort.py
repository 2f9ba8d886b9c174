"""The cohort in the training panel: checked as a whole, every mistake shown where it is, made of scored cases."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from small_cohorts import phantom_table
from training_panel_driving import TRAINING_MODULE, TrainingDriver, ownSurroundings

pytest_plugins = ["panel_fixtures"]
pytestmark = pytest.mark.timeout(900)  # a busy computer


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """A table of four phantoms, with scans beside it."""
    return phantom_table(tmp_path_factory.mktemp("cohort"), count=4)


@pytest.fixture
def driver(openModule, monkeypatch, tmp_path):
    ownSurroundings(monkeypatch, tmp_path)
    return TrainingDriver(openModule(TRAINING_MODULE).enter())


def changed(table: Path, name: str, **changes: dict[int, str]) -> Path:
    """A copy beside the table with other values: column -> number of the case -> value."""
    with table.open(newline="", encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    for column, values in changes.items():
        for n, value in values.items():
            rows[n][column] = value
    path = table.with_name(name)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def checked(driver, table: Path) -> None:
    driver.chooseTable(table)
    driver.press(driver.ui.checkButton, "checking the cohort")


def test_without_a_table_it_says_what_to_choose(driver, tmp_path):
    ui = driver.ui
    assert not ui.checkButton.enabled
    assert "Choose a cohort table" in ui.checkButton.toolTip
    assert not ui.casesTable.visible
    driver.chooseTable(tmp_path / "no.csv")
    assert "There is no file" in ui.checkButton.toolTip
    assert "There is no file" in ui.cohortLabel.text
    assert not ui.openTableButton.enabled
    assert "scored cases" in ui.createButton.toolTip
    ui.resultsEdit.currentPath = str(tmp_path / "no folder")
    assert "There is no folder" in ui.createButton.toolTip


def test_a_good_cohort_is_told_and_its_scans_are_shown(driver, cohort):
    import slicer

    from SScILDScoringLib.scene.case import ScoredCase

    ui = driver.ui
    driver.chooseTable(cohort)
    assert "Not checked yet" in ui.cohortLabel.text
    ui.checkButton.click()
    assert ui.cohortJobFrame.visible
    assert "Wait" in ui.tableEdit.toolTip
    driver.opened.exit()  # the answer waits for the user to come back
    driver.waitUntil(lambda: driver.desk.worker.answersWait, "an answer while the module is not shown")
    assert driver.panel.cohort.answer is None
    driver.opened.enter()
    driver.waitUntil(lambda: not driver.desk.busy(), "the check")
    assert "4 cases, 3 patients" in ui.cohortLabel.text
    assert "2 folds" in ui.cohortLabel.text
    assert "Nothing is wrong" in ui.problemsLabel.text
    assert not ui.problemsTable.visible
    rows = driver.table(ui.casesTable)
    assert [row[6] for row in rows] == ["ok"] * 4
    assert rows[2][2] == rows[3][2]  # one patient with two scans
    assert all(row[5].endswith("%") for row in rows)
    assert ui.scoresPicture.pixmap.width() > 200
    ui.pictureCheckBox.setChecked(False)
    assert not ui.scoresPicture.visible

    # A case's scan in the scene, with the levels of the table; loaded once.
    assert not ui.showScanButton.enabled
    assert "Choose a case" in ui.showScanButton.toolTip
    ui.casesTable.selectRow(1)
    driver.press(ui.showScanButton, "loading the scan")
    (volume,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert volume.GetName() == rows[1][1]
    levels = ScoredCase.ofVolume(volume).levels
    with cohort.open(encoding="utf-8") as file:
        truth = list(csv.DictReader(line for line in file if not line.startswith("#")))[1]
    assert levels.mm == pytest.approx([float(truth[f"level_{n}_mm"]) for n in range(1, 6)], abs=0.01)
    assert {position.source for position in levels} == {"given"}
    driver.press(ui.showScanButton, "showing it again")
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 1

    # Saved anew by a spreadsheet program: the check is no longer what it was.
    cohort.write_text(cohort.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    driver.settle()
    assert "has changed" in ui.cohortLabel.text
    assert "not been checked" not in ui.cohortLabel.text
    driver.press(ui.checkButton, "checking again")
    assert "has changed" not in ui.cohortLabel.text


def test_a_scan_whose_levels_are_wrong_is_shown_without_them(driver, cohort):
    import slicer

    from SScILDScoringLib.scene.case import ScoredCase

    ui = driver.ui
    checked(driver, changed(cohort, "outside.csv", level_1_mm={0: "5000"}, path={1: "gone.nii.gz", 2: "cohort.csv"}))
    ui.casesTable.selectRow(0)
    driver.press(ui.showScanButton, "loading the scan")
    (volume,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert ScoredCase.ofVolume(volume) is None
    assert "without its levels" in ui.cohortJobLabel.text
    assert "5000.0 mm is outside the scan" in ui.cohortJobLabel.text
    ui.casesTable.selectRow(1)
    assert not ui.showScanButton.enabled
    assert "not there" in ui.showScanButton.toolTip
    ui.casesTable.selectRow(2)
    driver.press(ui.showScanButton, "loading a file that is no scan")
    assert ui.cohortRetryButton.visible
    assert "cannot be shown. The file is none of the kinds" in ui.cohortJobLabel.text
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 1


def test_every_mistake_is_shown_with_its_row_and_leads_to_its_case(driver, cohort):
    ui = driver.ui
    table = changed(
        cohort, "wrong.csv", tot_2={1: "101"}, tot_3={2: "33"}, gg_3={2: "33"}, ret_3={2: "0"}, path={3: "gone.nii.gz"}
    )
    checked(driver, table)
    problems = driver.table(ui.problemsTable)
    places = [(row[0], row[2]) for row in problems]
    assert places == sorted(places, key=lambda place: int(place[0]))
    assert {("3", "tot_2"), ("4", "tot_3"), ("5", "path")} <= set(places)
    errors = [row for row in problems if row[3].startswith("✖")]
    assert f"{len(errors)} errors" in ui.problemsLabel.text
    assert any("gone.nii.gz" in row[3] for row in errors)
    ui.problemsTable.selectRow(places.index(("4", "tot_3")))
    chosen = ui.casesTable.currentRow()
    assert driver.table(ui.casesTable)[chosen][0] == "4"
    assert "✖" in driver.table(ui.casesTable)[chosen][6]

    # A training on it is refused, with the way to mend it.
    for combo, value in ((ui.recipeComboBox, "scores"), (ui.presetComboBox, "s_net_cpu")):
        combo.setCurrentIndex([combo.itemData(n) for n in range(combo.count)].index(value))
    assert f"has errors ({len(errors)})" in ui.startButton.toolTip

    # Wrong scores do not keep anybody from training on the levels.
    checked(driver, changed(cohort, "wrong_scores.csv", tot_2={1: "101"}))
    assert "has errors" in ui.startButton.toolTip
    for combo, value in ((ui.recipeComboBox, "levels"), (ui.presetComboBox, "l_net_cpu")):
        combo.setCurrentIndex([combo.itemData(n) for n in range(combo.count)].index(value))
    assert ui.startButton.enabled

    # Scores between the steps are right when one says so.
    checked(driver, changed(cohort, "means.csv", gg_3={2: "12.5"}, ret_3={2: "0"}, tot_3={2: "12.5"}))
    assert "1 error." in ui.problemsLabel.text
    ui.exactCheckBox.setChecked(True)
    assert "heck it again" in ui.cohortLabel.text
    driver.press(ui.checkButton, "checking with exact scores")
    assert "error" not in ui.problemsLabel.text


def test_a_file_that_is_no_cohort_and_a_cancelled_check_leave_a_sentence(driver, cohort, tmp_path):
    ui = driver.ui
    other = tmp_path / "other.csv"
    other.write_text("name,colour\na,red\n")
    checked(driver, other)
    assert "has no column case" in ui.cohortJobLabel.text
    assert ui.cohortRetryButton.visible
    assert not ui.casesTable.visible
    driver.chooseTable(cohort)
    ui.checkButton.click()
    ui.cohortCancelButton.click()
    assert "Cancelled" in ui.cohortJobLabel.text
    assert not driver.desk.worker.running
    assert not ui.casesTable.visible
    driver.press(ui.checkButton, "checking after the cancel")
    assert ui.casesTable.visible


def test_scored_cases_become_a_table_which_is_chosen(driver, cohort, tmp_path):
    import qt

    ui = driver.ui
    ui.createBox.collapsed = False
    ui.resultsEdit.currentPath = str(tmp_path)
    driver.press(ui.createButton, "making a table of an empty folder")
    assert ui.cohortJobLabel.text
    assert ui.cohortRetryButton.visible
    ui.resultsEdit.currentPath = str(cohort.parent / "phantoms")
    target = tmp_path / "made"
    ui.newTableEdit.currentPath = str(target)
    driver.press(ui.createButton, "making a table")
    assert driver.desk.table == target.with_suffix(".csv")
    assert ui.tableEdit.currentPath == str(target.with_suffix(".csv"))
    assert "4 cases, 4 of them with scores" in ui.cohortJobLabel.text
    driver.withMessageBoxes(qt.QMessageBox.No)
    before = driver.desk.table.stat().st_mtime_ns
    ui.createButton.click()
    assert "Replace it?" in driver.application.dialogs.shown[-1].text
    assert not driver.desk.busy()
    assert driver.desk.table.stat().st_mtime_ns == before
