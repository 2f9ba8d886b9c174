"""The heat maps of a case in the scene: fifteen overlays, which slice each belongs to, and how they come back."""

from __future__ import annotations

import json

import numpy as np

from ..levels import Level
from ..results import ScanResult
from ..scores import PATTERNS, Pattern
from .overlays import addLegend, createOverlay, readOverlay, setWindow, showOverlay, updateOverlay
from .removal import removeNode
from .views import LEVEL_VIEWS, viewNodeID

_SLICE, _FACTS, _UNFINISHED = "SScILD.slice", "SScILD.heatMap", "SScILD.unfinished"


class HeatMapNodes:
    """One overlay volume for every level and pattern, as far as they are computed.

    Args:
        caseNode: keeps the references.
    """

    def __init__(self, caseNode) -> None:
        self._case = caseNode

    def node(self, pattern: Pattern, level: Level):
        """The overlay of one pattern on one level, or None."""
        return self._case.GetNodeReference(_role(pattern, level))

    @property
    def complete(self) -> bool:
        """Whether all fifteen are there."""
        return all(self.node(pattern, level) is not None for pattern in PATTERNS for level in Level)

    def shows(self, level: Level, k: int) -> bool:
        """Whether all three overlays of a level are there, finished, and belong to axial slice ``k`` (canonical)."""
        nodes = [self.node(pattern, level) for pattern in PATTERNS]
        return all(
            node is not None and node.GetAttribute(_SLICE) == str(k) and node.GetAttribute(_UNFINISHED) is None
            for node in nodes
        )

    def update(self, scan, result: ScanResult) -> list:
        """Makes the overlays those of ``result``; takes away those of slices that it no longer scores.

        Returns:
            The overlay nodes that are there now.
        """
        for level in Level:
            k = result.slice_indices[level - 1]
            if result.heat_maps:
                self.put(scan, level, k, result.heat_maps[level - 1])
                continue
            for pattern in PATTERNS:
                node = self.node(pattern, level)
                if node is not None and int(node.GetAttribute(_SLICE)) != k:
                    removeNode(node)
        return [n for n in (self.node(p, level) for p in PATTERNS for level in Level) if n is not None]

    def clear(self) -> None:
        """Takes all overlays away."""
        for pattern in PATTERNS:
            for level in Level:
                removeNode(self.node(pattern, level))

    def put(self, scan, level: Level, k: int, maps, unfinished: bool = False) -> list:
        """Makes the overlays of one level those of ``maps``, which belong to axial slice ``k`` (canonical).

        Args:
            unfinished: they are a preview or grow still. They are shown, but are no part of the result.

        Returns:
            The level's overlay nodes.
        """
        nodes = []
        for pattern in PATTERNS:
            node, values = self.node(pattern, level), maps.of(pattern)
            if node is None:
                name = f"L{level:d} {pattern.value.upper()} heat map"
                node = createOverlay(self._case.GetScene(), scan, k, values, name)
                self._case.SetNodeReferenceID(_role(pattern, level), node.GetID())
            else:
                updateOverlay(node, scan, k, values)
            kind = "" if not unfinished else " (unfinished)" if maps.exact else " (preview)"
            title = f"{pattern.value.upper()}{kind}, change in percentage points"
            addLegend(node, [viewNodeID(LEVEL_VIEWS[level - 1])], title)
            node.SetAttribute(_UNFINISHED, "1" if unfinished else None)
            node.SetAttribute(_SLICE, str(k))
            node.SetAttribute(_FACTS, json.dumps(_facts(maps)))
            nodes.append(node)
        return nodes

    def show(self, pattern: Pattern | None, opacity: float = 0.6, window: float = 4.0) -> None:
        """Shows one pattern's maps over the level views, or none."""
        scene = self._case.GetScene()
        for level in Level:
            node = self.node(pattern, level) if pattern is not None else None
            if node is not None:
                setWindow(node, window)
            showOverlay(scene, LEVEL_VIEWS[level - 1], node, opacity)

    def read(self, result: ScanResult) -> tuple:
        """The five :class:`~SScILDScoringLib.heatmaps.HeatMaps` of the scored slices, or () when any is missing.

        Args:
            result: with its lungs; they tell which pixels were covered.
        """
        from ..heatmaps.maps import HeatMaps
        from ..heatmaps.replacement import HeatMapSettings, covered_lung
        from ..scores import SliceScores

        found = []
        for level, k in zip(Level, result.slice_indices, strict=True):
            if not self.shows(level, k):
                return ()
            nodes = [self.node(pattern, level) for pattern in PATTERNS]
            facts = json.loads(nodes[0].GetAttribute(_FACTS))
            settings = HeatMapSettings(**facts["settings"])
            lung = result.lungs.mask(k)
            found.append(
                HeatMaps(
                    np.stack([readOverlay(node) for node in nodes]).astype(np.float32),
                    covered_lung(lung, settings),
                    lung,
                    SliceScores(tuple(facts["baseline"])),
                    settings,
                    facts["engine"],
                    facts["network_runs"],
                    facts["seconds"],
                    # Scenes saved by earlier versions lack these: all their maps were exact.
                    facts.get("precision", "fp32"),
                    facts.get("exact", True),
                    facts.get("tolerance"),
                    facts.get("checked_positions", 0),
                )
            )
        return tuple(found)


def _role(pattern: Pattern, level: Level) -> str:
    return f"SScILD.map.{pattern.value}.L{level:d}"


def _facts(maps) -> dict:
    return {
        "settings": maps.settings.to_dict(),
        "engine": maps.engine,
        "network_runs": int(maps.network_runs),
        "seconds": float(maps.seconds),
        "baseline": list(maps.baseline.raw),
        "precision": maps.precision,
        "exact": bool(maps.exact),
        "tolerance": maps.tolerance,
        "checked_positions": int(maps.checked_positions),
    }
