"""The procedural recipe: ground glass is haze with vessels in it, reticulation is lines, extents span 0 to 100 %."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from SScILDScoringTrainingLib.synthesis import SynthesisSettings, synthesize
from SScILDScoringTrainingLib.synthesis.lesion_shapes import (
    distance_within,
    ellipse_field,
    noise_preference,
    soft_region,
)
from SScILDScoringTrainingLib.synthesis.noise_fields import band_noise, irregular_cells, smooth_noise
from SScILDScoringTrainingLib.synthesis.procedural_disease import ExtentSettings, ProceduralSettings, draw_regions
from SScILDScoringTrainingLib.synthesis.procedural_textures import (
    GroundGlassSettings,
    ReticulationSettings,
    ground_glass_hu,
    reticular_lines,
)
from synthesis_backgrounds import AIRWAY, MM, VESSEL_COLUMNS, VESSEL_ROWS, healthy_background

ALL_OF_IT = {"small": 0, "spread": 0, "near_total": 1}


def _only(pattern: str, **more) -> SynthesisSettings:
    extent = {"both": 0, "gg_only": int(pattern == "gg"), "ret_only": int(pattern == "ret"), **ALL_OF_IT}
    return SynthesisSettings.from_config({"healthy": 0, "procedural": {"extent": extent, **more}}).disease_only()


def test_ground_glass_lifts_the_lung_into_its_range():
    background = healthy_background()
    for n in range(8):
        sample = synthesize(background, np.random.default_rng(n), _only("gg"))
        inside = sample.ground_glass & (background.hu < -800)
        level = np.median(sample.hu[inside])
        assert level - np.median(background.hu[inside]) > 90
        assert -780 < level < -380


def test_vessels_stay_visible_and_airways_open_under_ground_glass():
    background = healthy_background()
    rows = slice(VESSEL_ROWS[0], VESSEL_ROWS[1] + 1)
    columns = slice(VESSEL_COLUMNS[0] + 5, VESSEL_COLUMNS[1] - 5)
    seen = 0
    for n in range(12):
        sample = synthesize(background, np.random.default_rng(n), _only("gg"))
        if sample.ground_glass[rows, columns].all():
            seen += 1
            vessel = sample.hu[rows, columns].astype(float)
            above = sample.hu[rows.start - 4 : rows.start - 1, columns]
            below = sample.hu[rows.stop + 2 : rows.stop + 5, columns]
            beside = np.concatenate([above, below])
            assert vessel.mean() - np.median(beside) > 250
            assert abs(vessel.mean() - background.hu[rows, columns].mean()) < 40
        if sample.ground_glass[AIRWAY[0] - 6 : AIRWAY[0] + 7, AIRWAY[1] - 6 : AIRWAY[1] + 7].all():
            assert sample.hu[AIRWAY] < -880
    assert seen >= 4


def test_reticulation_draws_lines_and_leaves_lung_between_them():
    background = healthy_background()
    settings = _only("ret", reticulation={"haze": 0, "honeycomb": 0, "dark_cells": 0})
    for n in range(8):
        sample = synthesize(background, np.random.default_rng(n), settings)
        inside = sample.reticulation & (background.hu < -780)
        change = sample.hu[inside].astype(float) - background.hu[inside]
        assert change.min() > -2  # lines only add
        assert np.quantile(change, 0.97) > 90
        assert np.quantile(change, 0.25) < 0.45 * np.quantile(change, 0.97)


def test_lines_form_a_network_not_specks():
    """At least a third of the line pixels hang together in pieces longer than 15 mm."""
    from scipy import ndimage

    where = np.ones((200, 200), bool)
    shares = []
    for n in range(8):
        lines = reticular_lines(where, np.random.default_rng(n), (0.7, 0.7), ReticulationSettings())
        strong = lines > 0.5 * np.quantile(lines, 0.98)
        pieces, count = ndimage.label(strong, np.ones((3, 3)))
        boxes = ndimage.find_objects(pieces)
        length = np.array([max(b[0].stop - b[0].start, b[1].stop - b[1].start) for b in boxes]) * 0.7
        area = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
        shares.append(area[length > 15].sum() / area.sum())
    assert np.median(shares) > 0.33


def test_ground_glass_is_always_denser_than_the_healthy_lung_beside_it():
    settings = GroundGlassSettings()
    for level in (-880.0, -780.0, -670.0):
        base = np.full((80, 80), level, np.float32)
        for n in range(5):
            drawn = ground_glass_hu(base, np.random.default_rng(n), (0.7, 0.7), settings)
            # Its grain aside, which has a standard deviation of up to 30 HU.
            assert (gaussian_filter(drawn, 3) - base).min() > 105


def test_extents_cover_everything_from_traces_to_the_whole_lung():
    rng = np.random.default_rng(0)
    background = healthy_background().resized(96, 96)
    totals = []
    for _ in range(300):
        opacities = draw_regions(background, rng, ProceduralSettings())
        masks = [o > 0.5 for o in opacities if o is not None]
        union = np.logical_or.reduce([m & background.anatomy.lung for m in masks])
        totals.append(100 * union.sum() / background.anatomy.lung.sum())
    counts, _ = np.histogram(totals, bins=np.linspace(0, 100.001, 11))
    assert (counts >= 5).all()
    assert min(totals) < 2
    assert max(totals) > 98
    assert np.mean(np.array(totals) < 12) > 0.15


def test_patterns_come_alone_and_together():
    rng = np.random.default_rng(1)
    pairs = [ExtentSettings().draw_pair(rng) for _ in range(300)]
    kinds = [(gg > 0, ret > 0) for gg, ret in pairs]
    assert kinds.count((True, False)) > 50
    assert kinds.count((False, True)) > 40
    assert kinds.count((True, True)) > 80
    assert (False, False) not in kinds


@pytest.mark.parametrize("area", [0.01, 0.2, 0.77, 1.0])
def test_a_region_has_exactly_the_wanted_area(area):
    anatomy = healthy_background().anatomy
    field = smooth_noise(anatomy.lung.shape, np.random.default_rng(0), 12)
    alpha = soft_region(field, anatomy.lung, area, 6)
    assert (alpha[anatomy.lung] > 0.5).sum() == pytest.approx(area * anatomy.lung.sum(), abs=1.5)
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    assert not alpha[~anatomy.lung].any()


def test_edges_are_as_wide_as_asked():
    lung = np.ones((120, 120), bool)
    field = ellipse_field((120, 120), (60, 60), (80, 80), 0.0)
    for width in (3.0, 12.0):
        alpha = soft_region(field, lung, 0.35, width)
        profile = alpha[60, 60:]
        assert np.count_nonzero((profile > 0.02) & (profile < 0.98)) == pytest.approx(width, rel=0.35, abs=1.5)


def test_no_veil_lies_where_a_flat_preference_ends_just_below_the_border():
    lung = np.ones((80, 80), bool)
    field = np.zeros((80, 80), np.float32)
    field[:, :40] = 0.02  # a plateau that is hardly better than the rest,
    field[:20, :20] = 5.0  # with a peak that makes every other border look steep
    alpha = soft_region(field, lung, 0.5, 6)
    assert (alpha[:, 50:] == 0).all(), "what is not counted must not be seen"
    assert (alpha[25:, :33] == 1).all(), "what is counted must be seen"


def test_disease_reaches_the_pleura_undiminished():
    lung = np.zeros((80, 80), bool)
    lung[10:70, 10:70] = True
    field = -np.mgrid[:80, :80][1].astype(np.float32)
    alpha = soft_region(field, lung, 0.5, 12)
    assert (alpha[10:70, 10:30] == 1).all()


def test_cysts_are_not_counted_as_ground_glass():
    recipe = ProceduralSettings(
        extent=ExtentSettings(small=0, spread=0, near_total=1, gg_only=0, ret_only=0, both=1),
        reticulation=ReticulationSettings(honeycomb=1.0, haze=0, dark_cells=0),
    )
    settings = SynthesisSettings(healthy=0, procedural=recipe).disease_only()
    background = healthy_background()
    airless = 0
    for seed in range(6):
        sample = synthesize(background, np.random.default_rng(seed), settings)
        plain = background.anatomy.airiness > 0.95
        lumen = np.zeros_like(sample.lung)
        lumen[background.anatomy.window] = plain
        lumen &= (sample.hu < -900) & sample.reticulation & (background.hu > -890)
        airless += int(lumen.sum())
        assert (sample.ground_glass & lumen).sum() <= 0.1 * max(lumen.sum(), 10)
    assert airless > 100, "the samples must show cysts for this to mean anything"


def test_weights_pull_disease_to_the_pleura_and_to_the_back():
    anatomy = healthy_background().anatomy
    rng = np.random.default_rng(5)

    def where(subpleural: float, posterior: float) -> tuple[float, float]:
        depth, back = [], []
        for _ in range(12):
            field = noise_preference(anatomy, rng, (MM, MM), subpleural, posterior, 0.2)
            chosen = soft_region(field, anatomy.lung, 0.2, 4) > 0.5
            depth.append(anatomy.pleural_mm[chosen].mean())
            back.append(np.broadcast_to(anatomy.posterior, chosen.shape)[chosen].mean())
        return float(np.mean(depth)), float(np.mean(back))

    even, rim, low = where(0, 0), where(1.6, 0), where(0, 1.4)
    assert rim[0] < 0.7 * even[0]
    assert low[1] > even[1] + 0.12


def test_noise_fields_have_the_spread_and_the_scale_they_promise():
    rng = np.random.default_rng(0)
    for scale in (1.5, 4.0, 12.3):
        field = np.stack([smooth_noise((160, 160), rng, scale) for _ in range(6)])
        assert field.std() == pytest.approx(1.0, abs=0.12)
        near = (field[:, :, 1:] * field[:, :, :-1]).mean()
        far = (field[:, :, int(4 * scale) :] * field[:, :, : -int(4 * scale)]).mean()
        assert near > 0.5 * field.var()
        assert abs(far) < 0.15
    band = band_noise((200, 200), rng, 6.0)
    assert abs(band.mean()) < 0.1


def test_cells_have_walls_where_cells_meet():
    rows, columns = np.mgrid[:100, :100].astype(np.float32)
    wall, cell = irregular_cells(rows, columns, np.random.default_rng(0), 12)
    meets = cell[:, 1:] != cell[:, :-1]
    assert np.median(wall[:, 1:][meets]) < 1
    assert wall.max() > 3
    assert 40 < len(np.unique(cell)) < 160


@pytest.mark.parametrize("reach", [1, 5, 12, 150])
def test_distances_are_exact_as_far_as_they_are_asked_for(reach):
    from scipy.ndimage import distance_transform_edt

    target = smooth_noise((90, 140), np.random.default_rng(reach), 12) > 1.2
    expected = distance_transform_edt(~target)
    found = distance_within(target, reach)
    near = expected <= reach
    np.testing.assert_allclose(found[near], expected[near], rtol=1e-6)
    assert (found[~near] > reach).all()
