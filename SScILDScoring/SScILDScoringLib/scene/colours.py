"""The colour table of heat maps: one per scene, with the look of the report, transparent at zero."""

from __future__ import annotations

import numpy as np
import slicer

from .nodes import nodesOfClass

TABLE_SIZE = 256
"""Entries of the table; Slicer maps a volume to 256 steps before it colours it, so that more would not be seen."""

TRANSPARENT_SHARE = 0.125
"""Changes weaker than this share of the window are not drawn (0.5 percentage points of the default 4).

The report fades them out; there, their opacity is below one half."""

_NOT_DRAWN = 96
"""Grey of the transparent entries; only legends show it."""

_ATTRIBUTE = "SScILD.colours"
_HEAT_MAP = "heat map"


def heatMapColours(scene) -> slicer.vtkMRMLColorTableNode:
    """The scene's colour table of heat maps; made when the scene has none, also found in a scene loaded from file.

    The ends of the table are the ends of a window that is symmetric around zero (see
    :func:`~SScILDScoringLib.scene.overlays.setWindow`): yellow to dark red below zero, green to dark blue above, the
    entries around zero transparent.
    """
    for node in nodesOfClass(scene, "vtkMRMLColorTableNode"):
        if node.GetAttribute(_ATTRIBUTE) == _HEAT_MAP and node.GetNumberOfColors() == TABLE_SIZE:
            return node
    node = slicer.vtkMRMLColorTableNode()
    node.SetName("SSc-ILD heat map")
    node.SetTypeToUser()
    node.SetAttribute(_ATTRIBUTE, _HEAT_MAP)
    node.SetAttribute("Category", "SSc-ILD scoring")  # where Slicer's lists of colour tables put it
    node.SetDescription("Change of a score in percentage points: yellow to red below zero, green to blue above.")
    node.HideFromEditorsOff()
    node.SetNumberOfColors(TABLE_SIZE)
    for index, (red, green, blue, alpha) in enumerate(heatMapTable() / 255.0):
        node.SetColor(index, f"{shareOfEntry(index):+.3f}", red, green, blue, alpha)
    return scene.AddNode(node)


def heatMapTable() -> np.ndarray:
    """The table's colours: uint8 (256, 4), red, green, blue, alpha; the first entry is the window's lower end."""
    from ..report.colours import heat_colours

    shares = np.array([shareOfEntry(index) for index in range(TABLE_SIZE)])
    colours = heat_colours(shares, limit=1.0)
    # Slicer's slice views know drawn and not drawn only: any alpha above zero is drawn with the layer's full opacity.
    hidden = np.abs(shares) < TRANSPARENT_SHARE
    colours[:, 3] = np.where(hidden, 0, 255)
    colours[hidden, :3] = _NOT_DRAWN
    return colours


def shareOfEntry(index: int) -> float:
    """What an entry stands for, as a share of the window's half width: -1 for the first, +1 for the last."""
    return 2.0 * index / (TABLE_SIZE - 1) - 1.0
