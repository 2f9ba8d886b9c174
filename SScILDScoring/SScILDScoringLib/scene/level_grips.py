"""Where along their lines the level planes are taken hold of: beside the CT, and in sight when a view is zoomed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from weakref import WeakMethod, finalize

import numpy as np
import slicer.util
import vtk

from ..levels import Level
from ..scan import CTScan

BESIDE = 0.05
"""How far beside the CT a grip lies, as a share of the CT's width and depth."""

_LEFT_ROOM, _RIGHT_ROOM = 22, 50
"""Pixels that grip and label need at the left and right edge of a view."""

Grips = dict[Level, np.ndarray]
"""Canonical index (i, j) of every level's grip within its slice; fractions and outside the CT allowed."""


def lineEnds(scan: CTScan) -> np.ndarray:
    """Where the level lines end: canonical index (i, j) of two corners beside the CT, shape (2, 2).

    The first is at the patient's right front, the second at the left back.
    """
    size = np.array(scan.shape[:0:-1], float)
    return np.array([-0.5 - BESIDE * size, size - 0.5 + BESIDE * size])


def gripsBeside(scan: CTScan) -> Grips:
    """Grips at the ends of the lines, on alternating sides, which keeps those of close neighbours apart."""
    return {level: lineEnds(scan)[(level + 1) % 2] for level in Level}


def gripsInSight(scan: CTScan, sliceNodes: Iterable) -> Grips:
    """As :func:`gripsBeside`, moved along the lines into what upright slice views show of them.

    Args:
        sliceNodes: views that cut the scan's slices, such as the coronal and the sagittal one; others are passed over.
    """
    ends = lineEnds(scan)
    for node in sliceNodes:
        width = node.GetFieldOfView()[0]
        pixels = max(node.GetDimensions()[0], 1)
        matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        left, right = (scan.index_at((matrix @ (x, 0, 0, 1))[:3]) for x in (-width / 2, width / 2))
        steps = np.abs(right - left) * scan.spacing
        axis = int(np.argmax(steps))
        if axis == 2 or pixels < 2 * (_LEFT_ROOM + _RIGHT_ROOM):
            continue  # no view across the slices, or too small for grips
        perPixel = (right - left)[axis] / pixels
        shown = sorted((left[axis] + _LEFT_ROOM * perPixel, right[axis] - _RIGHT_ROOM * perPixel))
        if shown[0] < ends[1, axis] and ends[0, axis] < shown[1]:  # else the CT is out of sight
            ends[:, axis] = np.maximum(ends[0, axis], shown[0]), np.minimum(ends[1, axis], shown[1])
    return {level: ends[(level + 1) % 2] for level in Level}


class ViewWatch:
    """The views that show level lines: tells when one of them changes, and can put them back where they were.

    Views whose nodes come into the scene later are taken in then. The method is held weakly: the watch ends with its
    owner, or with :meth:`stop`.

    Args:
        scene: of the views.
        viewNodeIDs: of their nodes.
        changed: bound method without arguments.
    """

    def __init__(self, scene, viewNodeIDs: Iterable[str], changed: Callable[[], None]) -> None:
        self.nodes: list = []
        self._scene, self._awaited = scene, list(viewNodeIDs)
        self._tags: list = []
        self._places: list[tuple] = []
        self._tell = _calling(WeakMethod(changed))
        self._tags.append((scene, scene.AddObserver(scene.NodeAddedEvent, _calling(WeakMethod(self._onNodeAdded)))))
        self.stop = finalize(self, _removeObservers, self._tags)
        self._attach()

    def remember(self) -> None:
        """Keeps where the views are, for :meth:`putBack`."""
        self._places = [(node, slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())) for node in self.nodes]

    def putBack(self) -> None:
        """Puts the views back where they were at the last :meth:`remember`."""
        for node, matrix in self._places:
            node.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
            node.UpdateMatrices()

    def _onNodeAdded(self) -> None:
        if self._awaited and self._attach():
            self._tell(None, None)

    def _attach(self) -> bool:
        """Observes the awaited views that are there; True when there were any."""
        found = [node for node in map(self._scene.GetNodeByID, self._awaited) if node is not None]
        for node in found:
            self._awaited.remove(node.GetID())
            self.nodes.append(node)
            self._tags.append((node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._tell)))
        return bool(found)


def _calling(method: WeakMethod):
    def call(caller, event) -> None:
        target = method()
        if target is not None:
            target()

    return call


def _removeObservers(tags) -> None:
    for observed, tag in tags:
        observed.RemoveObserver(tag)
