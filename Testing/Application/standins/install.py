"""Puts the stand-ins in the place of Slicer's Qt half, and takes them away again.

With the environment variable ``SLICER_PYTHON_SOURCE=<folder of Slicer's Base/Python/slicer>`` the Python part
(ScriptedLoadableModule, parameterNodeWrapper, i18n, packaging) is Slicer's own, from that folder; widgets and
application remain stand-ins. The same tests must pass both ways.

Cannot be undone: PySide6's classes stay patched (``standins.pythonqt``), the one QApplication lives on, and logics and
display managers that VTK registered stay registered.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import types
from pathlib import Path

import slicer
import slicer.util

OURS = {
    "slicer.i18n": "standins.i18n",
    "slicer.packaging": "standins.packaging",
    "slicer.ScriptedLoadableModule": "standins.scripted_module",
    "slicer.parameterNodeWrapper": "standins.parameters",
}


class LoadableModule:
    """``slicer.modules.<name>`` of a module written in C++: its logic, without a panel."""

    def __init__(self, name, logic):
        self.name, self._logic = name, logic

    def logic(self):
        """The module's logic."""
        return self._logic

    def widgetRepresentation(self):
        """No panel here."""
        return None


_slicersOwn: dict[str, types.ModuleType] = {}
"""Slicer's own Python modules once they were read: every later installation uses the same ones."""


def slicerPythonSource() -> Path | None:
    """Where Slicer's own Python files are, or None."""
    folder = os.environ.get("SLICER_PYTHON_SOURCE")
    if not folder:
        return None
    if not (Path(folder) / "ScriptedLoadableModule.py").is_file():
        raise FileNotFoundError(f"SLICER_PYTHON_SOURCE is {folder}, which has no ScriptedLoadableModule.py")
    return Path(folder)


def _hideUtilityFunctions() -> dict[str, object]:
    """slicer-core also offers the functions of slicer.util as slicer.<function>; the application does not."""
    hidden = {}
    for name, thing in list(vars(slicer).items()):
        if getattr(thing, "__module__", None) == "slicer.util" and vars(slicer.util).get(name) is thing:
            hidden[name] = thing
            delattr(slicer, name)
    return hidden


class Installation:
    """The stand-ins in place: ``application`` is ``slicer.app``. ``remove()`` takes them away."""

    def __init__(self, minimal, testing=True):
        self._modulesBefore = set(sys.modules)
        self._attributesBefore = dict(vars(slicer))
        self._pathBefore = list(slicer.__path__)
        self._folder = tempfile.TemporaryDirectory(prefix="sscild-standins-")
        import standins.qt

        sys.modules["qt"] = standins.qt
        standins.qt.QSettings.path = str(Path(self._folder.name) / "Slicer.ini")
        standins.qt.QSettings().setValue("Developer/SelfTestDisplayMessageDelay", 10)
        import standins.ctk

        sys.modules["ctk"] = standins.ctk
        from standins import errors, extensions, qmrml, qt_messages, slicer_app
        from standins.dialogs import dialogs
        from standins.module_opening import qSlicerScriptedLoadableModule

        dialogs.reset()
        errors.watch()
        qt_messages.watch()
        sys.modules["SampleData"] = extensions.sampleDataModule()
        for kind in (*qmrml.WIDGETS, qmrml.qSlicerScriptedLoadableModuleWidget, qSlicerScriptedLoadableModule):
            setattr(slicer, kind.__name__, kind)
        self._hidden = _hideUtilityFunctions()
        slicer.app = self.application = slicer_app.Application(minimal, testing=testing)
        slicer.modules = types.SimpleNamespace()
        for name, logic in minimal.modules.items():
            setattr(slicer.modules, name.lower(), LoadableModule(name, logic))
        self._installPython()

    def _installPython(self):
        source = slicerPythonSource()
        if source is not None:
            slicer.__path__.append(str(source))
            sys.modules.update(_slicersOwn)
        for name, ours in OURS.items():
            module = importlib.import_module(name if source is not None else ours)
            sys.modules[name] = module
            setattr(slicer, name.partition(".")[2], module)

    def remove(self):
        """Take the stand-ins away."""
        from standins import errors, qt_messages
        from standins.dialogs import dialogs

        self.application.close()
        dialogs.reset()
        errors.unwatch()
        qt_messages.unwatch()
        for name in set(sys.modules) - self._modulesBefore:
            if name.split(".")[0] == "slicer":
                module = sys.modules.pop(name)
                if slicerPythonSource() is not None:
                    _slicersOwn[name] = module
            elif name in ("qt", "ctk", "SampleData", "PyTorchUtils"):
                del sys.modules[name]
        slicer.__path__[:] = self._pathBefore
        vars(slicer).update(self._hidden)
        for name in set(vars(slicer)) - set(self._attributesBefore):
            delattr(slicer, name)
        for name in ("app", "modules"):
            if name in self._attributesBefore:
                setattr(slicer, name, self._attributesBefore[name])
        self._folder.cleanup()


def install(minimal, testing=True) -> Installation:
    """Put the stand-ins in place around a ``MinimalApplication``."""
    return Installation(minimal, testing)
