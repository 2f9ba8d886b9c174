"""QUiLoader that knows the stand-ins and is as strict about a .ui file as Slicer's.

Qt's own loader puts the base class in the place of a widget class that it does not know, and prints a line about a
connection that it cannot make. Here both are errors, because in Slicer the panel would not work.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

customWidgets: dict[str, type] = {}
"""Stand-in widget classes by the name a .ui file knows them by."""


def knows(*classes: type) -> None:
    """Make stand-in widget classes available to .ui files."""
    for kind in classes:
        customWidgets[kind.__name__] = kind


class QUiLoader(QtUiTools.QUiLoader):
    """``load(file)`` returns the top widget, or raises RuntimeError naming what the file has wrong."""

    def __init__(self, parent=None):
        super().__init__(parent)
        for kind in customWidgets.values():
            self.registerCustomWidget(kind)

    def load(self, device, parent=None):
        """Read a .ui file from an open QFile."""
        root = ElementTree.fromstring(bytes(device.readAll().data()))
        available = set(self.availableWidgets())
        unknown = {w.get("class") for w in root.iter("widget")} - available - {"QWidget", "Line"}
        if unknown:
            raise RuntimeError(
                f"The .ui file uses widgets that the stand-ins do not have: {', '.join(sorted(unknown))}"
            )
        _checkNames(root)
        connections = root.find("connections")
        if connections is not None:
            root.remove(connections)
        later = _takeFlagProperties(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        top = super().load(buffer, parent)
        if top is None:
            raise RuntimeError(f"The .ui file cannot be loaded: {self.errorString()}")
        widgets = {w.objectName: w for w in [top, *top.findChildren(QtCore.QObject)] if w.objectName}
        for name, attribute, value in later:
            setattr(widgets[name], attribute, value)
        for connection in [] if connections is None else connections:
            _connect(widgets, connection)
        return top


def _checkNames(root) -> None:
    """Object names must be unique and usable as Python names: they become attributes of ``self.ui``."""
    seen = set()
    for item in [*root.iter("widget"), *root.iter("action")]:
        name = item.get("name", "")
        if name in seen or not name.isidentifier():
            raise RuntimeError(f'The .ui file names a widget "{name}", which is taken or cannot be an attribute')
        seen.add(name)


def _takeFlagProperties(root) -> list[tuple[str, str, str]]:
    """Enumeration properties of stand-in widgets, which PySide6 does not convert: set by name after loading."""
    taken = []
    for widget in root.iter("widget"):
        if widget.get("class") not in customWidgets:
            continue
        for item in widget.findall("property"):
            kind = customWidgets[widget.get("class")]
            value = item.find("set") if item.find("set") is not None else item.find("enum")
            if (
                value is not None
                and not hasattr(QtWidgets.QWidget, item.get("name"))
                and hasattr(kind, item.get("name"))
            ):
                widget.remove(item)
                taken.append((widget.get("name"), item.get("name"), value.text))
    return taken


def _connect(widgets: dict, connection) -> None:
    def end(tag):
        return connection.findtext(tag)

    try:
        sender, receiver = widgets[end("sender")], widgets[end("receiver")]
        signal = getattr(sender, end("signal").partition("(")[0])
        slot = getattr(receiver, end("slot").partition("(")[0])
        signal.connect(slot)
    except (KeyError, AttributeError) as error:
        ends = ", ".join(str(end(tag)) for tag in ("sender", "signal", "receiver", "slot"))
        raise RuntimeError(f"The .ui file has a connection that cannot be made: {ends} ({error})") from None
