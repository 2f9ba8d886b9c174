"""Bootstrap by patient: sums over patients give what the measures give on copied rows; intervals are honest."""

from __future__ import annotations

import numpy as np
import pytest

from SScILDScoringTrainingLib.agreement.bootstrap import (
    MEASURES,
    Resampler,
    bootstrap_intervals,
    bootstrap_mean,
    bootstrap_values,
    kappa_features,
    kappa_of_sums,
)
from SScILDScoringTrainingLib.agreement.measures import category_kappa
from SScILDScoringTrainingLib.agreement.rows import estimates, row_groups
from SScILDScoringTrainingLib.agreement.tables import LevelTable, ScoreTable, align


def pair_of_tables(kind=ScoreTable, patients=12, seed=0, change=lambda values: values):
    """Two raters of the same kind of table, aligned; ``change`` alters the second one's values."""
    rng = np.random.default_rng(seed)
    case = np.repeat([f"p{i}" for i in range(patients)], 5)
    level = np.tile(np.arange(1, 6), patients)
    width = len(kind.columns)
    if kind is ScoreTable:
        values = 5.0 * np.minimum(rng.geometric(0.2, (len(case), width)) - 1, 20)
        other = np.clip(values + 5 * rng.integers(-2, 3, values.shape), 0, 100)
    else:
        values = rng.normal(-500, 300, (patients, 1)).repeat(5, axis=0) - 40 * level[:, None]
        other = values + rng.normal(2, 5, values.shape)
    return align(kind("a", "", case, level, values), kind("b", "", case, level, change(other)))


@pytest.mark.parametrize("kind", [ScoreTable, LevelTable])
def test_every_measure_of_every_sample_is_that_of_the_copied_rows(kind):
    """scikit-learn, scipy and the closed form of ICC, on rows repeated as often as their patient was drawn."""
    aligned = pair_of_tables(kind)
    kappa = kind is ScoreTable
    groups = row_groups(aligned)
    counts = Resampler(aligned.case, samples=6, seed=3).counts.astype(int)
    names, patient = np.unique(aligned.case, return_inverse=True)
    assert counts.sum(axis=1).tolist() == [len(names)] * 6
    for (column, group), values in bootstrap_values(aligned, groups, samples=6, seed=3, kappa=kappa):
        rows = groups[group]
        for sample, drawn in enumerate(counts):
            repeats = drawn[patient] * rows
            x, y = (v[:, aligned.columns.index(column)].repeat(repeats) for v in (aligned.x, aligned.y))
            wanted = estimates(x, y, kappa)
            for measure in MEASURES:
                found = values[measure][sample]
                assert found == pytest.approx(wanted[measure], rel=1e-9, abs=1e-9, nan_ok=True), (
                    column,
                    group,
                    measure,
                )


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda v: np.zeros_like(v), "always healthy"),
        (lambda v: np.full_like(v, 100), "always full"),
        (lambda v: v * (np.arange(len(v)) < 5)[:, None], "one patient with disease"),
    ],
)
def test_degenerate_raters_give_the_same_nan_in_both_ways(change, name):
    aligned = pair_of_tables(patients=4, change=change)
    groups = row_groups(aligned)
    counts = Resampler(aligned.case, samples=12, seed=1).counts.astype(int)
    _, patient = np.unique(aligned.case, return_inverse=True)
    for (column, group), values in bootstrap_values(aligned, groups, samples=12, seed=1):
        for sample, drawn in enumerate(counts):
            repeats = drawn[patient] * groups[group]
            x, y = (v[:, aligned.columns.index(column)].repeat(repeats) for v in (aligned.x, aligned.y))
            wanted = estimates(x, y)
            found = {measure: values[measure][sample] for measure in MEASURES}
            assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9, nan_ok=True), (name, column, group)


@pytest.mark.parametrize("linear", [False, True])
def test_kappa_of_stages_from_sums_is_that_of_the_library(linear):
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 3, (2, 50))
    sums = kappa_features(first, second, 3, linear).sum(axis=0, keepdims=True)
    wanted = category_kappa(first, second, range(3), "linear" if linear else None)
    assert kappa_of_sums(sums, linear)[0] == pytest.approx(wanted)


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    aligned = pair_of_tables()
    groups = {"pooled": aligned.rows()}
    first, again, other = (bootstrap_intervals(aligned, groups, 200, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_patients_are_drawn_not_slices():
    """Five equal slices a patient carry no more than one: the interval must not shrink by their number."""
    rng = np.random.default_rng(0)
    of_patient = rng.normal(0, 1, 50)
    case = np.repeat(np.arange(50).astype(str), 5)
    low, high = bootstrap_mean(case, of_patient.repeat(5), samples=1200)
    standard_error = of_patient.std() / np.sqrt(50)
    assert (high - low) / 2 == pytest.approx(1.96 * standard_error, rel=0.06)
    as_if_independent = bootstrap_mean(np.arange(250).astype(str), of_patient.repeat(5), samples=1200)
    assert as_if_independent.high - as_if_independent.low < 0.55 * (high - low)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Mean absolute error of a known normal error, 60 patients, 200 studies: 95 % intervals cover in 90 to 99 %."""
    rng = np.random.default_rng(0)
    truth = 5 * np.sqrt(2 / np.pi)
    case = np.arange(60).astype(str)
    hits = 0
    for study in range(200):
        low, high = bootstrap_mean(case, np.abs(rng.normal(0, 5, 60)), samples=300, seed=study)
        hits += low <= truth <= high
    assert 180 <= hits <= 198


def test_one_patient_has_no_interval():
    aligned = pair_of_tables(patients=1)
    found = bootstrap_intervals(aligned, {"pooled": aligned.rows()}, 50)
    assert all(np.isnan(interval).all() for values in found.values() for interval in values.values())
    assert np.isnan(bootstrap_mean([], np.zeros(0))).all()


def test_a_measure_that_most_samples_leave_undefined_has_no_interval():
    """One diseased patient of four: it is missing from a third of the samples, where kappa is not defined."""
    aligned = pair_of_tables(patients=4)
    diseased = (aligned.case == "p0")[:, None]
    healthy = align(
        ScoreTable("a", "", aligned.case, aligned.level, aligned.x * diseased),
        ScoreTable("b", "", aligned.case, aligned.level, aligned.y * diseased),
    )
    found = bootstrap_intervals(healthy, {"pooled": healthy.rows()}, 500)["tot", "pooled"]
    assert np.isnan(found["kappa"]).all()
    assert np.isfinite(found["mae"]).all()


def test_a_level_that_a_sample_lacks_is_undefined_there_and_not_zero():
    case, level = ["p0", "p0", "p1"], [1, 2, 1]
    one = ScoreTable("a", "", case, level, np.zeros((3, 3)))
    other = ScoreTable("b", "", case, level, np.full((3, 3), 10.0))
    aligned = align(one, other)
    values = dict(bootstrap_values(aligned, row_groups(aligned), 100))["tot", "L2"]
    assert np.isnan(values["mae"]).any()
    assert set(values["mae"][np.isfinite(values["mae"])].tolist()) == {10.0}
