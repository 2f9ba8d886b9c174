"""Cohort tables: checked, and made of scored cases."""

from __future__ import annotations

import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.progress import Progress

if TYPE_CHECKING:
    from ..cohort.checking import CohortCheck
    from ..cohort.creating import NewCohort
    from ..cohort.table import ParsedCohort


def check(
    private: Path, progress: Progress, *, table: str, exact: bool = False, cache: str | None = None
) -> dict[str, object]:
    """Reads every scan of a cohort table and tells everything that is wrong.

    Args:
        private: for pictures. table: the CSV file. exact: scores between the steps of 5 % are right.
        cache: folder that remembers what was read; none when None.

    Returns:
        ``problems`` (``severity, code, row, case, column, message`` each), ``summary`` (counts, see
        :meth:`..cohort.checking.CohortCheck.summary`), ``rows`` (one a row of the table: ``row, case, patient, split,
        fold, scan, observer, levels_mm`` (five, or none), ``scores`` (five triples or None each, or None), ``tot, gg,
        ret`` (means of the scored levels), ``mean_tot`` (the same as ``tot``), ``problems`` (how many) and ``state``
        (``ok``, ``warning``, ``error``)), ``figure`` (PNG of the score distribution, or None) and ``levels_figure``
        (PNG of where the levels lie, or None).

    Raises:
        TableError: there is no such table, or it is none.
    """
    from ..agreement.figures import style
    from ..cohort.checking import check_cohort
    from ..cohort.figures import level_positions, score_distribution
    from ..cohort.table import parse_cohort

    found = check_cohort(table, cache=cache, exact=exact, progress=progress)
    progress("check", 1.0, "Drawing how the scores are distributed")
    for old in private.glob("cohort-*.png"):
        with suppress(OSError):
            old.unlink()
    name = f"cohort-{uuid.uuid4().hex[:8]}"  # a new one each time: a panel keeps pictures by their names
    figure = levels = None
    if len(found.scores()):
        figure = style.save(score_distribution(found), private / f"{name}-scores", ("png",))[0]
    if any(row.number in found.facts for row in found.cohort):
        levels = style.save(level_positions(found), private / f"{name}-levels", ("png",))[0]
    return {
        "problems": [vars(problem) for problem in found.problems],
        "summary": found.summary(),
        "rows": _rows(found, parse_cohort(table)),
        "figure": figure,
        "levels_figure": levels,
    }


def _rows(check: CohortCheck, parsed: ParsedCohort) -> list[dict[str, object]]:
    """The rows of the table in its order, those that cannot be used too."""
    errors = Counter(p.row for p in check.errors)
    total = Counter(p.row for p in check.problems)
    known = {row.number: row for row in (*parsed.cohort, *parsed.others)}
    rows = []
    for number, cells in parsed.content.rows:
        row = known.get(number)
        triples = [s for s in (row.scores if row else None) or () if s is not None]
        means = [sum(values) / len(triples) for values in zip(*triples, strict=True)] or [None] * 3
        rows.append(
            {
                "row": number,
                "case": row.case if row else cells["case"],
                "patient": row.patient if row else cells.get("patient") or cells["case"],
                "split": row.split if row else cells.get("split") or "train",
                "fold": row.fold if row else None,
                "scan": row.path.absolute() if row else None,
                "observer": row.observer if row else "",
                "levels_mm": row.mm if row else (),
                "scores": row.scores if row else None,
                "tot": means[0],
                "gg": means[1],
                "ret": means[2],
                "mean_tot": means[0],
                "problems": total[number],
                "state": "error" if errors[number] else "warning" if total[number] else "ok",
            }
        )
    return rows


def create(
    private: Path,
    progress: Progress,
    *,
    source: str,
    table: str,
    scans: str | None = None,
    trust: str = "confirmed",
    scores: str | None = None,
    observer: str = "",
    exact: bool = False,
    cache: str | None = None,
    overwrite: bool = False,
) -> dict[str, object]:
    """Makes a cohort table of a folder: scored and corrected cases, phantoms, or scans to fill in.

    Args:
        source: the folder. table: the CSV file to write. scans: where the scans of results are.
        trust: ``confirmed``, ``reviewed`` or ``everything``, see ``sscild cohort create``. scores: a person's scores.
        observer: whose corrections. exact: of phantoms, keep exact scores.

    Returns:
        ``table``, ``cases`` and ``scored`` (how many), ``left_out`` and ``remarks`` (``{case, message}`` each) and
        ``to_fill_in`` (levels and scores are to be filled in by a person).

    Raises:
        SettingsError: the table is there and not to be overwritten, or no case can be used.
    """
    from ..cohort import creating
    from ..cohort.scored_cases import Trust
    from ..cohort.writing import write_cohort

    folder, target = Path(source), Path(table)
    if target.exists() and not overwrite:
        raise SettingsError(f"{target} is there already; choose another name, or replace it.")
    if not folder.is_dir():
        raise SettingsError(f"There is no folder {folder}.")
    if trust not in list(Trust):
        raise SettingsError(f"Trust is one of {', '.join(Trust)}, not {trust!r}.")
    if creating.is_phantom_table(folder / "cohort.csv"):
        made = creating.cohort_of_phantoms(folder / "cohort.csv", exact=exact, progress=progress)
    elif creating.case_folders(folder):
        made = creating.cohort_of_results(
            folder,
            scans=scans,
            trust=Trust(trust),
            scores=scores,
            observer=observer,
            cache=cache,
            progress=progress,
        )
    else:
        return _told(target, _table_to_fill_in(folder, target), to_fill_in=True)
    if not made.rows:
        case, why = made.left_out[0]
        raise SettingsError(f"None of the {len(made.left_out)} cases can be used. {case}: {why} Nothing was written.")
    write_cohort(made.rows, target)
    return _told(target, len(made.rows), made)


def _table_to_fill_in(folder: Path, target: Path) -> int:
    """Writes a table with a row for every scan of a folder, and returns how many there are."""
    from ..cohort.creating import scans_to_fill_in
    from ..cohort.table import COLUMNS
    from ..cohort.writing import relative_path, write_cells

    places = scans_to_fill_in(folder)
    here = target.resolve().parent
    header = [c for c in COLUMNS if c not in ("levels_path", "fold", "healthy", "lung_path", "fvc_percent")]
    write_cells(target, header, [{"case": n, "path": relative_path(p, here)} for n, p in places.items()])
    return len(places)


def _told(target: Path, cases: int, made: NewCohort | None = None, to_fill_in: bool = False) -> dict[str, object]:
    def listed(found: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
        return [{"case": case, "message": text} for case, text in found]

    return {
        "table": target.absolute(),
        "cases": cases,
        "scored": sum(row.scores is not None for row in made.rows) if made else 0,
        "left_out": listed(made.left_out) if made else [],
        "remarks": listed(made.remarks) if made else [],
        "to_fill_in": to_fill_in,
    }
