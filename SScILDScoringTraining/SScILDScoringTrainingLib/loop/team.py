"""The processes that train together: one, or as many as ``torchrun`` started.

Every process computes the same step on its own share of the batch; gradients are averaged by torch's
DistributedDataParallel. The first process (rank 0) decides what depends on the clock or on people, writes files and
validates; the others follow. PyTorch's own interface is used directly, because the loop needs two groups (the
gradients' on the devices, a small one for decisions on the CPU) and ignite's wrapper knows one.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn

from SScILDScoringLib.errors import Cancelled, SettingsError

T = TypeVar("T")
PATIENCE = timedelta(hours=12)
"""How long processes wait for each other: preparing a cohort or a validation may take the first one a while."""


class Team:
    """This process among those that train together; use as a context manager.

    Args:
        rank, size: number of this process (0: the one that writes) of how many.
        local_rank: its number on this computer.
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self._ours = False
        self._decisions = None

    @classmethod
    def from_environment(cls) -> Team:
        """As torchrun says in the environment; alone without it."""
        numbers = (
            os.environ.get(name, default) for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
        )
        return cls(*map(int, numbers))

    @property
    def leads(self) -> bool:
        """Whether this process decides and writes."""
        return self.rank == 0

    def meet(self, device: torch.device) -> Team:
        """Connects the processes (nccl between CUDA devices, gloo between CPU processes)."""
        if self.size > 1:
            if device.type == "cuda":
                torch.cuda.set_device(device)
            if not distributed.is_initialized():
                backend = "nccl" if device.type == "cuda" else "gloo"
                distributed.init_process_group(backend, rank=self.rank, world_size=self.size, timeout=PATIENCE)
                self._ours = True
            self._decisions = distributed.new_group(backend="gloo", timeout=PATIENCE)
        return self

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ours:
            distributed.destroy_process_group()
            self._ours = False

    def agree(self, values: Sequence[float]) -> list[float]:
        """The first process's ``values``, in every process."""
        if self.size == 1:
            return list(values)
        numbers = torch.tensor(values, dtype=torch.float64)
        distributed.broadcast(numbers, 0, group=self._decisions)
        return numbers.tolist()

    def exchange(self, orders: Sequence[float], values: Mapping[str, float]) -> tuple[list[float], dict[str, float]]:
        """The first process's ``orders`` and the mean of all processes' ``values``, in one message."""
        if self.size == 1:
            return list(orders), dict(values)
        mine = list(orders) if self.leads else [0.0] * len(orders)
        numbers = torch.tensor([*mine, *(v / self.size for v in values.values())], dtype=torch.float64)
        distributed.all_reduce(numbers, group=self._decisions)
        found = numbers.tolist()
        return found[: len(mine)], dict(zip(values, found[len(mine) :], strict=True))

    def first(self, work: Callable[[], T]) -> T:
        """``work()`` in the first process and then, when it left its results on disk, in the others.

        Raises:
            Cancelled: in the others, when the first process failed; it says why itself.
        """
        if not self.leads and not self.agree([0])[0]:
            raise Cancelled("The first process stopped.")
        try:
            result = work()
        except BaseException:
            if self.leads:
                self.agree([0])
            raise
        if self.leads:
            self.agree([1])
        return result

    def check(self, batch_size: int, accumulate: int) -> None:
        """Raises SettingsError unless a batch splits into equal shares and pieces."""
        if batch_size % (self.size * accumulate):
            raise SettingsError(
                f"training.batch_size ({batch_size}) must be a multiple of processes x training.accumulate "
                f"({self.size} x {accumulate})."
            )

    def joined(self, module: nn.Module, device: torch.device) -> nn.Module:
        """``module`` with gradients averaged over the processes after every backward pass."""
        if self.size == 1:
            return module
        devices = [device] if device.type == "cuda" else None
        # Statistics are common ones (batch_norm.py), so buffers need not be sent; torch renames that setting.
        known = inspect.signature(nn.parallel.DistributedDataParallel.__init__).parameters
        setting = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        return nn.parallel.DistributedDataParallel(module, devices, **{setting: False})
