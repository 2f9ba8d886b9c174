"""One case of a cohort, and all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from SScILDScoringLib.errors import TableError

SPLITS = ("train", "validation", "test")

VALIDATION_SHARE = 0.25
"""Share of the patients that validate when a table does not say which: one fold of four, as published."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class CohortRow:
    """One case.

    Args:
        case: its name, unique in the cohort.
        path: the scan, an image file or a folder with a DICOM series.
        mm: RAS S in millimetres of L1..L5, descending.
        split: ``train``, ``validation`` or ``test``.
        scores: TOT, GG, RET in percent of each level, L1 first; None for a level that nobody scored, and None for a
            case without any score. A healthy case has zeros.
        fold: number of the fold, from 1, in which the case validates; None: in no fold.
        healthy: a person saw no interstitial lung disease in the scan; None when nobody said.
        lung_path: a lung mask of the scan (labels as an image file), or None: the software finds the lungs.
        observer: who placed the levels and gave the scores; empty when unknown.
        patient: whose scan it is. Rows of one patient stay together in splits and folds. The case when not given.
        fvc_percent: forced vital capacity in percent of the predicted value, or None.
        number: the row's number in its file, as a spreadsheet counts; 0 for one that was made otherwise.
    """

    case: str
    path: Path
    mm: tuple[float, ...]
    split: str = "train"
    scores: tuple[Triple | None, ...] | None = None
    fold: int | None = None
    healthy: bool | None = None
    lung_path: Path | None = None
    observer: str = ""
    patient: str = ""
    fvc_percent: float | None = None
    number: int = 0

    def __post_init__(self) -> None:
        if not self.patient:
            object.__setattr__(self, "patient", self.case)

    @property
    def complete(self) -> bool:
        """Whether all five levels have scores."""
        return self.scores is not None and None not in self.scores

    @property
    def mean_tot(self) -> float | None:
        """Mean TOT over the scored levels in percent: the patient's extent; None without scores."""
        tot = [s[0] for s in self.scores or () if s is not None]
        return float(np.mean(tot)) if tot else None


@dataclass(frozen=True)
class Cohort(Sequence[CohortRow]):
    """The rows of a cohort table, in its order.

    Args:
        rows: the cases. path: the table's file.
        columns: the columns the table has, in lower case.
    """

    rows: tuple[CohortRow, ...]
    path: Path
    columns: tuple[str, ...] = ()

    def __getitem__(self, number):
        return self.rows[number]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[CohortRow]:
        return iter(self.rows)

    @property
    def folds(self) -> tuple[int, ...]:
        """The numbers of the folds, ascending; empty when the table has none."""
        return tuple(sorted({row.fold for row in self.rows if row.fold is not None}))

    @property
    def patients(self) -> tuple[str, ...]:
        """All patients, sorted."""
        return tuple(sorted({row.patient for row in self.rows}))

    def of_split(self, split: str) -> tuple[CohortRow, ...]:
        """The rows of one split (``train``, ``validation``, ``test``)."""
        return tuple(row for row in self.rows if row.split == split)

    def for_fold(self, fold: int) -> Cohort:
        """The cohort with the cases of this fold in ``validation`` and those of the others in ``train``.

        Cases of the split ``test`` stay there whatever their fold; cases without a fold stay in the split they have.

        Raises:
            TableError: the table has no such fold.
        """
        if fold not in self.folds:
            known = ", ".join(map(str, self.folds)) or "none; sscild cohort split makes them"
            raise TableError(f"{self.path.name} has no fold {fold}. Its folds: {known}.")
        return replace(self, rows=tuple(_in_fold(row, fold) for row in self.rows))

    def with_drawn_validation(self, seed: int) -> Cohort:
        """The cohort with a quarter of the training patients, at least one, moved to ``validation`` by chance."""
        patients = sorted({row.patient for row in self.rows if row.split == "train"})
        if len(patients) < 2:
            return self
        count = max(1, round(VALIDATION_SHARE * len(patients)))
        drawn = set(np.random.default_rng(seed).permutation(patients)[:count].tolist())
        rows = (replace(r, split="validation") if r.split == "train" and r.patient in drawn else r for r in self.rows)
        return replace(self, rows=tuple(rows))


def _in_fold(row: CohortRow, fold: int) -> CohortRow:
    if row.split == "test" or row.fold is None:
        return row
    return replace(row, split="validation" if row.fold == fold else "train")
