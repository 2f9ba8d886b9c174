"""A case of a cohort table in the scene: its scan and the five levels that the table says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import slicer

from SScILDScoringLib.errors import SScILDError
from SScILDScoringLib.levels import Levels
from SScILDScoringLib.progress import Progress, silent
from SScILDScoringLib.scene.case import ScoredCase
from SScILDScoringLib.scene.volumes import volumeFromScan

SCAN_ATTRIBUTE = "SScILD.cohortScan"
"""Attribute of a volume node that was loaded from a cohort: the path of its scan."""


def openCase(name: str, scan: str | Path, levelsMm: Sequence[float] | None, progress: Progress = silent):
    """Loads a scan with its levels, and shows it in the views. A scan that was loaded before is taken from the scene.

    The volume becomes the active one, so that the module SSc-ILD Scoring has it chosen when it is opened; levels
    that are moved there do not change the table.

    Args:
        name: of the case. scan: image file or folder with a DICOM series.
        levelsMm: RAS S in millimetres of L1..L5; None or incomplete: none are placed.
        progress: of reading; may cancel, the scene is then as it was.

    Returns:
        The volume node, and why the levels could not be placed in it (empty when they could).

    Raises:
        Cancelled: by ``progress``. ScanError: the scan cannot be read.
    """
    from SScILDScoringLib import load_scan

    node = loadedScan(scan)
    if node is None:
        node = volumeFromScan(load_scan(scan, progress=progress), name)
        node.SetAttribute(SCAN_ATTRIBUTE, str(scan))
    application = slicer.app.applicationLogic()
    application.GetSelectionNode().SetActiveVolumeID(node.GetID())
    application.PropagateVolumeSelection()
    if levelsMm is None or len(levelsMm) != 5 or ScoredCase.ofVolume(node) is not None:
        return node, ""
    case = ScoredCase.create(node)
    try:
        case.setLevels(Levels.from_mm(levelsMm))
    except SScILDError as error:  # not in order, or outside the scan
        case.remove()
        return node, str(error)
    return node, ""


def loadedScan(scan: str | Path):
    """The volume node that was loaded from ``scan``, or None."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return next((node for node in nodes if node.GetAttribute(SCAN_ATTRIBUTE) == str(scan)), None)
