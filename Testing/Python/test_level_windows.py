"""What the shared computation of L-Net's windows promises: the network's own answers, each window by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SScILDScoringLib.devices import threads
from SScILDScoringLib.errors import Cancelled
from SScILDScoringLib.level_windows import CHECKED, Rest, can_share, window_answers
from SScILDScoringLib.models import default_bundle
from SScILDScoringLib.networks import build_l_net
from SScILDScoringLib.preprocessing import normalized_patch

DEPTH = 66
STARTS = (0, 3, 4, 8, 12, 18)


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


@pytest.fixture(scope="module")
def volume():
    """A resized CT whose windows differ in mean and deviation, as those from the shoulders to the belly do."""
    z = np.linspace(0, 1, 84, dtype=np.float32)[:, None, None]
    noise = np.random.default_rng(0).normal(0, 1, (84, 66, 70))
    return (-700 + 400 * z + (200 + 300 * z) * noise).astype(np.float32)


def published(seed: int, **options):
    """VGG11 with random weights and norms as training leaves them: gains of either sign, one channel switched off."""
    torch.manual_seed(seed)
    network = build_l_net("vgg11_3d", **options).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.normal_(module.running_mean, 0, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.weight, 1, 0.7)
            torch.nn.init.normal_(module.bias, 0, 0.3)
            with torch.no_grad():
                module.weight[3] = 0
    return network


def one_by_one(network, volume, starts=STARTS, depth=DEPTH):
    """The definition: every window cut out, z-scored and given to the network."""
    with torch.inference_mode():
        patches = [torch.from_numpy(normalized_patch(volume[k : k + depth]))[None, None] for k in starts]
        return np.array([k + network(patch)[0].numpy() for k, patch in zip(starts, patches, strict=True)])


@pytest.mark.parametrize("seed", [0, 1])
def test_every_window_is_answered_as_if_alone(volume, seed):
    network = published(seed)
    assert can_share(network, volume.shape, DEPTH)
    wanted = one_by_one(network, volume)
    assert np.ptp(wanted - np.array(STARTS)[:, None], axis=0).max() > 0.1  # the windows do differ
    assert np.abs(window_answers(network, volume, STARTS, DEPTH, precision="fp32") - wanted).max() < 1e-3


def test_the_default_precision_keeps_the_levels_to_a_twentieth_of_a_millimetre(volume):
    network = published(2, hidden=64)
    wanted = one_by_one(network, volume)
    mm_per_slice = 1.2
    for precision in ("auto", "bf16"):
        found = window_answers(network, volume, STARTS, DEPTH, precision=precision)
        assert np.abs(found.mean(0) - wanted.mean(0)).max() * mm_per_slice < 0.05


def test_bf16_is_not_believed_where_it_differs(volume, monkeypatch):
    """A network that reacts too strongly to rounding is computed in fp32 although bf16 was asked for."""
    network = published(3, hidden=64)
    with torch.no_grad():
        network.classifier[-1].weight.mul_(100)
    used = []
    original = Rest.__call__
    monkeypatch.setattr(Rest, "__call__", lambda self, *a: (used.append(self._precision), original(self, *a))[1])
    found = window_answers(network, volume, STARTS, DEPTH, precision="bf16")
    assert used.count(torch.bfloat16) == CHECKED
    assert used.count(torch.float32) == len(STARTS)
    assert np.abs(found - one_by_one(network, volume)).max() < 0.05


def test_bf16_is_used_where_it_agrees(volume, monkeypatch):
    network = published(2, hidden=64)
    with torch.no_grad():
        network.classifier[-1].weight.mul_(0.01)
    used = []
    original = Rest.__call__
    monkeypatch.setattr(Rest, "__call__", lambda self, *a: (used.append(self._precision), original(self, *a))[1])
    window_answers(network, volume, STARTS, DEPTH, precision="bf16")
    assert used.count(torch.float32) == CHECKED
    assert used.count(torch.bfloat16) == len(STARTS)


def test_a_constant_window_is_zeros_after_the_z_score_here_too():
    network = published(4, hidden=64)
    volume = np.full((70, 64, 64), -1000, np.float32)
    assert np.allclose(window_answers(network, volume, (0, 4), 66), one_by_one(network, volume, (0, 4)), atol=1e-3)


@pytest.mark.parametrize("depth", [65, 66])
def test_windows_that_share_nothing_are_computed_one_by_one(volume, depth):
    network = published(5, hidden=64)
    odd = volume[:, :, :69]
    assert not can_share(network, odd.shape, depth)
    found = window_answers(network, odd, STARTS, depth)
    assert np.allclose(found, one_by_one(network, odd, STARTS, depth), atol=1e-3)


def test_the_starters_levels_are_equal_to_a_twentieth_of_a_millimetre():
    bundle = default_bundle("l_net")
    settings, network = bundle.input, bundle.network().eval()
    noise = np.random.default_rng(1).normal(0, 150, settings.size)
    volume = (np.linspace(-900, -300, settings.size[0])[:, None, None] + noise).astype(np.float32)
    starts = settings.patch_starts()[::2]
    found = window_answers(network, volume, starts, settings.depth)
    mm_per_slice = 3.0
    assert np.abs(found - one_by_one(network, volume, starts, settings.depth)).max() * mm_per_slice < 0.05


def test_the_work_can_be_cancelled_within_a_window_and_tells_how_far_it_is(volume):
    network, told = published(6, hidden=64), []
    window_answers(network, volume, STARTS, DEPTH, precision="fp32", tick=lambda *a: told.append(a))
    shares = [done for done, _ in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.95 < shares[-1] <= 1
    assert len(told) > 5 * len(STARTS)

    def cancel(done, window):
        if window == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        window_answers(network, volume, STARTS, DEPTH, tick=cancel)
