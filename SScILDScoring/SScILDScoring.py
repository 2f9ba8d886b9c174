"""The 3D Slicer module SScILDScoring: the names that Slicer looks up. The work is done in SScILDScoringLib."""

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

from SScILDScoringLib.scene.logic import ScoringLogic


class SScILDScoring(ScriptedLoadableModule):
    """What the module's list shows. Nothing heavy is imported or installed here: this runs at every start."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("SSc-ILD Scoring")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Chest Imaging Platform")]
        self.parent.dependencies = ["Markups", "Colors", "Tables", "Plots", "Segmentations", "Volumes"]
        self.parent.contributors = ["The SScILDScoring authors"]
        self.parent.helpText = _(
            "Scores interstitial lung disease in systemic sclerosis on a chest CT by the Goh system: finds the five "
            "axial levels, estimates total extent, ground glass and reticulation on each, and shows heat maps of what "
            "the scores are made of. Choose a CT, find the levels, correct them by dragging, and score. "
            "Reader study opens a folder made by 'sscild study create', for blinded reading by keyboard. "
            "<b>For research use only.</b> The bundled networks were trained on synthetic disease and are not "
            'clinically validated. See the <a href="https://github.com/SScILDScoring/SlicerSScILDScoring">'
            "documentation</a>."
        )
        self.parent.acknowledgementText = _(
            "The method follows Jia et al., Scientific Reports 2024 (doi 10.1038/s41598-024-78393-4): L-Net for the "
            "levels, S-Net for the scores, replacement-based heat maps. The score is that of Goh et al. 2008. "
            "Please cite them when you use this module."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Offers the phantom in the Sample Data module; it is made on this computer, nothing is downloaded."""
    from SScILDScoringLib.panel.sample_data import registerPhantom

    registerPhantom(iconsFolder=slicer.modules.sscildscoring.path)


class SScILDScoringWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel; everything in it is made by :class:`SScILDScoringLib.panel.widget.ScoringPanel`."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from SScILDScoringLib.panel.widget import ScoringPanel

        self.logic = SScILDScoringLogic()
        self.panel = ScoringPanel(self, self.logic)
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

        reloadLibrary()
        ScriptedLoadableModuleWidget.onReload(self)


class SScILDScoringLogic(ScriptedLoadableModuleLogic, ScoringLogic):
    """Scoring from Slicer's Python console, scripts and other modules; no widget and no main window needed.

    >>> logic = SScILDScoringLogic()                                    # doctest: +SKIP
    >>> case = logic.score(slicer.util.getNode("CT"))                   # doctest: +SKIP
    >>> logic.renderHeatMaps(case); logic.exportResults(case, "results")  # doctest: +SKIP
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        ScoringLogic.__init__(self)
        self._parameters = None

    def getParameterNode(self):
        """The module's settings in the scene, wrapped; one wrapper for each node."""
        from SScILDScoringLib.panel.parameter_node import ScoringParameters

        node = ScriptedLoadableModuleLogic.getParameterNode(self)
        if self._parameters is None or self._parameters.parameterNode is not node:
            self._parameters = ScoringParameters(node)
        return self._parameters


class SScILDScoringTest(ScriptedLoadableModuleTest):
    """The self-test of Slicer's developer mode; the same runs under CTest (Testing/Slicer)."""

    def runTest(self):
        from SScILDScoringLib.panel.self_test import runSelfTest

        self.setUp()
        runSelfTest(self.delayDisplay)
