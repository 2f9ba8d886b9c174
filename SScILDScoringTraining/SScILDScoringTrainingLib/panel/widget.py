"""The panel of the module: its sections, and what happens when it is entered, left, and when the scene changes."""

from __future__ import annotations

from itertools import pairwise

import qt
import slicer
import vtk

from .cohort_section import CohortSection
from .desk import TrainingDesk
from .evaluation_section import EvaluationSection
from .progress_section import ProgressSection
from .recipe_section import RecipeSection
from .runs_section import RunsSection
from .software_section import SoftwareSection
from .studies_section import StudiesSection

_TAB_ORDER = (
    *("tableEdit", "checkButton", "openTableButton", "exactCheckBox", "createBox", "cohortCancelButton"),
    *("problemsTable", "casesTable", "showScanButton", "pictureCheckBox"),
    *("recipeComboBox", "presetComboBox", "configEdit", "weightsEdit", "runsFolderEdit", "runNameEdit"),
    *("deviceComboBox", "minutesCheckBox", "minutesSpinBox", "estimateButton", "startButton"),
    *("recipeCancelButton", "fitButton", "runsTable", "pauseButton", "resumeButton", "stopButton", "killButton"),
    *("openRunButton", "addRunButton", "forgetButton"),
    *("progressContainer", "evaluationContainer", "studiesContainer"),
    *("softwareTable", "installButton", "checkAgainButton", "workerLogButton", "restartWorkerButton"),
)
"""Names of widgets in the order in which the Tab key visits them; what holds others stands for them."""


def tabStops(widget) -> list:
    """The widget if the Tab key stops at it, and those inside it that it stops at, in their order."""
    inside = [child for child in widget.children() if child.isWidgetType()]
    own = [widget] if int(widget.focusPolicy) & int(qt.Qt.TabFocus) else []
    if own and not widget.inherits("QGroupBox"):
        return own  # what a spin box or a table is made of belongs to it
    return own + [stop for child in inside for stop in tabStops(child)]


class TrainingPanel:
    """What :class:`SScILDScoringTrainingWidget` hands everything to.

    Args:
        widget: the ScriptedLoadableModuleWidget; the panel is added to its layout. logic: of the module.
    """

    def __init__(self, widget, logic) -> None:
        self.widget, self.logic = widget, logic
        self.entered = False
        self.desk: TrainingDesk | None = None
        self.sections: tuple = ()
        """Those with settings in the scene: they fill in what it leaves open, and show what it says."""
        self._guiTag = None
        self._parameterTag = None
        self._applying = False

    # ---- life ------------------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Builds the panel; needs neither main window nor layout, and starts nothing."""
        top = slicer.util.loadUI(self.widget.resourcePath("UI/SScILDScoringTraining.ui"))
        self.widget.layout.addWidget(top)
        self.top = top
        self.ui = slicer.util.childWidgetVariables(top)
        top.setMRMLScene(slicer.mrmlScene)
        self.desk = desk = TrainingDesk(self.widget, self.logic, self.ui)
        self.cohort = CohortSection(desk)
        self.recipe = RecipeSection(desk, self.cohort)
        self.runs = RunsSection(desk)
        self.progress = ProgressSection(desk)
        self.evaluation = EvaluationSection(desk)
        self.studies = StudiesSection(desk)
        self.studies.view.onJobChosen = self.progress.showJob
        self.software = SoftwareSection(desk)
        self.sections = (self.cohort, self.recipe)
        self._setTabOrder()
        slicer.app.aboutToQuit.connect(self._stopWorker)
        self.software.check()

    def enter(self) -> None:
        """The module is shown: settings as they were left, runs as they are now."""
        self.entered = True
        self.software.check()
        self._show()

    def exit(self) -> None:
        """The module is left: nothing is looked at any more. Trainings, and the job that is running, go on."""
        self.entered = False
        self.desk.stopTicking()
        self.progress.leave()
        self.desk.worker.hold()
        self._setParameterNode(None)

    def cleanup(self) -> None:
        """The module goes for good: the worker ends, trainings go on."""
        if self.desk is None:
            return
        self.exit()
        slicer.app.aboutToQuit.disconnect(self._stopWorker)
        self.desk.worker.stop()

    def onSceneStartClose(self) -> None:
        """Everything in the scene goes, the settings among it; runs and the running job do not."""
        self.desk.stopTicking()
        self.progress.leave()
        self.desk.worker.hold()
        self._setParameterNode(None)

    def onSceneEndClose(self) -> None:
        """The scene is empty: the panel starts anew, if somebody looks at it."""
        if self._isEntered():
            self._show()

    def onSceneEndImport(self) -> None:
        """A scene was loaded: its settings are shown."""
        if self._isEntered():
            self._setParameterNode(None)
            self._show()

    # ---- settings ----------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        self._setParameterNode(self.logic.getParameterNode())
        self.desk.startTicking()
        self.desk.worker.resume()
        self.desk.refresh()

    def _setParameterNode(self, parameters) -> None:
        desk = self.desk
        if parameters is desk.parameters:
            return
        if desk.parameters is not None:
            desk.parameters.disconnectGui(self._guiTag)
            desk.parameters.RemoveObserver(self._parameterTag)
        desk.parameters = parameters
        if parameters is not None:
            for section in self.sections:
                section.fillIn(parameters)
            self._guiTag = parameters.connectGui(self.ui)
            self._parameterTag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onParameters)
            self._onParameters()

    def _onParameters(self, *_args) -> None:
        """Some settings changed: does what follows from them."""
        if self._applying or self.desk.parameters is None:
            return
        self._applying = True
        try:
            for section in self.sections:
                section.showParameters()
        finally:
            self._applying = False
        self.desk.refresh()

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _isEntered(self) -> bool:
        return self.entered or bool(getattr(self.widget.parent, "isEntered", False))

    def _stopWorker(self, *_args) -> None:
        self.desk.worker.stop()

    def _setTabOrder(self) -> None:
        stops = [stop for name in _TAB_ORDER for stop in tabStops(getattr(self.ui, name))]
        for before, after in pairwise(stops):
            qt.QWidget.setTabOrder(before, after)
