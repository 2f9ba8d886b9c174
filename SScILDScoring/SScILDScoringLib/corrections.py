"""What a person stands for in a scored case: ``corrections.csv`` beside its ``scores.json``.

``scores.json`` keeps what the software answered, and levels that were moved by hand. Scores that a person gives, and
answers that a person confirms, stand in a table of their own, so that it is always clear who said what::

    level,position_mm,tot,gg,ret,observer
    1,-112.50,10,10,5,AB
    2,-149.25,,,,AB

One row is one level, an empty cell says nothing. It can be written by ``sscild cohort confirm``, by the scoring module
or in a spreadsheet; a new export of the case leaves it where it is. ``sscild cohort create`` makes training data of it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import TableError
from .files import write_text
from .levels import Level
from .scores import PATTERNS, fit_together

FILE = "corrections.csv"
COLUMNS = ("level", "position_mm", *(p.value for p in PATTERNS), "observer")


@dataclass(frozen=True)
class Correction:
    """What a person says of one level.

    Args:
        level: which.
        mm: its RAS S position in millimetres, or None.
        scores: TOT, GG, RET in percent, or None.
        observer: who; may be empty.

    Raises:
        TableError: scores outside 0 to 100, or TOT not between the larger of GG and RET and their sum.
    """

    level: Level
    mm: float | None = None
    scores: tuple[float, float, float] | None = None
    observer: str = ""

    def __post_init__(self) -> None:
        if self.scores is None:
            return
        tot, gg, ret = self.scores
        if not (min(gg, ret) >= 0 and tot <= 100 and fit_together(tot, gg, ret)):
            raise TableError(
                f"Level {self.level:d}: TOT {tot:g} must lie between the larger of GG {gg:g} and RET {ret:g} and "
                "their sum, and within 0 to 100."
            )


def read_corrections(folder: str | Path) -> list[Correction]:
    """The corrections of a case's folder, in the file's order; an empty list without such a file.

    Raises:
        TableError: the file cannot be used; the message names it, the row and what is wrong.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as text.") from error
    first = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    missing = {"level"} - {(name or "").strip().lower() for name in reader.fieldnames or ()}
    if missing:
        raise TableError(f"{path} has no column level; it has the columns {', '.join(COLUMNS)}.")
    found = []
    for row in reader:
        cells = {(name or "").strip().lower(): (cell or "").strip() for name, cell in row.items() if name}
        try:
            found.append(_correction(cells))
        except (ValueError, TableError) as error:
            raise TableError(f"{path}, row {reader.line_num}: {error}") from error
    return found


def write_corrections(folder: str | Path, corrections: Iterable[Correction]) -> Path:
    """Writes the corrections of a case, in place of earlier ones; the file appears complete or not at all.

    Raises:
        SettingsError: it cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in sorted(corrections, key=lambda c: (c.level, c.observer)):
        scores = ("",) * 3 if one.scores is None else tuple(f"{v:g}" for v in one.scores)
        writer.writerow([int(one.level), "" if one.mm is None else f"{one.mm:.3f}", *scores, one.observer])
    return write_text(Path(folder) / FILE, text.getvalue())


def _correction(cells: dict[str, str]) -> Correction:
    level = cells["level"].upper().removeprefix("L")
    if level not in {"1", "2", "3", "4", "5"}:
        raise ValueError(f"level is 1 to 5, not {cells['level']!r}.")
    values = [_number(name, cells.get(name, "")) for name in ("position_mm", *(p.value for p in PATTERNS))]
    given = [v for v in values[1:] if v is not None]
    if len(given) not in (0, len(PATTERNS)):
        raise ValueError("tot, gg and ret are given together, or none of them.")
    return Correction(Level(int(level)), values[0], tuple(given) or None, cells.get("observer", ""))


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a number, not {text!r}.")
    return value
