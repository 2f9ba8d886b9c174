"""The check of a cohort: every scan is read, and everything that is wrong is told at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from SScILDScoringLib.levels import Level
from SScILDScoringLib.progress import Progress, silent

from .problems import ERROR, WARNING, Problem, errors_of
from .rows import Cohort, CohortRow
from .scan_facts import FactReader, ScanFacts
from .table import LEVEL_COLUMNS, PATTERNS, parse_cohort

STAGE = "check"
SPAN_MM = (40.0, 300.0)
"""Between L1 and L5 lie about 100 to 200 mm in adults; outside this range the numbers are hardly millimetres."""


@dataclass(frozen=True)
class CohortCheck:
    """What the check found.

    Args:
        cohort: the rows that can be used. problems: by row; those of the whole table first.
        facts: of every readable scan, by the row's number.
        row_count: rows of the table.
    """

    cohort: Cohort
    problems: tuple[Problem, ...]
    facts: dict[int, ScanFacts]
    row_count: int

    @property
    def errors(self) -> list[Problem]:
        """What training refuses."""
        return errors_of(self.problems)

    def scores(self) -> np.ndarray:
        """TOT, GG, RET of all scored levels in percent, ``(n, 3)``."""
        triples = [s for row in self.cohort for s in row.scores or () if s is not None]
        return np.array(triples, float).reshape(-1, 3)

    def summary(self) -> dict:
        """Plain values: how much there is of what, without any case's name."""
        rows, scores = self.cohort.rows, self.scores()
        return {
            "table": self.cohort.path.name,
            "rows": self.row_count,
            "usable_rows": len(rows),
            "patients": len(self.cohort.patients),
            "splits": dict(sorted(Counter(row.split for row in rows).items())),
            "folds": {str(k): v for k, v in sorted(Counter(r.fold for r in rows if r.fold is not None).items())},
            "scored_cases": sum(row.scores is not None for row in rows),
            "scored_slices": len(scores),
            "slices_without_disease_percent": round(100 * float((scores[:, 0] == 0).mean()), 1)
            if len(scores)
            else None,
            "mean_tot_percent": _rounded(scores[:, 0], 2),
            "errors": len(self.errors),
            "warnings": len(self.problems) - len(self.errors),
        }


def check_cohort(
    table: str | Path, *, cache: str | Path | None = None, exact: bool = False, progress: Progress = silent
) -> CohortCheck:
    """Checks a cohort table and every scan and lung mask in it.

    Args:
        cache: folder in which facts of scans are remembered by their content, so that a second check is quick.
        exact: scores between the steps of 5 % are right (phantoms, means of readers).
        progress: stage ``check``; what was read before a cancel is remembered.

    Raises:
        TableError: there is no such table, it is no CSV, or it lacks a column that it cannot do without.
    """
    parsed = parse_cohort(table)
    problems = list(parsed.problems)
    rows = sorted([*parsed.cohort, *parsed.others], key=lambda row: row.number)
    problems += _twice(rows)
    for row in parsed.cohort:
        problems += _scores(row, exact)
    reader = FactReader(cache)
    facts: dict[int, ScanFacts] = {}
    try:
        for n, row in enumerate(rows):
            progress(STAGE, n / len(rows), f"Scan {n + 1} of {len(rows)}")
            found, error, lung_error = reader.read(row.path, row.lung_path)
            if error:
                problems.append(_error("unreadable_scan", row, "path", f"the scan cannot be used. {error}"))
            if lung_error:
                problems.append(_error("lung_mask", row, "lung_path", f"the lung mask does not fit. {lung_error}"))
            if found is not None:
                facts[row.number] = found
                problems += _levels(row, found)
    finally:
        reader.digests.save()
    progress(STAGE, 1.0, f"{len(rows)} scans read")
    problems += _same_scan(rows, facts)
    order = {p: n for n, p in enumerate(problems)}
    problems.sort(key=lambda p: (p.row or 0, p.severity != ERROR, order[p]))
    return CohortCheck(parsed.cohort, tuple(problems), facts, len(parsed.content.rows))


def _rounded(values: np.ndarray, digits: int) -> float | None:
    return round(float(values.mean()), digits) if len(values) else None


def _error(code: str, row: CohortRow, column: str, message: str) -> Problem:
    return Problem(ERROR, code, row.number, row.case, column, message)


def _warning(code: str, row: CohortRow, column: str, message: str) -> Problem:
    return Problem(WARNING, code, row.number, row.case, column, message)


def _twice(rows: Iterable[CohortRow]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for row in rows:
        if row.case and first.setdefault(row.case, row.number) != row.number:
            text = f"the case stands in row {first[row.case]} already; every case has one row and one name."
            yield _error("case_twice", row, "case", text)


def _same_scan(rows: Iterable[CohortRow], facts: dict[int, ScanFacts]) -> Iterator[Problem]:
    first: dict[str, CohortRow] = {}
    for row in rows:
        if row.number not in facts:
            continue
        other = first.setdefault(facts[row.number].voxels, row)
        if other is not row:
            where = f"row {other.number} (case {other.case})"
            text = f"the scan has the same voxels as that of {where}; keep one of them."
            yield _error("scan_twice", row, "path", text)


def _scores(row: CohortRow, exact: bool) -> Iterator[Problem]:
    if row.scores is None:
        return
    for level, triple in zip(Level, row.scores, strict=True):
        if triple is None:
            text = f"level {level:d} has no scores; it is not used for S-Net."
            yield _warning("level_not_scored", row, f"tot_{level:d}", text)
            continue
        off = [(p, v) for p, v in zip(PATTERNS, triple, strict=True) if not exact and abs(v / 5 - round(v / 5)) > 1e-9]
        if off:
            listed = ", ".join(f"{pattern}_{level:d} {value:g}" for pattern, value in off)
            text = f"{listed}: scores are multiples of 5 (--exact allows others)."
            yield _error("score_step", row, f"{off[0][0]}_{level:d}", text)


def _levels(row: CohortRow, facts: ScanFacts) -> Iterator[Problem]:
    if not row.mm:
        return
    for column, level, mm in zip(LEVEL_COLUMNS, Level, row.mm, strict=True):
        if not facts.holds(mm):
            text = (
                f"level {level:d} at {mm:g} mm is outside the scan, which reaches from {facts.low_mm:.1f} to "
                f"{facts.high_mm:.1f} mm (RAS S)."
            )
            yield _error("level_outside", row, column, text)
    span = row.mm[0] - row.mm[-1]
    if not SPAN_MM[0] <= span <= SPAN_MM[1]:
        text = f"the levels span {span:.0f} mm from L1 to L5; are they RAS S in millimetres?"
        yield _warning("levels_span", row, "level_1_mm", text)
    slices = [round(facts.slice_of(mm)) for mm in row.mm]
    same = [level for level in Level if level > 1 and slices[level - 1] == slices[level - 2]]
    if same:
        text = f"levels {same[0] - 1:d} and {same[0]:d} lie in the same slice."
        yield _warning("levels_same_slice", row, f"level_{same[0]:d}_mm", text)
