"""What is wrong with a cohort, cell by cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from SScILDScoringLib.errors import TableError

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or worth a look.

    Args:
        severity: ``error`` (training refuses the table) or ``warning``.
        code: short name of the kind of problem, for programs (``missing_file``, ``levels_order`` ...).
        row: the row in the file as a spreadsheet numbers it; None when it concerns the whole table.
        case: of that row.
        column: where to look, or an empty text.
        message: a sentence for people, which names the column.
    """

    severity: str
    code: str
    row: int | None
    case: str
    column: str
    message: str

    def text(self, table: str) -> str:
        """The problem as one line: file, row and case first."""
        where = "" if self.row is None else f", row {self.row}"
        return f"{table}{where}{f', case {self.case}' if self.case else ''}: {self.message}"

    def as_row(self) -> dict[str, object]:
        """The problem as a row of a table."""
        return {**vars(self), "row": "" if self.row is None else self.row}


def errors_of(problems: Iterable[Problem]) -> list[Problem]:
    """Those that training refuses."""
    return [p for p in problems if p.severity == ERROR]


def refuse(problems: Iterable[Problem], table: str) -> None:
    """Raises TableError with the first error, when there is any, and how to see the others."""
    errors = errors_of(problems)
    if errors:
        more = f" {len(errors) - 1} more: see sscild cohort check {table}." if len(errors) > 1 else ""
        raise TableError(errors[0].text(table) + more)
