"""Baseline and evaluation of bundles."""

from __future__ import annotations

import json

import numpy as np
import pytest

from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.evaluation import Evaluation, read_accuracy
from SScILDScoringTrainingLib.evaluation.baseline import FEATURES, LinearBaseline, hu_features
from SScILDScoringTrainingLib.evaluation.slices import perturbed_case
from SScILDScoringTrainingLib.synthesis import background_from_slice


def test_the_baseline_learns_a_density_and_is_limited_to_percent():
    rng = np.random.default_rng(0)
    lung = np.zeros((64, 64), bool)
    lung[10:50, 10:50] = True
    slices, scores = [], []
    for _ in range(60):
        share = rng.uniform(0, 1)
        hu = np.where(rng.random((64, 64)) < share, -550, -850) + rng.normal(0, 20, (64, 64))
        slices.append(hu)
        scores.append((100 * share, 100 * share, 0.0))
    baseline = LinearBaseline(np.array([hu_features(s, lung) for s in slices]), scores)
    answers = np.array([baseline(s, lung) for s in slices])
    assert np.abs(answers[:, 0] - np.array(scores)[:, 0]).mean() < 2
    extreme = baseline(np.full((64, 64), 200.0), lung)
    assert ((extreme >= 0) & (extreme <= 100)).all()


def test_a_slice_without_lung_has_features_all_the_same():
    assert hu_features(np.zeros((8, 8)), np.zeros((8, 8), bool)).tolist() == [0.0] * len(FEATURES)


@pytest.fixture(scope="module")
def healthy():
    hu = np.full((64, 64), -1000, np.int16)
    hu[8:56, 8:56] = 40
    hu[20:44, 16:48] = -850
    return background_from_slice(hu, (hu == -850), (5.0, 5.0), name="box", body=hu > -900)


@pytest.mark.parametrize(
    ("name", "median", "area"),
    [
        ("as scanned", -850, 1.0),
        ("blurred", -850, 1.0),
        ("sharpened", -850, 1.0),
        ("60 HU noise", -850, 1.0),
        ("+50 HU", -800, 1.0),
        ("lung +80 HU", -770, 1.0),
        ("scale 0.8", -850, 0.64),
    ],
)
def test_perturbations_change_what_they_say(healthy, name, median, area):
    case = perturbed_case(name, healthy, np.random.default_rng(0))
    assert np.median(case.hu[case.lung]) == pytest.approx(median, abs=5)
    assert case.lung.sum() / healthy.lung.sum() == pytest.approx(area, abs=0.06)
    assert case.truth == (0, 0, 0)


def test_an_evaluation_says_which_bars_are_met_and_reads_back(tmp_path):
    result = Evaluation("net 1.0", {"seed": 1})
    result.tables["phantoms"] = {"L1": {"mae_mm": 2.5}}
    result.rows.append({"case": "a", "tot": 5})
    result.bar("MAE", 2.5, 6)
    result.bar("ICC", 0.9, 0.97, least=True)
    assert [b["met"] for b in result.bars] == [True, False]
    result.write(tmp_path / "out")
    assert read_accuracy(tmp_path / "out" / "evaluation.json") == {"phantoms": {"L1": {"mae_mm": 2.5}}}
    assert (tmp_path / "out" / "evaluation.csv").read_text() == "case,tot\na,5\n"
    (tmp_path / "other.json").write_text(json.dumps([1]))
    with pytest.raises(SettingsError, match="not a file written by"):
        read_accuracy(tmp_path / "other.json")
