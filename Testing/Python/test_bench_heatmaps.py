"""The benchmark of heat maps stays true: its arithmetic, and rivals that do what they are said to do. No timings."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))

import bench_heatmaps
import heat_map_sections as sections
from heat_map_contest import FIRST, QUICK, Case, compare, contestants
from heat_map_profile import step_of, steps_of_profile
from heat_map_rivals import captum_occlusion, evenly, library_positions, monai_occlusion, published_corners
from heat_map_rivals import published_loop as published
from heat_map_slices import (
    drawn_areas,
    drawn_slice,
    held_out_error,
    kept,
    lungs_of,
    mean_scores,
    train_briefly,
    wholes,
)
from measuring import Contestant, Deadline, Measured, Rows, by_turns, line_through, peak_mb, percent_of_largest, table

from small_bundles import s_net_bundle
from SScILDScoringLib.devices import threads
from SScILDScoringLib.heatmaps.replacement import patch_windows
from SScILDScoringLib.models import default_bundle
from SScILDScoringLib.networks import build_s_net

SIDE = 128
BENCHMARKS = Path(bench_heatmaps.__file__).parent


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A small network that sees small slices at their own size."""
    bundle = s_net_bundle(tmp_path_factory.mktemp("bundles") / "s", size=SIDE)
    return Case("small", bundle, "random weights", side=SIDE)


# ---- arithmetic --------------------------------------------------------------------------------------------------


def test_contestants_run_by_turns_after_a_run_that_does_not_count():
    order = []
    contestants = [
        Contestant("a", lambda: order.append("a") or 1, 1),
        Contestant("b", lambda: order.append("b") or 4, 8, start=lambda: order.append("start") or 1),
    ]
    a, b = by_turns(contestants, 2)
    assert order == ["a", "start", "a", "b", "start", "a", "b", "start"]
    assert [len(r.walls) for r in (a, b)] == [2, 2]
    assert b.extrapolated
    assert not a.extrapolated


def test_rounds_end_with_the_time_but_not_before_the_first():
    order = []
    by_turns([Contestant("a", lambda: order.append("a") or 1, 1)], 5, seconds=-1.0)
    assert order == ["a", "a"]
    assert Deadline(-1).over
    assert not Deadline().over


def test_what_a_map_costs_once_is_not_counted_for_every_position(monkeypatch):
    """Of 100 positions at 2 s each after 7 s a sample of 10 is measured: 207 s, and 270 s in mere proportion."""
    monkeypatch.setattr("measuring.timed", lambda work: (work(), 7.0 + 2 * work(), 14.0 + 4 * work()))
    along, proportional = (Measured(Contestant("", lambda: 10, 100, start)) for start in (lambda: 1, None))
    along.take()
    proportional.take()
    assert (along.seconds, along.processor_seconds) == pytest.approx((207, 414))
    assert (proportional.seconds, proportional.processor_seconds) == pytest.approx((270, 540))


def test_ratios_are_medians_over_rounds_that_belong_together():
    slow = Measured(Contestant("slow", lambda: 1, 1000), [300, 200, 9000], [400, 400, 400], 10)
    fast = Measured(Contestant("fast", lambda: 1, 500), [3, 4, 100], [20, 20, 20], 500)
    assert slow.seconds == 300
    assert slow.spread == (200, 9000)
    assert fast.times_faster_than(slow) == 90
    assert fast.cheaper_than(slow) == 20


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


def test_a_table_grows_line_by_line(capsys):
    rows = Rows(("", "seconds"), 6)
    assert capsys.readouterr().out.splitlines() == ["        seconds", "---------------"]
    rows.add("a", "1.0")
    assert capsys.readouterr().out == "a           1.0\n"


# ---- rivals ------------------------------------------------------------------------------------------------------


def test_the_published_loop_gives_our_reference_map(case):
    found = published(case.network.network, case.hu, case.lung, case.texture, published_corners(SIDE), gradients=False)
    wanted = case.maps("reference").maps
    assert np.abs(wanted).max() > 0.05
    assert percent_of_largest(found, wanted) < 0.1


def test_the_published_loop_records_the_graph_of_a_network_as_its_users_have_it(case):
    """A bundle's own network wants no gradients: the loop as written would have nothing to record."""
    others, graphs = case.of_others(), []
    others.register_forward_hook(lambda module, x, answer: graphs.append(answer.grad_fn is not None))
    published(others, case.hu, case.lung, case.texture, [(0, 0)], gradients=True)
    published(others, case.hu, case.lung, case.texture, [(0, 0)], gradients=False)
    assert graphs == [True, True, False, False]
    with pytest.raises(ValueError, match="wants gradients"):
        published(case.network.network, case.hu, case.lung, case.texture, [(0, 0)], gradients=True)
    assert not any(p.requires_grad for p in case.network.network.parameters())


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


def small_network(*_, **__):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32 * 32, 3))


def test_teaching_begins_with_the_mean_and_changes_the_network():
    torch.manual_seed(0)
    network = build_s_net("convnext_atto")
    before = [p.detach().clone() for p in (network.layers()[0].convolution.weight, network.layers()[-1].widen.weight)]
    assert train_briefly(network, 0.0, side=64) == 1
    assert train_briefly(network, 0.3, side=64) >= 1
    after = network.layers()[0].convolution.weight, network.layers()[-1].widen.weight
    assert not any(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert not network.training


def test_networks_are_taught_slices_with_their_scores_and_areas():
    drawn = [drawn_areas(seed, 64) for seed in (3, 4)]
    x, scores, areas = wholes(drawn)
    assert (x.shape, scores.shape, areas.shape) == ((2, 1, 64, 64), (2, 3), (2, 3, 64, 64))
    assert x[1, 0].numpy() == pytest.approx((np.clip(drawn[1][0], -1500, 1500) + 1500) / 3000)
    assert scores[1].numpy() == pytest.approx(drawn_slice(4, 64)[2])
    assert np.array_equal(areas[1].numpy(), drawn[1][2])


def test_the_held_out_error_of_answering_the_mean_is_the_mean_predictors():
    network = small_network()
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].bias.copy_(mean_scores())
    own, mean = held_out_error(network, 32, 6)
    assert own == pytest.approx(mean)
    assert 1 < mean < 40
    with torch.no_grad():
        network[1].bias.add_(50)
    assert held_out_error(network, 32, 6)[0] > mean + 20


def test_a_taught_network_is_kept_by_its_settings(tmp_path):
    made = []

    def make(place):
        made.append(1)
        s_net_bundle(place, size=SIDE)
        return "taught a little"

    settings = {"network": "small", "seconds": 1}
    first, state = kept(tmp_path / "keep", settings, make)
    again, said = kept(tmp_path / "keep", settings, make)
    assert (len(made), state, said) == (1, "taught a little", "taught a little (kept from an earlier run)")
    assert first.folder == again.folder
    other, _ = kept(tmp_path / "keep", {**settings, "seconds": 2}, make)
    assert other.folder != first.folder
    first.folder.with_suffix(".txt").unlink()  # as when the first run was ended half-way
    kept(tmp_path / "keep", settings, make)
    assert len(made) == 3


# ---- the whole ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="elsewhere the system counts for itself")
def test_a_process_does_not_count_the_memory_of_the_one_that_began_it():
    ballast = np.ones(60_000_000)
    code = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); from measuring import peak_mb; print(peak_mb())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(child.stdout) < peak_mb() - ballast.nbytes / 1e6 / 2


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
    assert dict(shares)["compiled passes"] > 0.001  # numba is in the test environment


SMALL = replace(QUICK, slow=32, fast=32, checked=32, whole=True, growth=(48, 32, 16))


def test_the_table_of_a_network_names_everybody(case, capsys):
    pytest.importorskip("captum")
    pytest.importorskip("monai")
    results = compare(case, SMALL, Deadline())
    printed = capsys.readouterr().out
    assert next(iter(results)) == FIRST
    for name in (FIRST, "MONAI", "Captum", "incremental fp32", "preview"):
        assert name in printed
    assert "reference" not in printed
    assert "reference" in str([c.name for c in contestants(case, replace(SMALL, unhurried=True))])


def test_what_there_is_no_time_for_is_said(case, capsys):
    assert list(compare(case, SMALL, Deadline(-1))) == [FIRST]
    assert "Left out because the computer is too busy: published loop, no gradients, ours" in capsys.readouterr().out


def test_the_sections_below_the_table_can_be_made(case, capsys):
    sections.accuracy(case, SMALL)
    sections.growth(case, SMALL)
    sections.profile(case, SMALL)
    sections.passes(case, SMALL)
    sections.five_levels(case)
    printed = capsys.readouterr().out
    exact, whole = (part.splitlines()[1:] for part in printed.split("checked\n")[1:])
    assert exact[0].startswith("incremental fp32")
    assert float(exact[0].split()[3]) < 0.01  # percent
    assert any(line.startswith("preview") for line in whole[:2])
    for words in (
        "against positions",
        "against slices",
        "a straight line explains",
        "Profile",
        "Compiled",
        "Five levels",
    ):
        assert words in printed
    assert "is chosen" in sections.path(case)
    assert "MB at most" in sections.memory(case)


def test_a_process_of_its_own_is_asked_about_the_bundle(tmp_path):
    bundle = s_net_bundle(tmp_path / "s", size=SIDE)
    said = bench_heatmaps.child("path", Case("small", bundle, side=SIDE), 1, bench_heatmaps.WITHOUT_AMX)
    assert said.startswith("incremental fp32 is chosen")


@pytest.mark.parametrize("step", [16, 48, 80])
def test_a_larger_step_is_a_fair_sample_of_the_positions(step):
    """Of a whole slice: as many of them cover little lung, and all of it, as of the whole map's."""
    large = Case("starter", default_bundle("s_net"))
    share, whole = (
        [w.covers.sum() for w in patch_windows(large.lung, replace(large.settings, step=s), large.texture)]
        for s in (step, 16)
    )
    assert len(whole) == large.positions
    assert len(share) == pytest.approx(large.positions / (step / 16) ** 2, rel=0.15)
    assert np.mean(share) == pytest.approx(np.mean(whole), rel=0.15)
