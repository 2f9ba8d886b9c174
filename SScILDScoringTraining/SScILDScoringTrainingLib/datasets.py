"""Streams of training batches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .loop.signals import outlive_signals

Sample = Mapping[str, np.ndarray]


class BatchStream(IterableDataset):
    """Batches number ``first`` to ``first + count - 1``, each a pure function of its number.

    So a resumed training sees what it would have seen, however many workers there are.

    Args:
        make_sample: sample number -> arrays of equal shapes.
        batch_size: samples of one batch; batch ``b`` holds samples ``b * batch_size`` and following.
        first, count: which batches.
        share: ``(n, of)``: only the n-th (from 0) of so many equal parts of every batch, for one of several processes
            that train together; ``batch_size`` stays that of the whole.
    """

    def __init__(
        self,
        make_sample: Callable[[int], Sample],
        batch_size: int,
        first: int,
        count: int,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.make_sample = make_sample
        self.batch_size = batch_size
        self.first, self.count = first, count
        self.part = batch_size // share[1]
        self.offset = share[0] * self.part

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        start, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for b in range(self.first + start, self.first + self.count, step):
            begin = b * self.batch_size + self.offset
            samples = [self.make_sample(i) for i in range(begin, begin + self.part)]
            yield {k: torch.from_numpy(np.stack([s[k] for s in samples])) for k in samples[0]}

    def __len__(self) -> int:
        return self.count


def loader(stream: BatchStream, workers: int) -> DataLoader:
    """A loader of the stream's batches in order; ``workers`` processes prepare them ahead (0: none)."""
    ahead = {"prefetch_factor": 8, "persistent_workers": False, "worker_init_fn": outlive_signals} if workers else {}
    return DataLoader(stream, batch_size=None, num_workers=workers, pin_memory=torch.cuda.is_available(), **ahead)


class RecentlyMade:
    """Things that are costly to make, used several times while they are recent.

    Every ``reuse``-th sample is made fresh and the others are drawn from the ``kept`` ones before it; which one a
    sample gets depends on its number only. What is no longer in memory is made again.

    Args:
        make: number of the thing -> the thing; a pure function.
        reuse: how many samples are drawn per thing made; 1: every sample is made fresh.
        kept: how many things are kept in memory.
    """

    def __init__(self, make: Callable[[int], object], reuse: int, kept: int) -> None:
        self.make, self.reuse, self.kept = make, max(int(reuse), 1), max(int(kept), 1)
        self._things: OrderedDict[int, object] = OrderedDict()

    def number_for(self, sample: int, rng: np.random.Generator) -> int:
        """Which thing sample number ``sample`` uses."""
        fresh = sample // self.reuse
        if sample % self.reuse == 0:
            return fresh
        return fresh - int(rng.integers(0, min(self.kept, fresh + 1)))

    def get(self, sample: int, rng: np.random.Generator) -> object:
        """The thing of sample number ``sample``."""
        number = self.number_for(sample, rng)
        if number not in self._things:
            self._things[number] = self.make(number)
            while len(self._things) > self.kept:
                self._things.popitem(last=False)
        return self._things[number]


def generator(seed: int, *path: int) -> np.random.Generator:
    """The random generator of one thing (sample, phantom ...), independent of all others."""
    return np.random.default_rng([seed, *path])
