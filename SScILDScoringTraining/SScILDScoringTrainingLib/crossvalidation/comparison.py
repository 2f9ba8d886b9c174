"""Configurations of a study compared: every measure over seeds, with intervals, against the first configuration.

Measures, tests and bootstrap sums are those of :mod:`..agreement`. What is added here is the second source of chance:
a configuration was trained with several seeds. A bootstrap sample draws patients and seeds, both with replacement, and
takes the mean over the drawn seeds; patients are the same for all configurations, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..agreement.bootstrap import NO_INTERVAL, Interval, Resampler, bootstrap_values
from ..agreement.measures import NAN, compare_paired
from ..agreement.rows import POOLED, estimates
from ..agreement.tables import Aligned, align
from .plan import Variant
from .pooled import REFERENCE, patients_of, pooled_answers, reference_rows, table_of
from .study import Study

MEASURES = ("mae", "sd", "bias", "kappa", "icc")


@dataclass(frozen=True)
class Measured:
    """One configuration in one column (pattern), over its seeds.

    Args:
        values: measure -> mean over the seeds. intervals: measure -> 95 % interval. spread: measure -> SD over the
            seeds (ddof 1), NaN for one seed.
        difference: of the MAE to that of the first configuration, on the rows that both have. difference_interval: of
            it. wilcoxon_p: of the absolute errors, each the mean over the seeds; NaN for the first one itself.
    """

    values: Mapping[str, float]
    intervals: Mapping[str, Interval]
    spread: Mapping[str, float]
    difference: float = NAN
    difference_interval: Interval = NO_INTERVAL
    wilcoxon_p: float = NAN


@dataclass(frozen=True)
class VariantResult:
    """One configuration.

    Args:
        variant: what it is. seeds: those whose runs are all done. n, patients: on how many rows of how many patients.
        columns: column -> numbers; empty when nothing was trained.
        minutes: of training, all runs together. reason: why there are no numbers, or not of all seeds.
    """

    variant: Variant
    seeds: tuple[int, ...] = ()
    n: int = 0
    patients: int = 0
    columns: Mapping[str, Measured] = field(default_factory=dict)
    minutes: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class _Tables:
    """The tables of a configuration's seeds beside the reference; cases are patients."""

    seeds: tuple[int, ...]
    aligned: tuple[Aligned, ...]
    minutes: float


def compared(
    study: Study, failed: Mapping[str, str] | None = None, samples: int = 2000, seed: int = 0
) -> list[VariantResult]:
    """Every configuration of a study, in its order; those without finished runs with the reason.

    Args:
        failed: job name -> what went wrong. samples: of the bootstrap; 0: no intervals. seed: of it.
    """
    results: list[VariantResult] = []
    first: _Tables | None = None
    for number, variant in enumerate(study.plan.variants):
        tables = _tables(study, variant.name)
        reason = variant.missing or _reason(study, variant.name, tables, failed or {})
        if not tables.seeds:
            results.append(VariantResult(variant, reason=reason))
            continue
        first = tables if number == 0 else first
        one = tables.aligned[0]
        columns = _measured(study.plan.kind, tables, None if number == 0 else first, samples, seed)
        results.append(
            VariantResult(variant, tables.seeds, len(one), len(set(one.case.tolist())), columns, tables.minutes, reason)
        )
    return results


def seed_rows(study: Study) -> Iterator[dict]:
    """One row for each configuration, seed and column, for CSV: the numbers that :func:`compared` averages."""
    for variant in study.plan.variants:
        tables = _tables(study, variant.name)
        for seed, aligned in zip(tables.seeds, tables.aligned, strict=True):
            for n, column in enumerate(aligned.columns):
                values = estimates(aligned.x[:, n], aligned.y[:, n], study.plan.kind == "scores")
                row = {"configuration": variant.name, "seed": seed, "column": column, "n": len(aligned)}
                yield row | {name: _blank(values[name]) for name in MEASURES}


def _blank(value: float) -> float | str:
    return value if np.isfinite(value) else ""


def _tables(study: Study, variant: str) -> _Tables:
    kind, found, seeds, minutes = study.plan.kind, [], [], 0.0
    for seed in study.plan.seeds:
        jobs = study.of(variant, seed)
        done = [job.done for job in jobs]
        if not jobs or None in done:
            continue
        answers = pooled_answers(jobs)
        reference = reference_rows(study.cohort, kind, {str(row["case"]) for row in answers})
        aligned = align(table_of(kind, REFERENCE, reference), table_of(kind, f"{variant} seed {seed}", answers))
        found.append(replace(aligned, case=patients_of(study.cohort, aligned.case.tolist())))
        seeds.append(seed)
        minutes += sum(d.minutes for d in done)
    return _Tables(tuple(seeds), tuple(found), minutes)


def _reason(study: Study, variant: str, tables: _Tables, failed: Mapping[str, str]) -> str:
    lacking = [seed for seed in study.plan.seeds if seed not in tables.seeds]
    if not lacking:
        return ""
    said = [f"{j.job.name}: {failed.get(j.job.name, 'not done')}" for s in lacking for j in study.of(variant, s)
            if not j.done]  # fmt: skip
    return " ".join(said)


def _measured(kind: str, tables: _Tables, first: _Tables | None, samples: int, seed: int) -> dict[str, Measured]:
    kappa = kind == "scores"
    one = tables.aligned[0]
    drawn = _drawn(tables, samples, seed, kappa)
    first_drawn = _drawn(first, samples, seed, kappa) if first else {}
    resampler = Resampler(one.case, samples, seed) if samples else None
    found = {}
    for n, column in enumerate(one.columns):
        per_seed = [estimates(a.x[:, n], a.y[:, n], kappa) for a in tables.aligned]
        values = {m: float(np.mean([v[m] for v in per_seed])) for m in MEASURES}
        spread = {m: float(np.std([v[m] for v in per_seed], ddof=1)) if len(per_seed) > 1 else NAN for m in MEASURES}
        intervals = {m: resampler.interval(drawn[column][m]) if resampler else NO_INTERVAL for m in MEASURES}
        against: dict = {}
        if first is not None and _same_rows(first.aligned[0], one):
            test = compare_paired(_errors(first, n), _errors(tables, n))
            against = {"difference": test.difference, "wilcoxon_p": test.wilcoxon_p}
            if resampler:
                change = drawn[column]["mae"] - first_drawn[column]["mae"]
                against["difference_interval"] = resampler.interval(change)
        found[column] = Measured(values, intervals, spread, **against)
    return found


def _drawn(tables: _Tables, samples: int, seed: int, kappa: bool) -> dict[str, dict[str, np.ndarray]]:
    """Column -> measure -> values in the bootstrap samples, ``(samples,)``: patients and seeds drawn anew."""
    if not samples:
        return {}
    groups = {POOLED: tables.aligned[0].rows()}
    by_seed: Sequence = [
        {column: values for (column, _), values in bootstrap_values(a, groups, samples, seed, kappa)}
        for a in tables.aligned
    ]
    count = len(by_seed)
    chosen = np.random.default_rng([seed, count]).integers(count, size=(samples, count))
    at = np.arange(samples)[:, None]
    return {
        column: {m: np.stack([s[column][m] for s in by_seed], axis=1)[at, chosen].mean(axis=1) for m in MEASURES}
        for column in tables.aligned[0].columns
    }


def _errors(tables: _Tables, column: int) -> np.ndarray:
    """Absolute error of every row, the mean over the seeds."""
    return np.mean([np.abs(a.y[:, column] - a.x[:, column]) for a in tables.aligned], axis=0)


def _same_rows(first: Aligned, second: Aligned) -> bool:
    return len(first) == len(second) and bool((first.case == second.case).all() and (first.level == second.level).all())
