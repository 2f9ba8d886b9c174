"""One scored CT in the scene: which nodes belong to it, and what they say.

The nodes are the truth. A case is a ``vtkMRMLScriptedModuleNode`` that holds the result as JSON and references to every
other node (CT, level planes, heat maps, tables, lungs); saving the scene saves the case, and :meth:`ScoredCase.allIn`
finds it again after loading.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..findings import Finding
from ..levels import Level, Levels
from ..results import ScanResult, result_from_dict
from ..scores import PATTERNS, Pattern
from .case_facts import plainFinding, renumbered, sameLungs, scoredBy
from .errors import SceneError
from .folder import caseFolder, putInFolder, removeFolder
from .heat_map_nodes import HeatMapNodes
from .level_planes import LevelPlanes
from .node_states import contentState, scanOfVolume
from .nodes import nodesOfClass
from .removal import removeNode
from .segmentations import lungSegmentation, lungsOfSegmentation, thresholdSegmentation
from .tables import updateProfile, updateResultTable
from .views import COMPARED_VIEWS, viewNodeID

CASE_ATTRIBUTE = "SScILD.case"

_VOLUME, _LEVELS, _TABLE = "SScILD.volume", "SScILD.levels", "SScILD.table"
_PROFILE = {name: f"SScILD.profile.{name}" for name in ("table", "tot", "gg", "ret", "chart")}
_LUNGS, _THRESHOLDS, _CORRECTED = "SScILD.lungs", "SScILD.thresholds", "SScILD.corrected"
_WRITTEN = "SScILD.written"

_SAME_MM = 0.01
"""Positions closer than this are the same: a result keeps three decimals, a plane node what its geometry gives."""


class ScoredCase:
    """A CT with its levels, scores and heat maps in the scene.

    >>> case = ScoredCase.create(volumeNode)                    # doctest: +SKIP
    >>> case.setLevels(levels)                                  # doctest: +SKIP
    >>> case.setResult(result)                                  # doctest: +SKIP

    Args:
        node: the case's own node; use :meth:`create`, :meth:`ofVolume` or :meth:`allIn`.
    """

    def __init__(self, node) -> None:
        self.node = node
        self._planes: LevelPlanes | None = None
        self._scan = None
        self._lungs = None
        self._lungsKey = None
        self._result: tuple[str, ScanResult] | None = None
        self.heatMapNodes = HeatMapNodes(node)

    # ---- finding cases -------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, volumeNode) -> ScoredCase:
        """A new case of a CT volume, without levels and scores, or the one that the volume has already."""
        existing = cls.ofVolume(volumeNode)
        if existing is not None:
            return existing
        scene = volumeNode.GetScene()
        if scene is None:
            raise SceneError("The volume is not in the scene; load it again.")
        node = scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", f"{volumeNode.GetName()} SSc-ILD score")
        node.SetAttribute(CASE_ATTRIBUTE, "1")
        node.SetNodeReferenceID(_VOLUME, volumeNode.GetID())
        case = cls(node)
        caseFolder(scene, volumeNode, node.GetName())
        return case

    @classmethod
    def ofNode(cls, node) -> ScoredCase:
        """The case that a node stands for.

        Raises:
            SceneError: the node is no case.
        """
        if node is None or node.GetAttribute(CASE_ATTRIBUTE) is None:
            raise SceneError("This node is not a scored case; score a CT volume first.")
        return cls(node)

    @classmethod
    def ofVolume(cls, volumeNode) -> ScoredCase | None:
        """The case of a CT volume, or None."""
        scene = volumeNode.GetScene() if volumeNode is not None else None
        if scene is None:
            return None
        return next((case for case in cls.allIn(scene) if case.volumeNode is volumeNode), None)

    @classmethod
    def allIn(cls, scene) -> list[ScoredCase]:
        """All cases of a scene, in the order in which they were made."""
        nodes = nodesOfClass(scene, "vtkMRMLScriptedModuleNode")
        return [cls(node) for node in nodes if node.GetAttribute(CASE_ATTRIBUTE) is not None]

    # ---- what it is made of --------------------------------------------------------------------------------------

    @property
    def scene(self):
        """The scene, or None when the case was removed."""
        return self.node.GetScene()

    @property
    def volumeNode(self):
        """The CT's volume node, or None when it was removed."""
        return self.node.GetNodeReference(_VOLUME)

    @property
    def scan(self):
        """The CT as the science layer knows it; read from the volume node when that has changed.

        Raises:
            SceneError: the volume is gone or cannot be scored.
        """
        if self.volumeNode is None:
            raise SceneError("The CT of this case is no longer in the scene; load it again.")
        self._scan = scanOfVolume(self.volumeNode)
        return self._scan

    @property
    def levelPlanes(self) -> LevelPlanes | None:
        """The five draggable planes, or None before there are levels."""
        nodes = [self.node.GetNthNodeReference(_LEVELS, n) for n in range(len(Level))]
        if any(node is None for node in nodes):
            self._planes = None
        elif self._planes is None or list(self._planes.nodes) != nodes:
            self._planes = LevelPlanes.fromNodes(nodes, self.scan)
        return self._planes

    @property
    def levels(self) -> Levels | None:
        """Where the five level planes are now, or None."""
        planes = self.levelPlanes
        return planes.levels if planes is not None else None

    @property
    def anatomy(self) -> Levels | None:
        """The levels as the anatomy alone says, for comparison; None when it does not tell."""
        mm = self._json("anatomy")
        return Levels.from_mm(mm, source="anatomy") if mm else None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What to know before trusting levels and scores."""
        result = self.result
        return result.findings if result is not None else self.findingsOfSearch

    @property
    def findingsOfSearch(self) -> tuple[Finding, ...]:
        """What was found while the levels were searched."""
        return tuple(Finding(**f) for f in self._json("findings") or ())

    @property
    def result(self) -> ScanResult | None:
        """The scores as last computed, with scan and lungs attached when they are in the scene; None before scoring.

        Heat maps are attached when all five are there and belong to the scored slices.
        """
        text = self.node.GetParameter("result")
        if not text:
            return None
        if self._result is None or self._result[0] != text:
            self._result = text, self._restored(result_from_dict(json.loads(text), "The scene"))
        return self._result[1]

    @property
    def lungs(self):
        """The lung mask on the CT's canonical grid (:class:`~SScILDScoringLib.lungs.LungMask`), or None."""
        node = self.node.GetNodeReference(_LUNGS)
        if node is None:
            return None
        key = contentState(node)
        if self._lungs is None or key != self._lungsKey:
            from ..lungs import lungs_from_labels

            scan = self.scan
            made = lungs_from_labels(scan, lungsOfSegmentation(node, scan))
            method = node.GetAttribute("SScILD.method")
            self._lungs, self._lungsKey = replace(made, method=method or made.method), key
        return self._lungs

    def staleLevels(self) -> set[Level]:
        """Levels whose plane has moved to another slice than the one that was scored; all before scoring."""
        levels, result = self.levels, self.result
        if levels is None or result is None:
            return set(Level)
        indices = levels.slice_indices(self.scan)
        return {level for level in Level if indices[level - 1] != result.slice_indices[level - 1]}

    # ---- changing it ---------------------------------------------------------------------------------------------

    def setLevels(self, levels: Levels, anatomy: Levels | None = None, findings: Iterable[Finding] = ()) -> None:
        """Puts the level planes there; makes them when there are none. Scores of other slices become stale.

        Args:
            levels: where they go.
            anatomy: the estimate to compare with; what the case knows already when None.
            findings: what was found while the levels were searched; what the case knows already when there are none.
        """
        planes = self.levelPlanes
        if planes is None:
            shownIn = [viewNodeID(name) for name in COMPARED_VIEWS]
            planes = LevelPlanes.create(self.scene, self.scan, levels, viewNodeIDs=shownIn)
            self._planes = planes
            for n, node in enumerate(planes.nodes):
                self.node.SetNthNodeReferenceID(_LEVELS, n, node.GetID())
            self._own(*planes.nodes)
        else:
            planes.setLevels(levels)
        if anatomy is not None:
            self.node.SetParameter("anatomy", json.dumps(anatomy.mm))
        findings = [plainFinding(f) for f in findings]
        if findings:
            self.node.SetParameter("findings", json.dumps(findings))

    def setLungs(self, lungs) -> None:
        """Keeps the lung mask as a segmentation of the CT (hidden at first), so that it is saved with the scene."""
        removeNode(self.node.GetNodeReference(_LUNGS))
        node = lungSegmentation(self.scene, self.scan, lungs, self.volumeNode)
        node.SetAttribute("SScILD.method", lungs.method)
        self.node.SetNodeReferenceID(_LUNGS, node.GetID())
        self._own(node)
        self._lungs, self._lungsKey = lungs, contentState(node)

    def setResult(self, result: ScanResult) -> None:
        """Shows a result: table, heat maps, profile. Heat maps of slices that are no longer scored go."""
        if result.lungs is not None and not sameLungs(result.lungs, self.lungs):
            self.setLungs(result.lungs)
        before = self.result
        if before is not None and scoredBy(before) != scoredBy(result):
            self.heatMapNodes.clear()  # what another network saw does not explain these scores
        levels = self.levels
        if levels is None or any(abs(a - b) > _SAME_MM for a, b in zip(levels.mm, result.levels.mm, strict=True)):
            self.setLevels(result.levels)
        text = json.dumps(result.to_dict(), ensure_ascii=True, allow_nan=False)
        self._own(*self.heatMapNodes.update(self.scan, result))
        table = updateResultTable(self.scene, self.node.GetNodeReference(_TABLE), result)
        self.node.SetNodeReferenceID(_TABLE, table.GetID())
        self._own(table)
        if result.profile is not None:
            self._showProfile(result.profile)
        self.node.SetParameter("result", text)
        self._result = None
        self._result = text, self._restored(result)

    def showHeatMaps(self, level: Level, k: int, maps, unfinished: bool = False) -> None:
        """Shows the heat maps of one level while those of the others are still being computed.

        Args:
            level: which. k: canonical index of the slice they belong to.
            maps: :class:`~SScILDScoringLib.heatmaps.HeatMaps`.
            unfinished: they are a preview or grow still (see :meth:`HeatMapNodes.put`).
        """
        self._own(*self.heatMapNodes.put(self.scan, level, k, maps, unfinished))

    def afterLoading(self) -> None:
        """Brings the table up to date with the volume as it was loaded; for every case of a loaded scene."""
        if self.volumeNode is not None and self.result is not None:
            updateResultTable(self.scene, self.tableNode, self.result)

    def setFvc(self, percent: float | None) -> None:
        """Forced vital capacity in percent of the predicted value; decides an indeterminate Goh stage.

        Raises:
            SettingsError: not between 10 and 200 percent (see :func:`~SScILDScoringLib.scores.goh_stage`).
        """
        from ..scores import goh_stage

        goh_stage(0.0, percent)
        if self.result is not None:
            self.setResult(replace(self.result, fvc_percent=percent))

    def showPattern(self, pattern: Pattern | None, opacity: float = 0.6, window: float = 4.0) -> None:
        """Shows the heat maps of one pattern over the five level views, or none; and its segment, if there is one.

        Args:
            opacity: 0..1. window: percentage points at both ends of the colour scale.
        """
        self.heatMapNodes.show(pattern, opacity, window)
        areas = self.thresholdsNode
        if areas is not None and areas.GetDisplayNode() is not None and pattern is not None:
            for each in PATTERNS:  # three areas over each other cannot be told apart
                areas.GetDisplayNode().SetSegmentVisibility(each.name, each is pattern)

    def updateThresholds(self, thresholds: Mapping[str, float]):
        """The lung below each pattern's threshold as a segmentation that can be corrected in Segment Editor.

        One that was corrected (or loaded, which looks the same) is left alone, and a new one is made.

        Args:
            thresholds: percentage points by pattern (``tot``, ``gg``, ``ret``).

        Returns:
            The segmentation node.

        Raises:
            SceneError: there are no heat maps.
        """
        result = self.result
        if result is None or not result.heat_maps:
            raise SceneError("There are no heat maps of these levels yet; compute them first.")
        values = {Pattern(name): float(value) for name, value in thresholds.items()}
        existing = self.node.GetNodeReference(_THRESHOLDS)
        if existing is not None and existing.GetAttribute(_WRITTEN) != str(contentState(existing)):
            self.node.AddNodeReferenceID(_CORRECTED, existing.GetID())
            existing = None
        node = thresholdSegmentation(
            self.scene,
            existing,
            self.scan,
            self.volumeNode,
            result.heat_maps,
            values,
            result.slice_indices,
        )
        node.SetAttribute(_WRITTEN, str(contentState(node)))
        self.node.SetNodeReferenceID(_THRESHOLDS, node.GetID())
        self._own(node)
        return node

    @property
    def tableNode(self):
        """The result table, or None before scoring."""
        return self.node.GetNodeReference(_TABLE)

    @property
    def chartNode(self):
        """The profile's chart, or None."""
        return self.node.GetNodeReference(_PROFILE["chart"])

    @property
    def lungsNode(self):
        """The lungs' segmentation, or None."""
        return self.node.GetNodeReference(_LUNGS)

    @property
    def thresholdsNode(self):
        """The segmentation of the thresholded heat maps, or None."""
        return self.node.GetNodeReference(_THRESHOLDS)

    def ownNodes(self) -> list:
        """Every node that belongs to the case, without the CT and the case node itself."""
        found, roles = [], []
        self.node.GetNodeReferenceRoles(roles)
        for role in roles:
            if role != _VOLUME:
                count = self.node.GetNumberOfNodeReferences(role)
                found += [self.node.GetNthNodeReference(role, n) for n in range(count)]
        return [node for node in found if node is not None]

    def remove(self) -> None:
        """Takes the case and all its nodes out of the scene; the CT stays."""
        scene = self.scene
        if scene is None:
            return
        if self._planes is not None:
            self._planes.stopObserving()
        self.heatMapNodes.show(None)
        volumeNode = self.volumeNode
        for node in [*self.ownNodes(), self.node]:
            removeNode(node)
        removeFolder(scene, volumeNode)

    # ---- inside --------------------------------------------------------------------------------------------------

    def _restored(self, result: ScanResult) -> ScanResult:
        """The result with what the scene holds of scan, lungs and heat maps."""
        if self.volumeNode is None:
            return result
        scan, lungs = self.scan, result.lungs or self.lungs
        result = replace(result, scan=scan, lungs=lungs)
        # Slicer turns the slices of some volumes round when it saves them: numbers are those of the volume as it is.
        numbers = tuple(scan.file_slice(k) for k in result.slice_indices)
        if numbers != result.file_slice_indices:
            result = replace(result, file_slice_indices=numbers, profile=renumbered(result.profile, scan))
        if not result.heat_maps and lungs is not None:
            result = replace(result, heat_maps=self.heatMapNodes.read(result))
        return result

    def _showProfile(self, profile) -> None:
        nodes = {name: self.node.GetNodeReference(role) for name, role in _PROFILE.items()}
        for name, node in updateProfile(self.scene, profile, nodes).items():
            self.node.SetNodeReferenceID(_PROFILE[name], node.GetID())
            self._own(node)

    def _own(self, *nodes) -> None:
        putInFolder(caseFolder(self.scene, self.volumeNode, self.node.GetName()), *nodes)

    def _json(self, name: str):
        text = self.node.GetParameter(name)
        return json.loads(text) if text else None
