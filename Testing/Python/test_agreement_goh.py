"""Agreement of the Goh stage: patients by both raters' stages, and kappa."""

from __future__ import annotations

import numpy as np
import pytest

from SScILDScoringTrainingLib.agreement.goh import stage_agreement
from SScILDScoringTrainingLib.agreement.rows import Settings
from SScILDScoringTrainingLib.agreement.tables import ScoreTable, align

QUICK = Settings(samples=200)
LIMITED, BETWEEN, EXTENSIVE = 5.0, 20.0, 40.0


def study(first: list[float], second: list[float]):
    """Two raters who give each patient the same TOT at all five levels."""
    case = np.repeat([f"p{i:02d}" for i in range(len(first))], 5)
    level = np.tile(np.arange(1, 6), len(first))
    tables = [
        ScoreTable(name, "", case, level, np.repeat(values, 5)[:, None].repeat(3, axis=1))
        for name, values in (("a", first), ("b", second))
    ]
    return align(*tables)


def test_the_matrix_counts_patients_the_first_rater_down_the_second_across():
    found = stage_agreement(
        "reference",
        study([LIMITED, LIMITED, LIMITED, BETWEEN, BETWEEN, EXTENSIVE], [LIMITED, LIMITED, BETWEEN] + 3 * [EXTENSIVE]),
        QUICK,
    )
    assert found.matrix == ((2, 1, 0), (0, 0, 2), (0, 0, 1))
    assert found.n == 6
    assert found.agreement == 0.5
    # Observed 3/6; expected (3*2 + 2*1 + 1*3) / 36.
    assert found.kappa == pytest.approx((1 / 2 - 11 / 36) / (1 - 11 / 36))
    # Linear weights: observed disagreement 3/6, expected (3*1*1 + 3*3*2 + 2*2*1 + 2*3*1 + 1*2*2 + 1*1*1) / 36.
    assert found.weighted_kappa == pytest.approx(1 - (1 / 2) / (36 / 36))
    assert found.kappa_interval.low < found.kappa < found.kappa_interval.high
    flat = found.flat()
    assert (flat["limited_indeterminate"], flat["extensive_extensive"], flat["extensive_limited"]) == (1, 1, 0)


def test_extents_of_10_and_30_percent_are_indeterminate():
    found = stage_agreement("inter", study([9.9, 10, 30, 30.1], [10, 10, 30, 30]), QUICK)
    assert found.matrix == ((0, 1, 0), (0, 2, 0), (0, 1, 0))


def test_vital_capacity_decides_where_the_extent_does_not():
    aligned = study([LIMITED, BETWEEN, BETWEEN, BETWEEN], [EXTENSIVE, BETWEEN, BETWEEN, BETWEEN])
    found = stage_agreement("reference", aligned, QUICK, {"p00": 60, "p01": 60, "p02": 70})
    assert found.matrix == ((1, 0, 1), (0, 1, 0), (0, 0, 1))
    assert found.with_fvc


def test_patients_without_all_five_levels_have_no_stage_and_are_named():
    whole = study([LIMITED, EXTENSIVE, LIMITED], [LIMITED, EXTENSIVE, LIMITED])
    keep = ~((whole.case == "p01") & (whole.level == 4))
    tables = [
        ScoreTable(name, "", whole.case[rows], whole.level[rows], values[rows])
        for name, values, rows in (("a", whole.x, keep), ("b", whole.y, np.ones(15, bool)))
    ]
    found = stage_agreement("reference", align(*tables), QUICK)
    assert (found.n, found.without) == (2, ("p01",))
    none = [ScoreTable(n, "", ["p"], [1], [[5, 5, 0]]) for n in "ab"]
    assert stage_agreement("reference", align(*none), QUICK) is None


def test_one_stage_throughout_has_no_kappa():
    found = stage_agreement("reference", study([LIMITED] * 3, [LIMITED] * 3), QUICK)
    assert found.agreement == 1
    assert np.isnan([found.kappa, found.weighted_kappa, *found.kappa_interval]).all()


def test_kappa_of_a_perfect_study_is_one_with_an_interval_of_one():
    found = stage_agreement("reference", study([LIMITED, EXTENSIVE] * 8, [LIMITED, EXTENSIVE] * 8), QUICK)
    assert found.kappa == 1
    assert found.kappa_interval == (1, 1)
