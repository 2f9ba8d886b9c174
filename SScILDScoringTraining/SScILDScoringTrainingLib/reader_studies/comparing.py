"""Readers against the reference, against each other, and against themselves: one table, as the published Table 6."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from SScILDScoringLib.errors import TableError
from SScILDScoringLib.observers.export import REPEATED
from SScILDScoringLib.progress import Progress, silent

from ..agreement.goh import stage_agreement
from ..agreement.levels import from_bottom
from ..agreement.report import Agreement, compare
from ..agreement.rows import Settings, agreement_rows, pairs
from ..agreement.tables import Key, LevelTable, ScoreTable, Table, align
from .answer_tables import ReaderTables

NO_REFERENCE = "none"


def compare_readers(
    readers: ReaderTables,
    reference: Table | None = None,
    network: Table | None = None,
    settings: Settings | None = None,
    progress: Progress = silent,
) -> Agreement | None:
    """All comparisons of a study.

    Against the reference, where there is one; inter-observer between readers in the same session, the network being
    one more rater; intra-observer between the sessions of a reader, and between the two showings of a case within one.

    Returns:
        None when there is nothing to compare: one table, or none.

    Raises:
        TableError: a reader or the network has no row in common with the reference.
    """
    settings = settings or Settings()
    raters = [*readers.sessions, *([network] if network is not None else [])]
    if reference is not None and raters:
        found = compare(reference, raters, settings, progress=progress)
    elif len(raters) + len(readers.repeats) > 1:
        found = _among_readers(raters, settings, progress)
    else:
        return None
    return _with_repeats(found, readers, settings)


def only_table(found: Sequence[Table], name: str) -> Table:
    """The table of a file that must hold one rater in one session. Raises TableError."""
    if len(found) != 1:
        titles = ", ".join(table.title for table in found)
        raise TableError(f"{name} must hold one rater in one session to be the reference, not {titles}.")
    return found[0]


def _among_readers(raters: Sequence[Table], settings: Settings, progress: Progress) -> Agreement:
    """An agreement without reference: no errors, only how readers differ."""
    rows, stages = [], []
    remarks = ["There is no reference: the readers are compared with each other only."]
    if isinstance(raters[0], LevelTable):
        first, others, counted = from_bottom(raters[0], raters[1:])
        raters = [first, *others]
        remarks.append(counted)
    todo = sorted(pairs(list(raters)), key=lambda pair: pair[0] == "intra")
    for number, (kind, first, second) in enumerate(todo):
        progress("agreement", number / len(todo), f"{second.title} and {first.title}")
        aligned = align(first, second)
        if len(aligned):
            rows += agreement_rows(kind, aligned, settings)
            if isinstance(first, ScoreTable):
                stage = stage_agreement(kind, aligned, settings)
                stages += [stage] if stage else []
    return Agreement(
        "levels" if any(isinstance(table, LevelTable) for table in raters) else "scores",
        NO_REFERENCE,
        tuple(table.title for table in raters),
        tuple(rows),
        (),
        tuple(stages),
        _missing(raters),
        tuple(remarks),
        settings,
    )


def _with_repeats(agreement: Agreement, readers: ReaderTables, settings: Settings) -> Agreement:
    """The agreement with the two showings of a case within a session as further intra-observer rows."""
    rows = []
    for again in readers.repeats:
        names = (again.rater, again.session.removesuffix(REPEATED))
        first = next((table for table in readers.sessions if (table.rater, table.session) == names), None)
        if first is None:
            continue
        both = from_bottom(first, [again])[:2] if isinstance(again, LevelTable) else (first, [again])
        aligned = align(both[0], both[1][0])
        if len(aligned):
            rows += agreement_rows("intra", aligned, settings)
    if not rows:
        return agreement
    remark = f"Sessions that end in {REPEATED} are the second showings of cases shown twice within a session."
    return replace(agreement, rows=(*agreement.rows, *rows), remarks=(*agreement.remarks, remark))


def _missing(tables: Sequence[Table]) -> dict[str, tuple[Key, ...]]:
    everything = {key for table in tables for key in table.keys}
    found = {table.title: tuple(sorted(everything - set(table.keys))) for table in tables}
    return {title: keys for title, keys in found.items() if keys}
