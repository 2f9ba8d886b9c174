"""Synthesis inserts disease into healthy slices; its scores are exact because they come from the masks it painted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.synthesis import SynthesisSettings, background_from_slice, scores_from_masks, synthesize
from SScILDScoringTrainingLib.synthesis.acquisition import AcquisitionSettings, change_acquisition
from SScILDScoringTrainingLib.synthesis.contact_sheet import COLOURS, contact_sheet, example_sheet, sample_picture
from SScILDScoringTrainingLib.synthesis.density import DensitySettings
from SScILDScoringTrainingLib.synthesis.distractors import ConsolidationSettings
from SScILDScoringTrainingLib.synthesis.texture_patches import phantom_patches
from synthesis_backgrounds import healthy_background, lungless_background

PUBLISHED = SynthesisSettings.as_published(phantom_patches(1, size=40), axes_px=(20, 300))
RECIPES = {
    "procedural": SynthesisSettings(),
    "procedural with patches": SynthesisSettings.from_config(
        {"procedural": {"texture": "patches"}, "patches": "phantom"}
    ),
    "published": PUBLISHED,
}


@pytest.fixture(params=RECIPES, scope="module")
def samples(request):
    background, settings = healthy_background(), RECIPES[request.param]
    return [synthesize(background, np.random.default_rng(n), settings) for n in range(25)]


def test_scores_are_the_painted_areas_over_the_lung_area(samples):
    for sample in samples:
        lung = sample.lung.sum()
        union = (sample.ground_glass | sample.reticulation).sum()
        expected = [100 * n / lung for n in (union, sample.ground_glass.sum(), sample.reticulation.sum())]
        assert sample.scores == pytest.approx(expected, abs=1e-9)


def test_tot_lies_between_the_larger_pattern_and_the_sum_of_both(samples):
    for sample in samples:
        tot, gg, ret = sample.scores
        assert max(gg, ret) <= tot <= min(gg + ret, 100) + 1e-9


def test_masks_lie_inside_the_lung_and_the_lung_inside_the_body(samples):
    for sample in samples:
        assert not (sample.ground_glass & ~sample.lung).any()
        assert not (sample.reticulation & ~sample.lung).any()
        assert not (sample.lung & ~sample.body).any()


def test_both_patterns_occur_in_every_recipe(samples):
    assert sum(s.scores[1] > 1 for s in samples) >= 5
    assert sum(s.scores[2] > 1 for s in samples) >= 5


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_seed_gives_the_same_sample_and_another_seed_another(name):
    background, settings = healthy_background(), RECIPES[name]
    first, again, other = (synthesize(background, np.random.default_rng(n), settings) for n in (11, 11, 12))
    np.testing.assert_array_equal(first.hu, again.hu)
    np.testing.assert_array_equal(first.ground_glass, again.ground_glass)
    np.testing.assert_array_equal(first.reticulation, again.reticulation)
    assert (first.hu != other.hu).any()


def test_a_sample_leaves_its_background_untouched():
    background = healthy_background()
    before = background.hu.copy(), background.lung.copy()
    for n in range(5):
        synthesize(background, np.random.default_rng(n))
    np.testing.assert_array_equal(background.hu, before[0])
    np.testing.assert_array_equal(background.lung, before[1])


@pytest.mark.parametrize("name", RECIPES)
def test_without_changes_of_the_scanner_everything_outside_the_lung_stays(name):
    background = healthy_background()
    outside = np.ones(background.hu.shape, bool)
    outside[background.anatomy.window] = ~background.anatomy.rim
    assert not (outside & background.lung).any()
    for n in range(5):
        sample = synthesize(background, np.random.default_rng(n), RECIPES[name].disease_only())
        np.testing.assert_array_equal(sample.hu[outside], background.hu[outside])


def test_a_slice_without_lung_stays_without_disease():
    sample = synthesize(lungless_background(), np.random.default_rng(0))
    assert sample.scores == (0.0, 0.0, 0.0)
    assert not sample.ground_glass.any()
    assert not sample.reticulation.any()


def test_healthy_samples_change_density_and_scanner_but_score_nothing():
    background = healthy_background()
    settings = SynthesisSettings(healthy=1.0, consolidation=None, vessels=None, partial_volume=None)
    changed = 0
    for n in range(20):
        sample = synthesize(background, np.random.default_rng(n), settings)
        assert sample.scores == (0.0, 0.0, 0.0)
        changed += abs(np.median(sample.hu[sample.lung]) - np.median(background.hu[background.lung])) > 10
    assert changed >= 10


def test_density_of_healthy_lung_moves_within_its_range_and_never_passes_its_limit():
    background = healthy_background()
    settings = SynthesisSettings(
        healthy=1.0,
        density=DensitySettings(share=1.0, dependent=0.0),
        acquisition=None,
        consolidation=None,
        vessels=None,
        partial_volume=None,
    )
    before = np.median(background.hu[background.lung])
    shifts = []
    for n in range(40):
        sample = synthesize(background, np.random.default_rng(n), settings)
        after = np.median(sample.hu[sample.lung])
        shifts.append(after - before)
        assert after <= settings.density.limit + 5
    assert min(shifts) < -5
    assert max(shifts) > 80
    assert min(shifts) > -80
    assert max(shifts) < 180


def test_consolidation_leaves_numerator_and_denominator():
    background = healthy_background()
    settings = SynthesisSettings(
        healthy=0.0,
        density=None,
        acquisition=None,
        consolidation=ConsolidationSettings(share=1.0, area=0.3),
        vessels=None,
        partial_volume=None,
    )
    for n in range(8):
        sample = synthesize(background, np.random.default_rng(n), settings)
        solid = background.lung & ~sample.lung
        assert 0.005 < solid.sum() / background.lung.sum() <= 0.305
        assert np.median(sample.hu[solid]) > -150
        assert not ((sample.ground_glass | sample.reticulation) & solid).any()


def test_scores_from_masks_count_only_what_lies_in_the_lung():
    lung = np.zeros((10, 10), bool)
    lung[:, :8] = True
    gg = np.zeros_like(lung)
    gg[:4] = True
    ret = np.zeros_like(lung)
    ret[2:6, :4] = True
    assert scores_from_masks(lung, gg, ret) == pytest.approx((100 * (32 + 8) / 80, 40.0, 20.0))
    assert scores_from_masks(np.zeros_like(lung), gg, ret) == (0.0, 0.0, 0.0)


# ---- scanner --------------------------------------------------------------------------------------------------------

NOTHING = AcquisitionSettings(motion=0, blur=0, sharpen=0, noise=0, offset=0, streaks=0)


def _changed(settings: AcquisitionSettings, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    hu = healthy_background().hu.astype(np.float32)
    return hu, change_acquisition(hu.copy(), (1.3, 1.3), np.random.default_rng(seed), settings)


def _detail(hu: np.ndarray) -> float:
    return float(np.abs(np.diff(hu[80:170, 50:100], axis=0)).mean())


def test_the_scanner_may_do_nothing():
    before, after = _changed(NOTHING)
    np.testing.assert_array_equal(before, after)


def test_blur_takes_detail_away_and_sharpening_adds_it():
    before, blurred = _changed(replace(NOTHING, blur=1.0, blur_px=3.0))
    _, sharp = _changed(replace(NOTHING, sharpen=1.0))
    assert _detail(blurred) < 0.9 * _detail(before)
    assert _detail(sharp) > 1.05 * _detail(before)


def test_motion_doubles_borders_in_one_region_and_leaves_densities_alone():
    before = np.full((128, 128), -850, np.float32)
    before[:, 64:] = 40  # a border, as that of the heart
    moving = replace(NOTHING, motion=1.0)
    for n in range(6):
        rng = np.random.default_rng(n)
        after = change_acquisition(before.copy(), (2.0, 2.0), rng, moving)
        changed = np.argwhere(np.abs(after - before) > 0.01)
        assert after.min() >= -850.01
        assert after.max() <= 40.01
        assert (np.abs(changed[:, 1] - 63.5) <= 5).all(), "what moves by 7 mm stays within 4 pixels of the border"


def test_noise_and_offset_keep_their_limits():
    noise = [float((b - a).std()) for a, b in (_changed(replace(NOTHING, noise=1.0), n) for n in range(12))]
    assert max(noise) <= 61
    assert max(noise) > 20
    offset = [float((b - a).mean()) for a, b in (_changed(replace(NOTHING, offset=1.0), n) for n in range(12))]
    assert max(np.abs(offset)) <= 50.01
    assert max(offset) > 10
    assert min(offset) < -10


def test_streaks_are_structured_and_bounded():
    for n in range(6):
        before, after = _changed(replace(NOTHING, streaks=1.0), n)
        assert 2 < float((after - before).std()) < 200


# ---- settings and pictures ------------------------------------------------------------------------------------------


def test_settings_come_from_nested_plain_values():
    settings = SynthesisSettings.from_config(
        {
            "recipe": "procedural",
            "healthy": 0,
            "density": None,
            "procedural": {"ellipses": 1, "extent": {"both": 0, "ret_only": 0}, "ground_glass": {"hu": [-600, -500]}},
        }
    )
    assert settings.density is None
    assert settings.procedural.ground_glass.hu == (-600, -500)
    assert settings.procedural.extent.both == 0
    sample = synthesize(healthy_background(), np.random.default_rng(0), settings)
    assert sample.scores[1] > 0
    assert sample.scores[2] == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"recipe": "magic"}, "procedural, published"),
        ({"colour": 1}, "has no setting 'colour'"),
        ({"procedural": {"extent": {"smal": 1}}}, "smal"),
        ({"healthy": "often"}, "is a number"),
        ({"healthy": 1.5}, "between 0 and 1"),
        ({"density": {"shift": [10, -10]}}, "smaller number first"),
        ({"published": {"edges": "hard"}}, "gaussian, box"),
        ({"procedural": {"texture": "wool"}}, "noise or patches"),
        ({"patches": "some"}, "the word phantom"),
        ({"patches": [{"file": "a.nii.gz"}]}, "needs file, slice, box"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(values, words):
    with pytest.raises(SettingsError, match=words):
        SynthesisSettings.from_config(values)


def test_the_published_recipe_asks_for_its_patches():
    with pytest.raises(SettingsError, match="texture patch of 'gg'"):
        synthesize(healthy_background(), np.random.default_rng(0), SynthesisSettings(recipe="published", healthy=0.0))


def test_a_contact_sheet_shows_contours_and_scores(tmp_path):
    from PIL import Image

    samples = [synthesize(healthy_background(), np.random.default_rng(n)) for n in (1, 2, 3)]
    path = contact_sheet(samples, tmp_path / "sheet.png", columns=2, tile=120)
    with Image.open(path) as sheet:
        assert sheet.width == 2 * 2 * 120
        assert np.asarray(sheet).std() > 20
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]
    picture = np.asarray(sample_picture(samples[0]))
    assert (picture == COLOURS["lung"]).all(axis=-1).any()


def test_the_sheet_of_a_run_shows_samples_of_slices_with_lung_and_is_the_same_again(tmp_path):
    from dataclasses import replace

    whole = healthy_background()
    empty = replace(whole, lung=np.zeros_like(whole.lung), name="empty")
    backgrounds = [empty, replace(whole, name="one"), replace(whole, name="two"), empty]
    paths = [example_sheet(backgrounds, SynthesisSettings(), 5, tmp_path / f"{n}.png", count=3) for n in (1, 2)]
    other = example_sheet(backgrounds, SynthesisSettings(), 6, tmp_path / "3.png", count=3)
    assert paths[0].read_bytes() == paths[1].read_bytes() != other.read_bytes()
    assert example_sheet([empty], SynthesisSettings(), 5, tmp_path / "4.png", count=1).is_file()
    assert example_sheet([], SynthesisSettings(), 5, tmp_path / "5.png") is None


# ---- real slices ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_background(real_ct):
    import SimpleITK as sitk

    from SScILDScoringLib.lungs import slice_lung_mask

    image = sitk.DICOMOrient(sitk.ReadImage(str(real_ct / "volumes" / "lidc0001.nii.gz")), "LPS")
    hu = sitk.GetArrayViewFromImage(image)[48].astype(np.int16)
    spacing = image.GetSpacing()[1::-1]
    return background_from_slice(hu, slice_lung_mask(hu, spacing), spacing, name="lidc0001:48", height=0.45)


@pytest.mark.real_ct
def test_a_real_slice_keeps_its_vessels_and_airways_under_ground_glass(real_background):
    settings = SynthesisSettings.from_config(
        {
            "healthy": 0,
            "procedural": {
                "extent": {"both": 0, "ret_only": 0, "small": 0, "spread": 0},
                "ground_glass": {"hu": [-560, -500]},
            },
        }
    ).disease_only()
    sample = synthesize(real_background, np.random.default_rng(4), settings)
    assert sample.scores[1] > 75
    before, after = real_background.hu.astype(float), sample.hu.astype(float)
    vessel = sample.ground_glass & (before > -150)
    lung = sample.ground_glass & (before < -800) & (before > -920)
    assert vessel.sum() > 300
    assert abs(np.median(after[vessel] - before[vessel])) < 40
    assert np.median(after[lung] - before[lung]) > 200
    assert np.median(after[vessel]) - np.median(after[lung]) > 350


@pytest.mark.real_ct
def test_the_speed_on_a_real_slice_is_printed(real_background, capsys):
    from time import process_time

    for background in (real_background, real_background.resized(256, 256)):
        synthesize(background, np.random.default_rng(0))
        start = process_time()
        for n in range(20):
            synthesize(background, np.random.default_rng(n))
        with capsys.disabled():
            size = background.hu.shape[0]
            print(f"\n  synthesis at {size}x{size}: {50 * (process_time() - start):.1f} ms CPU a sample")
