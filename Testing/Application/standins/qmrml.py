"""The qMRML widgets a panel may use, as far as they can be without Slicer's Qt libraries."""

from __future__ import annotations

from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QTreeWidget,
    QVBoxLayout,
    QWidget,
)

from standins.ctk_numbers import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from standins.observing import observe
from standins.qmrml_node_selector import qMRMLNodeComboBox
from standins.ui_loader import knows


class _HasScene:
    """setMRMLScene, mrmlScene and the signal that .ui files connect."""

    standsForCpp = True
    _scene = None

    def mrmlScene(self):
        """The scene, or None."""
        return self._scene

    def setMRMLScene(self, scene):
        """Tell the widget, and who is connected to it, the scene."""
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLWidget(_HasScene, QWidget):
    """The top widget of a panel. Its children get the scene through the .ui file's connections, not by themselves."""

    mrmlSceneChanged = Signal(object)


class qSlicerWidget(qMRMLWidget):
    """The same for Slicer's own widgets."""


class _Units:
    quantity = Property(str, lambda self: "", lambda self, value: None)
    unitAwareProperties = Property(object, lambda self: 0, lambda self, value: None)

    def setMRMLScene(self, scene):
        """Units come from the scene; not imitated."""


class qMRMLSliderWidget(_Units, ctkSliderWidget):
    """ctkSliderWidget with units."""

    mrmlSceneChanged = Signal(object)


class qMRMLSpinBox(_Units, ctkDoubleSpinBox):
    """ctkDoubleSpinBox with units."""


class qMRMLRangeWidget(_Units, ctkRangeWidget):
    """ctkRangeWidget with units."""


class qMRMLTableView(_HasScene, QTableWidget):
    """Shows a vtkMRMLTableNode and follows it. Cells are read-only when the node is locked."""

    mrmlSceneChanged = Signal(object)
    selectionChanged = Signal()

    def __init__(self, *arguments):
        super().__init__(*(a for a in arguments if isinstance(a, QWidget)))
        self._node, self._tag = None, None
        self.itemSelectionChanged.connect(self.selectionChanged)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeToContents)

    def mrmlTableNode(self):
        """The table node, or None."""
        return self._node

    def setMRMLTableNode(self, node):
        """Show another table."""
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            self._tag = observe(self, node, "ModifiedEvent", "_fill")
        self._fill()

    def _fill(self, *unused):
        table = self._node.GetTable() if self._node else None
        columns = table.GetNumberOfColumns() if table else 0
        self.setColumnCount(columns)
        self.setRowCount(table.GetNumberOfRows() if table else 0)
        for column in range(columns):
            name = table.GetColumnName(column) or ""
            title = self._node.GetColumnTitle(name) if self._node.GetUseColumnTitleAsColumnHeader() else name
            self.setHorizontalHeaderItem(column, QTableWidgetItem(title or name))
            for row in range(table.GetNumberOfRows()):
                self.setItem(row, column, QTableWidgetItem(table.GetValue(row, column).ToString()))
        locked = self._node is None or self._node.GetLocked()
        self.setEditTriggers(QAbstractItemView.NoEditTriggers if locked else QAbstractItemView.DoubleClicked)


class qMRMLSubjectHierarchyTreeView(_HasScene, QTreeWidget):
    """Accepts a scene; shows nothing."""

    mrmlSceneChanged = Signal(object)


class qMRMLSubjectHierarchyComboBox(_HasScene, QComboBox):
    """Accepts a scene; shows nothing."""

    mrmlSceneChanged = Signal(object)
    currentItemChanged = Signal(int)


class qMRMLPlotView(_HasScene, QWidget):
    """An empty place for a plot."""

    mrmlSceneChanged = Signal(object)

    def setMRMLPlotViewNode(self, node):
        """Which plot view."""


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """What C++ puts around a Python panel: a widget with a box layout that calls setup, enter and exit.

    ``isEntered``, ``self()``, ``reload()``, ``pythonSource()`` as in Slicer. Errors in the Python methods are printed
    and kept (``standins.errors``), not raised, also as in Slicer.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        QVBoxLayout(self)
        self._python, self._module, self._isEntered = None, None, False

    isEntered = Property(bool, lambda self: self._isEntered)

    def setPythonSource(self, module):
        """Make the Python object of the module's Widget class."""
        self._module = module
        self._python = module.makeWidgetObject(self)

    def pythonSource(self) -> str:
        """The module's file."""
        return self._module.path

    def self(self):
        """The Python object."""
        return self._python

    def setup(self):
        """Build the panel."""
        self._module.call(self._python, "setup")

    def enter(self):
        """The person opens the module."""
        self._isEntered = True
        self._module.call(self._python, "enter")

    def exit(self):
        """The person goes to another module."""
        self._isEntered = False
        self._module.call(self._python, "exit")

    def reload(self):
        """Make the Python object and its panel again from the module that is now in sys.modules."""
        self.setPythonSource(self._module)
        self.setup()

    def setEditedNode(self, node, role="", context="") -> bool:
        """Show a node that was double-clicked elsewhere."""
        return bool(self._module.call(self._python, "setEditedNode", node, role, context))

    def nodeEditable(self, node) -> float:
        """How well the module can edit a node, 0 to 1."""
        return self._module.call(self._python, "nodeEditable", node) or 0.0


WIDGETS = (
    qMRMLNodeComboBox,
    qMRMLPlotView,
    qMRMLRangeWidget,
    qMRMLSliderWidget,
    qMRMLSpinBox,
    qMRMLSubjectHierarchyComboBox,
    qMRMLSubjectHierarchyTreeView,
    qMRMLTableView,
    qMRMLWidget,
    qSlicerWidget,
)
knows(*WIDGETS)
