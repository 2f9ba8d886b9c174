"""Which widget can show which parameter, and how its value is read, written and watched."""

from __future__ import annotations

import enum
import types
import typing
from dataclasses import dataclass

import ctk
import qt
import slicer

from standins.parameters.packs import FloatRange
from standins.parameters.stores import PATHS
from standins.parameters.validators import Choice, Maximum, Minimum, RangeBounds, WithinRange, first, split


@dataclass
class Decimals:
    """How many decimals the widget shows."""

    value: int


@dataclass
class SingleStep:
    """How far one step of the widget goes."""

    value: float


class Connection:
    """A widget and the parameter's type. ``signal`` tells of changes; ``read`` and ``write`` move the value."""

    def __init__(self, widget, signal, read, write):
        self.widget, self.read, self.write = widget, read, write
        self._signal, self._changed = signal, None

    def onChanged(self, callback) -> None:
        """Call back when the person changes the widget; None stops it."""
        if self._changed is not None:
            self._signal.disconnect(self._notify)
        self._changed = callback
        if callback is not None and self._signal is not None:
            self._signal.connect(self._notify)

    def _notify(self, *unused):
        if self._changed is not None:
            self._changed()


def _attribute(widget, name, toWidget=lambda value: value, fromWidget=lambda value: value):
    def write(value):
        if getattr(widget, name) != toWidget(value):
            setattr(widget, name, toWidget(value))

    return (lambda: fromWidget(getattr(widget, name))), write


def _limits(widget, notes, unboundedRefused, lowest, highest):
    """Limits and steps from the annotations; a slider without limits cannot be drawn."""
    within, low, high = first(notes, WithinRange), first(notes, Minimum), first(notes, Maximum)
    minimum = within.minimum if within else low.minimum if low else lowest
    maximum = within.maximum if within else high.maximum if high else highest
    if unboundedRefused and (minimum == lowest or maximum == highest):
        raise RuntimeError(f"a parameter needs WithinRange to be shown by a {type(widget).__name__}")
    step, decimals = first(notes, SingleStep), first(notes, Decimals)
    if decimals is not None and hasattr(type(widget), "decimals"):
        widget.decimals = decimals.value
    if step is not None:
        widget.singleStep = step.value
    widget.minimum, widget.maximum = minimum, maximum


def _number(widget, kind, notes):
    exact = type(widget)
    if exact in (qt.QSlider, qt.QSpinBox):
        _limits(widget, notes, exact is qt.QSlider, -(2**31), 2**31 - 1)
    else:
        if kind is int and exact is not ctk.ctkDoubleSlider:
            notes = [Decimals(0), *notes]
        sliders = (ctk.ctkSliderWidget, slicer.qMRMLSliderWidget)
        _limits(widget, notes, exact in sliders, float("-inf"), float("inf"))
    return Connection(widget, widget.valueChanged, *_attribute(widget, "value", fromWidget=kind))


def _choices(widget, labels, values):
    widget.clear()
    for label in labels:
        widget.addItem(label)

    def write(value):
        if value not in values:
            raise ValueError(f"{value!r} is none of {values}")
        widget.currentIndex = values.index(value)

    return Connection(widget, widget.currentIndexChanged, lambda: values[widget.currentIndex], write)


def _range(widget, notes):
    bounds = first(notes, RangeBounds)
    if bounds is None:
        raise RuntimeError(f"a range needs RangeBounds to be shown by a {type(widget).__name__}")
    step, decimals = first(notes, SingleStep), first(notes, Decimals)
    if decimals is not None:
        widget.decimals = decimals.value
    if step is not None:
        widget.singleStep = step.value
    widget.setRange(bounds.minimum, bounds.maximum)
    return Connection(
        widget,
        widget.valuesChanged,
        lambda: FloatRange(widget.minimumValue, widget.maximumValue),
        lambda value: widget.setValues(value.minimum, value.maximum),
    )


def _nodeClasses(kind) -> list[type] | None:
    """The MRML classes of a type, or None when it has others too."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    parts = [split(part)[0] for part in typing.get_args(kind)] if union else [kind]
    parts = [part for part in parts if part is not type(None)]
    isNode = [isinstance(part, type) and issubclass(part, slicer.vtkMRMLNode) for part in parts]
    return parts if parts and all(isNode) else None


def connectionFor(widget, annotated) -> Connection:
    """How a widget shows a parameter; RuntimeError when it cannot. The widget's exact class counts, as in Slicer."""
    kind, notes = split(annotated)
    exact = type(widget)
    if kind is bool and exact in (qt.QCheckBox, ctk.ctkCheckBox):
        return Connection(widget, widget.stateChanged, *_attribute(widget, "checked"))
    if kind is bool and exact in (qt.QPushButton, ctk.ctkCheckablePushButton):
        widget.checkable = True
        return Connection(widget, widget.toggled, *_attribute(widget, "checked"))
    if kind is int and exact in (qt.QSlider, qt.QSpinBox):
        return _number(widget, kind, notes)
    if kind in (int, float) and exact in _numberWidgets():
        return _number(widget, kind, notes)
    if exact in (qt.QComboBox, ctk.ctkComboBox):
        if kind in (int, float, str, bool):
            choice = first(notes, Choice)
            if choice is None:
                raise RuntimeError("a parameter needs Choice to be shown by a combo box")
            return _choices(widget, [str(value) for value in choice.choices], list(choice.choices))
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            label = getattr(kind, "label", lambda member: member.name)
            return _choices(widget, [label(member) for member in kind], list(kind))
    if kind is str and exact is qt.QLineEdit:
        return Connection(widget, widget.textChanged, *_attribute(widget, "text"))
    if kind is str and exact is qt.QTextEdit:
        return Connection(widget, widget.textChanged, widget.toPlainText, widget.setPlainText)
    if kind is str and exact is qt.QLabel:
        return Connection(widget, None, *_attribute(widget, "text"))
    if kind is FloatRange and exact in (ctk.ctkRangeWidget, ctk.ctkDoubleRangeSlider, slicer.qMRMLRangeWidget):
        return _range(widget, notes)
    if kind in PATHS and exact is ctk.ctkPathLineEdit:
        return Connection(widget, widget.currentPathChanged, *_attribute(widget, "currentPath", str, kind))
    if kind in PATHS and exact is ctk.ctkDirectoryButton:
        return Connection(widget, widget.directoryChanged, *_attribute(widget, "directory", str, kind))
    if kind is qt.QColor and exact is ctk.ctkColorPickerButton:
        return Connection(widget, widget.colorChanged, *_attribute(widget, "color"))
    classes = _nodeClasses(kind)
    if classes and exact is slicer.qMRMLNodeComboBox:
        widget.nodeTypes = [nodeClass().GetClassName() for nodeClass in classes]
        return Connection(widget, widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode)
    raise RuntimeError(f"a parameter of type {annotated} cannot be shown by a {exact.__name__}")


def _numberWidgets():
    return (
        qt.QDoubleSpinBox,
        ctk.ctkSliderWidget,
        ctk.ctkDoubleSlider,
        ctk.ctkDoubleSpinBox,
        slicer.qMRMLSliderWidget,
        slicer.qMRMLSpinBox,
    )
