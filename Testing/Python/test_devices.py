"""What choosing a device promises: something that works by default, and a sentence where it cannot."""

from __future__ import annotations

import pytest
import torch

from SScILDScoringLib.devices import available_cores, choose_device, device_name, threads
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
