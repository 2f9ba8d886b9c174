"""The cases of a study from what its owner has: scans, a cohort table, the results of ``sscild score`` or ``batch``."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from ..batch_cases import find_cases
from ..levels import Level
from ..results import read_json
from .creation import StudyCase
from .errors import ObserverError

_COLUMNS = [f"level_{level:d}_mm" for level in Level]
_SAME_MM = 1.0
"""Levels of a table and of results that are closer than this are the same."""


def study_cases(source: str | Path | Sequence[str | Path], results: str | Path | None = None) -> list[StudyCase]:
    """The cases of a folder of scans, of a table, or of a list of scans, with what is known about each.

    Args:
        source: as for :func:`~SScILDScoringLib.batch_cases.find_cases`; a table may have ``level_1_mm`` ...
            ``level_5_mm`` (RAS S) as a cohort table has.
        results: a folder in which ``<case>/scores.json`` and ``<case>/heatmaps`` lie; gives levels where the table
            has none, the network's scores, and heat maps.

    Raises:
        SScILDError: nothing there, a value that is no number, or levels of table and results that differ.
    """
    found = find_cases(source)
    levels: list[tuple[float, ...] | None] = [None] * len(found)
    if isinstance(source, str | Path) and Path(source).suffix.lower() == ".csv":
        levels = _levels_of_table(Path(source))
    cases = []
    for one, mm in zip(found, levels, strict=True):
        case = StudyCase(one.name, one.path, mm)
        cases.append(case if results is None else _with_results(case, Path(results) / one.name))
    return cases


def _levels_of_table(table: Path) -> list[tuple[float, ...] | None]:
    """The levels of each row; None where a table has no such columns or a row leaves them empty."""
    with table.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    found = []
    for number, row in enumerate(rows, start=1):
        cells = [(row.get(column) or "").strip() for column in _COLUMNS]
        found.append(tuple(_number(cell, number, table) for cell in cells) if any(cells) else None)
    return found


def _number(text: str, row: int, table: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ObserverError(
            f"Row {row} of {table.name}: the levels are five numbers in millimetres (RAS S), not {text!r}."
        )
    return value


def _with_results(case: StudyCase, folder: Path) -> StudyCase:
    if not (folder / "scores.json").is_file():
        raise ObserverError(f"Case {case.case} has no results: there is no {folder / 'scores.json'}.")
    result = read_json(folder / "scores.json")
    mm = result.levels.mm
    if case.levels_mm is not None and any(abs(a - b) > _SAME_MM for a, b in zip(mm, case.levels_mm, strict=True)):
        raise ObserverError(
            f"Case {case.case}: the results were made at other levels than the table has. Score it at these levels "
            "(sscild score --levels), or take the level columns out of the table."
        )
    maps = folder / "heatmaps"
    return StudyCase(
        case.case,
        case.path,
        case.levels_mm or mm,
        maps if maps.is_dir() else None,
        tuple(tuple(float(v) for v in scores.reported) for scores in result.scores),
    )
