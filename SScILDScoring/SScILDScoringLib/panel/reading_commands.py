"""What a reader can do, by key or by button."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from ..errors import SScILDError
from ..levels import Level
from ..observers.answers import LIKERT, STEP
from .reading_keys import Key
from .reading_sheet import Cell, likertLabel


class ReadingCommands:
    """The commands of a session; each shows what came of it.

    Args:
        section: the :class:`~.reading_section.ReadingSection` that shows the session.
    """

    def __init__(self, section) -> None:
        self.section = section
        self._asked = None  # what the reader was asked to look at again before it is stored

    @property
    def sitting(self):
        """The reader's sitting, or None."""
        return self.section.sitting

    @property
    def _open(self) -> bool:
        """Whether answers can be changed now."""
        sitting = self.sitting
        return sitting is not None and sitting.sheet is not None and not sitting.stored

    # ---- keys --------------------------------------------------------------------------------------------------------

    def keys(self, likert: bool, ownLevels: bool, reveal: bool) -> list[Key]:
        """All keys of a kind of study, in the order in which they are explained."""
        digits = tuple((str(n), lambda n=n: self.digit(n)) for n in range(10))
        keys = []
        if likert:
            ratings = ", ".join(f"{n} {likertLabel(n)}" for n in range(1, len(LIKERT) + 1))
            keys.append(Key(_("1 to 5"), ratings, digits))
        else:
            keys.append(Key(_("0 to 9"), _("type the score, in steps of {step} %").format(step=STEP), digits))
        keys += [
            Key(
                _("Up, Down"),
                _("one step more or less; also + and -"),
                (
                    *(("Up", lambda: self.step(1)), ("+", lambda: self.step(1))),
                    *(("Down", lambda: self.step(-1)), ("-", lambda: self.step(-1))),
                ),
            ),
            Key(
                _("Backspace, Delete"),
                _("take the last digit, or the whole number, back"),
                (("Backspace", self.erase), ("Del", self.clear)),
            ),
            Key(
                _("Tab, Shift+Tab"),
                _("next pattern, and back; also Right and Left"),
                (
                    *(("Tab", lambda: self.move(1)), ("Right", lambda: self.move(1))),
                    *(("Shift+Tab", lambda: self.move(-1)), ("Left", lambda: self.move(-1))),
                ),
            ),
            Key(
                _("PageDown, PageUp"),
                _("next level, and back"),
                (("PgDown", lambda: self.moveLevel(1)), ("PgUp", lambda: self.moveLevel(-1))),
            ),
            Key(_("Home"), _("back to the level's slice"), (("Home", self.home),)),
        ]
        if ownLevels:
            keys += [
                Key(
                    _("Ctrl+Up, Ctrl+Down"),
                    _("move the level one slice; with PageUp and PageDown ten"),
                    (
                        *(("Ctrl+Up", lambda: self.moveSlices(1)), ("Ctrl+Down", lambda: self.moveSlices(-1))),
                        *(("Ctrl+PgUp", lambda: self.moveSlices(10)), ("Ctrl+PgDown", lambda: self.moveSlices(-10))),
                    ),
                ),
                Key(_("L"), _("put the level on the slice that is shown"), (("L", self.levelHere),)),
            ]
        keys += [
            Key(_("A"), _("synthetic examples beside the slice, or not"), (("A", self.atlas),)),
            Key(_("Enter"), _("store the case and go on"), (("Return", self.enter), ("Enter", self.enter))),
            Key(
                _("U"), _("correct the case stored last"), (("U", self.correctLast), ("Ctrl+Z", self.correctLast)), True
            ),
            Key(_("S"), _("leave this case for later"), (("S", self.later),), True),
            Key(_("P"), _("pause: hide the case, stop the clock; and go on"), (("P", self.pauseOrContinue),), True),
        ]
        keys.append(Key(_("E"), _("leave the session; asks when something would be lost"), (("E", self.end),), True))
        if reveal:
            keys.append(Key(_("N"), _("the network's answer, once your own is stored"), (("N", self.reveal),)))
        return keys

    # ---- filling the sheet -------------------------------------------------------------------------------------------

    def digit(self, number: int) -> None:
        """A digit was typed."""
        if self._open:
            self.sitting.sheet.digit(number)
            self._changed()

    def step(self, by: int) -> None:
        """One step more or less."""
        if self._open:
            self.sitting.sheet.step(by)
            self._changed()

    def put(self, value: int) -> None:
        """A value's button was pressed."""
        if self._open:
            self.sitting.sheet.put(value)
            self._changed()

    def erase(self) -> None:
        """The last digit goes."""
        if self._open:
            self.sitting.sheet.erase()
            self._changed()

    def clear(self) -> None:
        """The current cell is emptied."""
        if self._open:
            self.sitting.sheet.clear()
            self._changed()

    def move(self, by: int) -> None:
        """To the next or an earlier cell."""
        if self._mayLeave() and self.sitting.sheet.move(by):
            self._gone()

    def moveLevel(self, by: int) -> None:
        """To the next or an earlier level."""
        if self._mayLeave() and self.sitting.sheet.moveLevel(by):
            self._gone()

    def select(self, cell: Cell) -> None:
        """A cell was clicked."""
        if self._open:
            self.sitting.sheet.select(cell)
            self._gone()

    # ---- levels and views --------------------------------------------------------------------------------------------

    def home(self) -> None:
        """The view goes back to the current level's slice."""
        if self.sitting is not None and self.sitting.case is not None:
            self.sitting.case.showLevel(self.sitting.case.level)
            self.section.refresh()

    def levelHere(self) -> None:
        """The current level goes to the slice that is shown."""
        if self._open and self.sitting.ownLevels:
            self.sitting.case.moveLevelHere()
            self.home()

    def moveSlices(self, slices: int) -> None:
        """The current level moves by slices."""
        if self._open and self.sitting.ownLevels:
            self.sitting.case.moveLevelBy(slices)
            self.home()

    def levelMoved(self, level: Level) -> None:
        """A level was dragged: the view and the sheet go there."""
        if not self._open:
            return
        sheet, case = self.sitting.sheet, self.sitting.case
        if sheet.current[0] is not level:
            sheet.select((level, sheet.current[1]))
        case.showLevel(level)
        self.section.refresh()

    def atlas(self) -> None:
        """Shows the reference atlas, or takes it away."""
        section, sitting = self.section, self.sitting
        if sitting is None or sitting.sheet is None:
            return
        section.layout.withAtlas = not section.layout.withAtlas
        try:
            section.layout.show(sitting.case, sitting.likert, sitting.sheet.current[1])
        except SScILDError as error:
            section.layout.withAtlas = False
            section.layout.show(sitting.case, sitting.likert, None)
            section.tell(str(error))
        section.refresh()

    # ---- storing and going on ----------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Stores the sheet; or goes on when it is stored and still shown."""
        sitting, section = self.sitting, self.section
        if sitting is None or sitting.sheet is None:
            return
        if sitting.stored:
            if self._attempt(sitting.goOn):
                section.openCase()
            return
        sheet = sitting.sheet
        if sheet.unfinished():
            section.tell(sheet.unfinished())
            return
        if sheet.missing:
            count = len(sheet.missing)
            sheet.select(sheet.missing[0])
            self._gone()
            section.tell(_("Not stored yet: {count} of {all} are missing.").format(count=count, all=len(sheet.cells)))
            return
        questions = self._questions()
        asked = sheet.changed, sitting.case.levels.mm
        if questions and self._asked != asked:
            self._asked = asked
            section.tell(_("Not stored yet. {sentences} Enter again keeps it as it is.").format(sentences=questions))
            return
        self._store(knowingly=bool(questions))

    def _questions(self) -> str:
        sentences = []
        if self.sitting.case.untouched:
            sentences.append(_("No level was moved from where all of them begin."))
        return " ".join([*sentences, *self.sitting.sheet.contradictions()])

    def _store(self, knowingly: bool) -> None:
        sitting, section, name = self.sitting, self.section, self.sitting.item.id
        if not self._attempt(lambda: sitting.store(knowingly)):
            return
        self._asked = None
        stored = _("{case} is stored.").format(case=name)
        if sitting.stored:
            section.tell(_("{stored} N shows the network's answer, Enter goes on.").format(stored=stored))
            section.refresh()
        else:
            section.openCase(stored)

    def later(self) -> None:
        """Leaves the open case for later."""
        if self.sitting is not None and self.sitting.item is not None and self._attempt(self.sitting.goOn):
            self.section.openCase()

    def correctLast(self) -> None:
        """Opens the case that was stored last."""
        if self.sitting is None or self.sitting.correctable is None:
            return
        if self._attempt(self.sitting.correctLast):
            note = _("This case is stored already; Enter stores it again as a correction, S leaves it.")
            self.section.openCase(note)

    def reveal(self) -> None:
        """Shows the network's answer to the stored case."""
        sitting = self.sitting
        if sitting is None or not sitting.stored or not sitting.study.reveal:
            return
        if self._attempt(sitting.reveal):
            self.section.tell(_("The network's scores stand in brackets; yours are closed now. Enter goes on."))
            self.section.refresh()

    def hide(self) -> None:
        """Hides the case and stops the clock."""
        sitting = self.sitting
        if not sitting.stored or not self._attempt(sitting.goOn):
            sitting.hideCase()
        self.section.layout.show(None, sitting.likert, None)

    def pauseOrContinue(self) -> None:
        """Hides the case and stops the clock, or shows it again."""
        section, sitting = self.section, self.sitting
        if sitting is None or sitting.item is None:
            return
        if sitting.case is not None:
            self.hide()
            section.tell(_("Paused: the case is hidden and time stands still. P goes on."))
            section.refresh()
        elif section.sceneIsClear():
            section.openCase()

    def end(self) -> None:
        """Leaves the session; asks when the open case would be lost."""
        if self._open and self.sitting.sheet.changed:
            question = _("The open case is not stored and will be lost. Leave the session?")
            if not slicer.util.confirmYesNoDisplay(question, windowTitle=_("Reader study")):
                return
        self.section.finish()

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _attempt(self, function) -> bool:
        """Calls a function that writes to the disk; says what went wrong, if anything, and whether it worked."""
        try:
            function()
        except SScILDError as error:
            self.section.refresh()
            self.section.tell(str(error))
            return False
        return True

    def _mayLeave(self) -> bool:
        if not self._open:
            return False
        reason = self.sitting.sheet.unfinished()
        if reason:
            self.section.tell(reason)
        return not reason

    def _changed(self) -> None:
        self.section.tell("")
        self.section.refresh()

    def _gone(self) -> None:
        self.sitting.showCell()
        self.section.layout.showExamples(self.sitting.sheet.current[1])
        self.section.tell("")
        self.section.refresh()
