"""The section of the scores: five levels, the patient's extent, the Goh stage, the whole lung."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..levels import Level
from ..results import ScanResult
from ..scores import PATTERNS, goh_stage
from .desk import Desk
from .enabling import allow, first
from .findings_view import FindingsView, aboutScores
from .job_row import JobRow
from .table_widgets import fitTable, prepareTable, setCell
from .texts import levelNames, levelTitle, levelToolTip, stageName, stageReason


class ScoresSection:
    """Scoring the levels, again after a move, and every slice.

    Args:
        views: of the case, to show the table. onScored: called after new scores are in the scene.
    """

    def __init__(self, desk: Desk, views, levels) -> None:
        self.desk, self.ui, self.views, self.levels = desk, desk.ui, views, levels
        self.row = JobRow(desk.ui, "scores")
        self.findings = FindingsView(desk.ui.scoresFindingsLabel, aboutScores)
        self._scoring = None  # the running request that a move of a level replaces
        self._replaceable = False  # whether the running request is such a one
        levels.onLevelMoved = self.levelMoved
        ui = desk.ui
        prepareTable(ui.scoresTable, _columns(), rows=6, wide=0)
        ui.scoreButton.clicked.connect(self.score)
        ui.scoreEverySliceButton.clicked.connect(self.scoreEverySlice)
        ui.scoresTable.cellDoubleClicked.connect(self._onCell)
        desk.onRefresh(self.refresh)

    # ---- what the buttons do ---------------------------------------------------------------------------------------

    def score(self, *_args) -> None:
        """Scores what is not scored yet."""
        self._replaceable = True
        self._scoring = self._ask(_("Scoring the levels"), self.score)

    def scoreEverySlice(self, *_args) -> None:
        """Scores every slice with lung, for the profile along the body."""
        self._replaceable = False
        self._ask(_("Scoring every slice"), self.scoreEverySlice, every_slice=True)

    def levelMoved(self) -> None:
        """A level is somewhere else: scores it again when that is wanted and there are scores."""
        desk = self.desk
        replaced = self._dropScoring()
        stale = desk.case.staleLevels()
        wanted = replaced or (desk.parameters.autoRescore and not desk.noResult())
        if wanted and stale and not first(desk.noScan(), desk.noWork()):
            message = _("Scoring {levels}").format(levels=levelNames(stale))
            self._replaceable = True
            self._scoring = self._ask(message, self.score)
        else:
            desk.refresh()

    @property
    def keepsLevels(self) -> bool:
        """Whether the levels must stay while the present step runs."""
        return self.row.running and not self._replaceable

    def fvcPercent(self) -> float | None:
        """Forced vital capacity in percent predicted, or None when it is not known."""
        p = self.desk.parameters
        return float(p.fvcPercent) if p.fvcKnown else None

    def showParameters(self) -> None:
        """Takes the forced vital capacity over into the result."""
        result = self.desk.case.result if self.desk.case is not None else None
        if result is not None and result.fvc_percent != self.fvcPercent():
            self.desk.case.setFvc(self.fvcPercent())

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Shows the scores as they are."""
        desk, ui = self.desk, self.ui
        result = desk.case.result if desk.case is not None else None
        stale = desk.case.staleLevels() if result is not None else set()
        blocked = first(desk.noScan(), desk.noLevels(), desk.noWork())
        current = result is not None and not desk.otherNetwork()
        done = _("All levels are scored where they are now.") if current and not stale else ""
        again = _("Scores the five levels again, with the network chosen now.")
        usual = _("Scores the five levels where they are now.")
        allow(ui.scoreButton, first(blocked, done), again if desk.otherNetwork() else usual)
        profiled = _("Every slice is scored already.") if current and result.profile is not None else ""
        allow(
            ui.scoreEverySliceButton,
            first(blocked, profiled),
            _("Scores every slice that holds lung and plots the scores along the body. Takes longer."),
        )
        ui.fvcSpinBox.setEnabled(bool(desk.parameters.fvcKnown))
        self._showTable(result, stale)
        self._showStage(result, stale)
        self._showModels(result)
        self.findings.show(result.findings if result is not None else ())

    def _showTable(self, result: ScanResult | None, stale: set[Level]) -> None:
        table = self.ui.scoresTable
        again = _("moved: score again")
        if self.row.running:
            again = _("moved: being scored")
        for row, level in enumerate(Level):
            old = level in stale
            setCell(table, row, 0, f"L{level:d} {levelTitle(level)}", levelToolTip(level), faint=old)
            scores = result.scores[row] if result is not None else None
            for column in range(3):
                text = f"{scores.reported[column]} %" if scores is not None else "–"
                exact = _("The network said {value} %.").format(value=f"{scores.raw[column]:.1f}") if scores else ""
                setCell(table, row, 1 + column, text, exact, faint=old, number=True)
            state = again if old else (_("scored") if scores is not None else _("not scored"))
            setCell(table, row, 4, state, "", faint=old)
        setCell(table, 5, 0, _("Extent (mean)"), _("Mean of the five levels."), bold=True, faint=bool(stale))
        for column in range(3):
            text = f"{result.extent[column]:.0f} %" if result is not None else "–"
            setCell(table, 5, 1 + column, text, "", bold=True, faint=bool(stale), number=True)
        setCell(table, 5, 4, _("out of date") if stale else "", "", faint=bool(stale))
        fitTable(table)

    def _showStage(self, result: ScanResult | None, stale: set[Level]) -> None:
        ui, fvc = self.ui, self.fvcPercent()
        ui.stageLabel.setVisible(result is not None)
        ui.wholeLungLabel.setVisible(result is not None and result.profile is not None)
        if result is None:
            return
        tot = result.extent[0]
        text = _("<b>Goh stage: {stage}.</b> {reason}").format(
            stage=stageName(goh_stage(tot, fvc)), reason=stageReason(tot, fvc)
        )
        if stale:
            text += " <i>" + _("Out of date: {levels} moved since.").format(levels=levelNames(stale)) + "</i>"
        ui.stageLabel.setText(text)
        if result.profile is not None:
            whole = dict(zip(("tot", "gg", "ret"), (f"{v:.0f}" for v in result.profile.extent), strict=True))
            ui.wholeLungLabel.setText(_("Whole lung: TOT {tot} %, GG {gg} %, RET {ret} %").format(**whole))

    def _showModels(self, result: ScanResult | None) -> None:
        models = result.models if result is not None else ()
        lines = [f"{m.name} {m.version}" + ("" if m.validated else " (" + _("not validated") + ")") for m in models]
        self.ui.modelsUsedLabel.setText(
            "<small>" + _("Scored by {models}").format(models=", ".join(lines)) + "</small>"
        )
        self.ui.modelsUsedLabel.setVisible(bool(lines))

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _ask(self, message: str, onRetry, **options):
        desk = self.desk
        levels, fvc, name = desk.case.levels, self.fvcPercent(), desk.caseName()
        job = desk.run(
            self.row,
            message,
            lambda session: session.score(levels, case=name, fvc_percent=fvc, **options),
            self._scored,
            onRetry,
        )
        desk.refresh()
        return job

    def _scored(self, result: ScanResult) -> None:
        self._scoring = None
        self.desk.takeResult(result)
        self.views.showTable()

    def _dropScoring(self) -> bool:
        """Forgets a running request for scores; tells whether there was one."""
        running = self._replaceable and self._scoring is not None and self.row.running
        if running:
            self.desk.worker.drop(self._scoring)
            self.row.finish()
        self._scoring = None
        return running

    def _onCell(self, row: int, _column: int) -> None:
        if row < len(Level) and not self.desk.noLevels():
            self.levels.jump(Level(row + 1))


def _columns() -> list[tuple[str, str]]:
    toolTips = {
        "tot": _("Total disease extent in percent of the slice's lung, to the nearest 5 %."),
        "gg": _("Ground-glass opacity in percent of the slice's lung, to the nearest 5 %."),
        "ret": _("Reticulation in percent of the slice's lung, to the nearest 5 %."),
    }
    patterns = [(p.value.upper(), toolTips[p.value]) for p in PATTERNS]
    return [(_("Level"), _("Double-click a row to show its slice.")), *patterns, (_("State"), "")]
