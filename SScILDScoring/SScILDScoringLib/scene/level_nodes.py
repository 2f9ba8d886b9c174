"""One level as a markups plane node: where it is, where it came from, and reading both back.

The plane lies in the axial slices of the scan, horizontal in a straight one. Its origin, where label and handle are
drawn, is the level's grip (see :mod:`.level_grips`): anywhere in the slice. Source, spread and following are attributes
of the node, which a saved scene keeps.
"""

from __future__ import annotations

import numpy as np

from ..levels import SOURCES, Level, LevelPosition, Levels
from ..scan import CTScan
from .errors import SceneError
from .level_display import styleLevel
from .level_grips import lineEnds
from .views import sliceAxes

LEVEL_ATTRIBUTE = "SScILD.level"
_MM, _SOURCE, _SPREAD, _FOLLOWS = "SScILD.mm", "SScILD.source", "SScILD.spreadMm", "SScILD.follows"

_ROUNDED_MM = 1e-3
"""A plane this close to the written position is at it: matrices and files round."""


def createLevelNode(scene, scan: CTScan, position: LevelPosition, grip: np.ndarray, viewNodeIDs: list[str]):
    """A new plane node of a level, drawn as a line in the given views; ``grip`` as in :func:`placeLevel`."""
    level = position.level
    node = scene.CreateNodeByClass("vtkMRMLMarkupsPlaneNode")
    node.SetName(f"L{level:d} {level.title}")
    node.SetAttribute(LEVEL_ATTRIBUTE, f"{level:d}")
    made = scene.AddNode(node)
    node.UnRegister(None)
    made.SetSizeMode(made.SizeModeAbsolute)
    placeLevel(made, scan, position, grip)
    made.SetFixedNumberOfControlPoints(True)  # the Delete key must not take a level away
    styleLevel(made, level, viewNodeIDs)
    return made


def _placeOnSlices(node, scan: CTScan, mm: float, grip: np.ndarray) -> None:
    """Puts a plane node into the slices of the scan at RAS S = ``mm``, as wide as all lines are."""
    origin = scan.ras_at((*grip, scan.slice_position(mm)))
    axes = _planeAxes(scan)
    wasModifying = node.StartModify()
    if not node.GetNumberOfControlPoints() or not np.allclose(node.GetOriginWorld(), origin, rtol=0, atol=1e-9):
        node.SetOriginWorld(*origin)
    now = np.zeros((3, 3))
    node.GetAxesWorld(*now)
    if not np.allclose(now.T, axes, rtol=0, atol=1e-9):
        node.SetAxesWorld(*axes.T)
    sides = (lineEnds(scan) - grip) @ (scan.ras_from_index[:3, :2].T @ axes[:, :2])
    (x0, y0), (x1, y1) = sides.min(axis=0), sides.max(axis=0)
    node.SetPlaneBounds(x0, x1, y0, y1)
    node.EndModify(wasModifying)


def _planeAxes(scan: CTScan) -> np.ndarray:
    """As :func:`~.views.sliceAxes` with the second axis to the back: a plane node's axes must be right-handed."""
    return sliceAxes(scan) * (1, -1, 1)


def mmOf(node, scan: CTScan) -> float:
    """RAS S at the middle of the slice in which a plane node is now, wherever in the slice a drag holds its origin."""
    normal = sliceAxes(scan)[:, 2]
    start, step = scan.ras_at((0, 0, 0)), scan.ras_from_index[:3, 2]
    return scan.mm_of_slice(float((np.array(node.GetOriginWorld()) - start) @ normal / (step @ normal)))


def placeLevel(node, scan: CTScan, position: LevelPosition, grip: np.ndarray) -> None:
    """Puts a plane node where a level is and writes source and spread into its attributes.

    Args:
        grip: canonical index (i, j) of the node's origin within its slice.
    """
    _placeOnSlices(node, scan, position.mm, grip)
    node.SetAttribute(_MM, repr(float(position.mm)))
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
    mm, written = mmOf(node, scan), _number(node.GetAttribute(_MM))
    if written is not None and abs(written - mm) < _ROUNDED_MM:
        mm = written
    source = node.GetAttribute(_SOURCE)
    return LevelPosition(
        levelOf(node), mm, source if source in SOURCES else "given", _number(node.GetAttribute(_SPREAD))
    )


def _number(text: str | None) -> float | None:
    """An attribute as a number; None when it is absent or somebody made something else of it."""
    try:
        return float(text) if text else None
    except ValueError:
        return None
