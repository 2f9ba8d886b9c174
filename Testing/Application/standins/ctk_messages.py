"""CTK's message box and text browser."""

from __future__ import annotations

from PySide6.QtCore import Property, Qt
from PySide6.QtWidgets import QMessageBox, QTextBrowser

from standins.dialogs import dialogs


class ctkMessageBox(QMessageBox):
    """The box behind ``slicer.util.errorDisplay`` and its kin: it does not wait, the test has answered beforehand.

    Boxes with an OK button only need no prepared answer.
    """

    standsForCpp = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._settingsKey = ""

    def exec_(self):
        """Show the text to the test and return its answer."""
        only = self.standardButtons in (QMessageBox.Ok, QMessageBox.NoButton)
        default = QMessageBox.Ok if only else None
        return dialogs.ask("message", self.text, details=self.detailedText, default=default)

    dontShowAgainSettingsKey = Property(
        str, lambda self: self._settingsKey, lambda self, key: setattr(self, "_settingsKey", key)
    )
    dontShowAgainVisible = Property(bool, lambda self: bool(self._settingsKey), lambda self, on: None)


class ctkFittedTextBrowser(QTextBrowser):
    """A text browser as high as its text."""

    standsForCpp = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._isCollapsed = False
        self.setVerticalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.textChanged.connect(self._fit)

    def resizeEvent(self, event):
        """Another width is another height."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self):
        document = self.document
        document = document() if callable(document) else document
        self.setFixedHeight(28 if self._isCollapsed else int(document.size.height()) + 6)

    def _writeCollapsed(self, collapsed):
        self._isCollapsed = collapsed
        self._fit()

    collapsed = Property(bool, lambda self: self._isCollapsed, _writeCollapsed)
