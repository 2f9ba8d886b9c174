"""What the sections of the panel share: the cohort table, the known runs, the chosen run, the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import qt
from slicer.i18n import tr as _

from SScILDScoringLib.errors import SScILDError
from SScILDScoringLib.panel.enabling import first
from SScILDScoringLib.panel.worker_bridge import Job, WorkerBridge

from ..run_status import RunStatus
from ..runs import RunRegistry
from . import packages
from .known_runs import KnownRuns, RunFacts
from .training_session import connect

TICK_MS = 1000


class TrainingDesk:
    """The panel's common ground. Sections read from it, and call :meth:`refresh` after they changed something.

    A section gets the desk, builds its widgets (those of the panel are in :attr:`ui`; a section with an .ui file of
    its own adds it to ``ui.progressContainer.layout()`` and so on, which is there already), tells the desk what to call
    with :meth:`onRefresh` (something changed: show it, enable what can be done) and :meth:`onTick` (a second has gone
    by and the runs were looked at), and asks the worker with :meth:`ask`.

    Args:
        widget: the ScriptedLoadableModuleWidget. logic: of the module. ui: the widgets of the .ui file, by name.
    """

    def __init__(self, widget, logic, ui) -> None:
        self.widget, self.logic, self.ui = widget, logic, ui
        self.parameters = None
        """The settings in the scene (TrainingParameters), or None while the module is not shown."""
        self.registry = RunRegistry()
        self.worker = WorkerBridge(self.refresh, connect)
        self.missingPackages = packages.missing()
        self.complaint = ""
        """Why the list of runs cannot be read or was begun anew, or an empty text."""
        self._runs = KnownRuns(self.registry)
        self._rows: list = []
        self._refreshers: list[Callable[[], None]] = []
        self._tickers: list[Callable[[], None]] = []
        self._refreshing = False
        self._timer = qt.QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self.tick)

    # ---- the cohort ----------------------------------------------------------------------------------------------

    @property
    def table(self) -> Path | None:
        """The chosen cohort table; None when none is chosen. It need not be there."""
        text = self.parameters.table.strip() if self.parameters is not None else ""
        return Path(text).expanduser() if text else None

    # ---- runs ----------------------------------------------------------------------------------------------------

    @property
    def runs(self) -> tuple[RunFacts, ...]:
        """The known runs and studies, newest first, as they were looked at last."""
        return self._runs.runs

    @property
    def currentRun(self) -> Path | None:
        """The folder of the run or study that is looked at: the chosen one, else one at work, else the newest."""
        chosen = self.parameters.currentRun if self.parameters is not None else ""
        if chosen and self._runs.of(Path(chosen)) is not None:
            return Path(chosen)
        working = next((run for run in self.runs if run.atWork), None)
        found = working or next(iter(self.runs), None)
        return found.folder if found is not None else None

    def setCurrentRun(self, folder: Path | str | None) -> None:
        """Chooses the run to look at; None: let the desk choose. Folders that are not known yet are looked up."""
        if self.parameters is None:
            return
        text = str(folder) if folder is not None else ""
        if folder is not None and self._runs.of(Path(text)) is None:
            self.look()
        if self.parameters.currentRun != text:
            self.parameters.currentRun = text
        self.refresh()

    @property
    def run(self) -> RunFacts | None:
        """Everything known about the current run; None when there is none."""
        return self._runs.of(self.currentRun)

    @property
    def status(self) -> RunStatus | None:
        """The status of the current run, as it was looked at last; None without a run, and before it wrote one."""
        return self.run.status if self.run is not None else None

    def look(self, everything: bool = False) -> bool:
        """Reads the list of runs and their states; whether anything changed."""
        try:
            changed = self._runs.look(self.currentRun, everything=everything)
            complaint = self.registry.complaint
        except SScILDError as error:
            changed, complaint = False, str(error)
        changed = changed or complaint != self.complaint
        self.complaint = complaint
        return changed

    # ---- the worker ----------------------------------------------------------------------------------------------

    def ask(
        self,
        op: str,
        params: Mapping,
        row,
        message: str,
        onResult: Callable[[object], None],
        onRetry: Callable[[], None],
        then: Callable[[], None] | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Job:
        """Has the worker do a short job, with progress, cancel and errors in a section's row.

        One job runs at a time: while :meth:`busy`, buttons that ask are disabled with :meth:`noWork` as their reason.

        Args:
            op: the operation, see :mod:`SScILDScoringTrainingLib.operations`. params: plain values.
            row: a :class:`~SScILDScoringLib.panel.job_row.JobRow`. message: what it shows first.
            onResult: takes the answer (plain values). onRetry: what "Try again" does.
            then: called after the job was cancelled or failed. wanted: asked before the answer is used.
        """
        if row not in self._rows:
            self._rows.append(row)

        def ended() -> None:
            if then is not None:
                then()
            self.refresh()

        def failed(sentence: str, details: str) -> None:
            row.fail(first(sentence, _("The worker process failed. Try again.")), onRetry, details)
            ended()

        def cancelled() -> None:
            row.tell(_("Cancelled. Nothing was changed."))
            ended()

        def unwanted() -> None:
            row.finish()
            ended()

        def result(value) -> None:
            row.finish()
            onResult(value)
            self.refresh()

        row.start(message, self.cancel)
        row.progress(-1, message)
        job = Job(
            lambda session: session.request(op, params), result, row.progress, failed, cancelled, wanted, unwanted
        )
        self.worker.submit(job)
        self.refresh()
        return job

    def cancel(self) -> None:
        """Stops the job that is running. Trainings are processes of their own and go on."""
        self.worker.cancel()

    def busy(self) -> bool:
        """Whether a job that a user started is running. Trainings do not count."""
        return any(row.running for row in self._rows)

    def track(self, row) -> None:
        """Counts a row whose work is not done by the worker (an installation) as a job too."""
        if row not in self._rows:
            self._rows.append(row)

    # ---- reasons -------------------------------------------------------------------------------------------------

    def noSoftware(self) -> str:
        """Why nothing can be computed on this computer, or an empty text."""
        if not self.missingPackages:
            return ""
        names = ", ".join(package.name for package in self.missingPackages)
        return _("Some software is not installed yet: {names}. See the section Software below.").format(names=names)

    def noWork(self) -> str:
        """Why the worker cannot be asked for anything now, or an empty text."""
        if self.busy():
            return _("Wait until the running step has finished, or cancel it.")
        return self.noSoftware()

    def noRun(self) -> str:
        """Why there is no run to do anything with, or an empty text."""
        run = self.run
        if run is None:
            return _("Choose a run in the list of section 3, or start a training first.")
        if run.known.missing:
            return _("The folder {folder} is not there any more.").format(folder=run.folder)
        return ""

    # ---- telling each other --------------------------------------------------------------------------------------

    def onRefresh(self, function: Callable[[], None]) -> None:
        """Has ``function`` called by every :meth:`refresh`."""
        self._refreshers.append(function)

    def onTick(self, function: Callable[[], None]) -> None:
        """Has ``function`` called every second while the module is shown, after the runs were looked at."""
        self._tickers.append(function)

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

    def tick(self, *_args) -> None:
        """Looks at the runs and lets the sections follow them; called by the timer."""
        if self.parameters is None:
            return
        if self.look():
            self.refresh()
        for function in self._tickers:
            function()

    def startTicking(self) -> None:
        """The module is shown: everything is read anew, and then every second."""
        self.look(everything=True)
        self._timer.start()

    def stopTicking(self) -> None:
        """The module is not shown: nothing is read any more."""
        self._timer.stop()
