"""Stand-ins for the Qt half of 3D Slicer, so that a scripted module's panel runs without the application.

slicer-core brings the real MRML, logics and displayable managers; this package puts beside it what the wheel
lacks: ``qt`` and ``ctk`` with PythonQt's habits (on PySide6, offscreen), the qMRML widgets, ``slicer.app``,
``slicer.modules``, ``ScriptedLoadableModule``, ``parameterNodeWrapper``, ``i18n`` and ``packaging``. All of it is
written from Slicer's documented behaviour. A green test here is evidence that the panel works, not proof: the real
widgets, their sizes and PythonQt itself are not here.

Tests take the fixtures of ``Testing/Python/panel_fixtures.py``::

    pytest_plugins = ["panel_fixtures"]

    def test_something(openModule, slicerApplication, waitUntil):
        slicerApplication.showMainWindow()                      # else layoutManager() is None
        module = openModule("SScILDScoring/SScILDScoring.py").enter()
        module.ui.scoreButton.click()                           # widgets by name, as in the panel
        waitUntil(lambda: module.ui.scoreButton.enabled)
        module.grab("panel.png")                                # a picture of the panel
        slicerApplication.testing = False                       # message boxes are shown from here on
        slicerApplication.dialogs.willAnswer(qt.QMessageBox.Ok, "/a/path")
        slicerApplication.dialogs.shown[-1].text                # what was said

Where is what: ``pythonqt`` (PySide6 learns PythonQt's habits), ``qt``, ``ctk`` (with ``ctk_*``), ``qmrml`` (widgets of
MRML), ``ui_loader``, ``slicer_app``, ``main_window``, ``layout_manager`` (real slice views off screen),
``module_opening``, ``scripted_module``, ``parameters``, ``i18n``, ``packaging``, ``extensions`` (SampleData,
PyTorchUtils), ``dialogs`` (answers), ``errors`` and ``qt_messages`` (what Slicer would print in red), ``install``.

Not imitated: sizes and looks of the real widgets, 3D views, reading and writing through ``slicer.app.ioManager()``,
DICOM, subject-hierarchy plug-ins, translations. PythonQt refuses keyword arguments of Qt methods, PySide6 takes them;
``slicer_habits.py`` beside this package finds such things in source code.
"""
