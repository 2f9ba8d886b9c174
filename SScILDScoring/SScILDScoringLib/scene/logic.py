"""Scoring in the scene without any widget: nodes in, nodes out. Used by the console, scripts, tests and the panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..errors import Cancelled, SScILDError
from ..levels import Levels
from ..progress import Progress, silent
from ..results import safe_name
from .case import ScoredCase
from .errors import SceneError
from .node_states import contentState, scanOfVolume, volumeState
from .segmentations import lungsOfSegmentation


@contextmanager
def readableErrors():
    """Everything that a user can cause leaves as a ValueError with a sentence; cancelling stays what it is."""
    try:
        yield
    except (Cancelled, SceneError):
        raise
    except SScILDError as error:
        raise SceneError(str(error)) from error


class ScoringLogic:
    """What the module can do, in this process (the panel uses a worker process instead).

    Every method takes ``progress(stage, fraction, message)``, which cancels by raising
    :class:`~SScILDScoringLib.errors.Cancelled`; the scene is then as it was before. Errors that a user can cause are
    ValueErrors with a readable sentence.
    """

    def __init__(self) -> None:
        self._opened: tuple | None = None

    # ---- the steps -----------------------------------------------------------------------------------------------

    def placeLevels(
        self,
        volumeNode,
        *,
        lungNode=None,
        lNet=None,
        sNet=None,
        device: str = "auto",
        progress: Progress = silent,
    ):
        """Finds the five levels and puts their planes into the scene.

        Args:
            volumeNode: the CT (``vtkMRMLScalarVolumeNode``).
            lungNode: a segmentation or label volume of the lungs; found when None.
            lNet: the L-Net bundle, its name or folder; None takes the default one, False the anatomy alone.
            sNet: the S-Net bundle that will score, kept ready.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

        Returns:
            The case node (see :class:`~SScILDScoringLib.scene.case.ScoredCase`).

        Raises:
            ValueError: no CT, no lung found, or a model that cannot be used.
        """
        with readableErrors():
            session = self._session(_checked(volumeNode), lungNode, lNet, sNet, device)
            session.found = None  # asked for anew, also where a loaded scene knows an answer
            found = session.find_levels(progress)
            case = ScoredCase.create(volumeNode)
            self._keepLungs(case, session, lNet, sNet, device)
            case.setLevels(found.levels, found.anatomy, found.findings)
            return case.node

    def score(
        self,
        volumeNode,
        levels: Levels | Sequence[float] | None = None,
        *,
        heatMaps: bool = False,
        everySlice: bool = False,
        fvcPercent: float | None = None,
        lungNode=None,
        lNet=None,
        sNet=None,
        device: str = "auto",
        progress: Progress = silent,
    ):
        """Scores the five levels; only slices that were not scored before are computed.

        Args:
            volumeNode: the CT.
            levels: where to score: :class:`Levels`, five RAS S positions in millimetres (L1 first), or None for where
                the level planes are; they are found first when there are none.
            heatMaps: compute the heat maps, too. everySlice: score every slice that holds lung, too.
            fvcPercent: forced vital capacity in percent of the predicted value.
            lungNode, lNet, sNet, device: as in :meth:`placeLevels`.

        Returns:
            The case node.

        Raises:
            ValueError: as :meth:`placeLevels`; levels out of order or outside the CT.
        """
        with readableErrors():
            _checked(volumeNode)
            case = ScoredCase.ofVolume(volumeNode)
            wanted = _levels(levels) if levels is not None else case.levels if case is not None else None
            if wanted is None:
                models = {"lungNode": lungNode, "lNet": lNet, "sNet": sNet, "device": device}
                case = ScoredCase.ofNode(self.placeLevels(volumeNode, progress=progress, **models))
                wanted = case.levels
            session = self._session(volumeNode, lungNode, lNet, sNet, device)
            before = case.result if case is not None else None
            result = session.score(
                wanted,
                case=_caseName(volumeNode),
                fvc_percent=fvcPercent if fvcPercent is not None or before is None else before.fvc_percent,
                heat_maps=heatMaps,
                every_slice=everySlice,
                progress=progress,
            )
            case = case or ScoredCase.create(volumeNode)
            self._keepLungs(case, session, lNet, sNet, device)
            if levels is not None:
                case.setLevels(wanted)
            case.setResult(result)
            return case.node

    def renderHeatMaps(self, caseNode, *, sNet=None, device: str = "auto", progress: Progress = silent):
        """Computes the heat maps of the case's levels and shows nothing yet (see :meth:`ScoredCase.showPattern`).

        Returns:
            The case node.

        Raises:
            ValueError: the node is no case, or its CT is gone.
        """
        case = ScoredCase.ofNode(caseNode)
        return self.score(case.volumeNode, heatMaps=True, sNet=sNet, device=device, progress=progress)

    def scoreEverySlice(self, caseNode, *, sNet=None, device: str = "auto", progress: Progress = silent):
        """Scores every slice that holds lung: a profile of the whole lung with its chart.

        Returns:
            The case node.
        """
        case = ScoredCase.ofNode(caseNode)
        return self.score(case.volumeNode, everySlice=True, sNet=sNet, device=device, progress=progress)

    def scoreFolder(self, folder: str | Path, output: str | Path, *, progress: Progress = silent, **options):
        """Scores every scan of a folder into ``output``, without the scene; see :mod:`SScILDScoringLib.batch`.

        Raises:
            ValueError: no such folder, nothing in it, or the output cannot be written.
        """
        from ..batch import score_folder

        with readableErrors():
            return score_folder(folder, output, progress=progress, **options)

    def exportResults(
        self,
        caseNode,
        folder: str | Path,
        *,
        name: str | None = None,
        overwrite: bool = False,
        segmentation: bool = True,
        scene: bool = False,
        progress: Progress = silent,
    ) -> list[Path]:
        """Writes ``folder/<name>``: scores.json, scores.csv, report.html, heatmaps/, levels.mrk.json, segmentations.

        Args:
            name: of the case's folder; the volume's name when None. It is the only thing that may identify a patient:
                nothing of the DICOM header is written.
            overwrite: replace the results of an earlier export.
            segmentation: write the lungs and, where there is one, the segmentation of the thresholded heat maps.
            scene: write ``scene.mrb`` with the CT.

        Returns:
            The files that were written.

        Raises:
            ValueError: the case has no scores yet, or the folder is taken or cannot be written.
        """
        from ..outputs import write_case
        from .scene_files import writeLevelsOf, writeScene, writeSegmentations

        with readableErrors():
            case = ScoredCase.ofNode(caseNode)
            result = case.result
            if result is None:
                raise SceneError("There are no scores to export yet; score the levels first.")
            if case.staleLevels():
                names = ", ".join(f"L{level:d}" for level in sorted(case.staleLevels()))
                raise SceneError(f"{names} moved after scoring; score again before exporting.")
            result = replace(result, case=safe_name(name) if name else _caseName(case.volumeNode))
            writers: list[Callable] = [writeLevelsOf]
            if segmentation:
                writers.append(lambda _result, target: writeSegmentations(case, target))
            if scene:
                writers.append(writeScene)
            written = write_case(result, folder, overwrite=overwrite, also=writers, progress=progress)
            return sorted(path for path in written.rglob("*") if path.is_file())

    def forget(self) -> None:
        """Frees the opened CT and the models; the next call opens them again. For the end of a scene."""
        self._opened = None

    # ---- inside --------------------------------------------------------------------------------------------------

    def _session(self, volumeNode, lungNode, lNet, sNet, device):
        """The opened scan of a volume with its models warm; made anew when the CT, lungs or models change.

        One CT is open at a time: a session holds the whole scan and its lungs.
        """
        from ..session import ScoringSession

        case = ScoredCase.ofVolume(volumeNode)
        lungNode = lungNode or (case.lungsNode if case is not None else None)
        key = _sessionKey(volumeNode, lungNode, lNet, sNet, device)
        if self._opened is None or self._opened[0] != key:
            scan = scanOfVolume(volumeNode)
            lungs = None
            if lungNode is not None:
                own = case is not None and lungNode is case.lungsNode
                lungs = case.lungs if own else lungsOfNode(lungNode, scan)
            found = _foundBefore(case)
            self._opened = key, ScoringSession(scan, l_net=lNet, s_net=sNet, lungs=lungs, device=device, found=found)
        return self._opened[1]

    def _keepLungs(self, case: ScoredCase, session, *choices) -> None:
        """Stores the session's lungs in the scene and knows the session again by them."""
        if case.lungsNode is None or session.lungs is not case.lungs:
            case.setLungs(session.lungs)
        self._opened = _sessionKey(case.volumeNode, case.lungsNode, *choices), session


def lungsOfNode(node, scan):
    """The lung mask that a segmentation or label volume holds, on the scan's grid.

    Raises:
        SScILDError: the node holds no lungs.
    """
    from ..lungs import lungs_from_labels

    return lungs_from_labels(scan, lungsOfSegmentation(node, scan))


def _foundBefore(case: ScoredCase | None):
    """What a case that was loaded with its scene knows of the search for its levels; None when nothing."""
    from ..session import FoundLevels

    if case is None or case.levels is None or not case.findingsOfSearch:
        return None
    return FoundLevels(case.levels, case.anatomy, case.findingsOfSearch)


def _sessionKey(volumeNode, lungNode, lNet, sNet, device) -> tuple:
    return volumeState(volumeNode), contentState(lungNode), str(lNet), str(sNet), str(device)


def _checked(volumeNode):
    if volumeNode is None or not volumeNode.IsA("vtkMRMLScalarVolumeNode"):
        raise SceneError("Choose a CT volume first.")
    return volumeNode


def _levels(levels: Levels | Sequence[float]) -> Levels:
    return levels if isinstance(levels, Levels) else Levels.from_mm(levels, source="given")


def _caseName(volumeNode) -> str:
    return safe_name(volumeNode.GetName() or "case")
