"""What scores promise: rounding, extent, profile and Goh stage (method.md section 1)."""

from __future__ import annotations

import numpy as np
import pytest

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.scores import (
    LungProfile,
    Pattern,
    SliceScores,
    Stage,
    fit_together,
    goh_stage,
    patient_extent,
    rounded,
)


@pytest.mark.parametrize(
    ("raw", "reported"), [(0, 0), (2.4, 0), (2.5, 5), (7.4999, 5), (12.5, 15), (97.6, 100), (-8, 0), (130, 100)]
)
def test_scores_are_limited_and_rounded_to_the_nearest_five_halves_upwards(raw, reported):
    assert rounded(raw) == reported
    assert isinstance(rounded(raw), int)


def test_arrays_are_rounded_like_numbers():
    values = np.array([2.4, 2.5, 61.0])
    assert rounded(values).tolist() == [rounded(float(v)) for v in values] == [0, 5, 60]


def test_slice_scores_keep_the_raw_answer_and_report_the_rounded_one():
    scores = SliceScores((-1.2, 33.0, 104.0))
    assert scores.raw == (-1.2, 33.0, 104.0)
    assert scores.clipped == (0.0, 33.0, 100.0)
    assert scores.reported == (0, 35, 100)
    assert scores.of(Pattern.RET) == 100


@pytest.mark.parametrize("raw", [(1.0, 2.0), (1.0, 2.0, float("nan")), (1.0, float("inf"), 2.0)])
def test_scores_that_are_not_three_numbers_are_refused(raw):
    with pytest.raises(ValueError, match="three finite numbers"):
        SliceScores(raw)


def test_the_extent_is_the_mean_of_the_reported_scores():
    levels = [SliceScores((tot, 0.0, 2.4)) for tot in (2.4, 10.0, 22.0, 31.0, 48.0)]
    assert patient_extent(levels) == (22.0, 0.0, 0.0)  # TOT 0, 10, 20, 30, 50


def test_no_scores_have_no_extent():
    with pytest.raises(ValueError, match="no scores"):
        patient_extent([])


def test_the_whole_lung_is_weighted_by_lung_volume_and_not_rounded():
    scores = (SliceScores((50.0, 10.0, 4.0)), SliceScores((0.0, -20.0, 1.0)))
    profile = LungProfile((3, 4), (8, 7), (10.0, 12.0), (3000.0, 1000.0), scores)
    assert np.allclose(profile.extent, (37.5, 7.5, 3.25))


@pytest.mark.parametrize(
    ("scores", "fit"),
    [
        ((55.7, 48.8, 6.9), True),  # the sum of the two as numbers of the computer is a little less
        ((20.0, 20.1, 0.0), True),  # each written with one decimal
        ((20.0, 10.1, 10.0), True),
        ((25, 20, 0), False),
        ((15, 20, 0), False),
        ((20.5, 10.1, 10.2), False),
    ],
)
def test_tot_is_the_union_of_gg_and_ret_also_where_exact_scores_were_written_with_one_decimal(scores, fit):
    assert fit_together(*scores) == fit


def test_a_profile_has_one_entry_for_every_slice():
    with pytest.raises(ValueError, match="one entry for every slice"):
        LungProfile((3, 4), (8,), (10.0, 12.0), (1.0, 1.0), (SliceScores((0, 0, 0)),) * 2)


@pytest.mark.parametrize(
    ("extent", "fvc", "stage"),
    [
        (0, None, Stage.LIMITED),
        (9.9, 40, Stage.LIMITED),
        (10, None, Stage.INDETERMINATE),
        (10, 70, Stage.LIMITED),
        (20, 69.9, Stage.EXTENSIVE),
        (30, 85, Stage.LIMITED),
        (30, None, Stage.INDETERMINATE),
        (30.1, 110, Stage.EXTENSIVE),
    ],
)
def test_goh_stage(extent, fvc, stage):
    assert goh_stage(extent, fvc) is stage


@pytest.mark.parametrize(("extent", "fvc"), [(-1, None), (101, None), (20, 0.7), (20, 7000)])
def test_impossible_extent_or_fvc_is_refused(extent, fvc):
    with pytest.raises(SettingsError):
        goh_stage(extent, fvc)
