"""The section of the training: what is trained, how, where; what it will need; the start."""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from pathlib import Path

import ctk
import slicer
from slicer.i18n import tr as _

from SScILDScoringLib.errors import SScILDError
from SScILDScoringLib.panel.enabling import allow, first
from SScILDScoringLib.panel.job_row import JobRow
from SScILDScoringLib.panel.table_widgets import fitTable, prepareTable, setCell

from ..runs import overrides_for, presets, start_training
from .desk import TrainingDesk
from .own_configuration import ownPreset
from .parameter_node import RECIPES
from .run_place import DEFAULT_FOLDER, OWN, cacheFolder, holdsRun, runFolder, runName, runsFolder
from .settings import remember, remembered
from .texts import recipeName

CHOSEN_HERE = ("COHORT", "IMAGENET")
"""What a preset may need and the panel has a field for; presets that need more are for the command line."""


class RecipeSection:
    """From the choice of a preset to a training that runs.

    Args:
        cohort: the :class:`~.cohort_section.CohortSection`, which knows why a table will not do.
    """

    def __init__(self, desk: TrainingDesk, cohort) -> None:
        self.desk, self.ui, self.cohort = desk, desk.ui, cohort
        self.row = JobRow(desk.ui, "recipe")
        self.estimate: dict | None = None
        """What the estimate answered, see :func:`SScILDScoringTrainingLib.operations.estimating.estimate`."""
        self._estimated: tuple | None = None
        self._extra: tuple[tuple, tuple[str, ...]] = ((), ())  # choices, and overrides with which they fit
        self._filling = False
        self._presets = [p for p in presets() if p.recipe in RECIPES and _usable(p)]
        ui = desk.ui
        for recipe in RECIPES:
            ui.recipeComboBox.addItem(recipeName(recipe), recipe)
        ui.recipeComboBox.currentIndexChanged.connect(self._onRecipe)
        ui.presetComboBox.currentIndexChanged.connect(self._onPreset)
        ui.configEdit.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Readable
        ui.configEdit.nameFilters = [_("Configurations (*.yaml *.yml)")]
        ui.configEdit.currentPathChanged.connect(self._onConfig)
        ui.weightsEdit.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Readable
        ui.weightsEdit.nameFilters = [_("Weights (*.pth *.safetensors)"), _("All files (*)")]
        ui.weightsEdit.currentPathChanged.connect(self._onWeights)
        ui.runsFolderEdit.filters = ctk.ctkPathLineEdit.Dirs | ctk.ctkPathLineEdit.Writable
        ui.runsFolderEdit.currentPathChanged.connect(self._onRunsFolder)
        prepareTable(ui.estimateTable, [(_("It needs"), ""), (_("How much"), "")], wide=1)
        ui.estimateTable.horizontalHeader().setVisible(False)
        ui.estimateButton.clicked.connect(self.askForEstimate)
        ui.fitButton.clicked.connect(self.makeItFit)
        ui.startButton.clicked.connect(self.start)
        desk.onRefresh(self.refresh)

    # ---- settings ------------------------------------------------------------------------------------------------

    def fillIn(self, parameters) -> None:
        """Takes the folder of the runs that was used last, and the first preset, where the scene names none."""
        if not parameters.runsFolder:
            parameters.runsFolder = remembered("runsFolder") or str(Path.home() / DEFAULT_FOLDER)
        if not parameters.weights:
            parameters.weights = remembered("weights")
        self._chooseFirst(parameters)

    def showParameters(self) -> None:
        """Puts the settings into those fields that do not follow them by themselves."""
        p, ui = self.desk.parameters, self.ui
        self._chooseFirst(p)
        self._filling = True
        try:
            ui.recipeComboBox.setCurrentIndex(RECIPES.index(p.recipe))
            choices = self._of(p.recipe)
            ui.presetComboBox.clear()
            for preset in choices:
                ui.presetComboBox.addItem(preset.title, preset.name)
            ui.presetComboBox.addItem(_("A configuration of your own"), OWN)
            ui.presetComboBox.setCurrentIndex([*(preset.name for preset in choices), OWN].index(p.preset))
        finally:
            self._filling = False
        fields = ((ui.configEdit, p.configFile), (ui.weightsEdit, p.weights), (ui.runsFolderEdit, p.runsFolder))
        for field, text in fields:
            if field.currentPath != text:
                field.currentPath = text
        remember("weights", p.weights)
        remember("runsFolder", p.runsFolder)

    @property
    def preset(self):
        """The chosen preset, or the user's own configuration told as one; None when that is no configuration."""
        p = self.desk.parameters
        return None if p is None else ownPreset(p.configFile) if p.preset == OWN else self._chosen(p)

    # ---- what the buttons do -------------------------------------------------------------------------------------

    def askForEstimate(self, *_args, then: Callable[[], None] | None = None) -> None:
        """Has the worker try a step; ``then`` is called when its answer is there."""
        try:
            overrides, choices = self._overrides(), self._choices()
        except SScILDError as error:
            self.row.fail(str(error))
            return
        params = {
            "config": str(self.preset.path),
            "folder": str(runFolder(self.desk.parameters)),
            "overrides": list(overrides),
        }

        def done(answer: dict) -> None:
            self.estimate, self._estimated = answer, choices
            if then is not None:
                then()

        self.estimate = None
        message = _("Estimating memory, disk and time")
        self.desk.ask("estimate", params, self.row, message, done, lambda: self.askForEstimate(then=then))

    def makeItFit(self, *_args) -> None:
        """Takes the changes that the estimate suggests, and estimates again."""
        self._extra = (self._choices()[:-1], tuple(self.estimate["suggested"]))
        self.askForEstimate()

    def start(self, *_args) -> None:
        """Starts the training. What was not estimated yet is estimated first; what does not fit is asked about."""
        if not self._isEstimated():
            self.askForEstimate(then=self.start)
            return
        if self.estimate["warnings"]:
            question = "\n\n".join([*self.estimate["warnings"], _("Start it all the same?")])
            if not slicer.util.confirmYesNoDisplay(question, windowTitle=_("Training")):
                self.row.tell(_("Nothing was started."))
                return
        p = self.desk.parameters
        folder = runFolder(p)
        try:
            start_training(str(self.preset.path), folder, overrides=self._overrides())
        except SScILDError as error:
            self.row.fail(str(error), self.start)
            self.desk.refresh()
            return
        p.runName = ""
        self.desk.look(everything=True)
        self.desk.setCurrentRun(folder)
        self.row.tell(
            _("{name} was started. It goes on when Slicer is closed; section 3 shows how it gets on.").format(
                name=folder.name
            )
        )

    # ---- what is shown -------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Shows the chosen preset and the estimate, and enables what can be done."""
        desk, ui, p = self.desk, self.ui, self.desk.parameters
        preset = self.preset
        busy = desk.noWork() if desk.busy() else ""
        tips = {
            ui.recipeComboBox: _("L-Net finds the five levels, S-Net scores a slice and makes the heat maps."),
            ui.presetComboBox: _("A ready configuration. Everything in it can be changed with the command line."),
            ui.configEdit: _("A YAML file as 'sscild train' takes it; a copy of a preset is a good start."),
            ui.weightsEdit: _("torchvision's file of ImageNet weights; empty: it is downloaded once and checked."),
            ui.runsFolderEdit: _("Every training gets a folder of its own in this one."),
            ui.runNameEdit: _("Name of the run folder, and of the network that comes out of it."),
            ui.deviceComboBox: _("Where it is trained: auto takes a graphics card when there is one."),
        }
        for widget, toolTip in tips.items():
            allow(widget, busy, toolTip)
        ui.minutesSpinBox.setEnabled(bool(p.limitTime))
        ui.presetDescriptionLabel.setText(f"<small>{escape(preset.description)}</small>" if preset is not None else "")
        ui.presetDescriptionLabel.setVisible(preset is not None and bool(preset.description))
        for widget in (ui.configLabel, ui.configEdit):
            widget.setVisible(p.preset == OWN)
        needsWeights = preset is not None and "IMAGENET" in preset.needs
        ui.weightsLabel.setVisible(needsWeights)
        ui.weightsEdit.setVisible(needsWeights)
        ui.runNameEdit.setPlaceholderText(runName(p))
        reason = self._reason()
        allow(
            ui.estimateButton,
            first(reason, desk.noWork()),
            _("Tries a step with random numbers and says what the training needs. No scan is read."),
        )
        start = _("Starts the training in {folder}, in a process of its own.").format(folder=runFolder(p))
        if self.cohort.unchecked() and preset is not None and preset.needs_cohort:
            start += " " + _("The cohort table has not been checked yet.")
        allow(ui.startButton, first(reason, self._taken(), desk.noWork()), start)
        self._showEstimate(busy)

    def _showEstimate(self, busy: str) -> None:
        ui, shown = self.ui, self._isEstimated()
        warnings = list(self.estimate["warnings"]) if shown else []
        ui.estimateTable.setVisible(shown)
        lines = [f'<font color="#b00018">✖</font> <b>{escape(text)}</b>' for text in warnings]
        atWork = [run.folder.name for run in self.desk.runs if run.atWork]
        if shown and atWork:
            text = _("{names} is being trained now: both will be slower, and share the memory.")
            lines.append('<font color="#b06000">⚠</font> ' + escape(text.format(names=", ".join(atWork))))
        if shown and not warnings:
            lines.insert(0, '<font color="#2e7d32">✔</font> ' + _("It fits on this computer."))
        ui.estimateLabel.setText("<br/>".join(lines))
        ui.estimateLabel.setVisible(bool(lines))
        ui.fitButton.setVisible(shown and bool(self.estimate["suggested"]))
        allow(ui.fitButton, busy, _("The same training in less memory, a bit slower."))
        if shown:
            rows = self.estimate["rows"]
            ui.estimateTable.setRowCount(len(rows))
            for n, (what, howMuch) in enumerate(rows):
                setCell(ui.estimateTable, n, 0, what)
                setCell(ui.estimateTable, n, 1, howMuch)
            fitTable(ui.estimateTable)

    # ---- inside --------------------------------------------------------------------------------------------------

    def _reason(self) -> str:
        """Why the choices will not do for a training, or an empty text."""
        preset, p = self.preset, self.desk.parameters
        if preset is None:
            given = p.configFile.strip()
            if given and not Path(given).expanduser().is_file():
                return _("There is no file {path}.").format(path=given)
            text = _("{path} is no configuration of a training: its key recipe is levels or scores.")
            return text.format(path=given) if given else _("Choose the file of your configuration.")
        if preset.recipe != p.recipe:
            text = _("This configuration trains {one}, and {other} is chosen above.")
            return text.format(one=recipeName(preset.recipe), other=recipeName(p.recipe))
        unknown = [name for name in preset.needs if name not in CHOSEN_HERE and name not in os.environ]
        if unknown:
            text = _("The configuration needs the environment variable {name}, which is not set.")
            return text.format(name=unknown[0])
        if preset.needs_cohort and self.cohort.refusal(preset.recipe):
            return self.cohort.refusal(preset.recipe)
        weights = p.weights.strip()
        if "IMAGENET" in preset.needs and weights and not Path(weights).expanduser().is_file():
            return _("There is no file {path} with weights.").format(path=weights)
        return ""

    def _taken(self) -> str:
        """Why the run folder will not do, or an empty text."""
        folder = runFolder(self.desk.parameters)
        parent = runsFolder(self.desk.parameters)
        if holdsRun(folder):
            text = _("{folder} holds a run already. Give another name, or go on with that run in section 3.")
            return text.format(folder=folder)
        if parent.exists() and not (parent.is_dir() and os.access(parent, os.W_OK)):
            return _("{folder} is no folder that can be written to. Choose another one.").format(folder=parent)
        return ""

    def _overrides(self) -> tuple[str, ...]:
        """The choices as ``--set`` values. Raises SettingsError when something is missing."""
        p, preset = self.desk.parameters, self.preset
        given = overrides_for(
            preset,
            self.desk.table if preset.needs_cohort else None,
            device=p.device if p.device != "auto" else None,
            minutes=float(p.minutes) if p.limitTime else None,
            name=runName(p) if p.runName.strip() else None,
            weights=(p.weights.strip() or "imagenet") if "IMAGENET" in preset.needs else None,
            cache=cacheFolder(p),
        )
        return (*given, *self._choices()[-1])

    def _choices(self) -> tuple:
        """Everything that an estimate depends on; the last are the changes with which it fits."""
        p = self.desk.parameters
        table = str(self.desk.table)
        own = (p.configFile, _changed(p.configFile)) if p.preset == OWN else ()
        choices = (p.recipe, p.preset, own, table, p.weights, p.device, p.limitTime, p.minutes, str(runsFolder(p)))
        return (*choices, self._extra[1] if self._extra[0] == choices else ())

    def _isEstimated(self) -> bool:
        return self.estimate is not None and self._estimated == self._choices()

    def _of(self, recipe: str) -> list:
        return [preset for preset in self._presets if preset.recipe == recipe]

    def _chosen(self, parameters):
        return next((p for p in self._of(parameters.recipe) if p.name == parameters.preset), None)

    def _chooseFirst(self, parameters) -> None:
        """Takes the first preset of the recipe when the one of the settings is none of it."""
        if parameters.preset != OWN and self._chosen(parameters) is None:
            parameters.preset = next((preset.name for preset in self._of(parameters.recipe)), OWN)

    def _onRecipe(self, *_args) -> None:
        if not self._filling and self.desk.parameters is not None:
            self.desk.parameters.recipe = str(self.ui.recipeComboBox.currentData)

    def _onPreset(self, *_args) -> None:
        if not self._filling and self.desk.parameters is not None:
            self.desk.parameters.preset = str(self.ui.presetComboBox.currentData)

    def _onConfig(self, *_args) -> None:
        if self.desk.parameters is not None:
            self.desk.parameters.configFile = str(self.ui.configEdit.currentPath)

    def _onWeights(self, *_args) -> None:
        if self.desk.parameters is not None:
            self.desk.parameters.weights = str(self.ui.weightsEdit.currentPath)

    def _onRunsFolder(self, *_args) -> None:
        if self.desk.parameters is not None:
            self.desk.parameters.runsFolder = str(self.ui.runsFolderEdit.currentPath)


def _usable(preset) -> bool:
    """Whether everything that a preset needs can be chosen in the panel, or is in the environment."""
    return all(name in CHOSEN_HERE or name in os.environ for name in preset.needs)


def _changed(path: str) -> int:
    """When a file was written last; 0 when it is not there."""
    try:
        return Path(path.strip()).expanduser().stat().st_mtime_ns
    except OSError:
        return 0
