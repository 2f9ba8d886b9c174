"""The body in one axial slice: the patient in, table, clothes and air out."""

from __future__ import annotations

import time

import numpy as np
import pytest
import SimpleITK as sitk

from SScILDScoringLib.body import body_mask


def ellipse(size, centre, radii):
    y, x = np.mgrid[:size, :size]
    return ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 <= 1


def chest(size=512):
    """A chest with two lungs on a table of thin shell and foam, and the true body."""
    u = size / 512
    hu = np.full((size, size), -1000, np.int16)
    body = ellipse(size, (250 * u, 256 * u), (130 * u, 190 * u))
    hu[body] = 40
    for x in (165, 345):
        hu[ellipse(size, (245 * u, x * u), (90 * u, 65 * u))] = -850
    table = np.zeros_like(body)
    table[int(384 * u) : int(420 * u), int(60 * u) : int(450 * u)] = True
    table &= ~body
    hu[table] = -930
    shell = np.zeros_like(body)
    shell[int(384 * u) : int(387 * u), int(60 * u) : int(450 * u)] = True
    hu[shell & ~body] = 0
    hu[int(417 * u) : int(420 * u), int(60 * u) : int(450 * u)] = -100
    return hu, body


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("size", [128, 256, 512, 768])
def test_the_patient_is_inside_and_the_table_is_not(size):
    hu, body = chest(size)
    mask = body_mask(hu)
    assert dice(mask, body) > 0.97
    assert not mask[int(0.8 * size) :].any()


def test_lungs_airways_and_bowel_gas_are_inside_the_body():
    hu, _ = chest()
    hu[ellipse(512, (220, 256), (10, 10))] = -1000
    mask = body_mask(hu)
    assert mask[hu == -850].all()
    assert mask[215:225, 250:260].all()


def test_noise_and_padding_do_not_matter():
    hu, body = chest()
    noisy = (hu + np.random.default_rng(0).normal(0, 60, hu.shape)).astype(np.int16)
    noisy[~ellipse(512, (256, 256), (256, 256))] = -3024
    assert dice(body_mask(noisy), body) > 0.96


def test_lung_at_the_border_of_a_cropped_image_is_inside():
    hu, body = chest()
    cropped = hu[:, 150:]
    assert dice(body_mask(cropped), body[:, 150:]) > 0.97


def test_a_slice_of_air_has_no_body():
    assert not body_mask(np.full((128, 128), -1000, np.int16)).any()


def test_any_numeric_type_will_do():
    hu, _ = chest(256)
    assert np.array_equal(body_mask(hu), body_mask(hu.astype(np.float32)))


def test_turned_and_mirrored_slices_give_turned_and_mirrored_masks():
    hu, _ = chest()
    mask = body_mask(hu)
    assert dice(body_mask(hu[:, ::-1])[:, ::-1], mask) > 0.995
    assert dice(body_mask(hu[::-1])[::-1], mask) > 0.995


def test_the_input_stays_as_it_was():
    hu, _ = chest(256)
    before = hu.copy()
    body_mask(hu)
    assert np.array_equal(hu, before)


@pytest.mark.real_ct
def test_real_slices_hold_one_body_without_the_table(real_ct):
    for path in sorted((real_ct / "slices").glob("*.dcm")):
        hu = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0]
        mask = body_mask(hu)
        assert 0.15 < mask.mean() < 0.7, path.name
        assert hu[mask].mean() > -500, path.name
        assert not mask[-20:, 200:300].any(), f"{path.name}: the table is in"


def test_it_is_quick_enough_to_be_called_for_every_slice():
    """Times are for the benchmark; here only a blunder is caught."""
    hu, _ = chest()
    start = time.process_time()
    for _ in range(5):
        body_mask(hu)
    assert (time.process_time() - start) / 5 < 0.2
