"""What the five levels promise: order, following, limits, and repair of answers in the wrong order."""

from __future__ import annotations

import numpy as np
import pytest

from SScILDScoringLib.errors import ScanError
from SScILDScoringLib.levels import Level, LevelError, LevelPosition, Levels, ordered_mm
from SScILDScoringLib.scan import scan_from_array

MM = (200.0, 170.0, 140.0, 115.0, 90.0)


def test_levels_are_descending_from_l1_to_l5():
    levels = Levels.from_mm(MM)
    assert levels.mm == MM
    assert levels[Level.L3].mm == levels[3].mm == 140.0
    assert [p.level for p in levels] == list(Level)


@pytest.mark.parametrize("wrong", [(200, 170, 170, 115, 90), (90, 115, 140, 170, 200), (200, 170, 140, 80, 90)])
def test_levels_out_of_order_are_refused_with_the_two_that_do_not_fit(wrong):
    with pytest.raises(LevelError, match=r"Level \d \(.*mm\) must lie above level \d"):
        Levels.from_mm(wrong)


def test_four_or_six_levels_are_refused():
    with pytest.raises(LevelError, match="4 were given"):
        Levels.from_mm(MM[:4])
    with pytest.raises(LevelError, match="6 were given"):
        Levels.from_mm((*MM, 50.0))


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="source is one of"):
        LevelPosition(Level.L1, 10.0, "guess")


@pytest.mark.parametrize(("moved", "mm"), [(Level.L3, 150.0), (Level.L5, 80.0)])
def test_l4_stays_halfway_between_l3_and_l5_while_it_follows(moved, mm):
    levels = Levels.from_mm(MM, "l_net", l4_follows=True).moved(moved, mm)
    assert levels[4].mm == (levels[3].mm + levels[5].mm) / 2
    assert levels[moved].source == "manual"
    assert levels.l4_follows


def test_moving_l4_ends_its_following():
    levels = Levels.from_mm(MM, "l_net", l4_follows=True).moved(4, 110.0)
    assert not levels.l4_follows
    assert levels.moved(3, 150.0)[4].mm == 110.0


def test_moving_l1_leaves_the_others_alone():
    levels = Levels.from_mm(MM, "l_net", l4_follows=True)
    assert levels.moved(1, 210.0).mm[1:] == MM[1:]


def test_a_move_beyond_a_neighbour_is_refused():
    with pytest.raises(LevelError):
        Levels.from_mm(MM).moved(2, 210.0)


def test_limits_are_the_neighbours():
    levels = Levels.from_mm(MM)
    assert levels.limits(1) == (170.0, float("inf"))
    assert levels.limits(5) == (float("-inf"), 115.0)
    assert levels.limits(2, gap_mm=2.0) == (142.0, 198.0)


def test_while_l4_follows_l3_and_l5_are_limited_by_each_other():
    levels = Levels.from_mm(MM, l4_follows=True)
    assert levels.limits(3) == (90.0, 170.0)
    assert levels.limits(5) == (float("-inf"), 140.0)
    assert levels.moved(3, 91.0)[4].mm == 90.5


def test_slice_indices_are_the_nearest_slices():
    scan = scan_from_array(np.zeros((50, 4, 4), np.int16), np.diag([-1.0, -1.0, 5.0, 1.0]))
    assert Levels.from_mm((201.0, 170.0, 142.0, 115.0, 92.6)).slice_indices(scan) == (40, 34, 28, 23, 19)


def test_a_level_outside_the_scan_is_refused():
    scan = scan_from_array(np.zeros((30, 4, 4), np.int16), np.diag([-1.0, -1.0, 5.0, 1.0]))
    with pytest.raises(ScanError, match=r"200\.0 mm is outside the scan"):
        Levels.from_mm(MM).slice_indices(scan)


def test_positions_in_order_are_not_changed():
    assert ordered_mm(MM, 2.0) == MM


def test_positions_out_of_order_become_descending_with_the_gap_between():
    ordered = ordered_mm((200.0, 130.0, 150.0, 115.0, 90.0), 4.0)
    assert np.allclose(ordered, (200.0, 142.0, 138.0, 115.0, 90.0))


def test_the_ordered_positions_are_the_closest_descending_ones():
    generator = np.random.default_rng(3)
    for _ in range(20):
        mm = generator.uniform(0, 60, 5)
        ordered = np.array(ordered_mm(mm, 5.0))
        assert (np.diff(ordered) <= -5.0 + 1e-9).all()
        candidates = -np.cumsum(generator.uniform(5.0, 25.0, (3000, 5)), axis=1) + generator.uniform(20, 90, (3000, 1))
        assert ((ordered - mm) ** 2).sum() <= ((candidates - mm) ** 2).sum(axis=1).min() + 1e-9
