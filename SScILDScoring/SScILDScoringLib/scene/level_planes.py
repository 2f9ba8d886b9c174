"""The five levels as lines that a radiologist drags up and down in the coronal and sagittal views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from weakref import WeakValueDictionary, finalize, ref

import numpy as np
import slicer

from ..levels import Level, LevelError, Levels
from ..scan import CTScan
from .errors import SceneError
from .level_grips import Grips, ViewWatch, gripsBeside, gripsInSight
from .level_history import LevelHistory
from .level_nodes import createLevelNode, levelOf, mmOf, placeLevel, readLevels, writeFollowing
from .views import COMPARED_VIEWS, viewNodeID

OnMoving = Callable[[Level, float], None]
OnMoved = Callable[[Level, Levels], None]

_GAP_SLICES = 1 + 1e-6
"""Neighbours keep one slice between them; the millionth keeps rounding from putting both on the same one."""

_SAME_MM = 1e-6
_CONTROL_POINT = slicer.vtkMRMLMarkupsDisplayNode.ComponentControlPoint

_alive: WeakValueDictionary = WeakValueDictionary()  # planes by the address of their first node: one owner per node


@dataclass
class _Drag:
    level: Level
    before: Levels
    wantedMm: float  # where the pointer is, also beyond a limit
    placedMm: float
    byPoint: bool  # held at its middle point, not at the arrow


class LevelPlanes:
    """Five markups planes, one for each level, kept in order.

    The nodes hold the truth: positions, sources, spreads and whether level 4 follows are read from them, so that a
    saved scene or another reader of the nodes sees the same. While this object lives, a drag moves a level only along
    the body, stops one slice before its neighbour and at the ends of the scan, and takes level 4 along while that
    follows levels 3 and 5. A change made elsewhere (control point table of the Markups module) is taken as a move too.

    Use :meth:`create` or :meth:`fromNodes`. There is one such object for the same nodes.
    """

    def __init__(self, nodes: Sequence, scan: CTScan) -> None:
        self.nodes = tuple(nodes)
        self.scan = scan
        self._history = LevelHistory()
        self._listeners: dict[int, tuple[OnMoving | None, OnMoved | None]] = {}
        self._nextTag = 1
        self._drag: _Drag | None = None
        self._placing = False
        self._levels = readLevels(self.nodes, scan)  # the last state that was in order
        self._grips: Grips = gripsBeside(scan)
        self._stopWatching = self._watch()
        shown = self.nodes[0].GetDisplayNode().GetViewNodeIDs() if self.nodes[0].GetDisplayNode() is not None else ()
        self._views = ViewWatch(self.nodes[0].GetScene(), shown, self._onViewChanged)
        self._onViewChanged()

    @classmethod
    def create(cls, scene, scan: CTScan, levels: Levels, viewNodeIDs: Sequence[str] | None = None) -> LevelPlanes:
        """New plane nodes for five levels.

        Args:
            viewNodeIDs: slice nodes in which the lines are drawn; our coronal and sagittal views when None.

        Raises:
            ScanError: a level lies outside the scan.
        """
        levels.slice_indices(scan)
        shown = [viewNodeID(name) for name in COMPARED_VIEWS] if viewNodeIDs is None else list(viewNodeIDs)
        grips = gripsBeside(scan)
        nodes = [createLevelNode(scene, scan, position, grips[position.level], shown) for position in levels]
        writeFollowing(nodes[Level.L4 - 1], levels.l4_follows)
        return cls._of(nodes, scan)

    @classmethod
    def fromNodes(cls, nodes: Sequence, scan: CTScan) -> LevelPlanes:
        """The planes of nodes that exist, for instance of a loaded scene; in any order.

        Raises:
            SceneError: not five levels, or no longer in the scene.
            LevelError: the planes are not in order.
        """
        ordered = sorted(nodes, key=levelOf)
        if [levelOf(node) for node in ordered] != list(Level):
            raise SceneError("A level line is missing or there twice; find the levels again.")
        if any(node.GetScene() is None for node in ordered):
            raise SceneError("A level line was deleted; find the levels again.")
        return cls._of(ordered, scan)

    @classmethod
    def _of(cls, nodes, scan: CTScan) -> LevelPlanes:
        key = nodes[0].GetAddressAsString("")
        planes = _alive.get(key)
        if planes is None or planes.nodes != tuple(nodes):
            planes = _alive[key] = cls(nodes, scan)
        planes.scan = scan
        return planes

    # ---- where they are ------------------------------------------------------------------------------------------

    @property
    def levels(self) -> Levels:
        """The five levels as their nodes say now.

        Raises:
            LevelError: somebody changed the nodes so that they are not in order.
        """
        return readLevels(self.nodes, self.scan)

    @property
    def dragging(self) -> Level | None:
        """The level that the mouse holds now, or None."""
        return self._drag.level if self._drag is not None else None

    def limits(self, level: Level | int) -> tuple[float, float]:
        """Lowest and highest millimetres to which a person may move a level.

        One slice is kept free to the neighbours, and the ends of the scan are not passed. A level that lies beyond
        already may stay where it is.
        """
        return self._limits(Level(level), self._drag.before if self._drag is not None else self.levels)

    def _limits(self, level: Level, levels: Levels) -> tuple[float, float]:
        gap = self.scan.mm_per_slice * _GAP_SLICES
        both = levels.l4_follows and level in (Level.L3, Level.L5)  # level 4 needs its place between the two
        low, high = levels.limits(level, gap)
        if both and level is Level.L3:
            low += gap
        elif both:
            high -= gap
        low = max(low, self.scan.mm_of_slice(0))
        high = min(high, self.scan.mm_of_slice(self.scan.slice_count - 1))
        now = levels[level].mm
        return min(low, now), max(high, now)

    # ---- moving --------------------------------------------------------------------------------------------------

    def setLevels(self, levels: Levels) -> None:
        """Puts all levels where the caller says, for instance where the network found them; can be undone.

        This is no person's move: sources stay as given and nobody is told.

        Raises:
            ScanError: a level lies outside the scan; nothing changes.
        """
        levels.slice_indices(self.scan)
        before = self._known()
        self._placeNow(levels)
        if before != levels:
            self._history.record(before)

    def moveLevel(self, level: Level | int, mm: float) -> Levels:
        """Moves one level as a person does: its source becomes ``manual`` and listeners hear of it.

        Args:
            mm: RAS S; moved to the nearest permitted position, see :meth:`limits`.

        Returns:
            The levels after the move.

        Raises:
            LevelError: ``mm`` is no number.
        """
        level = Level(level)
        if not isfinite(mm):
            raise LevelError(f"Level {level:d} needs a position in millimetres, not {mm}.")
        before = self._known()
        low, high = self._limits(level, before)
        after = before.moved(level, min(max(float(mm), low), high))
        if after.mm != before.mm:
            self._placeNow(after)
            self._history.record(before)
            self._tellMoved(level, after)
        return self.levels

    @property
    def canUndo(self) -> bool:
        """Whether :meth:`undo` would do something."""
        return self._history.canUndo

    @property
    def canRedo(self) -> bool:
        """Whether :meth:`redo` would do something."""
        return self._history.canRedo

    def undo(self) -> None:
        """Takes the last move or :meth:`setLevels` back: positions, sources and following. Listeners hear of it."""
        if self.canUndo:
            self._step(self._history.undo)

    def redo(self) -> None:
        """Does again what was undone. Listeners hear of it."""
        if self.canRedo:
            self._step(self._history.redo)

    def _step(self, step: Callable[[Levels], Levels]) -> None:
        before = self._known()
        after = step(before)
        self._placeNow(after)
        changed = [p.level for p, was in zip(after, before, strict=True) if p != was]
        if changed:  # level 4 comes last: when it only followed, the other one was moved
            self._tellMoved(min(changed, key=lambda level: (level is Level.L4, level)), after)

    def _place(self, levels: Levels) -> None:
        """Writes levels into the nodes, without telling anybody."""
        self._placing = True
        try:
            for node, position in zip(self.nodes, levels, strict=True):
                placeLevel(node, self.scan, position, self._grips[position.level])
            writeFollowing(self.nodes[Level.L4 - 1], levels.l4_follows)
        finally:
            self._placing = False
        self._levels = levels

    def _placeNow(self, levels: Levels) -> None:
        """As :meth:`_place`; a drag that is under way goes on from there."""
        self._place(levels)
        drag = self._drag
        if drag is not None:
            drag.before, drag.wantedMm, drag.placedMm = levels, levels[drag.level].mm, levels[drag.level].mm

    def _known(self) -> Levels:
        """The levels now; the last ones in order when somebody has crossed the nodes."""
        try:
            return self.levels
        except LevelError:
            return self._levels

    # ---- listening -----------------------------------------------------------------------------------------------

    def observe(self, onMoving: OnMoving | None = None, onMoved: OnMoved | None = None) -> int:
        """Asks to be told of moves that a person makes.

        Args:
            onMoving: ``onMoving(level, mm)`` for every step of a drag, after the planes were placed.
            onMoved: ``onMoved(level, levels)`` once at the end of a drag that moved something, after
                :meth:`moveLevel`, :meth:`undo` and :meth:`redo`. Level 4 may have followed: compare ``levels``.

        Returns:
            A tag for :meth:`stopObserving`.
        """
        tag, self._nextTag = self._nextTag, self._nextTag + 1
        self._listeners[tag] = (onMoving, onMoved)
        return tag

    def stopObserving(self, tag: int | None = None) -> None:
        """Ends what :meth:`observe` began; everybody's when no tag is given."""
        if tag is None:
            self._listeners.clear()
        else:
            self._listeners.pop(tag, None)

    def _tellMoving(self, level: Level, mm: float) -> None:
        for onMoving, _ in list(self._listeners.values()):
            if onMoving is not None:
                onMoving(level, mm)

    def _tellMoved(self, level: Level, levels: Levels) -> None:
        for _, onMoved in list(self._listeners.values()):
            if onMoved is not None:
                onMoved(level, levels)

    # ---- what can be done to the lines ---------------------------------------------------------------------------

    @property
    def present(self) -> bool:
        """Whether all five nodes are still in the scene."""
        return all(node.GetScene() is not None for node in self.nodes)

    def setLocked(self, locked: bool) -> None:
        """Keeps the mouse from moving the lines; :meth:`moveLevel` and :meth:`setLevels` still do."""
        for node in self.nodes:
            node.SetLocked(locked)
            node.GetDisplayNode().SetHandlesInteractive(not locked)  # a lock alone leaves the arrow to the mouse

    def setVisible(self, visible: bool) -> None:
        """Shows or hides the lines."""
        for node in self.nodes:
            node.GetDisplayNode().SetVisibility(visible)

    def remove(self) -> None:
        """Takes the nodes out of the scene and forgets all listeners."""
        self.stopObserving()
        self._stopWatching()
        self._views.stop()
        for node in self.nodes:
            for part in (node.GetDisplayNode(), node.GetStorageNode(), node):
                if part is not None and part.GetScene() is not None:
                    part.GetScene().RemoveNode(part)

    # ---- the mouse -----------------------------------------------------------------------------------------------

    def _watch(self):
        """Observes the nodes until this object is gone; returns what ends it earlier."""
        events = slicer.vtkMRMLMarkupsNode
        owner = ref(self)  # the nodes must not keep this object alive
        tags = []
        for node, level in zip(self.nodes, Level, strict=True):
            for event, handler in (
                (events.PointStartInteractionEvent, LevelPlanes._onStart),
                (events.PointModifiedEvent, LevelPlanes._onModified),
                (events.PointEndInteractionEvent, LevelPlanes._onEnd),
            ):
                tags.append((node, node.AddObserver(event, _calling(owner, handler, level))))
            display, clicked = node.GetDisplayNode(), slicer.vtkMRMLMarkupsDisplayNode.JumpToPointEvent
            if display is not None:  # after Slicer's own observer
                tags.append((display, display.AddObserver(clicked, _calling(owner, LevelPlanes._onClicked, level), -1)))
        return finalize(self, _removeObservers, tags)

    def _onStart(self, level: Level) -> None:
        self._views.remember()
        before = self._known()
        byPoint = self._node(level).GetDisplayNode().GetActiveComponentType() == _CONTROL_POINT
        self._drag = _Drag(level, before, before[level].mm, before[level].mm, byPoint)

    def _onModified(self, level: Level) -> None:
        if self._placing:
            return
        mm = mmOf(self._node(level), self.scan)
        drag = self._drag
        if drag is None or drag.level is not level:
            self._onChangedElsewhere(level, mm)
            return
        # A handle moves the node by steps, the middle point takes it to the pointer. In both cases the line waits at
        # a limit until the pointer comes back to it.
        drag.wantedMm = mm if drag.byPoint else drag.wantedMm + mm - drag.placedMm
        low, high = self._limits(level, drag.before)
        placed = min(max(drag.wantedMm, low), high)
        self._place(drag.before if placed == drag.before[level].mm else drag.before.moved(level, placed))
        if placed != drag.placedMm:
            drag.placedMm = placed
            self._tellMoving(level, placed)

    def _onEnd(self, level: Level) -> None:
        drag = self._drag
        if drag is None or drag.level is not level:
            return
        self._drag = None
        if self._levels.mm != drag.before.mm:
            self._history.record(drag.before)
            self._tellMoved(level, self._levels)

    def _onClicked(self, level: Level) -> None:
        """Takes back what Slicer does on a click: it sends the views to the grip, where there is no CT."""
        self._views.putBack()

    def _onChangedElsewhere(self, level: Level, mm: float) -> None:
        before = self._levels
        if abs(mm - before[level].mm) < _SAME_MM:
            self._place(before)  # moved sideways only, or its label changed
            return
        low, high = self._limits(level, before)
        after = before.moved(level, min(max(mm, low), high))
        self._place(after)
        if after.mm != before.mm:
            self._history.record(before)
            self._tellMoved(level, after)

    def _onViewChanged(self) -> None:
        """Keeps the grips in sight when a view is zoomed or shifted; the levels stay where they are."""
        if self._drag is not None or not self.present:
            return
        grips = gripsInSight(self.scan, self._views.nodes)
        if any(not np.allclose(grips[level], self._grips[level], rtol=0, atol=1e-6) for level in Level):
            self._grips = grips
            self._place(self._known())

    def _node(self, level: Level):
        return self.nodes[level - 1]


def _calling(owner, handler, level: Level):
    """A VTK observer that calls a method of the planes while they live."""

    def call(caller, event) -> None:
        planes = owner()
        if planes is not None:
            handler(planes, level)

    return call


def _removeObservers(tags) -> None:
    for node, tag in tags:
        node.RemoveObserver(tag)
