"""The scoring layout with the case in it, and the way back to the layout that was there before."""

from __future__ import annotations

import slicer

from ..levels import Level
from ..scene import views
from ..scene.overlays import mouseAdjustsCtOnly
from .desk import Desk


class CaseViews:
    """Switches to the scoring layout and back, and keeps the views on the levels.

    Without a main window there is no layout: everything here then does nothing.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._former: int | None = None

    @property
    def shown(self) -> bool:
        """Whether the scoring layout is on the screen."""
        manager = slicer.app.layoutManager()
        return manager is not None and manager.layout in (views.LAYOUT_ID, views.LAYOUT_WITH_PROFILE_ID)

    def showCase(self) -> None:
        """Shows CT and levels in the scoring layout, if it is wanted and there are levels."""
        desk = self.desk
        wanted = desk.parameters is not None and desk.parameters.useLayout
        if not wanted or desk.case is None or desk.case.levelPlanes is None:
            self.leave()
            return
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        if not self.shown:
            self._former = manager.layout
            views.registerLayout(manager.layoutLogic().GetLayoutNode())
            manager.setLayout(views.LAYOUT_ID)
            self._keepHeatMapColours(manager)
        views.showVolume(slicer.mrmlScene, desk.volumeNode, desk.scan)
        self.showLevels()
        self.showTable()

    @staticmethod
    def _keepHeatMapColours(manager) -> None:
        """The mouse changes the grey values of the CT in the level views, not the colours of the heat map over it."""
        for name in views.LEVEL_VIEWS:
            sliceView = manager.sliceWidget(name).sliceView()
            scalarBars = sliceView.displayableManagerByClassName("vtkMRMLScalarBarDisplayableManager")
            if scalarBars is not None:
                mouseAdjustsCtOnly(scalarBars)

    def showTable(self) -> None:
        """Puts result table and profile into their views; the profile's view is there when there is a profile."""
        case = self.desk.case
        if case is None or not self.shown:
            return
        layout = views.LAYOUT_ID if case.chartNode is None else views.LAYOUT_WITH_PROFILE_ID
        manager = slicer.app.layoutManager()
        if manager.layout != layout:
            manager.setLayout(layout)
        tableView = slicer.mrmlScene.GetSingletonNode(views.TABLE_VIEW, "vtkMRMLTableViewNode")
        if tableView is not None:
            tableView.SetTableNodeID(case.tableNode.GetID() if case.tableNode is not None else None)
        plotView = slicer.mrmlScene.GetSingletonNode(views.PLOT_VIEW, "vtkMRMLPlotViewNode")
        if plotView is not None:
            plotView.SetPlotChartNodeID(case.chartNode.GetID() if case.chartNode is not None else None)

    def showLevels(self) -> None:
        """Puts each level's view on its slice."""
        if self.shown and self.desk.case is not None and self.desk.case.levels is not None:
            for position in self.desk.case.levels:
                self.showLevel(position.level, position.mm)

    def showLevel(self, level: Level, mm: float) -> None:
        """Puts one level's view on the slice nearest to ``mm``."""
        if self.shown:
            scan = self.desk.scan
            views.showLevel(slicer.mrmlScene, level, scan, scan.slice_at(mm))

    def jumpTo(self, level: Level) -> None:
        """Shows a level's slice in its own view and in all views that are not ours."""
        mm = self.desk.case.levels[level].mm
        self.showLevel(level, mm)
        scan = self.desk.scan
        _z, y, x = scan.shape
        ras = scan.ras_at(((x - 1) / 2, (y - 1) / 2, scan.slice_at(mm)))
        for number in range(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
            node = slicer.mrmlScene.GetNthNodeByClass(number, "vtkMRMLSliceNode")
            if node.GetLayoutName() not in views.LEVEL_VIEWS:
                node.JumpSliceByOffsetting(*ras)

    def leave(self) -> None:
        """Brings the former layout back, if ours is still the one on the screen."""
        manager = slicer.app.layoutManager()
        if manager is not None and self.shown and self._former is not None:
            manager.setLayout(self._former)
        self._former = None
