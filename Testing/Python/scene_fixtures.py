"""Fixtures for tests that need a MRML scene. A test file takes them with ``pytest_plugins = ["scene_fixtures"]``.

Where slicer-core is not installed those tests are skipped and say so; in the project's test environment it is.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

APPLICATION_FOLDER = Path(__file__).resolve().parents[1] / "Application"
if str(APPLICATION_FOLDER) not in sys.path:
    sys.path.append(str(APPLICATION_FOLDER))


def needs_slicer():
    """The module ``slicer``; skips the test or test file when slicer-core is not installed."""
    return pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")


@pytest.fixture
def vtk_messages():
    """VTK's warnings and errors during the test; any that are left at its end fail it."""
    needs_slicer()
    from minimal_application import VTKMessages

    messages = VTKMessages().open()
    yield messages.list
    messages.close()
    assert not messages.list, "VTK complained:\n" + "\n".join(messages.list)


@pytest.fixture
def application(vtk_messages):
    """A :class:`MinimalApplication` with a fresh scene, taken down after the test."""
    from minimal_application import MinimalApplication

    with MinimalApplication() as made:
        yield made
        gc.collect()  # what the test dropped goes before the scene does


@pytest.fixture
def scene(application):
    """The fresh scene; also ``slicer.mrmlScene``."""
    return application.scene
