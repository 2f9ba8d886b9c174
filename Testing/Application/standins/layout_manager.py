"""``slicer.app.layoutManager()``: the views of the current layout, with real slice views off screen."""

from __future__ import annotations

import types

from PySide6.QtCore import QObject, Signal

FOUR_UP = 3  # what Slicer shows first


class SliceWidget:
    """A slice view as qMRMLSliceWidget shows it; ``offscreen`` is the view behind it, to draw and to click in."""

    def __init__(self, offscreen):
        self.offscreen = offscreen

    def sliceLogic(self):
        """The vtkMRMLSliceLogic."""
        return self.offscreen.logic

    def mrmlSliceNode(self):
        """The vtkMRMLSliceNode."""
        return self.offscreen.node

    def sliceView(self):
        """Only what draws."""
        return types.SimpleNamespace(
            forceRender=self.offscreen.render,
            scheduleRender=lambda: None,
            renderWindow=lambda: self.offscreen.window,
            mrmlSliceNode=lambda: self.offscreen.node,
            displayableManagerByClassName=self.offscreen.managers.GetDisplayableManagerByClassName,
        )

    def fitSliceToBackground(self):
        """Fit the view to its volume."""
        self.offscreen.fit()


class LayoutManager(QObject):
    """Follows the layout node: real view nodes from the real layout logic, and a slice view for each slice node."""

    layoutChanged = Signal(int)

    def __init__(self, minimal):
        super().__init__()
        self._minimal = minimal
        self._slices: dict[str, SliceWidget] = {}
        self._told = None
        node = minimal.layoutNode
        self._tag = node.AddObserver("ModifiedEvent", lambda *unused: self._follow())
        self.setLayout(FOUR_UP)

    # ------------------------------------------------------------------ the layout
    def layoutLogic(self):
        """The vtkMRMLLayoutLogic."""
        return self._minimal.layoutLogic

    @property
    def layout(self) -> int:
        """The layout's number."""
        return self._minimal.layoutNode.GetViewArrangement()

    @layout.setter
    def layout(self, number):
        self.setLayout(number)

    def setLayout(self, number):
        """Show another layout."""
        self._minimal.layoutNode.SetViewArrangement(number)

    def _viewNodes(self) -> list:
        found = self._minimal.layoutLogic.GetViewNodes()
        return [found.GetItemAsObject(index) for index in range(found.GetNumberOfItems())] if found else []

    def _follow(self):
        if self.layout == self._told:
            return
        self._told = self.layout
        wanted = [node.GetLayoutName() for node in self._viewNodes() if node.IsA("vtkMRMLSliceNode")]
        for name in [name for name in self._slices if name not in wanted]:
            self._slices.pop(name).offscreen.close()
        for name in wanted:
            if name not in self._slices:
                self._slices[name] = SliceWidget(self._minimal.sliceView(name, size=(260, 260)))
        self.layoutChanged.emit(self.layout)

    # ------------------------------------------------------------------ the views
    def sliceViewNames(self) -> tuple[str, ...]:
        """Names of the slice views in the layout."""
        return tuple(self._slices)

    def sliceWidget(self, name):
        """A slice view by name, or None."""
        return self._slices.get(name)

    def mrmlSliceLogics(self):
        """The slice logics of the layout (vtkCollection)."""
        return self._minimal.logic.GetSliceLogics()

    def _named(self, nodeClass):
        return [node for node in self._viewNodes() if node.IsA(nodeClass)]

    @property
    def tableViewCount(self) -> int:
        """How many table views there are."""
        return len(self._named("vtkMRMLTableViewNode"))

    @property
    def plotViewCount(self) -> int:
        """How many plot views there are."""
        return len(self._named("vtkMRMLPlotViewNode"))

    @property
    def threeDViewCount(self) -> int:
        """How many 3D views there are."""
        return len(self._named("vtkMRMLViewNode"))

    def tableWidget(self, index):
        """A table view: only its node."""
        nodes = self._named("vtkMRMLTableViewNode")
        node = nodes[index] if index < len(nodes) else None
        return types.SimpleNamespace(mrmlTableViewNode=lambda: node) if node else None

    def plotWidget(self, index):
        """A plot view: only its node."""
        nodes = self._named("vtkMRMLPlotViewNode")
        node = nodes[index] if index < len(nodes) else None
        return types.SimpleNamespace(mrmlPlotViewNode=lambda: node) if node else None

    def threeDWidget(self, index):
        """There are no 3D views off screen here."""
        return None

    def resetSliceViews(self):
        """Fit every slice view to its volume."""
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self):
        """Nothing to reset."""

    def close(self):
        """Take the views down."""
        self._minimal.layoutNode.RemoveObserver(self._tag)
        for widget in self._slices.values():
            widget.offscreen.close()
        self._slices.clear()
