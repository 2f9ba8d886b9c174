"""What is costly to make of many scans or phantoms: made once, in several processes, and kept in the cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from SScILDScoringLib.errors import Cancelled, ScanError
from SScILDScoringLib.progress import Progress

from .cache import ArrayCache

Made = tuple[dict[str, np.ndarray], dict]
"""Arrays and facts (plain values) of one cache entry."""

MOST_PROCESSES = 8
"""A scan takes up to 2 GB while it is prepared."""


@dataclass(frozen=True)
class Work:
    """One entry to make.

    Args:
        key: in the cache.
        name: what messages call it (a case's name).
        make: a function of a module, which other processes can import: ``make(*arguments) -> (arrays, facts)``.
        arguments: plain values, paths and small dataclasses.
    """

    key: str
    name: str
    make: Callable[..., Made]
    arguments: tuple = ()


def prepared(cache: ArrayCache, work: Sequence[Work], stage: str, progress: Progress) -> list[Made]:
    """The entries in the order of ``work``, arrays memory-mapped; those that are missing are made.

    Two trainings that start together may both make an entry; the first one stays. What was made before a cancel is
    kept.

    Raises:
        ScanError: a scan cannot be used; the message names the case.
        Cancelled: ``progress`` asked to stop.
    """
    missing = [w for w in {w.key: w for w in work}.values() if w.key not in cache]
    processes = min(len(missing), os.cpu_count() or 1, MOST_PROCESSES)
    if processes > 1:
        # Processes that the system ended, mostly for want of memory, leave their work to this one.
        with suppress(BrokenProcessPool):
            _in_processes(cache, missing, processes, stage, progress)
    for n, w in enumerate(missing):
        if w.key not in cache:
            progress(stage, n / len(missing), w.name)
            _make(cache, w)
    if missing:
        progress(stage, 1.0, f"{len(missing)} prepared")
    found = []
    for w in work:
        entry = cache.get(w.key)
        if entry is None:  # removed or damaged since
            _make(cache, w)
            entry = cache.get(w.key)
        found.append(entry)
    return found


def _in_processes(cache: ArrayCache, work: Sequence[Work], count: int, stage: str, progress: Progress) -> None:
    with ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_single_thread) as pool:
        jobs = {pool.submit(_make, cache, w): w for w in work}
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                job.result()
                progress(stage, done / len(jobs), f"{done} of {len(jobs)}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _single_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _make(cache: ArrayCache, work: Work) -> None:
    try:
        arrays, facts = work.make(*work.arguments)
    except Cancelled:
        raise
    except ScanError as error:
        raise ScanError(f"{work.name}: {error}") from error
    cache.put(work.key, arrays, facts)


def plain_settings(settings: Mapping) -> dict:
    """Settings as JSON gives them back, so that a key does not depend on tuples and lists."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}
