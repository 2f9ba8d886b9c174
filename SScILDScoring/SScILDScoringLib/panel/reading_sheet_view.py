"""A reader's sheet on the screen: a table with the current cell, and buttons for those who use the mouse."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from ..levels import Level
from ..observers.answers import LIKERT, STEP
from ..scores import Pattern
from .reading_sheet import Cell, ReadingSheet, likertLabel
from .table_widgets import fitTable, prepareTable
from .texts import levelTitle, levelToolTip

_ASKED, _ODD, _QUIET = "#cfe4ff", "#ffd9b0", "#888888"
_INK = "#101418"
_PER_ROW = 11
_COLUMN = 54
"""Pixels that a column of scores has at least."""


class ReadingSheetView:
    """Table and buttons of a sheet.

    Args:
        table, container: an empty QTableWidget and an empty widget that are filled.
        onSelect: called with a cell that was clicked. onValue: called with a value whose button was pressed.
    """

    def __init__(self, table, container, onSelect: Callable[[Cell], None], onValue: Callable[[int], None]) -> None:
        self.table, self.container = table, container
        self._onSelect, self._onValue = onSelect, onValue
        self._sheet: ReadingSheet | None = None
        self._grid = qt.QGridLayout(container)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        self.buttons: dict[int, object] = {}
        table.cellClicked.connect(self._clicked)
        table.setFocusPolicy(qt.Qt.NoFocus)
        table.setSelectionMode(qt.QAbstractItemView.NoSelection)

    def show(self, sheet: ReadingSheet, positions: dict[Level, str], network=None, locked: bool = False) -> None:
        """Shows a sheet as it is now.

        Args:
            positions: what is said about each level's place. network: TOT, GG, RET in percent by level, or None.
            locked: nothing can be changed any more.
        """
        if self._sheet is None or (self._sheet.likert, self._sheet.patterns) != (sheet.likert, sheet.patterns):
            self._build(sheet)
        self._sheet = sheet
        for row, level in enumerate(Level):
            here = sheet.current[0] is level and not locked
            mark = "▶ " if here else ""
            self._cell(row, 0, f"{mark}L{level:d} {levelTitle(level)}", levelToolTip(level), bold=here)
            for column, pattern in enumerate(sheet.patterns, start=1):
                self._value(row, column, (level, pattern), network, locked)
            self._cell(row, len(sheet.patterns) + 1, positions[level], _("Where the level is."), quiet=True)
        fitTable(self.table)
        value = None if locked else sheet[sheet.current]
        for number, button in self.buttons.items():
            button.setChecked(number == value)
            button.setEnabled(not locked)

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _build(self, sheet: ReadingSheet) -> None:
        columns = [(_("Level"), _("The five levels of the Goh score, from the head downwards."))]
        columns += [(pattern.name, _patternToolTip(pattern, sheet.likert)) for pattern in sheet.patterns]
        prepareTable(self.table, [*columns, (_("Place"), _("Where the level is."))], rows=len(Level), wide=0)
        self.table.setSelectionMode(qt.QAbstractItemView.NoSelection)
        self.table.horizontalHeader().setMinimumSectionSize(_COLUMN)
        for button in self.buttons.values():
            self._grid.removeWidget(button)
            button.setParent(None)
            button.deleteLater()
        values = range(1, len(LIKERT) + 1) if sheet.likert else range(0, 101, STEP)
        self.buttons = {value: self._button(value, sheet.likert) for value in values}
        for place, button in enumerate(self.buttons.values()):
            self._grid.addWidget(button, place // _PER_ROW, place % _PER_ROW)

    def _button(self, value: int, likert: bool):
        button = qt.QPushButton(f"{value}\n" + likertLabel(value).replace(" ", "\n", 1) if likert else str(value))
        button.setCheckable(True)
        button.setFocusPolicy(qt.Qt.NoFocus)
        button.setMinimumWidth(20)
        button.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Minimum)
        name = f"{value}: {likertLabel(value)}" if likert else f"{value} %"
        button.setAccessibleName(name)
        button.setToolTip(name)
        button.clicked.connect(lambda *_args: self._onValue(value))
        return button

    def _value(self, row: int, column: int, cell: Cell, network, locked: bool) -> None:
        sheet, value = self._sheet, self._sheet[cell]
        asked = cell == sheet.current and not locked
        if asked and sheet.typed:
            text = sheet.typed + "…"
        elif value is None:
            text = "?" if asked else "–"
        else:
            text = str(value)
        if network is not None:
            score = network[cell[0]][list(Pattern).index(cell[1])]
            text += "  " + _("(net {score})").format(score=f"{score:.0f}")
        odd = sheet.contradicts(cell[0]) or (asked and bool(sheet.typed))
        toolTip = likertLabel(value) if sheet.likert and value is not None else ""
        if network is not None:
            toolTip = _("Your answer, and in brackets the network's score in percent.")
        colour = _ASKED if asked and not odd else _ODD if odd else None
        self._cell(row, column, text, toolTip, bold=asked, colour=colour, centred=True)

    def _cell(self, row, column, text, toolTip="", bold=False, colour=None, quiet=False, centred=False) -> None:
        item = self.table.item(row, column)
        if item is None:
            item = qt.QTableWidgetItem()
            self.table.setItem(row, column, item)
        item.setText(text)
        item.setToolTip(toolTip)
        font = qt.QFont(self.table.font)
        font.setBold(bold)
        item.setFont(font)
        item.setData(qt.Qt.BackgroundRole, qt.QBrush(qt.QColor(colour)) if colour else None)
        ink = _INK if colour else _QUIET if quiet else None
        item.setData(qt.Qt.ForegroundRole, qt.QBrush(qt.QColor(ink)) if ink else None)
        if centred:
            item.setTextAlignment(qt.Qt.AlignCenter)

    def _clicked(self, row: int, column: int) -> None:
        sheet = self._sheet
        if sheet is None:
            return
        pattern = sheet.patterns[column - 1] if 1 <= column <= len(sheet.patterns) else sheet.current[1]
        self._onSelect((Level(row + 1), pattern))


def _patternToolTip(pattern: Pattern, likert: bool) -> str:
    if likert:
        return {
            Pattern.TOT: _("The map of total extent shows the disease where it is: 1 to 5."),
            Pattern.GG: _("The map of ground glass shows it where it is: 1 to 5."),
            Pattern.RET: _("The map of reticulation shows it where it is: 1 to 5."),
        }[pattern]
    return {
        Pattern.TOT: _("Total disease extent, percent of the lung area in this slice, in steps of 5 %."),
        Pattern.GG: _("Ground-glass opacity, percent of the lung area in this slice, in steps of 5 %."),
        Pattern.RET: _("Reticulation, percent of the lung area in this slice, in steps of 5 %."),
    }[pattern]
