"""Random numbers that depend on the step only, and operations that give the same result every time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from SScILDScoringLib.errors import SettingsError


def seed_step(seed: int, step: int, rank: int) -> None:
    """Sets torch's random numbers (dropout, stochastic depth) for one step of one process.

    So a resumed run draws what an unbroken one would have drawn, and no generator's state has to be kept.
    """
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) & (2**63 - 1)
    torch.manual_seed(mixed)


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Within the block torch uses deterministic algorithms only, where ``wanted``.

    On the CPU that changes nothing but a few scatter operations; runs are repeatable there anyway with the same number
    of threads. On CUDA it forbids what adds up in no fixed order and fixes cuBLAS's workspace; it costs some speed,
    and a few operations (the backward pass of 3D max pooling) have no such form.

    Raises:
        SettingsError: an operation of the network has no deterministic form on this device.
    """
    if not wanted:
        yield
        return
    before, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA's libraries start
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    except RuntimeError as error:
        if "does not have a deterministic implementation" not in str(error):
            raise
        operation = str(error).split(" ", 1)[0]
        raise SettingsError(
            f"{operation} has no deterministic form on this device: set training.deterministic=false, or train on the "
            "CPU (training.device=cpu)."
        ) from error
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.benchmark = benchmark
