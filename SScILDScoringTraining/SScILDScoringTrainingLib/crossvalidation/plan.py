"""What a study trains: configurations, seeds and folds, and the cases that every run is asked about."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from SScILDScoringLib.errors import SettingsError

from ..cohort import Cohort
from ..config import one_of, to_plain
from .jobs import Job

ONLY = "run"
"""The name of the one variant of a plain cross-validation."""


@dataclass(frozen=True)
class Variant:
    """One configuration of a study, as changes of a common one.

    Args:
        name: as printed.
        changes: dotted key -> value (``{"data.balanced": False}``); a table is replaced as a whole.
        factors: which of an ablation's factors are on; empty in other studies.
        missing: why it cannot be trained here, as a sentence; empty when it can.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    factors: Mapping[str, bool] = field(default_factory=dict)
    missing: str = ""

    @property
    def folder(self) -> str:
        """The name as a folder's."""
        return re.sub(r"[^A-Za-z0-9.-]+", "_", self.name).strip("._") or "variant"


@dataclass(frozen=True)
class Plan:
    """A study: every variant with every seed, on every fold or once with the split ``test`` held out.

    Args:
        config: complete configuration of a recipe, as plain values, without the cohort.
        cohort: with folds, or with the split ``test``.
        variants: at least one, of different names; comparisons are against the first.
        seeds: of the trainings.
        test: train once per variant and seed and ask about the split ``test``; otherwise every fold in turn.
        weights: which weights of a run answer, ``best`` (on its validation cases) or ``last``.
        title: of a comparison's report; decides nothing.
    """

    config: Mapping[str, Any]
    cohort: Cohort
    variants: tuple[Variant, ...] = (Variant(ONLY),)
    seeds: tuple[int, ...] = (1,)
    test: bool = False
    weights: str = "best"
    title: str = ""

    def __post_init__(self) -> None:
        one_of("weights", self.weights, ("best", "last"))
        if not self.variants or not self.seeds:
            raise SettingsError("A study needs at least one configuration and one seed.")
        for what, names in (("configurations", [v.folder for v in self.variants]), ("seeds", list(self.seeds))):
            if len(set(names)) < len(names):
                raise SettingsError(f"Two {what} of the study are called alike: {', '.join(map(str, names))}.")
        if self.test and not self.cohort.of_split("test"):
            raise SettingsError(f"{self.cohort.path.name} has no cases of the split test to ask about.")
        if not self.test and len(self.cohort.folds) < 2:
            raise SettingsError(f"{self.cohort.path.name} has fewer than two folds.")

    @property
    def kind(self) -> str:
        """The recipe: ``levels`` or ``scores``."""
        return str(self.config["recipe"])

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds that are trained for; (0,) when the split ``test`` is asked about."""
        return (0,) if self.test else self.cohort.folds

    def jobs(self) -> Iterator[Job]:
        """Every run of the variants that can be trained; those of one variant and seed together."""
        for variant in self.variants:
            if variant.missing:
                continue
            for seed in self.seeds:
                for fold in self.folds:
                    yield self._job(variant, seed, fold)

    def _job(self, variant: Variant, seed: int, fold: int) -> Job:
        config = with_changes(self.config, variant.changes)
        parts = []
        if len(self.variants) > 1 or variant.name != ONLY:
            parts.append(variant.folder)
        if len(self.seeds) > 1:
            parts.append(f"seed_{seed}")
        if fold:
            parts.append(f"fold_{fold}")
        config["seed"] = seed
        name = str(config.get("bundle", {}).get("name", "network"))
        if "bundle" in config:
            config["bundle"]["name"] = f"{name}-{'-'.join(p.replace('_', '') for p in parts)}"[:64]
        return Job("/".join(parts) or ONLY, variant.name, seed, fold, config, self.weights)

    @property
    def is_comparison(self) -> bool:
        """Whether it compares configurations or seeds, or asks about held-out cases, instead of going through folds."""
        return len(self.variants) > 1 or len(self.seeds) > 1 or self.test

    @property
    def compares_networks(self) -> bool:
        """Whether the configurations differ in their networks."""
        return any("network.name" in variant.changes for variant in self.variants)

    def same_as(self, other: Plan) -> bool:
        """Whether both train the same; the cohorts are not compared."""
        mine, theirs = ({**plan.to_plain(), "title": ""} for plan in (self, other))
        return json.dumps(mine, sort_keys=True) == json.dumps(theirs, sort_keys=True)

    def to_plain(self) -> dict:
        """The plan without its cohort as plain values."""
        return to_plain(
            {
                "config": self.config,
                "variants": [vars(v) for v in self.variants],
                "seeds": self.seeds,
                "test": self.test,
                "weights": self.weights,
                "title": self.title,
            }
        )


def with_changes(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict:
    """A copy of nested plain values with dotted keys set; a value of None is set, too.

    Raises:
        SettingsError: a key leads through something that holds no keys.
    """
    result = copy.deepcopy(to_plain(values))
    for key, value in changes.items():
        place = result
        *way, last = key.split(".")
        for part in way:
            if place.get(part) is None:
                place[part] = {}
            place = place[part]
            if not isinstance(place, dict):
                raise SettingsError(f"The key {key} of a study's changes leads through {part}, which holds a value.")
        place[last] = copy.deepcopy(to_plain(value))
    return result


def seeds_of(given: int | Sequence[int]) -> tuple[int, ...]:
    """``3`` means the seeds 1, 2, 3; a list is taken as it is."""
    if isinstance(given, int) and not isinstance(given, bool):
        if given < 1:
            raise SettingsError(f"A study needs at least one seed, not {given}.")
        return tuple(range(1, given + 1))
    if isinstance(given, str) or not all(type(v) is int and v >= 0 for v in given):
        raise SettingsError(f"Seeds are a number of them, or a list of numbers, not {given!r}.")
    return tuple(given)
