"""The settings of the panel, kept in the scene."""

from typing import Annotated

import slicer
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

PATTERN_CHOICES = ("off", "tot", "gg", "ret")
"""Which heat map lies over the slices; all but ``off`` are values of :class:`~SScILDScoringLib.scores.Pattern`."""

LOWEST_THRESHOLD = -10.0
"""Percentage points; heat-map thresholds run from here to 0."""


@parameterNodeWrapper
class ScoringParameters:
    """Everything a user sets in the panel. What was found and scored lies in the scene as nodes of its own.

    inputVolume: the CT. lungs: a segmentation or label map of the lungs, instead of our own.
    useLayout: show the scoring layout. levelsVisible, levelsLocked: the level lines in the views.
    autoRescore: score a level again when its drag ends. fvcKnown, fvcPercent: forced vital capacity.
    showEachLevel: heat maps appear level by level. pattern, opacity, window: which heat map is shown, and how
    (window: percentage points at the ends of the colour scale). ownThresholds, threshold...: heat-map thresholds in
    percentage points, used instead of the network's when ownThresholds is set.
    caseName, exportFolder, export...: what is written, where, under which name (empty: made from the volume's name).
    lNet, sNet: names of the networks, empty for the default; ``anatomy`` as lNet uses none. device: see devices.py.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    lungs: slicer.vtkMRMLDisplayableNode

    useLayout: bool = True
    levelsVisible: bool = True
    levelsLocked: bool = False

    autoRescore: bool = True
    fvcKnown: bool = False
    fvcPercent: Annotated[float, WithinRange(10, 200)] = 80.0

    showEachLevel: bool = True
    pattern: Annotated[str, Choice(list(PATTERN_CHOICES))] = "tot"
    opacity: Annotated[float, WithinRange(0, 1)] = 0.7
    window: Annotated[float, WithinRange(0.5, 20)] = 4.0
    ownThresholds: bool = False
    thresholdTot: Annotated[float, WithinRange(LOWEST_THRESHOLD, 0)] = -1.0
    thresholdGg: Annotated[float, WithinRange(LOWEST_THRESHOLD, 0)] = -1.0
    thresholdRet: Annotated[float, WithinRange(LOWEST_THRESHOLD, 0)] = -1.0

    caseName: str = ""
    exportFolder: str = ""
    exportSegmentation: bool = True
    exportScene: bool = False
    exportOverwrite: bool = False

    lNet: str = ""
    sNet: str = ""
    device: Annotated[str, Choice(["auto", "cpu", "cuda", "mps"])] = "auto"
