"""The stand-ins for Slicer's Qt half behave as Slicer does: a small scripted module is driven through its life.

Run with ``SLICER_PYTHON_SOURCE=<folder of Slicer's Base/Python/slicer>`` the same tests use Slicer's own Python files.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

pytest_plugins = ["panel_fixtures"]

APPLICATION = pathlib.Path(__file__).resolve().parents[1] / "Application"


@pytest.fixture
def modulePath(tmp_path):
    """The small module, copied so that a test may change it."""
    folder = tmp_path / "SmallModule"
    shutil.copytree(APPLICATION / "small_module", folder)
    return folder / "SmallModule.py"


@pytest.fixture
def small(openModule, modulePath):
    """The small module, opened and entered."""
    return openModule(modulePath).enter()


def addVolume(name="CT", values=None):
    import slicer

    values = np.arange(60, dtype=np.int16).reshape(3, 4, 5) if values is None else values
    return slicer.util.addVolumeFromArray(values, name=name)


def savedScene(scene) -> str:
    """The scene as XML, as it stands in a saved file."""
    scene.SetSaveToXMLString(1)
    scene.Commit()
    return scene.GetSceneXMLString()


def loadScene(scene, xml: str) -> None:
    scene.SetLoadFromXMLString(1)
    scene.SetSceneXMLString(xml)
    scene.Import()


class TestModule:
    """What Slicer does when it finds and opens a module."""

    def test_the_module_says_what_it_is(self, openModule, modulePath):
        import slicer

        module = openModule(modulePath)
        assert module.cpp.title == "Small Module"
        assert slicer.modules.smallmodule is module.cpp
        assert slicer.modules.SmallModuleInstance is module.module
        assert pathlib.Path(module.module.resourcePath("UI/SmallModule.ui")).is_file()
        assert not hasattr(slicer.modules, "SmallModuleWidget"), "the panel is built on first use only"

    def test_other_code_finds_widget_and_logic_by_name(self, small):
        import slicer

        assert slicer.modules.SmallModuleWidget is small.widget
        assert slicer.util.getModuleWidget("SmallModule") is small.widget
        assert slicer.util.getModuleLogic("SmallModule") is small.widget.logic

    def test_sample_data_are_registered_at_start_up_and_can_be_fetched(self, small, slicerApplication):
        import SampleData
        import slicer

        assert not hasattr(slicer.modules, "sampleDataSources")
        slicerApplication.startupCompleted.emit()
        assert SampleData.downloadSample("SmallVolume").GetName() == "SmallVolume"

    def test_the_self_test_of_the_module_runs(self, small):
        import slicer

        slicer.selfTests["SmallModule"](msec=10)
        small.widget.onTest()

    def test_unloading_calls_cleanup_and_leaves_nothing(self, small, slicerApplication):
        import slicer

        widget = small.widget
        small.close()
        assert widget.parameters is None
        assert not hasattr(slicer.modules, "SmallModuleWidget")
        assert "SmallModule" not in sys.modules
        slicerApplication.aboutToQuit.emit()
        assert widget.stopped == 0, "cleanup disconnected it"

    def test_the_application_tells_before_it_ends(self, small, slicerApplication):
        slicerApplication.quit()
        assert small.widget.stopped == 1

    def test_reload_reads_the_file_again_and_builds_a_new_panel(self, small, modulePath):
        former = small.widget
        small.ui.thresholdSlider.value = 77
        modulePath.write_text(modulePath.read_text().replace('_("Count the voxels")', '_("Count them")'))
        former.onReload()
        assert small.widget is not former
        assert former.parameters is None, "the old panel was cleaned up"
        assert small.ui.thresholdSlider.value == 77, "settings live in the scene"
        addVolume()
        small.widget.parameters.inputVolume = small.ui.volumeSelector.nodeFromIndex(0)
        assert small.ui.applyButton.toolTip == "Count them"

    def test_the_reload_section_is_there_in_developer_mode_only(self, openModule, modulePath):
        import qt

        module = openModule(modulePath)
        assert not hasattr(module.widget, "reloadButton")
        module.close()
        qt.QSettings().setValue("Developer/DeveloperMode", True)
        module = openModule(modulePath)
        former = module.widget
        former.reloadButton.click()
        assert module.widget is not former

    def test_a_panel_outside_the_application_shows_itself(self, openModule, modulePath):
        module = openModule(modulePath)
        widget = module.python.SmallModuleWidget()
        assert widget.parent.isVisible()
        assert widget.ui.thresholdSlider.value == 100
        widget.cleanup()
        widget.parent.hide()
        widget.parent.deleteLater()

    def test_an_error_in_setup_is_kept_not_raised_as_in_slicer(self, openModule, modulePath):
        from standins import errors

        modulePath.with_name("Resources").joinpath("UI", "SmallModule.ui").unlink()
        module = openModule(modulePath)
        assert module.panel is not None
        assert "file not found" in str(errors.take()[0])


class TestSettings:
    """Panel and parameter node follow each other."""

    def test_defaults_reach_the_panel(self, small):
        ui = small.ui
        assert (ui.thresholdSlider.value, ui.strictBox.checked, ui.repeatsBox.value) == (100, False, 2)
        assert (ui.sideBox.currentText, ui.deviceBox.currentText, ui.weightBox.value) == ("Above it", "auto", 0.25)
        assert (ui.noteEdit.text, ui.folderEdit.currentPath) == ("", ".")

    def test_the_person_changes_the_panel(self, small):
        ui, settings = small.ui, small.widget.parameters
        ui.thresholdSlider.value = 123.5
        ui.strictBox.click()
        ui.repeatsBox.value = 7
        ui.sideBox.currentIndex = 1
        ui.deviceBox.setCurrentText("cpu")
        ui.weightBox.value = 0.5
        ui.noteEdit.text = "Grüße"
        ui.folderEdit.currentPath = "/somewhere"
        assert (settings.threshold, settings.strict, settings.repeats) == (123.5, True, 7)
        assert (settings.side, settings.device, settings.weight) == (small.python.Side.BELOW, "cpu", 0.5)
        assert (settings.note, settings.folder) == ("Grüße", pathlib.Path("/somewhere"))

    def test_code_changes_the_settings(self, small):
        ui, settings = small.ui, small.widget.parameters
        settings.threshold, settings.strict, settings.repeats = -3.5, True, 9
        settings.side, settings.device, settings.weight = small.python.Side.BELOW, "cuda", 1
        settings.note, settings.folder = "done", pathlib.Path("/else")
        assert (ui.thresholdSlider.value, ui.strictBox.checked, ui.repeatsBox.value) == (-3.5, True, 9)
        assert (ui.sideBox.currentText, ui.deviceBox.currentText, ui.weightBox.value) == ("Below it", "cuda", 1)
        assert (ui.noteEdit.text, ui.folderEdit.currentPath) == ("done", "/else")

    def test_limits_come_from_the_parameter(self, small):
        ui = small.ui
        assert (ui.thresholdSlider.minimum, ui.thresholdSlider.maximum) == (-100, 500)
        assert (ui.weightBox.minimum, ui.weightBox.maximum) == (0, 1)
        assert ui.repeatsBox.minimum == 1

    def test_a_volume_that_appears_is_offered_and_its_choice_kept_as_reference(self, small):
        volume = addVolume()
        assert small.ui.volumeSelector.nodeCount() == 1
        assert small.ui.volumeSelector.currentNode() is None
        assert not small.ui.applyButton.enabled
        assert small.ui.applyButton.toolTip == "Choose a volume first"
        small.ui.volumeSelector.setCurrentNode(volume)
        node = small.widget.parameters.parameterNode
        assert small.widget.parameters.inputVolume is volume
        assert node.GetNodeReferenceID("inputVolume") == volume.GetID()
        assert small.ui.applyButton.enabled

    def test_a_volume_that_leaves_is_no_longer_chosen(self, small):
        import slicer

        volume = addVolume()
        small.widget.parameters.inputVolume = volume
        slicer.mrmlScene.RemoveNode(volume)
        assert small.widget.parameters.inputVolume is None
        assert small.ui.volumeSelector.currentNode() is None

    def test_a_left_panel_changes_nothing(self, small):
        settings = small.widget.parameters
        small.exit()
        small.ui.thresholdSlider.value = 5
        assert settings.threshold == 100
        settings.threshold = 6
        assert small.ui.thresholdSlider.value == 5
        small.enter()
        assert small.ui.thresholdSlider.value == 6

    def test_many_changes_at_once_are_told_once(self, small):
        import slicer
        import vtk

        settings, told = small.widget.parameters, []
        settings.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *unused: told.append(1))
        with slicer.util.NodeModify(settings):
            settings.threshold, settings.note = 1, "x"
        assert len(told) == 1

    def test_scene_close_lets_go_and_begins_with_defaults(self, small):
        import slicer

        small.widget.parameters.inputVolume = addVolume()
        small.ui.thresholdSlider.value = 5
        slicer.mrmlScene.Clear(0)
        assert small.widget.parameters.threshold == 100
        assert small.ui.thresholdSlider.value == 100
        assert small.ui.volumeSelector.currentNode() is None
        assert not small.ui.applyButton.enabled

    def test_settings_survive_saving_and_loading_the_scene(self, small):
        import slicer

        settings = small.widget.parameters
        settings.threshold, settings.side, settings.note = 7.25, small.python.Side.BELOW, "<&>"
        settings.folder = pathlib.Path("/data")
        settings.history.append(3)
        mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mask")
        settings.mask = mask
        xml = savedScene(slicer.mrmlScene)
        slicer.mrmlScene.Clear(0)
        assert small.widget.parameters.threshold == 100
        loadScene(slicer.mrmlScene, xml)
        small.exit()
        small.enter()
        settings = small.widget.parameters
        assert (settings.threshold, settings.side, settings.note) == (7.25, small.python.Side.BELOW, "<&>")
        assert settings.folder == pathlib.Path("/data")
        assert list(settings.history) == [3]
        assert settings.mask is not None, "the wrapper was told to look again"
        assert settings.mask.GetName() == "Mask"
        assert small.ui.thresholdSlider.value == 7.25
        assert small.ui.maskSelector.currentNode() is settings.mask

    def test_a_loaded_node_is_only_seen_after_the_parameter_node_changes(self, openModule, modulePath):
        """As in Slicer: the wrapper remembers None, because the node came after the parameter node in the file."""
        import slicer

        module = openModule(modulePath)
        logic = module.python.SmallModuleLogic()
        settings = logic.getParameterNode()
        settings.mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mask")
        xml = savedScene(slicer.mrmlScene)
        slicer.mrmlScene.Clear(0)
        loadScene(slicer.mrmlScene, xml)
        assert logic.getParameterNode() is settings
        assert settings.mask is None
        settings.Modified()
        assert settings.mask.GetName() == "Mask"


class TestWork:
    """Buttons, progress, messages."""

    def test_a_button_works_on_the_nodes(self, small):
        small.widget.parameters.inputVolume = addVolume()
        small.ui.thresholdSlider.value = 29
        small.ui.applyButton.click()
        assert small.ui.resultLabel.text == "30 voxels"
        assert list(small.widget.parameters.history) == [30]

    def test_errors_are_not_shown_but_kept_under_testing(self, small, slicerApplication):
        from standins import errors

        small.widget.parameters.inputVolume = addVolume()
        small.ui.thresholdSlider.value = 500
        small.ui.applyButton.click()
        assert [str(error) for error in errors.take()] == ["No voxel is there. Choose another threshold."]
        assert not slicerApplication.dialogs.shown

    def test_errors_are_shown_to_a_person(self, small, slicerApplication):
        import qt
        from standins import errors

        slicerApplication.testing = False
        slicerApplication.showMainWindow()
        small.widget.parameters.inputVolume = addVolume()
        small.ui.thresholdSlider.value = 500
        small.ui.applyButton.click()
        (shown,) = slicerApplication.dialogs.shown
        assert "Counting failed." in shown.text
        assert "No voxel is there" in shown.text
        assert "ValueError" in shown.details
        assert qt.QApplication.overrideCursor() is None, "the wait cursor is gone"
        errors.take()

    def test_questions_are_answered_by_the_test_and_with_no_under_testing(self, slicerApplication):
        """Slicer's documentation says yes, but True is neither the OK nor the Yes button that is compared with."""
        import qt
        import slicer

        assert not slicer.util.confirmYesNoDisplay("Overwrite?")
        assert not slicer.util.confirmOkCancelDisplay("Go on?")
        assert not slicer.util.confirmRetryCloseDisplay("Again?")
        slicerApplication.testing = False
        slicerApplication.dialogs.willAnswer(qt.QMessageBox.No, qt.QMessageBox.Ok)
        assert not slicer.util.confirmYesNoDisplay("Overwrite?")
        assert slicer.util.confirmOkCancelDisplay("Go on?", detailedText="torch")
        assert [shown.text for shown in slicerApplication.dialogs.shown] == ["Overwrite?", "Go on?"]
        assert slicerApplication.dialogs.shown[1].details == "torch"

    def test_a_question_that_nobody_expected_does_not_hang(self, slicerApplication):
        import slicer

        slicerApplication.testing = False
        with pytest.raises(AssertionError, match="nobody answers"):
            slicer.util.confirmYesNoDisplay("Overwrite?")

    def test_information_is_only_logged_without_a_main_window(self, slicerApplication, caplog):
        import slicer

        slicerApplication.testing = False
        slicer.util.warningDisplay("careful")
        assert "careful" in caplog.text
        assert not slicerApplication.dialogs.shown

    def test_slow_work_shows_progress_and_finishes(self, small):
        import qt

        values = []
        qt.QTimer.singleShot(0, lambda: values.append((small.widget.progress.value, small.widget.progress.maximum)))
        small.ui.slowButton.click()
        assert small.ui.resultLabel.text == "Finished"
        assert values == [(0, 20)]
        assert not small.widget.progress.visible

    def test_slow_work_can_be_cancelled(self, small):
        import qt

        qt.QTimer.singleShot(10, lambda: small.widget.progress.cancel())
        small.ui.slowButton.click()
        assert small.ui.resultLabel.text == "Cancelled"

    def test_paths_are_asked_for_and_given_by_the_test(self, small, slicerApplication, tmp_path):
        slicerApplication.dialogs.willAnswer(str(tmp_path))
        small.ui.folderEdit.browse()
        assert small.widget.parameters.folder == tmp_path
        assert slicerApplication.dialogs.shown[0].kind == "folder", "filters in the .ui file say folders"

    def test_a_process_reports_line_by_line_without_blocking(self, slicerApplication, waitUntil):
        import slicer

        lines, codes = [], []
        program = "print('one'); print('two')"
        slicer.util.launchConsoleProcess(
            [sys.executable, "-c", program], blocking=False, logCallback=lines.append, completedCallback=codes.append
        )
        waitUntil(lambda: codes)
        assert (lines, codes) == (["one", "two"], [0])

    def test_python_slicer_runs_modules_and_notes_what_pip_was_asked(self, slicerApplication, pythonSlicer, capfd):
        import slicer
        from slicer import packaging

        slicer.util.executePythonModule("this", [])
        assert "Beautiful is better than ugly" in capfd.readouterr().out
        packaging.pip_install("torch>=2.6 'monai>=1.4'")
        assert pythonSlicer.read_text().split() == ["install", "torch>=2.6", "monai>=1.4"]


class TestPackaging:
    """Packages are looked at, asked for, and never installed by a test."""

    def test_what_is_installed(self, slicerApplication):
        from slicer import packaging

        assert packaging.pip_check("numpy>=1.0 pytest")
        assert not packaging.pip_check("numpy>=999")
        assert not packaging.pip_check(["numpy", "a-package-that-nobody-wrote"])
        assert packaging.pip_check("a-package-that-nobody-wrote; sys_platform == 'nowhere'")

    def test_a_requirements_file(self, slicerApplication, tmp_path):
        from slicer import packaging

        path = tmp_path / "requirements.txt"
        path.write_text("# ours\n--prefer-binary\nnumpy>=2.0\n\nSimpleITK>=2.4\n")
        assert [str(r) for r in packaging.load_requirements(path)] == ["numpy>=2.0", "SimpleITK>=2.4"]
        path.write_text("numpy>=2.0  # a comment here is too much for Slicer\n")
        with pytest.raises(ValueError, match="numpy"):
            packaging.load_requirements(path)

    def test_nothing_is_installed_under_testing(self, slicerApplication, pythonSlicer):
        from slicer import packaging

        assert packaging.pip_ensure("a-package-that-nobody-wrote") is None
        assert not pythonSlicer.exists()

    def test_declining_is_an_error(self, slicerApplication):
        import qt
        from slicer import packaging

        slicerApplication.testing = False
        slicerApplication.dialogs.willAnswer(qt.QMessageBox.Cancel)
        with pytest.raises(RuntimeError, match="declined"):
            packaging.pip_ensure("a-package-that-nobody-wrote", requester="Small")
        assert "a-package-that-nobody-wrote" in slicerApplication.dialogs.shown[0].details

    def test_accepting_installs_what_is_missing(self, slicerApplication, pythonSlicer):
        import qt
        from slicer import packaging

        slicerApplication.testing = False
        slicerApplication.dialogs.willAnswer(qt.QMessageBox.Ok)
        packaging.pip_ensure(["numpy", "a-package-that-nobody-wrote>=2"], show_progress=False)
        assert pythonSlicer.read_text().split() == ["install", "a-package-that-nobody-wrote>=2"]

    def test_the_pytorch_extension_may_be_missing_or_there(self, slicerApplication, request):
        with pytest.raises(ImportError):
            import PyTorchUtils
        request.getfixturevalue("pyTorchExtension")
        import PyTorchUtils

        logic = PyTorchUtils.PyTorchUtilsLogic()
        assert not logic.torchInstalled()
        assert logic.installTorch(torchVersionRequirement=">=2.6") is None, "declined unless the test answers"
        assert slicerApplication.dialogs.shown[-1].text == ">=2.6"


class TestWindows:
    """Main window, layout and views."""

    def test_without_a_main_window_there_is_no_layout(self, slicerApplication):
        import slicer

        assert slicerApplication.layoutManager() is None
        assert slicer.util.mainWindow() is None
        assert not slicer.util.showStatusMessage("hello")

    def test_choosing_modules_enters_and_leaves_them(self, openModule, modulePath, slicerApplication):
        import slicer

        slicerApplication.showMainWindow()
        module = openModule(modulePath)
        slicer.util.selectModule("SmallModule")
        assert module.widget.parameters is not None
        assert module.panel.isEntered
        slicer.util.selectModule("Markups")
        assert module.widget.parameters is None
        assert slicer.util.selectedModule() == "Markups"

    def test_a_layout_makes_real_views(self, slicerApplication):
        import slicer

        slicerApplication.showMainWindow()
        manager = slicerApplication.layoutManager()
        assert set(manager.sliceViewNames()) == {"Red", "Green", "Yellow"}
        told = []
        manager.layoutChanged.connect(told.append)
        description = (
            '<layout type="horizontal"><item><view class="vtkMRMLSliceNode" singletontag="Mine">'
            '<property name="orientation" action="default">Coronal</property></view></item>'
            '<item><view class="vtkMRMLTableViewNode" singletontag="MyTable"/></item></layout>'
        )
        manager.layoutLogic().GetLayoutNode().AddLayoutDescription(5601, description)
        manager.setLayout(5601)
        assert told == [5601]
        assert manager.layout == 5601
        assert manager.sliceViewNames() == ("Mine",)
        assert manager.tableWidget(0).mrmlTableViewNode().GetLayoutName() == "MyTable"
        logic = manager.sliceWidget("Mine").sliceLogic()
        assert slicerApplication.applicationLogic().GetSliceLogicByLayoutName("Mine") is logic
        assert logic.GetSliceNode().GetOrientation() == "Coronal"
        volume = addVolume(values=np.arange(512, dtype=np.int16).reshape(8, 8, 8))
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        picture = manager.sliceWidget("Mine").offscreen.render()
        assert picture.max() > 0, "the volume is drawn"

    def test_the_panel_can_be_looked_at(self, small, tmp_path):
        """A picture with sections, and text that is drawn: letters are there, not empty boxes."""
        import qt

        small.grab(tmp_path / "panel.png")
        picture = qt.QImage(str(tmp_path / "panel.png"))
        assert picture.width() >= 420
        assert picture.height() > 400
        from PySide6.QtGui import QFontInfo

        assert QFontInfo(qt.application.font()).family()
        label = qt.QLabel("Ill")
        other = qt.QLabel("Wmm")
        assert label.sizeHint().width() < other.sizeHint().width(), "letters have their own shapes"

    def test_text_is_drawn_where_the_system_has_no_fonts(self, tmp_path):
        pytest.importorskip("matplotlib")
        nothing = tmp_path / "fonts.conf"
        nothing.write_text('<?xml version="1.0"?><fontconfig></fontconfig>')
        code = """
            from standins import pythonqt
            pythonqt.teachHabits()
            from PySide6.QtGui import QFontDatabase
            from PySide6.QtWidgets import QLabel
            assert "DejaVu Sans" in QFontDatabase.families(), QFontDatabase.families()
            picture = QLabel("Levels").grab().toImage()
            colours = {picture.pixel(x, y) for x in range(picture.width()) for y in range(picture.height())}
            assert len(colours) > 5, "letters have smooth edges, boxes have not"
        """
        environment = os.environ | {"FONTCONFIG_FILE": str(nothing), "PYTHONPATH": str(APPLICATION)}
        command = [sys.executable, "-c", textwrap.dedent(code)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def test_sections_open_and_close(self, small):
        changes = []
        section = small.ui.settingsSection
        section.contentsCollapsed.connect(changes.append)
        section.collapsed = True
        assert not small.ui.noteEdit.isVisible()
        section.click()
        assert small.ui.noteEdit.isVisible()
        assert changes == [True, False]


class TestSelector:
    """qMRMLNodeComboBox as a person and as code uses it."""

    @pytest.fixture
    def selector(self, slicerApplication):
        import slicer

        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        return selector

    def test_it_is_disabled_until_it_has_a_scene(self, selector):
        import slicer

        assert not selector.enabled
        selector.setMRMLScene(slicer.mrmlScene)
        assert selector.enabled

    def test_without_none_the_first_node_is_chosen_by_itself(self, selector):
        import slicer

        told = []
        selector.currentNodeChanged.connect(told.append)
        selector.setMRMLScene(slicer.mrmlScene)
        first, second = addVolume("first"), addVolume("second")
        assert selector.currentNode() is first
        selector.setCurrentNode(second)
        assert selector.currentNodeID == second.GetID()
        slicer.mrmlScene.RemoveNode(second)
        assert selector.currentNode() is first
        assert told == [first, second, first]

    def test_child_classes_hidden_nodes_and_attributes(self, selector):
        import slicer

        selector.setMRMLScene(slicer.mrmlScene)
        plain = addVolume("plain")
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
        assert selector.nodeCount() == 2
        selector.showChildNodeTypes = False
        assert selector.nodeCount() == 1
        plain.SetHideFromEditors(True)
        selector.showChildNodeTypes = True
        assert selector.nodeFromIndex(0) is labels
        selector.addAttribute("vtkMRMLScalarVolumeNode", "Kind", "lungs")
        assert selector.nodeCount() == 0
        labels.SetAttribute("Kind", "lungs")
        selector.showHidden = True
        assert selector.nodeCount() == 1

    def test_new_nodes_and_new_names(self, selector):
        import slicer

        selector.setMRMLScene(slicer.mrmlScene)
        selector.baseName = "Result"
        node = selector.addNode()
        assert node.GetName() == "Result"
        assert selector.currentNode() is node
        node.SetName("Other")
        assert selector._combo.currentText == "Other"

    def test_a_deleted_selector_is_not_called_any_more(self, selector, slicerApplication):
        import slicer

        selector.setMRMLScene(slicer.mrmlScene)
        selector.deleteLater()
        slicerApplication.processEvents()
        from PySide6.QtCore import QCoreApplication, QEvent

        QCoreApplication.sendPostedEvents(None, QEvent.DeferredDelete)
        addVolume()


class TestStrictness:
    """Mistakes that Slicer punishes are mistakes here."""

    def changeUi(self, modulePath, before, after):
        path = modulePath.parent / "Resources" / "UI" / "SmallModule.ui"
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    def test_a_selector_without_its_connection_stays_empty(self, openModule, modulePath):
        self.changeUi(modulePath, "<receiver>volumeSelector</receiver>", "<receiver>maskSelector</receiver>")
        module = openModule(modulePath).enter()
        addVolume()
        assert module.ui.volumeSelector.nodeCount() == 0

    def test_unknown_widgets_double_names_and_bad_connections_are_errors(self, slicerApplication, modulePath):
        import slicer

        path = str(modulePath.parent / "Resources" / "UI" / "SmallModule.ui")
        original = pathlib.Path(path).read_text()
        for before, after, complaint in (
            ('class="QLineEdit"', 'class="QLineEdith"', "QLineEdith"),
            ('name="slowButton"', 'name="applyButton"', "applyButton"),
            ('name="slowButton"', 'name="slow-button"', "slow-button"),
            ("setMRMLScene(vtkMRMLScene*)", "setScene(vtkMRMLScene*)", "setScene"),
        ):
            pathlib.Path(path).write_text(original)
            self.changeUi(modulePath, before, after)
            with pytest.raises(RuntimeError, match=complaint):
                slicer.util.loadUI(path)

    def test_properties_are_not_called_and_do_not_take_anything(self, small):
        with pytest.raises(TypeError):
            small.ui.applyButton.text()
        with pytest.raises(TypeError):
            small.ui.repeatsBox.value = "seven"
        with pytest.raises(ValueError, match="no signal"):
            small.ui.applyButton.connect("pushed()", print)

    def test_attributes_that_qt_does_not_have_are_found(self, small):
        from standins.pythonqt import strangeAttributes

        assert not strangeAttributes(small.panel)
        small.ui.applyButton.tooltip = "oops"
        assert strangeAttributes(small.panel) == ["QPushButton 'applyButton': tooltip"]
        del small.ui.applyButton.tooltip

    def test_exceptions_in_slots_and_observers_are_kept(self, small):
        import vtk
        from standins import errors

        def fails(*unused):
            raise KeyError("gone")

        small.ui.slowButton.clicked.connect(fails)
        small.ui.slowButton.disconnect("clicked(bool)", small.widget.onSlow)
        small.ui.slowButton.click()
        node = small.widget.parameters.parameterNode
        tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, fails)
        node.Modified()
        node.RemoveObserver(tag)
        assert [type(error) for error in errors.take()] == [KeyError, KeyError]

    def test_qt_warnings_are_kept(self, slicerApplication):
        import qt
        from standins import qt_messages

        window = qt.QWidget()
        qt.QVBoxLayout(window)
        qt.QVBoxLayout(window)
        assert "already has a layout" in qt_messages.take()[0]

    def test_functions_of_slicer_util_are_not_in_slicer_itself(self, slicerApplication):
        import slicer

        assert not hasattr(slicer, "arrayFromVolume")
        assert slicer.util.arrayFromVolume(addVolume()).shape == (3, 4, 5)

    def test_settings_come_back_as_text_and_never_touch_the_persons_own(self, slicerApplication):
        import qt
        import slicer

        qt.QSettings().setValue("SScILDScoring/Count", 3)
        assert qt.QSettings().value("SScILDScoring/Count") == "3"
        assert slicer.util.settingsValue("SScILDScoring/Count", 0, converter=int) == 3
        assert slicer.util.settingsValue("SScILDScoring/Missing", 5, converter=int) == 5
        assert "standins" in qt.QSettings().fileName()


def test_texts_are_translated_by_their_file(slicerApplication, monkeypatch):
    from slicer.i18n import getContext, tr, translate

    asked = []
    monkeypatch.setattr(
        slicerApplication, "translate", lambda context, text: asked.append(context) or text.upper(), raising=False
    )
    assert tr("hello") == "HELLO"
    assert translate("qSlicerAbstractCoreModule", "Quantification") == "QUANTIFICATION"
    assert asked == ["test_application_standins", "qSlicerAbstractCoreModule"]
    assert getContext(str(APPLICATION / "standins" / "qmrml.py")) == "standins.qmrml"


def test_the_stand_ins_leave_nothing_behind():
    """Before and after, the process has the same modules, paths and attributes; Qt's classes stay patched."""
    import slicer
    from minimal_application import MinimalApplication
    from standins.install import install

    def state():
        ours = {name for name in sys.modules if name.split(".")[0] in ("qt", "ctk", "slicer", "SampleData")}
        return ours, set(vars(slicer)), list(slicer.__path__), sys.excepthook, list(sys.path)

    with MinimalApplication() as minimal:
        before = state()
        installation = install(minimal)
        assert slicer.app is installation.application
        installation.remove()
        assert state() == before
    assert not hasattr(slicer, "app")
