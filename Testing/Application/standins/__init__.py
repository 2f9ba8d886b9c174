"""Stand-ins for the Qt half of 3D Slicer, so that a scripted module's panel runs without the application.

slicer-core brings the real MRML, logics and displayable managers; this package puts beside it what the wheel
lacks: ``qt`` and ``ctk`` with PythonQt's habits (on PySide6, offscreen), the qMRML widgets, ``slicer.app``,
``slicer.modules``, ``ScriptedLoadableModule``, ``parameterNodeWrapper``, ``i18n`` and ``packaging``. All of it is
written from Slicer's documented behaviour. A green test here is evidence that the panel works, not proof: the real
widgets, their sizes and PythonQt itself are not here.

Start with :func:`standins.install.install` (tests use the fixtures of ``Testing/Python/panel_fixtures.py``).
"""
