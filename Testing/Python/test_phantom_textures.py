"""Texture models of lung: densities, lines and vessels as training and heat maps expect them."""

from __future__ import annotations

import numpy as np
import pytest

from SScILDScoringLib.phantom.textures import (
    ground_glass_texture,
    healthy_patch,
    healthy_texture,
    reticulation_texture,
)

SHAPE = (120, 160)


def _rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("make", [healthy_texture, ground_glass_texture, reticulation_texture])
def test_textures_are_float32_fields_that_follow_from_the_generator(make):
    a, b, c = make(SHAPE, _rng(1)), make(SHAPE, _rng(1)), make(SHAPE, _rng(2))
    assert a.shape == SHAPE
    assert a.dtype == np.float32
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_healthy_lung_is_dark_with_a_few_vessels():
    hu = healthy_texture((256, 256), _rng(), noise_hu=10)
    assert -910 < np.median(hu) < -800
    assert 0.001 < (hu > -400).mean() < 0.06


def test_ground_glass_is_hazy_and_its_vessels_are_seen():
    hu = ground_glass_texture((256, 256), _rng(), severity=0.5, noise_hu=10)
    assert -760 < np.median(hu) < -480
    assert (hu > np.median(hu) + 250).mean() > 0.001


def test_reticulation_is_a_network_of_lines_between_airy_cells():
    hu = reticulation_texture((256, 256), _rng(), severity=0.5, noise_hu=10, vessels=0)
    lines = (hu > -650).mean()
    assert 0.1 < lines < 0.65
    assert (hu < -750).mean() > 0.2


@pytest.mark.parametrize("make", [ground_glass_texture, reticulation_texture])
def test_severity_makes_textures_denser(make):
    mild, severe = (np.mean([make(SHAPE, _rng(s), severity=v).mean() for s in range(3)]) for v in (0.1, 0.9))
    assert severe > mild + 40


def test_the_healthy_patch_is_fixed():
    patch = healthy_patch()
    assert patch.shape == (64, 64)
    assert patch.dtype == np.int16
    np.testing.assert_array_equal(patch, healthy_patch())
    assert (patch != healthy_patch(seed=1)).any()
    assert healthy_patch(size=32).shape == (32, 32)
    assert -890 < np.median(patch) < -830
