"""The curves of the chosen run in the view area, and the way back to the layout that was there before."""

from __future__ import annotations

from pathlib import Path

import slicer

from ..runs import Curves
from ..scene import curve_views
from ..scene.curve_plots import CurvePlots


class CurveLayout:
    """Holds the plots of one run and the layout that shows them; without a main window there is only the former."""

    def __init__(self) -> None:
        self.plots: CurvePlots | None = None
        self._folder: Path | None = None
        self._former: int | None = None

    @property
    def shown(self) -> bool:
        """Whether the plots' layout is on the screen."""
        manager = slicer.app.layoutManager()
        return manager is not None and manager.layout == curve_views.LAYOUT_ID

    def show(self, folder: Path, curves: Curves, logarithmic: bool) -> None:
        """Brings the plots of the run in ``folder`` up to date.

        The layout is switched to when a run's curves are shown for the first time; who goes to another layout after
        that is left there.
        """
        if self.plots is None or self.plots.scene is not slicer.mrmlScene:
            self.plots = CurvePlots(slicer.mrmlScene)
        new = folder != self._folder or not self.plots.nodes
        self._folder = folder
        self.plots.show(folder.name, curves, logarithmic)
        manager = slicer.app.layoutManager()
        if manager is None or not self.plots.nodes:
            return
        if new and not self.shown:
            self._former = manager.layout
            curve_views.registerLayout(manager.layoutLogic().GetLayoutNode())
            manager.setLayout(curve_views.LAYOUT_ID)
        if self.shown:
            curve_views.putIntoViews(slicer.mrmlScene, self.plots)

    def leave(self) -> None:
        """Takes the plots away and brings the former layout back, if ours is still the one on the screen."""
        if self.plots is not None:
            self.plots.clear()
            if slicer.mrmlScene is not None:
                curve_views.putIntoViews(slicer.mrmlScene, self.plots)
        if self._former is not None and self.shown:
            slicer.app.layoutManager().setLayout(self._former)
        self.plots = self._folder = self._former = None
