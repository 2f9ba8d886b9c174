"""The class decorator that turns annotated members into parameters of a MRML node."""

from __future__ import annotations

import functools
import typing
import weakref
from dataclasses import dataclass

import slicer.util

from standins.parameters.gui import Connection, connectionFor
from standins.parameters.stores import Checked, storeFor
from standins.parameters.validators import Default, first, split

SlicerParameterNamePropertyName = "SlicerParameterName"


@dataclass
class ParameterInfo:
    """One parameter: its name, annotated type, store and default."""

    basename: str
    unalteredType: object
    serializer: Checked
    default: Default
    cached: bool


def isParameterNodeWrapper(thing) -> bool:
    """Whether a class or an object came from the decorator."""
    return bool(getattr(thing, "_isParameterNodeWrapper", False))


def _parameter(name: str):
    """A parameter as a property. Values are remembered until the node tells of a change, as in Slicer.

    So a node parameter of a scene that has just been loaded reads None (its node was not there yet when the parameter
    node changed) until somebody calls ``Modified()``: module code has to do that, here and in Slicer.
    """

    def read(self):
        return self._remembered[name] if name in self._remembered else self._readNow(name)

    def write(self, value):
        info = self.allParameters[name]
        if not info.cached:
            info.serializer.write(self.parameterNode, name, value)
            return
        self._writing.add(name)
        try:
            with slicer.util.NodeModify(self.parameterNode):
                info.serializer.write(self.parameterNode, name, value)
                self._remembered[name] = self._readNow(name)
        finally:
            self._writing.discard(name)

    return property(read, write)


def _observeWeakly(wrapper, parameterNode) -> int:
    known = weakref.ref(wrapper)  # the node must not keep the wrapper alive

    def changed(*unused):
        alive = known()
        if alive is not None:
            alive._readAgain()

    return parameterNode.AddObserver("ModifiedEvent", changed)


class _Methods:
    """What every wrapped class has besides its parameters. The names are reserved."""

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._connections: dict[int, dict[str, Connection]] = {}
        self._observers: dict[int, int] = {}
        self._nextTag, self._showing = 0, False
        for name, info in self.allParameters.items():
            if not info.serializer.isIn(parameterNode, name):
                info.serializer.write(parameterNode, name, info.default.value)
        self._writing: set[str] = set()
        self._remembered = {name: self._readNow(name) for name, info in self.allParameters.items() if info.cached}
        self._rememberingTag = _observeWeakly(self, parameterNode)

    def __del__(self):
        tag = self.__dict__.get("_rememberingTag")
        if tag is not None:
            self.parameterNode.RemoveObserver(tag)

    def _readNow(self, name):
        info = self.allParameters[name]
        if not info.serializer.isIn(self.parameterNode, name):  # the scene was closed, or somebody removed it
            info.serializer.write(self.parameterNode, name, info.default.value)
        return info.serializer.read(self.parameterNode, name)

    def _readAgain(self):
        for name in self._remembered:
            if name not in self._writing:
                self._remembered[name] = self._readNow(name)

    def _known(self, name):
        if name.partition(".")[0] not in self.allParameters:
            raise ValueError(f"there is no parameter {name}; there are {', '.join(self.allParameters)}")
        return name.partition(".")

    def default(self, name) -> Default:
        """The default of a parameter."""
        self._known(name)
        return self.allParameters[name].default

    def isCached(self, name) -> bool:
        """Whether the value is remembered between changes of the node."""
        self._known(name)
        return self.allParameters[name].cached

    def getValue(self, name):
        """The value by name; "pack.member" for a member of a pack."""
        top, _, member = self._known(name)
        return functools.reduce(getattr, member.split("."), getattr(self, top)) if member else getattr(self, top)

    def setValue(self, name, value) -> None:
        """Set a value by name."""
        top, _, member = self._known(name)
        if not member:
            setattr(self, top, value)
            return
        *path, last = member.split(".")
        setattr(functools.reduce(getattr, path, getattr(self, top)), last, value)

    def connectGui(self, gui) -> int:
        """Connect the widgets that carry the property SlicerParameterName; the tag is for :meth:`disconnectGui`."""
        widgets = gui.findChildren("QWidget") if hasattr(gui, "isWidgetType") else vars(gui).values()
        named = {w.property(SlicerParameterNamePropertyName): w for w in widgets}
        return self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping) -> int:
        """Connect parameters by name to widgets."""
        for name in mapping:
            self._known(name)
        connections = {name: connectionFor(widget, self.dataType(name)) for name, widget in mapping.items()}
        tag, self._nextTag = self._nextTag, self._nextTag + 1
        self._connections[tag] = connections
        for name, connection in connections.items():
            connection.write(self.getValue(name))
            connection.onChanged(functools.partial(self._fromGui, name, connection))
        self._observers[tag] = self.AddObserver("ModifiedEvent", lambda *unused: self._toGui())
        return tag

    def disconnectGui(self, tag) -> None:
        """Undo :meth:`connectGui`."""
        for connection in self._connections.pop(tag, {}).values():
            connection.onChanged(None)
        if tag in self._observers:
            self.RemoveObserver(self._observers.pop(tag))

    def _fromGui(self, name, connection):
        if not self._showing:
            with slicer.util.NodeModify(self):
                self.setValue(name, connection.read())

    def _toGui(self):
        if self._showing:
            return
        self._showing = True
        try:
            with slicer.util.NodeModify(self):
                for connections in list(self._connections.values()):
                    for name, connection in connections.items():
                        connection.write(self.getValue(name))
        finally:
            self._showing = False

    def StartModify(self):
        """Of the node."""
        return self.parameterNode.StartModify()

    def EndModify(self, wasModifying):
        """Of the node."""
        return self.parameterNode.EndModify(wasModifying)

    def AddObserver(self, event, callback, priority=0.0):
        """Of the node."""
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        """Of the node."""
        return self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        """Of the node."""
        return self.parameterNode.Modified()


_RESERVED = {name for name in vars(_Methods) if not name.startswith("__")} | {
    "allParameters",
    "dataType",
    "parameterNode",
}


def parameterNodeWrapper(wrapped=None):
    """Class decorator. Objects of the class are made with a vtkMRMLScriptedModuleNode."""
    if wrapped is None:
        return parameterNodeWrapper
    parameters = {}
    for name, annotated in typing.get_type_hints(wrapped, include_extras=True).items():
        if name in _RESERVED:
            raise ValueError(f"{name} is a name of the wrapper and cannot be a parameter")
        store = storeFor(annotated)
        noted = first(split(annotated)[1], Default)
        default = Default(wrapped.__dict__[name]) if name in wrapped.__dict__ else noted
        parameters[name] = ParameterInfo(
            name, annotated, store, default or Default(generator=store.default), store.cacheable
        )
        setattr(wrapped, name, _parameter(name))
    for name, method in vars(_Methods).items():
        if callable(method) and name not in ("__class__",):
            if name in wrapped.__dict__ and name in _RESERVED:
                raise ValueError(f"{name} is a name of the wrapper and cannot be a parameter")
            setattr(wrapped, name, method)

    def dataType(name):
        top, _, member = name.partition(".")
        if top not in parameters:
            raise ValueError(f"there is no parameter {name}")
        kind = parameters[top].unalteredType
        for part in member.split(".") if member else ():
            kind = split(kind)[0].dataType(part)
        return kind

    wrapped.allParameters, wrapped.dataType, wrapped._isParameterNodeWrapper = parameters, staticmethod(dataType), True
    return wrapped
