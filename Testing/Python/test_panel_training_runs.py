"""Runs in the training panel: found again, paused, resumed, stopped, forgotten; real processes all the way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

import yaml

from small_cohorts import phantom_table
from small_runs import ENDLESS, small_config
from SScILDScoringTrainingLib.run_status import read_status
from SScILDScoringTrainingLib.runs import RunRegistry, start_training
from training_panel_driving import TRAINING_MODULE, TrainingDriver, endEverything, killed, ownSurroundings

pytest_plugins = ["panel_fixtures"]
pytestmark = [
    pytest.mark.timeout(900),  # a busy computer
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Configurations whose phantoms are made once."""
    return tmp_path_factory.mktemp("configurations")


@pytest.fixture
def driver(openModule, monkeypatch, tmp_path):
    ownSurroundings(monkeypatch, tmp_path)
    yield TrainingDriver(openModule(TRAINING_MODULE).enter())
    endEverything(tmp_path)


def test_a_run_is_paused_left_found_again_resumed_stopped_and_forgotten(driver, openModule, place, tmp_path):
    import qt

    ui = driver.ui
    assert "No training was started yet" in ui.runLabel.text
    assert not ui.pauseButton.enabled
    assert "start a training" in ui.pauseButton.toolTip

    # Started somewhere else (a script, another panel): the list shows it within a second, the libraries being loaded.
    folder = tmp_path / "runs" / "endless"
    start_training(small_config(place, steps=ENDLESS), folder)
    driver.settle()
    assert driver.runs()["endless"][1] == "starting"
    assert driver.desk.currentRun == folder
    assert "starting" in ui.pauseButton.toolTip
    driver.waitForState("endless", "running")
    assert driver.desk.status.pid == read_status(folder).pid
    assert driver.runs()["endless"][0] == "scores"
    assert "at work" in ui.resumeButton.toolTip
    assert "Stop it first" in ui.forgetButton.toolTip

    # Paused after its step; until then the list says that it was asked to.
    ui.pauseButton.click()
    assert driver.runs()["endless"][1] in ("pausing", "paused")
    driver.waitForState("endless", "paused")
    step = driver.desk.status.step
    assert "paused already" in ui.pauseButton.toolTip
    assert ui.resumeButton.enabled

    # The panel is closed for good and opened anew, as after a restart of Slicer: the run is found, still paused.
    driver.opened.close()
    again = TrainingDriver(openModule(TRAINING_MODULE).enter())
    ui = again.ui
    assert again.desk.currentRun == folder
    assert again.state("endless") == "paused"
    ui.resumeButton.click()
    again.waitUntil(lambda: again.state("endless") == "running" and again.desk.status.step > step, "its going on")

    # Stopped, after a question; resumed in a process of its own, from the very step.
    again.withMessageBoxes(qt.QMessageBox.No, qt.QMessageBox.Yes)
    ui.stopButton.click()
    assert again.state("endless") == "running"
    ui.stopButton.click()
    assert again.runs()["endless"][1] in ("stopping", "stopped")
    again.waitForState("endless", "stopped")
    stopped = again.desk.status
    assert "No process is at work" in ui.stopButton.toolTip
    assert ui.resumeButton.text == "Resume"
    ui.resumeButton.click()
    assert again.state("endless") == "starting"
    again.waitUntil(lambda: again.state("endless") == "running" and again.desk.status.step > stopped.step, "going on")
    assert again.desk.status.pid != stopped.pid

    # Killed from outside, as by a power failure: said, and gone on with.
    killed(folder)
    again.waitForState("endless", "interrupted")
    assert "can be resumed" in ui.runLabel.text
    ui.resumeButton.click()
    again.waitForState("endless", "running")

    # The last resort, then off the list: the folder stays.
    again.application.dialogs.willAnswer(qt.QMessageBox.Yes)
    ui.killButton.click()
    again.waitForState("endless", "interrupted")
    ui.forgetButton.click()
    assert not again.runs()
    assert str(folder) in ui.runMessageLabel.text
    assert (folder / "checkpoints" / "last.pt").is_file()

    # And back, with the folder dialog.
    again.application.dialogs.willAnswer(str(folder))
    ui.addRunButton.click()
    assert again.runs()["endless"][1] == "interrupted"


def test_a_training_that_cannot_begin_says_why_and_begins_once_that_is_mended(driver, place, tmp_path):
    ui = driver.ui
    config = small_config(place, "levels", steps=4)
    values = yaml.safe_load(config.read_text(encoding="utf-8"))
    table = tmp_path / "cohort.csv"
    values["data"] = {"cohort": str(table), "cache": values["data"]["cache"]}
    config = tmp_path / "levels.yaml"
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    start_training(config, tmp_path / "runs" / "begins")
    driver.waitForState("begins", "failed", "did not start")
    assert "cohort.csv" in ui.runLabel.text
    assert "Traceback" not in ui.runLabel.text
    assert ui.resumeButton.text == "Start again"
    assert "from its beginning" in ui.resumeButton.toolTip
    phantoms = phantom_table(tmp_path / "made", count=3)
    table.write_bytes(phantoms.read_bytes())
    (tmp_path / "phantoms").symlink_to(tmp_path / "made" / "phantoms")
    ui.resumeButton.click()
    driver.waitForState("begins", "finished")
    assert driver.runs()["begins"][3].endswith(" mm")
    assert "finished" in ui.resumeButton.toolTip

    # What is no run is not added, and a list that was damaged is begun anew with a word about the old one.
    driver.withMessageBoxes(str(tmp_path / "made"))
    ui.addRunButton.click()
    assert "no training and no study" in ui.runMessageLabel.text
    RunRegistry().path.write_text("{ half a", encoding="utf-8")
    driver.settle()
    assert not ui.runsTable.visible
    assert "set aside" in ui.runMessageLabel.text
    driver.application.dialogs.willAnswer(str(tmp_path / "runs" / "begins"))
    ui.addRunButton.click()
    assert driver.runs()["begins"][1] == "finished"
