"""From a CT to an exported report in the panel, with the real worker process and the starter networks.

Each test starts one worker, which is what takes the time; so few tests say much.
"""

from __future__ import annotations

import csv
import json

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from panel_driving import MODULE, PanelDriver, smallPhantom
from SScILDScoringLib.levels import Level
from SScILDScoringLib.scores import PATTERNS, Pattern

pytest_plugins = ["panel_fixtures"]
pytestmark = pytest.mark.timeout(900)  # a busy computer


@pytest.fixture
def driver(openModule, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return PanelDriver(openModule(MODULE).enter())


def row(driver, level) -> object:
    return driver.panel.levels.table.rows[level]


def test_from_a_ct_to_levels_scores_and_a_moved_level(driver):
    ui, desk = driver.ui, driver.desk
    driver.chooseCT()
    assert desk.worker.running  # prewarmed while the user still looks at the CT
    assert ui.inputJobFrame.visible

    # Levels: found, shown with where they are from.
    ui.findLevelsButton.click()
    assert ui.levelsJobFrame.visible
    assert ui.levelsCancelButton.visible
    for widget in (ui.findLevelsButton, ui.volumeSelector, ui.sampleButton):
        assert not widget.enabled
        assert "Wait" in widget.toolTip
    driver.waitUntil(lambda: not desk.busy(), "finding the levels")
    assert not ui.levelsJobFrame.visible
    found, truth = desk.case.levels, smallPhantom().levels
    assert [p.source for p in found] == ["l_net"] * 5
    assert max(abs(a - b) for a, b in zip(found.mm, truth.mm, strict=True)) < 25
    scan = desk.scan
    assert row(driver, 2).slice.text == str(scan.file_slice(scan.slice_at(found[2].mm)))
    assert row(driver, 2).source.text == "network"
    assert row(driver, 4).source.text == "halfway"
    assert float(row(driver, 1).spread.text) >= 0
    assert float(row(driver, 1).anatomy.text) == pytest.approx(found[1].mm - desk.case.anatomy[1].mm, abs=0.06)
    assert "8.0 mm apart" in ui.inputFindingsLabel.text
    assert ui.inputFindingsLabel.visible

    # Scores: five rows, extent, stage, and what the networks are worth.
    assert driver.scores(0)[-1] == "not scored"
    driver.press(ui.scoreButton, "scoring")
    result = desk.case.result
    assert [driver.scores(n)[1:4] for n in range(5)] == [[f"{v} %" for v in s.reported] for s in result.scores]
    assert driver.scores(5)[1] == f"{result.extent[0]:.0f} %"
    assert "Goh stage" in ui.stageLabel.text
    assert "not validated" in ui.modelsUsedLabel.text
    assert "not clinically validated" in ui.scoresFindingsLabel.text
    assert not ui.scoreButton.enabled
    assert "All levels are scored" in ui.scoreButton.toolTip

    # A level moves: with the automatic scoring off its row is marked, and only that slice is scored again.
    ui.autoRescoreCheckBox.setChecked(False)
    row(driver, 2).mm.setValue(found[2].mm - scan.mm_per_slice)
    assert desk.case.staleLevels() == {Level.L2}
    assert [n for n in range(5) if "moved" in driver.scores(n)[-1]] == [1]
    assert driver.scores(5)[-1] == "out of date"
    assert "L2" in ui.stageLabel.text
    assert ui.scoresTable.item(1, 1).font().italic()
    assert row(driver, 2).source.text == "by hand"
    assert "L2" in ui.exportButton.toolTip
    driver.press(ui.scoreButton, "scoring the moved level")
    assert not desk.case.staleLevels()
    again = desk.case.result.scores
    assert [n for n in range(5) if again[n] != result.scores[n]] == [1]

    # Undo goes back to the scored place: nothing is stale, nothing has to be computed but what was moved.
    ui.autoRescoreCheckBox.setChecked(True)
    ui.undoButton.click()
    driver.waitUntil(lambda: not desk.case.staleLevels(), "scoring by itself after undo")
    assert desk.case.result.scores == result.scores
    assert ui.redoButton.enabled

    # The forced vital capacity decides between 10 and 30 percent.
    ui.fvcCheckBox.setChecked(True)
    ui.fvcSpinBox.setValue(60)
    assert desk.case.result.fvc_percent == 60
    ui.fvcCheckBox.setChecked(False)
    assert desk.case.result.fvc_percent is None

    # Another network is chosen: the scores may be made again; one that is not here is said where it is noticed.
    driver.parameters.sNet = "no_such_network"
    assert ui.scoreButton.enabled
    assert "network chosen now" in ui.scoreButton.toolTip
    driver.waitUntil(lambda: "no_such_network" in ui.inputJobLabel.text, "the news that it is not here")
    assert ui.inputRetryButton.visible


def showsFirst(desk) -> bool:
    """Whether the finished maps of level 1 are there."""
    return desk.case.heatMapNodes.shows(Level.L1, desk.case.levels.slice_indices(desk.case.scan)[0])


def test_heat_maps_thresholds_segmentation_export_and_reloading(driver, tmp_path):
    ui, desk = driver.ui, driver.desk
    driver.chooseCT()

    # The module is left while the worker works: the answer waits for the user to come back.
    ui.findLevelsButton.click()
    driver.opened.exit()
    driver.waitUntil(lambda: desk.worker.answersWait, "an answer while the module is not shown")
    assert desk.case is None or desk.case.levels is None
    driver.opened.enter()
    driver.waitUntil(lambda: not desk.busy(), "using the answer")
    assert desk.case.levels is not None
    assert not ui.totPatternButton.enabled
    assert "heat maps" in ui.totPatternButton.toolTip

    # The scores come first, then the maps of one level after the other; each is shown at once.
    ui.heatMapsButton.click()
    # While the exact map of a level is computed there is a preview, which says that it is one.
    driver.waitUntil(lambda: "preview" in ui.heatMapsLabel.text, "a preview")
    assert ui.heatMapsLabel.visible
    assert desk.case.heatMapNodes.node(Pattern.TOT, Level.L1) is not None
    assert not showsFirst(desk)
    driver.waitUntil(lambda: showsFirst(desk), "the first level")
    assert desk.case.result is not None
    assert not desk.case.heatMapNodes.complete
    assert desk.busy()
    assert "level 2" in ui.heatMapsJobLabel.text
    driver.waitUntil(lambda: not desk.busy(), "all levels")
    result = desk.case.result
    assert len(result.heat_maps) == 5
    assert not ui.heatMapsLabel.visible

    # The pattern switch and the thresholds; the derived score stands beside the network's.
    ui.retPatternButton.click()
    assert driver.parameters.pattern == "ret"
    thresholds = result.thresholds
    assert ui.thresholdTotSlider.value == pytest.approx(thresholds["tot"])
    assert not ui.resetThresholdsButton.enabled
    ui.thresholdTotSlider.value = -0.25
    for n, maps in enumerate(result.heat_maps):
        assert ui.derivedTable.item(n, 1).text() == f"{result.scores[n].clipped[0]:.0f}"
        assert ui.derivedTable.item(n, 2).text() == f"{maps.derived_score(Pattern.TOT, -0.25):.0f}"
        assert ui.derivedTable.item(n, 4).text() == f"{maps.derived_score(Pattern.GG, thresholds['gg']):.0f}"
    assert driver.parameters.ownThresholds
    ui.resetThresholdsButton.click()
    assert ui.thresholdTotSlider.value == pytest.approx(thresholds["tot"])

    # The thresholded maps as a segmentation.
    ui.thresholdTotSlider.value = -0.5
    ui.segmentationButton.click()
    assert desk.case.thresholdsNode.GetSegmentation().GetNumberOfSegments() == 3
    assert "Segment Editor" in ui.heatMapsJobLabel.text

    # Every slice.
    driver.press(ui.scoreEverySliceButton, "scoring every slice")
    assert "Whole lung" in ui.wholeLungLabel.text
    assert desk.case.chartNode is not None

    # Export: files that others read, under the name that was given.
    assert "folder" in ui.exportButton.toolTip
    ui.folderEdit.currentPath = str(tmp_path)
    ui.caseNameEdit.text = "patient 7"
    driver.press(ui.exportButton, "exporting")
    folder = tmp_path / "patient_7"
    written = {path.name for path in folder.iterdir()}
    assert written >= {"scores.json", "scores.csv", "report.html", "levels.mrk.json", "heatmaps", "heatmaps.seg.nrrd"}
    rows = list(csv.DictReader((folder / "scores.csv").open()))
    assert [int(r["tot"]) for r in rows] == [s.reported[0] for s in result.scores]
    assert json.loads((folder / "scores.json").read_text())["case"] == "patient_7"
    assert str(folder) in ui.exportJobLabel.text
    assert ui.openFolderButton.enabled

    # A saved scene brings everything back.
    shown = [driver.scores(n) for n in range(6)]
    derived = [ui.derivedTable.item(n, 2).text() for n in range(5)]
    driver.saveAndLoad(tmp_path)
    assert [driver.scores(n) for n in range(6)] == shown
    assert [ui.derivedTable.item(n, 2).text() for n in range(5)] == derived
    assert ui.retPatternButton.checked
    assert ui.thresholdTotSlider.value == pytest.approx(-0.5)
    assert not desk.busy()
    for pattern in PATTERNS:
        assert desk.case.heatMapNodes.node(pattern, Level.L5) is not None

    # Lungs that are in the scene already are taken instead of our own.
    import slicer

    labels, matrix = desk.scan.to_file_order(smallPhantom().labels), desk.scan.ras_from_file_index
    given = slicer.util.addVolumeFromArray(labels, matrix, "my lungs", "vtkMRMLLabelMapVolumeNode")
    ui.lungsSelector.setCurrentNode(given)
    assert driver.parameters.lungs is given
    row(driver, 1).mm.setValue(row(driver, 1).mm.value + desk.scan.mm_per_slice)
    driver.waitUntil(lambda: not desk.busy() and not desk.case.staleLevels(), "scoring with given lungs")
    assert desk.case.result.settings["lungs"] == "given"
    assert any(finding.code == "model_not_validated" for finding in desk.case.result.findings)


def test_cancel_a_dead_worker_and_a_ct_that_is_gone(driver):
    ui, desk = driver.ui, driver.desk
    volume = driver.chooseCT()
    before = driver.nodeNames()

    # Cancelled: nothing in the scene is other than before, and the next try works.
    ui.findLevelsButton.click()
    driver.waitUntil(lambda: ui.levelsProgressBar.value > 0 or not desk.busy(), "some progress")
    ui.levelsCancelButton.click()
    assert not desk.busy()
    assert not desk.worker.running
    assert "Cancelled" in ui.levelsJobLabel.text
    assert driver.nodeNames() == before
    assert ui.findLevelsButton.enabled

    # The worker dies: said with the end of its log, and "Try again" does what it says.
    ui.findLevelsButton.click()
    driver.waitUntil(lambda: desk.worker.running, "the worker's start")
    driver.killWorker()
    driver.waitUntil(lambda: not desk.busy(), "the news of the worker's end")
    assert "ended" in ui.levelsJobLabel.text
    assert ui.levelsRetryButton.visible
    assert driver.nodeNames() == before
    ui.levelsRetryButton.click()
    assert desk.busy()
    driver.waitUntil(lambda: not desk.busy(), "finding the levels")
    assert desk.case.levels is not None

    # What was shown already goes again when the rest is cancelled, and so do the scores that came with it.
    ui.heatMapsButton.click()
    driver.waitUntil(lambda: showsFirst(desk), "the first level")
    ui.heatMapsCancelButton.click()
    assert "Cancelled" in ui.heatMapsJobLabel.text
    assert not any(desk.case.heatMapNodes.node(p, level) for p in PATTERNS for level in Level)

    # The CT leaves the scene while the worker computes: its answer is dropped.
    ui.scoreButton.click()
    assert desk.busy()
    driver.scene.RemoveNode(volume)
    driver.waitUntil(lambda: not desk.busy(), "the answer to a CT that is gone")
    assert "Choose a CT" in ui.scoreButton.toolTip
    driver.scene.Clear(0)
    driver.settle()
    assert not desk.worker.running
