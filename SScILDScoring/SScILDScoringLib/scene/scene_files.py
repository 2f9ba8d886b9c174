"""A scored case as files for Slicer: ``levels.mrk.json``, ``scene.mrb`` and the segmentations.

The command line writes them through the same code as the module: it builds the case in a scene of its own, which needs
slicer-core or Slicer's Python, and saves that.
"""

from __future__ import annotations

from pathlib import Path

import slicer

from ..results import ScanResult
from .case import ScoredCase
from .errors import SceneError
from .markups_files import writeLevels
from .own_scene import ownScene
from .volumes import volumeFromScan

LEVELS_FILE, SCENE_FILE = "levels.mrk.json", "scene.mrb"
LUNGS_FILE, THRESHOLDS_FILE = "lungs.seg.nrrd", "heatmaps.seg.nrrd"


def writeLevelsOf(result: ScanResult, folder: Path) -> Path:
    """Writes ``levels.mrk.json`` of a result into ``folder``."""
    return writeLevels(result.levels, result.scan, Path(folder) / LEVELS_FILE)


def writeScene(result: ScanResult, folder: Path) -> Path:
    """Writes ``scene.mrb`` into ``folder``: the CT with levels, scores, heat maps and lungs, as the module shows them.

    The CT's node is named after the case; nothing of the DICOM header goes into the scene.

    Args:
        result: with its scan.
    """
    with ownScene() as scene:
        volumeNode = volumeFromScan(result.scan, result.case, scene)
        ScoredCase.create(volumeNode).setResult(result)
        return saveScene(scene, Path(folder) / SCENE_FILE)


def writeSegmentations(case: ScoredCase, folder: Path) -> list[Path]:
    """Writes the case's lungs and thresholded heat maps, as far as they are in the scene, into ``folder``."""
    written = []
    for node, name in ((case.lungsNode, LUNGS_FILE), (case.thresholdsNode, THRESHOLDS_FILE)):
        if node is None:
            continue
        storage = slicer.vtkMRMLSegmentationStorageNode()
        storage.SetScene(case.scene)
        storage.SetFileName(str((Path(folder) / name).absolute()))
        if not storage.WriteData(node):
            raise SceneError(f"{name} cannot be written to {folder}; is there space left?")
        written.append(Path(folder) / name)
    return written


def saveScene(scene, path: Path) -> Path:
    """Saves a scene as ``.mrb``: under a temporary name first, so that a file is complete or not there.

    Raises:
        SceneError: the file cannot be written.
    """
    path = Path(path).absolute()  # MRML refuses relative ones
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        if not scene.WriteToMRB(str(part)) or not part.is_file():
            raise SceneError(f"{path} cannot be written; is there space left?")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
