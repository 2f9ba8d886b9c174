"""The anatomy of healthy slices is found once, kept in the cache, and is what it would be without."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from SScILDScoringLib.progress import silent
from SScILDScoringTrainingLib.cache import ArrayCache
from SScILDScoringTrainingLib.slice_anatomy import anatomies
from SScILDScoringTrainingLib.slice_data import BODY, LUNG, Backgrounds, LabelledSlice
from SScILDScoringTrainingLib.synthesis import synthesize
from synthesis_backgrounds import healthy_background, lungless_background


def _labelled(background, name: str, brighter: int = 0) -> LabelledSlice:
    flags = background.lung * np.uint8(LUNG) + background.body * np.uint8(BODY)
    return LabelledSlice(background.hu + np.int16(brighter), flags, background.spacing_mm, name)


@pytest.fixture
def slices():
    several = [_labelled(healthy_background(), f"scan:{n}", n) for n in range(40)]
    return [*several[:35], _labelled(lungless_background(), "scan:abdomen"), *several[35:]]


def test_an_anatomy_from_the_cache_is_the_one_found_without(slices, tmp_path):
    cache = ArrayCache(tmp_path)
    for _ in range(2):  # found, then from the cache
        known = anatomies(slices, cache, silent)
        assert [n for n, anatomy in enumerate(known) if anatomy is None] == [35]
        for n in (0, 34, 36, 40):
            expected = slices[n].background().anatomy
            for field in fields(expected):
                np.testing.assert_array_equal(getattr(known[n], field.name), getattr(expected, field.name))


def test_disease_is_drawn_as_without_the_cache(slices, tmp_path):
    known = Backgrounds(slices, anatomies(slices, ArrayCache(tmp_path), silent))
    for n in (3, 35, 38):
        assert known[n].known is known[n].anatomy
        first = synthesize(known[n], np.random.default_rng(n))
        second = synthesize(Backgrounds(slices)[n], np.random.default_rng(n))
        np.testing.assert_array_equal(first.hu, second.hu)
        assert first.scores == second.scores


def test_nothing_is_found_twice(slices, tmp_path):
    said = []
    cache = ArrayCache(tmp_path)
    anatomies(slices, cache, lambda stage, fraction, message: said.append(message))
    entries = cache.entries()
    assert said
    said.clear()
    anatomies(slices, cache, lambda stage, fraction, message: said.append(message))
    assert not said
    assert len(cache.entries()) == len(entries) == 2
    brighter = [_labelled(healthy_background(), "scan:0", 7)]
    assert anatomies(brighter, cache, silent)[0] is not None
    assert len(cache.entries()) == 3
