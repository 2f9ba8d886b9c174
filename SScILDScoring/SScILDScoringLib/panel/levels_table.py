"""Five rows, one for each level: where it is, where that is from, and a number box that moves it."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from ..levels import Level, Levels
from .texts import levelTitle, levelToolTip, sourceName


class LevelsTable:
    """The exact and keyboard way of placing levels; the lines in the views are the quick one.

    Args:
        container: an empty widget that is filled.
        onMove: called with level and millimetres when a number was changed.
        onJump: called with the level whose slice is to be shown.
    """

    def __init__(self, container, onMove: Callable[[Level, float], None], onJump: Callable[[Level], None]) -> None:
        self.container = container
        self._onMove, self._onJump = onMove, onJump
        self._filling = False
        grid = qt.QGridLayout(container)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setColumnStretch(0, 1)
        for column, (title, toolTip) in enumerate(_columns()):
            header = qt.QLabel(f"<small>{title}</small>")
            header.setToolTip(toolTip)
            grid.addWidget(header, 0, column)
        self.rows = {level: _Row(grid, level, self._moved, onJump) for level in Level}

    def widgetsInOrder(self) -> list:
        """What the Tab key visits, row by row."""
        return [w for row in self.rows.values() for w in (row.mm, row.jump)]

    def show(self, levels: Levels | None, anatomy: Levels | None, scan, limits, reason: str) -> None:
        """Shows levels, or empty rows when there are none.

        Args:
            anatomy: what landmarks say, or None. limits: lowest and highest millimetres by level.
            reason: why the numbers cannot be changed, or an empty text.
        """
        self._filling = True
        try:
            for level, row in self.rows.items():
                if levels is None or scan is None:
                    row.clear(reason)
                else:
                    row.show(levels, anatomy, scan, limits(level), reason)
        finally:
            self._filling = False

    def showMoving(self, level: Level, mm: float, scan) -> None:
        """Follows a level while it is dragged."""
        self._filling = True
        try:
            self.rows[level].showPosition(mm, scan)
        finally:
            self._filling = False

    def _moved(self, level: Level) -> None:
        if not self._filling:
            self._onMove(level, float(self.rows[level].mm.value))


class _Row:
    """The widgets of one level."""

    def __init__(self, grid, level: Level, onChange, onJump) -> None:
        self.level = level
        self.name = qt.QLabel()
        self.mm = qt.QDoubleSpinBox()
        self.mm.setDecimals(1)
        self.mm.setSuffix(" mm")
        self.mm.setKeyboardTracking(False)
        self.mm.setRange(-1e5, 1e5)
        self.mm.setAlignment(qt.Qt.AlignRight)
        self.mm.setMinimumWidth(92)
        self.slice, self.source, self.spread, self.anatomy = (qt.QLabel() for _n in range(4))
        self.jump = qt.QPushButton(_("Show"))
        self.jump.setToolTip(_("Shows this level's slice in all views."))
        self.jump.setMaximumWidth(56)
        self.mm.setObjectName(f"level{level:d}SpinBox")
        self.jump.setObjectName(f"level{level:d}JumpButton")
        self.mm.setAccessibleName(levelToolTip(level))
        self.jump.setAccessibleName(levelToolTip(level))
        cells = (self.name, self.mm, self.slice, self.source, self.spread, self.anatomy, self.jump)
        for column, widget in enumerate(cells):
            grid.addWidget(widget, int(level), column)
        for label in (self.slice, self.spread, self.anatomy):
            label.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        self.name.setToolTip(levelToolTip(level))
        self.setColour(None)
        self.mm.valueChanged.connect(lambda *_args: onChange(level))
        self.jump.clicked.connect(lambda *_args: onJump(level))

    def setColour(self, colour: tuple[float, float, float] | None) -> None:
        """The square before the name in the colour of the level's line (0..1 each), or none."""
        text = f"<b>L{self.level:d}</b> {levelTitle(self.level)}"
        if colour is not None:
            code = "#" + "".join(f"{round(255 * c):02x}" for c in colour)
            text = f'<font color="{code}">■</font> {text}'
        self.name.setText(text)

    def clear(self, reason: str) -> None:
        for label in (self.slice, self.source, self.spread, self.anatomy):
            label.setText("–")
        self.mm.setSpecialValueText("–")
        self.mm.setRange(0, 1)
        self.mm.setValue(0)
        self.mm.setEnabled(False)
        self.mm.setToolTip(reason)
        self.jump.setEnabled(False)
        self.jump.setToolTip(reason)
        self.setColour(None)

    def show(self, levels: Levels, anatomy: Levels | None, scan, limits: tuple[float, float], reason: str) -> None:
        position = levels[self.level]
        low, high = limits
        self.mm.setSpecialValueText("")
        self.mm.setRange(low, high)
        self.mm.setSingleStep(scan.mm_per_slice)
        self.showPosition(position.mm, scan)
        self.mm.setEnabled(not reason)
        self.mm.setToolTip(
            reason
            or _(
                "Position along the body in Slicer's S, between {low} and {high} mm. The arrow keys go slice by slice."
            ).format(low=f"{low:.1f}", high=f"{high:.1f}")
        )
        follows = self.level is Level.L4 and levels.l4_follows
        self.source.setText(_("halfway") if follows else sourceName(position.source))
        self.spread.setText("–" if position.spread_mm is None else f"{position.spread_mm:.1f}")
        self.anatomy.setText("–" if anatomy is None else f"{position.mm - anatomy[self.level].mm:+.1f}")
        self.jump.setEnabled(True)
        self.jump.setToolTip(_("Shows this level's slice in all views."))

    def showPosition(self, mm: float, scan) -> None:
        if abs(self.mm.value - mm) > 0.05:
            self.mm.setMinimum(min(self.mm.minimum, mm))
            self.mm.setMaximum(max(self.mm.maximum, mm))
            self.mm.setValue(mm)
        self.slice.setText(str(scan.file_slice(scan.slice_at(mm))))


def _columns() -> list[tuple[str, str]]:
    return [
        (_("Level"), _("The five levels of the Goh score, from the head downwards.")),
        (_("Position"), _("Millimetres along the body (Slicer's S).")),
        (_("Slice"), _("The CT's own slice number, counted from 0.")),
        (_("From"), _("Where the position is from: network, anatomy, by hand, or halfway between levels 3 and 5.")),
        (
            _("Spread<br/>(mm)"),
            _("Standard deviation of the network's answers; a large one means that it is unsure."),
        ),
        (
            _("Anatomy<br/>(mm)"),
            _("Distance to where landmarks without a network would put the level; + is higher."),
        ),
        ("", ""),
    ]
