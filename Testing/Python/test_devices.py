"""What choosing a device promises: something that works by default, and a sentence where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from small_bundles import s_net_bundle
from SScILDScoringLib.devices import available_cores, choose_device, device_name, full_float32, threads
from SScILDScoringLib.errors import SettingsError


def test_auto_takes_a_device_that_computes():
    device = choose_device("auto")
    assert torch.ones(2, device=device).sum().item() == 2
    assert choose_device(device) == device


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "cpu0"])
def test_an_unknown_device_is_refused_with_the_known_ones(name):
    with pytest.raises(SettingsError, match="choose auto, cpu, cuda"):
        choose_device(name)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(SettingsError, match="has no CUDA device cuda:99"):
        choose_device("cuda:99")


def test_the_device_is_named_with_its_threads():
    with threads(1):
        assert device_name("cpu").startswith("cpu: ")
        assert device_name("cpu").endswith(", 1 threads")


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with threads(None):
        assert torch.get_num_threads() == before
    with pytest.raises(SettingsError, match="At least one thread"), threads(0):
        pass
    assert available_cores() >= 1


def float32_is_full() -> bool:
    return not (torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32)


def test_float32_keeps_all_its_digits_and_settings_are_given_back():
    torch.backends.cudnn.allow_tf32 = True  # PyTorch's default

    @full_float32()
    def inside() -> bool:
        return float32_is_full()

    assert inside()
    with pytest.raises(SettingsError), full_float32():
        choose_device("gpu")
    assert torch.backends.cudnn.allow_tf32


def test_scores_and_heat_maps_are_computed_with_all_digits(tmp_path, monkeypatch):
    """The flags are there without a graphics card, too."""
    from SScILDScoringLib.heatmaps import render_heat_maps
    from SScILDScoringLib.heatmaps.incremental import KeptSlice
    from SScILDScoringLib.heatmaps.replacement import HeatMapSettings
    from SScILDScoringLib.slice_network import SliceNetwork

    network = SliceNetwork(s_net_bundle(tmp_path / "net", "convnext_atto", size=64))
    full, ends = [], KeptSlice.ends
    network.network.register_forward_hook(lambda *_given: full.append(float32_is_full()))
    monkeypatch.setattr(KeptSlice, "ends", lambda *given: (full.append(float32_is_full()), ends(*given))[1])
    hu = np.full((64, 64), -800, np.int16)
    network.scores(hu)
    assert full == [True]
    render_heat_maps(hu, np.ones((64, 64), bool), network, HeatMapSettings(32, 32), precision="fp32")
    assert len(full) > 1
    assert all(full)
    assert not float32_is_full()
