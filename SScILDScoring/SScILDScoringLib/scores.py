"""TOT, GG and RET of a slice, the extent of a patient, and the Goh stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from .errors import SettingsError


class Pattern(Enum):
    """The three patterns that are scored. The value is the name in tables and files."""

    TOT = "tot"
    GG = "gg"
    RET = "ret"

    @property
    def title(self) -> str:
        """The full name."""
        return {"tot": "total disease extent", "gg": "ground-glass opacity", "ret": "reticulation"}[self.value]


PATTERNS = tuple(Pattern)


def rounded(percent: float | np.ndarray) -> np.ndarray | int:
    """Percent limited to [0, 100] and rounded to the nearest 5, halves upwards (12.5 gives 15)."""
    values = np.floor(np.clip(percent, 0, 100) / 5 + 0.5) * 5
    return values.astype(int) if np.ndim(values) else int(values)


ONE_DECIMAL = 0.15
"""Percentage points that TOT, GG and RET together lose at most when each is written with one decimal."""


def fit_together(tot: float, gg: float, ret: float) -> bool:
    """Whether TOT can be the union of GG and RET (method.md section 1): max(GG, RET) <= TOT <= GG + RET, in percent.

    Exact scores may have been rounded to one decimal each (:data:`ONE_DECIMAL`).
    """
    return max(gg, ret) - ONE_DECIMAL <= tot <= gg + ret + ONE_DECIMAL


@dataclass(frozen=True)
class SliceScores:
    """Raw network answers of one slice, in percent of its lung area.

    ``raw`` is TOT, GG, RET as the network gave them (may leave 0..100).
    """

    raw: tuple[float, float, float]

    def __post_init__(self) -> None:
        if len(self.raw) != 3 or not np.isfinite(self.raw).all():
            raise ValueError(f"three finite numbers are needed, not {self.raw}")
        object.__setattr__(self, "raw", tuple(float(v) for v in self.raw))

    @property
    def clipped(self) -> tuple[float, float, float]:
        """TOT, GG, RET limited to [0, 100]."""
        return tuple(float(v) for v in np.clip(self.raw, 0, 100))

    @property
    def reported(self) -> tuple[int, int, int]:
        """TOT, GG, RET to the nearest 5 %."""
        return tuple(int(v) for v in rounded(np.asarray(self.raw)))

    def of(self, pattern: Pattern) -> int:
        """The reported score of one pattern."""
        return self.reported[PATTERNS.index(pattern)]


def patient_extent(scores: Sequence[SliceScores]) -> tuple[float, float, float]:
    """Mean of the reported TOT, GG, RET over the scored levels, in percent (method.md section 1)."""
    if not scores:
        raise ValueError("no scores")
    return tuple(float(v) for v in np.mean([s.reported for s in scores], axis=0))


@dataclass(frozen=True)
class LungProfile:
    """Scores of every axial slice that holds lung.

    Args:
        slice_indices: canonical slice indices, ascending (towards the head).
        file_slice_indices: the file's own numbers of these slices.
        mm: RAS S of the slices in millimetres.
        lung_area_mm2: lung area of every slice, measured within the slice.
        scores: S-Net's answers.
    """

    slice_indices: tuple[int, ...]
    file_slice_indices: tuple[int, ...]
    mm: tuple[float, ...]
    lung_area_mm2: tuple[float, ...]
    scores: tuple[SliceScores, ...]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in self.__dataclass_fields__}
        if len(lengths) != 1 or not self.scores:
            raise ValueError("a profile has one entry for every slice and at least one slice")

    @property
    def extent(self) -> tuple[float, float, float]:
        """TOT, GG, RET of the whole lung in percent: the slices' clipped scores weighted by their lung volume.

        The slices are equally thick, so that weighting by area is weighting by volume. Scores are not rounded to
        5 % here: rounding belongs to the five levels that a person reads.
        """
        weights = np.asarray(self.lung_area_mm2, float)
        values = np.asarray([s.clipped for s in self.scores], float)
        return tuple(float(v) for v in (weights[:, None] * values).sum(axis=0) / weights.sum())


class Stage(Enum):
    """Goh stage of a patient."""

    LIMITED = "limited"
    EXTENSIVE = "extensive"
    INDETERMINATE = "indeterminate"


def goh_stage(tot_extent: float, fvc_percent: float | None = None) -> Stage:
    """Goh stage from the patient's TOT extent and, where needed, forced vital capacity (Goh 2008).

    Args:
        tot_extent: mean TOT over the five levels in percent. Below 10: limited; above 30: extensive; from 10 to 30
            the forced vital capacity decides.
        fvc_percent: forced vital capacity in percent of the predicted value: >= 70 limited, < 70 extensive; when
            None the stage stays indeterminate.

    Raises:
        SettingsError: a value outside what is possible.
    """
    if not 0 <= tot_extent <= 100:
        raise SettingsError(f"The disease extent is a percentage from 0 to 100, not {tot_extent:g}.")
    if fvc_percent is not None and not 10 <= fvc_percent <= 200:
        raise SettingsError(
            f"FVC is given in percent of the predicted value, between 10 and 200, not {fvc_percent:g} (70 means 70 %)."
        )
    if tot_extent < 10:
        return Stage.LIMITED
    if tot_extent > 30:
        return Stage.EXTENSIVE
    if fvc_percent is None:
        return Stage.INDETERMINATE
    return Stage.LIMITED if fvc_percent >= 70 else Stage.EXTENSIVE
