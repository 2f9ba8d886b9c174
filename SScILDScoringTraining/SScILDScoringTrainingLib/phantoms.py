"""Phantoms as training data: made in several processes, reduced to what a recipe keeps, cached."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from SScILDScoringLib.progress import Progress

from .datasets import ArrayCache, content_key

VALIDATION_OFFSET = 500_000
"""Added to the seed of validation phantoms, so that no configuration trains on them."""

Reduce = Callable[[object, np.random.Generator, object], tuple[dict[str, np.ndarray], dict]]


def phantom_of_seed(seed: int, fixed: Mapping):
    """The phantom that belongs to ``seed``; ``fixed`` are fields of ``PhantomSpec`` that are not drawn at random."""
    from SScILDScoringLib.phantom import PhantomSpec, make_phantom

    values = {k: tuple(v) if isinstance(v, list) else v for k, v in fixed.items()}
    return make_phantom(PhantomSpec.random(np.random.default_rng(seed), **values))


def cached_phantoms(
    cache: ArrayCache,
    seeds: list[int],
    fixed: Mapping,
    reduce: Reduce,
    settings: object,
    progress: Progress,
) -> list[tuple[dict[str, np.ndarray], dict]]:
    """What ``reduce(phantom, rng, settings)`` keeps of the phantoms: arrays and facts, in the order of ``seeds``.

    Args:
        cache: where they are kept. settings: whatever else ``reduce`` depends on, part of the cache's key.
        reduce: a function of a module (it runs in other processes).
    """
    source = _source_key()
    keys = {seed: content_key(source, seed, fixed, reduce.__module__, reduce.__name__, settings) for seed in seeds}
    missing = [seed for seed in seeds if not (cache.folder / f"{keys[seed]}.json").is_file()]
    if missing:
        workers = min(len(missing), os.cpu_count() or 1)
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_single_thread) as pool:
            jobs = [pool.submit(_make, cache, keys[seed], seed, dict(fixed), reduce, settings) for seed in missing]
            try:
                for done, job in enumerate(as_completed(jobs), start=1):
                    job.result()
                    progress("phantoms", done / len(jobs), f"phantom {done} of {len(jobs)}")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return [cache.get(keys[seed]) for seed in seeds]


def _source_key() -> str:
    """Changes when the phantom's own code changes, so that no phantom of an older version is taken from the cache."""
    import SScILDScoringLib.phantom as package

    files = sorted(Path(package.__file__).parent.glob("*.py"))
    return content_key("phantom", *(f.read_text(encoding="utf-8") for f in files))


def _single_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _make(cache: ArrayCache, key: str, seed: int, fixed: dict, reduce: Callable, settings: object) -> None:
    phantom = phantom_of_seed(seed, fixed)
    arrays, facts = reduce(phantom, np.random.default_rng([seed, 7]), settings)
    cache.put(key, arrays, facts)
