"""What a scored CT is in the scene, and that saving the scene saves the case."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

from SScILDScoringLib.findings import Finding  # noqa: E402
from SScILDScoringLib.heatmaps.maps import HeatMaps  # noqa: E402
from SScILDScoringLib.heatmaps.replacement import HeatMapSettings  # noqa: E402
from SScILDScoringLib.levels import Level, Levels  # noqa: E402
from SScILDScoringLib.lungs import LungMask  # noqa: E402
from SScILDScoringLib.results import ModelFacts, ScanFacts, ScanResult  # noqa: E402
from SScILDScoringLib.scan import scan_from_array  # noqa: E402
from SScILDScoringLib.scene.case import ScoredCase  # noqa: E402
from SScILDScoringLib.scene.errors import SceneError  # noqa: E402
from SScILDScoringLib.scene.folder import caseFolder, nodesInFolder  # noqa: E402
from SScILDScoringLib.scene.overlays import readOverlay  # noqa: E402
from SScILDScoringLib.scene.volumes import volumeFromScan  # noqa: E402
from SScILDScoringLib.scores import PATTERNS, LungProfile, Pattern, SliceScores  # noqa: E402


@pytest.fixture
def scan():
    """A small CT whose file runs the other way round along every axis; two boxes of lung."""
    voxels = np.full((40, 24, 32), 40, np.int16)
    voxels[4:36, 6:18, 4:13] = voxels[4:36, 6:18, 19:28] = -850
    matrix = np.diag([-8.0, -8.0, -6.0, 1.0])
    matrix[:3, 3] = 120, 90, 300
    return scan_from_array(voxels, matrix)


def lungs_of(scan) -> LungMask:
    labels = np.zeros(scan.shape, np.uint8)
    labels[4:36, 6:18, 4:13], labels[4:36, 6:18, 19:28] = 1, 2
    return LungMask(labels, "3d")


def levels_of(scan) -> Levels:
    return Levels.from_mm([scan.mm_of_slice(k) for k in (32, 27, 20, 15, 10)], source="l_net", l4_follows=True)


def heat_maps_of(lungs, k: int, seed: int) -> HeatMaps:
    lung = lungs.mask(k)
    rng = np.random.default_rng(seed)
    maps = (rng.normal(size=(3, *lung.shape)) * lung).astype(np.float32)
    settings = HeatMapSettings(patch=8, step=4)
    return HeatMaps(maps, lung.copy(), lung, SliceScores((10.0, 7.0, 4.0)), settings, "windowed", 30, 1.5)


def result_of(scan, heat_maps: bool = True, profile: bool = False) -> ScanResult:
    lungs, levels = lungs_of(scan), levels_of(scan)
    indices = levels.slice_indices(scan)
    scored = (4, 5, 6)
    table = LungProfile(
        scored,
        tuple(scan.file_slice(k) for k in scored),
        tuple(scan.mm_of_slice(k) for k in scored),
        (900.0,) * 3,
        tuple(SliceScores((k, k, 0.0)) for k in scored),
    )
    return ScanResult(
        case="case1",
        levels=levels,
        slice_indices=indices,
        file_slice_indices=tuple(scan.file_slice(k) for k in indices),
        scores=tuple(SliceScores((10.0 * n, 8.0 * n, 5.0 * n)) for n in range(1, 6)),
        facts=ScanFacts.of(scan),
        findings=(Finding("few_slices", "warning", 'Slices are "thick": 6 mm; see <the manual> & café.'),),
        settings={"l4_follows": True, "lungs": "3d"},
        heat_maps=tuple(heat_maps_of(lungs, k, n) for n, k in enumerate(indices)) if heat_maps else (),
        thresholds={"tot": -0.5, "gg": -0.4, "ret": -0.3},
        profile=table if profile else None,
        scan=scan,
        lungs=lungs,
    )


def saved_and_loaded(application, folder: Path):
    """Saves the scene as .mrb, closes it, and loads it again the way Slicer does."""
    path = folder / "scene.mrb"
    scene = application.scene
    assert scene.WriteToMRB(str(path))
    scene.Clear(0)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "unpacked")
    scene.SetURL(str(next((folder / "unpacked").rglob("*.mrml"))))
    assert scene.Import()
    return ScoredCase.allIn(scene)


def test_a_ct_has_one_case_however_often_it_is_asked_for(scene, scan):
    volume = volumeFromScan(scan, "CT")
    case = ScoredCase.create(volume)
    assert ScoredCase.create(volume).node is case.node
    assert ScoredCase.ofVolume(volume).node is case.node
    assert [c.node for c in ScoredCase.allIn(scene)] == [case.node]
    assert (case.levels, case.result, case.lungs) == (None, None, None)


def test_unfinished_heat_maps_are_shown_but_are_no_part_of_the_result(scene, scan):
    import slicer

    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    result = result_of(scan, heat_maps=False)
    case.setLungs(result.lungs)
    case.setResult(result)
    final = result_of(scan).heat_maps
    for level, k, maps in zip(Level, result.slice_indices, final, strict=True):
        case.showHeatMaps(level, k, replace(maps, exact=False, engine="preview"), unfinished=True)
    node = case.heatMapNodes.node(Pattern.TOT, Level.L2)
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    assert "preview" in legend.GetTitleText()
    assert np.allclose(readOverlay(node), final[1].of(Pattern.TOT), atol=1e-6)
    assert not case.heatMapNodes.shows(Level.L2, result.slice_indices[1])
    assert case.heatMapNodes.read(case.result) == ()
    for level, k, maps in zip(Level, result.slice_indices, final, strict=True):
        case.showHeatMaps(level, k, replace(maps, precision="bf16", tolerance=0.002, checked_positions=3))
    assert legend.GetTitleText() == "TOT, change in percentage points"
    read = case.heatMapNodes.read(case.result)
    assert [(m.precision, m.tolerance, m.checked_positions, m.exact) for m in read] == [("bf16", 0.002, 3, True)] * 5


def test_a_node_that_is_no_case_is_refused_with_a_sentence(scene, scan):
    with pytest.raises(SceneError, match="score a CT volume first"):
        ScoredCase.ofNode(volumeFromScan(scan, "CT"))


def test_everything_of_a_case_lies_in_one_folder_beside_the_ct(scene, scan):
    volume = volumeFromScan(scan, "CT")
    case = ScoredCase.create(volume)
    case.setResult(result_of(scan, profile=True))
    inside = nodesInFolder(scene, caseFolder(scene, volume, "any"))
    assert set(inside) >= set(case.ownNodes())
    assert len(case.ownNodes()) == 5 + 15 + 1 + 5 + 1  # planes, maps, table, profile, lungs


def test_levels_and_their_comparison_with_the_anatomy_are_kept(scene, scan):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    levels = levels_of(scan)
    anatomy = Levels.from_mm([mm + 3 for mm in levels.mm], source="anatomy")
    case.setLevels(levels, anatomy, [Finding("level_spread", "info", "The windows scatter.")])
    assert case.levels == levels
    assert case.anatomy.mm == pytest.approx(anatomy.mm)
    assert [f.code for f in case.findings] == ["level_spread"]
    assert case.staleLevels() == set(Level)


def test_a_moved_level_is_stale_until_its_slice_is_scored(scene, scan):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    case.setResult(result_of(scan))
    assert case.staleLevels() == set()
    case.levelPlanes.moveLevel(Level.L2, scan.mm_of_slice(28))
    assert case.staleLevels() == {Level.L2}
    case.levelPlanes.moveLevel(Level.L2, scan.mm_of_slice(27) + 0.4 * scan.mm_per_slice)
    assert case.staleLevels() == set(), "another place on the same slice has the same score"


def test_heat_maps_of_a_slice_that_is_no_longer_scored_go_and_the_others_stay(scene, scan):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    result = result_of(scan)
    case.setResult(result)
    levels = result.levels.moved(Level.L1, scan.mm_of_slice(34))
    indices = levels.slice_indices(scan)
    numbers = tuple(scan.file_slice(k) for k in indices)
    case.setResult(replace(result, levels=levels, slice_indices=indices, file_slice_indices=numbers, heat_maps=()))
    assert [case.heatMapNodes.node(Pattern.GG, level) is not None for level in Level] == [False, True, True, True, True]
    assert case.result.heat_maps == ()


def test_heat_maps_of_another_network_go_when_its_scores_go(scene, scan):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    result = result_of(scan)
    models = [ModelFacts("s_net", name, "1", name * 64, False, "") for name in ("a", "b")]
    case.setResult(replace(result, models=(models[0],)))
    case.setResult(replace(result, models=(models[0],), heat_maps=()))
    assert case.heatMapNodes.complete, "the same network on the same slices: they still hold"
    case.setResult(replace(result, models=(models[1],), heat_maps=()))
    assert not any(case.heatMapNodes.node(Pattern.TOT, level) for level in Level)


def test_saving_and_loading_the_scene_gives_the_same_case(application, scan, tmp_path):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    result = result_of(scan, profile=True)
    case.setResult(result)
    case.setLevels(result.levels, Levels.from_mm([mm - 2 for mm in result.levels.mm], source="anatomy"))
    loaded = saved_and_loaded(application, tmp_path)
    assert len(loaded) == 1
    after = loaded[0]
    assert after.volumeNode.GetName() == "CT"
    np.testing.assert_array_equal(after.scan.voxels, scan.voxels)
    np.testing.assert_allclose(after.scan.ras_from_index, scan.ras_from_index, atol=1e-4)
    # Slicer saves this volume with its slices the other way round: its own numbers follow it
    assert after.result.file_slice_indices == tuple(after.scan.file_slice(k) for k in result.slice_indices)
    assert after.levels.mm == pytest.approx(result.levels.mm, abs=1e-4)
    assert [p.source for p in after.levels] == [p.source for p in result.levels]
    assert after.levels.l4_follows
    assert after.anatomy.mm == pytest.approx([mm - 2 for mm in result.levels.mm])
    assert after.result.scores == result.scores
    assert after.result.findings == result.findings
    assert after.result.profile.scores == result.profile.scores
    np.testing.assert_array_equal(after.lungs.labels, result.lungs.labels)
    assert after.lungs.method == "3d"
    assert after.staleLevels() == set()
    for before, now in zip(result.heat_maps, after.result.heat_maps, strict=True):
        np.testing.assert_array_equal(now.maps, before.maps)
        np.testing.assert_array_equal(now.covered, before.covered)
        assert (now.settings, now.baseline, now.engine) == (before.settings, before.baseline, before.engine)
    assert after.result.derived_scores() == result.derived_scores()
    assert after.tableNode is not None
    assert after.chartNode is not None


def test_a_loaded_case_can_be_worked_on(application, scan, tmp_path):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    case.setResult(result_of(scan))
    after = saved_and_loaded(application, tmp_path)[0]
    after.levelPlanes.moveLevel(Level.L5, scan.mm_of_slice(8))
    assert Level.L5 in after.staleLevels()
    node = after.updateThresholds({"tot": -0.5, "gg": -0.4, "ret": -0.3})
    assert node.GetSegmentation().GetNumberOfSegments() == len(PATTERNS)
    assert after.updateThresholds({"tot": -1.0, "gg": -1.0, "ret": -1.0}) is node


def test_a_segmentation_that_was_corrected_is_never_overwritten(scene, scan):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    case.setResult(result_of(scan))
    thresholds = {"tot": -0.5, "gg": -0.5, "ret": -0.5}
    first = case.updateThresholds(thresholds)
    assert ScoredCase.ofNode(case.node).updateThresholds(thresholds) is first
    first.GetSegmentation().RemoveSegment(first.GetSegmentation().GetNthSegmentID(0))  # as in Segment Editor
    second = case.updateThresholds(thresholds)
    assert second is not first
    assert first.GetScene() is scene
    assert first.GetSegmentation().GetNumberOfSegments() == 2
    assert case.thresholdsNode is second
    case.remove()
    assert first.GetScene() is None, "it belongs to the case all the same"


def test_the_pattern_switch_shows_that_patterns_area_alone(scene, scan):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    case.setResult(result_of(scan))
    display = case.updateThresholds({"tot": -0.5, "gg": -0.5, "ret": -0.5}).GetDisplayNode()
    case.showPattern(Pattern.GG)
    assert [display.GetSegmentVisibility(p.name) for p in PATTERNS] == [False, True, False]


def test_thresholds_need_heat_maps(scene, scan):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    case.setResult(result_of(scan, heat_maps=False))
    with pytest.raises(SceneError, match="compute them first"):
        case.updateThresholds({"tot": -0.5})


def test_fvc_decides_the_stage_and_is_kept(scene, scan):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    result = replace(result_of(scan), scores=tuple(SliceScores((20.0, 15.0, 5.0)) for _ in Level))
    case.setResult(result)
    assert case.result.stage.value == "indeterminate"
    case.setFvc(62.0)
    assert (case.result.stage.value, case.result.fvc_percent) == ("extensive", 62.0)


def test_removing_a_case_leaves_the_ct_and_nothing_else(scene, scan):
    volume = volumeFromScan(scan, "CT")
    before = scene.GetNumberOfNodes()
    case = ScoredCase.create(volume)
    case.setResult(result_of(scan, profile=True))
    case.remove()
    left = [scene.GetNthNode(n).GetName() for n in range(scene.GetNumberOfNodes())]
    assert ScoredCase.allIn(scene) == []
    assert volume.GetScene() is scene
    # the colour table of heat maps is the scene's, not the case's; so is the hierarchy node
    assert scene.GetNumberOfNodes() - before <= 4, left


def test_the_hierarchy_stays_sound_when_nodes_are_exchanged(scene, scan, capfd):
    case = ScoredCase.create(volumeFromScan(scan, "CT"))
    case.setResult(result_of(scan))
    case.setLungs(lungs_of(scan))
    case.setResult(result_of(scan))
    case.remove()
    printed = capfd.readouterr()
    assert "ERR" not in printed.out + printed.err


def test_two_cts_have_two_cases_that_do_not_mix(scene, scan):
    first, second = volumeFromScan(scan, "first"), volumeFromScan(scan, "second")
    for volume in (first, second):
        ScoredCase.create(volume).setResult(result_of(scan))
    one, other = ScoredCase.ofVolume(first), ScoredCase.ofVolume(second)
    assert not set(one.ownNodes()) & set(other.ownNodes())
    one.remove()
    assert ScoredCase.ofVolume(second).result is not None


def test_results_of_a_ct_that_was_removed_can_still_be_read(scene, scan):
    volume = volumeFromScan(scan, "CT")
    case = ScoredCase.create(volume)
    result = result_of(scan)
    case.setResult(result)
    scene.RemoveNode(volume)
    assert ScoredCase.ofNode(case.node).result.scores == result.scores
    with pytest.raises(SceneError, match="no longer in the scene"):
        _ = case.scan
