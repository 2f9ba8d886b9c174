"""Score tables and level tables, and which rows two of them have in common.

A table holds one rater in one session. Score tables are CSV with the columns ``case, level, tot, gg, ret``, level
tables with ``case, level, position_mm``; both may have ``reader``, ``session`` and, where a patient has several cases,
``patient``. What only one of two tables has is listed by :func:`align`, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from SScILDScoringLib.errors import TableError
from SScILDScoringLib.levels import Level
from SScILDScoringLib.scores import PATTERNS, Pattern

Key = tuple[str, int]
"""A case and one of its levels (1 to 5): what identifies a row."""


@dataclass(frozen=True, eq=False)
class Table:
    """What one rater said in one session.

    Args:
        rater: the reader's name; the file's name without ending where the table names no reader.
        session: as in the table (``T1``); empty when there is none.
        case: ``(n,)`` text. level: ``(n,)`` int, 1 to 5. Every pair of the two occurs once.
        values: ``(n, c)`` float, one column for each of :attr:`columns`.
        source: the file's name, for messages.
        remarks: what is worth knowing about the rows, as sentences.
        patients: the patient of a case, where the table tells; any other case is a patient of its own.
    """

    rater: str
    session: str
    case: np.ndarray
    level: np.ndarray
    values: np.ndarray
    source: str = ""
    remarks: tuple[str, ...] = ()
    patients: Mapping[str, str] = field(default_factory=dict)

    columns: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "case", np.asarray(self.case, dtype=str))
        object.__setattr__(self, "level", np.asarray(self.level, dtype=int))
        object.__setattr__(self, "values", np.asarray(self.values, dtype=float).reshape(-1, len(self.columns)))
        if not len(self.case) == len(self.level) == len(self.values):
            raise ValueError("case, level and values have one entry for each row")
        if len(set(self.keys)) != len(self.case):
            raise ValueError("a case has every level once")

    @property
    def title(self) -> str:
        """Rater and session: ``A T1``."""
        return f"{self.rater} {self.session}".strip()

    @property
    def keys(self) -> list[Key]:
        """Case and level of every row."""
        return list(zip(self.case.tolist(), self.level.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.case)


class ScoreTable(Table):
    """TOT, GG and RET in percent, 0 to 100: ``values`` is ``(n, 3)`` in this order."""

    columns = tuple(p.value for p in PATTERNS)


@dataclass(frozen=True, eq=False)
class LevelTable(Table):
    """Level positions, RAS S in millimetres: ``values`` is ``(n, 1)``.

    ``bottoms`` has RAS S of the scan's lowest slice in millimetres by case, where the table tells it.
    """

    bottoms: Mapping[str, float] = field(default_factory=dict)

    columns = ("position_mm",)


@dataclass(frozen=True, eq=False)
class Aligned:
    """The rows that two tables have in common, in the order of cases and levels.

    Args:
        first, second: titles of the two raters. The reference is always the first; differences are second - first.
        columns: what was rated: ``tot, gg, ret`` or ``position_mm``.
        case: ``(n,)`` text. level: ``(n,)`` int.
        x, y: ``(n, c)`` float, the first and the second rater's values.
        only_first, only_second: case and level of the rows that only one of them has.
        patient: ``(n,)`` text, whose row it is; None: every case is a patient of its own.
    """

    first: str
    second: str
    columns: tuple[str, ...]
    case: np.ndarray
    level: np.ndarray
    x: np.ndarray
    y: np.ndarray
    only_first: tuple[Key, ...] = ()
    only_second: tuple[Key, ...] = ()
    patient: np.ndarray | None = None

    @property
    def drawn(self) -> np.ndarray:
        """``(n,)`` text: what the bootstrap draws with all its rows, the patients."""
        return self.case if self.patient is None else self.patient

    def of(self, column: Pattern | str = "position_mm", level: Level | int | None = None) -> tuple:
        """``(x, y)`` of one pattern or column, each ``(m,)``: of one level, or pooled when ``level`` is None."""
        number = self.columns.index(column.value if isinstance(column, Pattern) else column)
        rows = self.rows(level)
        return self.x[rows, number], self.y[rows, number]

    def rows(self, level: Level | int | None = None) -> np.ndarray:
        """``(n,)`` bool: the rows of a level; all of them when it is None."""
        return np.ones(len(self.case), bool) if level is None else self.level == int(level)

    @property
    def cases(self) -> list[str]:
        """The cases that have at least one common row, sorted."""
        return sorted(set(self.case.tolist()))

    def __len__(self) -> int:
        return len(self.case)


def align(first: Table, second: Table) -> Aligned:
    """The rows both tables have, and lists of those that only one has.

    Raises:
        ValueError: a score table and a level table.
    """
    if first.columns != second.columns:
        raise ValueError(f"tables of different kinds: {first.columns} and {second.columns}")
    ours = {key: i for i, key in enumerate(first.keys)}
    theirs = {key: i for i, key in enumerate(second.keys)}
    common = sorted(ours.keys() & theirs.keys())
    case, level = (np.array([key[i] for key in common], dtype=kind) for i, kind in ((0, str), (1, int)))
    return Aligned(
        first.title,
        second.title,
        first.columns,
        case,
        level,
        first.values[[ours[key] for key in common]],
        second.values[[theirs[key] for key in common]],
        tuple(sorted(ours.keys() - theirs.keys())),
        tuple(sorted(theirs.keys() - ours.keys())),
        _patients({**second.patients, **first.patients}, case),
    )


def common_patients(tables: Sequence[Table]) -> dict[str, str]:
    """The patient of every case that one of the tables knows.

    Raises:
        TableError: two tables give a case to different patients.
    """
    found: dict[str, tuple[str, Table]] = {}
    for table in tables:
        for case, patient in table.patients.items():
            known, other = found.setdefault(case, (patient, table))
            if known != patient:
                raise TableError(
                    f"Case {case} is of patient {known} in {other.source or other.title} and of {patient} in "
                    f"{table.source or table.title}: give both tables the same column patient."
                )
    return {case: patient for case, (patient, _) in found.items()}


def _patients(known: Mapping[str, str], case: np.ndarray) -> np.ndarray | None:
    return np.array([known.get(c, c) for c in case.tolist()], dtype=str) if known else None


def patient_means(aligned: Aligned) -> Aligned:
    """One row a case: the mean over its five levels, the disease extent of method.md section 1.

    Only cases with all five levels have an extent; ``level`` is 0. The lists of missing rows are kept.
    """
    complete = [c for c in aligned.cases if (aligned.case == c).sum() == len(Level)]
    x, y = (_means(aligned.case, values, complete) for values in (aligned.x, aligned.y))
    return Aligned(
        aligned.first,
        aligned.second,
        aligned.columns,
        np.array(complete, dtype=str),
        np.zeros(len(complete), int),
        x,
        y,
        aligned.only_first,
        aligned.only_second,
        _patients(dict(zip(aligned.case.tolist(), aligned.drawn.tolist(), strict=True)), np.array(complete, dtype=str)),
    )


def _means(case: np.ndarray, values: np.ndarray, wanted: Sequence[str]) -> np.ndarray:
    means = [values[case == c].mean(axis=0) for c in wanted]
    return np.array(means, dtype=float).reshape(len(means), values.shape[1])


def keys_text(keys: Iterable[Key]) -> str:
    """Rows as text, levels of a case together: ``p01 L1 L2, p07 L1 L2 L3 L4 L5``."""
    levels: dict[str, list[int]] = {}
    for case, level in keys:
        levels.setdefault(case, []).append(level)
    return ", ".join(f"{case} " + " ".join(f"L{level}" for level in found) for case, found in levels.items())
