"""One level as a markups plane node: where it is, where it came from, and reading both back.

The plane lies in the axial slices of the scan (horizontal in a straight scan) and its origin is the middle of the
slice, so that the origin's S is the level's position in millimetres. Source, spread and following are attributes of
the node, which a saved scene keeps.
"""

from __future__ import annotations

import numpy as np

from ..levels import SOURCES, Level, LevelPosition, Levels
from ..scan import CTScan
from .errors import SceneError
from .level_display import styleLevel
from .views import sliceAxes

LEVEL_ATTRIBUTE = "SScILD.level"
_SOURCE, _SPREAD, _FOLLOWS = "SScILD.source", "SScILD.spreadMm", "SScILD.follows"


def createLevelNode(scene, scan: CTScan, position: LevelPosition, viewNodeIDs: list[str]):
    """A new plane node of a level, drawn as a line in the given views."""
    level = position.level
    node = scene.CreateNodeByClass("vtkMRMLMarkupsPlaneNode")
    node.SetName(f"L{level:d} {level.title}")
    node.SetAttribute(LEVEL_ATTRIBUTE, f"{level:d}")
    made = scene.AddNode(node)
    node.UnRegister(None)
    placeOnSlices(made, scan, position.mm)
    _, rows, columns = scan.shape
    made.SetSizeMode(made.SizeModeAbsolute)
    sides = np.abs(scan.ras_from_index[:3, :2].T @ sliceAxes(scan)[:, :2])  # (x and y step, x and y axis)
    made.SetSize(*(np.array([columns, rows]) @ sides))
    made.SetFixedNumberOfControlPoints(True)  # the Delete key must not take a level away
    styleLevel(made, level, viewNodeIDs)
    writeFacts(made, position)
    return made


def placeOnSlices(node, scan: CTScan, mm: float) -> None:
    """Puts a plane node into the slices of the scan at RAS S = ``mm``."""
    origin = middleAt(scan, mm)
    axes = _planeAxes(scan)
    if node.GetNumberOfControlPoints() and np.allclose(node.GetOriginWorld(), origin, atol=1e-9):
        now = np.zeros((3, 3))
        node.GetAxesWorld(*now)
        if np.allclose(now.T, axes, atol=1e-9):
            return
    wasModifying = node.StartModify()
    node.SetOriginWorld(*origin)
    node.SetAxesWorld(*axes.T)
    node.EndModify(wasModifying)


def _planeAxes(scan: CTScan) -> np.ndarray:
    """As :func:`~.views.sliceAxes` with the second axis to the back: a plane node's axes must be right-handed."""
    return sliceAxes(scan) * (1, -1, 1)


def middleAt(scan: CTScan, mm: float) -> np.ndarray:
    """The middle of the slice, or between two slices, at RAS S = ``mm``: RAS millimetres."""
    _, rows, columns = scan.shape
    return scan.ras_at(((columns - 1) / 2, (rows - 1) / 2, scan.slice_position(mm)))


def mmOf(node, scan: CTScan) -> float:
    """RAS S of the slices' middle where a plane node is now, also while a drag holds its origin beside the middle."""
    origin = np.array(node.GetOriginWorld())
    normal = sliceAxes(scan)[:, 2]
    step = scan.ras_from_index[:3, 2]
    start = middleAt(scan, scan.mm_of_slice(0))
    return scan.mm_of_slice(float((origin - start) @ normal / (step @ normal)))


def writeFacts(node, position: LevelPosition) -> None:
    """Source and spread of a level as attributes of its node."""
    node.SetAttribute(_SOURCE, position.source)
    node.SetAttribute(_SPREAD, None if position.spread_mm is None else repr(float(position.spread_mm)))


def writeFollowing(node, follows: bool) -> None:
    """Whether level 4 follows its neighbours, as an attribute of its node."""
    node.SetAttribute(_FOLLOWS, "1" if follows else "0")


def levelOf(node) -> Level:
    """Which level a plane node stands for.

    Raises:
        SceneError: it is none of ours.
    """
    try:
        return Level(int(node.GetAttribute(LEVEL_ATTRIBUTE)))
    except (AttributeError, TypeError, ValueError):
        name = node.GetName() if node is not None else "A node that is gone"
        raise SceneError(f"{name} is no level line of this module; find the levels again.") from None


def readLevels(nodes, scan: CTScan) -> Levels:
    """The five levels that plane nodes stand for.

    Args:
        nodes: of L1 to L5 in this order.

    Raises:
        LevelError: the planes are not in order.
    """
    return Levels(tuple(_readPosition(node, scan) for node in nodes), nodes[3].GetAttribute(_FOLLOWS) == "1")


def _readPosition(node, scan: CTScan) -> LevelPosition:
    source, spread = node.GetAttribute(_SOURCE), node.GetAttribute(_SPREAD)
    try:
        spreadMm = float(spread) if spread else None
    except ValueError:
        spreadMm = None  # somebody edited the attribute; the spread is lost, the level is not
    return LevelPosition(levelOf(node), mmOf(node, scan), source if source in SOURCES else "given", spreadMm)
