"""Where the networks run: choosing and naming the device, and the number of threads."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from .errors import SettingsError


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """The device to compute on.

    Args:
        name: ``auto`` (CUDA when there is one, else the CPU), ``cpu``, ``cuda``, ``cuda:1``, ``mps``. Apple's MPS
            has to be asked for: nobody has run the networks there yet.

    Raises:
        SettingsError: an unknown name, or a device that this computer does not have.
    """
    if isinstance(name, torch.device):
        name = str(name)
    name = name.strip().lower()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise SettingsError(f"There is no device {name!r}; choose auto, cpu, cuda, cuda:0 (or another number) or mps.")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingsError(f"This computer has no CUDA device {name}; use --device auto or cpu.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SettingsError("This computer has no MPS device; use --device auto or cpu.")
    return device


def device_name(device: str | torch.device) -> str:
    """The device in words, for results and reports: ``cpu: Intel Xeon ..., 2 threads`` or ``cuda: NVIDIA ...``."""
    device = torch.device(device)
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return f"mps: {platform.machine()}"
    return f"cpu: {_processor_name()}, {torch.get_num_threads()} threads"


def available_cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Computes on ``count`` threads within the block; leaves torch's setting alone when None.

    Raises:
        SettingsError: fewer than one thread.
    """
    if count is None:
        yield
        return
    if count < 1:
        raise SettingsError(f"At least one thread is needed, not {count}.")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def full_float32() -> Iterator[None]:
    """Computes float32 with all its digits within the block, or within a function that it decorates.

    PyTorch lets NVIDIA cards round the factors of float32 convolutions to 10 bits (TF32) unless told otherwise: scores
    would differ from those of a CPU by more than float32 has to.
    """
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = False
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before


def _processor_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
        if found:
            return found.group(1).strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "processor"
