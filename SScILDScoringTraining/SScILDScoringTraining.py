"""The 3D Slicer module SScILDScoringTraining: the names that Slicer looks up. See SScILDScoringTrainingLib."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class SScILDScoringTraining(ScriptedLoadableModule):
    """What the module's list shows. Nothing heavy is imported or installed here: this runs at every start."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("SSc-ILD Training")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Chest Imaging Platform")]
        self.parent.dependencies = ["SScILDScoring", "Tables", "Plots"]
        self.parent.contributors = ["The SScILDScoring authors"]
        self.parent.helpText = _(
            "Trains the networks of the module SSc-ILD Scoring on a cohort of your own: checks the cohort table, "
            "estimates memory and time, starts, pauses and resumes trainings, shows their curves, evaluates the "
            "result and installs it for scoring. A training runs in a process of its own: it goes on when this "
            "module or Slicer is closed, and is found again. "
            "<b>For research use only.</b> A network that was trained here is not validated before you validate it. "
            'See the <a href="https://github.com/SScILDScoring/SlicerSScILDScoring">documentation</a>.'
        )
        self.parent.acknowledgementText = _(
            "The method follows Jia et al., Scientific Reports 2024 (doi 10.1038/s41598-024-78393-4). The score is "
            "that of Goh et al. 2008. Please cite them when you use this module."
        )


class SScILDScoringTrainingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel; everything in it is made by :class:`SScILDScoringTrainingLib.panel.widget.TrainingPanel`."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from SScILDScoringTrainingLib.panel.widget import TrainingPanel

        self.logic = SScILDScoringTrainingLogic()
        self.panel = TrainingPanel(self, self.logic)
        self.panel.setup()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)

    def enter(self):
        self.panel.enter()

    def exit(self):
        self.panel.exit()

    def cleanup(self):
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanup()

    def onSceneStartClose(self, caller, event):
        self.panel.onSceneStartClose()

    def onSceneEndClose(self, caller, event):
        self.panel.onSceneEndClose()

    def onSceneEndImport(self, caller, event):
        self.panel.onSceneEndImport()

    def onReload(self):
        """Developer mode: reloads the library too, which Slicer's own reload leaves as it is."""
        from SScILDScoringLib.panel.reloading import reloadLibrary

        reloadLibrary("SScILDScoringTrainingLib")
        ScriptedLoadableModuleWidget.onReload(self)


class SScILDScoringTrainingLogic(ScriptedLoadableModuleLogic):
    """The settings of the panel in the scene. Trainings are started and steered from scripts without it:

    >>> from SScILDScoringTrainingLib.runs import start_training            # doctest: +SKIP
    >>> from SScILDScoringTrainingLib.run_status import read_status, request     # doctest: +SKIP
    >>> start_training("s_net_quick", "/data/runs/look")                      # doctest: +SKIP
    >>> read_status("/data/runs/look").state; request("/data/runs/look", "pause")  # doctest: +SKIP
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self._parameters = None

    def getParameterNode(self):
        """The module's settings in the scene, wrapped; one wrapper for each node."""
        from SScILDScoringTrainingLib.panel.parameter_node import TrainingParameters

        node = ScriptedLoadableModuleLogic.getParameterNode(self)
        if self._parameters is None or self._parameters.parameterNode is not node:
            self._parameters = TrainingParameters(node)
        return self._parameters


class SScILDScoringTrainingTest(ScriptedLoadableModuleTest):
    """The self-test of Slicer's developer mode; the same runs under CTest (Testing/Slicer)."""

    def runTest(self):
        from SScILDScoringTrainingLib.panel.self_test import runSelfTest

        self.setUp()
        runSelfTest(self.delayDisplay)
