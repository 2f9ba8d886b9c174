"""Checkpoints: written under a temporary name and renamed, checked when read, read without pickle."""

from __future__ import annotations

import os
import zipfile
from contextlib import suppress
from pathlib import Path

import torch

from SScILDScoringLib.errors import SettingsError


def save_checkpoint(path: Path, state: dict, previous: Path | None = None) -> None:
    """Writes ``state`` (tensors, numbers, strings, lists and dictionaries of them), safe against a kill at any moment.

    Args:
        path: the file.
        state: what to keep.
        previous: where the former checkpoint goes, to fall back to when the new one gets damaged later.

    Raises:
        SettingsError: it cannot be written (a full disk); the former checkpoint is still there then.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            # A link and not a renaming: at no moment is there no file called ``path``.
            previous_part = previous.with_name(previous.name + ".part")
            previous_part.unlink(missing_ok=True)
            try:
                os.link(path, previous_part)
            except OSError:  # a file system without links
                path.replace(previous_part)
            previous_part.replace(previous)
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch's writer answers a full disk with a RuntimeError
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise SettingsError(
            f"The checkpoint {path} cannot be written ({error}). Make room on the disk and go on with --resume."
        ) from error


def load_checkpoint(path: Path) -> dict:
    """The state saved by :func:`save_checkpoint`, on the CPU.

    Every stored part is compared with its checksum first: torch itself reads a file with flipped bits happily.

    Raises:
        SettingsError: no such file, or not a whole checkpoint.
    """
    if not path.is_file():
        raise SettingsError(f"There is no checkpoint {path}. Start the training without --resume.")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise SettingsError(f"{path.name} is not a readable checkpoint: {damaged} in it is damaged.")
        return torch.load(path, map_location="cpu", weights_only=True)
    except (SettingsError, MemoryError):
        raise
    except Exception as error:  # torch raises the unpickler's own kind, which is not to be imported here
        raise SettingsError(f"{path.name} is not a readable checkpoint: {error}") from error


def newest_checkpoint(last: Path, previous: Path) -> tuple[dict, str | None]:
    """The state in ``last``, or in ``previous`` when ``last`` is damaged or missing, with a sentence that says so.

    Raises:
        SettingsError: neither can be read.
    """
    try:
        return load_checkpoint(last), None
    except SettingsError as error:
        if not previous.is_file():
            raise
        try:
            state = load_checkpoint(previous)
        except SettingsError:
            raise error from None
        return state, f"{error} Going on from the checkpoint before it (step {state.get('step', '?')})."


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
