"""Measures of agreement: known answers from the literature, the libraries' answers, and degenerate series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pingouin
import pytest

from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.agreement import measures
from SScILDScoringTrainingLib.agreement.measures import (
    CATEGORIES,
    absolute_error,
    category_kappa,
    compare_errors,
    compare_paired,
    corrected,
    icc_agreement,
    limits_of_agreement,
    regression_line,
    weighted_kappa,
)

# Hout, Duncan and Sobel 1987 (husbands' and wives' answers, 91 couples; data set SexualFun of R's package vcd, whose
# function Kappa gives 0.1293 unweighted and 0.2374 with equal-spacing weights).
COUPLES = [[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]]

# Shrout and Fleiss 1979, table 2: six targets, four judges. Table 4 there: ICC(2,1) = .29.
JUDGES = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]

# Darwin 1876, crossed against self-fertilised maize, eighths of an inch; Wilcoxon 1945 ranks them, Fisher 1935 (The
# Design of Experiments, section 17) gives t = 2.148 on 14 degrees of freedom.
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]

# Bland and Altman 1986, table 1, first readings: large and mini peak flow meter in l/min, 17 people. In the text there:
# mean difference -2.1, standard deviation 38.8, limits (with the factor 2) -79.7 and 75.5; r = 0.94.
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def from_matrix(matrix: list[list[int]]) -> tuple[list[int], list[int]]:
    """Two series from a square table of counts, in categories 0, 1, 2 ..."""
    pairs = [(i, j) for i, row in enumerate(matrix) for j, count in enumerate(row) for _ in range(count)]
    return tuple(list(series) for series in zip(*pairs, strict=True))


# ---- known answers ---------------------------------------------------------------------------------------------------


def test_kappa_of_the_91_couples():
    first, second = from_matrix(COUPLES)
    assert category_kappa(first, second, range(4)) == pytest.approx(0.1293, abs=5e-5)
    assert category_kappa(first, second, range(4), "linear") == pytest.approx(0.2374, abs=5e-5)


def test_weighted_kappa_of_the_91_couples_as_scores():
    """Categories that never occur at the ends of the list do not change linearly weighted kappa."""
    first, second = (5 * np.array(series) for series in from_matrix(COUPLES))
    assert weighted_kappa(first, second) == pytest.approx(0.2374, abs=5e-5)


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
    occurring = sorted({*truth, *answer})
    assert category_kappa(truth, answer, occurring, "linear") != pytest.approx(expected)


def test_kappa_rounds_raw_answers_to_five_percent_first():
    assert weighted_kappa([0, 20, 60], [1.2, 22.4, 58.1]) == pytest.approx(1)
    assert (CATEGORIES[0], CATEGORIES[-1], len(CATEGORIES)) == (0, 100, 21)


def test_icc_of_shrout_and_fleiss():
    assert icc_agreement(*np.transpose(JUDGES)) == pytest.approx(0.29, abs=0.005)
    between_targets, between_judges, residual = 11.2417, 32.4861, 1.0194  # mean squares; 11.24, 32.49, 1.02 in table 3
    below = between_targets + 3 * residual + 4 * (between_judges - residual) / 6
    assert icc_agreement(*np.transpose(JUDGES)) == pytest.approx((between_targets - residual) / below, abs=1e-5)


def test_limits_of_agreement_of_bland_and_altman(monkeypatch):
    monkeypatch.setattr(measures, "LIMITS_FACTOR", 2)
    bias, low, high = limits_of_agreement(MINI, LARGE)
    assert (bias, low, high) == (
        pytest.approx(-2.1, abs=0.05),
        pytest.approx(-79.7, abs=0.1),
        pytest.approx(75.5, abs=0.1),
    )
    monkeypatch.undo()
    narrow = limits_of_agreement(MINI, LARGE)
    assert narrow.high - narrow.low == pytest.approx(2 * 1.96 * 38.8, abs=0.2)
    assert regression_line(MINI, LARGE).r == pytest.approx(0.94, abs=0.005)


def test_wilcoxon_and_t_of_darwins_maize():
    tests = compare_paired(np.zeros(15), MAIZE)
    assert tests.n == 15
    assert tests.difference == pytest.approx(20.933, abs=1e-3)
    assert tests.wilcoxon_p == pytest.approx(0.04126, abs=1e-5)  # two-sided, exact: rank sum 24 of the negative ones
    assert tests.t_p == pytest.approx(0.0497, abs=5e-5)  # t = 2.148, 14 degrees of freedom


def test_the_exact_p_of_darwins_maize_counts_all_sign_patterns():
    """Of the 2^15 ways to give the 15 ranks a sign, those whose smaller rank sum is at most 24; twice, as two-sided."""
    ranks = np.argsort(np.argsort(np.abs(MAIZE))) + 1
    assert ranks[np.array(MAIZE) < 0].sum() == 24
    ways = np.zeros(121, int)
    ways[0] = 1
    for rank in ranks:
        ways[rank:] = ways[rank:] + ways[:-rank]
    assert ways.sum() == 2**15
    exact = 2 * ways[:25].sum() / 2**15
    assert compare_paired(np.zeros(15), MAIZE).wilcoxon_p == pytest.approx(exact, rel=1e-12)


def test_wilcoxon_of_hollander_and_wolfe():
    """Hollander and Wolfe 1973, page 29 (example of R's wilcox.test): V = 40, one-sided exact p = 0.01953."""
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    assert compare_paired(after, before).wilcoxon_p == pytest.approx(2 * 0.01953, abs=2e-5)


def test_paired_t_of_students_sleep():
    """Student 1908, ten patients and two drugs: t = 4.0621, p = 0.002833."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    assert compare_paired(first, second).t_p == pytest.approx(0.002833, abs=1e-6)


def test_regression_of_anscombe():
    """Anscombe 1973, first set: y = 3.00 + 0.500 x, r = 0.816."""
    x = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]
    line = regression_line(x, y)
    assert line == pytest.approx((0.500, 3.00, 0.816), abs=1e-3)


def test_corrections_of_benjamini_and_hochberg():
    """Benjamini and Hochberg 1995, section 3.2: of 15 p-values Bonferroni keeps three below 0.05, theirs four."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.000]
    assert sum(v <= 0.05 for v in corrected(p, "bonferroni")) == 3
    assert sum(v <= 0.05 for v in corrected(p, "fdr")) == 4


def test_holm_multiplies_the_smallest_most_and_keeps_the_order():
    assert corrected([0.04, 0.01, 0.03], "holm") == pytest.approx([0.06, 0.03, 0.06])
    assert corrected([0.01, float("nan"), 0.04], "bonferroni") == pytest.approx([0.02, float("nan"), 0.08], nan_ok=True)
    with pytest.raises(SettingsError, match="bonferroni, holm, fdr"):
        corrected([0.01], "tukey")


def test_mae_and_its_deviation_use_all_values():
    assert absolute_error([0, 0, 0, 0], [1, -1, 3, -3]) == (2.0, 1.0)


def test_bias_is_the_second_minus_the_first():
    assert limits_of_agreement([0, 10], [5, 15]).bias == 5


# ---- the libraries' answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raters", [2, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.filterwarnings("ignore::Warning:pingouin")
def test_icc_is_the_one_of_pingouin(seed, raters):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, 30)
    series = [truth * rng.uniform(0.5, 1.1) + 5 * i + rng.normal(0, 8, 30) for i in range(raters)]
    table = pd.DataFrame(
        {
            "case": np.tile(np.arange(30), raters),
            "rater": np.repeat(np.arange(raters), 30),
            "score": np.concatenate(series),
        }
    )
    result = pingouin.intraclass_corr(table, targets="case", raters="rater", ratings="score").set_index("Type")
    key = "ICC2" if "ICC2" in result.index else "ICC(A,1)"
    assert icc_agreement(*series) == pytest.approx(float(result.loc[key, "ICC"]), abs=1e-9)


# ---- degenerate series -----------------------------------------------------------------------------------------------


def test_icc_of_equal_and_of_unrelated_series():
    values = np.arange(0, 100, 5.0)
    assert icc_agreement(values, values) == pytest.approx(1)
    assert abs(icc_agreement(values, np.random.default_rng(0).permutation(values))) < 0.5


@pytest.mark.parametrize("value", [0.0, 35.0, 0.1])
def test_constant_raters_that_agree_have_no_kappa_icc_or_line(value):
    same = np.full(8, value)
    assert np.isnan(weighted_kappa(same, same))
    assert np.isnan(icc_agreement(same, same))
    assert np.isnan(regression_line(same, same)).all()
    assert absolute_error(same, same) == (0, 0)
    assert limits_of_agreement(same, same) == (0, 0, 0)


def test_a_rater_that_always_says_the_same_agrees_by_chance_only():
    truth, answer = [0, 5, 10, 40], [10, 10, 10, 10]
    assert weighted_kappa(truth, answer) == pytest.approx(0)
    assert regression_line(truth, answer) == pytest.approx((0, 10, np.nan), nan_ok=True)
    assert np.isnan(regression_line(answer, truth)).all()
    assert icc_agreement(truth, answer) == pytest.approx(0, abs=0.35)


def test_two_constant_raters_that_differ_agree_not_at_all():
    assert weighted_kappa([0, 0, 0], [20, 20, 20]) == pytest.approx(0)
    assert icc_agreement([0, 0, 0], [20, 20, 20]) == pytest.approx(0)


def test_one_row_has_an_error_and_a_bias_and_nothing_else():
    assert absolute_error([10], [15]) == (5, 0)
    limits = limits_of_agreement([10], [15])
    assert limits.bias == 5
    assert np.isnan(limits[1:]).all()
    assert np.isnan(icc_agreement([10.0], [15.0]))
    assert np.isnan(regression_line([10], [15])).all()
    tests = compare_errors([10], [15], [20])
    assert (tests.n, tests.difference) == (1, 5)
    assert np.isnan(tests[2:]).all()


def test_no_row_has_nothing():
    for values in (absolute_error([], []), limits_of_agreement([], []), regression_line([], [])):
        assert np.isnan(values).all()
    assert np.isnan(weighted_kappa([], []))
    assert np.isnan(icc_agreement([], []))
    assert compare_errors([], [], []).n == 0


def test_equal_errors_throughout_speak_for_no_difference():
    """Also where rounding would leave a sign: 0.3 - 0.1 is not exactly 0.2."""
    tests = compare_errors([0.1, 10, 20], [0.3, 15, 10], [-0.1, 5, 30])
    assert (tests.wilcoxon_p, tests.t_p) == (1, 1)
    assert tests.difference == 0


def test_errors_that_differ_always_by_the_same_amount_are_told_apart_without_a_warning(recwarn):
    tests = compare_errors(np.zeros(20), np.zeros(20), np.full(20, 5.0))
    assert tests.t_p == 0
    assert tests.wilcoxon_p < 0.001
    assert not recwarn.list


def test_series_of_different_length_are_a_mistake_of_the_programmer():
    with pytest.raises(ValueError, match="same length"):
        absolute_error([1, 2], [1])
