"""CTK's sliders and spin boxes."""

from __future__ import annotations

import math

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

STEPS = 1000  # of the Qt slider below, which counts in whole numbers
LIMIT = 1.0e12  # for "no limit": QDoubleSpinBox accepts infinity but cannot show it


def _finite(value):
    return value if math.isfinite(value) else math.copysign(LIMIT, value)


class ctkDoubleSpinBox(QDoubleSpinBox):
    """A spin box for numbers with decimals."""

    standsForCpp = True


def _write(name):
    setter = "set" + name[0].upper() + name[1:]
    return lambda self, value: getattr(self._box, setter)(value)


class _ValueRow(QWidget):
    """A slider with or without a spin box; the value lives in the spin box."""

    standsForCpp = True
    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    hasBox = True

    def __init__(self, *arguments):
        super().__init__(next((a for a in arguments if isinstance(a, QWidget)), None))
        self._bar, self._box = QSlider(Qt.Horizontal), QDoubleSpinBox()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._bar.setRange(0, STEPS)
        self._box.setRange(0, 100)
        row.addWidget(self._bar, 1)
        row.addWidget(self._box)
        self._box.setVisible(self.hasBox)
        self._box.setDecimals(2 if self.hasBox else 10)
        self._tracks = True
        self._lastTold = 0.0
        self._box.valueChanged.connect(self._boxChanged)
        self._bar.sliderMoved.connect(self._barMoved)
        self._bar.sliderReleased.connect(self._tell)
        self.setFocusProxy(self._box)

    def _barMoved(self, at):
        low, high = self._box.minimum, self._box.maximum
        self._box.setValue(low + (high - low) * at / STEPS)

    def _boxChanged(self, value):
        low, high = self._box.minimum, self._box.maximum
        if not self._bar.isSliderDown():
            self._bar.setValue(round(STEPS * (value - low) / (high - low)) if high > low else 0)
            self._tell()
        elif self._tracks:
            self._tell()
        else:
            self.valueIsChanging.emit(value)

    def _tell(self):
        value = self._box.value
        if value != self._lastTold:
            self._lastTold = value
            self.valueChanged.emit(value)

    def _write(name):
        setter = "set" + name[0].upper() + name[1:]
        return lambda self, value: getattr(self._box, setter)(value)

    def setRange(self, minimum, maximum):
        """Limits of the value."""
        self._box.setRange(_finite(minimum), _finite(maximum))

    def _writeTracking(self, on):
        self._tracks = bool(on)

    value = Property(float, lambda self: self._box.value, _write("value"))
    minimum = Property(float, lambda self: self._box.minimum, lambda self, v: self._box.setMinimum(_finite(v)))
    maximum = Property(float, lambda self: self._box.maximum, lambda self, v: self._box.setMaximum(_finite(v)))
    singleStep = Property(float, lambda self: self._box.singleStep, _write("singleStep"))
    tracking = Property(bool, lambda self: self._tracks, _writeTracking)
    pageStep = Property(float, lambda self: 10.0, lambda self, value: None)
    tickInterval = Property(float, lambda self: 0.0, lambda self, value: None)
    synchronizeSiblings = Property(int, lambda self: 0, lambda self, value: None)


class ctkSliderWidget(_ValueRow):
    """Slider and spin box in one row. ``valueChanged`` follows a drag, unless ``tracking`` is off."""

    decimals = Property(int, lambda self: self._box.decimals, _write("decimals"))
    prefix = Property(str, lambda self: self._box.prefix, _write("prefix"))
    suffix = Property(str, lambda self: self._box.suffix, _write("suffix"))
    spinBoxVisible = Property(bool, lambda self: not self._box.isHidden(), lambda self, on: self._box.setVisible(on))


class ctkDoubleSlider(_ValueRow):
    """A slider for numbers with decimals."""

    hasBox = False


class ctkRangeWidget(QWidget):
    """Two values, the lower never above the upper."""

    standsForCpp = True
    valuesChanged = Signal(float, float)

    def __init__(self, *arguments):
        super().__init__(next((a for a in arguments if isinstance(a, QWidget)), None))
        self._low, self._high = QDoubleSpinBox(), QDoubleSpinBox()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for box in (self._low, self._high):
            row.addWidget(box)
            box.setRange(0, 99)
        self._high.setValue(99)
        self._low.valueChanged.connect(self._changed)
        self._high.valueChanged.connect(self._changed)

    def _changed(self, *unused):
        if self._low.value > self._high.value:
            other = self._high if self.sender() is self._low else self._low
            other.setValue(self.sender().value)  # the other one gives way and tells
        else:
            self.valuesChanged.emit(self._low.value, self._high.value)

    def setRange(self, minimum, maximum):
        """Limits of both values."""
        self._low.setRange(minimum, maximum)
        self._high.setRange(minimum, maximum)

    def setValues(self, low, high):
        """Both at once."""
        was = self._low.value, self._high.value
        for box, value in ((self._low, low), (self._high, high)):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        if was != (self._low.value, self._high.value):
            self.valuesChanged.emit(self._low.value, self._high.value)

    def _both(name):
        def write(self, value):
            for box in (self._low, self._high):
                box.setProperty(name, value)

        return write

    minimumValue = Property(float, lambda self: self._low.value, lambda self, v: self._low.setValue(v))
    maximumValue = Property(float, lambda self: self._high.value, lambda self, v: self._high.setValue(v))
    minimum = Property(float, lambda self: self._low.minimum, _both("minimum"))
    maximum = Property(float, lambda self: self._low.maximum, _both("maximum"))
    singleStep = Property(float, lambda self: self._low.singleStep, _both("singleStep"))
    decimals = Property(int, lambda self: self._low.decimals, _both("decimals"))
    suffix = Property(str, lambda self: self._low.suffix, _both("suffix"))


class ctkDoubleRangeSlider(ctkRangeWidget):
    """Two handles on one slider."""
