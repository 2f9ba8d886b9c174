"""The answers of all folds as one table beside the reference, and how well they agree.

Every number comes from :mod:`..agreement`; this module only brings tables together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from SScILDScoringLib.files import write_text
from SScILDScoringLib.levels import Level

from ..agreement.tables import LevelTable, ScoreTable, Table
from ..cohort import Cohort
from ..runfolder import csv_text
from .answers import PATTERNS, Answer, read_answers
from .jobs import ANSWERS, JobFolder

REFERENCE = "reference"
FILES = {"scores": ("scores.csv", "reference_scores.csv"), "levels": ("levels.csv", "reference_levels.csv")}
"""Names of the tables of answers and of the reference, by recipe."""


def pooled_answers(jobs: Iterable[JobFolder]) -> list[Answer]:
    """The answers of several jobs with the fold they come from, in the order of cases and levels."""
    rows = []
    for job in jobs:
        fold = {"fold": job.job.fold} if job.job.fold else {}
        rows += [{**row, **fold} for row in read_answers(job.path / ANSWERS)]
    return sorted(rows, key=lambda row: (row["case"], int(row["level"])))


def reference_rows(cohort: Cohort, kind: str, cases: Iterable[str] | None = None) -> list[Answer]:
    """The cohort's own levels or scores as rows of a table; of some cases, or of all.

    With a column ``patient`` where the cohort has one: agreement's intervals then draw patients.
    """
    wanted = None if cases is None else set(cases)
    rows: list[Answer] = []
    several = any(row.patient != row.case for row in cohort)
    for row in sorted(cohort, key=lambda r: r.case):
        if wanted is not None and row.case not in wanted:
            continue
        whose = {"case": row.case} | ({"patient": row.patient} if several else {})
        for level in Level:
            if kind == "levels":
                rows.append({**whose, "level": int(level), "position_mm": f"{row.mm[level - 1]:g}"})
            elif row.scores is not None and row.scores[level - 1] is not None:
                scores = dict(zip(PATTERNS, (f"{v:g}" for v in row.scores[level - 1]), strict=True))
                rows.append({**whose, "level": int(level), **scores})
    return rows


def write_tables(folder: Path, kind: str, rater: str, answers: Sequence[Answer], cohort: Cohort) -> tuple[Path, Path]:
    """Writes both tables, with a column ``reader``, as ``sscild agreement`` reads them; answers first."""
    mine, theirs = (folder / name for name in FILES[kind])
    write_text(mine, csv_text([{"reader": rater, **row} for row in answers]))
    reference = reference_rows(cohort, kind, {str(row["case"]) for row in answers})
    write_text(theirs, csv_text([{"reader": REFERENCE, **row} for row in reference]))
    return mine, theirs


def table_of(kind: str, rater: str, rows: Sequence[Mapping]) -> Table:
    """Rows of answers as a table that :mod:`..agreement` compares."""
    case, level = [str(r["case"]) for r in rows], [int(r["level"]) for r in rows]
    if kind == "scores":
        return ScoreTable(rater, "", case, level, [[float(r[p]) for p in PATTERNS] for r in rows])
    bottoms = {str(r["case"]): float(r["bottom_mm"]) for r in rows if r.get("bottom_mm")}
    return LevelTable(rater, "", case, level, [[float(r["position_mm"])] for r in rows], bottoms=bottoms)


def patients_of(cohort: Cohort, cases: Iterable[str]) -> np.ndarray:
    """The patient of each of ``cases``: what the bootstrap draws."""
    patient = {row.case: row.patient for row in cohort}
    return np.array([patient[case] for case in cases], dtype=str)
