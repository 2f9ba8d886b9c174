"""What synthesis draws that is no disease: domes cut by the slice, vessels that crowd at the hilum, consolidation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from SScILDScoringTrainingLib.synthesis import SynthesisSettings, synthesize
from SScILDScoringTrainingLib.synthesis.crowded_vessels import VesselSettings
from SScILDScoringTrainingLib.synthesis.partial_volume import PartialVolumeSettings
from synthesis_backgrounds import healthy_background

HEALTHY = replace(SynthesisSettings().disease_only(), healthy=1.0)
DOMES = replace(HEALTHY, partial_volume=PartialVolumeSettings(share=1.0))
VESSELS = replace(HEALTHY, vessels=VesselSettings(share=1.0))


@pytest.fixture(scope="module")
def background():
    return healthy_background()


def samples(background, settings, count=12):
    return [synthesize(background, np.random.default_rng(n), settings) for n in range(count)]


@pytest.mark.parametrize("settings", [DOMES, VESSELS], ids=["domes", "vessels"])
def test_neither_domes_nor_vessels_count_as_disease(background, settings):
    for sample in samples(background, settings):
        assert sample.scores == (0.0, 0.0, 0.0)
    assert any((sample.hu != background.hu).any() for sample in samples(background, settings))


@pytest.mark.parametrize("settings", [DOMES, VESSELS], ids=["domes", "vessels"])
def test_they_only_make_the_slice_denser_and_only_in_and_beside_the_lung(background, settings):
    near = binary_dilation(background.lung, iterations=6)
    for sample in samples(background, settings):
        change = sample.hu.astype(int) - np.clip(background.hu, -1024, None)
        assert change.min() >= 0
        assert (change[~near] == 0).all()


def test_what_a_dome_makes_airless_is_no_longer_lung_and_its_haze_still_is(background):
    haze = 0
    for sample in samples(background, DOMES):
        gone = background.lung & ~sample.lung
        assert not (sample.lung & ~background.lung).any()
        if gone.any():
            assert np.median(sample.hu[gone]) > -450
        change = sample.hu.astype(int) - background.hu
        haze += ((change > 50) & sample.lung).sum()
    assert haze > 0


def test_vessels_leave_the_lung_as_it_is(background):
    for sample in samples(background, VESSELS):
        assert (sample.lung == background.lung).all()


def test_scores_of_a_lung_with_a_dome_count_what_is_left_of_it(background):
    settings = replace(DOMES, healthy=0.0)
    for sample in samples(background, settings, 8):
        diseased = (sample.ground_glass | sample.reticulation) & sample.lung
        assert not ((sample.ground_glass | sample.reticulation) & ~sample.lung).any()
        assert sample.scores[0] == pytest.approx(100 * diseased.sum() / max(sample.lung.sum(), 1), abs=1e-6)


def test_either_can_be_left_out(background):
    plain = SynthesisSettings.from_config(
        {"healthy": 1.0, "vessels": None, "partial_volume": None, "density": None, "acquisition": None,
         "consolidation": None}
    )  # fmt: skip
    assert (synthesize(background, np.random.default_rng(1), plain).hu == np.clip(background.hu, -1024, 3071)).all()
