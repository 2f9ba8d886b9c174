"""Measures, baseline and evaluation of bundles."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pingouin
import pytest

from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.agreement.measures import absolute_error, icc_agreement, weighted_kappa
from SScILDScoringTrainingLib.evaluation import Evaluation, read_accuracy
from SScILDScoringTrainingLib.evaluation.baseline import FEATURES, LinearBaseline, hu_features
from SScILDScoringTrainingLib.evaluation.slices import perturbed_case
from SScILDScoringTrainingLib.synthesis import background_from_slice


def test_mae_and_its_deviation_use_all_values():
    assert absolute_error([0, 0, 0, 0], [1, -1, 3, -3]) == (2.0, 1.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_icc_is_the_one_of_pingouin(seed):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, 30)
    answer = truth * 0.9 + 5 + rng.normal(0, 8, 30)
    table = pd.DataFrame(
        {"case": np.tile(np.arange(30), 2), "rater": np.repeat(["a", "b"], 30), "score": np.r_[truth, answer]}
    )
    result = pingouin.intraclass_corr(table, targets="case", raters="rater", ratings="score").set_index("Type")
    key = "ICC2" if "ICC2" in result.index else "ICC(A,1)"
    assert icc_agreement(truth, answer) == pytest.approx(float(result.loc[key, "ICC"]), abs=2e-3)


def test_icc_of_equal_and_of_unrelated_series():
    values = np.arange(0, 100, 5.0)
    assert icc_agreement(values, values) == pytest.approx(1)
    assert abs(icc_agreement(values, np.random.default_rng(0).permutation(values))) < 0.5
    assert np.isnan(icc_agreement([5.0], [5.0]))


def test_kappa_counts_all_21_categories_even_those_that_do_not_occur():
    truth, answer = [0, 0, 5, 100], [0, 5, 5, 95]
    # Linear weights over 0..20: observed disagreement 2/20/4, expected from the margins.
    weights = np.abs(np.subtract.outer(np.arange(21), np.arange(21))) / 20
    rows, columns = np.zeros(21), np.zeros(21)
    for a, b in zip(truth, answer, strict=True):
        rows[a // 5] += 1 / 4
        columns[b // 5] += 1 / 4
    expected = 1 - (2 / 20 / 4) / (rows @ weights @ columns)
    assert weighted_kappa(truth, answer) == pytest.approx(expected)


def test_kappa_rounds_raw_answers_to_five_percent_first():
    assert weighted_kappa([0, 20, 60], [1.2, 22.4, 58.1]) == pytest.approx(1)


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
