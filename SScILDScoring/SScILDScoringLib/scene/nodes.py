"""Looking for nodes in one given scene."""

from __future__ import annotations


def nodesOfClass(scene, className: str) -> list:
    """All nodes of a class in ``scene``, subclasses included, in the scene's order.

    ``slicer.util.getNodesByClass`` is no replacement: it looks in ``slicer.mrmlScene`` whatever scene it is given.
    """
    return [scene.GetNthNodeByClass(n, className) for n in range(scene.GetNumberOfNodesByClass(className))]
