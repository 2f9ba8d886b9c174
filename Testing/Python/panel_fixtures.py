"""Fixtures for tests of a module's panel on the stand-ins of Testing/Application.

Use in a test file: ``from panel_fixtures import openModule, slicerApplication  # noqa: F401`` and so on; pytest finds
fixtures by name. ``SLICER_PYTHON_SOURCE=<folder of Slicer's Base/Python/slicer>`` runs the same tests on Slicer's own
Python files.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import stat
import sys
import time
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
APPLICATION = Path(__file__).resolve().parents[1] / "Application"
if str(APPLICATION) not in sys.path:
    sys.path.insert(0, str(APPLICATION))

MISSING = [name for name in ("slicer", "vtk", "PySide6") if importlib.util.find_spec(name) is None]


@pytest.fixture(scope="session")
def cheapCollection():
    """Libraries that are loaded once (torch is large) are not searched for garbage after every test."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def slicerApplication(cheapCollection):
    """``slicer.app`` on a fresh scene, testing mode on and no main window. Removed after the test.

    ``application.testing = False`` shows message boxes (answer them with ``application.dialogs.willAnswer``),
    ``application.showMainWindow()`` gives main window and layout manager. A test that leaves an exception in a slot,
    an observer or a panel method, or a warning of Qt, fails; expected ones are fetched with
    ``standins.errors.take()`` and ``standins.qt_messages.take()``.
    """
    if MISSING:
        pytest.skip(f"the panel tests need {', '.join(MISSING)}")
    from minimal_application import MinimalApplication
    from standins import errors, qt_messages
    from standins.install import install

    with MinimalApplication() as minimal:
        installation = install(minimal)
        try:
            yield installation.application
            left, warnings = errors.take(), qt_messages.take()
        finally:
            installation.remove()
            gc.collect()  # observers and widgets of the test go before the scene does
    assert not left, f"exceptions that nobody expected, in slots, observers or panel methods: {left!r}"
    assert not warnings, f"Qt complains: {warnings}"


@pytest.fixture
def openModule(slicerApplication):
    """``openModule(path)`` opens a scripted module (see ``standins.module_opening.OpenModule``), closed afterwards."""
    from standins import module_opening
    from standins.pythonqt import strangeAttributes

    opened = []

    def open_(path):
        opened.append(module_opening.openModule(path))
        return opened[-1]

    yield open_
    strange = []
    for module in opened:
        if module.cpp is not None and module.cpp._representation is not None:
            strange += strangeAttributes(module.cpp._representation)
        module.close()
    assert not strange, f"attributes that Qt objects do not have; PythonQt refuses them: {strange}"


@pytest.fixture
def waitUntil(slicerApplication):
    """``waitUntil(condition, seconds=30)`` lets Qt run until the condition holds; AssertionError when it never does."""

    def wait(condition, seconds=30.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"nothing happened within {seconds} s"
            slicerApplication.processEvents()
            time.sleep(0.01)

    return wait


@pytest.fixture
def pythonSlicer(tmp_path, monkeypatch):
    """A ``PythonSlicer`` on PATH: a launcher with Python as its child, as Slicer's; ``-m pip`` is only written down.

    Gives the file with what pip was asked, one call a line.
    """
    if os.name == "nt":
        pytest.skip("the launcher is a shell script")
    asked = tmp_path / "pip.log"
    launcher = tmp_path / "bin" / "PythonSlicer"
    launcher.parent.mkdir()
    launcher.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = -m ] && [ "$2" = pip ]; then shift 2; echo "$@" >> "{asked}"; echo "pip $@"; exit 0; fi\n'
        f'"{sys.executable}" "$@"\nexit $?\n'
    )
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{launcher.parent}{os.pathsep}{os.environ['PATH']}")
    return asked


@pytest.fixture
def pyTorchExtension(slicerApplication, monkeypatch):
    """Slicer's PyTorch extension is installed: ``import PyTorchUtils`` works; it asks before it installs torch."""
    from standins.extensions import pyTorchUtilsModule

    module = pyTorchUtilsModule()
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    return module
