"""What slice scoring promises: every slice scored as if alone, a profile of the lung, and the network's own maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from small_bundles import l_net_bundle, s_net_bundle
from SScILDScoringLib.devices import threads
from SScILDScoringLib.errors import Cancelled, ModelError, ScanError
from SScILDScoringLib.lungs import LungMask
from SScILDScoringLib.scan import scan_from_array
from SScILDScoringLib.slice_network import SliceNetwork
from SScILDScoringLib.slice_scoring import explain_slices, score_every_slice, score_slices


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return s_net_bundle(tmp_path_factory.mktemp("bundles") / "s")


@pytest.fixture(scope="module")
def scan():
    """Twelve different slices, stored from the head downwards."""
    generator = np.random.default_rng(0)
    voxels = np.stack([generator.normal(-900 + 70 * k, 80, (48, 56)) for k in range(12)]).astype(np.int16)
    return scan_from_array(voxels, np.diag([0.8, 0.9, -2.0, 1.0]))


@pytest.fixture(scope="module")
def lungs(scan):
    """Lung in slices 2 to 9, growing towards the feet; a single pixel of it in slice 10."""
    labels = np.zeros(scan.shape, np.uint8)
    for k in range(2, 10):
        labels[k, 10 : 40 - 2 * k, 8:40] = 1
    labels[10, 20, 20] = 2
    return LungMask(labels, "given")


def test_slices_are_scored_as_if_each_were_alone(scan, bundle):
    indices = [3, 0, 11, 7, 7, 2]
    together = score_slices(scan, indices, bundle)
    for k, scores in zip(indices, together, strict=True):
        x = torch.from_numpy(bundle.input.prepare(scan.axial_slice(k)))[None, None]
        assert np.allclose(scores.raw, bundle.network()(x)[0].numpy(), atol=1e-4)
    assert together[0].raw != together[1].raw


def test_a_slice_that_the_scan_does_not_have_is_refused(scan, bundle):
    with pytest.raises(ScanError, match="no slice 12"):
        score_slices(scan, [3, 12], bundle)


def test_an_l_net_is_refused(scan, tmp_path):
    with pytest.raises(ModelError, match="choose an S-Net"):
        score_slices(scan, [3], l_net_bundle(tmp_path / "l", (50, 40, 30, 20, 10)))


def test_cancelling_ends_between_batches(scan, bundle):
    def cancel(stage, fraction, message):
        if fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        score_slices(scan, range(12), bundle, cancel)


def test_the_profile_holds_every_slice_with_lung(scan, lungs, bundle):
    profile = score_every_slice(scan, lungs, bundle)
    assert profile.slice_indices == tuple(range(2, 10))
    assert profile.file_slice_indices == tuple(range(9, 1, -1))
    assert profile.mm == tuple(scan.mm_of_slice(k) for k in range(2, 10))
    assert profile.lung_area_mm2 == pytest.approx([(30 - 2 * k) * 32 * 0.72 for k in range(2, 10)])
    assert [s.raw for s in profile.scores] == [s.raw for s in score_slices(scan, range(2, 10), bundle)]


def test_the_whole_lungs_extent_is_that_of_all_its_voxels(scan, lungs, bundle):
    """Every lung voxel carries its slice's score: the mean over voxels is the volume-weighted mean."""
    profile = score_every_slice(scan, lungs, bundle)
    voxels = [
        s.clipped
        for k, s in zip(profile.slice_indices, profile.scores, strict=True)
        for _ in range(int(lungs.mask(k).sum()))
    ]
    assert np.allclose(profile.extent, np.mean(voxels, axis=0))


def test_a_scan_without_lung_has_no_profile(scan, bundle):
    with pytest.raises(ScanError, match="holds lung"):
        score_every_slice(scan, LungMask(np.zeros(scan.shape, np.uint8), "given"), bundle)


def test_a_ratio_networks_maps_lie_on_the_slice_and_explain_its_score(scan, bundle):
    (maps,) = explain_slices(scan, [4], bundle)
    assert maps.lung.shape == (48, 56)
    assert maps.patterns.shape == (3, 48, 56)
    assert 0 <= maps.patterns.min() <= maps.patterns.max() <= 1
    ratio = 100 * (maps.lung * maps.patterns).sum((1, 2)) / maps.lung.sum()
    # Grown from 8x8 cells linearly, so only nearly the network's own sums.
    assert np.allclose(ratio, score_slices(scan, [4], bundle)[0].raw, atol=6.0)


def test_the_maps_stand_where_the_disease_stands(scan, bundle):
    """A map is not mirrored or transposed on its way to the slice: changing one corner changes that corner."""
    hu = np.array(scan.voxels)
    hu[4, :12, :14] = 40
    changed = scan_from_array(hu[::-1].copy(), np.diag([0.8, 0.9, 2.0, 1.0]))
    before = explain_slices(scan, [4], bundle)[0]
    after = explain_slices(changed, [changed.slice_count - 1 - 4], bundle)[0]
    difference = np.abs(after.patterns - before.patterns).sum(0)
    y, x = np.unravel_index(difference.argmax(), difference.shape)
    assert y < 24
    assert x < 28


def test_a_network_without_maps_has_no_explanation(scan, tmp_path):
    bundle = s_net_bundle(tmp_path / "s", "compact_pool", widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1))
    assert not SliceNetwork(bundle).has_maps
    assert explain_slices(scan, [4], bundle) == []
