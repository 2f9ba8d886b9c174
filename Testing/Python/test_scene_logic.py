"""Scoring in the scene without a widget: what the console, scripts and the panel can rely on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from small_bundles import l_net_bundle, s_net_bundle

pytest_plugins = ["scene_fixtures"]
slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

from SScILDScoringLib.errors import Cancelled  # noqa: E402
from SScILDScoringLib.levels import Level  # noqa: E402
from SScILDScoringLib.phantom import PhantomSpec, make_phantom  # noqa: E402
from SScILDScoringLib.pipeline import score_scan  # noqa: E402
from SScILDScoringLib.scene.case import ScoredCase  # noqa: E402
from SScILDScoringLib.scene.logic import ScoringLogic  # noqa: E402
from SScILDScoringLib.scene.scene_files import writeLevelsOf, writeScene  # noqa: E402
from SScILDScoringLib.scene.segmentations import lungSegmentation  # noqa: E402
from SScILDScoringLib.scene.volumes import scanFromVolume, volumeFromScan  # noqa: E402


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSpec.random(np.random.default_rng(5), matrix=96, slices=50))


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict:
    """Small networks with random weights: what they say means nothing, but always the same."""
    folder = tmp_path_factory.mktemp("models")
    l_net = l_net_bundle(folder / "l", (50.0, 42.0, 33.0, 27.0, 20.0))
    return {"lNet": l_net, "sNet": s_net_bundle(folder / "s")}


@pytest.fixture
def volume(scene, phantom):
    return volumeFromScan(phantom.scan, "CT")


@pytest.fixture
def logic():
    return ScoringLogic()


def scene_content(scene) -> set[str]:
    return {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}


def cancelling_at(stage: str):
    def progress(now: str, fraction: float, message: str) -> None:
        if now == stage:
            raise Cancelled

    return progress


def test_levels_are_placed_with_their_lungs_and_their_comparison(logic, volume, models):
    node = logic.placeLevels(volume, **models)
    case = ScoredCase.ofNode(node)
    assert [p.source for p in case.levels] == ["l_net"] * 5
    assert case.anatomy is not None
    assert case.lungs.method == "3d"
    assert case.result is None


def test_scoring_in_the_scene_gives_the_numbers_of_the_pipeline(logic, volume, phantom, models):
    case = ScoredCase.ofNode(logic.score(volume, heatMaps=True, **models))
    result = score_scan(phantom.scan, l_net=models["lNet"], s_net=models["sNet"], lungs=case.lungs)
    assert case.result.slice_indices == result.slice_indices
    assert case.result.file_slice_indices == result.file_slice_indices
    np.testing.assert_allclose([s.raw for s in case.result.scores], [s.raw for s in result.scores], atol=1e-3)
    for here, there in zip(case.result.heat_maps, result.heat_maps, strict=True):
        np.testing.assert_allclose(here.maps, there.maps, atol=1e-3)


def test_levels_can_be_given(logic, volume, phantom, models):
    case = ScoredCase.ofNode(logic.score(volume, phantom.levels.mm, **models))
    assert case.levels.mm == pytest.approx(phantom.levels.mm)
    assert [p.source for p in case.levels] == ["given"] * 5


def test_a_moved_level_is_scored_alone(logic, volume, models):
    case = ScoredCase.ofNode(logic.score(volume, **models))
    before = case.result
    case.levelPlanes.moveLevel(Level.L1, case.levels[Level.L1].mm + 2 * case.scan.mm_per_slice)
    scored = []
    logic.score(
        volume, **models, progress=lambda stage, f, message: scored.append(message) if stage == "scores" else None
    )
    after = ScoredCase.ofNode(case.node).result
    assert "1 slices scored" in scored
    assert after.scores[1:] == before.scores[1:]
    assert after.slice_indices[0] == before.slice_indices[0] + 2
    assert after.levels[Level.L1].source == "manual"


def test_every_slice_can_be_scored_and_has_a_chart(logic, volume, models):
    node = logic.score(volume, **models)
    case = ScoredCase.ofNode(logic.scoreEverySlice(node, sNet=models["sNet"]))
    assert len(case.result.profile.scores) > 20
    assert case.chartNode is not None


def test_a_users_lung_segmentation_is_taken(logic, volume, phantom, models):
    scan = scanFromVolume(volume)
    given = lungSegmentation(volume.GetScene(), scan, phantom.lungs, volume)
    case = ScoredCase.ofNode(logic.score(volume, lungNode=given, **models))
    np.testing.assert_array_equal(case.lungs.labels > 0, phantom.lungs.labels > 0)
    assert case.lungs.method == "given"


@pytest.mark.parametrize("stage", ["quality", "lungs", "levels", "scores"])
def test_cancelling_leaves_the_scene_as_it_was(logic, scene, volume, phantom, models, stage):
    before = scene_content(scene)
    with pytest.raises(Cancelled):
        logic.placeLevels(volume, progress=cancelling_at(stage), **models) if stage != "scores" else logic.score(
            volume, phantom.levels.mm, progress=cancelling_at("scores"), **models
        )
    assert scene_content(scene) == before


def test_what_a_user_can_cause_is_a_value_error_with_a_sentence(logic, scene, volume, models):
    with pytest.raises(ValueError, match="Choose a CT volume"):
        logic.placeLevels(None)
    with pytest.raises(ValueError, match="outside the scan"):
        logic.score(volume, [9000, 8000, 7000, 6000, 5000], **models)
    with pytest.raises(ValueError, match="must lie above"):
        logic.score(volume, [0, 50, 100, 150, 200], **models)
    with pytest.raises(ValueError, match="not a scored case"):
        logic.renderHeatMaps(volume)
    with pytest.raises(ValueError, match="no-such-model"):
        logic.placeLevels(volume, lNet="no-such-model")


def test_the_ct_can_be_exchanged_for_another(logic, volume, phantom, models):
    logic.score(volume, **models)
    other = volumeFromScan(phantom.scan, "other")
    case = ScoredCase.ofNode(logic.score(other, **models))
    assert case.volumeNode is other
    assert len(ScoredCase.allIn(other.GetScene())) == 2


def test_results_are_exported_with_everything(logic, volume, models, tmp_path):
    node = logic.score(volume, heatMaps=True, **models)
    ScoredCase.ofNode(node).updateThresholds({"tot": -0.5, "gg": -0.5, "ret": -0.5})
    written = logic.exportResults(node, tmp_path, name="patient 1", scene=True)
    names = {path.relative_to(tmp_path / "patient_1").as_posix() for path in written}
    assert {"scores.json", "scores.csv", "report.html", "levels.mrk.json", "scene.mrb"} <= names
    assert {"lungs.seg.nrrd", "heatmaps.seg.nrrd", "heatmaps/level_1_tot.nrrd"} <= names
    assert json.loads((tmp_path / "patient_1" / "scores.json").read_text())["case"] == "patient_1"
    with pytest.raises(ValueError, match="has results already"):
        logic.exportResults(node, tmp_path, name="patient 1")
    logic.exportResults(node, tmp_path, name="patient 1", overwrite=True)
    assert not (tmp_path / "patient_1" / "scene.mrb").exists(), "what the second export did not write is not left over"


def test_moved_levels_are_not_exported_under_old_scores(logic, volume, models, tmp_path):
    node = logic.score(volume, **models)
    case = ScoredCase.ofNode(node)
    case.levelPlanes.moveLevel(Level.L1, case.levels[Level.L1].mm + 3 * case.scan.mm_per_slice)
    with pytest.raises(ValueError, match="L1 moved after scoring"):
        logic.exportResults(node, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_scans_is_scored(logic, phantom, models, tmp_path):
    import SimpleITK as sitk

    (tmp_path / "scans").mkdir()
    image = sitk.GetImageFromArray(phantom.scan.voxels)
    image.SetSpacing(phantom.scan.spacing)
    image.SetOrigin(phantom.scan.origin)
    sitk.WriteImage(image, str(tmp_path / "scans" / "one.nii.gz"))
    logic.scoreFolder(tmp_path / "scans", tmp_path / "out", l_net=models["lNet"], s_net=models["sNet"], heat_maps=False)
    assert (tmp_path / "out" / "one" / "scores.json").is_file()
    assert (tmp_path / "out" / "scores.csv").read_text().startswith("case,level,tot,gg,ret")


def test_the_command_line_writes_levels_and_a_scene_that_slicer_opens(scene, phantom, models, tmp_path):
    result = score_scan(phantom.scan, case="p1", l_net=models["lNet"], s_net=models["sNet"])
    markups = json.loads(writeLevelsOf(result, tmp_path).read_text())
    assert len(markups["markups"]) >= 1
    with zipfile.ZipFile(writeScene(result, tmp_path)) as archive:
        archive.extractall(tmp_path / "unpacked")
    scene.SetURL(str(next((tmp_path / "unpacked").rglob("*.mrml"))))
    assert scene.Import()
    (case,) = ScoredCase.allIn(scene)
    assert case.volumeNode.GetName() == "p1"
    assert case.result.scores == result.scores
    np.testing.assert_array_equal(case.scan.voxels, phantom.scan.voxels)
    np.testing.assert_array_equal(case.result.heat_maps[4].maps, result.heat_maps[4].maps)
    assert case.levels.mm == pytest.approx(result.levels.mm, abs=0.01)


def test_files_for_slicer_can_be_written_to_a_relative_folder(scene, phantom, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = score_scan(phantom.scan, case="p1", l_net=models["lNet"], s_net=models["sNet"], heat_maps=False)
    Path("out").mkdir()
    assert writeLevelsOf(result, Path("out")).is_file()
    assert writeScene(result, Path("out")).is_file()
    assert sorted(p.name for p in Path("out").iterdir()) == ["levels.mrk.json", "scene.mrb"]


def test_writing_a_scene_leaves_the_open_scene_alone(scene, volume, phantom, models, tmp_path):
    result = score_scan(phantom.scan, case="p1", l_net=models["lNet"], s_net=models["sNet"], heat_maps=False)
    before = scene_content(scene)
    writeScene(result, tmp_path)
    assert slicer.mrmlScene is scene
    assert scene_content(scene) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.mrb"]
