"""The section for a finished run: how well its network agrees with the reference, and using it for scoring."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SScILDScoringLib.panel.enabling import allow, first
from SScILDScoringLib.panel.job_row import JobRow
from SScILDScoringLib.panel.table_widgets import fitTable, prepareTable, setCell

from ..runs import read_evaluation
from .desk import TrainingDesk
from .pictures_view import PicturesView, ShownPicture
from .section_file import loadSection

SCORING_MODULE = "SScILDScoring"
BEST, LAST = "best", "last"
HELD_OUT, TABLE = "", "table"


class EvaluationSection:
    """Evaluates the current run on cases it has not seen, and packs its network for the scoring module."""

    def __init__(self, desk: TrainingDesk) -> None:
        self.desk = desk
        self.ui = ui = loadSection("Evaluation", desk.ui.evaluationContainer)
        self.row, self.useRow = JobRow(ui, "evaluation"), JobRow(ui, "useModel")
        self.pictures = PicturesView(ui, "evaluation")
        self.packed: dict[Path, dict] = {}  # what was installed since the panel was opened, by run folder
        self.result: dict | None = None  # of the current run's evaluation, in this session or an earlier one
        self._read: tuple | None = None
        ui.evaluationWeightsComboBox.addItem(_("the best on the validation cases"), BEST)
        ui.evaluationWeightsComboBox.addItem(_("those at the end"), LAST)
        ui.evaluationDataComboBox.addItem(_("held out by the run itself"), HELD_OUT)
        ui.evaluationDataComboBox.addItem(_("of the cohort table in section 1"), TABLE)
        for text, split in (
            (_("test, or validation when there is none"), ""),
            (_("test"), "test"),
            (_("validation"), "validation"),
        ):
            ui.evaluationSplitComboBox.addItem(text, split)
        for combo in (ui.evaluationWeightsComboBox, ui.evaluationDataComboBox):
            combo.currentIndexChanged.connect(self._onChoice)
        ui.evaluateButton.clicked.connect(self.evaluate)
        ui.evaluationPageButton.clicked.connect(self.openPage)
        ui.modelNameEdit.textChanged.connect(self._onChoice)
        ui.useModelButton.clicked.connect(self.use)
        ui.saveModelButton.clicked.connect(self.save)
        ui.openScoringButton.clicked.connect(self.openScoring)
        ui.openModelCardButton.clicked.connect(self.openCard)
        desk.onRefresh(self.refresh)
        desk.onTick(self.pictures.update)

    # ---- what the buttons do ---------------------------------------------------------------------------------------

    def evaluate(self, *_args) -> None:
        """Asks the run's network about cases that it has not seen."""
        ui, folder = self.ui, self.desk.currentRun
        params = {"run": str(folder), "last": self._last()}
        if str(ui.evaluationDataComboBox.currentData or "") == TABLE:
            params["table"] = str(self.desk.table)
            split = str(ui.evaluationSplitComboBox.currentData or "")
            params |= {"split": split} if split else {}

        def done(_values: dict) -> None:
            self._read = None  # what was written is read from the run's folder, as it will be after a restart

        self.desk.ask("evaluate", params, self.row, _("Evaluating the network"), done, self.evaluate)

    def use(self, *_args) -> None:
        """Packs the run's network and installs it for the scoring module; asks before it replaces one."""
        name = self._name()
        if name in _installed():
            question = _("A network called {name} is installed already. Replace it?").format(name=name)
            if not slicer.util.confirmYesNoDisplay(question, windowTitle=_("Use this model")):
                return
        self._use(name, replace=True)

    def _use(self, name: str, replace: bool) -> None:
        folder = self.desk.currentRun
        params = {"run": str(folder), "last": self._last(), "name": name, "install": True, "replace": replace}
        params["default"] = bool(self.ui.modelDefaultCheckBox.checked)

        def done(values: dict) -> None:
            self.packed[folder] = {**values, "default": params["default"]}

        message = _("Packing and checking the network")
        self.desk.ask("pack", params, self.useRow, message, done, lambda: self._use(name, replace))

    def save(self, *_args) -> None:
        """Packs the run's network into a folder of the user's choice, to be given to others."""
        title = _("Save the network in a folder")
        chosen = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, "")
        if not chosen:
            return
        name = self._name()
        target, replace = Path(str(chosen)) / name, False
        if target.exists():
            question = _("{folder} is there already. Replace it?").format(folder=target)
            if not slicer.util.confirmYesNoDisplay(question, windowTitle=title):
                return
            replace = True
        self._save(name, target, replace)

    def _save(self, name: str, target: Path, replace: bool) -> None:
        params = {"run": str(self.desk.currentRun), "last": self._last(), "name": name}
        params |= {"output": str(target), "install": False, "replace": replace}

        def done(_values: dict) -> None:
            said = _("The network is in {folder}. Others install it in their scoring module, section Networks.")
            self.useRow.tell(said.format(folder=target))

        self.desk.ask(
            "pack",
            params,
            self.useRow,
            _("Packing and checking the network"),
            done,
            lambda: self._save(name, target, replace),
        )

    def openPage(self, *_args) -> None:
        """Opens the report of the evaluation."""
        page = self._page()
        if page is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))

    def openCard(self, *_args) -> None:
        """Opens the page about the network that was installed."""
        packed = self.packed.get(self.desk.currentRun)
        if packed:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(packed["card"])))

    def openScoring(self, *_args) -> None:
        """Goes to the scoring module, with the installed network chosen there."""
        packed = self.packed.get(self.desk.currentRun)
        if not packed:
            return
        parameters = slicer.util.getModuleWidget(SCORING_MODULE).logic.getParameterNode()
        setattr(parameters, {"s_net": "sNet", "l_net": "lNet"}[packed["kind"]], packed["name"])
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule(SCORING_MODULE)

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Shows what is known of the current run's network, and enables what can be done with it."""
        desk, ui = self.desk, self.ui
        folder, blocked = desk.currentRun, self._noNetwork()
        name = folder.name if folder is not None else ""
        ui.evaluationRunLabel.setText(blocked or _("The network of <b>{name}</b>.").format(name=escape(name)))
        ui.evaluationWeightsComboBox.setEnabled(not blocked)
        ui.evaluationDataComboBox.setEnabled(not blocked)
        own = str(ui.evaluationDataComboBox.currentData or "") == TABLE
        for widget in (ui.evaluationSplitLabel, ui.evaluationSplitComboBox):
            widget.setVisible(own)
        table = _("Choose a cohort table in section 1 first.") if own and desk.table is None else ""
        allow(
            ui.evaluateButton,
            first(blocked, desk.noWork(), table),
            _("Asks the network about cases it was not trained on and compares its answers with the reference."),
        )
        self._showResult(folder)
        page = self._page()
        allow(
            ui.evaluationPageButton,
            "" if page is not None else _("Evaluate the network first."),
            _("Opens the report: all measures with intervals, and what they mean."),
        )
        self._refreshUse(blocked)

    def _showResult(self, folder: Path | None) -> None:
        """Table and figures of the last evaluation, read again when it was written anew."""
        ui, read = self.ui, (folder, _changed(folder))
        if read == self._read:
            return
        self._read = read
        self.result = values = read_evaluation(folder) if folder is not None else None
        figures = values["figures"] if values is not None else ()
        self.pictures.show([ShownPicture(f["title"], Path(f["path"])) for f in figures])
        for widget in (ui.evaluationTable, ui.evaluationDataLabel, ui.evaluationRemarksLabel):
            widget.setVisible(values is not None)
        if values is None:
            return
        weights = _("those at the end") if values["last"] else _("the best ones")
        about = _("{data}. Weights: {weights}, of step {step}.")
        text = about.format(data=str(values["data"]).rstrip("."), weights=weights, step=values["step"])
        ui.evaluationDataLabel.setText(escape(text))
        columns, rows = [str(c) for c in values["columns"]], values["rows"]
        prepareTable(ui.evaluationTable, [(c, "") for c in columns], rows=len(rows), wide=0)
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                setCell(ui.evaluationTable, row, column, str(text), number=column > 0)
        fitTable(ui.evaluationTable)
        remarks = "<br/>".join(escape(str(r)) for r in values["remarks"])
        ui.evaluationRemarksLabel.setText(f"<small>{remarks}</small>")
        ui.evaluationRemarksLabel.setVisible(bool(remarks))

    def _refreshUse(self, blocked: str) -> None:
        desk, ui = self.desk, self.ui
        folder = desk.currentRun
        ui.modelNameEdit.setPlaceholderText("" if blocked else _bundleName(folder))
        reason = first(blocked, desk.noWork(), self._noName())
        allow(
            ui.useModelButton,
            reason,
            _("Packs the network with its model card, checks it, and installs it: the scoring module then offers it."),
        )
        allow(ui.saveModelButton, reason, _("Packs the network into a folder that others can install from."))
        ui.modelNameEdit.setEnabled(not blocked)
        ui.modelDefaultCheckBox.setEnabled(not blocked)
        packed = self.packed.get(folder) if not blocked else None
        for widget in (ui.useModelLabel, ui.openScoringButton, ui.openModelCardButton):
            widget.setVisible(packed is not None)
        if packed is not None:
            ui.useModelLabel.setText(_installedText(packed))
            allow(ui.openModelCardButton, "", _("Opens the page about the network: its data, accuracy and limits."))

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _noNetwork(self) -> str:
        """Why there is no network to evaluate or to use, or an empty text."""
        run = self.desk.run
        if run is None or run.known.missing:
            return self.desk.noRun()
        if run.kind != "training":
            return _(
                "This is a study: its results are in the section Cross-validation and ablation. Choose a single "
                "training run in section 3."
            )
        if run.atWork:
            return _("The run is at work. Wait until it has finished, or stop it.")
        if not any((run.folder / "checkpoints" / name).is_file() for name in ("best.pt", "last.pt")):
            return _("The run has no network yet: it ended before its first checkpoint.")
        if not self._last() and not (run.folder / "checkpoints" / "best.pt").is_file():
            return _("The run was never validated: choose the weights at the end.")
        return ""

    def _noName(self) -> str:
        from SScILDScoringLib.models.metadata import valid_name

        good = valid_name(self._name())
        return "" if good else _("A network's name has letters, digits, dots, dashes and underscores only.")

    def _name(self) -> str:
        """What the network will be called: the user's, else that of the run's configuration."""
        given = str(self.ui.modelNameEdit.text).strip()
        return given or _bundleName(self.desk.currentRun)

    def _last(self) -> bool:
        return str(self.ui.evaluationWeightsComboBox.currentData) == LAST

    def _page(self) -> Path | None:
        """The report of the run's evaluation."""
        page = Path(self.result["page"]) if self.result is not None and self.result.get("page") else None
        return page if page is not None and page.is_file() else None

    def _onChoice(self, *_args) -> None:
        self.desk.refresh()


def _changed(folder: Path | None) -> int | None:
    """What changes whenever a run is evaluated; None when it never was."""
    try:
        return (folder / "evaluation" / "evaluation.json").stat().st_mtime_ns if folder is not None else None
    except OSError:
        return None


def _bundleName(folder: Path | None) -> str:
    """The name that the run's configuration gives its network, or the folder's."""
    if folder is None:
        return ""
    try:
        text = (folder / "config.yaml").read_text(encoding="utf-8")
    except OSError:
        return folder.name
    found = re.search(r"^bundle:\n(?:  .*\n)*?  name: *[\"']?([^\"'\n]+)", text, re.MULTILINE)
    return found[1].strip() if found else folder.name


def _installed() -> set[str]:
    """Names of the networks in the user's own folder."""
    from SScILDScoringLib.models import list_bundles

    return {entry.name for entry in list_bundles(verify=False) if entry.place == "user"}


def _installedText(packed: dict) -> str:
    text = _("<b>{name}</b> {version} is installed; the module SSc-ILD Scoring offers it.")
    said = text.format(name=escape(str(packed["name"])), version=escape(str(packed["version"])))
    if packed["default"]:
        said += " " + _("It is used for scoring when no other is chosen.")
    remarks = "<br/>".join(escape(str(r)) for r in packed.get("remarks", ()))
    return said + (f"<br/><small>{remarks}</small>" if remarks else "")
