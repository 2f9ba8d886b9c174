"""The section of the runs: how each is getting on; pausing, resuming, stopping one."""

from __future__ import annotations

import platform
from html import escape
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SScILDScoringLib.errors import SScILDError
from SScILDScoringLib.panel.enabling import allow, first
from SScILDScoringLib.panel.table_widgets import prepareTable, setCell

from ..run_status import request
from ..runs import kill, start_study, start_training, time_left_in_words
from ..runs.start_record import read_record
from .cohort_tables import fitTo
from .desk import TrainingDesk
from .known_runs import RunFacts
from .run_place import isRun, kindOfFolder
from .texts import bestText, kindName, stateName

SHOWN_RUNS = 6


class RunsSection:
    """The list of known runs with buttons for the chosen one."""

    def __init__(self, desk: TrainingDesk) -> None:
        self.desk, self.ui = desk, desk.ui
        self._message = ""
        self._asked: dict[Path, tuple[str, str]] = {}  # order, and the state in which it was given
        self._shown: list[Path] = []
        self._filling = False
        ui = desk.ui
        prepareTable(ui.runsTable, _columns(), wide=0)
        ui.runsTable.itemSelectionChanged.connect(self._onSelection)
        ui.pauseButton.clicked.connect(self.pause)
        ui.resumeButton.clicked.connect(self.resume)
        ui.stopButton.clicked.connect(self.stop)
        ui.killButton.clicked.connect(self.kill)
        ui.openRunButton.clicked.connect(self.openFolder)
        ui.addRunButton.clicked.connect(self.add)
        ui.forgetButton.clicked.connect(self.forget)
        desk.onRefresh(self.refresh)

    # ---- what the buttons do -------------------------------------------------------------------------------------

    def pause(self, *_args) -> None:
        """Asks the chosen run to wait after its present step; its memory stays taken."""
        self._order("pause")

    def resume(self, *_args) -> None:
        """Lets a paused run go on; starts a process that goes on where a stopped or interrupted one ended."""
        run = self.desk.run
        if run.status is not None and run.status.at_work:
            self._order("resume")
            return
        try:
            self._startAgain(run)
        except SScILDError as error:
            self._say(str(error))
        else:
            self._asked.pop(run.folder, None)
            self._say("")
        self._look()

    def stop(self, *_args) -> None:
        """Asks the chosen run to end with a checkpoint, after asking the user."""
        run = self.desk.run
        question = _("Stop {name}? It keeps its last step and can be resumed later.").format(name=run.folder.name)
        if slicer.util.confirmYesNoDisplay(question, windowTitle=_("Training")):
            self._order("stop")

    def kill(self, *_args) -> None:
        """Ends the process of the chosen run at once, after asking the user."""
        run = self.desk.run
        question = _("End {name} at once? What it did since its last checkpoint is lost; Stop keeps it.")
        if not slicer.util.confirmYesNoDisplay(question.format(name=run.folder.name), windowTitle=_("Training")):
            return
        try:
            kill(run.folder)
        except SScILDError as error:
            self._say(str(error))
        self._look()

    def openFolder(self, *_args) -> None:
        """Opens the run folder in the system's file manager."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.desk.run.folder)))

    def add(self, *_args) -> None:
        """Asks for a run folder that is not in the list: of the command line, or of another computer."""
        text = str(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Add a run folder"), ""))
        if not text:
            return
        folder = Path(text)
        if not isRun(folder):
            self._say(_("{folder} holds no training and no study.").format(folder=folder))
            self.desk.refresh()
            return
        try:
            self.desk.registry.add(folder, kindOfFolder(folder))
        except SScILDError as error:
            self._say(str(error))
        else:
            self._say("")
            self.desk.look(everything=True)
            self.desk.setCurrentRun(folder)
        self.desk.refresh()

    def forget(self, *_args) -> None:
        """Takes the chosen run off the list; its folder stays."""
        run = self.desk.run
        try:
            self.desk.registry.forget(run.folder)
        except SScILDError as error:
            self._say(str(error))
        else:
            self._asked.pop(run.folder, None)
            self._say(_("{name} is off the list. Its folder stays: {folder}.").format(
                name=run.folder.name, folder=run.folder
            ))  # fmt: skip
            self.desk.parameters.currentRun = ""
        self._look()

    # ---- what is shown -------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Shows the list, the chosen run in words, and enables what can be done with it."""
        desk, ui, run = self.desk, self.ui, self.desk.run
        self._settle()
        self._fill()
        ui.runLabel.setText(self._inWords(run))
        message = " ".join(filter(None, (self._message, desk.complaint)))
        ui.runMessageLabel.setText(escape(message))
        ui.runMessageLabel.setVisible(bool(message))
        missing = desk.noRun()
        status = run.status if run is not None else None
        atWork = run is not None and run.atWork
        asked = self._pending(run)
        wait = _("It was asked to {order} and does so after the present step.").format(order=asked) if asked else ""
        idle = "" if atWork else _("No process is at work on this run.")
        starting = _("It is starting; wait until it has begun.") if run is not None and run.starting else ""
        paused = _("It is paused already.") if status is not None and status.state == "paused" else ""
        allow(
            ui.pauseButton,
            first(missing, idle, starting, wait, paused),
            _("Waits after the present step, and keeps a checkpoint of it."),
        )
        stopping = wait if asked == "stop" else ""
        allow(
            ui.stopButton,
            first(missing, idle, starting, stopping),
            _("Ends the training after the present step, with a checkpoint. It can be resumed later."),
        )
        ui.resumeButton.setText(_("Resume") if self._canGoOn(run) else _("Start again"))
        allow(ui.resumeButton, first(missing, starting, self._noResume(run)), self._resumeTip(run))
        elsewhere = status is not None and status.at_work and status.host != platform.node()
        other = _("It runs on another computer ({host}); end it there.").format(host=status.host) if elsewhere else ""
        allow(
            ui.killButton,
            first(missing, idle, other),
            _("The last resort, when Stop does not help: ends the process without a checkpoint."),
        )
        allow(ui.openRunButton, missing, _("Opens the run folder: configuration, curves, pictures, log."))
        chosen = "" if run is not None else _("Choose a run in the list.")
        working = _("A process is at work on it. Stop it first.") if atWork else ""
        allow(ui.forgetButton, first(chosen, working), _("Takes the run off this list. Its folder stays."))
        allow(ui.addRunButton, "", _("Adds a run folder that was made by the command line or on another computer."))

    def _fill(self) -> None:
        table, runs = self.ui.runsTable, self.desk.runs
        self._filling = True
        try:
            table.setVisible(bool(runs))
            table.setRowCount(len(runs))
            self._shown = [run.folder for run in runs]
            for n, run in enumerate(runs):
                for column, text in enumerate(self._cells(run)):
                    faint = run.known.missing
                    setCell(table, n, column, text, str(run.folder), faint=faint, number=column in (3, 4))
            current = self.desk.currentRun
            if current is not None and table.currentRow() != self._shown.index(current):
                table.selectRow(self._shown.index(current))
            fitTo(table, SHOWN_RUNS)
        finally:
            self._filling = False

    def _cells(self, run: RunFacts) -> tuple[str, ...]:
        status = run.status
        asked = {"pause": _("pausing"), "stop": _("stopping"), "resume": _("resuming")}.get(self._pending(run))
        if status is None or not status.total_steps:
            step = "–"
        elif run.kind == "training":
            step = f"{status.step} / {status.total_steps}"
        else:
            step = f"{100 * status.share:.0f} %"
        left = time_left_in_words(status).removesuffix(" left") if run.atWork and not run.starting else ""
        return run.folder.name, kindName(run), asked or stateName(run), step, bestText(run), left

    def _inWords(self, run: RunFacts | None) -> str:
        """The chosen run in a sentence or two."""
        if run is None:
            return _("No training was started yet. Runs of the command line are added with Add run.")
        name = f"<b>{escape(run.folder.name)}</b>: "
        if run.known.missing:
            return name + escape(self.desk.noRun())
        if run.starting:
            return name + _("starting; the libraries are being loaded.")
        if run.startError:
            return name + _("could not be started. {why}").format(why=escape(run.startError))
        if run.status is None:
            return name + _("nothing was started in this folder.")
        status, text = run.status, escape(run.status.in_words)
        if status.at_work and status.message and status.state != "paused":
            text += " " + escape(status.message) + ("" if status.message.endswith(".") else ".")
        if status.at_work and status.host and status.host != platform.node():
            text += " " + _("It runs on {host}.").format(host=escape(status.host))
        return name + text

    # ---- reasons -------------------------------------------------------------------------------------------------

    def _canGoOn(self, run: RunFacts | None) -> bool:
        """Whether resuming goes on with something (a paused process, a checkpoint), not from the beginning."""
        if run is None or run.kind != "training":
            return True
        return run.status is None or run.status.at_work or run.status.can_resume or run.finished

    def _noResume(self, run: RunFacts | None) -> str:
        """Why the chosen run cannot go on, or an empty text."""
        if run is None:
            return ""
        if run.finished:
            return _("It is finished.")
        asked = self._pending(run)
        if run.status is not None and run.status.at_work:
            if run.status.state == "paused" and asked != "resume":
                return ""
            if asked == "pause":
                return _("It was asked to pause and does so after the present step.")
            return _("It is at work.")
        if self.desk.noSoftware():
            return self.desk.noSoftware()
        begun = (run.folder / "config.yaml").is_file() or read_record(run.folder) is not None
        if run.kind == "training" and not begun:
            return _("There is no configuration in its folder. Forget it and start a new training in section 2.")
        return ""

    def _resumeTip(self, run: RunFacts | None) -> str:
        if run is not None and run.status is not None and run.status.state == "paused":
            return _("Lets the training go on.")
        if self._canGoOn(run):
            return _("Goes on from the last checkpoint, in a process of its own.")
        return _("There is no checkpoint yet: starts this training again from its beginning, with its configuration.")

    # ---- inside --------------------------------------------------------------------------------------------------

    @staticmethod
    def _startAgain(run: RunFacts) -> None:
        """Starts a process that goes on with a run, or begins it anew when it has no checkpoint yet."""
        if run.kind != "training":
            start_study(run.kind, None, run.folder, resume=True)
            return
        if (run.folder / "config.yaml").is_file():
            start_training(None, run.folder, resume=True)
            return
        asked = read_record(run.folder).asked
        start_training(asked["config"], run.folder, overrides=asked["overrides"])

    def _order(self, order: str) -> None:
        run = self.desk.run
        try:
            request(run.folder, order)
        except SScILDError as error:  # it ended just now
            self._say(str(error))
        else:
            self._asked[run.folder] = (order, run.status.state)
            self._say("")
        self._look()

    def _pending(self, run: RunFacts | None) -> str:
        """What a run was asked to do and has not done yet, or an empty text."""
        return self._asked[run.folder][0] if run is not None and run.folder in self._asked else ""

    def _settle(self) -> None:
        """Forgets orders that were obeyed, or that nobody is there any more to obey."""
        for folder, (order, before) in list(self._asked.items()):
            run = next((run for run in self.desk.runs if run.folder == folder), None)
            state = run.status.state if run is not None and run.status is not None else ""
            obeyed = {"pause": state == "paused", "resume": state != "paused" and state != before}.get(order, False)
            if run is None or not run.atWork or obeyed:
                del self._asked[folder]

    def _look(self) -> None:
        self.desk.look(everything=True)
        self.desk.refresh()

    def _say(self, message: str) -> None:
        self._message = message

    def _onSelection(self, *_args) -> None:
        n = self.ui.runsTable.currentRow()
        if not self._filling and 0 <= n < len(self._shown):
            self._message = ""
            self.desk.setCurrentRun(self._shown[n])


def _columns() -> list[tuple[str, str]]:
    return [
        (_("Run"), _("The run folder's name.")),
        (_("Trains"), ""),
        (_("State"), ""),
        (_("Step"), _("Steps of the optimiser, of how many; of a study the share that is done.")),
        (_("Best"), _("The smallest mean absolute error in validation: percentage points, or millimetres.")),
        (_("Left"), _("Expected time until the end.")),
    ]
