"""Backgrounds: healthy slices with what disease goes by: airy tissue, vessels, airways, distances to the pleura."""

from __future__ import annotations

import numpy as np
import pytest

from SScILDScoringLib.errors import ScanError, SettingsError
from SScILDScoringLib.lungs import LungMask
from SScILDScoringLib.scan import CTScan
from SScILDScoringTrainingLib.synthesis import Background, Slab, background_from_slice, backgrounds_from_scan
from synthesis_backgrounds import AIRWAY, MM, VESSEL_COLUMNS, VESSEL_ROWS, healthy_background, lungless_background


@pytest.fixture(scope="module")
def scan_and_lungs() -> tuple[CTScan, LungMask]:
    thorax, abdomen = healthy_background(), lungless_background()
    voxels = np.stack([abdomen.hu, thorax.hu, thorax.hu, thorax.hu])
    voxels[:, 0, 0] = -2048  # scanner padding
    labels = np.stack([b.lung for b in (abdomen, thorax, thorax, thorax)]).astype(np.uint8)
    labels[:, :, 128:] *= 2
    return CTScan(voxels, (0, 0, 0), (MM, MM, 5.0)), LungMask(labels, "test")


def test_backgrounds_carry_slice_masks_spacing_and_height(scan_and_lungs):
    scan, lungs = scan_and_lungs
    first, middle, top = backgrounds_from_scan(scan, lungs, [1, 2, 3], "case")
    assert [b.name for b in (first, middle, top)] == ["case:1", "case:2", "case:3"]
    assert [b.height for b in (first, middle, top)] == [0.0, 0.5, 1.0]
    assert middle.spacing_mm == (MM, MM)
    np.testing.assert_array_equal(middle.lung, lungs.mask(2))
    assert not (middle.lung & ~middle.body).any()
    assert middle.hu.dtype == np.int16
    assert middle.hu.min() >= -1024


def test_slabs_show_the_same_slices_as_a_scanner_with_thicker_slices_would():
    voxels = np.full((7, 64, 64), -850, np.int16)
    voxels[3, 30, 20:40] = 50  # a vessel within one slice
    labels = np.ones_like(voxels, np.uint8)
    scan, lungs = CTScan(voxels, (0, 0, 0), (0.7, 0.7, 2.5)), LungMask(labels, "test")
    slabs = [Slab(7.5), Slab(12.5), Slab(7.5, brightest=0.5)]
    plain, thin, thick, crowded = (
        backgrounds_from_scan(scan, lungs, [3], "case", slabs)[n].hu[30, 30] for n in range(4)
    )
    assert plain == 50
    assert thin == pytest.approx(-850 + 900 / 3, abs=1)
    assert thick == pytest.approx(-850 + 900 / 5, abs=1)
    assert crowded == pytest.approx((50 + thin) / 2, abs=1)
    both = backgrounds_from_scan(scan, lungs, iter([2, 4]), "case", [Slab(7.5)])
    assert [b.name for b in both] == ["case:2", "case:4", "case:2", "case:4"]


def test_the_lung_of_a_slab_is_where_most_of_its_slices_show_lung(scan_and_lungs):
    scan, lungs = scan_and_lungs
    _, slab = backgrounds_from_scan(scan, lungs, [1], "case", [Slab(15)])
    np.testing.assert_array_equal(slab.lung, lungs.mask(1))
    with pytest.raises(SettingsError, match="thicker"):
        Slab(0)


def test_slices_without_lung_are_backgrounds_too(scan_and_lungs):
    (abdomen,) = backgrounds_from_scan(*scan_and_lungs, [0], "case")
    assert not abdomen.has_lung
    assert abdomen.anatomy is None


def test_a_slice_that_is_not_there_is_refused(scan_and_lungs):
    with pytest.raises(ScanError, match="no slice 9"):
        backgrounds_from_scan(*scan_and_lungs, [9], "case")


def test_the_body_is_found_when_it_is_not_given():
    thorax = healthy_background()
    found = background_from_slice(thorax.hu, thorax.lung, (MM, MM)).body
    assert (found & thorax.body).sum() > 0.95 * thorax.body.sum()


def test_wrong_masks_and_types_are_refused():
    thorax = healthy_background()
    with pytest.raises(SettingsError, match="int16"):
        Background(thorax.hu.astype(float), thorax.lung, thorax.body, (MM, MM))
    with pytest.raises(SettingsError, match="lung mask"):
        Background(thorax.hu, thorax.lung[1:], thorax.body, (MM, MM))
    with pytest.raises(SettingsError, match="pixel size"):
        Background(thorax.hu, thorax.lung, thorax.body, (MM, 0.0))


def test_a_smaller_background_shows_the_same_lung():
    thorax = healthy_background()
    small = thorax.resized(128, 128)
    assert small.hu.shape == (128, 128)
    assert small.spacing_mm == (2 * MM, 2 * MM)
    assert 4 * small.lung.sum() == pytest.approx(thorax.lung.sum(), rel=0.02)
    assert small.hu[small.lung].mean() == pytest.approx(thorax.hu[thorax.lung].mean(), abs=15)
    assert thorax.resized(256, 256) is thorax


def test_airiness_is_one_in_lung_and_nothing_in_vessels_and_airways():
    thorax = healthy_background()
    anatomy = thorax.anatomy
    airiness = np.zeros(thorax.hu.shape, np.float32)
    airiness[anatomy.window] = anatomy.airiness
    plain = thorax.lung & (thorax.hu < -800) & (thorax.hu > -900)
    assert np.median(airiness[plain]) > 0.95
    middle = (VESSEL_ROWS[0] + VESSEL_ROWS[1]) // 2
    assert airiness[middle, VESSEL_COLUMNS[0] + 5 : VESSEL_COLUMNS[1] - 5].max() < 0.1
    assert airiness[AIRWAY] < 0.3
    assert not airiness[~thorax.body].any()


def test_distances_and_positions_are_in_millimetres_and_parts_of_the_lung():
    anatomy = healthy_background().anatomy
    assert not anatomy.pleural_mm[~anatomy.lung].any()
    assert anatomy.pleural_mm.max() == pytest.approx(42 * MM, rel=0.15)  # the lungs' shorter half axis
    inside = anatomy.lung
    assert (anatomy.costal_mm[inside] >= anatomy.pleural_mm[inside] - 2 * MM).all()
    middle = anatomy.lung.shape[1] // 2
    side = np.flatnonzero(anatomy.lung[anatomy.lung.shape[0] // 2])
    medial = side[side < middle].max()
    assert anatomy.pleural_mm[anatomy.lung.shape[0] // 2, medial] < 2 * MM
    assert anatomy.costal_mm[anatomy.lung.shape[0] // 2, medial] > 30
    assert anatomy.posterior.min() == 0
    assert anatomy.posterior.max() == 1
    assert anatomy.posterior[0] < anatomy.posterior[-1]


def test_the_density_of_the_parenchyma_leaves_vessels_out():
    anatomy = healthy_background().anatomy
    assert np.median(anatomy.base_hu[anatomy.lung]) == pytest.approx(-865, abs=20)
    assert anatomy.base_hu[anatomy.lung].max() < -780
