"""The tables of a checked cohort: what is wrong, and the cases."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from SScILDScoringLib.panel.table_widgets import fitTable, prepareTable, setCell

SHOWN_ROWS = 8
"""So many rows are seen at once; the others are reached by scrolling."""


def fitTo(table, rows: int = SHOWN_ROWS) -> None:
    """Makes a table as high as its rows, at most ``rows`` of them; the rest scrolls."""
    fitTable(table)
    if table.rowCount > rows:
        table.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAsNeeded)
        heights = sum(table.rowHeight(row) for row in range(rows))
        table.setFixedHeight(table.horizontalHeader().height + heights + 2 * table.frameWidth)
    else:
        table.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)


class ProblemsTable:
    """Everything that is wrong, errors of a row before its warnings.

    Args:
        table: a QTableWidget. onChosen: gets the problem that was chosen.
    """

    def __init__(self, table, onChosen: Callable[[dict], None]) -> None:
        self.table, self._onChosen = table, onChosen
        self._problems: list[dict] = []
        columns = [
            (_("Row"), _("In the file, as a spreadsheet numbers it.")),
            (_("Case"), ""),
            (_("Column"), _("Where to look.")),
            (_("Problem"), ""),
        ]
        prepareTable(table, columns, wide=3)
        table.setWordWrap(True)
        table.itemSelectionChanged.connect(self._onSelection)

    def show(self, problems: list[dict]) -> None:
        """Replaces what is shown."""
        self._problems = list(problems)
        wasBlocked = self.table.blockSignals(True)
        self.table.setRowCount(len(problems))
        for n, problem in enumerate(problems):
            error = problem["severity"] == "error"
            row = "" if problem["row"] in (None, "") else str(problem["row"])
            sign = "✖ " if error else "⚠ "
            cells = (row, problem["case"], problem["column"], sign + problem["message"])
            kind = _("Error: training refuses the table.") if error else _("Warning: training takes it.")
            for column, text in enumerate(cells):
                setCell(self.table, n, column, text, kind + "\n" + problem["message"], number=column == 0)
        self.table.clearSelection()
        self.table.setCurrentCell(-1, -1)
        self.table.blockSignals(wasBlocked)
        fitTo(self.table)

    def _onSelection(self, *_args) -> None:
        n = self.table.currentRow()
        if 0 <= n < len(self._problems):
            self._onChosen(self._problems[n])


class CasesTable:
    """The cases of the cohort, as the check read them.

    Args:
        table: a QTableWidget. onChosen: called when another case was chosen.
    """

    def __init__(self, table, onChosen: Callable[[], None]) -> None:
        self.table, self._onChosen = table, onChosen
        self._rows: list[dict] = []
        columns = [
            (_("Row"), _("In the file, as a spreadsheet numbers it.")),
            (_("Case"), ""),
            (_("Patient"), _("All scans of a patient stay together.")),
            (_("Part"), _("What the case is used for: training, validation or testing.")),
            (_("Fold"), _("The fold of a cross-validation in which the case validates.")),
            (_("TOT"), _("Mean of the scored levels in percent.")),
            (_("Check"), ""),
        ]
        prepareTable(table, columns, wide=1)
        table.itemSelectionChanged.connect(self._onSelection)

    def show(self, rows: list[dict]) -> None:
        """Replaces what is shown."""
        self._rows = list(rows)
        wasBlocked = self.table.blockSignals(True)
        self.table.setRowCount(len(rows))
        for n, row in enumerate(rows):
            tot = "–" if row["mean_tot"] is None else f"{row['mean_tot']:.0f} %"
            cells = (
                str(row["row"]),
                row["case"],
                row["patient"],
                row["split"] or "",
                "" if row["fold"] is None else str(row["fold"]),
                tot,
                _stateText(row),
            )
            for column, text in enumerate(cells):
                bold = column == 6 and row["state"] == "error"
                setCell(self.table, n, column, text, str(row["scan"] or ""), bold=bold, number=column in (0, 4, 5))
        self.table.clearSelection()
        self.table.setCurrentCell(-1, -1)
        self.table.blockSignals(wasBlocked)
        fitTo(self.table)

    def selected(self) -> dict | None:
        """The chosen case, as the check told it; None when none is chosen."""
        n = self.table.currentRow()
        return self._rows[n] if 0 <= n < len(self._rows) else None

    def select(self, row: int | None) -> None:
        """Chooses the case of a row of the file and scrolls to it; nothing when it is not there."""
        for n, known in enumerate(self._rows):
            if known["row"] == row:
                self.table.selectRow(n)
                self.table.scrollToItem(self.table.item(n, 0))
                return

    def _onSelection(self, *_args) -> None:
        self._onChosen()


def _stateText(row: dict) -> str:
    if row["state"] == "ok":
        return _("ok")
    count = row["problems"]
    if row["state"] == "error":
        return _("✖ {count}").format(count=count)
    return _("⚠ {count}").format(count=count)
