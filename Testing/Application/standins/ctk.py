"""Stand-ins for the CTK widgets a Slicer panel uses: their class, property and signal names, and their looks."""

from standins.ctk_buttons import (
    ctkCheckablePushButton,
    ctkCheckBox,
    ctkCollapsibleButton,
    ctkCollapsibleGroupBox,
    ctkColorPickerButton,
    ctkDirectoryButton,
    ctkMenuButton,
    ctkPushButton,
)
from standins.ctk_inputs import ctkComboBox, ctkPathLineEdit, ctkSearchBox
from standins.ctk_messages import ctkFittedTextBrowser, ctkMessageBox
from standins.ctk_numbers import (
    ctkDoubleRangeSlider,
    ctkDoubleSlider,
    ctkDoubleSpinBox,
    ctkRangeWidget,
    ctkSliderWidget,
)
from standins.ui_loader import knows

WIDGETS = (
    ctkCheckBox,
    ctkCheckablePushButton,
    ctkCollapsibleButton,
    ctkCollapsibleGroupBox,
    ctkColorPickerButton,
    ctkComboBox,
    ctkDirectoryButton,
    ctkDoubleRangeSlider,
    ctkDoubleSlider,
    ctkDoubleSpinBox,
    ctkFittedTextBrowser,
    ctkMenuButton,
    ctkMessageBox,
    ctkPathLineEdit,
    ctkPushButton,
    ctkRangeWidget,
    ctkSearchBox,
    ctkSliderWidget,
)
knows(*WIDGETS)
__all__ = [kind.__name__ for kind in WIDGETS]
