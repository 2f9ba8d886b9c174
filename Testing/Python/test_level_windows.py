"""What the shared computation of L-Net's windows promises: the network's own answers, each window by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SScILDScoringLib.devices import threads
from SScILDScoringLib.errors import Cancelled
from SScILDScoringLib.heatmaps.precision import computes_bf16
from SScILDScoringLib.level_windows import window_answers
from SScILDScoringLib.level_windows.answers import kind_of, windows_to_check
from SScILDScoringLib.level_windows.compact import CompactWindows
from SScILDScoringLib.level_windows.layers import normalisations, pooled
from SScILDScoringLib.level_windows.published import PublishedWindows
from SScILDScoringLib.models import default_bundle
from SScILDScoringLib.networks import build_l_net
from SScILDScoringLib.phantom import PhantomSpec, make_phantom
from SScILDScoringLib.preprocessing import normalized_patch

DEPTH = 66
STARTS = (0, 3, 4, 6, 8, 9, 12, 15, 18)
needs_bf16 = pytest.mark.skipif(not computes_bf16(), reason="this processor is below AVX-512: oneDNN refuses bf16")


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


def precisions_used(monkeypatch):
    """A list that grows by the precision of every window that is computed."""
    used, original = [], PublishedWindows.answer
    monkeypatch.setattr(
        PublishedWindows,
        "answer",
        lambda self, n, precision, check: used.append(precision) or original(self, n, precision, check),
    )
    return used


@pytest.mark.parametrize("seed", [0, 1])
def test_every_window_is_answered_as_if_alone(volume, seed):
    network = published(seed)
    assert kind_of(network, volume.shape, DEPTH) is PublishedWindows
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


@needs_bf16
def test_bf16_is_not_believed_where_it_differs(volume, monkeypatch):
    """A network that reacts too strongly to rounding is computed in fp32 although bf16 was asked for."""
    network = published(3, hidden=64)
    with torch.no_grad():
        network.classifier[-1].weight.mul_(100)
    used = precisions_used(monkeypatch)
    found = window_answers(network, volume, STARTS, DEPTH, precision="bf16")
    assert used.count(torch.bfloat16) == len(windows_to_check(len(STARTS)))
    assert used.count(torch.float32) == len(STARTS)
    assert np.abs(found - one_by_one(network, volume)).max() < 0.05


@needs_bf16
def test_bf16_is_used_where_it_agrees(volume, monkeypatch):
    network = published(2, hidden=64)
    with torch.no_grad():
        network.classifier[-1].weight.mul_(0.01)
    used = precisions_used(monkeypatch)
    window_answers(network, volume, STARTS, DEPTH, precision="bf16")
    assert used.count(torch.float32) == len(windows_to_check(len(STARTS)))
    assert used.count(torch.bfloat16) == len(STARTS)


def test_where_the_processor_cannot_compute_bf16_float32_does_the_work(volume, monkeypatch):
    network = published(2, hidden=64)
    monkeypatch.setattr("SScILDScoringLib.level_windows.answers.computes_bf16", lambda: False)
    used = precisions_used(monkeypatch)
    window_answers(network, volume, STARTS, DEPTH, precision="bf16")
    assert used == [torch.float32] * len(STARTS)


def test_a_constant_window_is_zeros_after_the_z_score_here_too():
    network = published(4, hidden=64)
    volume = np.full((70, 64, 64), -1000, np.float32)
    assert np.allclose(window_answers(network, volume, (0, 4), 66), one_by_one(network, volume, (0, 4)), atol=1e-3)


@pytest.mark.parametrize("depth", [65, 66])
def test_windows_that_share_nothing_are_computed_one_by_one(volume, depth):
    network = published(5, hidden=64)
    odd = volume[:, :, :69]
    assert kind_of(network, odd.shape, depth) is None
    found = window_answers(network, odd, STARTS, depth)
    assert np.allclose(found, one_by_one(network, odd, STARTS, depth), atol=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_several_windows_at_once_are_answered_like_one_after_the_other(volume, count):
    network = published(7, hidden=64)
    wanted = window_answers(network, volume, STARTS, DEPTH, precision="fp32")
    with threads(count):
        found = window_answers(network, volume, STARTS, DEPTH, precision="fp32")
        assert torch.get_num_threads() == count
    assert np.abs(found - wanted).max() < 1e-4


def test_a_few_windows_are_not_worth_checking_bf16(volume, monkeypatch):
    network = published(2, hidden=64)
    used = precisions_used(monkeypatch)
    window_answers(network, volume, STARTS[:3], DEPTH, precision="bf16")
    assert used == [torch.float32] * 3
    assert [windows_to_check(count) for count in (1, 3, 5, 17)] == [[], [], [0, 4], [0, 8, 16]]


def test_larger_published_networks_pool_later_and_share_nothing(volume):
    assert kind_of(build_l_net("vgg16_3d", width=2, hidden=16).eval(), volume.shape, DEPTH) is None


def compact(seed: int):
    """A small network like the starter's, with norms as training leaves them."""
    torch.manual_seed(seed)
    network = build_l_net("compact_3d", widths=(4, 8, 8, 8), head_width=16).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.normal_(module.running_mean, 0, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.weight, 0.5, 0.5)
            torch.nn.init.normal_(module.bias, 0, 0.3)
    torch.nn.init.normal_(network.logits.weight, 0, 0.2)
    return network


@pytest.mark.parametrize(("depth", "starts"), [(66, STARTS), (34, (0, 1, 50)), (84, (0,))])
def test_the_compact_networks_windows_are_answered_as_if_alone(volume, depth, starts):
    network = compact(depth)
    assert kind_of(network, volume.shape, depth) is CompactWindows
    wanted = one_by_one(network, volume, starts, depth)
    found = window_answers(network, volume, starts, depth, precision="fp32")
    assert np.abs(found - wanted).max() < 1e-3
    assert np.ptp(wanted - np.array(starts)[:, None]) > 0.5


def test_the_starters_levels_are_equal_to_a_thousandth_of_a_millimetre():
    bundle = default_bundle("l_net")
    settings, network = bundle.input, bundle.network().eval()
    noise = np.random.default_rng(1).normal(0, 150, settings.size)
    volume = (np.linspace(-900, -300, settings.size[0])[:, None, None] + noise).astype(np.float32)
    starts = settings.patch_starts()[::2]
    assert kind_of(network, volume.shape, settings.depth) is CompactWindows
    wanted = one_by_one(network, volume, starts, settings.depth)
    mm_per_slice = 3.0
    found = window_answers(network, volume, starts, settings.depth, precision="fp32")
    assert np.abs(found - wanted).max() * mm_per_slice < 0.001


@needs_bf16
def test_the_starters_levels_in_bf16_are_equal_to_a_twentieth_of_a_millimetre():
    """On a phantom, where the network knows what it says."""
    bundle, scan = default_bundle("l_net"), make_phantom(PhantomSpec(seed=1)).scan
    settings, network = bundle.input, bundle.network().eval()
    volume, starts = settings.prepare(scan.voxels), settings.patch_starts()
    wanted = window_answers(network, volume, starts, settings.depth, precision="fp32")
    found = window_answers(network, volume, starts, settings.depth, precision="bf16")
    mm_per_slice = scan.mm_per_slice * scan.slice_count / settings.size[0]
    assert 0 < np.abs(found - wanted).max() * mm_per_slice < 0.05


def test_means_and_deviations_of_windows_are_those_of_the_z_score(volume):
    for start, found in zip(STARTS, normalisations(volume, STARTS, DEPTH), strict=True):
        window = volume[start : start + DEPTH]
        assert np.allclose((window - found.mean) * found.scale, normalized_patch(window), atol=1e-5)
    (constant,) = normalisations(np.full((70, 64, 64), -1000.3, np.float32), (2,), 66)
    assert constant.scale == 0


@pytest.mark.parametrize("shape", [(7, 9, 11), (8, 10, 6), (3, 4, 5)])
def test_maxima_are_those_of_pytorchs_pooling(shape):
    x = torch.randn(*shape, 5)
    wanted = torch.nn.functional.max_pool3d(x.permute(3, 0, 1, 2)[None], 3, 2)[0].permute(1, 2, 3, 0)
    assert torch.equal(pooled(x), wanted)


@pytest.mark.parametrize("network", [published(6, hidden=64), compact(6)], ids=["published", "compact"])
def test_the_work_tells_how_far_it_is_and_can_be_cancelled(volume, network):
    told = []
    window_answers(network, volume, STARTS, DEPTH, precision="fp32", tick=lambda *a: told.append(a))
    shares = [done for done, _ in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)
    assert {window for _, window in told} == set(range(len(STARTS)))

    def cancel(done, window):
        if window == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        window_answers(network, volume, STARTS, DEPTH, tick=cancel)


def test_cancelling_does_not_wait_for_a_window_to_end(volume, monkeypatch):
    """The work looks several times a window whether somebody still wants it."""
    network, looked = published(6, hidden=64), []
    original = PublishedWindows.answer

    def answer(self, n, precision, check):
        return original(self, n, precision, lambda done: (looked.append(n), check(done)))

    monkeypatch.setattr(PublishedWindows, "answer", answer)
    window_answers(network, volume, STARTS, DEPTH, precision="fp32")
    assert min(looked.count(n) for n in range(len(STARTS))) > 5
