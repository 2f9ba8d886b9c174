"""How well maps show where the disease is, on slices where that is known (phantoms): Dice and pointing accuracy.

Per pattern, over the slices in which lesions of this pattern fill at least :data:`SMALLEST_SHARE` of the lung:

* **Dice** of the marked pixels and the lesions: 2 |A and B| / (|A| + |B|). Beside it what pixels drawn by chance in the
  lung would reach that mark as much: 2 a p / (a + p), with the shares a of the lung marked and p of the lung diseased.
* **Pointing accuracy**: the map's strongest point lies in a lesion of the pattern. Beside it the chance level: lesion
  area / lung area, what a point drawn anywhere in the lung would reach.

Both are means over slices; intervals come from drawing patients. Slices free of the pattern have no Dice; how much of
their lung is marked all the same is :attr:`Localisation.free_marked`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from SScILDScoringLib.heatmaps.thresholds import candidates
from SScILDScoringLib.scores import PATTERNS, Pattern

from ..agreement.bootstrap import NO_INTERVAL, Interval, bootstrap_mean
from .records import OWN_SHARE, SliceRecord
from .thresholds import at_threshold

SMALLEST_SHARE = 0.01
"""Lesions that fill a smaller share of the lung make a slice neither diseased nor free of the pattern."""

NAN = float("nan")


@dataclass(frozen=True)
class Localisation:
    """Figures of one kind of map and one pattern.

    Args:
        maps: ``replacement`` (heat map below its threshold) or ``own`` (a ratio head's own map, from one half on).
        pattern: which. threshold: percentage points, or the share of 0..1 of a ratio head's own map.
        how: where the threshold is from: ``chosen``, ``bundle`` or ``fixed``.
        n, patients: slices with lesions of this pattern, and their patients.
        dice, dice_interval: mean and 95 % interval. dice_chance: of as many pixels drawn by chance.
        gain, gain_interval: of Dice above chance.
        pointing, pointing_interval: share of the slices. pointing_chance: lesion area / lung area.
        pointing_gain_interval: of pointing above chance.
        free: slices without this pattern. free_marked: percent of their lung that is marked, mean; NaN without any.
    """

    maps: str
    pattern: Pattern
    how: str
    threshold: float
    n: int
    patients: int
    dice: float
    dice_interval: Interval
    dice_chance: float
    gain: float
    gain_interval: Interval
    pointing: float
    pointing_interval: Interval
    pointing_chance: float
    pointing_gain_interval: Interval
    free: int
    free_marked: float


def evaluate_localisation(
    records: Sequence[SliceRecord],
    thresholds: Mapping[str, Mapping[Pattern, float]],
    samples: int = 2000,
    seed: int = 0,
) -> tuple[Localisation, ...]:
    """The figures of every pattern: of the heat maps at each set of thresholds, and of the network's own maps.

    Args:
        records: those without truth are left out.
        thresholds: by their origin (``chosen``, ``bundle``), percentage points of each pattern.
        samples, seed: of the bootstrap (0: no intervals).
    """
    known = [r for r in records if r.truth is not None]
    return tuple(_all(known, thresholds, samples, seed)) if known else ()


def _all(records, thresholds, samples: int, seed: int) -> Iterator[Localisation]:
    tried = candidates()
    lung = np.array([r.lung for r in records], float)
    for i, pattern in enumerate(PATTERNS):
        chance = np.array([r.truth.within[i] for r in records]) / lung
        lesion = np.array([r.truth.lesion[i] for r in records], float)
        shared = (pattern, records, lung, lesion, chance, samples, seed)
        for how, values in thresholds.items():
            value = values[pattern]
            marked = np.array([at_threshold(r.derived[i], tried, value) for r in records]) * lung / 100
            hits = np.array([at_threshold(r.truth.hits[i], tried, value) for r in records], float)
            pointed = np.array([r.truth.pointed[i] for r in records])
            yield _one("replacement", how, value, marked, hits, pointed, *shared)
        if all(r.truth.own_hits is not None for r in records):
            marked, hits, pointed = (
                np.array([getattr(r.truth, name)[i] for r in records], float)
                for name in ("own_marked", "own_hits", "own_pointed")
            )
            yield _one("own", "fixed", OWN_SHARE, marked, hits, pointed, *shared)


def _one(
    maps, how, threshold, marked, hits, pointed, pattern, records, lung, lesion, chance, samples, seed
) -> Localisation:
    diseased, free = lesion >= SMALLEST_SHARE * lung, lesion == 0
    share, covered = lesion / lung, marked / lung
    both = np.where(share + covered > 0, share + covered, 1)
    dice = 2 * hits / np.maximum(marked + lesion, 1)
    dice_chance = 2 * chance * covered / both
    patients = np.array([r.patient for r in records])[diseased]

    def interval(values: np.ndarray) -> Interval:
        return bootstrap_mean(patients, values[diseased], samples, seed) if samples and diseased.any() else NO_INTERVAL

    def mean(values: np.ndarray, chosen: np.ndarray = diseased) -> float:
        return float(values[chosen].mean()) if chosen.any() else NAN

    return Localisation(
        maps,
        pattern,
        how,
        float(threshold),
        int(diseased.sum()),
        len(set(patients.tolist())),
        mean(dice),
        interval(dice),
        mean(dice_chance),
        mean(dice - dice_chance),
        interval(dice - dice_chance),
        mean(pointed),
        interval(pointed),
        mean(chance),
        interval(pointed - chance),
        int(free.sum()),
        mean(100 * covered, free),
    )
