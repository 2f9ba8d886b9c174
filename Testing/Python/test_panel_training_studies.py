"""Cross-validation and ablation from the training panel: chosen, started, paused, gone on with, and their results."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

import yaml

from small_cohorts import SCORES, phantom_table, with_data
from small_runs import until
from SScILDScoringTrainingLib.crossvalidation.jobs import JobFolder
from SScILDScoringTrainingLib.run_status import read_status
from SScILDScoringTrainingLib.runs import RunRegistry, start_study
from training_panel_driving import TRAINING_MODULE, TrainingDriver, endEverything, killed, ownSurroundings

pytest_plugins = ["panel_fixtures"]
pytestmark = [
    pytest.mark.timeout(900),  # a busy computer
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def table(place) -> Path:
    return phantom_table(place)


def config(place: Path, table: Path | None, name: str, **training) -> Path:
    """A configuration file of the user's own; with ``table`` None, the cohort is to be chosen in the panel."""
    values = with_data(SCORES, table, place / "cache", **training) if table is not None else dict(SCORES)
    values["training"] = {**values["training"], **training}
    path = place / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(place, table) -> Path:
    """A whole cross-validation of two folds, for the tests that only look."""
    folder = place / "folds_done"
    former, os.environ["SSCILD_RUNS"] = os.environ.get("SSCILD_RUNS"), str(place / "runs.json")
    try:
        options = ("--parallel", "2", "--bootstrap", "20")
        start_study("folds", config(place, table, "quick"), folder, options=options)
    finally:
        os.environ.pop("SSCILD_RUNS")
        if former is not None:
            os.environ["SSCILD_RUNS"] = former
    until((folder / "crossvalidation.md").is_file, 300)
    return folder


@pytest.fixture
def surroundings(monkeypatch, tmp_path):
    ownSurroundings(monkeypatch, tmp_path)
    yield tmp_path
    endEverything(tmp_path)


@pytest.fixture
def driver(openModule, surroundings):
    driver = TrainingDriver(openModule(TRAINING_MODULE).enter())
    driver.ui.runsFolderEdit.currentPath = str(surroundings / "runs")
    driver.settle()
    return driver


@pytest.fixture
def looking(openModule, surroundings, finished):
    """The panel with a finished cross-validation."""
    RunRegistry().add(finished, "folds")
    return TrainingDriver(openModule(TRAINING_MODULE).enter())


def studies(driver):
    return driver.panel.studies


def choose(combo, data: str) -> None:
    combo.setCurrentIndex([combo.itemData(n) for n in range(combo.count)].index(data))


def chooseFile(driver, path: Path) -> None:
    """Chooses the last entry of the presets and answers the file dialog that it opens."""
    combo = studies(driver).ui.studyPresetComboBox
    driver.application.dialogs.willAnswer(str(path))
    combo.setCurrentIndex(combo.count - 1)
    combo.activated.emit(combo.currentIndex)
    driver.settle()


def shown(driver, name: str) -> bool:
    ui = studies(driver).ui
    return getattr(ui, name).isVisibleTo(ui.sectionWidget)


# ---- choosing --------------------------------------------------------------------------------------------------------


def test_every_control_explains_itself(looking):
    import qt

    ui = studies(looking).ui
    kinds = (qt.QPushButton, qt.QCheckBox, qt.QComboBox, qt.QSpinBox, qt.QLineEdit)
    own = {name: w for name, w in vars(ui).items() if isinstance(w, kinds) and not name.startswith("qt_")}
    assert not [name for name, w in own.items() if not w.toolTip]


def test_each_kind_shows_what_can_be_chosen_for_it(driver):
    ui = studies(driver).ui
    fields = ("studyFactorsWidget", "studyNetworksEdit", "studyFoldsSpinBox", "studySeedsSpinBox")
    seen = {}
    for kind in ("folds", "ablation", "architectures", "compare"):
        choose(ui.studyKindComboBox, kind)
        seen[kind] = [shown(driver, name) for name in fields]
        assert ui.studyPresetComboBox.count >= 2, "a preset, and a file of one's own"
        assert ui.studyDescriptionLabel.text
    assert seen["folds"] == [False, False, True, False]
    assert seen["ablation"][0]
    assert seen["architectures"][1]
    assert seen["compare"][3]


def test_without_a_cohort_the_start_says_that_one_is_needed(driver, table, surroundings):
    ui = studies(driver).ui
    choose(ui.studyKindComboBox, "folds")
    assert not ui.studyStartButton.enabled
    assert "section 1" in ui.studyStartButton.toolTip
    driver.chooseTable(surroundings / "missing.csv")
    assert "missing.csv" in ui.studyStartButton.toolTip
    driver.chooseTable(table)
    assert ui.studyStartButton.enabled
    assert "cohort.csv" in ui.studyCohortLabel.text


def test_an_ablation_needs_a_factor_and_a_comparison_of_networks_a_network(driver, table):
    ui = studies(driver).ui
    driver.chooseTable(table)
    choose(ui.studyKindComboBox, "architectures")
    assert "resnet18" in ui.studyStartButton.toolTip
    ui.studyNetworksEdit.setText("resnet18, vgg11_bn")
    assert ui.studyStartButton.enabled
    assert studies(driver).choice().options()[-2:] == ("--networks", "resnet18,vgg11_bn")
    choose(ui.studyKindComboBox, "ablation")
    for box in (ui.studySynthesisCheckBox, ui.studyBalanceCheckBox, ui.studyPretrainingCheckBox):
        box.setChecked(False)
    assert "at least one factor" in ui.studyStartButton.toolTip
    ui.studyBalanceCheckBox.setChecked(True)
    assert "--factors" in studies(driver).choice().options()
    assert ui.studyStartButton.enabled


def test_a_study_of_phantoms_needs_no_cohort(driver):
    ui = studies(driver).ui
    choose(ui.studyKindComboBox, "compare")
    assert "phantoms" in ui.studyCohortLabel.text
    assert ui.studyStartButton.enabled
    ui.studyMinutesSpinBox.setValue(3)
    assert "configuration.training.minutes=3.0" in studies(driver).choice().overrides()


def test_a_file_that_is_no_configuration_is_refused_in_words(driver, place):
    path = place / "notes.yaml"
    path.write_text("shopping: [milk]\n", encoding="utf-8")
    chooseFile(driver, path)
    ui = studies(driver).ui
    assert "notes.yaml is no configuration" in ui.studyStartLabel.text
    assert ui.studyPresetComboBox.currentText != "notes.yaml"


def test_a_cancelled_file_dialog_changes_nothing(driver):
    ui = studies(driver).ui
    before = ui.studyPresetComboBox.currentText
    chooseFile(driver, "")
    assert ui.studyPresetComboBox.currentText == before


def test_every_kind_asks_for_what_the_command_understands(driver, table, surroundings):
    """The values of each choice are read as the command reads them, which refuses unknown keys and options."""
    from typer.main import get_command

    from SScILDScoringTrainingLib.cli_crossvalidate import app
    from SScILDScoringTrainingLib.config import read_yaml
    from SScILDScoringTrainingLib.crossvalidation.compare import study_file
    from SScILDScoringTrainingLib.recipes import recipe_of

    ui = studies(driver).ui
    driver.chooseTable(table)
    weights = surroundings / "convnext.pth"
    weights.touch()
    ui.studyWeightsEdit.currentPath = str(weights)
    ui.studyNetworksEdit.setText("resnet18, vgg11_bn")
    for spin in (ui.studySeedsSpinBox, ui.studyFoldsSpinBox, ui.studyMinutesSpinBox, ui.studyParallelSpinBox):
        spin.setValue(3)
    choose(ui.studyDeviceComboBox, "cpu")
    commands = get_command(app).commands
    for kind in ("folds", "ablation", "architectures", "compare"):
        choose(ui.studyKindComboBox, kind)
        for number in range(ui.studyPresetComboBox.count - 1):
            ui.studyPresetComboBox.setCurrentIndex(number)
            choice = studies(driver).choice()
            name = "run" if kind == "folds" else kind
            arguments = [str(choice.preset.path), "-o", "out", *choice.options()]
            arguments += [part for value in choice.overrides() for part in ("--set", value)]
            given = commands[name].make_context(name, arguments).params
            assert given["parallel"] == 3
            if kind == "folds":
                assert given["folds"] == 3
                read = recipe_of(read_yaml(given["config"], given["set_"])).plain_config()
                assert read["data"]["cohort"] == str(table)
                assert read["training"]["minutes"] == 3
                continue
            assert given["seeds"] == 3
            fields = {"factors": ("ds", "bs", "pt")} if kind == "ablation" else {}
            fields |= {"networks": tuple(given["networks"].split(","))} if kind == "architectures" else {}
            asked, _why = study_file(given.get("config") or given["study"], given["set_"], **fields)
            training = asked.configuration if isinstance(asked.configuration, dict) else {}
            assert training["training"]["minutes"] == 3
            assert training["training"]["device"] == "cpu"


# ---- at work ---------------------------------------------------------------------------------------------------------


def test_a_study_is_started_paused_stopped_found_again_and_gone_on_with(driver, openModule, place, table):
    ui = studies(driver).ui
    driver.chooseTable(table)
    # Steps and checkpoints enough to be seen at work, paused and stopped in its middle, also on a fast computer.
    chooseFile(driver, config(place, None, "own", steps=400, validate_every=400, checkpoint_minutes=0.001))
    assert ui.studyPresetComboBox.currentText == "own.yaml"
    ui.studyNameEdit.setText("my folds")
    ui.studyStartButton.click()
    folder = driver.desk.currentRun
    assert folder.name == "my_folds"
    assert "starting" in ui.studyStateLabel.text
    driver.waitUntil(lambda: driver.table(ui.studyJobsTable)[:1] and driver.desk.status is not None, "the runs")
    driver.waitUntil(lambda: _state(driver, "fold_1") == "running", "the first fold")
    assert _state(driver, "fold_2") == "waiting"

    # Its curves are those of the fold at work.
    progress = driver.panel.progress
    driver.waitUntil(lambda: progress.folder == folder / "fold_1", "the first fold in the section Progress")

    ui.studyPauseButton.click()
    driver.waitUntil(lambda: _state(driver, "fold_1") == "paused", "the pause")
    assert not ui.studyPauseButton.enabled
    ui.studyResumeButton.click()
    driver.waitUntil(lambda: _state(driver, "fold_1") in ("running", "done"), "the end of the pause")
    ui.studyStopButton.click()
    driver.waitUntil(lambda: driver.desk.status.state in ("stopped", "finished"), "the stop")

    # Closed and opened anew, as after a restart of Slicer.
    driver.opened.close()
    again = TrainingDriver(openModule(TRAINING_MODULE).enter())
    ui = studies(again).ui
    assert again.desk.currentRun == folder
    assert "stopped" in ui.studyStateLabel.text
    assert not ui.studyStopButton.enabled
    assert ui.studyResumeButton.enabled
    ui.studyResumeButton.click()
    again.waitUntil(lambda: (folder / "crossvalidation.md").is_file(), "the report")
    again.settle()
    assert [row[1] for row in again.table(ui.studyJobsTable)] == ["done", "done"]
    assert JobFolder(folder / "fold_1").done.steps == 400
    assert "all folds" in [row[0] for row in again.table(ui.studyResultTable)]
    again.waitUntil(lambda: not studies(again).view._writing(studies(again).view.run), "the end of its process")
    assert "finished" in ui.studyStateLabel.text
    assert "finished" in ui.studyResumeButton.toolTip


def _state(driver, name: str) -> str:
    rows = driver.table(studies(driver).ui.studyJobsTable)
    return next((row[1] for row in rows if row[0] == name), "")


def test_a_killed_study_is_interrupted_and_can_be_gone_on_with(driver, place, table):
    ui = studies(driver).ui
    driver.chooseTable(table)
    chooseFile(driver, config(place, None, "long", steps=100000, validate_every=100000))
    ui.studyStartButton.click()
    folder = driver.desk.currentRun
    first = folder / "fold_1"
    driver.waitUntil(lambda: (s := read_status(first)) is not None and s.step > 0, "a step of the first fold")
    killed(folder)
    driver.waitUntil(lambda: "interrupted" in ui.studyStateLabel.text, "the interruption")
    assert ui.studyResumeButton.enabled
    assert not ui.studyPauseButton.enabled
    # The fold's own process notices that it is alone, writes its checkpoint and ends.
    driver.waitUntil(lambda: JobFolder(first).worker is None, "the end of the fold's process")
    assert read_status(first).can_resume


def test_a_study_that_cannot_begin_says_why(driver, place, surroundings):
    ui = studies(driver).ui
    broken = surroundings / "cohort.csv"
    broken.write_text("case,path\none,nowhere.nii.gz\n", encoding="utf-8")
    driver.chooseTable(broken)
    chooseFile(driver, config(place, None, "own"))
    ui.studyStartButton.click()
    driver.waitUntil(lambda: "did not start" in ui.studyStateLabel.text, "the end of the process")
    assert "cohort.csv" in ui.studyStateLabel.text
    assert ui.studyResumeButton.enabled


# ---- what came out ---------------------------------------------------------------------------------------------------


def test_the_result_table_says_how_wrong_each_fold_and_all_together_are(looking, finished):
    import csv

    rows = looking.table(studies(looking).ui.studyResultTable)
    assert [row[0] for row in rows] == ["fold 1", "fold 2", "all folds"]
    with (finished / "folds.csv").open(newline="", encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert rows[0][1] == first["cases"]
    assert rows[0][2] == f"{float(first['tot_mae']):.2f} ({float(first['tot_sd']):.2f})"
    assert rows[2][1] == "6"


def test_figures_and_report_are_shown_and_open(looking, finished):
    section = studies(looking)
    ui = section.ui
    assert "Bland-Altman" in [p.title for p in section.view.pictures.pictures]
    assert not ui.studyReportBrowser.isVisibleTo(ui.sectionWidget)
    ui.studyReportCheckBox.setChecked(True)
    assert "Cross-validation, 2 folds" in ui.studyReportBrowser.plainText
    ui.studyReportButton.click()
    assert looking.application.dialogs.shown[-1].text.endswith("crossvalidation.md")
    ui.studyFolderButton.click()
    assert looking.application.dialogs.shown[-1].text.endswith(finished.name)


def test_a_double_click_shows_a_runs_curves_and_log(looking, finished):
    looking.settle()
    studies(looking).ui.studyJobsTable.cellDoubleClicked.emit(0, 0)
    assert looking.panel.progress.folder == finished / "fold_1"
    studies(looking).ui.studyJobsTable.cellDoubleClicked.emit(1, 0)
    assert looking.panel.progress.folder == finished / "fold_2"
    assert looking.panel.progress.ui.progressJobComboBox.currentText == "fold_2"


def test_the_study_stays_in_its_section_when_a_training_is_looked_at(looking, finished, surroundings):
    other = surroundings / "training"
    shutil.copytree(finished / "fold_1", other)
    RunRegistry().add(other, "training")
    looking.settle()
    looking.chooseRun("training")
    ui = studies(looking).ui
    assert ui.studyComboBox.currentText.startswith(finished.name)
    assert looking.panel.progress.folder == other
    assert not looking.panel.progress.ui.progressJobComboBox.isVisibleTo(looking.panel.progress.ui.sectionWidget)
