"""A scripted module as small as one can be that does what modules do: the stand-ins are tested with it."""

import enum
import pathlib
import time
from typing import Annotated

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, Default, Minimum, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *  # noqa: F403 - as every scripted module does
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class SmallModule(ScriptedLoadableModule):
    """What the module says about itself."""

    def __init__(self, parent):
        super().__init__(parent)
        self.parent.title = _("Small Module")
        self.parent.categories = ["Testing"]
        self.parent.contributors = ["SScILDScoring"]
        self.parent.helpText = _("Counts the voxels above a threshold.")
        self.parent.acknowledgementText = _("Nobody paid for this.")
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Offer a volume in the Sample Data module."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Small", sampleName="SmallVolume", customDownloader=lambda source: _makeVolume(source.sampleName)
    )


def _makeVolume(name):
    import numpy as np

    return slicer.util.addVolumeFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5), name=name)


class Side(enum.Enum):
    """Which voxels are counted."""

    ABOVE = "above"
    BELOW = "below"

    def label(self):
        """As the combo box shows it."""
        return {"above": "Above it", "below": "Below it"}[self.value]


@parameterNodeWrapper
class SmallParameters:
    """The settings."""

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    mask: slicer.vtkMRMLSegmentationNode | None
    threshold: Annotated[float, WithinRange(-100, 500)] = 100.0
    strict: bool = False
    repeats: Annotated[int, Minimum(1), Default(2)]
    side: Side = Side.ABOVE
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"
    weight: Annotated[float, WithinRange(0, 1)] = 0.25
    note: str
    folder: pathlib.Path
    history: list[int]


class SmallModuleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    logic = parameters = progress = _guiTag = None  # of the class: without a parent, __init__ calls setup() at once
    stopped = 0

    def __init__(self, parent=None):
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self):
        """Build it."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/SmallModule.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SmallModuleLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.ui.applyButton.clicked.connect(self.onApply)
        self.ui.slowButton.connect("clicked(bool)", self.onSlow)
        slicer.app.connect("aboutToQuit()", self.stop)
        self.setParameters(self.logic.getParameterNode())

    def enter(self):
        """The person opens the module."""
        self.setParameters(self.logic.getParameterNode())

    def exit(self):
        """The person goes away."""
        self.setParameters(None)

    def cleanup(self):
        """The module goes."""
        slicer.app.disconnect("aboutToQuit()", self.stop)
        self.setParameters(None)
        self.removeObservers()

    def stop(self):
        """Work that is going on has to end."""
        self.stopped += 1

    def onSceneStartClose(self, caller, event):
        """Let go of what is in the scene."""
        self.setParameters(None)

    def onSceneEndClose(self, caller, event):
        """Begin anew if somebody looks."""
        if getattr(self.parent, "isEntered", False):
            self.setParameters(self.logic.getParameterNode())

    def onSceneEndImport(self, caller, event):
        """The nodes that the settings refer to are there now; the wrapper looks for them when its node changes."""
        self.logic.getParameterNode().Modified()

    def setParameters(self, parameters):
        """Connect the panel to these settings."""
        if parameters is self.parameters:
            return
        if self.parameters is not None:
            self.parameters.disconnectGui(self._guiTag)
            self.removeObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateButtons)
        self.parameters = parameters
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateButtons)
            self.updateButtons()

    def updateButtons(self, caller=None, event=None):
        """A button that cannot run says why."""
        ready = self.parameters.inputVolume is not None
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = _("Count the voxels") if ready else _("Choose a volume first")

    def onApply(self):
        """Count."""
        with slicer.util.tryWithErrorDisplay(_("Counting failed."), waitCursor=True):
            count = self.logic.count(self.parameters)
            self.parameters.history.append(count)
            self.ui.resultLabel.text = _("{count} voxels").format(count=count)

    def onSlow(self, checked=False):
        """Something that takes its time and can be cancelled."""
        self.progress = slicer.util.createProgressDialog(labelText=_("Working"), maximum=20, autoClose=False)
        for step in range(20):
            self.progress.value = step
            slicer.app.processEvents()
            if self.progress.wasCanceled:
                self.ui.resultLabel.text = _("Cancelled")
                break
            time.sleep(0.002)
        else:
            self.ui.resultLabel.text = _("Finished")
        self.progress.close()


class SmallModuleLogic(ScriptedLoadableModuleLogic):
    """The work."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self._wrapper = None

    def getParameterNode(self):
        """One wrapper for each node."""
        node = super().getParameterNode()
        if self._wrapper is None or self._wrapper.parameterNode is not node:
            self._wrapper = SmallParameters(node)
        return self._wrapper

    def count(self, parameters):
        """Voxels on one side of the threshold; ValueError for an empty answer."""
        values = slicer.util.arrayFromVolume(parameters.inputVolume)
        above = values > parameters.threshold
        count = int((above if parameters.side is Side.ABOVE else ~above).sum())
        if not count:
            raise ValueError(_("No voxel is there. Choose another threshold."))
        return count


class SmallModuleTest(ScriptedLoadableModuleTest):
    """The module's own test."""

    def setUp(self):
        """An empty scene."""
        slicer.mrmlScene.Clear(0)

    def test_counting(self):
        """Counts a known volume."""
        self.delayDisplay("Counting", 50)
        parameters = SmallModuleLogic().getParameterNode()
        parameters.inputVolume = _makeVolume("Test")
        parameters.threshold = 29
        assert SmallModuleLogic().count(parameters) == 30
        qt.QTimer.singleShot(0, lambda: None)
