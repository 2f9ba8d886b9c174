"""The stand-in for Slicer's CMake takes what Slicer takes, puts files where Slicer puts them, and refuses mistakes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STUB = Path(__file__).resolve().parents[1] / "Application" / "cmake_stub"
CMAKE = shutil.which("cmake", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
pytestmark = pytest.mark.skipif(CMAKE is None, reason="cmake is not installed")

TOP = """
cmake_minimum_required(VERSION 3.20)
project(TinyExtension NONE)
set(EXTENSION_HOMEPAGE "https://example.org/tiny")
set(EXTENSION_CONTRIBUTORS "A. Person (A Clinic), B. Person")
set(EXTENSION_DESCRIPTION "Counts; then counts again.")
set(EXTENSION_ICONURL "https://example.org/tiny.png")
set(EXTENSION_SCREENSHOTURLS "https://example.org/1.png https://example.org/2.png")
set(EXTENSION_DEPENDS "NA")
find_package(Slicer REQUIRED)
include(${Slicer_USE_FILE})
add_subdirectory(Tiny)
install(FILES NOTICE.txt DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}/Resources")
include(${Slicer_EXTENSION_GENERATE_CONFIG})
include(${Slicer_EXTENSION_CPACK})
"""
MODULE = """
slicerMacroBuildScriptedModule(NAME Tiny SCRIPTS Tiny TinyLib/count.py RESOURCES Resources/UI/Tiny.ui
  WITH_GENERIC_TESTS)
if(BUILD_TESTING)
  slicer_add_python_unittest(SCRIPT Tiny.py TESTNAME_PREFIX nomainwindow_ SLICER_ARGS --no-main-window)
  slicer_add_python_test(SCRIPT ${CMAKE_CURRENT_SOURCE_DIR}/TinyLib/count.py SCRIPT_ARGS 1 2)
endif()
"""


@pytest.fixture
def extension(tmp_path) -> Path:
    """An extension with one module of two scripts and a resource."""
    folder = tmp_path / "extension"
    files = {
        "CMakeLists.txt": TOP,
        "NOTICE.txt": "",
        "Tiny/CMakeLists.txt": MODULE,
        "Tiny/Tiny.py": "",
        "Tiny/TinyLib/count.py": "",
        "Tiny/Resources/UI/Tiny.ui": "",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def configure(extension: Path) -> subprocess.CompletedProcess:
    command = [CMAKE, "-S", extension, "-B", extension / "build", f"-DSlicer_DIR={STUB}", "-DBUILD_TESTING=ON"]
    return subprocess.run(command, capture_output=True, text=True)


def test_an_extension_is_configured_and_installed_flat(extension, tmp_path):
    done = configure(extension)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([CMAKE, "--install", extension / "build", "--prefix", tmp_path / "out"], capture_output=True)
    assert done.returncode == 0, done.stderr
    top = tmp_path / "out" / "qt-scripted-modules"
    found = sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())
    assert found == ["Resources/NOTICE.txt", "Resources/UI/Tiny.ui", "Tiny.py", "TinyLib/count.py"]


def test_its_description_is_written(extension):
    configure(extension)
    lines = (extension / "build" / "extension.txt").read_text().splitlines()
    assert lines[0] == "name TinyExtension"
    assert "description Counts; then counts again." in lines
    assert lines[-1] == "modules Tiny"


def test_its_tests_are_listed_but_need_the_application(extension):
    configure(extension)
    ctest = Path(CMAKE).with_name("ctest")
    listed = subprocess.run([ctest, "-N"], cwd=extension / "build", capture_output=True, text=True).stdout
    for name in ("py_nomainwindow_qSlicerTinyModuleGenericTest", "py_nomainwindow_Tiny", "py_count"):
        assert name in listed
    run = subprocess.run([ctest], cwd=extension / "build", capture_output=True, text=True)
    assert run.returncode != 0, "nothing passes that was not run"


@pytest.mark.parametrize(
    ("file", "before", "after", "complaint"),
    [
        ("Tiny/CMakeLists.txt", "TinyLib/count.py RES", "TinyLib/missing.py RES", "TinyLib/missing.py"),
        ("Tiny/CMakeLists.txt", "Resources/UI/Tiny.ui", "Resources/UI", "no such file"),
        ("Tiny/CMakeLists.txt", "NAME Tiny ", "", "needs NAME"),
        ("Tiny/CMakeLists.txt", "NAME Tiny", "NAME Tiny OTHER x", "OTHER"),
        ("Tiny/CMakeLists.txt", "SCRIPT Tiny.py", "SCRIPT Gone.py", "Gone.py"),
        ("Tiny/CMakeLists.txt", "TESTNAME_PREFIX", "TEST_PREFIX", "TEST_PREFIX"),
        ("CMakeLists.txt", 'EXTENSION_DEPENDS "NA"', 'EXTENSION_DEPENDS ""', "EXTENSION_DEPENDS"),
        ("CMakeLists.txt", "https://example.org/tiny.png", "tiny.png", "EXTENSION_ICONURL"),
        ("CMakeLists.txt", "https://example.org/2.png", "https://example.org/2", "EXTENSION_SCREENSHOTURLS"),
        ("CMakeLists.txt", "project(TinyExtension", "project(SlicerTiny", "must not begin with Slicer"),
        ("CMakeLists.txt", "add_subdirectory(Tiny)", "", "no module"),
        (
            "CMakeLists.txt",
            "add_subdirectory(Tiny)",
            "add_subdirectory(Tiny)\nslicerMacroBuildScriptedModule(NAME Other SCRIPTS Tiny/Tiny.py)",
            None,
        ),
        (
            "Tiny/CMakeLists.txt",
            "WITH_GENERIC_TESTS)",
            "WITH_GENERIC_TESTS)\nslicerMacroBuildScriptedModule(NAME Other SCRIPTS Tiny.py)",
            "overwrite",
        ),
    ],
)
def test_mistakes_are_refused(extension, file, before, after, complaint):
    path = extension / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    done = configure(extension)
    if complaint is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode != 0
        assert complaint in " ".join(done.stderr.split())
