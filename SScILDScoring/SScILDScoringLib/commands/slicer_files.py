"""Which files for 3D Slicer the commands write; here the science layer is given the scene layer's writers."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..results import ScanResult


def scene_writers(scene: bool = True) -> list[Callable[[ScanResult, Path], object]]:
    """Writers for :func:`~SScILDScoringLib.outputs.write_case`; none where neither slicer-core nor Slicer is.

    Args:
        scene: whether ``scene.mrb``, with the CT in it, is wanted; ``levels.mrk.json`` always is.
    """
    if find_spec("slicer") is None:
        return []
    from ..scene.scene_files import writeLevelsOf, writeScene

    return [writeLevelsOf, writeScene] if scene else [writeLevelsOf]
