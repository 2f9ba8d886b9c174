"""``slicer.app`` and ``slicer.modules``: the application object and the list of modules."""

from __future__ import annotations

import tempfile
import types

import qt
from PySide6.QtCore import QEventLoop, QObject, QProcessEnvironment, Signal
from PySide6.QtWidgets import QApplication

from standins.dialogs import dialogs


class ModuleManager(QObject):
    """``slicer.app.moduleManager()``."""

    moduleAboutToBeUnloaded = Signal(str)
    moduleLoaded = Signal(str)

    def module(self, name):
        """The C++ side of a module, or None."""
        return getattr(slicerModules(), name.lower(), None)

    def factoryManager(self):
        """Only ``loadedModuleNames()`` of it."""
        return self

    def loadedModuleNames(self):
        """Names of the modules that are open here."""
        return [m.name for m in vars(slicerModules()).values() if hasattr(m, "widgetRepresentation")]


def slicerModules():
    """``slicer.modules``."""
    import slicer

    return slicer.modules


class ExtensionsManagerModel:
    """``slicer.app.extensionsManagerModel()``: remembers what would be installed."""

    def __init__(self):
        self.interactive = True
        self.installed = {"SScILDScoring"}

    def isExtensionInstalled(self, name):
        """Whether the extension is there."""
        return name in self.installed

    def installExtensionFromServer(self, name, restart=True):
        """Install it; shown as a dialog of kind "install extension", answered True or False."""
        if dialogs.ask("install extension", name, default=True):
            self.installed.add(name)
            return True
        return False


class Application(QObject):
    """``slicer.app``. Tests set ``testing`` and ``dialogs``; everything else is what a module may ask of it.

    Without a main window (the default) ``layoutManager()`` is None and information boxes are only logged, as when
    Slicer runs with ``--no-main-window``.
    """

    startupCompleted = Signal()
    aboutToQuit = Signal()
    mrmlSceneChanged = Signal(object)

    applicationName = "Slicer"
    applicationVersion = "5.13.0-standin"
    majorVersion, minorVersion = 5, 13
    documentationBaseUrl = "https://slicer.readthedocs.io/en/latest/"

    def __init__(self, minimal, *, testing=True):
        super().__init__()
        self.testing = testing
        self.dialogs = dialogs
        self.restarts = 0
        self.pausedRenders = 0
        self.temporaryPath = tempfile.mkdtemp(prefix="sscild-slicer-app-")
        self._minimal = minimal
        self._manager = ModuleManager()
        self._extensions = ExtensionsManagerModel()
        self._window = None
        self._layoutManager = None

    # ------------------------------------------------------------------ scene and logics
    def applicationLogic(self):
        """The vtkSlicerApplicationLogic."""
        return self._minimal.logic

    def mrmlScene(self):
        """The scene."""
        return self._minimal.scene

    def moduleManager(self):
        """The module manager."""
        return self._manager

    def moduleLogic(self, name):
        """A C++ module's logic, or None."""
        return self._minimal.modules.get(name)

    # ------------------------------------------------------------------ windows
    def showMainWindow(self):
        """Behave as an application with a main window and a layout manager from here on."""
        from standins.layout_manager import LayoutManager
        from standins.main_window import MainWindow

        if self._window is None:
            self._window = MainWindow()
            self._layoutManager = LayoutManager(self._minimal)
        return self._window

    def layoutManager(self):
        """The layout manager; None without a main window."""
        return self._layoutManager

    def topLevelWidgets(self):
        """Windows, the main window among them."""
        return [self._window] if self._window else []

    def mainWindow(self):
        """The main window, or None."""
        return self._window

    # ------------------------------------------------------------------ the rest
    def testingEnabled(self):
        """Whether Slicer runs with --testing: message boxes are then only logged."""
        return self.testing

    def processEvents(self, *unused):
        """Let Qt handle what is waiting."""
        QApplication.processEvents(QEventLoop.AllEvents)

    def settings(self):
        """Application settings."""
        return qt.QSettings()

    userSettings = revisionUserSettings = settings

    def translate(self, context, text, *unused):
        """English is spoken here."""
        return text

    def setOverrideCursor(self, cursor):
        """As QApplication does."""
        QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self):
        """As QApplication does."""
        QApplication.restoreOverrideCursor()

    def pauseRender(self):
        """Views stop drawing until :meth:`resumeRender`."""
        self.pausedRenders += 1

    def resumeRender(self):
        """The opposite; more often than paused is an error in the module."""
        if not self.pausedRenders:
            raise AssertionError("resumeRender without pauseRender")
        self.pausedRenders -= 1

    def startupEnvironment(self):
        """Environment variables before Slicer changed them (QProcessEnvironment)."""
        return QProcessEnvironment.systemEnvironment()

    def commandOptions(self):
        """``noMainWindow``, ``testingEnabled``."""
        return types.SimpleNamespace(noMainWindow=self._window is None, testingEnabled=self.testing)

    def extensionsManagerModel(self):
        """What is installed."""
        return self._extensions

    def moduleDocumentationUrl(self, name):
        """The web page of a module."""
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def restart(self):
        """Counts."""
        self.restarts += 1

    def keyboardModifiers(self):
        """Keys held down."""
        return QApplication.keyboardModifiers()

    def clipboard(self):
        """The clipboard."""
        return QApplication.clipboard()

    def launchDesigner(self, arguments=()):
        """Remembered as a dialog of kind "designer"."""
        return dialogs.ask("designer", " ".join(arguments), default=True)

    def primaryScreen(self):
        """The screen."""
        return QApplication.primaryScreen()

    def quit(self):
        """What Slicer does at the end: tell everybody, then unload the modules."""
        self.aboutToQuit.emit()
        for name in self._manager.loadedModuleNames():
            self._manager.moduleAboutToBeUnloaded.emit(name)

    def close(self):
        """Take the windows down (called when the stand-ins are removed)."""
        import shutil

        while QApplication.overrideCursor() is not None:
            QApplication.restoreOverrideCursor()
        if self._layoutManager is not None:
            self._layoutManager.close()
        if self._window is not None:
            self._window.deleteLater()
        self._window = self._layoutManager = None
        shutil.rmtree(self.temporaryPath, ignore_errors=True)
