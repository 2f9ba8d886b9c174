"""What heat maps promise: method.md section 5 to the letter, and the same numbers from every engine."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from small_bundles import s_net_bundle
from SScILDScoringLib.devices import threads
from SScILDScoringLib.errors import Cancelled, ModelError, SettingsError
from SScILDScoringLib.heatmaps import HeatMaps, render_heat_maps
from SScILDScoringLib.heatmaps.engines import ENGINES, best_engine
from SScILDScoringLib.heatmaps.replacement import (
    HeatMapSettings,
    opacity_of,
    patch_windows,
    positions,
    replacement_texture,
)
from SScILDScoringLib.heatmaps.thresholds import candidates, choose_threshold, derived_scores
from SScILDScoringLib.preprocessing import SliceInput
from SScILDScoringLib.scores import Pattern, SliceScores
from SScILDScoringLib.slice_network import SliceNetwork

PATCH = np.random.default_rng(0).normal(-850, 40, (64, 64)).astype(np.int16)


class MeanBrightness(torch.nn.Module):
    """A network one can compute by hand: three multiples of the input's mean."""

    def forward(self, x):
        return x.mean((1, 2, 3))[:, None] * torch.tensor([100.0, 50.0, -20.0])


def brightness_bundle(size):
    return SimpleNamespace(
        kind="s_net",
        name="brightness",
        input=SliceInput(size),
        healthy_patch=PATCH,
        heat_maps={},
        network=MeanBrightness,
    )


def chest(height, width, seed=3, centre=(0.5, 0.3), radius=(0.33, 0.28)):
    """A slice of noise with an elliptic lung."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    lung = ((y / height - centre[0]) / radius[0]) ** 2 + ((x / width - centre[1]) / radius[1]) ** 2 < 1
    hu = np.where(lung, generator.normal(-780, 150, (height, width)), generator.normal(30, 20, (height, width)))
    return hu.astype(np.int16), lung


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks are faster on one thread, and much faster on a busy machine."""
    with threads(1):
        yield


# ---- patches -----------------------------------------------------------------------------------------------------


def test_patches_stand_at_0_16_to_496_in_both_directions():
    corners = positions(512, 512, 16)
    assert len(corners) == 1024
    assert corners[0] == (0, 0)
    assert corners[1] == (0, 16)
    assert corners[-1] == (496, 496)


def test_the_published_edge_is_a_5x5_box_blur_of_the_cropped_mask():
    mask = np.zeros((40, 40), bool)
    mask[6:30, 8:31] = np.random.default_rng(1).random((24, 23)) > 0.3
    opacity = opacity_of(mask, HeatMapSettings(edge="box5"))
    assert np.allclose(opacity, ndimage.uniform_filter(mask.astype(float), 5, mode="nearest"), atol=1e-6)


def test_the_ramp_rises_linearly_from_the_edge_inwards():
    mask = np.zeros((30, 30), bool)
    mask[5:25, 5:25] = True
    opacity = opacity_of(mask, HeatMapSettings(edge="ramp", ramp_pixels=4))
    assert np.allclose(opacity[15, 4:12], [0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1])
    assert (opacity[~mask] == 0).all()


@pytest.mark.parametrize("edge", ["box5", "ramp"])
def test_a_patch_that_is_cut_at_the_border_is_not_faded_there(edge):
    lung = np.ones((32, 32), bool)
    settings = HeatMapSettings(patch=64, step=64, edge=edge)
    (window,) = patch_windows(lung, settings, replacement_texture(settings, brightness_bundle(32)))
    assert (window.opacity == 1).all()


def test_positions_off_the_lung_are_left_out_and_the_others_cropped_by_it():
    lung = np.zeros((64, 64), bool)
    lung[20, 41] = True
    settings = HeatMapSettings(patch=16, step=8)
    windows = list(patch_windows(lung, settings, replacement_texture(settings, brightness_bundle(64))))
    assert len(windows) == 4  # rows 8 and 16, columns 32 and 40
    for window in windows:
        assert window.covers.sum() == 1
        assert window.covers[20 - window.rows.start, 41 - window.columns.start]


def test_the_whole_stored_patch_is_used_and_its_margin_mirrored():
    texture = replacement_texture(HeatMapSettings(), brightness_bundle(64))
    assert texture.shape == (68, 68)
    assert (texture[2:-2, 2:-2] == PATCH).all()
    assert (texture[1, 2:-2] == PATCH[0]).all()


def test_a_smaller_patch_is_cut_from_the_middle_and_a_larger_one_is_mirrored():
    small = replacement_texture(HeatMapSettings(patch=32, edge="ramp"), brightness_bundle(64))
    assert (small[1:-1, 1:-1] == PATCH[16:48, 16:48]).all()
    large = replacement_texture(HeatMapSettings(patch=100), brightness_bundle(64))
    assert large.shape == (104, 104)
    assert (large[20:84, 20:84] == PATCH).all()


@pytest.mark.parametrize(
    "wrong", [{"patch": 0}, {"step": -1}, {"patch": 2.5}, {"edge": "soft"}, {"replacement": "fibrosis"}]
)
def test_settings_that_cannot_be_used_are_refused(wrong):
    with pytest.raises(SettingsError):
        HeatMapSettings(**wrong)


# ---- the maps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["reference", "batched"])  # a mean over the image has no windows
def test_the_map_is_the_mean_change_over_the_patches_that_cover_a_pixel(engine):
    """Computed here once more, with another library and without any of the program's parts."""
    size, patch, step = 48, 16, 8
    hu, lung = chest(size, size)
    texture = PATCH[24:40, 24:40].astype(float)
    total, count = np.zeros((size, size)), np.zeros((size, size))
    for y in range(0, size, step):
        for x in range(0, size, step):
            mask = np.zeros((size, size))
            mask[y : y + patch, x : x + patch] = lung[y : y + patch, x : x + patch]
            if not mask.any():
                continue
            alpha = ndimage.uniform_filter(mask, 5, mode="nearest")
            padded = np.pad(texture, 2, mode="symmetric")
            canvas = np.zeros((size + 40, size + 40))
            canvas[y + 18 : y + 38, x + 18 : x + 38] = padded
            blended = hu + alpha * (canvas[20 : 20 + size, 20 : 20 + size] - hu)
            scaled = [(np.clip(image, -1500, 1500) + 1500) / 3000 for image in (hu, blended)]
            total += mask * 100 * (scaled[1].mean() - scaled[0].mean())
            count += mask
    expected = np.where(count > 0, total / np.maximum(count, 1), 0)
    maps = render_heat_maps(hu, lung, brightness_bundle(size), HeatMapSettings(patch, step), engine=engine)
    assert np.allclose(maps.of(Pattern.TOT), expected, atol=2e-5)
    assert np.allclose(maps.of(Pattern.GG), expected / 2, atol=2e-5)
    assert np.allclose(maps.of(Pattern.RET), -expected / 5, atol=2e-5)
    assert np.abs(expected).max() > 0.1
    assert (maps.covered == lung).all()


CASES = {
    "published settings": ((110, 101), HeatMapSettings(), {}),
    "odd patch and step, ramp": ((75, 96), HeatMapSettings(21, 13, "ramp", 3), {}),
    "lung at the border": ((64, 64), HeatMapSettings(24, 10), {"centre": (0.1, 0.95), "radius": (0.4, 0.3)}),
    "lung of one pixel": ((64, 64), HeatMapSettings(24, 16), {"radius": (0.011, 0.011)}),
    "patch larger than the slice": ((64, 64), HeatMapSettings(200, 30), {}),
    "growing": ((40, 52), HeatMapSettings(16, 8), {}),
}


@pytest.fixture(scope="module")
def ratio_bundle(tmp_path_factory):
    return s_net_bundle(tmp_path_factory.mktemp("bundles") / "ratio")


@pytest.mark.parametrize("case", CASES)
def test_every_engine_equals_the_reference(case, ratio_bundle):
    shape, settings, place = CASES[case]
    hu, lung = chest(*shape, **place)
    assert_equal_to_reference(hu, lung, ratio_bundle, settings, ["batched", "incremental"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("compact_ratio", {"stem_stride": 4}),
        ("compact_pool", {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1)}),
        ("convnext_atto", {}),
    ],
)
def test_other_networks_equal_the_reference_by_their_best_engine(name, options, tmp_path):
    hu, lung = chest(90, 90)
    bundle = s_net_bundle(tmp_path / "s", name, size=96, clear_outside_body=name == "compact_pool", **options)
    assert best_engine(SliceNetwork(bundle)) == "incremental"
    assert_equal_to_reference(hu, lung, bundle, HeatMapSettings(30, 20), ["incremental"])


def test_a_network_that_does_not_describe_its_layers_is_run_in_batches():
    assert best_engine(SliceNetwork(brightness_bundle(64))) == "batched"


def assert_equal_to_reference(hu, lung, bundle, settings, engines):
    wanted = render_heat_maps(hu, lung, bundle, settings, engine="reference")
    largest = np.abs(wanted.maps).max()
    assert largest > 0
    for engine in engines:
        found = render_heat_maps(hu, lung, bundle, settings, engine=engine, precision="fp32")
        assert found.engine == engine
        assert (found.precision, found.exact, found.tolerance) == ("fp32", True, None)
        assert (found.covered == wanted.covered).all()
        assert found.network_runs == wanted.network_runs
        # Scores are percentages in float32: their own rounding (some 1e-6 of 100) is what may remain.
        assert np.abs(found.maps - wanted.maps).max() <= 1e-4 * largest + 2e-5


@pytest.mark.parametrize("engine", ["batched", "incremental"])
def test_the_batch_size_does_not_change_the_maps(engine, ratio_bundle):
    hu, lung = chest(64, 64)
    one, many = (
        render_heat_maps(hu, lung, ratio_bundle, HeatMapSettings(24, 12), engine=engine, precision="fp32", batch_size=n)
        for n in (1, 7)
    )
    assert np.abs(one.maps - many.maps).max() < 2e-5


def test_outside_the_lung_the_maps_are_zero(ratio_bundle):
    hu, lung = chest(64, 64)
    maps = render_heat_maps(hu, lung, ratio_bundle, HeatMapSettings(24, 12))
    assert (maps.maps[:, ~lung] == 0).all()
    assert maps.maps.dtype == np.float32


def test_a_slice_without_lung_costs_one_run_and_has_empty_maps(ratio_bundle):
    hu, _ = chest(64, 64)
    maps = render_heat_maps(hu, np.zeros((64, 64), bool), ratio_bundle)
    assert maps.network_runs == 1
    assert not maps.maps.any()
    assert not maps.covered.any()
    assert maps.derived_score(Pattern.TOT, -1.0) == 0.0


def test_the_baseline_is_the_slices_own_score(ratio_bundle):
    hu, lung = chest(64, 64)
    maps = render_heat_maps(hu, lung, ratio_bundle, HeatMapSettings(24, 24))
    assert np.allclose(maps.baseline.raw, SliceNetwork(ratio_bundle).scores(hu).raw, atol=1e-5)


def test_a_diseased_replacement_shows_what_the_network_would_miss():
    hu, lung = chest(64, 64)
    bundle = brightness_bundle(64)
    healthy, diseased = (
        render_heat_maps(hu, lung, bundle, HeatMapSettings(24, 12, replacement=r)).of(Pattern.TOT)[lung].mean()
        for r in ("healthy", "gg")
    )
    assert healthy < 0 < diseased  # the lung's own -780 HU lie between the two textures


def test_the_bundle_may_ask_for_another_patch_and_step():
    bundle = brightness_bundle(64)
    bundle.heat_maps = {"patch_size": 20, "step": 10, "thresholds": {}}
    hu, lung = chest(64, 64)
    assert render_heat_maps(hu, lung, bundle).settings == HeatMapSettings(20, 10)


@pytest.mark.parametrize("engine", ENGINES)
def test_cancelling_ends_the_work_and_leaves_no_thread(engine, ratio_bundle):
    hu, lung = chest(64, 64)
    calls = []

    def cancel(stage, fraction, message):
        calls.append(stage)
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        render_heat_maps(hu, lung, ratio_bundle, HeatMapSettings(24, 4), cancel, engine=engine)
    assert calls == ["heat_maps"] * 3
    assert not [t for t in threading.enumerate() if t.name.startswith("heat-map")]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_maps_appear_while_they_are_computed(engine, ratio_bundle, monkeypatch):
    monkeypatch.setattr("SScILDScoringLib.heatmaps.reporting.INTERVAL", 0.0)
    hu, lung = chest(64, 64)
    seen, fractions = [], []
    final = render_heat_maps(
        hu,
        lung,
        ratio_bundle,
        HeatMapSettings(24, 8),
        lambda stage, fraction, message: fractions.append(fraction),
        engine=engine,
        partial=seen.append,
    )
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)
    assert seen
    areas = [int(m.covered.sum()) for m in seen]
    assert areas == sorted(areas)
    assert areas[0] < final.covered.sum()
    assert areas[-1] > 0
    for maps in seen:
        assert isinstance(maps, HeatMaps)
        assert maps.network_runs <= final.network_runs
        assert (maps.maps[:, ~maps.covered] == 0).all()
        assert maps.baseline == final.baseline


def test_partial_maps_come_at_most_every_100_ms(ratio_bundle):
    times = []
    render_heat_maps(
        *chest(64, 64), ratio_bundle, HeatMapSettings(24, 2), partial=lambda m: times.append(time.perf_counter())
    )
    assert all(b - a >= 0.099 for a, b in pairwise(times))


def test_what_is_known_about_maps_survives_the_way_through_the_worker(ratio_bundle):
    from SScILDScoringLib.worker.values import heat_map_arrays, heat_maps_from, plain_heat_maps

    maps = replace(
        render_heat_maps(*chest(64, 64), ratio_bundle, HeatMapSettings(24, 24)),
        precision="bf16",
        exact=False,
        tolerance=0.004,
        checked_positions=8,
    )
    arrays = heat_map_arrays(maps)
    again = heat_maps_from(json.loads(json.dumps(plain_heat_maps(maps))), arrays["heat"], arrays["cover"])
    for name in ("engine", "precision", "exact", "tolerance", "checked_positions", "settings", "baseline"):
        assert getattr(again, name) == getattr(maps, name)


def test_wrong_arguments_are_refused(ratio_bundle):
    hu, lung = chest(64, 64)
    with pytest.raises(SettingsError, match="same size"):
        render_heat_maps(hu, lung[:60], ratio_bundle)
    with pytest.raises(SettingsError, match="engine"):
        render_heat_maps(hu, lung, ratio_bundle, engine="quick")
    with pytest.raises(SettingsError, match="precision"):
        render_heat_maps(hu, lung, ratio_bundle, precision="int8")
    with pytest.raises(SettingsError, match="GPU"):
        render_heat_maps(hu, lung, ratio_bundle, precision="fp16")
    for engine in ("incremental", "preview"):
        with pytest.raises(SettingsError, match="does not describe its layers"):
            render_heat_maps(hu, lung, brightness_bundle(64), engine=engine)


def test_answers_that_are_not_numbers_are_refused():
    class Broken(torch.nn.Module):
        def forward(self, x):
            return torch.full((len(x), 3), float("nan"))

    bundle = brightness_bundle(64)
    bundle.network = Broken
    with pytest.raises(ModelError, match="not numbers"):
        render_heat_maps(*chest(64, 64), bundle)


# ---- thresholds and derived scores -------------------------------------------------------------------------------


def map_of(values, lung=None, score=0.0):
    """A heat map whose TOT map has the given values in one row."""
    tot = np.asarray(values, np.float32)[None]
    lung = np.ones(tot.shape, bool) if lung is None else lung
    return HeatMaps(np.stack([tot, tot * 0, tot * 2]), lung, lung, SliceScores((score, 0, 0)))


def test_the_derived_score_is_the_area_below_the_threshold_over_the_lung_area():
    maps = map_of([-3, -2, -1, -0.5, 0, 0.5, 1, 2])
    assert maps.derived_score(Pattern.TOT, -0.75) == 37.5
    assert maps.derived_score(Pattern.TOT, -1.0) == 25.0  # below, not at
    assert maps.derived_score(Pattern.RET, -0.75) == 50.0
    assert maps.derived_score(Pattern.GG, -0.75) == 0.0


def test_all_thresholds_at_once_say_the_same_as_each_alone():
    maps = map_of(np.random.default_rng(2).normal(-1, 2, 200))
    together = derived_scores(maps, Pattern.TOT, candidates())
    assert together.tolist() == [maps.derived_score(Pattern.TOT, t) for t in candidates()]
    assert candidates()[0] == -4
    assert candidates()[-1] == 0


def test_the_threshold_with_the_smallest_error_is_chosen():
    generator = np.random.default_rng(5)
    maps = []
    for _ in range(6):
        values = generator.normal(-1, 1.5, 400)
        maps.append(map_of(values, score=100 * np.mean(values < -1.3)))
    chosen = choose_threshold(maps)
    assert abs(chosen.value + 1.3) <= 0.02
    assert chosen.error < 0.5
    assert chosen.slices == 6


def test_scores_are_clipped_before_they_are_compared():
    maps = [map_of([-3.0] * 10, score=140.0)]
    chosen = choose_threshold(maps)
    assert chosen.error == 0.0


def test_among_equally_good_thresholds_the_middle_one_is_taken():
    maps = [map_of([-3.0, -1.0, 0.5, 0.5], score=25.0)]
    assert choose_threshold(maps).value == pytest.approx(-1.98, abs=0.03)  # anything in (-3, -1] is right


def test_a_threshold_needs_slices_and_one_score_for_each():
    with pytest.raises(SettingsError, match="0 maps"):
        choose_threshold([])
    with pytest.raises(SettingsError, match="1 maps, 2 scores"):
        choose_threshold([map_of([0.0])], [SliceScores((0, 0, 0))] * 2)
