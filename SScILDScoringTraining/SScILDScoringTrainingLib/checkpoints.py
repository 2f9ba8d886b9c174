"""Checkpoints: written under a temporary name and renamed, read without pickle."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from SScILDScoringLib.errors import SettingsError


def save_checkpoint(path: Path, state: dict) -> None:
    """Writes ``state`` (tensors, numbers, strings, lists and dictionaries of them) safe against a kill."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load_checkpoint(path: Path) -> dict:
    """The state saved by :func:`save_checkpoint`, on the CPU.

    Raises:
        SettingsError: no such file, or not a checkpoint.
    """
    if not path.is_file():
        raise SettingsError(f"There is no checkpoint {path}. Start the training without --resume.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises the unpickler's own kind, which is not to be imported here
        raise SettingsError(f"{path.name} is not a readable checkpoint: {error}") from error


class WeightAverage:
    """Exponential moving average of a network's weights and buffers.

    Early steps count more (the decay grows from 0.1 towards ``decay``), so that the average is useful from the start.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: torch.nn.Module) -> None:
        """Takes one step's weights in."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)
