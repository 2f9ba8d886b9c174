"""The section of the five levels: find them, move them, go back."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from ..errors import SScILDError
from ..levels import Level, Levels
from .desk import Desk
from .enabling import allow, first
from .findings_view import FindingsView, aboutLevels
from .job_row import JobRow
from .levels_table import LevelsTable


class LevelsSection:
    """Finding, placing by hand, moving, undoing.

    Args:
        views: shows a level's slice (:class:`~.case_views.CaseViews`).
    """

    def __init__(self, desk: Desk, views) -> None:
        self.desk, self.ui, self.views = desk, desk.ui, views
        self.row = JobRow(desk.ui, "levels")
        self.table = LevelsTable(desk.ui.levelsGrid, self.move, self.jump)
        self.findings = FindingsView(desk.ui.levelsFindingsLabel, aboutLevels)
        self.onLevelMoved = lambda: None  # the section of the scores puts its own here
        self._observed = self._tag = None
        ui = desk.ui
        ui.findLevelsButton.clicked.connect(self.find)
        ui.placeByHandButton.clicked.connect(self.placeByHand)
        ui.undoButton.clicked.connect(self.undo)
        ui.redoButton.clicked.connect(self.redo)
        desk.onRefresh(self.refresh)

    # ---- what the buttons do ---------------------------------------------------------------------------------------

    def find(self, *_args) -> None:
        """Asks the worker for the levels."""
        self.desk.run(
            self.row,
            _("Finding the levels"),
            lambda session: session.find_levels(),
            self._found,
            self.find,
            searchAnew=True,
        )
        self.desk.refresh()

    def placeByHand(self, *_args) -> None:
        """Puts the levels evenly over the CT, to be dragged to their places; needs no network."""
        scan = self.desk.scan
        low, high = scan.mm_of_slice(0), scan.mm_of_slice(scan.slice_count - 1)
        mm = [high - (high - low) * share for share in (0.25, 0.37, 0.5, 0.62, 0.74)]
        self._put(Levels.from_mm(mm, source="manual", l4_follows=True))

    def undo(self, *_args) -> None:
        """Takes the last move back."""
        self.desk.case.levelPlanes.undo()

    def redo(self, *_args) -> None:
        """Makes the move again that was taken back."""
        self.desk.case.levelPlanes.redo()

    def move(self, level: Level, mm: float) -> None:
        """A number was changed; the plane follows, and tells back where it went."""
        try:
            self.desk.case.levelPlanes.moveLevel(level, mm)
        except SScILDError as error:
            self.row.tell(str(error))
            self.refresh()

    def jump(self, level: Level) -> None:
        """Shows a level in all views."""
        self.views.jumpTo(level)

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def showParameters(self) -> None:
        """Applies visibility and lock to the planes."""
        planes = self.desk.case.levelPlanes if self.desk.case is not None else None
        if planes is not None:
            planes.setVisible(self.desk.parameters.levelsVisible)
            planes.setLocked(self.desk.parameters.levelsLocked or bool(self.desk.levelsInUse()))

    def refresh(self) -> None:
        """Shows the levels as they are."""
        desk, ui = self.desk, self.ui
        self._observe()
        case = desk.case
        planes = case.levelPlanes if case is not None else None
        noWork, noScan, noLevels = desk.noWork(), desk.noScan(), desk.noLevels()
        allow(
            ui.findLevelsButton,
            first(noScan, noWork),
            _("Finds the five levels in the CT. Levels that are there already are replaced; Undo brings them back.")
            if planes is not None
            else _("Finds the five levels in the CT."),
        )
        placed = _("The levels are there already: drag them, or change the numbers.") if planes is not None else ""
        busy = desk.levelsInUse()
        allow(
            ui.placeByHandButton,
            first(noScan, placed, busy),
            _("Spreads the five levels over the CT, to be moved to their places. Needs no network."),
        )
        undo = "" if planes is not None and planes.canUndo else _("There is nothing to undo.")
        redo = "" if planes is not None and planes.canRedo else _("There is nothing to redo.")
        allow(ui.undoButton, first(noScan, noLevels, busy, undo), _("Takes the last move of a level back."))
        allow(ui.redoButton, first(noScan, noLevels, busy, redo), _("Moves the level again."))
        locked = _("The levels are locked; take the tick off Lock to move them.")
        reason = first(noScan, noLevels, busy, locked if desk.parameters.levelsLocked else "")
        levels = planes.levels if planes is not None else None
        limits = planes.limits if planes is not None else None
        self.table.show(levels, case.anatomy if case is not None else None, desk.scan, limits, reason)
        if planes is not None:
            for level, node in zip(Level, planes.nodes, strict=True):
                display = node.GetDisplayNode()
                self.table.rows[level].setColour(display.GetSelectedColor() if display is not None else None)
            planes.setLocked(desk.parameters.levelsLocked or bool(busy))
        ui.levelsHintLabel.setVisible(planes is not None)
        self.findings.show(case.findings if case is not None else ())

    def stopObserving(self) -> None:
        """Lets go of the planes (module left, scene closing)."""
        if self._observed is not None:
            self._observed.stopObserving(self._tag)
        self._observed = self._tag = None

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _observe(self) -> None:
        planes = self.desk.case.levelPlanes if self.desk.case is not None else None
        if planes is not self._observed:
            self.stopObserving()
            self._observed = planes
            if planes is not None:
                self._tag = planes.observe(self._moving, self._moved)

    def _found(self, found) -> None:
        self._put(found.levels, found.anatomy, found.findings)

    def _put(self, levels: Levels, anatomy: Levels | None = None, findings=()) -> None:
        with slicer.util.tryWithErrorDisplay(_("The levels could not be put into the scene."), waitCursor=True):
            case = self.desk.makeCase()
            case.setLevels(levels, anatomy, findings)
            self.showParameters()
            self.views.showCase()
            self._changed()

    def _moving(self, level: Level, mm: float) -> None:
        self.table.showMoving(level, mm, self.desk.scan)
        self.views.showLevel(level, mm)

    def _moved(self, level: Level, levels: Levels) -> None:
        self._changed()

    def _changed(self) -> None:
        self.views.showLevels()
        self.desk.refresh()
        self.onLevelMoved()
