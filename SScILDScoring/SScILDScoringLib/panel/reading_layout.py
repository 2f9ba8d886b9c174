"""Reading views on the screen, the atlas beside them, and the way back to the layout that was there before."""

from __future__ import annotations

import qt
import slicer

from ..scene import reading_views
from ..scene.blinded_case import BlindedCase
from ..scene.overlays import mouseAdjustsCtOnly
from ..scene.reference_atlas import ReferenceAtlas
from ..scores import Pattern


class ReadingLayout:
    """Switches to the reading layout and back.

    Args:
        atlasFolder: where the pictures of the reference atlas are.
    """

    def __init__(self, atlasFolder) -> None:
        self._atlasFolder = atlasFolder
        self._former: int | None = None
        self._atlas: ReferenceAtlas | None = None
        self.withAtlas = False

    @property
    def possible(self) -> bool:
        """Whether there are views at all; without a main window there are none."""
        return slicer.app.layoutManager() is not None

    @property
    def shown(self) -> bool:
        """Whether a reading layout is on the screen."""
        manager = slicer.app.layoutManager()
        return manager is not None and manager.layout in reading_views.LAYOUT_IDS

    def show(self, case: BlindedCase | None, maps: bool, pattern: Pattern | None) -> None:
        """Brings the reading layout up with a case in it, or empty while a session is paused.

        Args:
            maps: heat maps are rated. pattern: whose examples the atlas shows.
        """
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        if not self.shown:
            self._former = manager.layout
            reading_views.registerLayouts(manager.layoutLogic().GetLayoutNode())
        atlas = self.withAtlas and case is not None
        wanted = reading_views.layoutFor(maps, atlas)
        if manager.layout != wanted:
            manager.setLayout(wanted)
            self._keepMapColours(manager)
            qt.QTimer.singleShot(0, lambda: self._fit(case))  # views get their size once they are on the screen
        if case is not None:
            case.show()
        if atlas and pattern is not None:
            self.showExamples(pattern)
        elif self._atlas is not None:
            self._atlas.remove()

    def showExamples(self, pattern: Pattern) -> None:
        """Shows the atlas's examples of a pattern, where the atlas is on the screen."""
        if not (self.withAtlas and self.shown):
            return
        if self._atlas is None or self._atlas.scene is not slicer.mrmlScene:
            self._atlas = ReferenceAtlas(slicer.mrmlScene, self._atlasFolder)
        self._atlas.show(pattern)

    def leave(self) -> None:
        """Brings the former layout back, if ours is still the one on the screen; the atlas goes."""
        if self._atlas is not None:
            self._atlas.remove()
        self._atlas = None
        manager = slicer.app.layoutManager()
        if manager is not None and self.shown and self._former is not None:
            manager.setLayout(self._former)
        self._former = None

    def _fit(self, case: BlindedCase | None) -> None:
        if case is not None and self.shown and case.present:
            case.show()
            if self._atlas is not None:
                self._atlas.fit()

    @staticmethod
    def _keepMapColours(manager) -> None:
        widget = manager.sliceWidget(reading_views.MAP_VIEW)
        if widget is None:
            return
        scalarBars = widget.sliceView().displayableManagerByClassName("vtkMRMLScalarBarDisplayableManager")
        if scalarBars is not None:
            mouseAdjustsCtOnly(scalarBars)
