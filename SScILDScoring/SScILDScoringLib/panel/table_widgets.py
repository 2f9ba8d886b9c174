"""What every table of the panel does alike: read-only cells, no scrolling inside the scrolling panel."""

from __future__ import annotations

from collections.abc import Sequence

import qt


def prepareTable(table, columns: Sequence[tuple[str, str]], rows: int = 0, wide: int | None = None) -> None:
    """Makes ``table`` read-only with ``columns`` of (title, tool tip) and ``rows`` empty rows.

    Args:
        wide: the column that takes the space left over; None shares it out evenly.
    """
    table.setColumnCount(len(columns))
    table.setRowCount(rows)
    table.setHorizontalHeaderLabels([title for title, _toolTip in columns])
    for number, (_title, toolTip) in enumerate(columns):
        table.horizontalHeaderItem(number).setToolTip(toolTip)
    table.verticalHeader().setVisible(False)
    header = table.horizontalHeader()
    header.setSectionResizeMode(qt.QHeaderView.Stretch if wide is None else qt.QHeaderView.ResizeToContents)
    if wide is not None:
        header.setSectionResizeMode(wide, qt.QHeaderView.Stretch)
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
    table.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
    table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAsNeeded)
    table.setTabKeyNavigation(False)  # Tab leaves the table; the arrow keys move in it


def setCell(table, row: int, column: int, text: str, toolTip: str = "", bold=False, faint=False, number=False) -> None:
    """Writes one cell; ``faint`` is italic and grey (no longer valid), ``number`` is centred."""
    item = table.item(row, column)
    if item is None:
        item = qt.QTableWidgetItem()
        table.setItem(row, column, item)
    item.setText(text)
    item.setToolTip(toolTip)
    font = qt.QFont(table.font)
    font.setBold(bold)
    font.setItalic(faint)
    item.setFont(font)
    item.setData(qt.Qt.ForegroundRole, qt.QBrush(qt.QColor("#888888")) if faint else None)
    if number:
        item.setTextAlignment(qt.Qt.AlignCenter)


def fitTable(table) -> None:
    """Makes the table exactly as high as its rows."""
    table.resizeRowsToContents()
    height = table.horizontalHeader().height + sum(table.rowHeight(row) for row in range(table.rowCount))
    table.setFixedHeight(height + 2 * table.frameWidth)
