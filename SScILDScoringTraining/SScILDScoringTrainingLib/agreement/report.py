"""``Agreement``: every number of one comparison, and its Markdown, CSV and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from SScILDScoringLib import __version__
from SScILDScoringLib.errors import TableError
from SScILDScoringLib.files import replacing
from SScILDScoringLib.progress import Progress, silent
from SScILDScoringLib.results import plain

from ..runfolder import csv_text
from . import levels
from .goh import STAGES, StageAgreement, stage_agreement
from .measures import corrected
from .rows import POOLED, Difference, Row, Settings, agreement_rows, differences, pairs
from .tables import Key, LevelTable, ScoreTable, Table, align, common_patients, keys_text

FORMAT = 1
_DELICATE = {"kappa": "kappa", "icc": "ICC", "r": "r"}
"""Measures that are not defined without variation."""


@dataclass(frozen=True)
class Agreement:
    """What raters have in common with a reference and with each other.

    Args:
        quantity: ``scores`` or ``levels``.
        reference: its title. raters: theirs.
        rows: the numbers of every comparison: against the reference, then inter-observer, then intra-observer.
        differences: the raters' absolute errors compared.
        stages: agreement of the Goh stage (scores only).
        missing: title -> the rows that another table has and this one lacks; tables that lack none are left out.
        remarks: what is worth knowing about the tables and the numbers, as sentences.
        drawn: what the bootstrap draws: ``patient``, as the tables' column says, or ``case`` where no table has it.
    """

    quantity: str
    reference: str
    raters: tuple[str, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    stages: tuple[StageAgreement, ...]
    missing: Mapping[str, tuple[Key, ...]]
    remarks: tuple[str, ...]
    settings: Settings
    drawn: str = "case"

    def find(self, column: str, level: str = POOLED, kind: str | None = None) -> list[Row]:
        """The rows of one column and level, of all comparisons or of one kind."""
        return [r for r in self.rows if r.column == column and r.level == level and kind in (None, r.kind)]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that were compared, in their order."""
        return tuple(dict.fromkeys(row.column for row in self.rows))

    def to_dict(self) -> dict:
        """What ``agreement.json`` holds; plain values, None where a measure is not defined."""
        return plain(
            {
                "format": FORMAT,
                "software": {"name": "SScILDScoring", "version": __version__},
                "quantity": self.quantity,
                "reference": self.reference,
                "raters": self.raters,
                "settings": vars(self.settings),
                "drawn": self.drawn,
                "rows": [
                    {**vars(row), "intervals": {k: list(v) for k, v in row.intervals.items()}} for row in self.rows
                ],
                "differences": [{**vars(d), "interval": list(d.interval)} for d in self.differences],
                "stages": {"order": [s.value for s in STAGES], "comparisons": [vars(s) for s in self.stages]},
                "missing": {title: [list(key) for key in keys] for title, keys in self.missing.items()},
                "remarks": self.remarks,
            }
        )

    def csv_tables(self) -> dict[str, list[dict]]:
        """File name -> rows; only tables that have rows."""
        flat = levels.flat if self.quantity == "levels" else Row.flat
        tables = {
            "agreement.csv": [flat(row) for row in self.rows],
            "differences.csv": [d.flat() for d in self.differences],
            "stages.csv": [s.flat() for s in self.stages],
            "missing.csv": [
                {"table": title, "case": case, "level": level}
                for title, keys in self.missing.items()
                for case, level in keys
            ],
        }
        return {name: [_written(row) for row in rows] for name, rows in tables.items()}

    def markdown(self, short: bool = False) -> str:
        """All tables and the definitions, for people and manuscripts; or the main table, missing rows and remarks."""
        from .markdown import markdown

        return markdown(self, short)

    def write(self, folder: str | Path) -> list[Path]:
        """Writes ``agreement.md``, ``agreement.json``, ``agreement.csv`` and, where they have rows, the other tables.

        All appear complete or not at all; a table of an earlier run that has no rows now is removed.

        Raises:
            SettingsError: the folder cannot be written.
        """
        folder = Path(folder)
        tables = self.csv_tables()
        texts = {"agreement.md": self.markdown()}
        texts |= {name: csv_text(rows) for name, rows in tables.items() if rows}
        texts["agreement.json"] = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        with ExitStack() as files:  # renamed only when all of them are written
            for name, text in texts.items():
                files.enter_context(replacing(folder / name)).write_text(text, encoding="utf-8", newline="\n")
        for name in tables.keys() - texts.keys():
            (folder / name).unlink(missing_ok=True)
        return [folder / name for name in texts]


def compare(
    reference: Table,
    raters: Sequence[Table],
    settings: Settings | None = None,
    fvc: Mapping[str, float] | None = None,
    progress: Progress = silent,
) -> Agreement:
    """Compares raters with a reference and with each other.

    Args:
        reference, raters: score tables, or level tables.
        fvc: forced vital capacity in percent of the predicted value by case, for the Goh stage.
        progress: called with stage ``agreement``.

    Raises:
        TableError: two tables with the same title, or a rater that has no row in common with the reference.
        SettingsError: an unknown correction.
    """
    settings = settings or Settings()
    raters = list(raters)
    if settings.correction is not None:
        corrected([], settings.correction)  # an unknown name is refused before the work
    _check(reference, raters)
    patients = common_patients((reference, *raters))
    reference, *raters = (replace(table, patients=patients) for table in (reference, *raters))
    remarks = [remark for table in (reference, *raters) for remark in table.remarks]
    if isinstance(reference, LevelTable):
        reference, raters, counted = levels.from_bottom(reference, raters)
        remarks.append(counted)
    between = sorted(pairs(raters), key=lambda pair: pair[0] == "intra")
    todo = [("reference", reference, rater) for rater in raters] + between
    rows: list[Row] = []
    tests: list[Difference] = []
    stages: list[StageAgreement] = []
    for number, (kind, first, second) in enumerate(todo):
        progress("agreement", number / len(todo), f"{second.title} and {first.title}")
        aligned = align(first, second)
        if not len(aligned):
            remarks.append(f"{first.title} and {second.title} have no row in common and are not compared.")
            continue
        rows += agreement_rows(kind, aligned, settings)
        if kind != "reference":
            tests += differences(kind, reference, first, second, settings)
        if isinstance(first, ScoreTable):
            stage = stage_agreement(kind, aligned, settings, fvc)
            stages += [stage] if stage else []
    remarks += _remarks(rows, stages, settings)
    progress("agreement", 1.0, "Compared")
    return Agreement(
        "scores" if isinstance(reference, ScoreTable) else "levels",
        reference.title,
        tuple(r.title for r in raters),
        tuple(rows),
        tuple(tests),
        tuple(stages),
        _missing([reference, *raters]),
        tuple(remarks),
        settings,
        "patient" if patients else "case",
    )


def distinct(tables: Sequence[Table], paths: Sequence[str | Path]) -> list[Table]:
    """The tables, each with a title of its own: equal ones that come from files of equal names get their folders'.

    ``scores.csv`` of two folders are ``a/scores`` and ``b/scores``.
    """
    titles = [table.title for table in tables]
    return [
        replace(table, rater=f"{Path(path).resolve().parent.name}/{table.rater}")
        if titles.count(table.title) > 1 and table.rater == Path(path).stem
        else table
        for table, path in zip(tables, paths, strict=True)
    ]


def _check(reference: Table, raters: Sequence[Table]) -> None:
    seen: dict[str, str] = {}
    for table in (reference, *raters):
        if table.title in seen:
            raise TableError(
                f"{seen[table.title]} and {table.source} are both of rater {table.title}: tell them apart with a "
                "column reader or session, or by the files' names."
            )
        seen[table.title] = table.source
    for table in raters:
        if not set(table.keys) & set(reference.keys):
            raise TableError(
                f"{table.source} ({table.title}) has no case and level in common with {reference.source}: "
                f"{_example(table)} here, {_example(reference)} there. Write the cases' names alike."
            )


def _example(table: Table) -> str:
    return keys_text(sorted(table.keys)[:1])


def _missing(tables: Sequence[Table]) -> dict[str, tuple[Key, ...]]:
    everything = {key for table in tables for key in table.keys}
    found = {table.title: tuple(sorted(everything - set(table.keys))) for table in tables}
    return {title: keys for title, keys in found.items() if keys}


def _remarks(rows: Sequence[Row], stages: Sequence[StageAgreement], settings: Settings) -> list[str]:
    found = []
    counts = {row.n for row in rows if row.level == POOLED}
    if len(counts) > 1:
        found.append(
            f"The comparisons rest on different rows, {min(counts)} to {max(counts)} of them: each uses all that its "
            "two tables have in common."
        )
    if any(row.patients < 2 for row in rows if row.level == POOLED):
        found.append("With a single patient there is no interval: patients are what is drawn again.")
    undefined = _named(rows, lambda row, name: row.n > 1 and math.isnan(row.values[name]))
    if undefined:
        found.append(f"Not defined, since a rater's values do not vary there: {undefined}.")
    wavering = _named(
        rows,
        lambda row, name: (
            settings.samples > 1
            and row.patients > 1
            and math.isfinite(row.values[name])
            and math.isnan(row.intervals[name].low)
        ),
    )
    if wavering:
        found.append(f"No interval, since too many bootstrap samples leave it undefined: {wavering}.")
    short = sorted({case for stage in stages for case in stage.without})
    if short:
        found.append(f"Without extent and Goh stage, for lack of one of the five levels: {', '.join(short)}.")
    return found


def _named(rows: Sequence[Row], wanted: Callable[[Row, str], bool]) -> str:
    """``kappa, ICC of GG L1 (A - truth)`` for the measures of rows that are ``wanted``."""
    found = []
    for row in rows:
        names = [title for name, title in _DELICATE.items() if name in row.values and wanted(row, name)]
        if names:
            found.append(f"{', '.join(names)} of {row.column.upper()} {row.level} ({row.title})")
    return "; ".join(found)


def _written(row: Mapping) -> dict:
    """Cells as CSV has them: six digits, nothing where a value is not defined."""
    return {key: _cell(value) for key, value in row.items()}


def _cell(value):
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
