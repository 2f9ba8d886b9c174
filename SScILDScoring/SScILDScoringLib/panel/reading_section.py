"""The section of the reader studies: choose study, reader and session, then read case after case."""

from __future__ import annotations

from html import escape

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from ..errors import SScILDError
from ..levels import Level
from .desk import Desk
from .enabling import allow, first
from .reading_commands import ReadingCommands
from .reading_keys import ReadingKeys
from .reading_layout import ReadingLayout
from .reading_setup import ReadingSetup
from .reading_sheet_view import ReadingSheetView

_TICK_MS = 500
OTHER_SECTIONS = (
    *("inputSection", "levelsSection", "scoresSection", "heatMapsSection", "exportSection"),
    *("modelsSection", "environmentSection"),
)
"""What is hidden while somebody reads: all of it can show, or lead to, the network's answer."""


class ReadingSection:
    """What a reader sees of a session; what the keys and buttons do is in :class:`~.reading_commands.ReadingCommands`.

    Reader and session are asked for every time and kept nowhere.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk, self.ui = desk, desk.ui
        self.sitting = None
        self.layout = ReadingLayout(desk.resource("Atlas"))
        self.setup = ReadingSetup(desk.ui, self.refresh)
        self.commands = ReadingCommands(self)
        self.keys = ReadingKeys(desk.ui.readingSection)
        self._setKeys(likert=False, ownLevels=True, reveal=True)
        self.view = ReadingSheetView(
            desk.ui.readingTable, desk.ui.readingValuesFrame, self.commands.select, self.commands.put
        )
        self._timer = qt.QTimer()
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)
        ui = desk.ui
        ui.readingFolderEdit.filters = ctk.ctkPathLineEdit.Dirs | ctk.ctkPathLineEdit.Readable
        for button, function in (
            (ui.readingStartButton, self.start),
            (ui.readingStoreButton, self.commands.enter),
            (ui.readingUndoButton, self.commands.correctLast),
            (ui.readingLevelButton, self.commands.levelHere),
            (ui.readingAtlasButton, self.commands.atlas),
            (ui.readingPauseButton, self.commands.pauseOrContinue),
            (ui.readingLaterButton, self.commands.later),
            (ui.readingEndButton, self.commands.end),
            (ui.readingRevealButton, self.commands.reveal),
        ):
            button.clicked.connect(lambda *_args, function=function: function())
            if button is not ui.readingStartButton:
                button.setFocusPolicy(qt.Qt.NoFocus)  # all of them have keys, and Enter and Space must stay with those
        self.tell("")
        desk.onRefresh(self.refresh)

    @property
    def active(self) -> bool:
        """Whether somebody is in the middle of a session, also while it is paused."""
        return self.sitting is not None

    # ---- the session begins and ends ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Opens the chosen session and shows the first case that is not answered."""
        from .reading_sitting import ReadingSitting

        if not self.sceneIsClear():
            return
        try:
            setup = self.setup
            self.sitting = ReadingSitting(slicer.mrmlScene, setup.folder, setup.reader, setup.session)
        except SScILDError as error:
            self.tell(str(error))
            return
        self.desk.parameters.inputVolume = None
        study = self.sitting.study
        self._setKeys(self.sitting.likert, self.sitting.ownLevels, study.reveal)
        self.showOthers(False)
        self._timer.start()
        self.openCase(*self.sitting.session.notes)

    def finish(self) -> None:
        """Leaves the session: the case goes, the rest of the panel comes back, reader and session are forgotten."""
        if self.sitting is None:
            return
        sitting, self.sitting = self.sitting, None
        self._timer.stop()
        self.keys.listen(False)
        problem = ""
        try:
            sitting.end()
        except SScILDError as error:
            problem = str(error)
        self.layout.leave()
        self.layout.withAtlas = False
        self.showOthers(True)
        self.setup.forget()
        self.tell(problem)
        self.refresh()

    def suspend(self) -> None:
        """Hides the case and stops the clock (module left, scene closing or loaded); the session stays open."""
        if self.sitting is None:
            return
        self.commands.hide()
        self.layout.leave()
        self.tell(_("Paused: the case is hidden and time stands still."))
        self.refresh()

    def sceneIsClear(self) -> bool:
        """Whether the scene holds nothing that could tell the network's answer or a patient; offers to close it."""
        from ..scene.blinded_case import closeAll, whatCouldTell

        closeAll(slicer.mrmlScene)
        names = whatCouldTell(slicer.mrmlScene)
        if not names:
            return True
        question = _(
            "Blinded cases are read in an empty scene. This one holds {names}. Close it? What is not saved is lost."
        ).format(names=", ".join(names[:3]) + (", ..." if len(names) > 3 else ""))
        if not slicer.util.confirmYesNoDisplay(question, windowTitle=_("Reader study")):
            self.tell(_("Reading has not begun: the scene holds other data. Save and close it first."))
            return False
        slicer.mrmlScene.Clear(0)
        return True

    def openCase(self, *notes: str) -> None:
        """Shows the case whose turn it is; ``notes`` are sentences for the reader."""
        sitting, notes = self.sitting, list(notes)
        try:
            with slicer.util.WaitCursor():
                sitting.openCase()
        except SScILDError as error:
            notes.append(str(error))
        if sitting.case is not None:
            sitting.case.observe(self.commands.levelMoved)
        elif sitting.item is None:
            notes.append(_("All {count} cases are answered. Thank you.").format(count=len(sitting.session.items)))
        pattern = sitting.sheet.current[1] if sitting.sheet is not None else None
        self.layout.show(sitting.case, sitting.likert, pattern)
        self.tell(" ".join(notes))
        self.refresh()

    # ---- what is shown -----------------------------------------------------------------------------------------------

    def tell(self, sentence: str) -> None:
        """Says something below the sheet; an empty text says nothing."""
        self.ui.readingMessageLabel.setText(sentence)
        self.ui.readingMessageLabel.setVisible(bool(sentence))

    def showOthers(self, shown: bool) -> None:
        """Shows, or hides and disables, all other sections of the panel."""
        for name in OTHER_SECTIONS:
            section = getattr(self.ui, name)
            section.setVisible(shown)
            section.setEnabled(shown)

    def _setKeys(self, likert: bool, ownLevels: bool, reveal: bool) -> None:
        self.keys.set(self.commands.keys(likert, ownLevels, reveal))
        self.ui.readingKeysLabel.setText(self.keys.table())

    def showParameters(self) -> None:
        """Nothing of this section is kept in the scene's settings."""

    def refresh(self, *_args) -> None:
        """Shows the session as it is now."""
        ui, sitting = self.ui, self.sitting
        ui.readingSetupFrame.setVisible(sitting is None)
        ui.readingFrame.setVisible(sitting is not None)
        if sitting is None:
            views = "" if self.layout.possible else _("Reading needs Slicer's window with its views.")
            busy = self.desk.noWork() if self.desk.busy() else ""
            allow(
                ui.readingStartButton,
                first(views, self.setup.reason(), busy),
                _("Shows the first case that is not answered yet. What is stored already stays stored."),
            )
            return
        reading = sitting.case is not None and not sitting.stored
        self.keys.listen(sitting.case is not None, paused=True)
        self._showCase(reading)
        self._showButtons(reading)

    def _showCase(self, reading: bool) -> None:
        ui, sitting = self.ui, self.sitting
        session = sitting.session
        ui.readingProgressBar.setMaximum(len(session.items))
        ui.readingProgressBar.setValue(len(session.answered))
        ui.readingProgressBar.setFormat(_("%v of %m cases stored"))
        self._showTitle()
        there = sitting.sheet is not None
        for widget in (ui.readingTable, ui.readingValuesFrame):
            widget.setVisible(there)
        sentences = []
        if there:
            self.view.show(sitting.sheet, self._positions(), sitting.network, locked=not reading)
            sentences = sitting.sheet.contradictions() or [sitting.sheet.unfinished()]
        found = " ".join(escape(sentence) for sentence in sentences if sentence)
        ui.readingRuleLabel.setText(f'<font color="#b06000">⚠</font> {found}' if found else "")
        ui.readingRuleLabel.setVisible(bool(found))

    def _showTitle(self) -> None:
        sitting = self.sitting
        item, session = sitting.item, sitting.session
        if item is None:
            self.ui.readingCaseLabel.setText(f"<b>{_('Everything is answered')}</b>")
            return
        seconds = int(session.seconds)
        text = _("<b>{case}</b> &nbsp; case {number} of {count} &nbsp; {minutes}:{seconds:02d}").format(
            case=item.id, number=item.number, count=len(session.items), minutes=seconds // 60, seconds=seconds % 60
        )
        if sitting.case is None:
            text += " &nbsp; " + _("paused")
        elif sitting.case.offLevel:
            text += "<br/>" + _("The view is off the slice of L{level}: Home goes back to it.").format(
                level=int(sitting.case.level)
            )
        self.ui.readingCaseLabel.setText(text)

    def _positions(self) -> dict[Level, str]:
        case = self.sitting.case
        return {
            position.level: _("{mm} mm").format(mm=f"{position.mm:.0f}")
            for position in (case.levels if case is not None else ())
        }

    def _showButtons(self, reading: bool) -> None:
        ui, sitting = self.ui, self.sitting
        study = sitting.study
        closed = "" if sitting.case is not None else _("The case is hidden; continue first.")
        done = _("Everything is answered.") if sitting.item is None else ""
        ui.readingStoreButton.setText(_("Next case") if sitting.stored else _("Store"))
        allow(
            ui.readingStoreButton,
            first(done, closed),
            _("Goes on to the next case (Enter).") if sitting.stored else _("Stores all five levels (Enter)."),
        )
        last = sitting.correctable
        nothing = "" if last is not None else _("Nothing that could be corrected is stored yet.")
        allow(ui.readingUndoButton, nothing, _("Opens the case stored last again, to correct it (U)."))
        given = "" if sitting.ownLevels else _("The levels of this study are given.")
        ui.readingLevelButton.setVisible(sitting.ownLevels)
        stored = "" if reading else _("This case is stored; U opens it again.")
        allow(
            ui.readingLevelButton,
            first(done, closed, given, stored),
            _("Puts the current level on the slice that is shown (L)."),
        )
        allow(
            ui.readingAtlasButton,
            first(done, closed),
            _("Shows synthetic examples with 5, 20 and 50 % of the pattern beside the slice (A)."),
        )
        ui.readingAtlasButton.setChecked(self.layout.withAtlas)
        ui.readingPauseButton.setText(_("Continue") if sitting.case is None else _("Pause"))
        allow(ui.readingPauseButton, done, _("Hides the case and stops the clock, or goes on (P)."))
        allow(ui.readingLaterButton, done, _("Leaves this case; it comes again after the others (S)."))
        allow(ui.readingEndButton, "", _("Leaves the session (E). Everything stored stays stored."))
        ui.readingRevealButton.setVisible(study.reveal)
        own = "" if sitting.stored else _("Store your own answer first.")
        shown = _("It is shown in the table.") if sitting.network is not None else ""
        allow(
            ui.readingRevealButton,
            first(done, own, shown),
            _("Shows what the network said about this case (N). Your own answer cannot be changed afterwards."),
        )

    def _tick(self, *_args) -> None:
        if self.sitting is not None:
            self._showTitle()
