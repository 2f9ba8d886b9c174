"""Stand-in for Slicer's ``qt`` module: all Q* names of PySide6, taught PythonQt's habits, and a few replacements.

Replaced: ``QUiLoader`` (strict, knows the stand-in widgets), ``QSettings`` (a file of the test, never the person's),
``QFileDialog`` and ``QInputDialog`` functions (answered by the test; they return what PythonQt returns, not PySide6's
tuples), ``QDesktopServices`` (remembers what would be opened), ``QMenu`` (takes any parent).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

from standins import pythonqt
from standins.dialogs import dialogs
from standins.ui_loader import QUiLoader  # noqa: F401 - a name of this module

application = pythonqt.teachHabits()
application.setOrganizationName("NA-MIC")
application.setApplicationName("SlicerStandIn")

for _module in (QtCore, QtGui, QtWidgets):
    globals().update({_name: getattr(_module, _name) for _name in dir(_module) if _name.startswith("Q")})
Qt = QtCore.Qt


class QSettings(QtCore.QSettings):
    """Settings in one file of this test process. Everything comes back as text, as it does on some systems."""

    path = str(Path(tempfile.gettempdir()) / "sscild-standin-settings.ini")  # install() gives it a folder of its own

    def __init__(self, *unused):
        super().__init__(QSettings.path, QtCore.QSettings.IniFormat)

    def value(self, key, default=None, *unused):
        """The text of a value; lists stay lists."""
        found = super().value(key, default)
        if isinstance(found, bool):
            return str(found).lower()
        return str(found) if isinstance(found, int | float) and self.contains(key) else found

    def setValue(self, key, value):
        """Store a value; it is on disk at once, so that another QSettings() sees it."""
        super().setValue(key, value)
        self.sync()


class QFileDialog(QtWidgets.QFileDialog):
    """File dialogs answered by ``slicer.app.dialogs.willAnswer(path)``; "" is a cancelled one."""

    @staticmethod
    def getOpenFileName(parent=None, caption="", *unused):
        """The prepared path."""
        return dialogs.ask("open file", caption)

    @staticmethod
    def getOpenFileNames(parent=None, caption="", *unused):
        """The prepared list of paths."""
        return dialogs.ask("open files", caption)

    @staticmethod
    def getSaveFileName(parent=None, caption="", *unused):
        """The prepared path."""
        return dialogs.ask("save file", caption)

    @staticmethod
    def getExistingDirectory(parent=None, caption="", *unused):
        """The prepared folder."""
        return dialogs.ask("folder", caption)


class QInputDialog(QtWidgets.QInputDialog):
    """Input dialogs answered by ``slicer.app.dialogs.willAnswer(value)``."""

    @staticmethod
    def getText(parent, title, label, *unused):
        """The prepared text."""
        return dialogs.ask("text", f"{title}: {label}")

    @staticmethod
    def getItem(parent, title, label, items, *unused):
        """The prepared item."""
        return dialogs.ask("item", f"{title}: {label}", details="\n".join(items))


class QDesktopServices(QtGui.QDesktopServices):
    """Opens nothing; remembers addresses as ``slicer.app.dialogs.shown`` entries of kind "open address"."""

    @staticmethod
    def openUrl(url):
        """Always succeeds."""
        return dialogs.ask("open address", QtCore.QUrl(url).toString(), default=True)


class QMenu(QtWidgets.QMenu):
    """PythonQt takes a parent that is no widget for none; PySide6 would refuse it."""

    def __init__(self, *arguments):
        super().__init__(*(a for a in arguments if isinstance(a, str | QtWidgets.QWidget)))
