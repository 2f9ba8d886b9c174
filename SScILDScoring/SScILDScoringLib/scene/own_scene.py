"""A scene of our own, for writing files without touching the scene that the user works in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import slicer

_OF_MODULES = (
    "vtkMRMLColorLegendDisplayNode",
    "vtkMRMLMarkupsJsonStorageNode",
    "vtkMRMLMarkupsPlaneJsonStorageNode",
)
"""Node classes that a scene knows only once the logic of their module has told it; the logics need an application."""


@contextmanager
def ownScene() -> Iterator:
    """An empty scene with what nodes of a case ask it for; cleared at the end."""
    scene = slicer.vtkMRMLScene()
    selection = slicer.vtkMRMLSelectionNode()  # markups look there for the units they are measured in
    selection.SetSingletonTag("Singleton")
    scene.AddNode(selection)
    for name in _OF_MODULES:
        scene.RegisterNodeClass(getattr(slicer, name)())
    try:
        yield scene
    finally:
        scene.Clear(1)
