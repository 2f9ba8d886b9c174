"""The main window, with the module selector that ``slicer.util.selectModule`` uses."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMainWindow


class ModuleSelector(QObject):
    """Which module is shown. Choosing one leaves the former."""

    moduleSelected = Signal(str)

    def __init__(self, window):
        super().__init__(window)
        self._name = ""

    @property
    def selectedModule(self):
        """The name of the module that is shown, or ""."""
        return self._name

    def selectModule(self, name):
        """Show a module: its panel is built on the first time, the former module's ``exit`` is called."""
        import slicer

        chosen = slicer.app.moduleManager().module(name)
        if chosen is None:
            raise RuntimeError(f"there is no module {name}")
        if name == self._name:
            return
        former = slicer.app.moduleManager().module(self._name) if self._name else None
        if former is not None and former.widgetRepresentation() is not None:
            former.widgetRepresentation().exit()
        self._name = name
        panel = chosen.widgetRepresentation()
        if panel is not None:
            panel.show()
            panel.enter()
        self.moduleSelected.emit(name)


class MainWindow(QMainWindow):
    """Slicer's main window: a status bar and a module selector."""

    standsForCpp = True

    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._selector = ModuleSelector(self)

    def moduleSelector(self):
        """Which module is shown."""
        return self._selector
