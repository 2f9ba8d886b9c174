"""What a parameter may be: annotations that refuse a value, and its default."""

from __future__ import annotations

import typing


def split(annotated) -> tuple[object, list]:
    """A type and its ``typing.Annotated`` annotations."""
    if typing.get_origin(annotated) is typing.Annotated:
        kind, *notes = typing.get_args(annotated)
        return kind, notes
    return annotated, []


def first(notes: list, kind: type):
    """The first annotation of a kind, or None."""
    return next((note for note in notes if isinstance(note, kind)), None)


class Default:
    """The value of a parameter that has none in the node: ``Default(5)`` or ``Default(generator=list)``."""

    def __init__(self, value=None, *, generator=None):
        self._value, self._generator = value, generator

    @property
    def value(self):
        """The value, made anew when there is a generator."""
        return self._generator() if self._generator else self._value


class Validator:
    """Base class: ``validate(value)`` raises when the value is refused."""

    def validate(self, value) -> None:
        """Raise ValueError or TypeError."""
        raise NotImplementedError


class NotNone(Validator):
    """Refuses None."""

    def validate(self, value) -> None:
        """ValueError for None."""
        if value is None:
            raise ValueError("the value must not be None")


class IsNone(Validator):
    """Refuses everything but None."""

    def validate(self, value) -> None:
        """ValueError for anything else."""
        if value is not None:
            raise ValueError("the value must be None")


class IsInstance(Validator):
    """Refuses other types; None passes."""

    def __init__(self, classtype):
        self.classtype = classtype

    def validate(self, value) -> None:
        """TypeError for another type."""
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"{value!r} is a {type(value).__name__}, not a {self.classtype}")


class WithinRange(Validator):
    """Refuses numbers outside [minimum, maximum]."""

    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value) -> None:
        """ValueError outside."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is outside {self.minimum} to {self.maximum}")


class Minimum(Validator):
    """Refuses smaller numbers."""

    def __init__(self, minimum):
        self.minimum = minimum

    def validate(self, value) -> None:
        """ValueError below."""
        if value < self.minimum:
            raise ValueError(f"{value} is below {self.minimum}")


class Maximum(Validator):
    """Refuses greater numbers."""

    def __init__(self, maximum):
        self.maximum = maximum

    def validate(self, value) -> None:
        """ValueError above."""
        if value > self.maximum:
            raise ValueError(f"{value} is above {self.maximum}")


class Choice(Validator):
    """Refuses what is not listed."""

    def __init__(self, choices):
        self.choices = choices

    def validate(self, value) -> None:
        """ValueError for another value."""
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


class Exclude(Validator):
    """Refuses what is listed."""

    def __init__(self, excludedValues):
        self.excludedValues = excludedValues

    def validate(self, value) -> None:
        """ValueError for a listed value."""
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is excluded")


class RangeBounds(Validator):
    """Refuses ranges that reach outside."""

    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value) -> None:
        """ValueError outside."""
        if not (self.minimum <= value.minimum and value.maximum <= self.maximum):
            raise ValueError(f"{value} reaches outside {self.minimum} to {self.maximum}")
