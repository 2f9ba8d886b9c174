"""CTK's buttons and collapsible sections."""

from __future__ import annotations

from PySide6.QtCore import Property, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPalette, QPolygon
from PySide6.QtWidgets import QCheckBox, QGroupBox, QPushButton, QWidget

HEADER_HEIGHT = 24
UNLIMITED = 16777215  # QWIDGETSIZE_MAX, which PySide6 does not export


class ctkPushButton(QPushButton):
    """A push button (with CTK's text elision left out)."""

    standsForCpp = True


class ctkMenuButton(QPushButton):
    """A push button with a menu at its side."""

    standsForCpp = True


class ctkCheckBox(QCheckBox):
    """A check box."""

    standsForCpp = True


class ctkCheckablePushButton(QPushButton):
    """A push button with a check box; connected to a bool it is a toggle button."""

    standsForCpp = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._checkBoxControls = False

    checkBoxControlsButtonToggleState = Property(
        bool, lambda self: self._checkBoxControls, lambda self, on: setattr(self, "_checkBoxControls", on)
    )


class _Collapsible:
    """Hides its child widgets, remembers which of them had been hidden on purpose, and says so."""

    def _initialiseCollapsing(self):
        self._isCollapsed = False
        self._hiddenByCollapsing = []

    def _readCollapsed(self):
        return self._isCollapsed

    def _writeCollapsed(self, collapsed):
        collapsed = bool(collapsed)
        if collapsed == self._isCollapsed:
            return
        self._isCollapsed = collapsed
        if collapsed:
            shown = [c for c in self.children() if isinstance(c, QWidget) and not c.isHidden()]
            self._hiddenByCollapsing = shown
        for child in self._hiddenByCollapsing:
            child.setVisible(not collapsed)
        self.setMaximumHeight(HEADER_HEIGHT + 2 if collapsed else UNLIMITED)
        self.updateGeometry()
        self.update()
        self._tellCollapsed(collapsed)


class ctkCollapsibleButton(_Collapsible, QWidget):
    """A section of the panel below a header that opens and closes it."""

    standsForCpp = True
    contentsCollapsed = Signal(bool)
    toggled = Signal(bool)
    clicked = Signal(bool)

    def __init__(self, *arguments):
        title = next((a for a in arguments if isinstance(a, str)), "")
        super().__init__(next((a for a in arguments if isinstance(a, QWidget)), None))
        self._initialiseCollapsing()
        self._title = title
        self.setFocusPolicy(Qt.StrongFocus)
        self.setContentsMargins(0, HEADER_HEIGHT, 0, 0)

    def _tellCollapsed(self, collapsed):
        self.contentsCollapsed.emit(collapsed)
        self.toggled.emit(not collapsed)

    def click(self):
        """As a person does on the header."""
        self._writeCollapsed(not self._isCollapsed)
        self.clicked.emit(not self._isCollapsed)

    def mousePressEvent(self, event):
        """Open or close."""
        if event.position().y() < HEADER_HEIGHT:
            self.click()

    def keyPressEvent(self, event):
        """Open or close with the keyboard."""
        if event.key() in (Qt.Key_Space, Qt.Key_Return):
            self.click()

    def minimumSizeHint(self):
        """Room for the header at least."""
        hint = super().minimumSizeHint()
        return QSize(hint.width(), HEADER_HEIGHT if self._isCollapsed else max(hint.height(), HEADER_HEIGHT))

    def sizeHint(self):
        """The header alone when collapsed."""
        hint = super().sizeHint()
        return QSize(max(hint.width(), 200), HEADER_HEIGHT if self._isCollapsed else max(hint.height(), HEADER_HEIGHT))

    def paintEvent(self, event):
        """The header: a bar, an arrow, the title."""
        width = self.rect.width() if isinstance(self.rect, QRect) else self.rect().width()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(QColor(176, 176, 180))
        painter.setBrush(QColor(222, 222, 226))
        painter.drawRoundedRect(0, 0, width - 1, HEADER_HEIGHT - 3, 3, 3)
        painter.setPen(Qt.NoPen)
        painter.setBrush(QColor(70, 70, 75))
        closed = [QPoint(9, 6), QPoint(9, 16), QPoint(14, 11)]
        opened = [QPoint(6, 8), QPoint(16, 8), QPoint(11, 14)]
        painter.drawPolygon(QPolygon(closed if self._isCollapsed else opened))
        painter.setPen(self.palette.color(QPalette.WindowText))
        area = QRect(22, 0, width - 28, HEADER_HEIGHT - 2)
        painter.drawText(area, Qt.AlignVCenter | Qt.AlignLeft | Qt.TextShowMnemonic, self._title)
        painter.end()

    def _writeText(self, text):
        self._title = text
        self.update()

    text = Property(str, lambda self: self._title, _writeText)
    collapsed = Property(bool, _Collapsible._readCollapsed, _Collapsible._writeCollapsed)


class ctkCollapsibleGroupBox(_Collapsible, QGroupBox):
    """A group box that opens and closes; ``checked`` is the opposite of ``collapsed``, as in CTK."""

    standsForCpp = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._initialiseCollapsing()
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(lambda on: self._writeCollapsed(not on))

    def _tellCollapsed(self, collapsed):
        self.setChecked(not collapsed)

    collapsed = Property(bool, _Collapsible._readCollapsed, _Collapsible._writeCollapsed)


class ctkDirectoryButton(QPushButton):
    """A button that shows a folder and lets the person choose another."""

    standsForCpp = True
    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, *arguments):
        super().__init__(*(a for a in arguments if isinstance(a, QWidget)))
        self._folder = next((a for a in arguments if isinstance(a, str)), "")
        self.clicked.connect(self.browse)

    def browse(self):
        """Ask for a folder."""
        import qt

        folder = qt.QFileDialog.getExistingDirectory(self, "Select folder")
        if folder:
            self._writeDirectory(folder)
            self.directorySelected.emit(folder)

    def _writeDirectory(self, folder):
        if folder != self._folder:
            self._folder = folder
            self.setText(folder)
            self.directoryChanged.emit(folder)

    directory = Property(str, lambda self: self._folder, _writeDirectory)


class ctkColorPickerButton(QPushButton):
    """A button that shows a colour."""

    standsForCpp = True
    colorChanged = Signal(QColor)

    def __init__(self, *arguments):
        super().__init__(*(a for a in arguments if isinstance(a, QWidget)))
        self._colour = QColor(0, 0, 0)

    def _writeColour(self, colour):
        colour = QColor.fromRgba(colour.rgba())  # PySide6 does not copy a QColor of a Python subclass
        if colour != self._colour:
            self._colour = colour
            self.setText(colour.name())
            self.colorChanged.emit(colour)

    color = Property(QColor, lambda self: QColor(self._colour), _writeColour)
    displayColorName = Property(bool, lambda self: True, lambda self, on: None)
