"""Choosing study, reader and session; none of them is remembered for whoever comes next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from slicer.i18n import tr as _

from ..errors import SScILDError


class ReadingSetup:
    """The form above a session.

    Args:
        ui: the panel's widgets. onChange: called when something else was chosen.
    """

    def __init__(self, ui, onChange: Callable[[], None]) -> None:
        self.ui, self._onChange = ui, onChange
        self._study = None
        self._error = ""
        self._filling = False
        ui.readingFolderEdit.currentPathChanged.connect(self._onFolder)
        ui.readingReaderComboBox.currentTextChanged.connect(self._onChoice)
        ui.readingSessionComboBox.currentTextChanged.connect(self._onChoice)
        self._show()

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return Path(str(self.ui.readingFolderEdit.currentPath).strip()).expanduser()

    @property
    def reader(self) -> str:
        """Who reads; empty when not chosen."""
        index = self.ui.readingReaderComboBox.currentIndex
        return self._study.readers[index - 1] if self._study is not None and index > 0 else ""

    @property
    def session(self) -> int:
        """Which session; 0 when not chosen."""
        if self._study is not None and self._study.sessions == 1:
            return 1
        return max(int(self.ui.readingSessionComboBox.currentIndex), 0)

    def reason(self) -> str:
        """Why a session cannot be opened yet, or an empty text."""
        if self._study is None:
            return self._error or _("Choose the folder of a study.")
        if not self.reader:
            return _("Choose who reads.")
        return "" if self.session else _("Choose the session.")

    def forget(self) -> None:
        """Nobody and no session is chosen any more; the folder stays."""
        self._fill()
        self._show()

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _onFolder(self, *_args) -> None:
        from ..observers.study import read_study

        self._study, self._error = None, ""
        if str(self.ui.readingFolderEdit.currentPath).strip():
            try:
                self._study = read_study(self.folder)
            except SScILDError as error:
                self._error = str(error)
        self._fill()
        self._show()
        self._onChange()

    def _onChoice(self, *_args) -> None:
        if not self._filling:
            self._show()
            self._onChange()

    def _fill(self) -> None:
        study = self._study
        self._filling = True
        try:
            readers, sessions = self.ui.readingReaderComboBox, self.ui.readingSessionComboBox
            readers.clear()
            sessions.clear()
            if study is not None:
                readers.addItems([_("choose..."), *study.readers])
                numbers = [str(number) for number in range(1, study.sessions + 1)]
                sessions.addItems(numbers if study.sessions == 1 else [_("choose..."), *numbers])
        finally:
            self._filling = False

    def _show(self) -> None:
        ui, study = self.ui, self._study
        for widget in (ui.readingReaderComboBox, ui.readingSessionComboBox):
            widget.setEnabled(study is not None)
        text, begun = self._error, False
        if study is not None:
            task = _("ratings of heat maps") if study.task == "likert" else _("scores of five levels")
            text = _("<b>{name}</b>: {count} cases, {task}").format(name=study.name, count=len(study.items), task=task)
            if study.task == "scores":
                text += ", " + (_("own levels") if study.levels == "own" else _("given levels"))
            if self.reader and self.session:
                done, problem = self._done()
                text += ". " + (problem or _("{done} of them are answered.").format(done=done))
                begun = bool(done)
        ui.readingStudyLabel.setText(text)
        ui.readingStudyLabel.setVisible(bool(text))
        ui.readingStartButton.setText(_("Continue reading") if begun else _("Start reading"))

    def _done(self) -> tuple[int, str]:
        """How many cases this reader has answered, and what is wrong with the answers, if anything."""
        from ..observers.progress import read_progress

        try:
            return len(read_progress(self._study, self.folder, self.reader, self.session).complete), ""
        except SScILDError as error:
            return 0, str(error)
