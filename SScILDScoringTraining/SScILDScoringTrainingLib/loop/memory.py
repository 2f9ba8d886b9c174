"""How much memory there is, and how much a step of training keeps for its backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


def host_memory_free() -> int | None:
    """Bytes of this computer's memory that programs may still take; None where the system does not tell."""
    try:
        import psutil

        return int(psutil.virtual_memory().available)
    except ImportError:
        pass
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def process_memory() -> int:
    """Bytes that this process holds now; a usual figure for Python with torch where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * 4096
    except (OSError, ValueError, IndexError):
        return 600 << 20


class Kept:
    """Bytes kept for the backward pass: all of them, and the largest single one."""

    def __init__(self) -> None:
        self.bytes = 0
        self.largest = 0


@contextmanager
def kept_for_backward(network: torch.nn.Module) -> Iterator[Kept]:
    """Counts what autograd keeps of the forward passes within the block, weights and repeated uses left out."""
    found = Kept()
    seen = {p.untyped_storage().data_ptr() for p in network.parameters()}
    alive: list[torch.Tensor] = []  # so that no address is used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            alive.append(tensor)
            found.bytes += storage.nbytes()
            found.largest = max(found.largest, storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found
    alive.clear()
