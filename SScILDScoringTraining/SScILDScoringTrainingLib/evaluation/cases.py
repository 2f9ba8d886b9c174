"""The cases that an evaluation runs on: those of a cohort table, or phantoms made for the purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from SScILDScoringLib.errors import SettingsError, TableError
from SScILDScoringLib.progress import Progress, silent

from ..cohort import CohortRow
from ..cohort.problems import ERROR
from ..cohort.table import parse_cohort

PHANTOM_SEED = 970_000
"""Added to the seed of an evaluation's phantoms, so that no training sees them."""

PHANTOM_FIXED: Mapping[str, object] = {"matrix": 512, "slices": 100, "tilt_deg": 0.0}
"""Fields of an evaluation's phantoms that are not left to chance."""


@dataclass(frozen=True)
class Cases:
    """The cases of an evaluation.

    Args:
        rows: usable cases. failures: cases whose row cannot be used, with a sentence each.
        remarks: what is worth knowing about the table, as sentences.
        what: what the data are, in words, for tables and the methods.
        phantoms: they are synthetic.
    """

    rows: tuple[CohortRow, ...]
    failures: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    what: str
    phantoms: bool = False


def cases_of_table(table: str | Path, split: str | None = None) -> Cases:
    """The cases of a cohort table (see :mod:`..cohort.table`); a case that cannot be used is listed, not fatal.

    Args:
        split: ``train``, ``validation`` or ``test`` for the cases of that split only; None: all of them.

    Raises:
        TableError: no usable table, or no case of that split.
    """
    parsed = parse_cohort(table)
    cohort, problems = parsed.cohort, parsed.problems
    usable = {row.case for row in cohort}
    failures, remarks = {}, []
    for problem in problems:
        if problem.severity == ERROR and problem.case not in usable:
            failures.setdefault(problem.case or f"row {problem.row}", problem.message)
        else:
            remarks.append(problem.text(Path(table).name))
    seen: set[str] = set()
    for row in cohort:
        if row.case in seen:
            raise TableError(f"{Path(table).name}, row {row.number}: case {row.case} stands in the table twice.")
        seen.add(row.case)
    rows = [row for row in cohort if split in (None, row.split)]
    if not rows:
        named = f" of the split {split}" if split else ""
        first = next(iter(failures.items()), None)
        why = f" {first[0]}: {first[1]}" if first else ""
        raise TableError(f"{Path(table).name} has no usable case{named}.{why}")
    of_split = f", split {split}" if split else ""
    return Cases(tuple(rows), tuple(failures.items()), tuple(remarks), f"Cohort {Path(table).stem}{of_split}.")


def phantom_cases(
    count: int,
    seed: int,
    folder: str | Path,
    fixed: Mapping[str, object] = PHANTOM_FIXED,
    progress: Progress = silent,
) -> Cases:
    """Phantoms with masks of their lungs and disease, written to ``folder``; those that are there already stay.

    Heat maps use the phantoms' own lung masks, so that an error in finding the lungs is none of what they are measured
    by; levels and scores are found as in any scan.

    Args:
        count: how many. seed: other seeds give other phantoms; no training uses any of them.
        fixed: fields of :class:`~SScILDScoringLib.phantom.PhantomSpec` that are not left to chance.
        progress: stage ``phantom``.

    Raises:
        SettingsError: no phantom asked for, or the folder cannot be written.
    """
    from SScILDScoringLib.phantom.writing import write_cohort

    if count < 1:
        raise SettingsError("At least one phantom is needed: --phantoms 6.")
    table = write_cohort(folder, count, PHANTOM_SEED + seed, progress=progress, **fixed)
    found = cases_of_table(table)
    rows = [
        replace(row, lung_path=row.path.with_name(f"{row.case}_lungs.nii.gz"))
        for row in sorted(found.rows, key=lambda row: row.case)[:count]
    ]
    what = f"{count} phantoms: synthetic chest CTs with drawn disease, seed {seed}. They say nothing about patients."
    return replace(found, rows=tuple(rows), what=what, phantoms=True)
