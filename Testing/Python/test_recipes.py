"""The two recipes on real (small) phantoms: what the networks are fed with, and that training reaches a bundle."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SScILDScoringLib.errors import SettingsError, TableError
from SScILDScoringLib.preprocessing import SliceInput, VolumeInput
from SScILDScoringLib.progress import silent
from SScILDScoringTrainingLib.cohort import read_cohort
from SScILDScoringTrainingLib.config import PRESETS
from SScILDScoringTrainingLib.packing import pack_run
from SScILDScoringTrainingLib.recipes import recipe_of
from SScILDScoringTrainingLib.recipes.levels import patch_start, predicted_levels
from SScILDScoringTrainingLib.slice_data import BODY, LUNG, slice_numbers
from SScILDScoringTrainingLib.synthesis import scores_from_masks
from SScILDScoringTrainingLib.training import Trainer

LEVELS = {
    "recipe": "levels",
    "network": {"name": "compact_3d", "options": {"widths": [2, 4, 4, 8], "head_width": 16}},
    "input": {"size": [48, 32, 32], "depth": 40, "hu_window": [-1024, 500], "stride": 4},
    "augmentation": {"rotation_degrees": 5, "cut": 0.1, "noise_hu": [0, 20]},
    "data": {"phantoms": {"train": 2, "validation": 1, "fixed": {"matrix": 32, "slices": 48}}},
    "training": {"batch_size": 2, "steps": 4, "learning_rate": 1e-3, "validate_every": 2, "loss": "smooth_l1"},
    "profile": {"sigma": 1.5, "weight": 1.0},
    "bundle": {"name": "small_l_net", "description": "A test."},
}
# The phantom of seed 8 is healthy: disease is drawn into its slices.
SCORES = {
    "recipe": "scores",
    "network": {"name": "compact_ratio", "options": {"widths": [4, 8, 8, 8], "blocks": [1, 1, 1, 1]}},
    "input": {"size": 64, "hu_window": [-1024, 600], "clear_outside_body": True},
    "augmentation": {"rotation_degrees": 10, "shift_pixels": 4, "noise_hu": [0, 20]},
    "data": {
        "phantoms": {"train": 3, "validation": 1, "seed": 8, "slices": 6, "fixed": {"matrix": 128, "slices": 24}},
        "mix": {"synthetic": 0.6, "phantom": 0.4},
        "reuse": 2,
        "kept": 8,
    },
    "training": {"batch_size": 4, "steps": 4, "learning_rate": 1e-3, "validate_every": 2, "loss": "smooth_l1"},
    "dense": {"lung": 1.0, "patterns": 1.0},
    "bundle": {"name": "small_s_net", "description": "A test.", "notice": "Not validated."},
}


def prepared(values: dict, cache):
    values = {**values, "data": {**values["data"], "cache": str(cache)}}
    recipe = recipe_of(values)
    recipe.prepare(silent)
    return recipe


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def levels(cache):
    return prepared(LEVELS, cache)


@pytest.fixture(scope="module")
def scores(cache):
    return prepared(SCORES, cache)


def test_every_patch_holds_all_five_levels_and_is_z_scored(levels):
    for number in range(20):
        sample = levels.sample(number)
        assert sample["image"].shape == (1, 40, 32, 32)
        assert (np.diff(sample["target"]) < 0).all(), "L1 is the highest slice number, counted from the bottom"
        assert sample["target"].min() >= -0.5
        assert sample["target"].max() <= 39.5
        assert abs(sample["image"].mean()) < 1e-3
        assert sample["image"].std() == pytest.approx(1, abs=1e-3)


def test_the_published_crop_is_random_and_covers_the_levels_whenever_it_can():
    rng = np.random.default_rng(0)
    levels = np.array([200.0, 170, 130, 110, 90])
    starts = {patch_start(levels, 256, 192, rng) for _ in range(300)}
    assert min(starts) == 9
    assert max(starts) == 64
    assert len(starts) > 40
    wide = np.array([250.0, 200, 150, 80, 5])
    assert patch_start(wide, 256, 192, rng) == 32


def test_the_same_number_gives_the_same_sample_and_another_gives_another(levels, scores):
    for recipe in (levels, scores):
        first, again, other = recipe.sample(5), recipe.sample(5), recipe.sample(6)
        assert all(np.array_equal(first[k], again[k]) for k in first)
        assert not np.array_equal(first["image"], other["image"])


def test_validation_phantoms_are_never_trained_on(levels):
    assert not {c.name for c in levels.validation} & {c.name for c in levels.phantoms}


def test_a_network_that_knows_the_slices_is_read_back_without_error(levels):
    """Targets, patches and windows count slices alike: an answer that is right in the patch is right in the volume."""

    class Knows(torch.nn.Module):
        def forward(self, x):
            k = torch.tensor([30.0, 25.0, 20.0, 15.0, 10.0]) - self.start
            self.start += 4
            return k[None]

    network = Knows()
    network.start = 0
    answers = predicted_levels(network, np.zeros((48, 32, 32), np.float32), levels.config.input, torch.device("cpu"))
    assert np.allclose(answers, [30, 25, 20, 15, 10])


def test_targets_follow_from_the_warped_masks(scores):
    for number in range(12):
        sample = scores.sample(number)
        lung, total, ground_glass, reticulation = sample["maps"]
        if lung.sum() < 2:
            continue
        wanted = [100 * m.sum() / lung.sum() for m in (total, ground_glass, reticulation)]
        assert np.allclose(sample["target"], wanted, atol=0.05)
        tot, gg, ret = sample["target"]
        assert max(gg, ret) - 0.1 <= tot <= gg + ret + 0.1


def test_validation_slices_are_fed_exactly_as_scoring_feeds_them(scores):
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    for _, truth in scores.checks[:3]:
        body = (truth.flags & BODY) > 0
        fed = scores._sample(truth, identity, None)["image"][0]
        prepared_input = SliceInput(64, (-1024, 600), clear_outside_body=True).prepare(truth.hu, body)
        inside = np.abs(fed - prepared_input)
        # The body's edge is cut before or after resizing; everywhere else both are the same.
        assert np.median(inside) < 1e-6
        assert (inside > 0.01).mean() < 0.05


def test_phantom_truth_survives_the_cache(scores):
    for kind, truth in scores.checks:
        assert kind == "phantom"
        masks = [(truth.flags & bit) > 0 for bit in (LUNG, 4, 8)]
        identity = np.array([[1.0, 0, 0], [0, 1, 0]])
        assert np.allclose(scores._sample(truth, identity, None)["target"], scores_from_masks(*masks), atol=0.2)


def test_training_levels_ends_in_a_bundle(levels, tmp_path):
    result = Trainer(levels, tmp_path / "run").run()
    assert np.isfinite(result.best_mae)
    bundle = pack_run(tmp_path / "run", tmp_path / "bundle")
    assert bundle.kind == "l_net"
    assert bundle.input == VolumeInput((48, 32, 32), 40, (-1024, 500), 4)
    with torch.inference_mode():
        answer = bundle.network()(torch.zeros(1, 1, 40, 32, 32))
    assert answer.shape == (1, 5)


def test_training_scores_ends_in_a_bundle_with_patch_and_notice(scores, tmp_path):
    Trainer(scores, tmp_path / "run").run()
    bundle = pack_run(tmp_path / "run", tmp_path / "bundle", threshold_slices=2)
    assert bundle.kind == "s_net"
    assert bundle.heat_maps["threshold_slices"] == 2
    assert all(-4 <= value <= 0 for value in bundle.thresholds.values())
    assert bundle.notice == "Not validated."
    assert bundle.healthy_patch.shape == (64, 64)
    with torch.inference_mode():
        answer = bundle.network()(torch.zeros(1, 1, 64, 64))
    assert ((answer >= 0) & (answer <= 100)).all()


def test_dense_loss_falls_when_the_maps_are_right(scores):
    batch = next(iter(scores.batches(0, 1)))

    class Answers(torch.nn.Module):
        def __init__(self, maps):
            super().__init__()
            self.maps = maps

        def map_logits(self, x):
            lung = self.maps[:, :1].clamp(1e-3, 1 - 1e-3)
            share = (self.maps[:, 1:] / self.maps[:, :1].clamp_min(1e-3)).clamp(1e-3, 1 - 1e-3)
            return torch.logit(lung), torch.logit(share)

        head = staticmethod(scores.network().head)

    right, _ = scores.loss(Answers(batch["maps"]), batch)
    wrong, _ = scores.loss(Answers(1 - batch["maps"]), batch)
    assert right < 0.3 * wrong


def test_a_mix_without_its_data_is_refused(cache):
    values = {**SCORES, "data": {**SCORES["data"], "mix": {"cohort": 1.0}}}
    with pytest.raises(SettingsError, match="asks for cohort samples"):
        prepared(values, cache)


def test_dense_loss_needs_a_network_with_maps():
    with pytest.raises(SettingsError, match="has no maps"):
        recipe_of({**SCORES, "network": {"name": "compact_pool"}})


def test_slices_are_written_as_ranges():
    assert slice_numbers("12-14, 20") == [12, 13, 14, 20]
    with pytest.raises(SettingsError, match="12-44,85-104"):
        slice_numbers("a-b")


HEADER = "case,path,level_1_mm,level_2_mm,level_3_mm,level_4_mm,level_5_mm,split\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,ct.nii.gz,5,4,3,2,x,train", "level_5_mm must be a number"),
        ("a,ct.nii.gz,5,4,3,3,1,train", "must descend"),
        ("a,ct.nii.gz,5,4,3,2,1,practice", "split is one of"),
        ("a,gone.nii.gz,5,4,3,2,1,train", "there is no file"),
    ],
)
def test_a_wrong_row_of_a_cohort_is_named(tmp_path, line, message):
    (tmp_path / "ct.nii.gz").write_bytes(b"x")
    (tmp_path / "cohort.csv").write_text(HEADER + line + "\n")
    with pytest.raises(TableError, match=message):
        read_cohort(tmp_path / "cohort.csv")


def test_scores_that_contradict_each_other_are_refused(tmp_path):
    (tmp_path / "ct.nii.gz").write_bytes(b"x")
    columns = ",".join(f"{p}_{n}" for n in range(1, 6) for p in ("tot", "gg", "ret"))
    row = "a,ct.nii.gz,5,4,3,2,1,train," + "10,10,0," * 4
    table = tmp_path / "cohort.csv"
    table.write_text(HEADER.strip() + f",{columns}\n{row}5,10,0\n")
    with pytest.raises(TableError, match="level 5: TOT 5"):
        read_cohort(table, scores=True)
    table.write_text(HEADER.strip() + f",{columns}\n{row}15,10,10\n")
    assert read_cohort(table, scores=True)[0].scores[4] == (15, 10, 10)


def test_a_table_without_splits_gives_a_quarter_of_its_cases_to_validation(tmp_path):
    (tmp_path / "ct.nii.gz").write_bytes(b"x")
    table = tmp_path / "cohort.csv"
    lines = [f"case{n},ct.nii.gz,5,4,3,2,1" for n in range(8)]
    table.write_text(HEADER.strip().removesuffix(",split") + "\n" + "\n".join([*lines, lines[0]]) + "\n")
    rows = read_cohort(table, split_seed=1)
    held_out = {row.case for row in rows if row.split == "validation"}
    assert len(held_out) == 2
    assert held_out == {row.case for row in read_cohort(table, split_seed=1) if row.split == "validation"}
    assert not held_out & {row.case for row in rows if row.split == "train"}, "a case straddles the splits"
    assert {row.split for row in read_cohort(table)} == {"train"}


@pytest.mark.real_ct
def test_the_public_levels_lie_inside_their_scans_and_the_held_out_patients_are_kept_apart(real_ct, monkeypatch):
    monkeypatch.setenv("CT", str(real_ct))
    from SScILDScoringLib.scan import load_scan

    rows = read_cohort(PRESETS / "public_levels.csv")
    assert {r.case for r in rows if r.split == "test"} == {"lidc0001", "dicom_lungdx_a0002"}
    expected = {"lidc0003": (91, 78, 58), "lungdx_a0001_soft": (46, 37, 30), "dicom_lungdx_a0002": (23, 19, 15)}
    for row in rows:
        if row.case in expected:
            scan = load_scan(row.path)
            found = [scan.slice_at(mm) for mm in row.mm[:3]]
            assert np.abs(np.array(found) - expected[row.case]).max() <= 1
