"""Agreement of the Goh stage: limited, indeterminate or extensive from each rater's disease extent (Goh 2008)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from SScILDScoringLib.scores import PATTERNS, Pattern, Stage, goh_stage

from .bootstrap import NO_INTERVAL, Interval, Resampler, kappa_features, kappa_of_sums
from .measures import category_kappa
from .rows import Settings
from .tables import Aligned, patient_means

STAGES = (Stage.LIMITED, Stage.INDETERMINATE, Stage.EXTENSIVE)
"""In the order of the disease extent, which the linear weights follow."""


@dataclass(frozen=True)
class StageAgreement:
    """The stages of two raters.

    Args:
        kind, first, second: as in :class:`.rows.Row`.
        matrix: ``(3, 3)`` patients; rows are the first rater's stages, columns the second's, as in :data:`STAGES`.
        agreement: share of patients with equal stages.
        kappa: Cohen's, unweighted. weighted_kappa: with linear weights over the three stages in order.
        without: patients that lack a level with one of the two and so have no stage.
        with_fvc: forced vital capacity decided where the extent alone did not.
    """

    kind: str
    first: str
    second: str
    matrix: tuple[tuple[int, ...], ...]
    agreement: float
    kappa: float
    kappa_interval: Interval
    weighted_kappa: float
    weighted_kappa_interval: Interval
    without: tuple[str, ...] = ()
    with_fvc: bool = False

    @property
    def n(self) -> int:
        """Patients with a stage from both."""
        return sum(map(sum, self.matrix))

    def flat(self) -> dict:
        """One level of keys, for CSV; ``limited_extensive``: limited for the first rater, extensive for the second."""
        return {
            **{name: getattr(self, name) for name in ("kind", "first", "second", "n", "agreement")},
            "kappa": self.kappa,
            "kappa_ci_low": self.kappa_interval.low,
            "kappa_ci_high": self.kappa_interval.high,
            "weighted_kappa": self.weighted_kappa,
            "weighted_kappa_ci_low": self.weighted_kappa_interval.low,
            "weighted_kappa_ci_high": self.weighted_kappa_interval.high,
            **{
                f"{first.value}_{second.value}": self.matrix[i][j]
                for i, first in enumerate(STAGES)
                for j, second in enumerate(STAGES)
            },
        }


def stage_agreement(
    kind: str, aligned: Aligned, settings: Settings, fvc: Mapping[str, float] | None = None
) -> StageAgreement | None:
    """The stages of both raters for every patient with all five levels from both; None when there is no such patient.

    Args:
        fvc: forced vital capacity in percent of the predicted value by case; a case without it keeps the stage of its
            extent (see :func:`~SScILDScoringLib.scores.goh_stage`).
    """
    extents = patient_means(aligned)
    if not len(extents):
        return None
    tot = PATTERNS.index(Pattern.TOT)
    numbers = [
        np.array(
            [
                STAGES.index(goh_stage(float(extent), (fvc or {}).get(case)))
                for case, extent in zip(extents.case.tolist(), values[:, tot], strict=True)
            ]
        )
        for values in (extents.x, extents.y)
    ]
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, tuple(numbers), 1)
    plain, weighted = (_interval(extents, numbers, settings, linear) for linear in (False, True))
    return StageAgreement(
        kind,
        aligned.first,
        aligned.second,
        tuple(tuple(int(v) for v in line) for line in matrix),
        float((numbers[0] == numbers[1]).mean()),
        category_kappa(*numbers, range(3)),
        plain,
        category_kappa(*numbers, range(3), "linear"),
        weighted,
        tuple(sorted(set(aligned.cases) - set(extents.cases))),
        fvc is not None,
    )


def _interval(extents: Aligned, numbers: list[np.ndarray], settings: Settings, linear: bool) -> Interval:
    if not settings.samples:
        return NO_INTERVAL
    resampler = Resampler(extents.drawn, settings.samples, settings.seed)
    sums = resampler.sums(kappa_features(*numbers, len(STAGES), linear))
    return resampler.interval(kappa_of_sums(sums, linear))
