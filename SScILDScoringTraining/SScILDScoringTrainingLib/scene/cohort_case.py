"""A case of a cohort table in the scene: its scan and the five levels that the table says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import slicer

from SScILDScoringLib.levels import Levels
from SScILDScoringLib.scene.case import ScoredCase
from SScILDScoringLib.scene.volumes import volumeFromScan

SCAN_ATTRIBUTE = "SScILD.cohortScan"
"""Attribute of a volume node that was loaded from a cohort: the path of its scan."""


def openCase(name: str, scan: str | Path, levelsMm: Sequence[float] | None):
    """Loads a scan with its levels, and shows it in the views. A scan that was loaded before is taken from the scene.

    The volume becomes the active one, so that the module SSc-ILD Scoring has it chosen when it is opened; levels
    that are moved there do not change the table.

    Args:
        name: of the case. scan: image file or folder with a DICOM series.
        levelsMm: RAS S in millimetres of L1..L5; None or incomplete: none are placed.

    Returns:
        The volume node.

    Raises:
        ScanError: the scan cannot be read. LevelError: the levels are not in order; the scan is shown all the same.
    """
    from SScILDScoringLib import load_scan

    node = loadedScan(scan)
    if node is None:
        node = volumeFromScan(load_scan(scan), name)
        node.SetAttribute(SCAN_ATTRIBUTE, str(scan))
    application = slicer.app.applicationLogic()
    application.GetSelectionNode().SetActiveVolumeID(node.GetID())
    application.PropagateVolumeSelection()
    if levelsMm is not None and len(levelsMm) == 5 and ScoredCase.ofVolume(node) is None:
        levels = Levels.from_mm(levelsMm)
        ScoredCase.create(node).setLevels(levels)
    return node


def loadedScan(scan: str | Path):
    """The volume node that was loaded from ``scan``, or None."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return next((node for node in nodes if node.GetAttribute(SCAN_ATTRIBUTE) == str(scan)), None)
