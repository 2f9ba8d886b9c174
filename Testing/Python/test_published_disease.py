"""The published recipe (method.md section 4) in its numbers, and textures with and without a period."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.config import read_yaml
from SScILDScoringTrainingLib.synthesis import SynthesisSettings, synthesize
from SScILDScoringTrainingLib.synthesis.published_disease import PublishedSettings, draw_ellipses, fill_with_patches
from SScILDScoringTrainingLib.synthesis.texture_growth import GrowingTexture
from SScILDScoringTrainingLib.synthesis.texture_patches import (
    PatchSource,
    TexturePatch,
    load_patch,
    mirrored_tiling,
    phantom_patches,
    slice_texture,
)
from synthesis_backgrounds import VESSEL_COLUMNS, VESSEL_ROWS, healthy_background


def _flat(hu: float, pattern: str) -> TexturePatch:
    return TexturePatch(np.full((20, 20), hu, np.int16), pattern)


FLAT = (_flat(-600, "gg"), _flat(-200, "ret"))


def test_the_defaults_are_the_published_numbers():
    settings = SynthesisSettings.as_published(FLAT).published
    assert settings.ellipses == (1, 3)
    assert settings.axes_px == (1.0, 150.0)
    assert settings.rotation_deg == 180
    assert settings.scale == (0.95, 1.05)
    assert settings.edges == "gaussian"
    assert settings.edge_px == 20
    assert settings.overlap == "average"
    assert settings.tiled
    assert not settings.keep_vessels


def test_one_to_three_ellipses_with_axes_up_to_150_pixels_of_512():
    """No edge blur: every piece fits the box of an ellipse, the area fits three."""
    background = healthy_background()
    settings = PublishedSettings(edges="box", edge_px=1, centres="weighted")
    longest = 150 * background.hu.shape[1] / 512
    rng = np.random.default_rng(0)
    pieces_seen = set()
    for _ in range(60):
        mask = draw_ellipses(background, rng, settings) > 0.5
        assert mask.sum() <= 3 * np.pi / 4 * longest**2
        pieces, count = ndimage.label(mask)
        pieces_seen.add(min(count, 4))
        if count == 1:
            box = ndimage.find_objects(pieces)[0]
            assert max(s.stop - s.start for s in box) <= 3 * longest
    assert {1, 2} <= pieces_seen


def test_masks_are_cut_by_the_lung_and_fade_at_their_edges():
    background = healthy_background()
    rng = np.random.default_rng(2)
    for edges in ("gaussian", "box"):
        settings = PublishedSettings(edges=edges, axes_px=(80, 150), centres="weighted")
        alpha = draw_ellipses(background, rng, settings)
        assert not alpha[~background.anatomy.lung].any()
        between = (alpha > 0.1) & (alpha < 0.9)
        assert between.sum() > 200


def test_weighted_centres_favour_the_border_and_the_back():
    background = healthy_background()
    rng = np.random.default_rng(4)

    def centre_of(centres: str) -> tuple[float, float]:
        settings = PublishedSettings(edges="box", edge_px=1, ellipses=(1, 1), axes_px=(10, 20), centres=centres)
        depth, back = [], []
        while len(depth) < 80:
            mask = draw_ellipses(background, rng, settings) > 0.5
            if mask.any():
                depth.append(background.anatomy.pleural_mm[mask].mean())
                back.append(np.broadcast_to(background.anatomy.posterior, mask.shape)[mask].mean())
        return float(np.mean(depth)), float(np.mean(back))

    anywhere, weighted = centre_of("anywhere"), centre_of("weighted")
    assert weighted[0] < anywhere[0]
    assert weighted[1] > anywhere[1]


def test_in_the_overlap_both_textures_are_averaged():
    background = healthy_background()
    lung = background.anatomy.lung
    gg = lung.astype(np.float32)
    ret = np.where(background.anatomy.posterior > 0.5, lung, 0).astype(np.float32)
    for overlap, both in (("average", -400), ("over", -200)):
        hu = background.hu[background.anatomy.window].astype(np.float32)
        settings = PublishedSettings(overlap=overlap, tiled=True)
        fill_with_patches(hu, (gg, ret), background, np.random.default_rng(0), settings, FLAT)
        np.testing.assert_allclose(hu[(gg > 0) & (ret == 0)], -600, atol=0.5)
        np.testing.assert_allclose(hu[ret > 0], both, atol=0.5)


def test_the_published_filling_replaces_vessels_and_ours_can_keep_them():
    background = healthy_background()
    gg = background.anatomy.lung.astype(np.float32)
    window = background.anatomy.window
    rows = slice(VESSEL_ROWS[0] - window[0].start, VESSEL_ROWS[1] + 1 - window[0].start)
    columns = slice(VESSEL_COLUMNS[0] + 5 - window[1].start, VESSEL_COLUMNS[1] - 5 - window[1].start)
    levels = {}
    for keep in (False, True):
        hu = background.hu[window].astype(np.float32)
        settings = PublishedSettings(keep_vessels=keep)
        fill_with_patches(hu, (gg, None), background, np.random.default_rng(0), settings, FLAT)
        levels[keep] = hu[rows, columns].mean()
    assert levels[False] == pytest.approx(-600, abs=2)
    assert levels[True] > 0


def test_mirrored_tiles_continue_across_their_borders_and_repeat():
    patch = np.arange(12).reshape(3, 4)
    tiled = mirrored_tiling(patch, (13, 17))
    assert tiled.shape == (13, 17)
    np.testing.assert_array_equal(tiled[:3, :4], patch)
    np.testing.assert_array_equal(tiled[:3, 4:8], patch[:, ::-1])
    np.testing.assert_array_equal(tiled[3:6, :4], patch[::-1])
    np.testing.assert_array_equal(tiled[6:12, 8:16], tiled[:6, :8])


def _strongest_repeat(texture: np.ndarray, smallest_lag: int) -> float:
    """The highest autocorrelation at a lag of at least ``smallest_lag`` pixels in any direction."""
    values = texture - ndimage.gaussian_filter(texture, 12)
    power = np.abs(np.fft.rfft2(values)) ** 2
    correlation = np.fft.irfft2(power, texture.shape)
    correlation /= correlation[0, 0]
    rows = np.minimum(np.arange(texture.shape[0]), texture.shape[0] - np.arange(texture.shape[0]))
    columns = np.minimum(np.arange(texture.shape[1]), texture.shape[1] - np.arange(texture.shape[1]))
    lag = np.hypot(rows[:, None], columns[None, :])
    return float(correlation[lag >= smallest_lag].max())


@pytest.mark.parametrize("pattern", ["gg", "ret"])
def test_grown_textures_have_no_period_where_tiles_have_one(pattern):
    patch = next(p for p in phantom_patches(1, seed=3, size=40) if p.pattern == pattern)
    rng = np.random.default_rng(0)
    shape = (320, 320)
    tiled = slice_texture(patch, shape, rng, tiled=True, rotation_deg=0, scale=(1, 1))
    grown = slice_texture(patch, shape, rng)
    assert _strongest_repeat(tiled, 30) > 0.5
    assert _strongest_repeat(grown, 30) < 0.15


@pytest.mark.parametrize("pattern", ["gg", "ret"])
def test_grown_textures_have_the_patch_s_values_and_grain(pattern):
    patch = next(p for p in phantom_patches(1, seed=5, size=48) if p.pattern == pattern)
    grown = GrowingTexture(patch.hu, 3.0).grow((256, 256), np.random.default_rng(1))
    hu = patch.hu.astype(np.float32)
    assert float(grown.mean()) == pytest.approx(float(hu.mean()), abs=0.25 * float(hu.std()))
    assert float(grown.std()) == pytest.approx(float(hu.std()), rel=0.2)
    steps = np.abs(np.diff(grown, axis=0)).mean() / np.abs(np.diff(hu, axis=0)).mean()
    assert 0.6 < steps < 1.3


def test_a_patch_keeps_its_size_in_millimetres():
    """The same texture on pixels twice as large has structures half as many pixels wide."""
    patch = next(p for p in phantom_patches(1, seed=3, size=48) if p.pattern == "ret")

    def width(spacing: float) -> float:
        texture = slice_texture(patch, (256, 256), np.random.default_rng(0), spacing_mm=spacing)
        return 1 / float(np.abs(np.diff(texture, axis=1)).mean() / texture.std())

    assert width(0.35) > 1.5 * width(0.7)


def test_published_samples_hold_the_texture_they_were_given():
    settings = SynthesisSettings.as_published(FLAT, axes_px=(100, 200), centres="weighted")
    background = healthy_background()
    checked = 0
    for n in range(20):
        sample = synthesize(background, np.random.default_rng(n), settings)
        beside = ndimage.binary_dilation(sample.reticulation, iterations=12)
        deep = ndimage.binary_erosion(sample.ground_glass & ~beside, iterations=8)
        if deep.sum() > 20:
            checked += 1
            assert abs(np.median(sample.hu[deep]) + 600) < 60
    assert checked >= 3


# ---- patches from files --------------------------------------------------------------------------------------------


def test_a_patch_is_cut_from_the_slice_and_box_that_the_configuration_names(tmp_path):
    import SimpleITK as sitk

    voxels = np.full((3, 60, 50), -800, np.int16)
    voxels[1, 10:40, 20:44] = np.arange(24, dtype=np.int16) - 500
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.8, 0.8, 5.0))
    sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    values = {"file": "ct.nii.gz", "slice": 1, "box": [10, 40, 20, 44], "pattern": "ret"}
    patch = load_patch(PatchSource.from_config(values, tmp_path))
    np.testing.assert_array_equal(patch.hu, voxels[1, 10:40, 20:44])
    assert patch.pattern == "ret"
    assert patch.spacing_mm == pytest.approx(0.8)
    with pytest.raises(SettingsError, match="reaches out"):
        load_patch(PatchSource.from_config({**values, "box": [10, 80, 20, 44]}, tmp_path))
    with pytest.raises(SettingsError, match="at least 16x16"):
        load_patch(PatchSource.from_config({**values, "box": [10, 15, 20, 44]}, tmp_path))
    with pytest.raises(SettingsError, match="gg, ret, healthy"):
        load_patch(PatchSource.from_config({**values, "pattern": "cyst"}, tmp_path))


@pytest.mark.real_ct
def test_a_patch_is_cut_from_a_single_real_dicom_slice(real_ct):
    values = {"file": "covid_ny_sbu_A046441_19001111-045.dcm", "box": [308, 348, 122, 162], "pattern": "gg"}
    patch = load_patch(PatchSource.from_config(values, real_ct / "slices"))
    assert patch.hu.shape == (40, 40)
    assert -500 < patch.hu.mean() < -100
    assert patch.spacing_mm == pytest.approx(0.693, abs=0.001)


@pytest.mark.parametrize("preset", ["s_net_2022_vgg11", "s_net_2024_convnext"])
def test_presets_of_the_publications_change_slices_by_nothing_but_their_disease(preset, monkeypatch):
    for name in ("COHORT", "IMAGENET"):
        monkeypatch.setenv(name, "somewhere")
    settings = SynthesisSettings.from_config({**read_yaml(preset)["data"]["synthesis"], "patches": "phantom"})
    published = SynthesisSettings.as_published(settings.patches)
    changes = ("density", "vessels", "partial_volume", "consolidation", "acquisition")
    assert {name: getattr(settings, name) for name in changes} == dict.fromkeys(changes)
    assert {name: getattr(published, name) for name in changes} == dict.fromkeys(changes)
    assert settings.recipe == "published"
    assert settings.published.tiled
