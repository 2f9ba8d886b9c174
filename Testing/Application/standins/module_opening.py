"""Opens a scripted module the way Slicer does: C++ objects around the Python classes of its file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from standins import errors
from standins.qmrml import qSlicerScriptedLoadableModuleWidget


def _load(path: Path):
    """The module's file as a Python module of its own name, as Slicer's factory loads it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    python = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = python
    spec.loader.exec_module(python)
    return python


class qSlicerScriptedLoadableModule:
    """The C++ side of a module, what ``slicer.modules.<name>`` and the module's ``self.parent`` are."""

    def __init__(self, path: Path):
        self.path, self.name = str(path), path.stem
        self.title, self.categories, self.dependencies, self.contributors = "", [], [], []
        self.helpText = self.acknowledgementText = ""
        self.hidden, self.index, self.icon, self.associatedNodeTypes, self.extensions = False, -1, None, [], {}
        self._representation = None

    def widgetRepresentation(self):
        """The panel, made and set up on the first call; None for a module without a Widget class."""
        import slicer

        if self._representation is None and hasattr(sys.modules[self.name], self.name + "Widget"):
            self._representation = qSlicerScriptedLoadableModuleWidget()
            self._representation.setPythonSource(self)
            self._representation.setup()
            self._representation.setMRMLScene(slicer.mrmlScene)
        return self._representation

    def logic(self):
        """Scripted modules have no C++ logic."""
        return None

    def makeWidgetObject(self, panel):
        """The Python object of the Widget class, also as ``slicer.modules.<Name>Widget``."""
        import slicer

        name = self.name + "Widget"
        made = getattr(sys.modules[self.name], name)(panel)
        setattr(slicer.modules, name, made)
        return made

    def call(self, target, method: str, *arguments):
        """A method of a Python object, if it is there; its errors are printed and kept, as C++ does."""
        function = getattr(target, method, None)
        if function is None:
            return None
        try:
            return function(*arguments)
        except Exception as error:
            errors.keep(error)
            return None


class OpenModule:
    """A module that is open in the stand-ins.

    Attributes:
        module: the Python object of the module's class.
        cpp: the C++ side (title, categories, help text, path).
        panel: the panel's top widget; grab it for a picture.
        widget: the Python object of the Widget class, or None.
        ui: ``widget.ui``.
    """

    def __init__(self, path):
        import slicer

        path = Path(path).resolve()
        self._folder = str(path.parent)
        self._addedPath = self._folder not in sys.path
        if self._addedPath:
            sys.path.append(self._folder)
        self._before = set(sys.modules)
        python = _load(path)
        self.python = python
        self.cpp = qSlicerScriptedLoadableModule(path)
        setattr(slicer.modules, path.stem.lower(), self.cpp)
        self.module = getattr(python, path.stem)(self.cpp)
        setattr(slicer.modules, path.stem + "Instance", self.module)

    @property
    def panel(self):
        """The panel's top widget, set up on first use."""
        return self.cpp.widgetRepresentation()

    @property
    def widget(self):
        """The Python widget object; another one after a reload."""
        return self.panel.self() if self.panel is not None else None

    @property
    def ui(self):
        """The widgets of the panel by name."""
        return self.widget.ui

    def enter(self):
        """The person opens the module."""
        self.panel.show()
        self.panel.enter()
        return self

    def exit(self):
        """The person goes to another module."""
        self.panel.exit()
        self.panel.hide()

    def grab(self, path, width=420, height=None):
        """A picture of the panel as PNG; by default as high as the panel wants to be."""
        import qt

        self.panel.show()
        layout = self.panel.layout()
        for _unused in range(3):  # text that wraps settles after the first layout
            qt.QApplication.processEvents()
            wide = max(width, self.panel.minimumSizeHint().width())
            wanted = layout.heightForWidth(wide) if layout.hasHeightForWidth() else layout.sizeHint().height()
            self.panel.resize(wide, height or wanted)
        qt.QApplication.processEvents()
        self.panel.grab().save(str(path))
        return path

    def close(self):
        """Unload the module: cleanup() and everything that opening it had put in place is taken away."""
        import slicer

        if self.cpp is None:
            return
        slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(self.cpp.name)
        panel = self.cpp._representation
        if panel is not None:
            panel.hide()
            panel.deleteLater()
            slicer.app.processEvents()
        name = self.cpp.name
        for attribute in (name.lower(), name + "Instance", name + "Widget"):
            if hasattr(slicer.modules, attribute):
                delattr(slicer.modules, attribute)
        getattr(slicer, "selfTests", {}).pop(name, None)
        sys.modules.pop(name, None)
        if self._addedPath and self._folder in sys.path:
            sys.path.remove(self._folder)
        self.cpp = None


def openModule(path) -> OpenModule:
    """Open the scripted module in a file. Its panel is built on first use of ``.panel``, ``.widget`` or ``.ui``."""
    return OpenModule(path)
