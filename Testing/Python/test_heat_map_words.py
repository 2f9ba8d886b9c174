"""What is said about how heat maps were made."""

from __future__ import annotations

import numpy as np
import pytest

from SScILDScoringLib.heat_map_words import how_made, tolerance_in_words
from SScILDScoringLib.heatmaps import HeatMaps
from SScILDScoringLib.scores import SliceScores

LUNG = np.ones((4, 4), bool)


def maps(**facts) -> HeatMaps:
    return HeatMaps(np.zeros((3, 4, 4), np.float32), LUNG, LUNG, SliceScores((1, 1, 1)), **facts)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([maps(engine="reference")], "exact (reference engine, fp32)"),
        (
            [maps(engine="incremental", precision="bf16", tolerance=t, checked_positions=3) for t in (0.0012, 0.0019)],
            "exact (incremental engine, bf16); within 0.19 % of the largest value on 6 positions that were computed "
            "twice",
        ),
        ([maps(engine="preview", exact=False)], "preview (preview engine, fp32)"),
        (
            [maps(engine="incremental"), maps(engine="preview", exact=False)],
            "partly preview (incremental, preview engine, fp32)",
        ),
    ],
)
def test_engine_precision_and_accuracy_are_said(made, said):
    assert how_made(made) == said


def test_nothing_is_claimed_where_nothing_was_checked():
    assert tolerance_in_words([maps()]) == ""
