"""Phantoms as training data: reduced to what a recipe keeps, cached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from SScILDScoringLib.progress import Progress

from .cache import ArrayCache, content_key
from .preparation import Made, Work, prepared

VALIDATION_OFFSET = 500_000
"""Added to the seed of validation phantoms, so that no configuration trains on them."""

Reduce = Callable[[object, np.random.Generator, object], Made]


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
) -> list[Made]:
    """What ``reduce(phantom, rng, settings)`` keeps of the phantoms: arrays and facts, in the order of ``seeds``.

    Args:
        cache: where they are kept. settings: whatever else ``reduce`` depends on, part of the cache's key.
        reduce: a function of a module (it runs in other processes).
    """
    source = _source_key()
    work = []
    for seed in seeds:
        key = content_key(source, seed, fixed, reduce.__module__, reduce.__name__, settings)
        work.append(Work(key, f"phantom {seed}", _made, (seed, dict(fixed), reduce, settings)))
    return prepared(cache, work, "phantoms", progress)


def _source_key() -> str:
    """Changes when the phantom's own code changes, so that no phantom of an older version is taken from the cache."""
    import SScILDScoringLib.phantom as package

    files = sorted(Path(package.__file__).parent.glob("*.py"))
    return content_key("phantom", *(f.read_text(encoding="utf-8") for f in files))


def _made(seed: int, fixed: dict, reduce: Reduce, settings: object) -> Made:
    return reduce(phantom_of_seed(seed, fixed), np.random.default_rng([seed, 7]), settings)
