"""The section of the cohort: which table, what is wrong with it, what is in it."""

from __future__ import annotations

from html import escape

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from SScILDScoringLib.errors import Cancelled, SScILDError
from SScILDScoringLib.panel.enabling import allow, first
from SScILDScoringLib.panel.job_row import JobRow

from ..scene.cohort_case import openCase
from .cohort_creation import CohortCreation
from .cohort_tables import CasesTable, ProblemsTable
from .desk import TrainingDesk
from .pixmap_label import PixmapLabel
from .run_place import cacheFolder
from .settings import remember, remembered


class CohortSection:
    """Choosing a table, checking it, looking at its cases."""

    def __init__(self, desk: TrainingDesk) -> None:
        self.desk, self.ui = desk, desk.ui
        self.row = JobRow(desk.ui, "cohort")
        desk.track(self.row)
        self.answer: dict | None = None
        """What the check answered, see :func:`SScILDScoringTrainingLib.operations.cohort.check`; None before one."""
        self._checked: tuple | None = None
        self._seen: tuple | None = None
        self._cancelled = False
        ui = desk.ui
        self.problems = ProblemsTable(ui.problemsTable, self._onProblem)
        self.cases = CasesTable(ui.casesTable, self._onCase)
        self.pictures = {"figure": PixmapLabel(ui.scoresPicture), "levels_figure": PixmapLabel(ui.levelsPicture)}
        self.creation = CohortCreation(desk, self.row, self._created)
        ui.tableEdit.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Readable
        ui.tableEdit.nameFilters = [_("Cohort tables (*.csv)"), _("All files (*)")]
        ui.tableEdit.currentPathChanged.connect(self._onTable)
        ui.checkButton.clicked.connect(self.check)
        ui.showScanButton.clicked.connect(self.showScan)
        ui.openTableButton.clicked.connect(self.openTable)
        desk.onRefresh(self.refresh)
        desk.onTick(self._onTick)

    # ---- settings ------------------------------------------------------------------------------------------------

    def fillIn(self, parameters) -> None:
        """Takes the table that was used last where the scene names none."""
        if not parameters.table:
            parameters.table = remembered("table")

    def showParameters(self) -> None:
        """Puts the table of the settings into its field."""
        table = self.desk.parameters.table
        if self.ui.tableEdit.currentPath != table:
            self.ui.tableEdit.currentPath = table
        remember("table", table)

    def _onTable(self, *_args) -> None:
        if self.desk.parameters is not None:
            self.desk.parameters.table = str(self.ui.tableEdit.currentPath)

    # ---- what the buttons do -------------------------------------------------------------------------------------

    def check(self, *_args) -> None:
        """Has every scan of the table read."""
        p = self.desk.parameters
        state = self._state()
        params = {"table": str(self.desk.table), "exact": bool(p.exactScores), "cache": str(cacheFolder(p))}

        def done(answer: dict) -> None:
            self.answer, self._checked = answer, state
            self.problems.show(answer["problems"])
            self.cases.show(answer["rows"])
            for name, picture in self.pictures.items():
                picture.load(answer[name])

        self.answer = None
        self.desk.ask(
            "check_cohort", params, self.row, _("Starting"), done, self.check, wanted=lambda: self._state() == state
        )

    def showScan(self, *_args) -> None:
        """Loads the scan of the chosen case into the scene, with its five levels."""
        case = self.cases.selected()
        self._cancelled = False
        self.row.start(_("Reading the scan"), self._cancelReading)
        self.desk.refresh()
        try:
            _node, complaint = openCase(case["case"], case["scan"], case["levels_mm"], self._reading)
        except Cancelled:
            self.row.tell(_("Cancelled. Nothing was changed."))
        except SScILDError as error:
            text = _("{case} cannot be shown. {why}").format(case=case["case"], why=error)
            self.row.fail(text, self.showScan)
        else:
            text = _("{case} is loaded; its levels are seen in SSc-ILD Scoring.")
            if complaint:
                text = _("{case} is loaded, without its levels. {why}")
            self.row.tell(text.format(case=case["case"], why=complaint))
        finally:
            self.row.running = False
            self.desk.refresh()

    def openTable(self, *_args) -> None:
        """Opens the table in the program that the system has for such files."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.desk.table)))

    def _created(self, table: str) -> None:
        self.desk.parameters.table = table

    # ---- reasons -------------------------------------------------------------------------------------------------

    def noTable(self) -> str:
        """Why there is no table, or an empty text."""
        table = self.desk.table
        if table is None:
            return _("Choose a cohort table first (section 1), or make one from scored cases.")
        if not table.is_file():
            return _("There is no file {table}. Choose another cohort table.").format(table=table)
        return ""

    def refusal(self, recipe: str) -> str:
        """Why training of ``recipe`` would refuse the table, as far as that is known; else an empty text."""
        if self.noTable():
            return self.noTable()
        if self.answer is None or self._checked != self._state():
            return ""
        errors = [p for p in self.answer["problems"] if p["severity"] == "error"]
        if recipe == "levels":
            errors = [p for p in errors if not _aboutScores(p)]
        if errors:
            text = _("The table has errors ({count}): see section 1, correct them in the table and check it again.")
            return text.format(count=len(errors))
        if recipe == "scores" and not self.answer["summary"]["scored_slices"]:
            return _("The table has no scores (tot_1, gg_1, ret_1 ...): an S-Net cannot be trained on it.")
        return ""

    def unchecked(self) -> bool:
        """Whether there is a table that was not checked as it is now."""
        return not self.noTable() and (self.answer is None or self._checked != self._state())

    # ---- what is shown -------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Shows the last check and enables what can be done."""
        desk, ui = self.desk, self.ui
        busy = desk.noWork() if desk.busy() else ""
        allow(ui.tableEdit, busy, _("A CSV file with a row for each case: scan, levels, scores."))
        reads = _("Reads every scan of the table and tells everything that is wrong at once.")
        allow(ui.checkButton, first(self.noTable(), desk.noWork()), reads)
        allow(ui.openTableButton, self.noTable(), _("Opens the table in your spreadsheet program."))
        case = self.cases.selected()
        chosen = "" if case is not None else _("Choose a case in the table above.")
        if case is not None and not case["scan"]:
            chosen = _("The scan that the table names is not there.")
        allow(ui.showScanButton, first(chosen, busy), _("Loads the scan into the scene, with its five levels."))
        current = self.answer is not None and self._checked is not None and self._checked[0] == self._state()[0]
        for widget in (ui.casesTable, ui.showScanButton):
            widget.setVisible(current)
        problems = bool(current and self.answer["problems"])
        ui.problemsTable.setVisible(problems)
        ui.problemsLabel.setVisible(current)
        for picture in self.pictures.values():
            picture.setVisible(current and bool(desk.parameters.showPictures) and picture.loaded)
        ui.pictureCheckBox.setVisible(current and any(picture.loaded for picture in self.pictures.values()))
        self._showSummary(current)
        self.creation.refresh()

    def _showSummary(self, current: bool) -> None:
        ui = self.ui
        if not current:
            text = "" if self.desk.table is None else (self.noTable() or _("Not checked yet."))
            ui.cohortLabel.setText(escape(text))
            ui.cohortLabel.setVisible(bool(text) and not self.row.running)
            return
        lines = [_summary(self.answer["summary"])]
        if self._checked != self._state():
            same = self._checked[2] == self._state()[2]
            why = _("The choice about exact scores") if same else _("The table")
            text = _("{what} has changed since it was checked. Check it again.").format(what=why)
            lines.append(f"<b>{text}</b>")
        ui.cohortLabel.setText("<br/>".join(lines))
        ui.cohortLabel.setVisible(True)
        ui.problemsLabel.setText(_verdict(self.answer))

    # ---- inside --------------------------------------------------------------------------------------------------

    def _cancelReading(self) -> None:
        self._cancelled = True

    def _reading(self, _stage: str, fraction: float, message: str) -> None:
        self.row.progress(fraction, message)
        slicer.app.processEvents()
        if self._cancelled:
            raise Cancelled

    def _onProblem(self, problem: dict) -> None:
        """A problem was chosen: its case is shown."""
        self.cases.select(problem["row"])

    def _onCase(self) -> None:
        self.desk.refresh()

    def _onTick(self) -> None:
        """Somebody may have saved the table in a spreadsheet program."""
        seen, self._seen = self._seen, self._state()
        if self._seen != seen:
            self.desk.refresh()

    def _state(self) -> tuple:
        """What a check depends on: the table's path, its content as its time and size tell, how scores are taken."""
        table = self.desk.table
        try:
            facts = table.stat() if table is not None else None
        except OSError:
            facts = None
        exact = bool(self.desk.parameters.exactScores) if self.desk.parameters is not None else False
        return str(table), exact, (facts.st_mtime_ns, facts.st_size) if facts is not None else None


def _aboutScores(problem: dict) -> bool:
    return problem["column"].startswith(("tot_", "gg_", "ret_"))


def _summary(facts: dict) -> str:
    """The counts of a check as a sentence or two."""
    splits = ", ".join(f"{count} {escape(name)}" for name, count in facts["splits"].items())
    folds = _(", {count} folds").format(count=len(facts["folds"])) if facts["folds"] else ""
    text = _("<b>{table}</b>: {rows} cases, {patients} patients ({splits}{folds}).").format(
        table=escape(facts["table"]), rows=facts["rows"], patients=facts["patients"], splits=splits, folds=folds
    )
    if facts["scored_slices"]:
        more = _(" {slices} scored slices, {without} % of them without disease, mean TOT {tot} %.")
        text += more.format(
            slices=facts["scored_slices"],
            without=f"{facts['slices_without_disease_percent']:g}",
            tot=f"{facts['mean_tot_percent']:g}",
        )
    else:
        text += _(" No scores: it can train an L-Net only.")
    return text


def _verdict(answer: dict) -> str:
    """What is wrong, counted."""
    if not answer["problems"]:
        return '<font color="#2e7d32">✔</font> ' + _("Nothing is wrong.")
    errors, warnings = answer["summary"]["errors"], answer["summary"]["warnings"]
    counts = []
    if errors:
        text = _("1 error") if errors == 1 else _("{count} errors").format(count=errors)
        counts.append('<font color="#b00018">✖</font> ' + text)
    if warnings:
        text = _("1 warning") if warnings == 1 else _("{count} warnings").format(count=warnings)
        counts.append('<font color="#b06000">⚠</font> ' + text)
    hint = _("Choose one to see its case; correct them in the table and check again.")
    return ", ".join(counts) + ". " + hint
