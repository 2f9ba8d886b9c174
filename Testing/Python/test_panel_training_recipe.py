"""From a preset to a training that runs: the panel says what is missing, what it will take, and starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from panel_driving import withoutPyTorch
from small_runs import small_config
from training_panel_driving import TRAINING_MODULE, TrainingDriver, endEverything, ownSurroundings

pytest_plugins = ["panel_fixtures"]
pytestmark = pytest.mark.timeout(900)  # a busy computer


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Configurations whose phantoms are made once."""
    return tmp_path_factory.mktemp("configurations")


@pytest.fixture
def driver(openModule, monkeypatch, tmp_path):
    ownSurroundings(monkeypatch, tmp_path)
    yield TrainingDriver(openModule(TRAINING_MODULE).enter())
    endEverything(tmp_path)


def choosePreset(driver, recipe: str, name: str) -> None:
    ui = driver.ui
    for combo, value in ((ui.recipeComboBox, recipe), (ui.presetComboBox, name)):
        combo.setCurrentIndex([combo.itemData(n) for n in range(combo.count)].index(value))
    driver.settle()


# ---- opening ---------------------------------------------------------------------------------------------------------


def test_opening_starts_nothing_and_imports_nothing_heavy(driver):
    """Judged in a process of its own: other tests of this one import them."""
    assert not driver.desk.worker.running
    code = (
        "import sys; sys.path[:0] = sys.argv[1:4]\n"
        "from minimal_application import MinimalApplication\n"
        "from standins.install import install\n"
        "with MinimalApplication() as minimal:\n"
        "    installation = install(minimal)\n"
        "    from standins.module_opening import openModule\n"
        "    module = openModule(sys.argv[4])\n"
        "    module.enter()\n"
        "    heavy = {'torch', 'SimpleITK', 'monai', 'ignite', 'pandas', 'matplotlib', 'sklearn', 'yaml'}\n"
        "    heavy &= set(sys.modules)\n"
        "    module.close(); installation.remove()\n"
        "print('heavy:', sorted(heavy))\n"
    )
    root = TRAINING_MODULE.parents[1]
    folders = [str(root / "Testing" / "Application"), str(root / "SScILDScoring"), str(root / "SScILDScoringTraining")]
    done = subprocess.run(
        [sys.executable, "-c", code, *folders, str(TRAINING_MODULE)], capture_output=True, text=True, timeout=100
    )
    assert "heavy: []" in done.stdout, done.stdout + done.stderr


def test_every_button_and_field_of_the_panel_has_a_tool_tip(driver):
    import qt

    kinds = (qt.QPushButton, qt.QCheckBox, qt.QComboBox, qt.QLineEdit, qt.QSpinBox)
    own = [getattr(driver.ui, name) for name in vars(driver.ui)]
    silent = [w.name for w in own if isinstance(w, kinds) and not w.toolTip and not w.name.startswith("qt_")]
    assert not silent


def test_the_keyboard_visits_the_panel_from_top_to_bottom(driver):
    ui, panel = driver.ui, driver.panel
    wanted = [ui.checkButton, ui.trustComboBox, ui.observerEdit, ui.casesTable, ui.recipeComboBox, ui.presetComboBox]
    wanted += [ui.runNameEdit, ui.startButton, ui.pauseButton, ui.forgetButton, panel.evaluation.ui.evaluateButton]
    wanted += [ui.installButton, ui.restartWorkerButton]
    widget, visited = ui.tableEdit, []
    for _n in range(400):
        widget = widget.nextInFocusChain()
        visited.append(widget)
    places = [visited.index(w) for w in wanted]
    assert places == sorted(places)


def test_missing_software_is_named_and_nothing_can_be_started(openModule, monkeypatch, tmp_path):
    ownSurroundings(monkeypatch, tmp_path)
    withoutPyTorch(monkeypatch)
    driver = TrainingDriver(openModule(TRAINING_MODULE).enter())
    assert not driver.ui.softwareSection.collapsed
    assert "250 MB" in driver.ui.softwareLabel.text
    rows = {row[0]: row for row in driver.table(driver.ui.softwareTable)}
    assert rows["torch"][3] == "missing"
    assert rows["monai"][3] == "ready"
    for button in (driver.ui.startButton, driver.ui.estimateButton):
        assert not button.enabled
        assert "torch" in button.toolTip
        assert "Software" in button.toolTip
    assert driver.ui.installButton.enabled


def test_the_list_of_packages_is_that_of_the_project(driver):
    import tomllib

    from packaging.requirements import Requirement

    from SScILDScoringTrainingLib.panel.packages import TRAINING_PACKAGES

    text = (TRAINING_MODULE.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    extra = tomllib.loads(text)["project"]["optional-dependencies"]["training"]
    wanted = {r.name.lower(): str(r.specifier) for r in map(Requirement, extra)}
    assert {p.name.lower(): f">={p.least}" for p in TRAINING_PACKAGES} == wanted


# ---- choosing --------------------------------------------------------------------------------------------------------


def test_presets_say_what_they_are_and_what_they_need(driver, tmp_path):
    ui = driver.ui
    choosePreset(driver, "levels", "l_net_quick")
    assert "phantoms only" in ui.presetDescriptionLabel.text
    assert ui.startButton.enabled  # a first look needs neither cohort nor weights
    assert ui.runNameEdit.placeholderText == "l_net_quick"
    choosePreset(driver, "levels", "l_net_cpu")
    assert not ui.startButton.enabled
    assert "cohort table" in ui.startButton.toolTip
    assert not ui.weightsEdit.visible
    driver.chooseTable(tmp_path / "nowhere.csv")
    assert "no file" in ui.startButton.toolTip
    assert "nowhere.csv" in ui.startButton.toolTip
    choosePreset(driver, "scores", "s_net_gpu")
    assert ui.weightsEdit.visible
    (tmp_path / "nowhere.csv").write_text("case,path\n")
    ui.weightsEdit.currentPath = str(tmp_path / "weights.pth")
    assert "weights.pth" in ui.startButton.toolTip
    ui.weightsEdit.currentPath = ""
    assert ui.startButton.enabled
    assert "not been checked" in ui.startButton.toolTip


def test_a_preset_of_scans_that_are_not_here_is_not_offered(driver):
    combo = driver.ui.presetComboBox
    choosePreset(driver, "scores", "s_net_quick")
    assert "s_net_starter" not in [combo.itemData(n) for n in range(combo.count)]


def test_a_configuration_of_ones_own_is_judged_before_anything_starts(driver, place, tmp_path):
    ui = driver.ui
    driver.chooseConfig(tmp_path / "absent_scores.yaml", tmp_path, "")
    assert "no file" in ui.startButton.toolTip
    other = tmp_path / "scores.yaml"
    other.write_text("colours: [red]\n")
    driver.chooseConfig(other, tmp_path, "")
    assert "no configuration of a training" in ui.startButton.toolTip
    driver.chooseConfig(small_config(place, "levels"), tmp_path, "")
    assert ui.startButton.enabled
    assert ui.runNameEdit.placeholderText == "levels"
    ui.recipeComboBox.setCurrentIndex(1 - ui.recipeComboBox.currentIndex)
    ui.presetComboBox.setCurrentIndex(ui.presetComboBox.count - 1)
    assert "trains levels" in ui.startButton.toolTip
    other.write_text("recipe: scores\ndata: {cohort: '${THERE_IS_NO_SUCH_NAME}'}\n")
    driver.chooseConfig(other, tmp_path, "")
    assert "THERE_IS_NO_SUCH_NAME" in ui.startButton.toolTip


def test_settings_come_back_with_the_scene_and_the_usual_ones_without(driver, tmp_path):
    from scene_files_on_disk import saved_and_loaded

    ui = driver.ui
    choosePreset(driver, "levels", "l_net_gpu")
    driver.chooseTable(tmp_path / "cohort.csv")
    ui.runsFolderEdit.currentPath = str(tmp_path / "runs")
    ui.runNameEdit.setText("mine")
    ui.minutesCheckBox.setChecked(True)
    ui.minutesSpinBox.setValue(90)
    driver.settle()
    saved_and_loaded(driver.scene, tmp_path)
    driver.settle()
    p = driver.parameters
    assert (p.recipe, p.preset, p.runName, p.limitTime, p.minutes) == ("levels", "l_net_gpu", "mine", True, 90)
    assert ui.presetComboBox.currentData == "l_net_gpu"
    assert (ui.runNameEdit.text, ui.minutesSpinBox.value) == ("mine", 90)
    driver.scene.Clear(0)
    driver.settle()
    p = driver.parameters
    assert (p.runName, p.limitTime) == ("", False)
    assert ui.tableEdit.currentPath == str(tmp_path / "cohort.csv")  # what is used for months is not asked for again
    assert ui.runsFolderEdit.currentPath == str(tmp_path / "runs")


def test_leaving_stops_looking_and_coming_back_shows_what_changed(driver, tmp_path):
    from SScILDScoringTrainingLib.runs import RunRegistry

    driver.opened.exit()
    assert driver.parameters is None
    RunRegistry().add(tmp_path / "gone", "training")
    driver.application.processEvents()
    assert not driver.ui.runsTable.rowCount
    driver.opened.enter()
    assert driver.runs()["gone"][1] == "not there"
    assert "not there any more" in driver.ui.resumeButton.toolTip
    assert driver.ui.forgetButton.enabled


# ---- estimating and starting -----------------------------------------------------------------------------------------


def test_what_it_needs_is_said_before_and_the_training_goes_its_way(driver, place, tmp_path):
    ui = driver.ui
    driver.chooseConfig(small_config(place, steps=8), tmp_path / "runs", "first")
    driver.press(ui.estimateButton, "estimating")
    shown = dict(driver.table(ui.estimateTable))
    assert shown["steps"] == "8"
    assert "GB" in shown["memory of this computer"] or "MB" in shown["memory of this computer"]
    assert "It fits" in ui.estimateLabel.text
    ui.minutesCheckBox.setChecked(True)
    assert not ui.estimateTable.visible  # other choices: the estimate is no longer true

    # Start estimates what was not estimated yet, then starts.
    ui.startButton.click()
    assert driver.desk.busy()
    assert "Wait" in ui.startButton.toolTip
    driver.waitUntil(lambda: "first" in driver.runs(), "the start")
    assert "first was started" in ui.recipeJobLabel.text
    assert driver.desk.currentRun == tmp_path / "runs" / "first"
    driver.waitForState("first", "finished")
    assert "finished" in ui.resumeButton.toolTip
    assert driver.runs()["first"][2] == "8 / 8"
    assert driver.runs()["first"][3].endswith("%")

    # The folder is taken now.
    ui.runNameEdit.setText("first")
    driver.settle()
    assert not ui.startButton.enabled
    assert "holds a run already" in ui.startButton.toolTip
    ui.runNameEdit.setText("")
    driver.settle()
    assert ui.startButton.enabled


def test_what_does_not_fit_is_asked_about_and_can_be_made_to_fit(driver, place, tmp_path):
    import qt

    from SScILDScoringTrainingLib.loop.memory import host_memory_free

    ui = driver.ui
    samples = host_memory_free() // (5 << 20)  # of which each takes more than 5 MB, forward and backward
    large = small_config(place / "large", batch_size=2 ** (int(samples).bit_length() + 1))
    large.write_text(large.read_text().replace("widths:\n    - 4\n", "widths:\n    - 96\n"))
    assert "- 96" in large.read_text()
    driver.chooseConfig(large, tmp_path / "runs", "large")
    driver.press(ui.estimateButton, "estimating")
    assert "memory free and the training needs" in ui.estimateLabel.text
    driver.withMessageBoxes(qt.QMessageBox.No)
    ui.startButton.click()
    assert "Start it all the same?" in driver.application.dialogs.shown[-1].text
    assert "Nothing was started" in ui.recipeJobLabel.text
    assert not driver.runs()
    assert ui.fitButton.visible
    driver.press(ui.fitButton, "estimating again")
    assert "memory free and the training needs" not in ui.estimateLabel.text

    # Cancelled, and a configuration that cannot be built: a sentence, nothing started.
    ui.minutesCheckBox.setChecked(True)
    ui.startButton.click()
    ui.recipeCancelButton.click()
    assert "Cancelled" in ui.recipeJobLabel.text
    assert not driver.runs()
    wrong = small_config(place / "wrong")
    wrong.write_text(wrong.read_text().replace("compact_ratio", "no_such_network"))
    driver.chooseConfig(wrong, tmp_path / "runs", "wrong")
    driver.press(ui.startButton, "starting")
    assert "no_such_network" in ui.recipeJobLabel.text
    assert not driver.runs()
