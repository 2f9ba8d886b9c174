"""``slicer.ScriptedLoadableModule``: the four base classes of a module written in Python."""

from __future__ import annotations

import importlib
import unittest
from pathlib import Path

import ctk
import qt
import slicer
import slicer.util

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
    "ScriptedLoadableModuleWidget",
]


def _nameWithout(thing, ending: str) -> str:
    return type(thing).__name__.removesuffix(ending)


class ScriptedLoadableModule:
    """What a module says about itself; ``parent`` is the C++ module object that takes it."""

    def __init__(self, parent):
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories, parent.dependencies = [], []
        parent.contributors = ["nobody yet"]
        parent.helpText = parent.acknowledgementText = "Not written yet."
        for ending in (".svg", ".png"):
            icon = Path(self.resourcePath(f"Icons/{self.moduleName}{ending}"))
            if icon.is_file():
                parent.icon = qt.QIcon(str(icon))
                break
        if not hasattr(slicer, "selfTests"):
            slicer.selfTests = {}
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename):
        """Absolute path of a file in the module's Resources folder."""
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        """A paragraph with a link to Slicer's documentation."""
        url = (
            slicer.app.documentationBaseUrl + docPage if docPage else slicer.app.moduleDocumentationUrl(self.moduleName)
        )
        return f'<p><a href="{url}">Documentation</a></p>'

    def runTest(self, msec=100, **keywords):
        """Run the class <Module>Test of the module's file; AssertionError when there is none."""
        testClass = getattr(importlib.import_module(self.__module__), self.moduleName + "Test", None)
        if testClass is None:
            raise AssertionError(f"{self.__module__} has no class {self.moduleName}Test")
        test = testClass()
        test.messageDelay = msec
        test.runTest(**keywords)


class ScriptedLoadableModuleWidget:
    """The panel; ``parent`` is the widget around it, ``layout`` where its parts go."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = _nameWithout(self, "Widget")
        self.developerMode = slicer.util.settingsValue("Developer/DeveloperMode", False, converter=slicer.util.toBool)
        self.parent = parent or self._ownWindow()
        self.layout = self.parent.layout()
        if not parent:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    @staticmethod
    def _ownWindow():
        window = slicer.qMRMLWidget()
        window.setLayout(qt.QVBoxLayout())
        window.setMRMLScene(slicer.mrmlScene)
        return window

    def resourcePath(self, filename):
        """Absolute path of a file in the module's Resources folder."""
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self):
        """Build the panel; here the developer's section, if wanted."""
        self.setupDeveloperSection()

    def cleanup(self):
        """Undo what the panel did; called before the module goes."""

    def _onModuleAboutToBeUnloaded(self, moduleName):
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def setupDeveloperSection(self):
        """A section with buttons to reload and test the module; only in developer mode."""
        if not self.developerMode:
            return
        self.reloadCollapsibleButton = ctk.ctkCollapsibleButton()
        self.reloadCollapsibleButton.text = "Reload && Test"
        self.layout.addWidget(self.reloadCollapsibleButton)
        row = qt.QHBoxLayout()
        qt.QFormLayout(self.reloadCollapsibleButton).addRow(row)
        buttons = {
            "Reload": self.onReload,
            "Test": self.onTest,
            "Edit": self.onEditSource,
            "Restart": slicer.app.restart,
        }
        for text, action in buttons.items():
            button = qt.QPushButton(text)
            button.clicked.connect(lambda *unused, action=action: action())
            row.addWidget(button)
            if text == "Reload":
                self.reloadButton = button

    def onReload(self):
        """Read the module's file again and make the panel anew."""
        slicer.util.reloadScriptedModule(self.moduleName)

    def onTest(self, **keywords):
        """Run the module's test."""
        with slicer.util.tryWithErrorDisplay("Test failed."):
            slicer.selfTests[self.moduleName](**keywords)

    def onReloadAndTest(self, **keywords):
        """Both."""
        with slicer.util.tryWithErrorDisplay("Reload and Test failed."):
            self.onReload()
            slicer.selfTests[self.moduleName](**keywords)

    def onEditSource(self):
        """Open the module's file."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(slicer.util.modulePath(self.moduleName)))


class ScriptedLoadableModuleLogic:
    """The work, without widgets. Its parameter node keeps the settings in the scene."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = _nameWithout(self, "Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        """The module's parameter node; made when there is none."""
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is not None:
                if node.GetAttribute("ModuleName") != self.moduleName:  # gone after the scene was closed
                    node.SetAttribute("ModuleName", self.moduleName)
                return node
        else:
            nodes = self.getAllParameterNodes()
            if nodes:
                return nodes[0]
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self):
        """Every parameter node of this module in the scene."""
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self):
        """A new parameter node, not yet in the scene."""
        if slicer.mrmlScene is None:
            return None
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """The module's own test. Everything callable with "test" in its name is run, between setUp and tearDown."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.enableScreenshots, self.screenshotScaleFactor = False, 1.0
        self.moduleTestNames = [name for name in dir(self) if "test" in name and callable(getattr(self, name))]

    def runTest(self):
        """Run them all."""
        self.setUpClass()
        for name in self.moduleTestNames:
            self.setUp()
            getattr(self, name)()
            self.tearDown()
        self.tearDownClass()

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        """Show a message for a while; the delay of the test run wins over the one asked for."""
        delay = getattr(self, "messageDelay", None) or msec or requestedDelay or 100
        slicer.util.delayDisplay(message, delay)

    def takeScreenshot(self, name, description, type=-1):
        """Only the message: pictures are not kept here."""
        self.delayDisplay(description)
