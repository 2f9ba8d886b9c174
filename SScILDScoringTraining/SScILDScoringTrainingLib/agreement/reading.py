"""Reading score tables and level tables; whatever is off is one sentence with file, row and column.

CSV with commas, semicolons or tabs (then also decimal commas), UTF-8, one header row; lines that start with # are
remarks. Column names may be in any case and order; further columns are left alone. One row is one level::

    case,level,tot,gg,ret          case,level,position_mm        optional: reader, session
    p01,1,10,10,5                  p01,L1,-76.0                  patient; for levels also: bottom_mm

or one row is one case: ``tot_1, gg_1, ret_1 ... ret_5`` and ``level_1_mm ... level_5_mm``, as in a cohort table.
Rows are numbered as a spreadsheet numbers them, the header being row 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten

from SScILDScoringLib.errors import TableError
from SScILDScoringLib.levels import Level
from SScILDScoringLib.scores import PATTERNS

from ..csv_files import CsvContent, one_line, read_csv
from .tables import LevelTable, ScoreTable, Table

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LEVEL = re.compile(r"(?:[lL](?:evel)?\s*)?([1-5])(?:\.0*)?")
_LISTED = 6
"""So many rows are named in a remark."""


def read_score_tables(path: str | Path) -> list[ScoreTable]:
    """The score tables of a file: one for each reader and session, in the order in which they appear.

    Raises:
        TableError: no such file, no table, a missing column, text where a number belongs, a score outside 0 to 100, an
            unknown level, a level of a case twice; the message names file, row and column.
    """
    wide = {level: tuple(f"{p.value}_{level:d}" for p in PATTERNS) for level in Level}
    rows = _Rows.of(path, ScoreTable.columns, wide, "score table")
    tables = rows.tables(ScoreTable, _score)
    return [_with_remarks(table, lines, _score_remarks) for table, lines in tables]


def read_level_tables(path: str | Path) -> list[LevelTable]:
    """The level tables of a file: one for each reader and session, in the order in which they appear.

    Raises:
        TableError: as :func:`read_score_tables`; also levels of a case that do not descend from L1 to L5, or two
            values of ``bottom_mm`` for one case.
    """
    wide = {level: (f"level_{level:d}_mm",) for level in Level}
    rows = _Rows.of(path, LevelTable.columns, wide, "level table")
    tables = rows.tables(LevelTable, _number)
    for table, lines in tables:
        _check_order(rows, table, lines)
    bottoms = _by_case(rows, "bottom_mm")
    return [replace(table, bottoms={c: v for c, v in bottoms.items() if c in table.case}) for table, _ in tables]


def read_fvc(path: str | Path) -> dict[str, float]:
    """Forced vital capacity in percent of the predicted value by case: columns ``case, fvc_percent``.

    Rows without a value are left out, so that the table of a whole cohort serves.

    Raises:
        TableError: as :func:`read_score_tables`; also a value outside 10 to 200, or a case with two values.
    """
    path = Path(path)
    content = read_csv(path, "table of forced vital capacities")
    _check_columns(path, content, ("case", "fvc_percent"), "table of forced vital capacities")
    rows = _Rows(path.name, content.rows, {}, content.decimal_comma)
    return _by_case(rows, "fvc_percent", (10, 200))


@dataclass(frozen=True)
class _Rows:
    """The data rows of a file, not yet understood.

    ``kinds`` maps a level to its columns in a wide table; in a long one it has the one key None.
    """

    name: str
    rows: tuple[tuple[int, dict[str, str]], ...]
    kinds: dict[Level | None, tuple[str, ...]]
    decimal_comma: bool

    @classmethod
    def of(cls, path: str | Path, columns: tuple[str, ...], wide: dict, kind: str) -> _Rows:
        path = Path(path)
        content = read_csv(path, kind)
        needed = ("case", "level", *columns)
        if not set(columns) & set(content.header) and set(wide[Level.L1]) & set(content.header):
            kinds, needed = wide, ("case", *(c for names in wide.values() for c in names))
        else:
            kinds = {None: columns}
        _check_columns(path, content, needed, kind)
        if not content.rows:
            raise TableError(f"{path.name} has a header and no rows: add one row for each case and level.")
        return cls(path.name, content.rows, kinds, content.decimal_comma)

    def problem(self, row: int, column: str, text: str) -> TableError:
        """The error of one cell."""
        return TableError(f"{self.name}, row {row}, column {column}: {text}")

    def tables(self, kind: type[Table], number) -> list[tuple[Table, list[int]]]:
        """One table for each reader and session, with the file's row number of every row."""
        found: dict[tuple[str, str], dict] = {}
        patients = self._patients()
        for row, cells in self.rows:
            case = self.text(row, cells, "case")
            rater = self.text(row, cells, "reader") if "reader" in cells else Path(self.name).stem
            session = one_line(cells.get("session", ""))
            entries = found.setdefault((rater, session), {})
            for level, columns in self.kinds.items():
                level = level or self._level(row, cells)
                if (case, level) in entries:
                    earlier = entries[case, level][0]
                    raise self.problem(
                        row,
                        "level" if "level" in cells else "case",
                        f"level {level:d} of case {case} stands in row {earlier} already. Keep one of them, or tell "
                        "them apart with a column session or reader.",
                    )
                entries[case, level] = (row, [number(self, row, cells, column) for column in columns])
        return [
            (
                kind(
                    rater,
                    session,
                    [case for case, _ in entries],
                    [int(level) for _, level in entries],
                    [values for _, values in entries.values()],
                    source=self.name,
                    patients={case: patients[case] for case, _ in entries if case in patients},
                ),
                [row for row, _ in entries.values()],
            )
            for (rater, session), entries in found.items()
        ]

    def _patients(self) -> dict[str, str]:
        """The patient of every case; an empty cell tells nothing."""
        found: dict[str, str] = {}
        for row, cells in self.rows:
            patient = one_line(cells.get("patient", ""))
            if patient:
                case = self.text(row, cells, "case")
                if found.setdefault(case, patient) != patient:
                    raise self.problem(row, "patient", f"case {case} is of patient {found[case]} in an earlier row.")
        return found

    def text(self, row: int, cells: dict[str, str], column: str) -> str:
        if not cells[column].strip():
            raise self.problem(row, column, "the cell is empty; every row needs a name here.")
        return one_line(cells[column])

    def _level(self, row: int, cells: dict[str, str]) -> Level:
        found = _LEVEL.fullmatch(cells["level"].strip())
        if not found:
            raise self.problem(row, "level", f"{_shown(cells['level'])} is no level; write 1 to 5 or L1 to L5.")
        return Level(int(found[1]))


def _by_case(rows: _Rows, column: str, limits: tuple[float, float] = (-math.inf, math.inf)) -> dict[str, float]:
    """A number that belongs to the case, not to its rows; empty cells and an absent column tell nothing."""
    found: dict[str, float] = {}
    for row, cells in rows.rows:
        if not cells.get(column, "").strip():
            continue
        case, value = rows.text(row, cells, "case"), _number(rows, row, cells, column)
        if not limits[0] <= value <= limits[1]:
            raise rows.problem(row, column, f"a value from {limits[0]:g} to {limits[1]:g} is needed, not {value:g}.")
        if found.setdefault(case, value) != value:
            raise rows.problem(row, column, f"case {case} has {found[case]:g} in an earlier row.")
    return found


def _number(rows: _Rows, row: int, cells: dict[str, str], column: str) -> float:
    text = cells[column].strip()
    if rows.decimal_comma:
        text = text.replace(",", ".")
    if not text:
        raise rows.problem(row, column, "the cell is empty; leave the row out where a level was not rated.")
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise rows.problem(row, column, f"{_shown(cells[column])} is not a number; write 12.5, without a unit.")
    return float(text)


def _score(rows: _Rows, row: int, cells: dict[str, str], column: str) -> float:
    value = _number(rows, row, cells, column)
    if not 0 <= value <= 100:
        raise rows.problem(row, column, f"a score is a percentage from 0 to 100, not {value:g}.")
    return value


def _check_order(rows: _Rows, table: Table, lines: list[int]) -> None:
    found = dict(zip(table.keys, zip(lines, table.values[:, 0].tolist(), strict=True), strict=True))
    above: dict[str, tuple[int, float]] = {}
    for (case, level), (line, mm) in sorted(found.items()):
        if case in above and not above[case][1] > mm:
            upper, upper_mm = above[case]
            raise rows.problem(
                line,
                table.columns[0] if None in rows.kinds else f"level_{level}_mm",
                f"level {level} of case {case} ({mm:g} mm) must lie below level {upper} ({upper_mm:g} mm). Positions "
                "are RAS S in millimetres and descend from L1 to L5.",
            )
        above[case] = (level, mm)


def _with_remarks(table: Table, lines: list[int], remarks) -> Table:
    return replace(table, remarks=tuple(remarks(table, lines)))


def _score_remarks(table: ScoreTable, lines: list[int]) -> Iterator[str]:
    """Rows that contradict themselves (method.md section 1), and scores that are not on the 5 % grid."""
    tot, gg, ret = table.values.T
    # Each score is rounded to 5 % for itself, which alone can part TOT from the sum by up to 7.5.
    off = (tot < table.values[:, 1:].max(axis=1) - 1e-9) | (tot > gg + ret + 7.5)
    if off.any():
        yield (
            f"{table.title} ({table.source}): TOT is not between the larger of GG and RET and their sum in "
            f"{_listed(lines, off)}; used as they are."
        )
    grid = (abs(table.values / 5 - (table.values / 5).round()) > 1e-9).any(axis=1)
    if grid.any():
        yield (
            f"{table.title} ({table.source}): scores between the steps of 5 % in {_listed(lines, grid)}; rounded for "
            "kappa, used as they are for everything else."
        )


def _listed(lines: list[int], chosen) -> str:
    rows = list(dict.fromkeys(line for line, wanted in zip(lines, chosen, strict=True) if wanted))
    more = f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {', '.join(map(str, rows[:_LISTED]))}{more}"


def _check_columns(path: Path, content: CsvContent, needed: tuple[str, ...], kind: str) -> None:
    missing = [c for c in needed if c not in content.header]
    if missing:
        named = shorten(", ".join(name for name in content.header if name), 150, placeholder=" ...")
        raise TableError(
            f"{path.name}, row {content.header_row}, column {missing[0]}: there is no such column. A {kind} has "
            f"{', '.join(needed)}; this file has {named}."
        )


def _shown(text: str) -> str:
    """A cell as messages quote it."""
    return repr(shorten(text, 60, placeholder="..."))
