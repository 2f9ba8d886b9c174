"""A case's result and heat maps as they were, so that what a cancelled step has shown goes again."""

from __future__ import annotations

from ..levels import Level
from ..scene.case import ScoredCase
from ..scene.overlays import readOverlay, sliceOfOverlay, updateOverlay
from ..scene.removal import removeNode
from ..scores import PATTERNS


class RememberedMaps:
    """Takes note of a case's result and overlays when made; :meth:`restore` brings them back."""

    def __init__(self, case: ScoredCase) -> None:
        self.case, self.result = case, case.result
        self._nodes = {node.GetID() for node in case.ownNodes()}
        self._overlays = {}
        for pattern in PATTERNS:
            for level in Level:
                node = case.heatMapNodes.node(pattern, level)
                if node is not None:
                    facts = {name: node.GetAttribute(name) for name in node.GetAttributeNames()}
                    k = sliceOfOverlay(node, case.scan)
                    self._overlays[pattern, level] = node.GetID(), k, readOverlay(node).copy(), facts

    def restore(self) -> None:
        """The result and the overlays are what they were; overlays made since are gone."""
        case = self.case
        if case.scene is None or case.volumeNode is None:
            return  # nothing to put back into
        for pattern in PATTERNS:
            for level in Level:
                node = case.heatMapNodes.node(pattern, level)
                former = self._overlays.get((pattern, level))
                if node is None:
                    continue
                if former is None or former[0] != node.GetID():
                    removeNode(node)
                    continue
                _id, k, values, facts = former
                updateOverlay(node, case.scan, k, values)
                for name in {*node.GetAttributeNames(), *facts}:
                    node.SetAttribute(name, facts.get(name))
        if self.result is not None:
            case.setResult(self.result)
            return
        case.node.SetParameter("result", "")
        for node in case.ownNodes():
            if node.GetID() not in self._nodes:
                removeNode(node)
