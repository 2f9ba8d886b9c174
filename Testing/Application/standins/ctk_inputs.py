"""CTK's inputs for text, choices and paths."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QToolButton, QWidget

_FILTERS = {
    "Dirs": 1,
    "Files": 2,
    "Readable": 16,
    "Writable": 32,
    "Executable": 64,
    "Drives": 4,
    "NoDotAndDotDot": 24576,
}


class ctkSearchBox(QLineEdit):
    """A line edit for searching."""

    standsForCpp = True


class ctkComboBox(QComboBox):
    """A combo box that shows a text while nothing is chosen."""

    standsForCpp = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._default = ""

    def _writeDefault(self, text):
        self._default = text
        self.setPlaceholderText(text)

    defaultText = Property(str, lambda self: self._default, _writeDefault)
    forceDefault = Property(bool, lambda self: False, lambda self, on: None)


class ctkPathLineEdit(QWidget):
    """A path with a browse button. ``currentPathChanged`` follows every letter, as in CTK."""

    standsForCpp = True
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    Dirs, Files, Readable, Writable, Executable = (
        _FILTERS[n] for n in ["Dirs", "Files", "Readable", "Writable", "Executable"]
    )

    def __init__(self, *arguments):
        super().__init__(next((a for a in arguments if isinstance(a, QWidget)), None))
        self._edit, self._button = QLineEdit(), QToolButton()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self._edit, 1)
        row.addWidget(self._button)
        self._button.setText("...")
        self._values = {"filters": _FILTERS["Files"] | _FILTERS["Readable"], "nameFilters": [], "settingKey": ""}
        self._wasValid = False
        self._edit.textChanged.connect(self._changed)
        self._button.clicked.connect(self.browse)
        self.setFocusProxy(self._edit)

    def _changed(self, path):
        valid = self._isValid(path)
        if valid != self._wasValid:
            self._wasValid = valid
            self.validInputChanged.emit(valid)
        self.currentPathChanged.emit(path)

    def _isValid(self, path):
        if not path:
            return False
        wanted = self._values["filters"]
        if wanted & _FILTERS["Writable"] and not Path(path).exists():
            return Path(path).parent.is_dir()
        return Path(path).is_dir() if not wanted & _FILTERS["Files"] else Path(path).is_file()

    def browse(self):
        """Ask for a path of the kind that ``filters`` says."""
        import qt

        wanted = self._values["filters"]
        if not wanted & _FILTERS["Files"]:
            path = qt.QFileDialog.getExistingDirectory(self, "Select folder")
        elif wanted & _FILTERS["Writable"]:
            path = qt.QFileDialog.getSaveFileName(self, "Save file")
        else:
            path = qt.QFileDialog.getOpenFileName(self, "Open file")
        if path:
            self._edit.setText(path)

    def addCurrentPathToHistory(self):
        """CTK keeps a history in the settings; here it is not kept."""

    def _writeFilters(self, filters):
        if isinstance(filters, str):  # from a .ui file: "ctkPathLineEdit::Dirs|ctkPathLineEdit::Writable"
            names = [name.rpartition("::")[2] for name in filters.split("|")]
            filters = sum(_FILTERS.get(name, 0) for name in names)
        self._values["filters"] = int(filters)

    def _kept(name, kind):
        return Property(kind, lambda self: self._values[name], lambda self, value: self._values.update({name: value}))

    currentPath = Property(str, lambda self: self._edit.text, lambda self, path: self._edit.setText(path))
    filters = Property(object, lambda self: self._values["filters"], _writeFilters)
    nameFilters = _kept("nameFilters", "QStringList")
    settingKey = _kept("settingKey", str)
    showHistoryButton = Property(bool, lambda self: False, lambda self, on: None)
    showBrowseButton = Property(
        bool, lambda self: not self._button.isHidden(), lambda self, on: self._button.setVisible(on)
    )
