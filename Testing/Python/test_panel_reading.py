"""A reader studies case after case in the panel: by keyboard, blinded, and nothing stored is ever lost.

Keys are real key events that go through Qt's shortcuts; studies, answers and the scene are real. No worker runs.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from panel_driving import MODULE, withoutPyTorch
from reading_driving import SECRET, Reader, makeStudy
from SScILDScoringLib.levels import Level
from SScILDScoringLib.observers.progress import read_progress
from SScILDScoringLib.observers.study import read_study
from SScILDScoringLib.scores import Pattern

pytest_plugins = ["panel_fixtures"]


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Studies made once; answers go into copies of them (see ``study``)."""
    made: dict[str, Path] = {}

    def of(kind: str, **settings) -> Path:
        if kind not in made:
            made[kind] = makeStudy(tmp_path_factory.mktemp(kind), **settings)
        return made[kind]

    return of


KINDS = {
    "own": {},
    "given": {"levels": "given"},
    "reveal": {"levels": "given", "reveal": True},
    "likert": {"task": "likert"},
    "twice": {"levels": "given", "sessions": 2},
}


@pytest.fixture
def study(studies, tmp_path):
    """``study(kind)`` is a fresh copy of a study, with its key beside it."""
    import shutil

    def of(kind: str) -> Path:
        source = studies(kind, **KINDS[kind])
        shutil.copytree(source, tmp_path / "study")
        shutil.copy(source.parent / "study.key.json", tmp_path / "study.key.json")
        return tmp_path / "study"

    return of


@pytest.fixture
def reader(openModule, monkeypatch):
    """Somebody who sits before the module's panel."""
    withoutPyTorch(monkeypatch)
    import slicer

    slicer.app.showMainWindow()
    return Reader(openModule(MODULE).enter())


def answers(folder: Path, name: str = "A", session: int = 1):
    """What is on the disk: item -> progress, as the study's own reader of answers sees it."""
    return read_progress(read_study(folder), folder, name, session).items


def records(folder: Path, name: str = "A") -> list[dict]:
    """The lines of a reader's log that hold answers."""
    (path,) = (folder / "answers").glob(f"{name}_*.jsonl")
    return [row for row in map(json.loads, path.read_text().splitlines()) if row.get("answers")]


# ---- scoring by keyboard ---------------------------------------------------------------------------------------------


def test_a_case_is_scored_and_stored_with_the_keyboard_alone(reader, study):
    folder = study("given")
    reader.begin(folder)
    item = reader.sitting.item.id
    reader.type(20, 15, 10, 5, 5, 0, 0, 0, 0, 35, 20, 25)
    reader.keys("1", "0", "0", "Tab", "8", "0", "Tab", "3", "0")
    assert reader.cell(5, 1) == "100"
    reader.keys("Enter")
    stored = answers(folder)[item]
    assert stored.is_complete
    found = [stored.answers[(level,)].values for level in Level]
    assert found == [(20, 15, 10), (5, 5, 0), (0, 0, 0), (35, 20, 25), (100, 80, 30)]
    assert reader.sitting.item.number == 2
    assert item in reader.message


def test_steps_and_levels_have_keys_too(reader, study):
    reader.begin(study("given"))
    reader.keys("Up", "Up", "Up", "Tab", "PgDown")
    assert reader.sitting.sheet.current == (Level.L2, Pattern.GG)
    assert reader.case.level is Level.L2
    assert reader.cell(1, 1) == "10"
    reader.keys("+", "+", "-", "PgUp", "Shift+Tab", "Down")
    assert reader.cell(2, 2) == "0"
    assert reader.cell(1, 1) == "5"
    reader.keys("Del")
    assert reader.cell(1, 1) == "?"
    reader.keys("4", "5", "Backspace")
    assert reader.cell(1, 1) == "4…"


def test_a_number_off_the_grid_is_not_left_and_not_stored(reader, study):
    folder = study("given")
    reader.begin(folder)
    reader.fillCase()
    reader.keys("Home", "PgUp", "PgUp", "PgUp", "PgUp", "3")
    before = reader.sitting.sheet.current
    for key in ("Tab", "PgDown", "Enter"):
        reader.keys(key)
        assert reader.sitting.sheet.current == before
        assert "steps of 5" in reader.message
    assert not records(folder)
    reader.keys("0", "Tab")
    assert reader.sitting.sheet.current != before


def test_what_is_missing_is_shown_instead_of_stored(reader, study):
    folder = study("given")
    reader.begin(folder)
    reader.type(20, 15, 10)
    reader.keys("PgDown", "5", "Enter")
    assert "11 of 15" in reader.message
    assert reader.sitting.sheet.current == (Level.L2, Pattern.TOT)
    assert not records(folder)


def test_a_contradiction_is_said_while_typing_and_kept_only_knowingly(reader, study):
    folder = study("given")
    reader.begin(folder)
    item = reader.sitting.item.id
    reader.type(10)
    assert reader.ui.readingRuleLabel.isHidden()
    reader.keys("2", "0")
    assert "L1" in reader.ui.readingRuleLabel.text
    assert not reader.ui.readingRuleLabel.isHidden()
    reader.keys("Tab", "0", "Tab")
    assert "not 10 %" in reader.ui.readingRuleLabel.text
    reader.type(*([20, 15, 10] * 4))
    reader.keys("Enter")
    assert "Enter again" in reader.message
    assert not records(folder)
    reader.keys("Home", "Enter")
    first = answers(folder)[item].answers[(Level.L1,)]
    assert first.values == (10, 20, 0)
    assert first.knowingly
    assert not answers(folder)[item].answers[(Level.L2,)].knowingly


def test_the_mouse_does_the_same(reader, study):
    folder = study("given")
    reader.begin(folder)
    item, view = reader.sitting.item.id, reader.section.view
    for row in range(5):
        for column, value in ((1, 25), (2, 20), (3, 5)):
            reader.ui.readingTable.cellClicked.emit(row, column)
            view.buttons[value].click()
    reader.ui.readingStoreButton.click()
    assert answers(folder)[item].answers[(Level.L5,)].values == (25, 20, 5)


def test_fields_for_text_keep_their_keys(reader, study):
    import qt

    reader.begin(study("given"))
    field = qt.QLineEdit(reader.opened.panel)
    field.show()
    field.setFocus()
    reader.keys("2", "0", "P")
    assert field.text == "20p"
    assert reader.cell(1, 1) == "?"
    assert reader.case is not None


def test_the_table_of_keys_names_every_key_that_is_listened_to(reader, study):
    reader.begin(study("own"))
    text = reader.ui.readingKeysLabel.text
    keys = reader.section.keys.keys
    assert all(key.title in text for key in keys)
    sequences = [sequence for key in keys for sequence, _function in key.sequences]
    assert len(sequences) == len(set(sequences))
    assert {"Tab", "PgDown", "Return", "P", "U", "A", "L"} <= set(sequences)
    assert "N" not in sequences  # this study never shows the network's answer


# ---- levels ----------------------------------------------------------------------------------------------------------


def test_own_levels_are_placed_with_keys_and_stored_with_the_scores(reader, study):
    folder = study("own")
    reader.begin(folder)
    item = reader.sitting.item.id
    start = reader.case.levels.mm
    reader.keys("Ctrl+Up", "Ctrl+Up", "PgDown", "Ctrl+Down")
    moved = reader.case.levels.mm
    assert moved[0] > start[0]
    assert moved[1] < start[1]
    assert not reader.case.offLevel
    reader.keys("PgUp")
    reader.fillCase()
    reader.keys("Enter")
    stored = answers(folder)[item]
    assert [stored.answers[(level,)].level_mm for level in Level] == pytest.approx(moved, abs=0.001)


def test_a_level_takes_the_slice_that_the_wheel_has_found(reader, study):
    from SScILDScoringLib.scene import reading_views

    reader.begin(study("own"))
    k = reader.case.sliceOf(Level.L1) + 1
    reading_views.showSlice(reader.scene, reader.case.scan, k)
    reader.section._tick()
    assert "Home" in reader.ui.readingCaseLabel.text
    reader.keys("L")
    assert reader.case.sliceOf(Level.L1) == k
    reading_views.showSlice(reader.scene, reader.case.scan, k - 3)
    reader.keys("Home")
    assert reading_views.sliceShown(reader.scene, reader.case.scan) == k
    assert "Home" not in reader.ui.readingCaseLabel.text


def test_levels_that_nobody_placed_are_asked_about(reader, study):
    folder = study("own")
    reader.begin(folder)
    reader.fillCase()
    reader.keys("Enter")
    assert "No level was moved" in reader.message
    assert not records(folder)
    reader.keys("Enter")
    assert len(records(folder)) == 1


def test_given_levels_stay_and_have_no_keys_to_move_them(reader, study):
    reader.begin(study("given"))
    before = reader.case.levels.mm
    reader.keys("Ctrl+Up", "L")
    assert reader.case.levels.mm == before
    assert reader.ui.readingLevelButton.isHidden()
    assert "put the level" not in reader.ui.readingKeysLabel.text


# ---- going back, pausing, leaving ------------------------------------------------------------------------------------


def test_the_last_case_is_corrected_and_the_open_one_waits(reader, study):
    folder = study("given")
    reader.begin(folder)
    first = reader.sitting.item.id
    reader.fillCase(20, 15, 10)
    reader.keys("Enter")
    second = reader.sitting.item.id
    reader.type(55)
    reader.keys("U")
    assert reader.sitting.item.id == first
    assert [reader.cell(1, column) for column in (1, 2, 3)] == ["20", "15", "10"]
    reader.type(25)
    reader.keys("Enter")
    assert answers(folder)[first].answers[(Level.L1,)].values == (25, 15, 10)
    assert answers(folder)[first].corrections == 5
    assert len(records(folder)) == 2  # the first answer stays in the log
    assert reader.sitting.item.id == second
    assert reader.cell(1, 1) == "55"


def test_a_pause_hides_the_case_and_stops_the_clock(reader, study):
    import time

    reader.begin(study("own"))
    reader.keys("Ctrl+Up", "2", "0")
    levels = reader.case.levels.mm
    reader.keys("P")
    assert reader.case is None
    assert reader.scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
    assert reader.ui.readingTable.isHidden()
    before = reader.sitting.session.seconds
    time.sleep(0.3)
    assert reader.sitting.session.seconds == before
    reader.keys("5", "Enter")
    assert reader.case is None
    reader.keys("P")
    assert reader.cell(1, 1) == "20"
    assert reader.case.levels.mm == pytest.approx(levels)
    time.sleep(0.05)
    assert reader.sitting.session.seconds > before


def test_time_is_stored_with_the_answers_and_shown(reader, study):
    import time

    folder = study("given")
    reader.begin(folder)
    time.sleep(0.2)
    reader.fillCase()
    reader.keys("Enter")
    assert 0.2 <= records(folder)[0]["seconds"] < 120
    assert "0:0" in reader.ui.readingCaseLabel.text
    assert "case 2 of 3" in reader.ui.readingCaseLabel.text
    assert reader.ui.readingProgressBar.value == 1


def test_leaving_the_module_pauses_and_coming_back_goes_on(reader, study):
    reader.begin(study("given"))
    reader.type(20)
    layout = reader.application.layoutManager().layout
    reader.opened.exit()
    assert reader.case is None
    assert reader.application.layoutManager().layout != layout
    assert reader.scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
    reader.opened.enter()
    reader.ui.readingPauseButton.click()
    assert reader.cell(1, 1) == "20"
    assert reader.application.layoutManager().layout == layout


def test_closing_the_scene_pauses_and_nothing_stored_is_lost(reader, study):
    folder = study("own")
    reader.begin(folder)
    reader.keys("Ctrl+Up")
    reader.fillCase()
    reader.keys("Enter", "Ctrl+Up", "1", "5")
    reader.scene.Clear(0)
    reader.settle()
    assert reader.case is None
    assert "Paused" in reader.message
    reader.ui.readingPauseButton.click()
    assert reader.sitting.item.number == 2
    assert reader.cell(1, 1) == "15"
    assert len(records(folder)) == 1


def test_a_case_left_for_later_comes_after_the_others(reader, study):
    folder = study("given")
    reader.begin(folder)
    order = [item.id for item in reader.sitting.session.items]
    reader.keys("S")
    for expected in (order[1], order[2], order[0]):
        assert reader.sitting.item.id == expected
        reader.fillCase()
        reader.keys("Enter")
    assert reader.sitting.item is None
    assert "All 3 cases" in reader.message
    assert all(progress.is_complete for progress in answers(folder).values())
    reader.keys("U")
    assert reader.sitting.item.id == order[0]


def test_opening_the_session_again_goes_on_where_it_was_left(openModule, reader, study):
    folder = study("given")
    reader.begin(folder)
    reader.fillCase()
    reader.keys("Enter")
    second = reader.sitting.item.id
    reader.type(20)
    reader.opened.close()
    again = Reader(openModule(MODULE).enter())
    again.fillForm(folder)
    assert "1 of them" in again.ui.readingStudyLabel.text
    assert again.ui.readingStartButton.text == "Continue reading"
    again.ui.readingStartButton.click()
    assert again.sitting.item.id == second
    assert again.cell(1, 1) == "?"


def test_a_killed_application_loses_the_open_case_at_most(study):
    folder = study("given")
    code = (
        "import os, signal, sys\n"
        "sys.path[:0] = sys.argv[1:4]\n"
        "from minimal_application import MinimalApplication\n"
        "from standins.install import install\n"
        "from pathlib import Path\n"
        "with MinimalApplication() as minimal:\n"
        "    installation = install(minimal)\n"
        "    installation.application.showMainWindow()\n"
        "    from standins.module_opening import openModule\n"
        "    from reading_driving import Reader\n"
        "    reader = Reader(openModule(sys.argv[4]).enter())\n"
        "    reader.begin(Path(sys.argv[5]))\n"
        "    reader.fillCase()\n"
        "    reader.keys('Enter')\n"
        "    reader.type(55, 30)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = MODULE.parents[1]
    folders = [str(root / "Testing" / "Application"), str(root / "SScILDScoring"), str(root / "Testing" / "Python")]
    command = [sys.executable, "-c", code, *folders, str(MODULE), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    complete = [progress for progress in answers(folder).values() if progress.is_complete]
    assert len(complete) == 1
    assert complete[0].answers[(Level.L3,)].values == (20, 15, 10)


def test_reader_and_session_are_asked_for_every_time(reader, study):
    folder = study("twice")
    reader.fillForm(folder, "B", 2)
    reader.ui.readingStartButton.click()
    assert reader.sitting.session.reader == "B"
    assert reader.sitting.session.session == 2
    reader.ui.readingEndButton.click()
    assert reader.sitting is None
    assert not reader.section.setup.reader
    assert reader.section.setup.session == 0
    assert "who reads" in reader.ui.readingStartButton.toolTip
    names = [
        reader.parameters.parameterNode.GetParameter(n) for n in reader.parameters.parameterNode.GetParameterNames()
    ]
    assert not {"B", "2", str(folder)} & set(names)


def test_two_cannot_read_the_same_session_at_once(reader, study):
    from SScILDScoringLib.observers.reading import ReadingSession

    folder = study("given")
    with ReadingSession(folder, "A", 1):
        reader.begin(folder)
        assert reader.sitting is None
        assert "open already" in reader.message


def test_leaving_asks_only_when_something_would_be_lost(reader, study):
    reader.begin(study("given"))
    reader.type(20)
    reader.willAnswer(False)
    reader.keys("E")
    assert reader.cell(1, 1) == "20"
    reader.willAnswer(True)
    reader.keys("E")
    assert reader.sitting is None
    reader.begin(reader.section.setup.folder)
    assert reader.cell(1, 1) == "?"
    reader.keys("E")
    assert reader.sitting is None


def test_a_disk_that_cannot_be_written_is_said_and_the_case_stays(reader, study):
    folder = study("given")
    reader.begin(folder)
    item = reader.sitting.item.id
    reader.fillCase()
    log = reader.sitting.session._log
    log._file.close()  # what a network drive that goes away does to an open file
    reader.keys("Enter")
    assert "NOT be stored" in reader.message
    assert reader.sitting.item.id == item
    assert reader.cell(1, 1) == "20"
    log._file = log.path.open("ab", buffering=0)
    reader.keys("Enter")
    assert answers(folder)[item].is_complete


# ---- blinded ---------------------------------------------------------------------------------------------------------


def test_no_text_anywhere_tells_whose_case_it_is(reader, study):
    import qt

    folder = study("reveal")
    reader.begin(folder)
    reader.fillCase()
    reader.keys("Enter", "N")
    widgets = reader.opened.panel.findChildren(qt.QWidget)
    texts = [
        str(getattr(w, name, "")) for w in widgets for name in ("text", "toolTip", "windowTitle", "accessibleName")
    ]
    table = reader.ui.readingTable
    texts += [table.item(r, c).text() for r in range(table.rowCount) for c in range(table.columnCount)]
    texts += [reader.window.windowTitle, reader.application.mainWindow().windowTitle, reader.everythingInTheScene()]
    assert reader.sitting.item.id in "\n".join(texts)
    for secret in (*SECRET.split(), folder.name + "/scans"):
        assert secret not in "\n".join(texts)


def test_a_case_that_cannot_be_opened_is_named_by_its_blinded_name_only(reader, study):
    folder = study("given")
    reader.begin(folder)
    order = [item.id for item in reader.sitting.session.items]
    reader.ui.readingEndButton.click()
    (folder / "scans" / f"{order[0]}.nii.gz").write_bytes(b"broken")
    reader.begin(folder)
    assert reader.message.startswith(f"{order[0]} cannot be opened")
    assert "nii" not in reader.message
    assert reader.case is None
    reader.keys("S")
    assert reader.sitting.item.id == order[1]
    assert reader.case is not None


def test_the_rest_of_the_panel_is_gone_while_somebody_reads(reader, study):
    reader.chooseCT()
    reader.ui.placeByHandButton.click()
    reader.willAnswer(True)
    reader.begin(study("given"))
    assert reader.parameters.inputVolume is None
    for name in ("inputSection", "levelsSection", "scoresSection", "heatMapsSection", "exportSection", "modelsSection"):
        section = getattr(reader.ui, name)
        assert section.isHidden()
        assert not section.enabled
    for name in ("findLevelsButton", "scoreButton", "heatMapsButton", "volumeSelector", "installFileButton"):
        assert not getattr(reader.ui, name).enabled
    assert reader.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
    reader.ui.readingEndButton.click()
    assert not reader.ui.levelsSection.isHidden()
    assert reader.ui.volumeSelector.enabled
    assert reader.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


def test_a_scene_with_other_data_is_closed_first_or_nothing_begins(reader, study):
    volume = reader.addCT("CT with a name")
    folder = study("given")
    reader.willAnswer(False)
    reader.begin(folder)
    assert reader.sitting is None
    assert volume.GetScene() is not None
    assert "CT with a name" in reader.application.dialogs.shown[-1].text
    reader.willAnswer(True)
    reader.begin(folder)
    assert reader.case is not None
    assert volume.GetScene() is None


def test_data_that_comes_during_a_pause_is_closed_before_the_case_comes_back(reader, study):
    reader.begin(study("given"))
    reader.keys("P")
    volume = reader.addCT()
    reader.willAnswer(False)
    reader.keys("P")
    assert reader.case is None
    reader.willAnswer(True)
    reader.keys("P")
    assert reader.case is not None
    assert volume.GetScene() is None


def test_the_networks_answer_comes_after_ones_own_and_closes_it(reader, study):
    folder = study("reveal")
    reader.begin(folder)
    item = reader.sitting.item.id
    reader.keys("N")
    assert reader.sitting.network is None
    assert not reader.ui.readingRevealButton.enabled
    reader.fillCase()
    reader.keys("N")
    assert reader.sitting.network is None
    reader.keys("Enter")
    assert reader.sitting.item.id == item
    assert "net" not in reader.cell(1, 1)
    reader.keys("N")
    assert "(net 2" in reader.cell(1, 1)
    assert answers(folder)[item].revealed
    reader.keys("5", "0", "U")
    assert reader.sitting.item.id == item
    assert reader.cell(1, 1).startswith("20")
    reader.keys("Enter")
    assert reader.sitting.item.id != item
    assert not reader.ui.readingUndoButton.enabled


def test_a_study_that_does_not_allow_it_has_no_way_to_the_networks_answer(reader, study):
    reader.begin(study("given"))
    assert reader.ui.readingRevealButton.isHidden()
    reader.fillCase()
    reader.keys("Enter", "N")
    assert reader.sitting.network is None
    assert reader.sitting.item.number == 2


# ---- heat maps and atlas ---------------------------------------------------------------------------------------------


def test_heat_maps_are_rated_with_one_to_five(reader, study):
    from SScILDScoringLib.scene.views import compositeNode

    folder = study("likert")
    reader.begin(folder)
    item = reader.sitting.item.id
    shown = []
    for rating in (1, 2, 3, 4, 5) * 3:
        composite = compositeNode(reader.scene, "SScILDReadingMap")
        shown.append(reader.scene.GetNodeByID(composite.GetForegroundVolumeID()).GetName())
        reader.keys(str(rating), "7", "Tab")
    assert shown[:4] == [f"{item} L1 TOT", f"{item} L1 GG", f"{item} L1 RET", f"{item} L2 TOT"]
    assert len(set(shown)) == 15
    reader.keys("Enter")
    stored = answers(folder)[item]
    assert stored.is_complete
    assert stored.answers[(Level.L1, Pattern.GG)].rating == 2
    assert stored.answers[(Level.L5, Pattern.RET)].rating == 5
    assert reader.sitting.item.id != item


def test_the_five_labels_stand_on_the_buttons(reader, study):
    reader.begin(study("likert"))
    buttons = reader.section.view.buttons
    labels = [buttons[n].toolTip for n in range(1, 6)]
    assert labels == ["1: strongly disagree", "2: disagree", "3: neutral", "4: agree", "5: strongly agree"]
    buttons[4].click()
    assert reader.cell(1, 1) == "4"
    assert buttons[4].checked
    assert not buttons[3].checked


def test_the_atlas_comes_and_goes_beside_the_slice(reader, study):
    manager = reader.application.layoutManager()
    reader.begin(study("given"))
    assert "SScILDAtlas1" not in manager.sliceViewNames()
    reader.keys("A", "Tab")
    assert {"SScILDReading", "SScILDAtlas1", "SScILDAtlas2", "SScILDAtlas3"} <= set(manager.sliceViewNames())
    names = [n.GetName() for n in slicerVolumes(reader.scene)]
    assert names[-3:] == [f"Synthetic example: GG {percent} %" for percent in (5, 20, 50)]
    assert reader.ui.readingAtlasButton.checked
    reader.keys("A")
    assert "SScILDAtlas1" not in manager.sliceViewNames()
    assert len(slicerVolumes(reader.scene)) == 1


def slicerVolumes(scene) -> list:
    from SScILDScoringLib.scene.nodes import nodesOfClass

    return nodesOfClass(scene, "vtkMRMLScalarVolumeNode")


# ---- the sheet itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digits", "value", "typed"),
    [
        ("20", 20, ""),
        ("2", None, "2"),
        ("5", 5, ""),
        ("05", 5, ""),
        ("100", 100, ""),
        ("1005", 5, ""),
        ("205", 5, ""),
        ("33", None, "33"),
        ("333", None, "3"),
        ("0", 0, ""),
    ],
)
def test_digits_make_scores_on_the_grid_only(slicerApplication, digits, value, typed):
    from SScILDScoringLib.panel.reading_sheet import ReadingSheet

    sheet = ReadingSheet(tuple(Pattern), likert=False)
    sheet.put(60)
    sheet.select(sheet.cells[0])  # coming back to a cell, the first digit begins a new number
    for digit in digits:
        sheet.digit(int(digit))
    assert sheet[sheet.cells[0]] == value
    assert sheet.typed == typed


def test_the_form_says_what_is_wrong_with_a_study(reader, study, tmp_path):
    folder = study("given")
    reader.ui.readingFolderEdit.currentPath = str(tmp_path)
    assert "no study" in reader.ui.readingStudyLabel.text
    assert not reader.ui.readingStartButton.enabled
    reader.ui.readingFolderEdit.currentPath = str(folder)
    assert "3 cases, scores of five levels, given levels" in reader.ui.readingStudyLabel.text
    (folder / "study.json").write_text("{")
    reader.ui.readingFolderEdit.currentPath = ""
    reader.ui.readingFolderEdit.currentPath = str(folder)
    assert "no JSON" in reader.ui.readingStudyLabel.text
