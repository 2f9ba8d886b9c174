"""Give PySide6 the habits of PythonQt, Slicer's Python binding of Qt.

Module code that runs in Slicer relies on these, and only these are imitated:

- Qt properties are attributes: ``label.text``, ``button.enabled = False``; ``widget.name`` is the object name.
- ``sender.connect("clicked(bool)", slot)`` and ``sender.disconnect(...)`` take the C++ signature of the signal.
- An attribute that does not exist cannot be set on a Qt object (``button.tooltip = "..."``): that cannot be imitated
  at the time, :func:`strangeAttributes` finds it afterwards.
- ``widget.className()``, ``dialog.exec_()``, ``findChildren("QLabel")`` by class name.

The patches change the PySide6 classes of the whole process and stay until it ends. Code written for plain PySide6
(``label.text()``) does not work beside them, as it would not in Slicer.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before Qt makes its application: nobody sees these windows

from PySide6 import QtCore, QtGui, QtWidgets

# The getters of these are virtual: Qt calls them through Python, so they must stay methods. They can be set like the
# other properties; in PythonQt they can be read like them too, which module code here does without.
_VIRTUAL_GETTERS = frozenset({"sizeHint", "minimumSizeHint", "spacing"})


class _PropertyAttribute:
    """A Qt property as a Python attribute of the object; on the class it remains the getter (or static method)."""

    def __init__(self, name: str, getter, setter):
        self.name, self.getter, self.setter = name, getter, setter

    def __get__(self, instance, owner=None):
        if instance is None:
            return self if self.getter is None else self.getter
        if self.name in _VIRTUAL_GETTERS:
            return self.getter.__get__(instance, owner)
        if self.getter is None or self.name == "singleShot":  # QTimer.singleShot the function hides its namesake
            return instance.property(self.name)
        return self.getter(instance)

    def __set__(self, instance, value):
        if self.setter is not None:
            try:
                self.setter(instance, value)
                return
            except TypeError:
                pass  # PythonQt converts through QVariant, which is more generous (5.0 for an int)
        if not instance.setProperty(self.name, value):
            raise TypeError(f"{type(instance).__name__}.{self.name} cannot be set to {value!r}")


def _propertiesAsAttributes(qtClass: type) -> None:
    meta = qtClass.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        getter = getattr(qtClass, name, None)
        if isinstance(getter, _PropertyAttribute | property) or (getter is not None and not callable(getter)):
            continue
        setter = getattr(qtClass, "set" + name[0].upper() + name[1:], None)
        setattr(qtClass, name, _PropertyAttribute(name, getter, setter))


def _withSignature(original, sender, connectOrDisconnect: str, signal, *rest):
    """``sender.connect("clicked(bool)", slot)``. PySide6 itself calls with a leading digit; that is passed on."""
    if isinstance(signal, str) and not signal[:1].isdigit() and len(rest) == 1:
        name = signal.partition("(")[0]
        bound = getattr(sender, name, None)
        if not hasattr(bound, connectOrDisconnect):
            raise ValueError(f"{type(sender).__name__} has no signal {signal}")
        with warnings.catch_warnings():  # PythonQt says nothing when there was no such connection
            warnings.simplefilter("ignore", RuntimeWarning)
            getattr(bound, connectOrDisconnect)(rest[0])
        return True
    return original(signal, *rest)


_getAttribute = QtCore.QObject.__getattribute__


def _attributeOfQObject(self, name):
    value = _getAttribute(self, name)
    if name in ("connect", "disconnect"):
        return functools.partial(_withSignature, value, self, name)
    return value


def strangeAttributes(top: QtWidgets.QWidget) -> list[str]:
    """Attributes that code has set on Qt objects below ``top`` although Qt has no such property.

    PySide6 lets them pass; PythonQt raises AttributeError. The usual cause is a typing error (``button.tooltip``).
    """
    strange = []
    for thing in [top, *top.findChildren(QtCore.QObject)]:
        kind = type(thing)
        if kind.__module__.startswith("PySide6") or getattr(kind, "standsForCpp", False):
            for name, value in getattr(thing, "__dict__", {}).items():
                fromLoader = isinstance(value, QtCore.QObject) and value.name == name  # PySide6's loader sets these
                if not (name.startswith("_") or hasattr(kind, name) or fromLoader):
                    strange.append(f"{kind.__name__} {thing.name!r}: {name}")
    return strange


def _findChildren(original):
    @functools.wraps(original)
    def findChildren(self, kind=QtCore.QObject, name="", *rest):
        if isinstance(kind, str):
            found = original(self, QtCore.QObject)
            names = {kind}
            return [o for o in found if o.inherits(kind) or type(o).__name__ in names if not name or o.name == name]
        return original(self, kind, name, *rest) if name else original(self, kind)

    return findChildren


def _colourName(original):
    @functools.wraps(original)
    def name(self, form=QtGui.QColor.HexRgb):
        return original(self, QtGui.QColor.NameFormat(form))  # PythonQt takes numbers for enumerations

    return name


def _className(self) -> str:
    """The C++ class name, for example "QPushButton"."""
    return self.metaObject().className()


def _fontsForText() -> None:
    """Without fonts on the system text would be empty boxes: matplotlib's DejaVu Sans is taken if it is there."""
    if set(QtGui.QFontDatabase.families()) - {"Monospace", "Sans Serif", "Serif"}:  # those are names without a font
        return
    matplotlib = importlib.util.find_spec("matplotlib")
    if matplotlib is None:
        return
    for file in (Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf").glob("DejaVuSans*.ttf"):
        QtGui.QFontDatabase.addApplicationFont(str(file))
    QtWidgets.QApplication.setFont(QtGui.QFont("DejaVu Sans", 9))


def _qtClasses() -> list[type]:
    found = []
    for module in (QtCore, QtGui, QtWidgets):
        for name in dir(module):
            thing = getattr(module, name)
            if isinstance(thing, type) and issubclass(thing, QtCore.QObject) and hasattr(thing, "staticMetaObject"):
                found.append(thing)
    return found


def keepNoneAlive() -> None:
    """PySide6 6.12 gives back a reference of None that it never took, at every call that returns nothing.

    From Python 3.12 on None cannot die; before, the process would end after some ten thousand calls ("deallocating
    None"). A large head start helps.
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def teachHabits() -> QtWidgets.QApplication:
    """Patch the PySide6 classes (once in a process) and return the one QApplication."""
    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer", "-platform", "offscreen"])
    if "className" in QtCore.QObject.__dict__:
        return application
    keepNoneAlive()
    _fontsForText()
    done = set()
    for qtClass in _qtClasses():
        for base in reversed(qtClass.__mro__):
            if base not in done and issubclass(base, QtCore.QObject) and "staticMetaObject" in base.__dict__:
                done.add(base)
                _propertiesAsAttributes(base)
                for name in _VIRTUAL_GETTERS & base.__dict__.keys():  # a class that overrides the getter hides it
                    if not isinstance(base.__dict__[name], _PropertyAttribute):
                        setter = getattr(base, "set" + name[0].upper() + name[1:], None)
                        setattr(base, name, _PropertyAttribute(name, base.__dict__[name], setter))
    QtCore.QObject.name = property(lambda self: self.objectName, lambda self, name: self.setObjectName(name))
    QtCore.QObject.findChildren = _findChildren(QtCore.QObject.findChildren)
    QtCore.QObject.className = _className
    QtCore.QObject.__getattribute__ = _attributeOfQObject
    QtGui.QColor.name = _colourName(QtGui.QColor.name)
    for qtClass in (QtWidgets.QDialog, QtWidgets.QMenu, QtCore.QEventLoop):
        qtClass.exec_ = qtClass.exec
    return application
