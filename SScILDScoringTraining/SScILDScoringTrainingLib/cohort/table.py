"""The cohort table as a CSV file: what it may hold, and reading it.

Columns: ``case, path`` and either ``level_1_mm ... level_5_mm`` (RAS S) or ``levels_path`` (a ``levels.mrk.json`` or
``scores.json`` of each case); for S-Net ``tot_1, gg_1, ret_1 ... tot_5, gg_5, ret_5`` in percent. Optional:
``split`` (train, validation, test), ``fold`` (1, 2 ...), ``healthy`` (1: read as free of disease, scores may be left
empty), ``lung_path``, ``observer``, ``patient``, ``fvc_percent``. Paths may hold ``${NAME}`` and are relative to the
table. Lines that start with # are remarks.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from SScILDScoringLib.errors import SettingsError, TableError
from SScILDScoringLib.levels import Level
from SScILDScoringLib.scores import fit_together

from ..config import expand
from ..csv_files import CsvContent, one_line, read_csv
from .level_files import levels_from_file
from .problems import ERROR, WARNING, Problem, refuse
from .rows import SPLITS, Cohort, CohortRow, Triple

PATTERNS = ("tot", "gg", "ret")
LEVEL_COLUMNS = tuple(f"level_{level:d}_mm" for level in Level)
SCORE_COLUMNS = tuple(f"{pattern}_{level:d}" for level in Level for pattern in PATTERNS)
OPTIONAL = ("split", "fold", "healthy", "lung_path", "observer", "patient", "fvc_percent")
COLUMNS = ("case", "path", *LEVEL_COLUMNS, "levels_path", *SCORE_COLUMNS, *OPTIONAL)
PATH_COLUMNS = ("path", "levels_path", "lung_path")
NUMBERS = (*LEVEL_COLUMNS, *SCORE_COLUMNS, "fold", "fvc_percent")
KIND = "cohort table"

_TRUE, _FALSE = ("1", "yes", "true"), ("0", "no", "false")


def read_cohort(
    table: str | Path,
    scores: bool = False,
    split_seed: int | None = None,
    fold: int | None = None,
    partial: bool = False,
) -> Cohort:
    """The rows of a cohort table; scans are not opened (``sscild cohort check`` does that).

    Args:
        scores: the scores are needed, of every level of every case.
        split_seed: a table without the column ``split`` gets a quarter of its patients for validation, drawn with this
            seed; with folds the first fold validates. None leaves all in ``train``.
        fold: the cases of this fold are in ``validation``, those of the other folds in ``train``.
        partial: levels, and cases, without scores are welcome where ``scores`` are needed.

    Raises:
        TableError: the first thing that is wrong, with file, row and case: a missing column, a value that is no number,
            levels out of order, scores that contradict each other, an unknown split, a patient in two splits or folds,
            or a file that is not there.
    """
    parsed = parse_cohort(table, scores=scores, partial=partial)
    cohort = parsed.cohort
    refuse(parsed.problems, cohort.path.name)
    if fold is not None:
        return cohort.for_fold(fold)
    if split_seed is not None and "split" not in cohort.columns:
        return cohort.for_fold(cohort.folds[0]) if cohort.folds else cohort.with_drawn_validation(split_seed)
    if split_seed is not None and cohort.folds and not cohort.of_split("validation"):
        return cohort.for_fold(cohort.folds[0])
    return cohort


class ParsedCohort(NamedTuple):
    """What a table holds.

    Args:
        cohort: the rows that can be used. problems: everything that is wrong.
        others: rows with a scan whose name or levels cannot be used (``mm`` is empty then).
        content: the cells as they stand in the file.
    """

    cohort: Cohort
    problems: list[Problem]
    others: list[CohortRow]
    content: CsvContent


def parse_cohort(table: str | Path, *, scores: bool | None = None, partial: bool = True) -> ParsedCohort:
    """All rows that can be understood, and everything that is wrong, as far as it shows without opening a scan.

    Args:
        scores: True: they are needed; None: they are checked where there are any; False: wrong ones are left out
            without a word.
        partial: missing scores are no problem.

    Raises:
        TableError: there is no such table, it cannot be read as CSV, or it lacks a column that it cannot do without.
    """
    table = Path(table)
    content = read_csv(table, KIND)
    header = content.header
    needed = ["case", "path", *(() if "levels_path" in header else LEVEL_COLUMNS)]
    if scores and not ("healthy" in header and not set(SCORE_COLUMNS) & set(header)):
        needed += SCORE_COLUMNS
    missing = [c for c in needed if c not in header]
    if missing:
        raise TableError(f"{table.name} has no column {missing[0]}. A {KIND} has the columns {', '.join(needed)}.")
    if not content.rows:
        raise TableError(f"{table.name} has no rows.")
    problems = [_unknown(name, content) for name in header if name and name not in COLUMNS]
    rows, others = [], []
    for number, cells in content.rows:
        reader = _Row(table, number, cells, content.decimal_comma)
        row = reader.row(scores, partial)
        problems += reader.problems
        if row is not None:
            (rows if row.case and row.mm else others).append(row)
    both = sorted([*rows, *others], key=lambda row: row.number)
    problems += [*straddling(both, "split"), *straddling(both, "fold")]
    return ParsedCohort(Cohort(tuple(rows), table, header), problems, others, content)


def straddling(rows: Iterable[CohortRow], what: str) -> list[Problem]:
    """A problem for every row whose patient is in another ``split`` or ``fold`` in an earlier row."""
    first: dict[str, CohortRow] = {}
    problems = []
    for row in rows:
        value = getattr(row, what)
        if value is None:
            continue
        other = first.setdefault(row.patient, row)
        if getattr(other, what) != value:
            text = (
                f"the {what} is {value}, but patient {row.patient} is in {what} {getattr(other, what)} in row "
                f"{other.number} (case {other.case}). All scans of a patient belong together."
            )
            problems.append(Problem(ERROR, f"patient_in_two_{what}s", row.number, row.case, what, text))
    return problems


def _unknown(name: str, content: CsvContent) -> Problem:
    near = difflib.get_close_matches(name, [c for c in COLUMNS if c not in content.header], n=1, cutoff=0.75)
    hint = f" Is {near[0]} meant?" if near else ""
    text = f"the column {name} is not known and is not used.{hint}"
    return Problem(WARNING, "unknown_column", content.header_row, "", name, text)


class _Row:
    """One row on its way from cells to a :class:`CohortRow`; collects what is wrong instead of stopping at it."""

    def __init__(self, table: Path, number: int, cells: dict[str, str], decimal_comma: bool) -> None:
        self.table, self.number, self.decimal_comma = table, number, decimal_comma
        self.cells = {name: one_line(cell) for name, cell in cells.items()}
        self.case = self.cells["case"]
        self.problems: list[Problem] = []

    def row(self, scores: bool | None, partial: bool) -> CohortRow | None:
        """The row; without a usable case or levels these are empty; None without a scan."""
        if not self.case:
            self._add("missing_value", "case", "case must be a name, not an empty cell.")
        path = self._file("path", needed=True)
        mm = self._levels()
        healthy = self._flag("healthy")
        usable = {"split": self._split(), "fold": self._fold(), "healthy": healthy}
        usable |= {"lung_path": self._file("lung_path"), "fvc_percent": self._fvc()}
        before = len(self.problems)
        found = self._scores(healthy, bool(scores) and not partial)
        if scores is False:
            if len(self.problems) > before:
                found = None
            del self.problems[before:]
        if path is None:
            return None
        texts = {name: self.cells.get(name, "") for name in ("observer", "patient")}
        return CohortRow(self.case, path, mm or (), scores=found, number=self.number, **usable, **texts)

    def _add(self, code: str, column: str, message: str) -> None:
        self.problems.append(Problem(ERROR, code, self.number, self.case, column, message))

    def _file(self, column: str, needed: bool = False) -> Path | None:
        text = self.cells.get(column, "")
        if not text:
            if needed:
                self._add("missing_value", column, f"{column} must name a file or folder; the cell is empty.")
            return None
        try:
            path = Path(expand(text))
        except SettingsError as error:
            self._add("missing_variable", column, str(error))
            return None
        path = path if path.is_absolute() else self.table.parent / path
        if not path.exists():
            self._add("missing_file", column, f"there is no file {path}.")
            return None
        return path

    def _levels(self) -> tuple[float, ...] | None:
        given = any(self.cells.get(column) for column in LEVEL_COLUMNS)
        path = self._file("levels_path")
        if path is None:
            if self.cells.get("levels_path") and not given:
                return None  # the file is missing, which has been said
            if "level_1_mm" not in self.cells:
                self._add("missing_value", "levels_path", "levels_path must name a file; the cell is empty.")
                return None
            column = "level_1_mm"
            mm = self._numbers(LEVEL_COLUMNS)
        else:
            column = "levels_path"
            try:
                mm = levels_from_file(path)
            except TableError as error:
                self._add("levels_file", column, str(error))
                return None
            if given:
                self._add("levels_twice", column, "levels_path and level_1_mm ... are both given; keep one of them.")
                return None
        if mm is None:
            return None
        wrong = [n for n, (above, below) in enumerate(itertools.pairwise(mm), start=2) if below >= above]
        if wrong:
            column = column if column == "levels_path" else f"level_{wrong[0]}_mm"
            self._add("levels_order", column, f"the levels must descend from level 1 to level 5, not {_listed(mm)}.")
            return None
        return mm

    def _scores(self, healthy: bool | None, all_needed: bool) -> tuple[Triple | None, ...] | None:
        filled = [column for column in SCORE_COLUMNS if self.cells.get(column)]
        if not filled and healthy:
            return ((0.0, 0.0, 0.0),) * 5
        if not filled and not all_needed:
            return None
        found: list[Triple | None] = []
        for level in Level:
            columns = [f"{pattern}_{level:d}" for pattern in PATTERNS]
            if not all_needed and not any(self.cells.get(c) for c in columns):
                found.append(None)
                continue
            values = self._numbers(columns)
            found.append(values if values is not None and self._consistent(level, values, healthy) else None)
        return tuple(found) if any(found) else None

    def _consistent(self, level: Level, values: Triple, healthy: bool | None) -> bool:
        for pattern, value in zip(PATTERNS, values, strict=True):
            if not 0 <= value <= 100:
                column = f"{pattern}_{level:d}"
                self._add("score_range", column, f"{column} is a percentage from 0 to 100, not {value:g}.")
                return False
        tot, gg, ret = values
        if not fit_together(tot, gg, ret):
            text = (
                f"level {level:d}: TOT {tot:g} must lie between the larger of GG {gg:g} and RET {ret:g} and their sum."
            )
            self._add("score_sum", f"tot_{level:d}", text)
            return False
        if healthy and tot > 0:
            self._add("score_healthy", f"tot_{level:d}", f"level {level:d}: the case is healthy, but TOT is {tot:g}.")
            return False
        return True

    def _numbers(self, columns: Sequence[str]) -> tuple[float, ...] | None:
        """The numbers of some cells; None, and one problem for each that is none."""
        values = []
        for column in columns:
            value = self._number(column)
            if value is None:
                text = f"{column} must be a number, not {self.cells.get(column, '')!r}."
                self._add("not_a_number", column, text)
            values.append(value)
        return None if None in values else tuple(values)

    def _number(self, column: str) -> float | None:
        text = self.cells.get(column, "")
        try:
            value = float(text.replace(",", ".") if self.decimal_comma else text)
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    def _split(self) -> str:
        split = self.cells.get("split") or "train"
        if split not in SPLITS:
            self._add("unknown_split", "split", f"split is one of {', '.join(SPLITS)}, not {split!r}.")
            return "train"
        return split

    def _fold(self) -> int | None:
        text = self.cells.get("fold", "")
        if not text:
            return None
        value = self._number("fold")
        if value is None or value != int(value) or value < 1:
            self._add("unknown_fold", "fold", f"fold is a number from 1, not {text!r}.")
            return None
        return int(value)

    def _flag(self, column: str) -> bool | None:
        text = self.cells.get(column, "").lower()
        if text and text not in (*_TRUE, *_FALSE):
            self._add("not_a_flag", column, f"{column} is 1 or 0, not {text!r}.")
        return text in _TRUE if text in (*_TRUE, *_FALSE) else None

    def _fvc(self) -> float | None:
        text = self.cells.get("fvc_percent", "")
        value = self._number("fvc_percent")
        if text and (value is None or not 10 <= value <= 200):
            self._add("fvc_range", "fvc_percent", f"fvc_percent lies between 10 and 200, not {text!r}.")
            return None
        return value


def _listed(mm: Iterable[float]) -> str:
    return ", ".join(f"{v:g}" for v in mm)
