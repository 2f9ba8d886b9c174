"""The training panel follows a run: how far it is, its curves in Slicer's plots, what the network sees, its log."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from small_runs import ENDLESS, small_config, until_state
from SScILDScoringTrainingLib.run_status import request
from SScILDScoringTrainingLib.runs import RunRegistry, start_training
from training_panel_driving import TRAINING_MODULE, TrainingDriver, endEverything, ownSurroundings

pytest_plugins = ["panel_fixtures"]
pytestmark = [
    pytest.mark.timeout(900),  # a busy computer
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("progress")


@pytest.fixture(scope="module")
def finished(place) -> Path:
    """A whole training in a process of its own, kept for the tests that only look."""
    folder = place / "s_net_small"
    former, os.environ["SSCILD_RUNS"] = os.environ.get("SSCILD_RUNS"), str(place / "runs.json")
    try:
        start_training(small_config(place, steps=12), folder)
    finally:
        os.environ.pop("SSCILD_RUNS")
        if former is not None:
            os.environ["SSCILD_RUNS"] = former
    until_state(folder, "finished")
    return folder


@pytest.fixture
def surroundings(monkeypatch, tmp_path):
    ownSurroundings(monkeypatch, tmp_path)
    yield tmp_path
    endEverything(tmp_path)


@pytest.fixture
def driver(openModule, surroundings):
    return TrainingDriver(openModule(TRAINING_MODULE).enter())


@pytest.fixture
def looking(openModule, surroundings, finished, slicerApplication):
    """The panel with a finished run, in an application with a main window."""
    slicerApplication.showMainWindow()
    RunRegistry().add(finished)
    return TrainingDriver(openModule(TRAINING_MODULE).enter())


def progress(driver):
    return driver.panel.progress


def drawn(chart, name: str) -> tuple[list, list]:
    """x and y of a series of a chart."""
    import slicer.util

    for n in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(n)
        if series.GetName() == name:
            columns = (series.GetXColumnName(), series.GetYColumnName())
            return tuple(slicer.util.arrayFromTableColumn(series.GetTableNode(), c).tolist() for c in columns)
    raise AssertionError(f"no series {name}")


def madeHere(scene) -> list[str]:
    from SScILDScoringTrainingLib.scene.curve_plots import CURVES_ATTRIBUTE

    nodes = (scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes()))
    return [node.GetName() for node in nodes if node.GetAttribute(CURVES_ATTRIBUTE)]


# ---- nothing yet -----------------------------------------------------------------------------------------------------


def test_without_a_run_the_section_says_what_will_be_there(driver):
    ui = progress(driver).ui
    assert "No run yet" in ui.progressLabel.text
    assert not ui.progressBar.isVisibleTo(ui.sectionWidget)
    assert not ui.progressPicturesFrame.isVisibleTo(ui.sectionWidget)
    assert not ui.openLogButton.enabled
    assert not madeHere(driver.scene)


def test_every_button_and_box_of_the_section_explains_itself(driver):
    import qt

    ui = progress(driver).ui
    kinds = (qt.QPushButton, qt.QCheckBox, qt.QComboBox)
    assert not [name for name, w in vars(ui).items() if isinstance(w, kinds) and not w.toolTip]


# ---- a run at work ---------------------------------------------------------------------------------------------------


def test_a_run_at_work_is_followed_from_its_start_to_its_stop(driver, place, tmp_path):
    section, ui = progress(driver), progress(driver).ui
    folder = tmp_path / "endless"
    start_training(small_config(place, steps=ENDLESS), folder)
    driver.settle()
    assert "starting" in ui.progressLabel.text
    driver.waitUntil(lambda: len(section.curves.train.get("step", ())) >= 1, "the first point of the loss")
    assert "running, step" in ui.progressLabel.text
    chart = section.layout.plots.lossChart
    before = len(drawn(chart, "Loss")[0])
    driver.waitUntil(lambda: section.layout.plots.validationChart is not None, "the first validation")
    assert len(drawn(chart, "Loss")[0]) >= before
    assert section.layout.plots.lossChart is chart, "the same nodes go on"
    driver.waitUntil(lambda: "best validation error" in ui.progressLabel.text, "the best error in words")
    assert "percentage points at step" in ui.progressLabel.text
    assert ui.progressBar.isVisibleTo(ui.sectionWidget)
    titles = [picture.title for picture in section.pictures.pictures]
    assert any("synthetic disease" in title for title in titles)
    assert any("fed" in title for title in titles)
    request(folder, "stop")
    driver.waitForState("endless", "stopped")
    driver.settle()
    assert "stopped, step" in ui.progressLabel.text


# ---- a finished run --------------------------------------------------------------------------------------------------


def test_curves_are_those_of_the_file(looking, finished):
    from SScILDScoringTrainingLib.runs import read_curves

    plots, curves = progress(looking).layout.plots, read_curves(finished)
    assert drawn(plots.lossChart, "Loss") == (curves.train["step"], curves.train["loss"])
    assert drawn(plots.validationChart, "Mean error") == (curves.validation["step"], curves.validation["mae"])
    assert "s_net_small" in plots.lossChart.GetTitle()


def test_curves_take_the_view_area_and_give_it_back(looking):
    import slicer

    from SScILDScoringTrainingLib.scene import curve_views

    manager, ui = slicer.app.layoutManager(), progress(looking).ui
    assert manager.layout == curve_views.LAYOUT_ID
    view = looking.scene.GetSingletonNode(curve_views.LOSS_VIEW, "vtkMRMLPlotViewNode")
    assert view.GetPlotChartNodeID() == progress(looking).layout.plots.lossChart.GetID()
    ui.curvesCheckBox.setChecked(False)
    assert manager.layout == 3
    assert not madeHere(looking.scene)
    ui.curvesCheckBox.setChecked(True)
    assert manager.layout == curve_views.LAYOUT_ID
    manager.setLayout(1)  # who looks at something else is left alone
    looking.settle()
    assert manager.layout == 1


def test_leaving_the_module_leaves_nothing_in_scene_and_views(looking):
    import slicer

    looking.opened.exit()
    assert slicer.app.layoutManager().layout == 3
    assert not madeHere(looking.scene)
    looking.opened.enter()
    looking.settle()
    assert slicer.app.layoutManager().layout != 3
    assert madeHere(looking.scene)


def test_closing_the_scene_draws_the_curves_anew(looking):
    looking.scene.Clear(0)
    looking.settle()
    assert len(drawn(progress(looking).layout.plots.lossChart, "Loss")[0]) > 0


def test_the_choice_of_no_curves_is_remembered(looking, openModule):
    progress(looking).ui.curvesCheckBox.setChecked(False)
    looking.opened.close()
    again = TrainingDriver(openModule(TRAINING_MODULE).enter())
    assert not progress(again).ui.curvesCheckBox.checked
    assert not madeHere(again.scene)


def test_the_logarithmic_axis_is_asked_for_in_the_panel(looking):
    chart = progress(looking).layout.plots.lossChart
    assert not chart.GetYAxisLogScale()
    progress(looking).ui.logarithmicCheckBox.setChecked(True)
    assert chart.GetYAxisLogScale()


def test_pictures_of_the_run_are_shown_and_follow_their_files(looking, finished, surroundings):
    from PIL import Image

    folder = surroundings / "copy"
    shutil.copytree(finished, folder)
    RunRegistry().add(folder)
    looking.settle()
    looking.chooseRun("copy")
    section = progress(looking)
    titles = [p.title for p in section.pictures.pictures]
    assert any("fed" in title for title in titles)
    section.ui.progressPictureComboBox.setCurrentIndex(next(n for n, t in enumerate(titles) if "fed" in t))
    picture = section.pictures.current.path
    Image.new("RGB", (64, 16), (255, 0, 0)).save(picture)
    looking.settle()
    shown = section.ui.progressPictureLabel.pixmap.toImage()
    assert shown.pixelColor(3, 3).red() == 255
    assert shown.width() == 4 * shown.height()
    section.ui.progressPictureOpenButton.click()
    assert looking.application.dialogs.shown[-1].text.endswith(picture.name)


def test_the_log_follows_the_run_and_opens(looking, finished):
    ui = progress(looking).ui
    assert not ui.logEdit.isVisibleTo(ui.sectionWidget)
    ui.logCheckBox.setChecked(True)
    assert ui.logEdit.isVisibleTo(ui.sectionWidget)
    assert "Best validation MAE" in ui.logEdit.plainText
    assert "Finished" in ui.logEdit.plainText
    ui.openLogButton.click()
    assert "log.txt" in looking.application.dialogs.shown[-1].text


def test_a_run_whose_folder_is_gone_says_so(looking, finished, surroundings):
    folder = surroundings / "gone"
    shutil.copytree(finished, folder)
    RunRegistry().add(folder)
    looking.settle()
    looking.chooseRun("gone")
    shutil.rmtree(folder)
    looking.settle()
    assert "not there any more" in progress(looking).ui.progressLabel.text
    assert not madeHere(looking.scene)
