"""The cohort table: one CSV row per case with its levels and, for S-Net, its scores.

Columns ``case, path, level_1_mm ... level_5_mm``; for scores ``tot_1, gg_1, ret_1 ... ret_5``; optional ``split``
(``train``, ``validation`` or ``test``). A table without it is split by chance where training asks for that.
Lines that start with # are remarks.
"""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from SScILDScoringLib.errors import TableError
from SScILDScoringLib.levels import Level

from ..config import expand

SPLITS = ("train", "validation", "test")
_LEVEL_COLUMNS = [f"level_{level:d}_mm" for level in Level]
_SCORE_COLUMNS = [f"{pattern}_{level:d}" for level in Level for pattern in ("tot", "gg", "ret")]


@dataclass(frozen=True)
class CohortRow:
    """One case: ``mm`` are the RAS S positions of L1..L5, ``scores`` TOT, GG, RET of each level in percent, or None."""

    case: str
    path: Path
    mm: tuple[float, ...]
    split: str = "train"
    scores: tuple[tuple[float, float, float], ...] | None = None


VALIDATION_SHARE = 0.25
"""Share of the cases that validate when a table does not say which: one fold of four, as published."""


def read_cohort(table: str | Path, scores: bool = False, split_seed: int | None = None) -> list[CohortRow]:
    """The rows of a cohort table. Paths may hold ``${NAME}`` and are relative to the table.

    Args:
        scores: the score columns are needed.
        split_seed: a table without the column ``split`` gets a quarter of its cases for validation, drawn with this
            seed; None leaves all in ``train``.

    Raises:
        TableError: a missing column, a value that is no number, levels out of order, scores that contradict each
            other, an unknown split, or a file that is not there; the message names the case.
    """
    table = Path(table)
    if not table.is_file():
        raise TableError(f"There is no table {table}.")
    needed = ["case", "path", *_LEVEL_COLUMNS, *(_SCORE_COLUMNS if scores else [])]
    with table.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(line for line in file if not line.startswith("#"))
        missing = [c for c in needed if c not in (lines.fieldnames or [])]
        if missing:
            raise TableError(f"{table.name} has no column {missing[0]}.")
        rows = [_row(table, line, scores) for line in lines]
    if not rows:
        raise TableError(f"{table.name} has no rows.")
    return rows if split_seed is None or "split" in lines.fieldnames else _split(rows, split_seed)


def _split(rows: list[CohortRow], seed: int) -> list[CohortRow]:
    """The rows with a quarter of the cases, at least one, in ``validation``; a case never straddles the splits."""
    cases = sorted({row.case for row in rows})
    if len(cases) < 2:
        return rows
    count = max(1, round(VALIDATION_SHARE * len(cases)))
    drawn = set(np.random.default_rng(seed).permutation(cases)[:count].tolist())
    return [replace(row, split="validation") if row.case in drawn else row for row in rows]


def _row(table: Path, line: dict, with_scores: bool) -> CohortRow:
    where = f"{table.name}, case {line['case']}"
    mm = _numbers(where, line, _LEVEL_COLUMNS)
    if any(below >= above for above, below in itertools.pairwise(mm)):
        raise TableError(f"{where}: the levels must descend from level 1 to level 5, not {mm}.")
    split = (line.get("split") or "train").strip()
    if split not in SPLITS:
        raise TableError(f"{where}: split is one of {', '.join(SPLITS)}, not {split!r}.")
    path = Path(expand(line["path"]))
    path = path if path.is_absolute() else table.parent / path
    if not path.exists():
        raise TableError(f"{where}: there is no file {path}.")
    scores = None
    if with_scores:
        flat = _numbers(where, line, _SCORE_COLUMNS)
        scores = tuple(flat[i : i + 3] for i in range(0, 15, 3))
        for level, (tot, gg, ret) in enumerate(scores, start=1):
            if not max(gg, ret) <= tot <= min(gg + ret, 100) or min(gg, ret) < 0:
                raise TableError(
                    f"{where}, level {level}: TOT {tot:g} must lie between the larger of GG {gg:g} and RET {ret:g} "
                    f"and their sum."
                )
    return CohortRow(line["case"], path, mm, split, scores)


def _numbers(where: str, line: dict, columns: list[str]) -> tuple[float, ...]:
    values = []
    for column in columns:
        try:
            values.append(float(line[column]))
        except (TypeError, ValueError):
            raise TableError(f"{where}: {column} must be a number, not {line[column]!r}.") from None
    return tuple(values)
