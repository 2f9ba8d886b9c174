"""The panel of the module: its sections, and what happens when it is entered, left, and when the scene changes."""

from __future__ import annotations

from itertools import pairwise

import qt
import slicer
import vtk

from ..scene.blinded_case import isBlinded
from ..scene.case import ScoredCase
from ..scene.overlays import OVERLAY_ATTRIBUTE
from .case_views import CaseViews
from .desk import Desk
from .environment_section import EnvironmentSection
from .export_section import ExportSection
from .heat_maps_section import HeatMapsSection
from .input_section import InputSection
from .levels_section import LevelsSection
from .models_section import ModelsSection
from .reading_section import ReadingSection
from .scores_section import ScoresSection

_TAB_ORDER = (
    *("volumeSelector", "lungsSelector", "sampleButton", "layoutCheckBox", "inputCancelButton"),
    *("findLevelsButton", "placeByHandButton", "levelsCancelButton", "levels", "undoButton", "redoButton"),
    *("levelsVisibleCheckBox", "levelsLockedCheckBox"),
    *("scoreButton", "autoRescoreCheckBox", "scoresCancelButton", "scoresTable", "fvcCheckBox", "fvcSpinBox"),
    *("scoreEverySliceButton", "heatMapsButton", "eachLevelCheckBox", "heatMapsCancelButton"),
    *("offPatternButton", "totPatternButton", "ggPatternButton", "retPatternButton", "opacitySlider", "windowSlider"),
    *("thresholdTotSlider", "thresholdGgSlider", "thresholdRetSlider", "derivedTable"),
    *("resetThresholdsButton", "segmentationButton", "caseNameEdit", "folderEdit", "exportSegmentationCheckBox"),
    *("exportSceneCheckBox", "exportOverwriteCheckBox", "exportButton", "exportCancelButton", "openFolderButton"),
    *("readingFolderEdit", "readingReaderComboBox", "readingSessionComboBox", "readingStartButton"),
    *("lNetComboBox", "sNetComboBox", "modelsTable", "modelsCancelButton", "installFileButton", "installFolderButton"),
    *("removeModelButton", "modelCardButton", "environmentTable", "installButton", "checkAgainButton"),
    *("deviceComboBox", "workerLogButton", "restartWorkerButton"),
)
"""Names of widgets in the order in which the Tab key visits them; ``levels`` stands for the levels' rows."""


def activeVolume():
    """The CT that the user looks at already, to save a click; None when that is no CT."""
    node = slicer.app.applicationLogic().GetSelectionNode()
    volume = slicer.mrmlScene.GetNodeByID(node.GetActiveVolumeID() or "") if node is not None else None
    plain = volume is not None and volume.GetClassName() == "vtkMRMLScalarVolumeNode"
    ours = plain and (volume.GetAttribute(OVERLAY_ATTRIBUTE) is not None or isBlinded(volume))
    return volume if plain and not ours else None


class ScoringPanel:
    """What :class:`SScILDScoringWidget` hands everything to.

    Args:
        widget: the ScriptedLoadableModuleWidget; the panel is added to its layout. logic: of the module.
    """

    def __init__(self, widget, logic) -> None:
        self.widget, self.logic = widget, logic
        self.entered = False
        self.desk: Desk | None = None
        self._guiTag = None
        self._parameterTag = None
        self._volumeTags: list[tuple] = []
        self._seen: dict[str, object] = {}
        self._applying = False

    # ---- life ------------------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Builds the panel; needs neither main window nor layout, and starts nothing."""
        top = slicer.util.loadUI(self.widget.resourcePath("UI/SScILDScoring.ui"))
        self.widget.layout.addWidget(top)
        self.top = top
        self.ui = slicer.util.childWidgetVariables(top)
        top.setMRMLScene(slicer.mrmlScene)
        self.desk = desk = Desk(self.widget, self.logic, self.ui)
        self.views = CaseViews(desk)
        self.input = InputSection(desk)
        self.levels = LevelsSection(desk, self.views)
        self.scores = ScoresSection(desk, self.views, self.levels)
        self.heatMaps = HeatMapsSection(desk)
        self.export = ExportSection(desk)
        self.models = ModelsSection(desk)
        self.reading = ReadingSection(desk)
        self.environment = EnvironmentSection(desk)
        self.sections = (self.input, self.levels, self.scores, self.heatMaps, self.export, self.models)
        rows = (self.levels.row, self.scores.row, self.heatMaps.row, self.export.row)
        desk.rows = (*rows, self.models.row, self.environment.row)
        desk.keepsLevels = self._keepsLevels
        self._setTabOrder()
        slicer.app.aboutToQuit.connect(self._stopWorker)
        scene = slicer.mrmlScene
        self.widget.addObserver(scene, scene.StartImportEvent, self._onSceneStartImport)  # removed by the widget
        self.models.reload()
        self._setParameterNode(self.logic.getParameterNode())
        self.environment.check()

    def enter(self) -> None:
        """The module is shown: settings, observers and layout as they were left."""
        self.entered = True
        self.environment.check()
        self.models.reload()
        self._setParameterNode(None)
        parameters = self.logic.getParameterNode()
        parameters.Modified()  # see onSceneEndImport: a scene may have come while nobody looked
        if parameters.inputVolume is None and not self.reading.active:
            parameters.inputVolume = activeVolume()
        self._setParameterNode(parameters)
        self.desk.worker.resume()

    def exit(self) -> None:
        """The module is left: the former layout comes back, nothing is observed any more. Running work goes on."""
        self.entered = False
        self.reading.suspend()
        self.desk.worker.hold()
        self.levels.stopObserving()
        self.views.leave()
        self._setParameterNode(None)

    def cleanup(self) -> None:
        """The module goes for good: the worker ends."""
        if self.desk is None:
            return
        self.exit()
        slicer.app.aboutToQuit.disconnect(self._stopWorker)
        self.reading.finish()
        self.models.stop()
        self.desk.forgetVolume()

    def onSceneStartClose(self) -> None:
        """Everything in the scene goes: the worker ends, nothing is held."""
        self.reading.suspend()
        self.levels.stopObserving()
        self.views.leave()
        for row in (*self.desk.rows, self.input.row):
            row.finish()
        self.desk.forgetVolume()
        self._setParameterNode(None)

    def onSceneEndClose(self) -> None:
        """The scene is empty: the panel starts anew, if somebody looks at it."""
        if self._isEntered():
            self._setParameterNode(self.logic.getParameterNode())
            self.desk.worker.resume()

    def _onSceneStartImport(self, _caller, _event) -> None:
        """A scene comes in, its settings before their nodes: selectors must not answer to half of it."""
        self.reading.suspend()
        self.desk.worker.hold()
        self.levels.stopObserving()
        self._setParameterNode(None)

    def onSceneEndImport(self) -> None:
        """A scene was loaded: its settings and its case are shown."""
        if not self._isEntered():
            return
        parameters = self.logic.getParameterNode()
        self._setParameterNode(None)
        parameters.Modified()  # it read its nodes when they were not in the scene yet, and only a change makes it look
        cases = ScoredCase.allIn(slicer.mrmlScene)
        for case in cases:
            case.afterLoading()
        if parameters.inputVolume is None and cases and not self.reading.active:
            parameters.inputVolume = cases[-1].volumeNode
        self._setParameterNode(parameters)
        self.desk.worker.resume()

    # ---- settings ----------------------------------------------------------------------------------------------------

    def _setParameterNode(self, parameters) -> None:
        desk = self.desk
        if parameters is desk.parameters:
            return
        if desk.parameters is not None:
            desk.parameters.disconnectGui(self._guiTag)
            desk.parameters.RemoveObserver(self._parameterTag)
            self._unobserveVolume()
        desk.parameters = parameters
        self._seen = {}
        self.heatMaps.forget()
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            self._parameterTag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onParameters)
            self._onParameters()

    def _onParameters(self, *_args) -> None:
        """Some settings changed: does what follows from them."""
        desk = self.desk
        if self._applying or desk.parameters is None:
            return
        self._applying = True
        try:
            p = desk.parameters
            if self._changed("volume", p.inputVolume, p.lungs, p.lNet, p.sNet, p.device):
                self._volumeChosen()
            if self._changed("layout", p.useLayout):
                self.views.showCase()
            for section in self.sections:
                section.showParameters()
        finally:
            self._applying = False
        desk.refresh()

    def _changed(self, name: str, *values) -> bool:
        changed = self._seen.get(name) != values
        self._seen[name] = values
        return changed

    def _volumeChosen(self) -> None:
        """Another CT, other lungs or networks: shows its case and prepares the worker."""
        desk = self.desk
        former = desk.case
        self._unobserveVolume()
        desk.chooseVolume()
        desk.worker.dropUnwanted()
        if former is not desk.case:
            self.levels.stopObserving()
        node = desk.volumeNode
        if node is not None and self.entered:
            for event in (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, node.TransformModifiedEvent):
                self._volumeTags.append((node, node.AddObserver(event, self._onVolumeModified)))
        if self.entered:
            self.views.showCase()
            desk.open()
        desk.refresh()

    def _onVolumeModified(self, *_args) -> None:
        qt.QTimer.singleShot(0, self._volumeModifiedLater)

    def _volumeModifiedLater(self) -> None:
        if self.desk.parameters is not None:
            self._volumeChosen()

    def _unobserveVolume(self) -> None:
        for node, tag in self._volumeTags:
            node.RemoveObserver(tag)
        self._volumeTags = []

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _isEntered(self) -> bool:
        return self.entered or bool(getattr(self.widget.parent, "isEntered", False))

    def _keepsLevels(self) -> bool:
        desk = self.desk
        others = (row for row in desk.rows if row is not self.scores.row)
        return desk.sampling or self.scores.keepsLevels or any(row.running for row in others)

    def _stopWorker(self, *_args) -> None:
        self.reading.finish()
        self.models.stop()
        self.desk.worker.stop()

    def _setTabOrder(self) -> None:
        order = []
        for name in _TAB_ORDER:
            order += self.levels.table.widgetsInOrder() if name == "levels" else [getattr(self.ui, name)]
        for before, after in pairwise(order):
            qt.QWidget.setTabOrder(before, after)
