"""The one CT that a reader of a study looks at: no name, no file, no result, and gone before the next one comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..levels import Level, Levels
from ..scan import CTScan
from ..scores import Pattern
from . import reading_views
from .errors import SceneError
from .heat_map_files import readHeatMap
from .level_planes import LevelPlanes
from .nodes import nodesOfClass
from .overlays import addLegend, createOverlay, setWindow, showOverlay
from .removal import removeNode
from .views import COMPARED_VIEWS, viewNodeID
from .volumes import volumeFromScan

BLINDED_ATTRIBUTE = "SScILD.blinded"
"""On every node of a blinded case."""

_START = (0.25, 0.37, 0.5, 0.62, 0.74)
"""Where levels start that a reader places: shares of the CT's height from the top, the same for every case."""

_OTHERS = 0.4
"""Opacity of the lines of the levels that are not being read."""


def neutralLevels(scan: CTScan) -> Levels:
    """Five levels spread over the CT without looking at it."""
    low, high = scan.mm_of_slice(0), scan.mm_of_slice(scan.slice_count - 1)
    return Levels.from_mm([high - (high - low) * share for share in _START], source="manual", l4_follows=True)


def whatCouldTell(scene) -> list[str]:
    """Names of everything in the scene that a reader must not see beside a blinded case: volumes, results, tables.

    What belongs to views and settings does not count, and neither does a blinded case itself or the atlas.
    """
    classes = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode", "vtkMRMLTableNode")
    found = [node for name in classes for node in nodesOfClass(scene, name)]
    found += [n for n in nodesOfClass(scene, "vtkMRMLScriptedModuleNode") if n.GetAttribute("SScILD.case")]
    return [node.GetName() or node.GetID() for node in found if node.GetAttribute(BLINDED_ATTRIBUTE) is None]


class BlindedCase:
    """A case of a study in the scene: CT, level lines, and the heat map that is rated.

    Nothing that tells who it is gets into the scene: the volume is named after the blinded identifier, has no storage
    node and no DICOM identifiers. Its nodes are hidden from Slicer's lists and are not saved with the scene.

    Args:
        scene: where it goes. scan: the CT. title: the blinded identifier.
        levels: the given ones; None lets the reader place them, beginning at :func:`neutralLevels`.

    Raises:
        ScanError: a given level lies outside the CT.
    """

    def __init__(self, scene, scan: CTScan, title: str, levels: Levels | None = None) -> None:
        self.scene, self.scan, self.title = scene, scan, title
        self.ownLevels = levels is None
        start = neutralLevels(scan) if levels is None else levels
        start.slice_indices(scan)  # before anything is added to the scene
        self._maps: dict[tuple[Level, Pattern], object] = {}
        self._shown: tuple[Level, Pattern] | None = None
        self.volumeNode = volumeFromScan(scan, title, scene)
        self._hide(self.volumeNode)
        shownIn = [viewNodeID(name) for name in COMPARED_VIEWS]
        self.planes: LevelPlanes | None = LevelPlanes.create(scene, scan, start, viewNodeIDs=shownIn)
        self._hide(*self.planes.nodes)
        self.planes.setLocked(not self.ownLevels)
        self.level = Level.L1
        self._start = start

    # ---- levels ----------------------------------------------------------------------------------------------------

    @property
    def levels(self) -> Levels:
        """Where the levels are now."""
        return self.planes.levels

    @property
    def untouched(self) -> bool:
        """Whether the reader has not moved any level from where all of them start."""
        return self.ownLevels and self.levels.mm == self._start.mm

    def sliceOf(self, level: Level) -> int:
        """Canonical index of a level's slice."""
        return self.scan.slice_at(self.levels[level].mm)

    @property
    def offLevel(self) -> bool:
        """Whether the reading view shows another slice than that of the current level (somebody turned the wheel)."""
        return reading_views.sliceShown(self.scene, self.scan) != self.sliceOf(self.level)

    def moveLevelHere(self) -> None:
        """Puts the current level on the slice that the reading view shows, as near as its neighbours allow.

        Raises:
            SceneError: the levels are given.
        """
        k = reading_views.sliceShown(self.scene, self.scan)
        self._move(self.scan.mm_of_slice(k))

    def moveLevelBy(self, slices: int) -> None:
        """Moves the current level by whole slices, upwards when positive, as far as its neighbours allow.

        Raises:
            SceneError: the levels are given.
        """
        k = min(max(self.sliceOf(self.level) + slices, 0), self.scan.slice_count - 1)
        self._move(self.scan.mm_of_slice(k))

    def putLevels(self, levels: Levels) -> None:
        """Puts the reader's own levels back to where they were left or stored.

        Raises:
            SceneError: the levels are given.
        """
        if not self.ownLevels:
            raise SceneError("The levels of this study are given; they cannot be moved.")
        self.planes.setLevels(levels)

    def observe(self, onMoved: Callable[[Level], None]) -> None:
        """Has ``onMoved(level)`` called while and after a level is dragged."""
        self.planes.observe(lambda level, _mm: onMoved(level), lambda level, _levels: onMoved(level))

    def _move(self, mm: float) -> None:
        if not self.ownLevels:
            raise SceneError("The levels of this study are given; they cannot be moved.")
        self.planes.moveLevel(self.level, mm)

    # ---- views -----------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Shows the whole case in the reading views, on the current level."""
        reading_views.showCase(self.scene, self.volumeNode, self.scan, self.sliceOf(self.level))
        self._showMapOver()
        self._markLine()

    def showLevel(self, level: Level) -> None:
        """Goes to a level: the reading views show exactly its slice."""
        self.level = Level(level)
        reading_views.showSlice(self.scene, self.scan, self.sliceOf(self.level))
        self._markLine()

    def _markLine(self) -> None:
        """The lines of the other levels stand back behind that of the current one."""
        for level, node in zip(Level, self.planes.nodes, strict=True):
            node.GetDisplayNode().SetOpacity(1.0 if level is self.level else _OTHERS)

    # ---- heat maps -------------------------------------------------------------------------------------------------

    def loadMaps(self, files: Mapping[tuple[Level, Pattern], Path]) -> None:
        """Takes the heat maps that are to be rated from their files.

        Raises:
            SceneError: one is missing, cannot be read or does not lie on its level's slice; nothing is added then.
        """
        found = {}
        for (level, pattern), path in files.items():
            name = f"The heat map {pattern.name} of L{level:d} of {self.title}"
            found[level, pattern] = readHeatMap(path, self.scan, self.sliceOf(level), name)
        for (level, pattern), values in found.items():
            name = f"{self.title} L{level:d} {pattern.name}"
            node = createOverlay(self.scene, self.scan, self.sliceOf(level), values, name)
            addLegend(node, [viewNodeID(reading_views.MAP_VIEW)], f"{pattern.name}, change in percentage points")
            self._hide(node)
            self._maps[level, pattern] = node

    def showMap(self, level: Level, pattern: Pattern, window: float = 4.0, opacity: float = 0.7) -> None:
        """Goes to a level and lays one of its heat maps over the slice on the right.

        Args:
            window: percentage points at the ends of the colours. opacity: 0..1.
        """
        self._shown = (Level(level), pattern)
        setWindow(self._maps[self._shown], window)
        self.showLevel(level)
        self._showMapOver(opacity)

    def _showMapOver(self, opacity: float = 0.7) -> None:
        node = self._maps.get(self._shown) if self._shown is not None else None
        showOverlay(self.scene, reading_views.MAP_VIEW, node, opacity)

    # ---- the end ---------------------------------------------------------------------------------------------------

    @property
    def present(self) -> bool:
        """Whether the case is still in the scene."""
        return self.volumeNode is not None and self.volumeNode.GetScene() is not None and self.planes.present

    def close(self) -> None:
        """Takes everything of the case out of the scene and of the views; calling it again is fine."""
        if self.volumeNode is None:
            return
        if self.volumeNode.GetScene() is not None:
            reading_views.emptyViews(self.scene)
        self.planes.stopObserving()
        if self.planes.present:
            self.planes.remove()
        for node in (*self._maps.values(), self.volumeNode):
            removeNode(node)
        self._maps.clear()
        self.volumeNode, self.planes, self.scan = None, None, None

    @staticmethod
    def _hide(*nodes) -> None:
        for node in nodes:
            parts = [node]
            if node.IsA("vtkMRMLDisplayableNode"):
                parts += [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
            for part in parts:
                part.SetAttribute(BLINDED_ATTRIBUTE, "1")
                part.SetSaveWithScene(False)
            node.SetHideFromEditors(True)


def isBlinded(node) -> bool:
    """Whether a node belongs to a blinded case."""
    return node is not None and node.GetAttribute(BLINDED_ATTRIBUTE) is not None


def closeAll(scene) -> None:
    """Takes what was left of blinded cases out of a scene (after something went wrong)."""
    for className in ("vtkMRMLMarkupsNode", "vtkMRMLVolumeNode"):
        for node in nodesOfClass(scene, className):
            if isBlinded(node):
                removeNode(node)
