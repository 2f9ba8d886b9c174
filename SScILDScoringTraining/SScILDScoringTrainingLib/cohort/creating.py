"""Cohorts made of what is there: scored and corrected cases, phantoms, or a folder of scans to fill in."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

from SScILDScoringLib.corrections import Correction, read_corrections, write_corrections
from SScILDScoringLib.errors import ScanError, SettingsError, TableError
from SScILDScoringLib.levels import Level
from SScILDScoringLib.progress import Progress, silent
from SScILDScoringLib.results import ScanResult

from .problems import errors_of
from .rows import CohortRow, Triple
from .scan_facts import FactReader
from .scored_cases import LUNGS, CaseTruth, Trust, case_folders, case_truth, consistent, read_result, scan_named_in
from .table import parse_cohort

STAGE = "cohort"
_SAME_MM = 0.5


@dataclass(frozen=True)
class NewCohort:
    """Rows for a table, and what a person should know about them: ``(case, sentence)`` in the folder's order."""

    rows: tuple[CohortRow, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()


def cohort_of_results(
    folder: str | Path,
    *,
    scans: str | Path | None = None,
    trust: Trust = Trust.confirmed,
    scores: str | Path | None = None,
    observer: str = "",
    cache: str | Path | None = None,
    progress: Progress = silent,
) -> NewCohort:
    """The cases of a folder that the scoring module, ``sscild score`` or ``sscild batch`` wrote.

    Args:
        scans: folder of the scans, found by the cases' names; not needed where results name them (``--identifiers``).
        trust: which answers count as truth.
        scores: a score table (``case, level, tot, gg, ret``) with a person's scores of these cases.
        observer: whose corrections to take where there are several persons'.
        cache: folder that remembers what was read of each scan.

    Raises:
        SettingsError: the folder holds no case. TableError: the score table cannot be used.
    """
    from SScILDScoringLib.batch_cases import find_cases

    folders = case_folders(folder)
    if not folders:
        raise SettingsError(f"{folder} holds no results (scores.json).")
    places = {c.name: c.path for c in find_cases(Path(scans))} if scans is not None else {}
    given = _given_scores(scores, observer) if scores is not None else {}
    reader = FactReader(cache)
    rows, left_out, remarks = [], [], []
    for n, place in enumerate(folders):
        progress(STAGE, n / len(folders), f"Case {n + 1} of {len(folders)}")
        try:
            result = read_result(place)
            truth = case_truth(place, result, trust, given.get(result.case), observer)
            rows.append(_row(place, result, truth, scan_named_in(place) or places.get(result.case), reader))
        except (TableError, ScanError) as error:
            left_out.append((place.name, str(error)))
            continue
        remarks += [(result.case, text) for text in truth.remarks]
    reader.digests.save()
    progress(STAGE, 1.0, f"{len(rows)} cases")
    return NewCohort(tuple(rows), tuple(left_out), tuple(remarks))


def _row(place: Path, result: ScanResult, truth: CaseTruth, scan: Path | None, reader: FactReader) -> CohortRow:
    if truth.unconfirmed():
        raise TableError(
            f"{truth.unconfirmed()}: placed by the software and confirmed by nobody. Move or confirm them "
            "(sscild cohort confirm), or say --trust reviewed."
        )
    if scan is None:
        raise TableError("the scan is not known; give the folder of the scans with --scans.")
    mm = tuple(truth.mm[level] for level in Level)
    if any(below >= above for above, below in itertools.pairwise(mm)):
        raise TableError(f"the corrected levels do not descend: {', '.join(f'{v:.1f}' for v in mm)} mm.")
    facts, error, _ = reader.read(scan)
    if facts is None:
        raise ScanError(f"the scan cannot be used. {error}")
    expected = result.facts.size[result.facts.slice_axis], result.facts.bottom_mm, result.facts.top_mm
    found = facts.slices, facts.low_mm, facts.high_mm
    if max(abs(a - b) for a, b in zip(expected, found, strict=True)) > _SAME_MM:
        raise ScanError(
            f"{scan.name} is another scan than the one that was scored: {found[0]} slices from {found[1]:.1f} to "
            f"{found[2]:.1f} mm instead of {expected[0]} from {expected[1]:.1f} to {expected[2]:.1f} mm."
        )
    lungs = place / LUNGS
    return CohortRow(
        result.case,
        scan,
        mm,
        scores=tuple(truth.scores.get(level) for level in Level) if truth.scores else None,
        lung_path=lungs if lungs.is_file() else None,
        observer=truth.observer,
        fvc_percent=result.fvc_percent,
    )


def _given_scores(path: str | Path, observer: str) -> dict[str, dict[Level, Triple]]:
    """Scores by case and level of a score table; of the chosen reader when it has several."""
    from ..agreement.reading import read_score_tables

    tables = [t for t in read_score_tables(path) if not observer or t.rater == observer]
    if len(tables) != 1:
        names = ", ".join(t.title for t in read_score_tables(path))
        raise TableError(f"{Path(path).name} has scores of {names}; choose one reader with --observer.")
    found: dict[str, dict[Level, Triple]] = {}
    for case, level, values in zip(tables[0].case, tables[0].level, tables[0].values, strict=True):
        found.setdefault(str(case), {})[Level(int(level))] = tuple(float(v) for v in values)
    return found


def confirm(folder: Path, observer: str, *, levels: bool = True, scores: bool = False) -> list[Correction]:
    """Writes ``corrections.csv``: the observer stands for the case's levels and scores as they are now.

    What the file says already stays. Scores are those reported, TOT put where the rules want it; correct the file
    where they are wrong.

    Raises:
        TableError: no result in the folder, or a file of it cannot be used.
    """
    result = read_result(folder)
    truth = case_truth(folder, result, observer=observer)
    said = {c.level: c for c in read_corrections(folder) if c.observer in (observer, "")}
    others = [c for c in read_corrections(folder) if c.observer not in (observer, "")]
    made = []
    for level, answer in zip(Level, result.scores, strict=True):
        old = said.get(level, Correction(level))
        mm = truth.mm[level] if levels or old.mm is not None else None
        given = old.scores or (consistent(answer.clipped) if scores else None)
        made.append(Correction(level, mm, given, observer))
    write_corrections(folder, [*others, *made])
    return made


def cohort_of_phantoms(table: Path, *, exact: bool = False, progress: Progress = silent) -> NewCohort:
    """The table of ``sscild phantom`` with lung masks, and scores as a reader gives them (to the nearest 5 %).

    Args:
        exact: keep the exact scores. Cases of which a level lies outside the scan are left out.
    """
    parsed = parse_cohort(table)
    reader = FactReader(None)
    rows, left_out = [], [(p.case, p.message) for p in errors_of(parsed.problems)]
    for n, row in enumerate(parsed.cohort):
        progress(STAGE, n / len(parsed.cohort), f"Phantom {n + 1} of {len(parsed.cohort)}")
        facts, error, _ = reader.read(row.path)
        outside = [level.name for level, mm in zip(Level, row.mm, strict=True) if facts and not facts.holds(mm)]
        if error or outside:
            left_out.append((row.case, error or f"{', '.join(outside)} outside the scan."))
            continue
        lungs = row.path.with_name(f"{row.case}_lungs.nii.gz")
        scores = row.scores
        if scores is not None and not exact:
            scores = tuple(None if s is None else consistent(s) for s in scores)
        rows.append(replace(row, scores=scores, lung_path=lungs if lungs.is_file() else None, number=0))
    return NewCohort(tuple(rows), tuple(left_out))


def is_phantom_table(table: Path) -> bool:
    """Whether a table is one that ``sscild phantom`` wrote."""
    from SScILDScoringLib.phantom.writing import COLUMNS

    if not table.is_file():
        return False
    with table.open(encoding="utf-8") as file:
        return file.readline().strip().split(",") == list(COLUMNS)


def scans_to_fill_in(folder: str | Path) -> dict[str, Path]:
    """The scans of a folder by case name, for a table whose levels and scores a person fills in.

    Raises:
        SettingsError: there are none.
    """
    from SScILDScoringLib.batch_cases import find_cases

    return {case.name: case.path for case in find_cases(Path(folder))}
