"""What the sections of the panel share: the chosen CT, its case, the settings, the worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..errors import SScILDError
from ..results import safe_name
from ..scene.case import ScoredCase
from ..scene.logic import lungsOfNode
from ..scene.node_states import contentState, scanOfVolume, volumeState
from ..scene.overlays import OVERLAY_ATTRIBUTE
from ..scores import Pattern
from . import packages
from .enabling import first
from .worker_bridge import Job, WorkerBridge


def networkOf(result) -> str:
    """The name of the network that gave a result's scores."""
    return next((model.name for model in result.models if model.kind == "s_net"), "")


class Desk:
    """The panel's common ground. Sections read from it, and call :meth:`refresh` after they changed something.

    Args:
        widget: the ScriptedLoadableModuleWidget. logic: of the module. ui: the widgets of the .ui file, by name.
    """

    def __init__(self, widget, logic, ui) -> None:
        self.widget, self.logic, self.ui = widget, logic, ui
        self.parameters = None
        self.case: ScoredCase | None = None
        self.worker = WorkerBridge(self.refresh)
        self.missingPackages = packages.missing()
        self.scan = None
        self.scanError = ""
        self.openError = ""
        self._openedKey = None
        self.defaultNetworks: dict[str, str] = {}  # names by kind (l_net, s_net), as the section of the networks knows
        self._foundBefore = False  # whether the worker was told what an earlier search for the levels had found
        self._refreshers: list[Callable[[], None]] = []
        self._refreshing = False
        self.sampling = False
        self.keepsLevels = self.busy  # the panel tells more exactly: scores may be asked for anew
        self.onOpening = Job  # replaced by the section of the CT: makes the job that opens the CT in the worker

    # ---- the chosen CT -------------------------------------------------------------------------------------------

    @property
    def volumeNode(self):
        """The chosen CT, or None."""
        return self.parameters.inputVolume if self.parameters is not None else None

    @property
    def lungsNode(self):
        """The lungs that the user gave, else those of the case, else None."""
        given = self.parameters.lungs if self.parameters is not None else None
        if given is not None:
            return given
        return self.case.lungsNode if self.case is not None else None

    def chooseVolume(self) -> None:
        """Looks at the chosen volume anew: its scan, its case."""
        node = self.volumeNode
        self.scanError, self.scan = "", None
        if node is not None and node.GetAttribute(OVERLAY_ATTRIBUTE) is not None:
            self.scanError = _("This is a heat map of a scored CT. Choose the CT itself.")
        elif node is not None:
            try:
                self.scan = scanOfVolume(node)
            except SScILDError as error:
                self.scanError = str(error)
        case = ScoredCase.ofVolume(node) if node is not None and self.scan is not None else None
        if case is None or self.case is None or case.node is not self.case.node:
            self.case = case

    def forgetVolume(self) -> None:
        """Drops everything of the chosen CT and ends the worker (scene closing, module left for good)."""
        self.worker.stop()
        self._openedKey = None
        self.case = self.scan = None
        self.scanError = self.openError = ""

    def makeCase(self) -> ScoredCase:
        """The case of the chosen CT, made when there is none."""
        if self.case is None:
            self.case = ScoredCase.create(self.volumeNode)
        return self.case

    def otherNetwork(self) -> bool:
        """Whether the scores are from another network than the one chosen now."""
        result = self.case.result if self.case is not None else None
        chosen = self.parameters.sNet or self.defaultNetworks.get("s_net")
        return result is not None and chosen is not None and networkOf(result) != chosen

    def caseName(self) -> str:
        """The name of the results: the user's, else made from the volume's name."""
        given = self.parameters.caseName.strip()
        return safe_name(given or (self.volumeNode.GetName() if self.volumeNode is not None else ""))

    def takeResult(self, result) -> None:
        """Puts a result of the worker into the scene."""
        with slicer.util.RenderBlocker():
            self.makeCase().setResult(result)
        self.keep()
        self.showPattern()
        self.refresh()

    def showPattern(self) -> None:
        """Shows the heat maps that the settings ask for."""
        if self.case is not None and self.case.result is not None:
            p = self.parameters
            pattern = None if p.pattern == "off" else Pattern(p.pattern)
            self.case.showPattern(pattern, float(p.opacity), float(p.window))

    # ---- the worker ----------------------------------------------------------------------------------------------

    def key(self) -> tuple:
        """What the worker has to have opened for the present choices."""
        p = self.parameters
        return volumeState(self.volumeNode), contentState(self.lungsNode), p.lNet, p.sNet, p.device

    def open(self, searchAnew: bool = False) -> None:
        """Starts the worker, hands it the CT and lets it load its networks, unless it has done so already.

        Args:
            searchAnew: the levels will be asked for: the worker must not know an earlier answer.
        """
        if self.scan is None or self.missingPackages:
            return
        if searchAnew and self._foundBefore:
            self._openedKey = None
        if self._openedKey == self.key():  # a worker that ended opens again what it had open
            return
        self._openedKey, self.openError = self.key(), ""
        self._foundBefore = not searchAnew and self._earlierSearch() is not None
        self.worker.submit(self.onOpening(self._load))
        if not self.openError:
            self.worker.submit(self.onOpening(lambda session: session.warm()))

    def keep(self) -> None:
        """Notes that the worker knows the present lungs: it has made them itself."""
        if self._openedKey is not None and self.volumeNode is not None:
            self._openedKey = self.key()

    def reopen(self) -> None:
        """Lets the next :meth:`open` hand everything to the worker again."""
        self._openedKey = None

    def run(self, row, message: str, ask, onResult, onRetry, then=None, searchAnew=False, onPartial=None) -> Job:
        """Sends a user's request to the worker, with progress, cancel and errors in a section's row.

        Args:
            row: the :class:`~.job_row.JobRow`. message: what is shown first.
            ask: takes the remote session, returns the request's number.
            onResult: takes the answer. It changes the scene, all at once.
            onRetry: what "Try again" does. then: called after the work was cancelled or failed.
            searchAnew: see :meth:`open`.
            onPartial: takes what there is of the answer so far, where the request asks for that.
        """
        node, state = self.volumeNode, volumeState(self.volumeNode)

        def wanted() -> bool:
            here = slicer.mrmlScene.GetNodeByID(state[0]) is node and self.volumeNode is node
            return here and volumeState(node) == state

        def failed(sentence: str, details: str) -> None:
            sentence = first(self.openError, sentence, _("The worker process failed. Try again."))
            row.fail(sentence, onRetry, details)
            if then is not None:
                then()

        def cancelled() -> None:
            row.tell(_("Cancelled. Nothing was changed."))
            if then is not None:
                then()

        def unwanted() -> None:
            row.tell(_("The CT changed or was removed meanwhile; nothing was done."))
            if then is not None:
                then()
            self.refresh()

        def result(value) -> None:
            row.finish()
            onResult(value)

        row.start(message, self.cancel)
        self.open(searchAnew)
        job = Job(ask, result, row.progress, failed, cancelled, wanted, unwanted)
        if onPartial is not None:
            job.onPartial = onPartial
        return self.worker.submit(job)

    def cancel(self) -> None:
        """Stops whatever the worker does."""
        self.worker.cancel()
        self.refresh()

    def _load(self, session) -> int:
        lungs = None
        if self.lungsNode is not None:
            own = self.case is not None and self.lungsNode is self.case.lungsNode
            lungs = self.case.lungs if own else lungsOfNode(self.lungsNode, self.scan)
        p = self.parameters
        lNet = False if p.lNet == "anatomy" else p.lNet or None
        found = self._earlierSearch() if self._foundBefore else None
        return session.load(self.scan, lungs=lungs, l_net=lNet, s_net=p.sNet or None, device=p.device, found=found)

    def _earlierSearch(self):
        """What the case knows of the search for its levels, so that results keep its findings; None when nothing."""
        from ..session import FoundLevels

        case = self.case
        if case is None or case.levels is None or not case.findingsOfSearch:
            return None
        return FoundLevels(case.levels, case.anatomy, case.findingsOfSearch)

    # ---- reasons -------------------------------------------------------------------------------------------------

    def noScan(self) -> str:
        """Why there is no CT to work on, or an empty text."""
        if self.volumeNode is None:
            return _("Choose a CT volume first, or make the sample CT.")
        return self.scanError

    def noWork(self) -> str:
        """Why the worker cannot be asked for anything, or an empty text."""
        if self.missingPackages:
            names = ", ".join(package.name for package in self.missingPackages)
            return _("Some software is not installed yet: {names}. See the section Software below.").format(names=names)
        if self.busy():
            return _("Wait until the running step has finished, or cancel it.")
        return ""

    def noLevels(self) -> str:
        """Why there are no levels, or an empty text."""
        if self.case is None or self.case.levelPlanes is None:
            return _("Find the five levels first, or place them by hand.")
        return ""

    def noResult(self) -> str:
        """Why there are no scores, or an empty text."""
        return "" if self.case is not None and self.case.result is not None else _("Score the levels first.")

    def busy(self) -> bool:
        """Whether a step that a user started is running."""
        return self.sampling or any(row.running for row in self.rows)

    def levelsInUse(self) -> str:
        """Why the levels must stay where they are now, or an empty text."""
        if self.keepsLevels():
            return _("The running step works with these levels. Wait until it has finished, or cancel it.")
        return ""

    # ---- telling each other --------------------------------------------------------------------------------------

    rows: tuple = ()
    """The rows of the sections whose work excludes other work."""

    def onRefresh(self, function: Callable[[], None]) -> None:
        """Has ``function`` called by every :meth:`refresh`."""
        self._refreshers.append(function)

    def refresh(self, *_args) -> None:
        """Shows everything as it is now. Calls from within are dropped: whoever refreshes sees all."""
        if self._refreshing or self.parameters is None:
            return
        self._refreshing = True
        try:
            for function in self._refreshers:
                function()
        finally:
            self._refreshing = False

    @staticmethod
    def resource(name: str) -> Path:
        """A file of the folder ``Resources`` beside the library."""
        return Path(__file__).resolve().parents[2] / "Resources" / name
