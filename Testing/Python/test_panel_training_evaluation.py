"""A finished run in the training panel: evaluated on unseen cases, packed, and offered by the scoring module."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from panel_driving import MODULE as SCORING_MODULE
from small_runs import ENDLESS, small_config, until_state
from SScILDScoringLib.models import list_bundles
from SScILDScoringLib.models.bundle import ModelBundle
from SScILDScoringLib.models.store import chosen_defaults
from SScILDScoringTrainingLib.runs import RunRegistry, start_training
from training_panel_driving import TRAINING_MODULE, TrainingDriver, endEverything, ownSurroundings

pytest_plugins = ["panel_fixtures"]
pytestmark = [
    pytest.mark.timeout(900),  # a busy computer
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="module")
def finished(place) -> Path:
    """A whole training in a process of its own."""
    folder = place / "s_net_small"
    former, os.environ["SSCILD_RUNS"] = os.environ.get("SSCILD_RUNS"), str(place / "runs.json")
    try:
        start_training(small_config(place, steps=8), folder)
    finally:
        os.environ.pop("SSCILD_RUNS")
        if former is not None:
            os.environ["SSCILD_RUNS"] = former
    until_state(folder, "finished", seconds=400)
    return folder


@pytest.fixture
def surroundings(monkeypatch, tmp_path):
    ownSurroundings(monkeypatch, tmp_path)
    yield tmp_path
    endEverything(tmp_path)


@pytest.fixture
def run(surroundings, finished) -> Path:
    """A copy of the finished run that the panel knows."""
    folder = surroundings / "my_run"
    shutil.copytree(finished, folder)
    RunRegistry().add(folder)
    return folder


@pytest.fixture
def driver(openModule, surroundings):
    return TrainingDriver(openModule(TRAINING_MODULE).enter())


def section(driver):
    return driver.panel.evaluation


def shown(driver, name: str) -> bool:
    ui = section(driver).ui
    return getattr(ui, name).isVisibleTo(ui.sectionWidget)


# ---- what cannot be done, and why ------------------------------------------------------------------------------------


def test_without_a_finished_run_every_button_says_why(driver, place, surroundings):
    ui = section(driver).ui
    buttons = (ui.evaluateButton, ui.evaluationPageButton, ui.useModelButton, ui.saveModelButton)
    assert not any(button.enabled for button in buttons)
    assert "Choose a run" in ui.evaluateButton.toolTip
    start_training(small_config(place, steps=ENDLESS), surroundings / "endless")
    driver.settle()
    assert "at work" in ui.evaluateButton.toolTip
    assert "at work" in ui.useModelButton.toolTip


def test_a_run_without_a_checkpoint_has_no_network(driver, run):
    shutil.rmtree(run / "checkpoints")
    driver.settle()
    assert "before its first checkpoint" in section(driver).ui.evaluateButton.toolTip


def test_a_run_that_was_never_validated_offers_the_weights_at_its_end(driver, run):
    ui = section(driver).ui
    (run / "checkpoints" / "best.pt").unlink()
    driver.settle()
    assert "weights at the end" in ui.useModelButton.toolTip
    ui.evaluationWeightsComboBox.setCurrentIndex(1)
    assert ui.useModelButton.enabled


def test_a_study_is_sent_to_its_own_section(driver, surroundings):
    folder = surroundings / "study"
    folder.mkdir()
    RunRegistry().add(folder, "ablation")
    driver.settle()
    assert "Cross-validation and ablation" in section(driver).ui.evaluateButton.toolTip


def test_the_cohort_table_must_be_chosen_before_it_is_asked_about(driver, run):
    ui = section(driver).ui
    driver.settle()
    assert not shown(driver, "evaluationSplitComboBox")
    ui.evaluationDataComboBox.setCurrentIndex(1)
    assert shown(driver, "evaluationSplitComboBox")
    assert "section 1" in ui.evaluateButton.toolTip


def test_the_name_of_the_network_is_the_configurations_and_must_be_one(driver, run):
    ui = section(driver).ui
    driver.settle()
    assert ui.modelNameEdit.placeholderText == "small_s_net"
    ui.modelNameEdit.setText("no / name")
    assert "letters, digits" in ui.useModelButton.toolTip
    assert not ui.useModelButton.enabled


def test_every_control_explains_itself(driver):
    import qt

    ui = section(driver).ui
    kinds = (qt.QPushButton, qt.QCheckBox, qt.QComboBox, qt.QLineEdit)
    assert not [name for name, w in vars(ui).items() if isinstance(w, kinds) and not w.toolTip]


# ---- from the run to the scoring module ------------------------------------------------------------------------------


def test_a_run_is_evaluated_used_and_offered_in_the_scoring_module(driver, openModule, run):
    import qt

    ui = section(driver).ui
    driver.settle()

    # Evaluated on the cases it has held out; cancelled the first time, which leaves nothing.
    ui.evaluateButton.click()
    assert ui.evaluationJobFrame.isVisibleTo(ui.sectionWidget)
    assert "Wait until" in ui.useModelButton.toolTip
    ui.evaluationCancelButton.click()
    assert "Cancelled" in ui.evaluationJobLabel.text
    assert not (run / "evaluation" / "evaluation.json").exists()
    driver.press(ui.evaluateButton, "evaluating")
    assert section(driver).result is not None, ui.evaluationJobLabel.text
    rows = driver.table(ui.evaluationTable)
    assert rows
    assert any("MAE" in cell for cell in (ui.evaluationTable.horizontalHeaderItem(c).text() for c in range(2))) or any(
        "MAE" in row[0] for row in rows
    )
    assert section(driver).pictures.pictures
    assert "step" in ui.evaluationDataLabel.text
    ui.evaluationPageButton.click()
    page = driver.application.dialogs.shown[-1].text
    assert page.endswith(".html")
    assert Path(page.removeprefix("file://")).is_file()

    # Used: packed, checked, installed, the default from now on.
    ui.modelNameEdit.setText("s_net_of_mine")
    driver.press(ui.useModelButton, "packing")
    assert "s_net_of_mine" in ui.useModelLabel.text, ui.useModelJobLabel.text
    (entry,) = [e for e in list_bundles("s_net") if e.name == "s_net_of_mine"]
    assert entry.place == "user"
    assert entry.error is None
    assert ModelBundle.load(entry.folder).kind == "s_net"
    assert chosen_defaults() == {"s_net": "s_net_of_mine"}
    ui.openModelCardButton.click()
    assert Path(driver.application.dialogs.shown[-1].text.removeprefix("file://")).is_file()

    # Offered by the scoring module, and chosen there by the button.
    scoring = openModule(SCORING_MODULE).enter()
    panel = scoring.widget.panel
    combo = panel.ui.sNetComboBox
    assert "s_net_of_mine" in [combo.itemData(n) for n in range(combo.count)]
    assert "s_net_of_mine" in combo.itemText(0), "the default is named"
    ui.openScoringButton.click()
    assert panel.desk.parameters.sNet == "s_net_of_mine"
    assert combo.currentData == "s_net_of_mine"
    scoring.exit()

    # A second time: asks before it replaces.
    driver.withMessageBoxes(qt.QMessageBox.No)
    ui.useModelButton.click()
    assert not driver.desk.busy()
    assert "installed already" in driver.application.dialogs.shown[-1].text

    # To be given to others: a folder, nothing installed.
    target = run.parent / "for_others"
    target.mkdir()
    ui.modelNameEdit.setText("for_others")
    ui.evaluationWeightsComboBox.setCurrentIndex(1)
    driver.application.dialogs.willAnswer(str(target))
    driver.press(ui.saveModelButton, "saving")
    assert str(target) in ui.useModelJobLabel.text
    assert ModelBundle.load(target / "for_others").name == "for_others"
    assert "for_others" not in [e.name for e in list_bundles(verify=False)]

    # After a restart of Slicer the evaluation is still there.
    driver.opened.close()
    again = TrainingDriver(openModule(TRAINING_MODULE).enter())
    assert again.table(section(again).ui.evaluationTable) == rows
    assert section(again).ui.evaluationPageButton.enabled


def test_what_goes_wrong_is_said_and_can_be_tried_again(driver, run):
    ui = section(driver).ui
    (run / "checkpoints" / "best.pt").write_bytes(b"no checkpoint at all")
    driver.settle()
    driver.press(ui.evaluateButton, "evaluating")
    assert "best.pt" in ui.evaluationJobLabel.text
    assert ui.evaluationRetryButton.isVisibleTo(ui.sectionWidget)
    driver.press(ui.useModelButton, "packing")
    assert "best.pt" in ui.useModelJobLabel.text
    assert not [e for e in list_bundles(verify=False) if e.place == "user"]
    assert not shown(driver, "openScoringButton")
