"""Parameters made of several values: ``@parameterPack`` classes and FloatRange."""

from __future__ import annotations

import typing

import slicer

from standins.parameters.validators import Default, IsInstance, NotNone, first, split


def isParameterPack(thing) -> bool:
    """Whether a class (or object) is a parameter pack."""
    return bool(getattr(thing, "_isParameterPack", False))


def parameterPack(packClass=None):
    """Class decorator: annotated members become the values of a pack, with defaults as in a wrapper."""
    if packClass is None:
        return parameterPack
    hints = typing.get_type_hints(packClass, include_extras=True)
    defaults = {}
    for name, annotated in hints.items():
        noted = first(split(annotated)[1], Default)
        defaults[name] = Default(packClass.__dict__[name]) if name in packClass.__dict__ else noted

    def initialise(self, *values, **named):
        from standins.parameters.stores import storeFor

        given = dict(zip(hints, values, strict=False)) | named
        for name, annotated in hints.items():
            store = storeFor(annotated)
            value = given[name] if name in given else defaults[name].value if defaults[name] else store.default()
            object.__setattr__(self, name, value)

    def setAttribute(self, name, value):
        from standins.parameters.stores import storeFor

        if name in hints:
            storeFor(hints[name]).check(value)
        object.__setattr__(self, name, value)
        save = self.__dict__.get("_save")
        if save is not None and name in hints:
            save(self)

    def equal(self, other):
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in hints)

    if "__init__" not in packClass.__dict__:
        packClass.__init__ = initialise
    packClass.__setattr__ = setAttribute
    packClass.__eq__, packClass.__hash__ = equal, None
    packClass._isParameterPack, packClass.allParameters = True, hints
    packClass.dataType = staticmethod(lambda name: hints[name])
    return packClass


@parameterPack
class FloatRange:
    """Two numbers, the first not above the second."""

    _minimum: float
    _maximum: float

    def __init__(self, minimum=0.0, maximum=0.0):
        self.setRange(minimum, maximum)

    minimum = property(lambda self: self._minimum, lambda self, value: self.setRange(value, self._maximum))
    maximum = property(lambda self: self._maximum, lambda self, value: self.setRange(self._minimum, value))

    def setRange(self, minimum, maximum):
        """ValueError when they are the wrong way round."""
        if not minimum <= maximum:
            raise ValueError(f"{minimum} is above {maximum}")
        object.__setattr__(self, "_minimum", minimum)
        self._maximum = maximum

    def __repr__(self):
        return f"FloatRange({self._minimum}, {self._maximum})"


class PackStore:
    """The values of a pack under ``name.member``; a change in the pack reaches the node."""

    def __init__(self, kind):
        from standins.parameters.stores import storeFor

        self.kind, self.fits, self.accepts = kind, (kind,), (NotNone(), IsInstance(kind))
        self.members = {name: storeFor(annotated) for name, annotated in kind.allParameters.items()}
        self.default, self.cacheable = kind, all(store.cacheable for store in self.members.values())

    def isIn(self, node, name) -> bool:
        """Whether all members are there."""
        return all(store.isIn(node, f"{name}.{member}") for member, store in self.members.items())

    def write(self, node, name, pack) -> None:
        """Every member."""
        with slicer.util.NodeModify(node):
            for member, store in self.members.items():
                store.write(node, f"{name}.{member}", getattr(pack, member))

    def read(self, node, name):
        """A pack that writes its changes."""
        pack = self.kind()
        for member, store in self.members.items():
            object.__setattr__(pack, member, store.read(node, f"{name}.{member}"))
        object.__setattr__(pack, "_save", lambda changed: self.write(node, name, changed))
        return pack

    def remove(self, node, name) -> None:
        """Every member."""
        for member, store in self.members.items():
            store.remove(node, f"{name}.{member}")
