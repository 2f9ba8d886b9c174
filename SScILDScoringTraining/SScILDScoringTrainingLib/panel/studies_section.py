"""The section for cross-validation, ablation and comparisons: many trainings as one study, started and followed."""

from __future__ import annotations

from html import escape
from pathlib import Path

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from SScILDScoringLib.errors import SScILDError
from SScILDScoringLib.panel.enabling import allow, first
from SScILDScoringLib.results import safe_name

from ..runs import Preset, start_study
from .desk import TrainingDesk
from .run_place import cacheFolder, holdsRun, runsFolder
from .section_file import loadSection
from .study_choices import (
    FACTORS,
    KINDS,
    StudyChoice,
    bringsPhantoms,
    kindExplanation,
    kindTitle,
    ownFile,
    repeated,
)
from .study_view import StudyView
from .texts import deviceWord

_OWN = "own file"


class StudiesSection:
    """Chooses and starts a study; :class:`~.study_view.StudyView` follows the current one."""

    def __init__(self, desk: TrainingDesk) -> None:
        self.desk = desk
        self.ui = ui = loadSection("Studies", desk.ui.studiesContainer)
        self.view = StudyView(desk, ui)
        self.complaint = ""
        self._own: dict[str, Preset] = {}  # files of the user's own, by kind
        self._presets: tuple[Preset, ...] = ()
        self._filling = False
        for kind in KINDS:
            ui.studyKindComboBox.addItem(kindTitle(kind), kind)
        for text, test in ((_("every fold in turn"), ""), (_("the split test"), "test")):
            ui.studyAskedComboBox.addItem(text, test)
        for device in ("auto", "cpu", "cuda"):
            ui.studyDeviceComboBox.addItem(device, device)
        ui.studyWeightsEdit.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Readable
        self._fillPresets()
        ui.studyKindComboBox.currentIndexChanged.connect(self._onKind)
        ui.studyPresetComboBox.activated.connect(self._onPreset)
        for signal in (
            ui.studyAskedComboBox.currentIndexChanged,
            ui.studyNetworksEdit.textChanged,
            ui.studyNameEdit.textChanged,
            ui.studyWeightsEdit.currentPathChanged,
            *(box.toggled for box in self._factorBoxes()),
            *(spin.valueChanged for spin in (ui.studyFoldsSpinBox, ui.studySeedsSpinBox)),
        ):
            signal.connect(self._onChoice)
        ui.studyStartButton.clicked.connect(self.start)
        desk.onRefresh(self.refresh)

    # ---- what the buttons do ---------------------------------------------------------------------------------------

    def start(self, *_args) -> None:
        """Starts the study in a process of its own."""
        choice, folder = self.choice(), self.folder()
        self.complaint = ""
        try:
            options = choice.options()
            start_study(choice.kind, str(choice.preset.path), folder, overrides=choice.overrides(), options=options)
        except SScILDError as error:
            self.complaint = str(error)
            self.desk.refresh()
            return
        self.ui.studyNameEdit.setText("")
        self.desk.look(everything=True)
        self.desk.setCurrentRun(folder)

    def chooseFile(self) -> None:
        """Asks for a configuration or study file of the user's own."""
        title, kinds = _("A configuration of your own"), _("Configurations (*.yaml *.yml)")
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", kinds)
        path = path[0] if isinstance(path, tuple) else path
        if not path:
            self._fillPresets()
            return
        self.complaint = ""
        try:
            self._own[self.kind] = ownFile(path, self.kind)
        except SScILDError as error:
            self.complaint = str(error)
        self._fillPresets(self._own.get(self.kind))

    # ---- what is chosen --------------------------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """The chosen kind of study."""
        return str(self.ui.studyKindComboBox.currentData)

    @property
    def preset(self) -> Preset | None:
        """The chosen training; None when there is none for this kind."""
        index = self.ui.studyPresetComboBox.currentIndex
        return self._presets[index] if 0 <= index < len(self._presets) else None

    def choice(self) -> StudyChoice:
        """Everything that is chosen."""
        ui, p = self.ui, self.desk.parameters
        folds = int(ui.studyFoldsSpinBox.value)
        networks = [name.strip() for name in str(ui.studyNetworksEdit.text).split(",")]
        return StudyChoice(
            self.kind,
            self.preset,
            self.desk.table,
            folds=folds if folds > 1 else 0,
            test=str(ui.studyAskedComboBox.currentData or "") == "test" and self.kind != "folds",
            seeds=int(ui.studySeedsSpinBox.value),
            factors=tuple(f for f, box in zip(FACTORS, self._factorBoxes(), strict=True) if box.checked),
            networks=tuple(name for name in networks if name),
            weights=str(ui.studyWeightsEdit.currentPath).strip(),
            minutes=int(ui.studyMinutesSpinBox.value),
            device=str(ui.studyDeviceComboBox.currentData),
            parallel=int(ui.studyParallelSpinBox.value),
            cache=cacheFolder(p),
        )

    def name(self) -> str:
        """The name of the study's folder: the user's, else made of kind and preset, with a number when it is taken."""
        given = str(self.ui.studyNameEdit.text).strip()
        if given:
            return safe_name(given)
        base = safe_name(f"{self.kind}_{self.preset.name}" if self.preset is not None else self.kind)
        number, name = 1, base
        while (runsFolder(self.desk.parameters) / name).exists():
            number += 1
            name = f"{base}_{number}"
        return name

    def folder(self) -> Path:
        """Where the study will be."""
        return runsFolder(self.desk.parameters) / self.name()

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Shows what can be chosen for this kind of study, and whether it can be started."""
        desk, ui, kind, preset = self.desk, self.ui, self.kind, self.preset
        shownFor = {
            "Weights": preset is not None and (kind == "ablation" or "IMAGENET" in preset.needs),
            "Factors": kind == "ablation",
            "Networks": kind == "architectures",
            "Asked": kind in ("ablation", "architectures") and not (preset is not None and preset.is_study),
            "Folds": not self._isTest() and not (preset is not None and bringsPhantoms(preset)) and kind != "compare",
            "Seeds": kind != "folds",
        }
        for name, shown in shownFor.items():
            for widget in self._row(name):
                widget.setVisible(shown)
        described = [kindExplanation(kind)]
        if preset is not None and preset.description:
            described.append(escape(preset.description))
        ui.studyDescriptionLabel.setText("<small>" + "<br/>".join(described) + "</small>")
        ui.studyCohortLabel.setText(self._cohortText())
        ui.studyNameEdit.setPlaceholderText(self.name())
        reason = self._reason()
        text = _("Starts {runs}, in {folder}, in a process of its own that goes on when Slicer is closed.")
        start = text.format(runs=self.choice().inWords(), folder=self.folder()) if preset is not None else ""
        allow(ui.studyStartButton, first(reason, desk.noSoftware()), start)
        ui.studyStartLabel.setText(f'<font color="#b00018">{escape(self.complaint)}</font>' if self.complaint else "")
        ui.studyStartLabel.setVisible(bool(self.complaint))

    def _cohortText(self) -> str:
        preset, table = self.preset, self.desk.table
        if preset is not None and bringsPhantoms(preset):
            return _("phantoms, made by this software")
        if table is not None:
            return _("{name} of section 1").format(name=escape(table.name))
        if preset is not None and not preset.needs_cohort:
            return _("as the file says (none is chosen in section 1)")
        return _("none: choose a table in section 1")

    def _reason(self) -> str:
        """Why the study cannot be started, or an empty text."""
        preset, choice = self.preset, self.choice()
        if preset is None:
            return _("Choose a preset, or a configuration of your own.")
        table = self.desk.table
        if choice.needsTable and table is None:
            return _("Choose a cohort table in section 1 first.")
        if choice.usesTable and table is not None and not table.is_file():
            return _("There is no file {path}.").format(path=table)
        if self.kind == "ablation" and not choice.factors:
            return _("Choose at least one factor: DS, BS, PT.")
        if self.kind == "architectures" and not choice.networks and preset.recipe != "architectures":
            return _("Name the networks to compare with, such as resnet18.")
        if choice.weights and not Path(choice.weights).expanduser().is_file():
            return _("There is no file {path} with weights.").format(path=choice.weights)
        if holdsRun(self.folder()):
            return _("{folder} holds a run already. Give another name.").format(folder=self.folder())
        return ""

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _row(self, name: str) -> list:
        """Label and field of a row of the form."""
        ui = self.ui
        if name == "Factors":
            return [ui.studyFactorsLabel, ui.studyFactorsWidget]
        fields = {"Weights": "Edit", "Networks": "Edit", "Asked": "ComboBox", "Folds": "SpinBox", "Seeds": "SpinBox"}
        return [getattr(ui, f"study{name}Label"), getattr(ui, f"study{name}{fields[name]}")]

    def _factorBoxes(self) -> tuple:
        ui = self.ui
        return ui.studySynthesisCheckBox, ui.studyBalanceCheckBox, ui.studyPretrainingCheckBox

    def _isTest(self) -> bool:
        return str(self.ui.studyAskedComboBox.currentData or "") == "test" and self.kind != "folds"

    def _fillPresets(self, wanted: Preset | None = None) -> None:
        """The presets for the chosen kind, a file of the user's own, and the way to choose one."""
        own = self._own.get(self.kind)
        wanted = wanted or self.preset
        self._presets = (*repeated(self.kind), *([own] if own is not None else []))
        combo = self.ui.studyPresetComboBox
        self._filling = True
        combo.clear()
        for preset in self._presets:
            text = preset.path.name if preset is own else f"{preset.title} – {deviceWord(preset.device)}"
            combo.addItem(text, preset.name)
        combo.addItem(_("a configuration of your own..."), _OWN)
        combo.setCurrentIndex(self._presets.index(wanted) if wanted in self._presets else 0 if self._presets else -1)
        self._filling = False
        self.desk.refresh()

    def _onKind(self, *_args) -> None:
        self.complaint = ""
        self._fillPresets()

    def _onPreset(self, *_args) -> None:
        if self._filling:
            return
        if str(self.ui.studyPresetComboBox.currentData) == _OWN:
            self.chooseFile()
        self.desk.refresh()

    def _onChoice(self, *_args) -> None:
        self.desk.refresh()
