"""The bundled starter networks: complete, small, honest about themselves, and of use on a phantom they never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from SScILDScoringLib.levels import Level
from SScILDScoringLib.models import ModelBundle
from SScILDScoringLib.phantom import PhantomSpec, make_phantom
from SScILDScoringLib.phantom.spec import DiseaseSpec
from SScILDScoringLib.pipeline import score_scan

MODELS = Path(__file__).resolve().parents[2] / "Resources" / "Models"
STARTERS = {"l_net": "l_net_starter", "s_net": "s_net_starter"}


@pytest.fixture(scope="module")
def bundles() -> dict[str, ModelBundle]:
    return {kind: ModelBundle.load(MODELS / name, kind) for kind, name in STARTERS.items()}


@pytest.fixture(scope="module")
def scored():
    """A phantom with basal disease, of a seed that no training uses, and its result without heat maps."""
    spec = PhantomSpec.random(
        np.random.default_rng(5_000_001),
        matrix=512,
        slices=64,
        arms="up",
        masses=0,
        disease=DiseaseSpec(ground_glass=0.3, reticulation=0.15, distribution="basal", severity=0.6),
    )
    phantom = make_phantom(spec)
    result = score_scan(
        phantom.scan,
        l_net=MODELS / STARTERS["l_net"],
        s_net=MODELS / STARTERS["s_net"],
        heat_maps=False,
        device="cpu",
    )
    return phantom, result


@pytest.mark.parametrize("kind", STARTERS)
def test_every_file_has_its_checksum_and_the_bundle_is_small(bundles, kind):
    files = [path for path in bundles[kind].folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    assert bundles[kind].kind == kind


@pytest.mark.parametrize("kind", STARTERS)
def test_it_says_everywhere_that_it_is_not_validated(bundles, kind):
    words = "Starter weights: synthetic disease, not clinically validated."
    assert not bundles[kind].validated
    assert bundles[kind].notice == words
    assert words in (bundles[kind].folder / "docs" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", STARTERS)
def test_every_public_collection_is_named_with_licence_and_citation(bundles, kind):
    card = (bundles[kind].folder / "docs" / "README.md").read_text(encoding="utf-8")
    for words in ("LIDC-IDRI", "CC BY 3.0", "Lung-PET-CT-Dx", "CC BY 4.0", "10.7937/K9/TCIA.2015.LO9QL9SX"):
        assert words in card


def test_the_healthy_patch_and_the_thresholds_come_with_the_s_net(bundles):
    assert bundles["s_net"].healthy_patch.shape == (64, 64)
    assert set(bundles["s_net"].thresholds) == {"tot", "gg", "ret"}


@pytest.mark.parametrize("level", list(Level), ids=lambda level: level.name)
def test_levels_of_an_unseen_phantom_are_found(scored, level):
    phantom, result = scored
    assert result.levels[level].mm == pytest.approx(phantom.levels[level].mm, abs=12)
    assert result.levels[level].source == "l_net"


def test_scores_of_an_unseen_phantom_follow_its_disease(scored):
    phantom, result = scored
    true = np.array([phantom.scores(k) for k in result.slice_indices])
    found = np.array([score.clipped for score in result.scores])
    assert np.abs(found[:, 0] - true[:, 0]).mean() < 12
    assert true[4, 0] - true[0, 0] > 20, "the phantom is to have much more disease at the base"
    assert found[4, 0] > found[0, 0] + 10


def test_a_result_of_the_starters_says_so(scored):
    codes = [finding.code for finding in scored[1].findings]
    assert codes.count("model_not_validated") == 2
