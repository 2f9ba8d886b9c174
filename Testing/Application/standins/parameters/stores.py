"""How values of each type are kept in a vtkMRMLScriptedModuleNode: as text, and nodes as references.

A store reads and writes the value of one name. The keys are Slicer's. Lists and the like: ``containers``.
"""

from __future__ import annotations

import enum
import pathlib
import types
import typing

import qt
import slicer

from standins.parameters.validators import IsInstance, IsNone, NotNone, Validator, split

PATHS = (
    pathlib.Path,
    pathlib.PosixPath,
    pathlib.WindowsPath,
    pathlib.PurePath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
)


class Store:
    """Text under one key. Subclasses say how the text is made."""

    accepts: tuple[Validator, ...] = ()
    initial: object = None
    fits: tuple[type, ...] = ()  # types that a Union gives to this store
    cacheable = True  # False for values that can change without the node

    def isIn(self, node, name) -> bool:
        """Whether the node has a value."""
        return bool(node.HasParameter(name))

    def write(self, node, name, value) -> None:
        """Keep a value."""
        node.SetParameter(name, self.toText(value))

    def read(self, node, name):
        """The value."""
        return self.fromText(node.GetParameter(name))

    def remove(self, node, name) -> None:
        """Forget the value."""
        node.UnsetParameter(name)

    def default(self):
        """The value of a parameter that was given no default."""
        return self.initial

    def toText(self, value) -> str:
        """The text of a value."""
        return str(value)

    def fromText(self, text: str):
        """The value of a text."""
        return text


class NumberStore(Store):
    """int or float; an int is welcome as a float."""

    initial = 0

    def __init__(self, kind):
        self.fits = (kind,)
        self.accepts = (NotNone(), IsInstance((int, float) if kind is float else int))
        self.fromText = kind


class TextStore(Store):
    """str."""

    initial, fits, accepts = "", (str,), (NotNone(), IsInstance(str))


class BoolStore(Store):
    """bool, as "True" or "False"."""

    initial, fits, accepts = False, (bool,), (NotNone(), IsInstance(bool))

    def fromText(self, text):
        """Anything but "True" is False."""
        return text == "True"


class PathStore(Store):
    """A pathlib class."""

    def __init__(self, kind):
        self.fits, self.accepts, self.fromText = PATHS, (NotNone(), IsInstance(kind)), kind
        self.default = kind


class EnumStore(Store):
    """An enumeration, by the name of the member."""

    def __init__(self, kind):
        if not len(kind):
            raise ValueError("an enumeration without members cannot be a parameter")
        self.kind, self.fits, self.accepts = kind, (kind,), (IsInstance(kind),)
        self.initial = next(iter(kind))

    def toText(self, value):
        """The member's name; AttributeError for None."""
        return value.name

    def fromText(self, text):
        """ValueError for a name that is no member."""
        if text not in self.kind.__members__:
            raise ValueError(f"the node says {text!r}, which is no member of {self.kind.__name__}")
        return self.kind[text]


class ColourStore(Store):
    """qt.QColor, as #aarrggbb."""

    fits, accepts, cacheable = (qt.QColor,), (NotNone(), IsInstance(qt.QColor)), False

    def default(self):
        """An invalid colour, as Qt makes it."""
        return qt.QColor()

    def toText(self, value):
        """With the opacity."""
        return value.name(qt.QColor.HexArgb)

    def fromText(self, text):
        """A colour of its own: changing it does not change the parameter."""
        return qt.QColor(text)


class NodeStore(Store):
    """A MRML node, as a node reference; the text only says that there is a value."""

    def __init__(self, kind):
        self.fits, self.accepts = (kind,), (IsInstance(kind),)

    def write(self, node, name, value):
        """None removes the reference and is a value all the same."""
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name):
        """None when the node has left the scene."""
        return node.GetNodeReference(name)

    def remove(self, node, name):
        """Text and reference."""
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class NoneStore(Store):
    """None, for Optional."""

    fits, accepts = (type(None),), (IsNone(),)

    def toText(self, value):
        """A sign that there is a value."""
        return "True"

    def fromText(self, text):
        """Always None."""
        return None


class Checked(Store):
    """A store behind its validators, those of the type first."""

    def __init__(self, store, validators=()):
        self.store, self.validators = store, [*store.accepts, *validators]
        self.fits, self.cacheable = store.fits, store.cacheable
        for name in ("isIn", "read", "remove", "default"):
            setattr(self, name, getattr(store, name))

    def check(self, value):
        """Raise when the value is refused."""
        for validator in self.validators:
            validator.validate(value)

    def write(self, node, name, value):
        """Only what passes."""
        self.check(value)
        self.store.write(node, name, value)


def storeFor(annotated) -> Checked:
    """The store of a type, possibly ``typing.Annotated``; TypeError when there is none."""
    from standins.parameters.containers import DictStore, ListStore, TupleStore, UnionStore
    from standins.parameters.packs import PackStore, isParameterPack

    kind, notes = split(annotated)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in (int, float):
        store = NumberStore(kind)
    elif kind is bool:
        store = BoolStore()
    elif kind is str:
        store = TextStore()
    elif kind in PATHS:
        store = PathStore(kind)
    elif kind is qt.QColor:
        store = ColourStore()
    elif kind is type(None):
        store = NoneStore()
    elif isParameterPack(kind):
        store = PackStore(kind)
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        store = EnumStore(kind)
    elif isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        store = NodeStore(kind)
    elif origin is list:
        store = ListStore(storeFor(arguments[0]))
    elif origin is tuple:
        store = TupleStore([storeFor(argument) for argument in arguments])
    elif origin is dict:
        store = DictStore(*(storeFor(argument) for argument in arguments))
    elif origin in (typing.Union, types.UnionType):
        store = UnionStore([storeFor(argument) for argument in arguments])
    else:
        raise TypeError(f"a parameter cannot be of type {kind}")
    return Checked(store, [note for note in notes if isinstance(note, Validator)])
