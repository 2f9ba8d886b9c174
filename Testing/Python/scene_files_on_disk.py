"""Saving a scene as Slicer does and loading it again, for tests."""

from __future__ import annotations

import zipfile
from pathlib import Path


def saved_and_loaded(scene, folder: Path) -> Path:
    """Saves the scene as ``.mrb``, empties it and loads the file again into it; returns the file."""
    file = Path(folder) / "saved scene.mrb"
    assert scene.WriteToMRB(str(file))
    scene.Clear(0)
    unpacked = Path(folder) / "unpacked"
    with zipfile.ZipFile(file) as archive:
        archive.extractall(unpacked)
    (mrml,) = unpacked.rglob("*.mrml")
    scene.SetURL(str(mrml))
    assert scene.Import()
    return file
