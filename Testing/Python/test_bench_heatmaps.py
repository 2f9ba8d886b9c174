"""The benchmark of heat maps stays true: its arithmetic, and rivals that do what they are said to do. No timings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))

import bench_heatmaps
from heat_map_profile import step_of, steps_of_profile
from heat_map_rivals import captum_occlusion, evenly, library_positions, monai_occlusion, published_corners
from heat_map_rivals import published_loop as published
from heat_map_slices import drawn_slice, lungs_of, train_briefly
from measuring import Contestant, Measured, by_turns, line_through, percent_of_largest, table

from small_bundles import s_net_bundle
from SScILDScoringLib.devices import threads

SIDE = 128


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A small network that sees small slices at their own size."""
    bundle = s_net_bundle(tmp_path_factory.mktemp("bundles") / "s", size=SIDE)
    return bench_heatmaps.Case("small", bundle, "random weights", quick=True, side=SIDE)


# ---- arithmetic --------------------------------------------------------------------------------------------------


def test_contestants_run_by_turns_after_a_run_that_does_not_count():
    order = []
    contestants = [
        Contestant("a", lambda: order.append("a") or 1, 1),
        Contestant("b", lambda: order.append("b") or 4, 8),
        Contestant("once", lambda: order.append("once") or 1, 1, rounds=1),
    ]
    a, b, once = by_turns(contestants, 2)
    assert order == ["a", "b", "a", "b", "once", "a", "b"]
    assert [len(r.walls) for r in (a, b, once)] == [2, 2, 1]
    assert b.extrapolated
    assert not a.extrapolated


def test_a_whole_map_is_extrapolated_from_the_median_position():
    slow = Measured(Contestant("slow", lambda: 1, 1000), [0.3, 0.2, 9.0], [0.4, 0.4, 0.4], 10)
    fast = Measured(Contestant("fast", lambda: 1, 500), [0.01, 0.02, 0.03], [0.04, 0.04, 0.04], 500)
    assert slow.seconds == pytest.approx(300)
    assert slow.spread == pytest.approx((200, 9000))
    assert fast.times_faster_than(slow) == pytest.approx(300 / 10)
    assert fast.cheaper_than(slow) == pytest.approx(400 / 20)


def test_a_line_through_points():
    slope, start, straight = line_through([1, 2, 4], [3, 5, 9])
    assert (slope, start, straight) == pytest.approx((2, 1, 1))
    assert line_through([1, 2, 3, 4], [1, -1, 1, -1])[2] < 0.3


def test_errors_are_said_in_percent_of_the_largest_value():
    assert percent_of_largest(np.array([-4.0, 1.1]), np.array([-4.0, 1.0])) == pytest.approx(2.5)


def test_columns_stand_below_their_heads():
    assert table(("name", "x"), [("a", "1.0"), ("longer", "10")]).splitlines() == [
        "name      x",
        "-----------",
        "a       1.0",
        "longer   10",
    ]


# ---- rivals ------------------------------------------------------------------------------------------------------


def test_the_published_loop_gives_our_reference_map(case):
    found = published(case.network.network, case.hu, case.lung, case.texture, published_corners(SIDE), gradients=False)
    wanted = case.maps("reference").maps
    assert np.abs(wanted).max() > 0.05
    assert percent_of_largest(found, wanted) < 0.1


def test_the_published_loop_has_1024_positions_of_which_a_sample_is_spread_evenly():
    corners = published_corners(512)
    assert len(corners) == 1024
    assert evenly(corners, 3) == [corners[0], corners[512], corners[-1]]
    assert evenly(corners, 5000) == corners


def test_the_libraries_are_counted_and_can_be_stopped(case):
    pytest.importorskip("monai")
    network, prepared = case.network.network, case.prepared
    assert library_positions(512) == 841
    assert monai_occlusion(network, prepared) == library_positions(SIDE)
    assert 8 <= monai_occlusion(network, prepared, limit=8) < library_positions(SIDE)
    pytest.importorskip("captum")
    assert captum_occlusion(network, prepared) == library_positions(SIDE) + 1
    assert captum_occlusion(network, prepared, limit=5) == 5
    assert not network.training


def test_drawn_slices_have_the_scores_they_are_said_to_have():
    hu, lung, scores = drawn_slice(3, lesions=8)
    assert 0.25 < lung.mean() < 0.35
    assert (lung == lungs_of()).all()
    assert max(scores[1:]) <= scores[0] <= scores[1] + scores[2]
    healthy = drawn_slice(3, lesions=0)
    assert healthy[2].tolist() == [0, 0, 0]
    assert hu[lung].mean() > healthy[0][lung].mean() + 20


def test_teaching_changes_the_network():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32 * 32, 3))
    before = network[1].weight.detach().clone()
    error = train_briefly(network, 0.3, size=32, batch=2)
    assert 0 < error < 100
    assert not torch.equal(before, network[1].weight)
    assert not network.training


# ---- the whole ---------------------------------------------------------------------------------------------------


def test_operators_are_counted_in_the_right_step():
    assert step_of("mkldnn::_linear_pointwise") == "linear + GELU"
    assert step_of("mkldnn::_convolution_pointwise") == "convolution"
    assert step_of("aten::native_layer_norm") == "norm"
    assert step_of("aten::copy_") == "gather, paste and copies"
    assert step_of("aten::something_new") == "other operators"


def test_a_profile_of_work_in_another_thread_finds_its_products(case):
    shares, seconds = steps_of_profile(lambda: case.maps("incremental"))
    assert seconds > 0
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert dict(shares)["convolution"] > 0.01


def test_the_tables_of_a_network_can_be_made(case, capsys):
    pytest.importorskip("captum")
    results = bench_heatmaps.compare(case, 1, full=False)
    bench_heatmaps.accuracy(case)
    bench_heatmaps.growth(case)
    printed = capsys.readouterr().out
    assert results[0].contestant.name == "published loop as written"
    for name in ("MONAI", "Captum", "reference", "batched", "incremental fp32", "incremental bf16", "preview"):
        assert name in printed
    assert "Errors of the maps" in printed
    assert "a straight line explains" in printed
