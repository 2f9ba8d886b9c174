"""What the pipeline promises: one call from a CT to all results, the same however the file stores the CT."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from small_bundles import l_net_bundle, s_net_bundle
from SScILDScoringLib.devices import threads
from SScILDScoringLib.errors import Cancelled, ModelError, ScanError, SettingsError
from SScILDScoringLib.heatmaps.replacement import HeatMapSettings
from SScILDScoringLib.levels import LevelError
from SScILDScoringLib.lungs import LungMask
from SScILDScoringLib.phantom import DiseaseSpec, PhantomSpec, make_phantom
from SScILDScoringLib.pipeline import find_model, score_scan
from SScILDScoringLib.results import read_json, write_json
from SScILDScoringLib.scan import scan_from_array
from SScILDScoringLib.scores import Stage

DISEASE = DiseaseSpec(ground_glass=0.2, reticulation=0.1)
COARSE = HeatMapSettings(patch=24, step=16)


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSpec(seed=5, matrix=96, spacing=(3.8, 3.8, 5.0), disease=DISEASE))


@pytest.fixture(scope="module")
def s_net(tmp_path_factory):
    return s_net_bundle(tmp_path_factory.mktemp("bundles") / "s", clear_outside_body=True)


@pytest.fixture(scope="module")
def l_net(tmp_path_factory):
    """Answers the same slice numbers for every scan, in the middle of the lungs."""
    return l_net_bundle(tmp_path_factory.mktemp("bundles") / "l", (48.0, 42.0, 35.0, 29.0, 22.0), depth=72)


@pytest.fixture(scope="module")
def result(phantom, s_net, l_net):
    with threads(1):
        return score_scan(
            phantom.scan,
            case="phantom",
            l_net=l_net,
            s_net=s_net,
            every_slice=True,
            fvc_percent=60,
            device="cpu",
            heat_map_settings=COARSE,
        )


def codes(result):
    return {f.code for f in result.findings}


# ---- from a CT to results ----------------------------------------------------------------------------------------


def test_one_call_gives_levels_scores_extent_stage_profile_and_heat_maps(result, phantom):
    assert result.case == "phantom"
    assert {p.source for p in result.levels} == {"l_net"}
    assert result.slice_indices == result.levels.slice_indices(phantom.scan)
    assert len(result.scores) == len(result.heat_maps) == len(result.explanations) == 5
    assert result.extent == tuple(np.mean([s.reported for s in result.scores], axis=0))
    assert result.stage in Stage
    assert 20 < len(result.profile.scores) < phantom.scan.slice_count
    assert result.heat_maps[0].maps.shape == (3, 96, 96)
    assert result.device.startswith("cpu")
    assert [m.kind for m in result.models] == ["l_net", "s_net"]


def test_every_step_is_timed(result):
    steps = {"models", "read", "quality", "lungs", "landmarks", "levels", "scores", "profile", "heat_maps", "total"}
    assert steps <= set(result.seconds)
    assert sum(v for k, v in result.seconds.items() if k != "total") <= result.seconds["total"] + 1e-3


def test_untrained_weights_are_called_so(result):
    assert "model_not_validated" in codes(result)
    assert "thick_slices" in codes(result)


def test_scores_are_those_of_the_slices_at_the_levels(result, phantom, s_net):
    import torch

    for k, scores in zip(result.slice_indices, result.scores, strict=True):
        x = torch.from_numpy(s_net.input.prepare(phantom.scan.axial_slice(k)))[None, None]
        assert np.allclose(scores.raw, s_net.network()(x)[0].numpy(), atol=1e-4)


def test_heat_maps_cover_the_lung_of_their_level(result):
    for k, maps in zip(result.slice_indices, result.heat_maps, strict=True):
        assert (maps.covered == result.lungs.mask(k)).all()
        assert np.abs(maps.maps).max() > 0
        assert np.allclose(maps.baseline.raw, result.scores[result.slice_indices.index(k)].raw, atol=1e-3)


def test_without_an_l_net_the_anatomy_places_the_levels(phantom, s_net):
    result = score_scan(phantom.scan, l_net=False, s_net=s_net, heat_maps=False, device="cpu")
    assert {p.source for p in result.levels} == {"anatomy"}
    assert "levels_from_anatomy" in codes(result)
    assert result.heat_maps == ()
    assert np.abs(np.subtract(result.levels.mm, phantom.levels.mm)).max() < 25


def test_a_file_is_scored_like_the_scan_and_names_the_case(phantom, s_net, tmp_path):
    scan = phantom.scan
    image = sitk.GetImageFromArray(np.asarray(scan.voxels))
    image.SetOrigin(scan.origin)
    image.SetSpacing(scan.spacing)
    image.SetDirection(scan.direction.ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / "lady 3.nrrd"), True)
    options = {"levels": phantom.levels.mm, "s_net": s_net, "heat_maps": False, "device": "cpu"}
    from_file = score_scan(tmp_path / "lady 3.nrrd", **options)
    from_scan = score_scan(scan, **options)
    assert from_file.case == "lady_3"
    assert from_file.scores == from_scan.scores


def test_the_result_survives_being_written(result, tmp_path):
    again = read_json(write_json(result, tmp_path / "scores.json"))
    assert again.scores == result.scores
    assert json.loads((tmp_path / "scores.json").read_text())["fvc_percent"] == 60


# ---- however the file stores it ----------------------------------------------------------------------------------


def stored(scan, how):
    """The same voxels at the same places of the patient, in another arrangement of the file."""
    array, matrix = np.asarray(scan.voxels), scan.lps_from_index
    if how == "head first":
        flip = np.eye(4)
        flip[2, 2], flip[2, 3] = -1, array.shape[0] - 1
        return scan_from_array(array[::-1], matrix @ flip)
    if how == "mirrored":
        flip = np.eye(4)
        flip[0, 0], flip[0, 3] = -1, array.shape[2] - 1
        flip[1, 1], flip[1, 3] = -1, array.shape[1] - 1
        return scan_from_array(array[:, ::-1, ::-1], matrix @ flip)
    if how == "sagittal":
        return scan_from_array(np.transpose(array, (2, 0, 1)), matrix[:, [1, 2, 0, 3]])
    raise ValueError(how)


@pytest.mark.parametrize("how", ["head first", "mirrored", "sagittal"])
def test_the_arrangement_of_the_file_does_not_change_the_result(how, phantom, result, s_net, l_net):
    scan = stored(phantom.scan, how)
    again = score_scan(scan, l_net=l_net, s_net=s_net, device="cpu", heat_map_settings=COARSE)
    assert np.allclose(again.levels.mm, result.levels.mm)
    assert again.scores == result.scores
    for mine, theirs in zip(again.heat_maps, result.heat_maps, strict=True):
        assert (mine.maps == theirs.maps).all()
    if how == "head first":
        assert again.file_slice_indices == tuple(scan.slice_count - 1 - k for k in result.file_slice_indices)
    else:
        assert again.file_slice_indices == result.file_slice_indices
    assert again.facts.slice_axis == (1 if how == "sagittal" else 2)


def test_an_oblique_scan_gives_the_scores_of_its_own_slices(phantom, result, s_net, l_net):
    """The voxel grid turned by 8 degrees about the patient's x axis: other millimetres, same slices, same scores."""
    angle = np.radians(8.0)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    scan = scan_from_array(np.asarray(phantom.scan.voxels), turn @ phantom.scan.lps_from_index)
    again = score_scan(scan, l_net=l_net, s_net=s_net, device="cpu", heat_maps=False)
    assert again.slice_indices == result.slice_indices
    assert again.scores == result.scores
    for before, after in zip(result.levels, again.levels, strict=True):
        assert after.mm == pytest.approx(scan.mm_of_slice(phantom.scan.slice_position(before.mm)))
    assert again.facts.tilt_degrees == pytest.approx(8.0)


# ---- mistakes, levels and lungs that are given ---------------------------------------------------------------------


def test_mistakes_are_said_before_the_work(phantom, s_net):
    def no_work(stage, fraction, message):
        raise AssertionError(f"{stage} was started")

    for wrong, error, words in (
        ({"fvc_percent": 0.7}, SettingsError, "percent of the predicted"),
        ({"device": "gpu"}, SettingsError, "no device 'gpu'"),
        ({"levels": (1, 2, 3, 4, 5)}, LevelError, "must lie above"),
        ({"levels": (900, 800, 700, 600, 500)}, ScanError, "outside the scan"),
    ):
        with pytest.raises(error, match=words):
            score_scan(phantom.scan, **{"s_net": s_net, "device": "cpu", "progress": no_work, **wrong})


def test_without_an_s_net_there_are_no_scores():
    with pytest.raises(ModelError, match="S-Net"):
        find_model(False, "s_net")


def test_a_level_outside_the_lungs_is_said(phantom, s_net):
    levels = (*phantom.levels.mm[:4], phantom.scan.mm_of_slice(0))
    result = score_scan(phantom.scan, levels=levels, s_net=s_net, heat_maps=False, device="cpu")
    assert {"level_without_lung"} <= codes(result)
    assert {p.source for p in result.levels} == {"given"}


def test_two_levels_on_one_slice_are_said(phantom, s_net):
    mm = list(phantom.levels.mm)
    mm[1] = mm[2] + 0.5
    result = score_scan(phantom.scan, levels=mm, s_net=s_net, heat_maps=False, device="cpu")
    assert "levels_on_one_slice" in codes(result)


def test_lungs_that_are_given_are_used(phantom, s_net):
    labels = np.array(phantom.labels)
    labels[:, :, 48:] = 0
    mask = LungMask(labels, "given")
    result = score_scan(
        phantom.scan, levels=phantom.levels, lungs=mask, s_net=s_net, heat_map_settings=COARSE, device="cpu"
    )
    assert result.lungs is mask
    assert result.settings["lungs"] == "given"
    assert not result.heat_maps[2].covered[:, 48:].any()


@pytest.mark.parametrize("stage", ["quality", "lungs", "landmarks", "levels", "scores", "explanations", "heat_maps"])
def test_cancelling_passes_through_every_stage(stage, phantom, s_net, l_net):
    def cancel(now, fraction, message):
        if now == stage:
            raise Cancelled

    with pytest.raises(Cancelled):
        score_scan(phantom.scan, l_net=l_net, s_net=s_net, device="cpu", progress=cancel, heat_map_settings=COARSE)


def test_progress_tells_the_stages_in_order(phantom, s_net):
    told = []
    score_scan(
        phantom.scan,
        l_net=False,
        s_net=s_net,
        every_slice=True,
        device="cpu",
        heat_map_settings=COARSE,
        progress=lambda stage, fraction, message: told.append((stage, fraction)),
    )
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == ["quality", "lungs", "landmarks", "levels", "scores", "explanations", "profile", "heat_maps"]
    assert all(0 <= fraction <= 1 for _, fraction in told)
    assert told[-1] == ("heat_maps", 1.0)
