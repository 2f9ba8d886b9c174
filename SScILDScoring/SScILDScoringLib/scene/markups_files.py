"""The five levels as a markups file that Slicer opens by drag and drop."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import SettingsError
from ..files import replacing
from ..levels import Levels
from ..scan import CTScan
from .level_planes import LevelPlanes
from .own_scene import ownScene

ENDING = ".mrk.json"


def writeLevels(levels: Levels, scan: CTScan, path: str | Path) -> Path:
    """Writes five level planes as one Slicer markups file (LPS millimetres), complete or not at all.

    Args:
        levels: inside the scan.
        scan: whose slices the planes lie in.
        path: ends with ``.mrk.json``.

    Raises:
        SettingsError: the file cannot be written, or has another ending.
        ScanError: a level lies outside the scan.
    """
    path = Path(path)
    if not path.name.endswith(ENDING):
        raise SettingsError(f"A file of level markers ends with {ENDING}, not {path.name}.")
    with ownScene() as scene, replacing(path) as temporary:
        planes = LevelPlanes.create(scene, scan, levels, viewNodeIDs=[])
        documents = [_document(node, temporary) for node in planes.nodes]
        merged = {**documents[0], "markups": [markup for d in documents for markup in d["markups"]]}
        text = json.dumps(merged, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def _document(node, path: Path) -> dict:
    """What MRML itself writes for one node."""
    storage = node.CreateDefaultStorageNode()  # the one of planes; the general one loses their size and direction
    storage.SetFileName(str(path.absolute()))
    if not storage.WriteData(node):
        raise OSError(f"the markups writer refused {path.name}")
    return json.loads(path.read_text(encoding="utf-8"))
