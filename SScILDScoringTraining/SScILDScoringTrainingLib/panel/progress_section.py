"""The section that follows the chosen run: how far it is, its curves, what the network sees, its log."""

from __future__ import annotations

from html import escape
from pathlib import Path

import qt
from slicer.i18n import tr as _

from SScILDScoringLib.panel.enabling import allow

from ..crossvalidation.looking import StudyLook
from ..run_status import RunStatus, read_status
from ..runs import Curves, log_tail, pictures, read_curves, time_left_in_words
from ..scene.curve_plots import errorUnit
from .curve_layout import CurveLayout
from .desk import TrainingDesk
from .pictures_view import PicturesView
from .section_file import loadSection
from .settings import remember, remembered
from .state_words import stateName

LOG_LINES = 300
_HIDE_CURVES = "HideCurves"


class ProgressSection:
    """Curves, current examples, log and time left of the current run, or of one run of the current study.

    What a user chooses here is about looking, not about training, so it is not kept in the scene.
    """

    def __init__(self, desk: TrainingDesk) -> None:
        self.desk = desk
        self.ui = ui = loadSection("Progress", desk.ui.progressContainer)
        self.layout = CurveLayout()
        self.pictures = PicturesView(ui, "progress")
        self._folder: Path | None = None  # the run that is shown
        self._study: StudyLook | None = None
        self._chosenJob: dict[Path, str] = {}
        self._filling = False
        self._curves, self._curvesRead = Curves(), None
        self._logRead: tuple | None = None
        ui.curvesCheckBox.setChecked(not remembered(_HIDE_CURVES))
        ui.curvesCheckBox.toggled.connect(self._onCurvesWanted)
        ui.logarithmicCheckBox.toggled.connect(self.update)
        ui.logCheckBox.toggled.connect(self.update)
        ui.progressJobComboBox.currentIndexChanged.connect(self._onJob)
        ui.openLogButton.clicked.connect(self.openLog)
        desk.onRefresh(self.update)
        desk.onTick(self.update)

    # ---- which run -------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path | None:
        """The run folder that is shown: the current run, or the chosen run of the current study."""
        return self._folder

    @property
    def curves(self) -> Curves:
        """The curves that are shown."""
        return self._curves

    def showJob(self, name: str) -> None:
        """Shows another run of the current study."""
        if self.desk.currentRun is not None:
            self._chosenJob[self.desk.currentRun] = name
            self.update()

    def _choose(self) -> None:
        """Finds the run to show, and fills the list of a study's runs."""
        run, ui = self.desk.run, self.ui
        isStudy = run is not None and run.kind != "training"
        if not isStudy:
            self._study = None
            folder = run.folder if run is not None else None
        else:
            if self._study is None or self._study.folder != run.folder:
                self._study = StudyLook(run.folder)
            jobs = self._study.jobs()
            names = [job.name for job in jobs]
            chosen = self._chosenJob.get(run.folder)
            if chosen not in names:  # follow the work: the run at work, else the last one that began
                begun = [job for job in jobs if job.state != "waiting"]
                working = next((job for job in jobs if job.status is not None and job.status.at_work), None)
                job = working or (begun[-1] if begun else None)
                chosen = job.name if job is not None else (names[0] if names else None)
            folder = next((job.folder for job in jobs if job.name == chosen), None)
            self._fillJobs(names, chosen)
        for widget in (ui.progressJobTitle, ui.progressJobComboBox):
            widget.setVisible(isStudy)
        if folder != self._folder:
            self._folder, self._curves = folder, Curves()
            self._curvesRead = self._logRead = None

    def _fillJobs(self, names: list[str], chosen: str | None) -> None:
        combo = self.ui.progressJobComboBox
        self._filling = True
        if names != [combo.itemText(n) for n in range(combo.count)]:
            combo.clear()
            combo.addItems(names)
        if chosen is not None:
            combo.setCurrentIndex(names.index(chosen))
        self._filling = False

    def _onJob(self, *_args) -> None:
        if not self._filling:
            self.showJob(str(self.ui.progressJobComboBox.currentText))

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def update(self, *_args) -> None:
        """Shows the run as it is now; reads only the files that have changed."""
        if self.desk.parameters is None:
            return
        self._choose()
        status = self._status()
        self._showStatus(status)
        self._showCurves()
        self.pictures.show(_pictures(self._folder))
        self._showLog()

    def leave(self) -> None:
        """The module is left, or the scene goes: the plots go, and the former layout comes back."""
        self.layout.leave()

    def openLog(self, *_args) -> None:
        """Opens the whole log with the system's editor."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._logFile())))

    def _status(self) -> RunStatus | None:
        if self._folder is not None and self._folder == self.desk.currentRun:
            return self.desk.status
        return read_status(self._folder) if self._folder is not None else None

    def _showStatus(self, status: RunStatus | None) -> None:
        run, ui = self.desk.run, self.ui
        ui.progressBar.setVisible(status is not None and (status.at_work or status.state in ("stopped", "interrupted")))
        if status is not None:
            busy = status.state == "preparing" and not status.step
            ui.progressBar.setRange(0, 0 if busy else 1000)
            ui.progressBar.setValue(round(1000 * min(max(status.share, 0.0), 1.0)))
        if run is None:
            text = _("No run yet. Start a training above: its curves, pictures and log appear here.")
        elif run.known.missing:
            text = self.desk.noRun()
        else:
            name = self._folder.name if self._folder is not None else run.folder.name
            text = f"<b>{escape(name)}</b>: " + self._inWords(run, status)
        ui.progressLabel.setText(text)

    def _inWords(self, run, status: RunStatus | None) -> str:
        if status is None:
            if run.startError:
                return escape(run.startError)
            if self._folder != run.folder:
                return _("not begun yet.")
            return _("the process is starting.") if run.starting else _("it has not begun.")
        parts = [stateName(status.state)]
        if status.total_steps:
            parts[0] += ", " + _("step {step} of {total}").format(step=status.step, total=status.total_steps)
        if status.state == "preparing" and status.message:
            parts[0] += ": " + escape(status.message)
        if status.state == "failed":
            parts.append(escape(status.message))
        if status.state == "interrupted":
            parts.append(_("its process ended without a word; resume it, or start it again"))
        if status.best_mae is not None:
            unit = _unitName(errorUnit(self._curves.validation))
            best = _("best validation error {mae} {unit} at step {step}")
            parts.append(best.format(mae=f"{status.best_mae:.2f}", unit=unit, step=status.best_step))
        left = time_left_in_words(status)
        if left:
            parts.append(escape(left))
        if status.samples_per_second and status.state == "running":
            parts.append(_("{speed} samples a second").format(speed=f"{status.samples_per_second:.3g}"))
        return "; ".join(parts) + "."

    def _showCurves(self) -> None:
        ui = self.ui
        path = self._folder / "curves.csv" if self._folder is not None else None
        changed = _changed(path)
        if changed != self._curvesRead:
            self._curvesRead = changed
            self._curves = read_curves(self._folder) if changed is not None else Curves()
        nothing = self._curves.empty
        rows = len(self._curves.train.get("step", ()))
        validations = len(self._curves.validation.get("step", ()))
        counted = _("Points of the loss: {rows}; validations: {validations}.").format(
            rows=rows, validations=validations
        )
        ui.curvesLabel.setText("" if nothing else f"<small>{counted}</small>")
        ui.curvesLabel.setVisible(not nothing)
        ui.logarithmicCheckBox.setEnabled(bool(ui.curvesCheckBox.checked) and not nothing)
        if nothing or not ui.curvesCheckBox.checked:
            self.layout.leave()
        else:
            self.layout.show(self._folder, self._curves, bool(ui.logarithmicCheckBox.checked))

    def _showLog(self) -> None:
        ui, wanted = self.ui, bool(self.ui.logCheckBox.checked)
        here = self._folder is not None and _changed(self._logFile()) is not None
        allow(ui.openLogButton, "" if here else _("The run has written no log yet."), _("Opens the whole log."))
        ui.logEdit.setVisible(wanted)
        if not wanted or self._folder is None:
            return
        read = (self._folder, _changed(self._folder / "log.txt"), _changed(self._folder / "console.txt"))
        if read == self._logRead:
            return
        self._logRead = read
        text = log_tail(self._folder, LOG_LINES) or _("Nothing has been written yet.")
        if text == ui.logEdit.plainText:
            return
        bar = ui.logEdit.verticalScrollBar()
        following, place = bar.value >= bar.maximum - 2, bar.value
        ui.logEdit.setPlainText(text)
        bar.setValue(bar.maximum if following else place)

    def _logFile(self) -> Path:
        log = self._folder / "log.txt"
        return log if log.is_file() else self._folder / "console.txt"

    def _onCurvesWanted(self, wanted: bool) -> None:
        remember(_HIDE_CURVES, "" if wanted else "yes")
        self.update()


def _changed(path: Path | None) -> tuple | None:
    """What changes whenever a file does; None when there is no file."""
    try:
        facts = path.stat() if path is not None else None
    except OSError:
        return None
    return (facts.st_mtime_ns, facts.st_size) if facts is not None else None


def _pictures(folder: Path | None) -> list:
    """What the run shows while it trains; figures of its evaluation stand in a section of their own."""
    if folder is None:
        return []
    return [picture for picture in pictures(folder) if picture.path.parent == folder]


def _unitName(unit: str) -> str:
    return _("mm") if unit == "mm" else _("percentage points")
