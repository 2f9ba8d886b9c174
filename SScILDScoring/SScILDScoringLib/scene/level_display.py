"""How the five level lines look: colours, labels, and the handle that moves them along the body only."""

from __future__ import annotations

from ..levels import Level

LEVEL_COLOURS = {
    Level.L1: (0.90, 0.62, 0.00),
    Level.L2: (0.34, 0.71, 0.91),
    Level.L3: (0.12, 0.84, 0.58),
    Level.L4: (0.94, 0.89, 0.26),
    Level.L5: (0.90, 0.52, 0.74),
}
"""RGB, 0..1: orange, sky blue, green, yellow, pink, after Okabe and Ito, told apart without red-green vision.

All of them are bright, so that they stand out on lung and on tissue (and so that VTK shades their labels in black).
"""

LINE_THICKNESS = 0.35
LABEL_SCALE = 4.5
HANDLE_SCALE = 2.0
GRIP_SCALE = 2.2


def hexColour(colour: tuple[float, float, float]) -> str:
    """RGB 0..1 as ``#rrggbb``."""
    return "#" + "".join(f"{round(255 * part):02X}" for part in colour)


def label(level: Level) -> str:
    """What stands beside a level's line."""
    return f"L{level:d}"


def styleLevel(node, level: Level, viewNodeIDs: list[str]) -> None:
    """Gives a plane node the look of a level line.

    A dot at the end of the line is its grip; of the handles only the arrow along the plane's normal is left. Lines are
    shown in the given views only: axial views would collect the labels of all five.
    """
    node.SetNthControlPointLabel(0, label(level))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    wasModifying = display.StartModify()
    display.RemoveAllViewNodeIDs()
    for viewNodeID in viewNodeIDs:
        display.AddViewNodeID(viewNodeID)
    for setColour in (display.SetColor, display.SetSelectedColor):  # a plane's point is selected from the start
        setColour(*LEVEL_COLOURS[level])
    display.SetActiveColor(1.0, 1.0, 1.0)
    display.SetOpacity(1.0)
    display.SetFillVisibility(False)
    display.SetNormalVisibility(False)
    display.SetOutlineVisibility(True)
    display.SetLineThickness(LINE_THICKNESS)
    display.SetGlyphTypeFromString("Circle2D")
    display.SetGlyphScale(GRIP_SCALE)
    display.SetTextScale(LABEL_SCALE)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(True)
    display.SetSliceProjection(True)  # or the label is gone in every slice but the middle one
    display.SetSliceProjectionOpacity(1.0)
    display.SetSliceProjectionUseFiducialColor(True)
    display.SetHandlesInteractive(True)
    display.SetRotationHandleVisibility(False)
    display.SetScaleHandleVisibility(False)
    display.SetTranslationHandleVisibility(True)
    display.SetTranslationHandleComponentVisibility([False, False, True, False])  # x, y, z, in the view's plane
    display.SetInteractionHandleScale(HANDLE_SCALE)
    display.EndModify(wasModifying)
