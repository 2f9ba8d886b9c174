"""Balanced sampling draws rare scores as often as frequent ones."""

from __future__ import annotations

import numpy as np
import pytest

from SScILDScoringTrainingLib.balance import balanced_probabilities


def test_every_score_is_drawn_equally_often_however_frequent_it_is():
    tot = [0] * 50 + [20] * 5 + [65]
    probability = balanced_probabilities(tot)
    assert probability.sum() == pytest.approx(1)
    by_score = [probability[np.array(tot) == score].sum() for score in (0, 20, 65)]
    assert by_score == pytest.approx([1 / 3] * 3)


def test_synthetic_scores_are_counted_in_bins_of_five_percent():
    probability = balanced_probabilities([10.0, 12.4, 9.1, 40.0], bin_width=5)
    assert probability[:3].sum() == pytest.approx(probability[3])


def test_no_scores_or_missing_ones_are_refused():
    for scores in ([], [5.0, float("nan")]):
        with pytest.raises(ValueError, match="finite score"):
            balanced_probabilities(scores)
