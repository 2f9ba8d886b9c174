"""The study that is looked at: how its runs are getting on, pause and resume, and what came out."""

from __future__ import annotations

from html import escape
from pathlib import Path

import qt
from slicer.i18n import tr as _

from SScILDScoringLib.errors import SScILDError
from SScILDScoringLib.panel.enabling import allow, first
from SScILDScoringLib.panel.table_widgets import fitTable, prepareTable, setCell

from ..crossvalidation.looking import JobState, StudyLook
from ..processes import process_mark
from ..run_status import request
from ..runs import start_study, time_left_in_words
from .desk import TrainingDesk
from .known_runs import RunFacts
from .pictures_view import PicturesView, ShownPicture
from .state_words import stateName
from .texts import kindName
from .texts import stateName as runStateName

MOST_ROWS = 12
"""A study with more runs scrolls in its table."""


class StudyView:
    """Follows the current study; when the current run is none, the study that was looked at last.

    Args:
        desk: of the panel. ui: widgets of the section's .ui file.
    """

    def __init__(self, desk: TrainingDesk, ui) -> None:
        self.desk, self.ui = desk, ui
        self.pictures = PicturesView(ui, "study")
        self.look: StudyLook | None = None
        self.complaint = ""
        self.onJobChosen = lambda name: None  # replaced by who shows a run's curves
        self._listed: list[Path] = []
        self._filling = False
        self._reportRead: tuple | None = None
        self._resultsRead: tuple | None = None
        prepareTable(ui.studyJobsTable, _columns(), wide=0)
        ui.studyComboBox.currentIndexChanged.connect(self._onStudy)
        ui.studyPauseButton.clicked.connect(lambda *_args: self._order("pause"))
        ui.studyResumeButton.clicked.connect(self.goOn)
        ui.studyStopButton.clicked.connect(lambda *_args: self._order("stop"))
        ui.studyFolderButton.clicked.connect(self.openFolder)
        ui.studyReportButton.clicked.connect(self.openReport)
        ui.studyReportCheckBox.toggled.connect(self.update)
        ui.studyJobsTable.cellDoubleClicked.connect(self._onJob)
        ui.studyReportBrowser.setOpenExternalLinks(True)
        ui.studyReportBrowser.setWordWrapMode(qt.QTextOption.WordWrap)  # tables scroll; words are not cut in two
        font = qt.QFont(ui.studyReportBrowser.font)
        font.setPointSize(max(font.pointSize() - 2, 7))
        ui.studyReportBrowser.setFont(font)
        desk.onRefresh(self.update)
        desk.onTick(self.update)

    @property
    def run(self) -> RunFacts | None:
        """What the desk knows of the study; None when there is none."""
        studies = [run for run in self.desk.runs if run.kind != "training"]
        current = self.desk.currentRun
        chosen = next((run for run in studies if run.folder == current), None)
        if chosen is None and self.look is not None:
            chosen = next((run for run in studies if run.folder == self.look.folder), None)
        return chosen or (studies[0] if studies else None)

    # ---- what the buttons do ---------------------------------------------------------------------------------------

    def goOn(self, *_args) -> None:
        """Ends a pause, or starts the study again where it stood; finished runs are kept."""
        run = self.run
        if run.status is not None and run.status.state == "paused":
            self._order("resume")
            return
        self.complaint = ""
        try:
            start_study(run.kind, None, run.folder, resume=True)
        except SScILDError as error:
            self.complaint = str(error)
        self.desk.look(everything=True)
        self.desk.refresh()

    def _order(self, order: str) -> None:
        self.complaint = ""
        try:
            request(self.run.folder, order)
        except SScILDError as error:
            self.complaint = str(error)
        self.desk.look(everything=True)
        self.desk.refresh()

    def openFolder(self, *_args) -> None:
        """Opens the study's folder in the system's file manager."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.run.folder)))

    def openReport(self, *_args) -> None:
        """Opens the report with the system's viewer of Markdown files."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.look.report)))

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def update(self, *_args) -> None:
        """Shows the study as it is now."""
        if self.desk.parameters is None:
            return
        ui, run = self.ui, self.run
        self._list()
        ui.studyGroup.setVisible(run is not None)
        if run is None:
            return
        if self.look is None or self.look.folder != run.folder:
            self.look, self.complaint = StudyLook(run.folder), ""
            self._reportRead = self._resultsRead = None
        jobs = self.look.jobs()
        self._showState(run, jobs)
        self._showJobs(jobs)
        self._enable(run)
        self._showResults()
        self._showReport()

    def _list(self) -> None:
        """The known studies in their list, the one that is shown chosen."""
        combo, run = self.ui.studyComboBox, self.run
        studies = [known for known in self.desk.runs if known.kind != "training"]
        self._filling = True
        if [known.folder for known in studies] != self._listed:
            self._listed = [known.folder for known in studies]
            combo.clear()
            for known in studies:
                combo.addItem(f"{known.folder.name} – {kindName(known)}", str(known.folder))
        if run is not None:
            combo.setCurrentIndex(self._listed.index(run.folder))
        self._filling = False

    def _showState(self, run: RunFacts, jobs: tuple[JobState, ...]) -> None:
        ui, status = self.ui, run.status
        done = sum(job.state == "done" for job in jobs)
        words = [f"<b>{runStateName(run)}</b>"]
        if jobs:
            words.append(_("{done} of {count} runs done").format(done=done, count=len(jobs)))
        failed = sum(job.state == "failed" for job in jobs)
        if failed and not run.atWork:
            words.append(_("{count} failed: go on to try them again").format(count=failed))
        elif status is not None and status.state == "failed":
            words.append(escape(status.message))
        elif self._writing(run):
            words.append(_("writing tables and report"))
        if run.startError:
            words.append(escape(run.startError))
        text = "; ".join(words) + "."
        text += "".join(f"<br/><small>{escape(line)}</small>" for line in self.look.not_run())
        if self.complaint:
            text += f'<br/><font color="#b00018">{escape(self.complaint)}</font>'
        ui.studyStateLabel.setText(text)
        starting = run.starting or (status is not None and status.state == "preparing")
        ui.studyProgressBar.setVisible(run.atWork)
        ui.studyProgressBar.setRange(0, 0 if starting else 1000)
        ui.studyProgressBar.setValue(round(1000 * status.share) if status is not None else 0)

    def _showJobs(self, jobs: tuple[JobState, ...]) -> None:
        table = self.ui.studyJobsTable
        table.setVisible(bool(jobs))
        table.setRowCount(len(jobs))
        for row, job in enumerate(jobs):
            status, done = job.status, job.done
            step = f"{done.step} / {done.steps}" if done is not None else ""
            best = f"{done.validation_mae:.2f}" if done is not None and done.validation_mae is not None else ""
            if done is None and status is not None:
                step = f"{status.step} / {status.total_steps}" if status.total_steps else ""
                best = f"{status.best_mae:.2f}" if status.best_mae is not None else ""
            minutes = _("took {minutes} min").format(minutes=f"{done.minutes:.1f}") if done is not None else ""
            cells = (job.name, stateName(job.state), step, best, minutes or time_left_in_words(status))
            for column, text in enumerate(cells):
                faint = job.state == "waiting"
                bold = column == 1 and job.state in ("failed", "running")
                setCell(table, row, column, text, job.message, bold=bold, faint=faint, number=column in (2, 3))
        fitTable(table)
        if len(jobs) > MOST_ROWS:
            height = table.horizontalHeader().height + sum(table.rowHeight(row) for row in range(MOST_ROWS))
            table.setFixedHeight(height + 2 * table.frameWidth)
        scroll = qt.Qt.ScrollBarAsNeeded if len(jobs) > MOST_ROWS else qt.Qt.ScrollBarAlwaysOff
        table.setVerticalScrollBarPolicy(scroll)

    def _enable(self, run: RunFacts) -> None:
        ui, status = self.ui, run.status
        state = status.state if status is not None else ""
        gone = _("The folder {folder} is not there any more.").format(folder=run.folder) if run.known.missing else ""
        starting = _("The study is starting.") if run.starting else ""
        idle = _("No process is at work on this study.") if not run.atWork else ""
        paused = _("The study is paused.") if state == "paused" else ""
        allow(
            ui.studyPauseButton,
            first(gone, starting, idle, paused),
            _("The runs write a checkpoint and wait; no other run begins."),
        )
        allow(
            ui.studyStopButton,
            first(gone, starting, idle),
            _("Ends the runs at work, each after a checkpoint. What is finished is kept; it can be gone on with."),
        )
        working = _("The study is at work.") if run.atWork and state != "paused" else ""
        finished = _("The study is finished.") if state == "finished" else ""
        allow(
            ui.studyResumeButton,
            first(gone, starting, working, finished, self.desk.noSoftware() if state != "paused" else ""),
            _("Goes on where it stood. Runs that are finished are kept; failed ones are tried again."),
        )
        allow(ui.studyFolderButton, gone, _("Opens the study's folder."))

    def _writing(self, run: RunFacts) -> bool:
        """Whether all runs have ended and the study's process is at its tables."""
        status = run.status
        if status is None or status.at_work or not status.mark:
            return False
        return status.state in ("finished", "failed") and process_mark(status.pid) == status.mark

    def _showResults(self) -> None:
        """Result table and figures, when they were written anew."""
        ui, look = self.ui, self.look
        read = tuple(_changed(look.folder / name) for name in ("folds.csv", "comparison.csv", "agreement"))
        if read == self._resultsRead:
            self.pictures.update()
            return
        self._resultsRead = read
        found = look.results()
        for widget in (ui.studyResultTitle, ui.studyResultTable):
            widget.setVisible(found is not None)
        self.pictures.show([ShownPicture(_title(path), path) for path in look.figures()])
        if found is None:
            return
        ui.studyResultTitle.setText(_("Result so far") if self.run.atWork else _("Result"))
        table = ui.studyResultTable
        prepareTable(table, [(title, "") for title in found.columns], rows=len(found.rows), wide=0)
        for row, cells in enumerate(found.rows):
            whole = cells[0] == "all folds"
            for column, text in enumerate(cells):
                setCell(table, row, column, text, bold=whole, number=column > 0)
        fitTable(table)

    def _showReport(self) -> None:
        ui, report = self.ui, self.look.report
        wanted = bool(ui.studyReportCheckBox.checked)
        ui.studyReportCheckBox.setVisible(report is not None)
        ui.studyReportButton.setVisible(report is not None)
        ui.studyReportBrowser.setVisible(report is not None and wanted)
        if report is not None:
            allow(ui.studyReportButton, "", _("Opens {path}.").format(path=report))
        if report is None or not wanted:
            return
        read = (report, _changed(report))
        if read != self._reportRead:
            self._reportRead = read
            ui.studyReportBrowser.setMarkdown(report.read_text(encoding="utf-8"))

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _onStudy(self, *_args) -> None:
        index = self.ui.studyComboBox.currentIndex
        if not self._filling and 0 <= index < len(self._listed):
            self.desk.setCurrentRun(self._listed[index])

    def _onJob(self, row: int, _column: int) -> None:
        jobs = self.look.jobs()
        if row < len(jobs):
            self.desk.setCurrentRun(self.look.folder)
            self.onJobChosen(jobs[row].name)


def _columns() -> list[tuple[str, str]]:
    return [
        (_("Run"), _("Double-click a run to see its curves and its log above.")),
        (_("State"), ""),
        (_("Step"), _("Of a finished run: that of its weights.")),
        (_("Best"), _("Best validation error: percentage points, or mm for levels.")),
        (_("Time"), ""),
    ]


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _title(path: Path) -> str:
    """A figure's title, of its file's name: what is drawn, then the raters."""
    titles = {
        "bland_altman": _("Bland-Altman"),
        "box_plots": _("Box plots"),
        "confusion_tot": _("Confusion of TOT"),
        "confusion": _("Confusion"),
        "correlation": _("Correlation"),
        "distributions": _("Distribution of scores"),
        "forest": _("Measures with intervals"),
        "goh_stage": _("Goh stage"),
        "scatter": _("Scatter"),
        "comparison": _("Configurations compared"),
    }
    return next((title for start, title in titles.items() if path.stem.startswith(start)), path.stem.replace("_", " "))
