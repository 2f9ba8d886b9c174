"""What the extension promises to Slicer's build, to the Extensions Index and to whoever installs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = ROOT / "Testing" / "Application"
sys.path.insert(0, str(APPLICATION))

from module_files import MODULES, listed_files, module_files  # noqa: E402


def cmake(*arguments: object) -> str:
    """Runs CMake and returns what it printed; fails the test with that when CMake fails."""
    program = shutil.which("cmake", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert program, "cmake belongs to the test requirements (pip install cmake)"
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder into which Slicer would install both modules, made by CMake from the extension's own lists."""
    work = tmp_path_factory.mktemp("extension")
    cmake("-S", ROOT, "-B", work / "build", f"-DSlicer_DIR={APPLICATION / 'cmake_stub'}", "-DBUILD_TESTING=ON")
    cmake("--install", work / "build", "--prefix", work / "installed")
    return work / "installed" / "qt-scripted-modules"


def run_installed(folder: Path, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Python with the installed folder and nothing of the checkout on its path, as in Slicer."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1", "XDG_DATA_HOME": str(tmp_path)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=250
    )


@pytest.mark.parametrize("module", MODULES)
def test_cmake_lists_every_file_of_the_module_and_no_other(module):
    assert listed_files(module) == module_files(module), "run: python Testing/Application/module_files.py --write"


def test_the_two_modules_do_not_overwrite_each_other_in_slicers_flat_folder():
    both = [{name for files in module_files(m).values() for name in files} for m in MODULES]
    assert not both[0] & both[1]


def test_the_extension_configures_and_installs(installed):
    assert (installed / "SScILDScoring.py").is_file()
    assert (installed / "Resources" / "UI" / "SScILDScoring.ui").is_file()
    assert (installed / "SScILDScoringTraining.py").is_file()
    assert (installed / "Resources" / "UI" / "SScILDScoringTraining.ui").is_file()
    assert (installed / "SScILDScoringTrainingLib" / "cli.py").is_file()


def test_the_installed_libraries_find_their_starter_networks_and_score_from_there(installed, tmp_path):
    code = """
import sys
from pathlib import Path
import SScILDScoringLib, SScILDScoringTrainingLib.cli
from SScILDScoringLib.models import bundled_folders, list_bundles
folder = Path(sys.argv[1])
assert Path(SScILDScoringLib.__file__).is_relative_to(folder), SScILDScoringLib.__file__
assert folder / "Resources" / "Models" in bundled_folders(), bundled_folders()
found = {b.kind: b for b in list_bundles() if b.folder.is_relative_to(folder)}
assert set(found) == {"l_net", "s_net"} and not any(b.error for b in found.values()), found
import numpy
from SScILDScoringLib import score_scan
from SScILDScoringLib.phantom import PhantomSpec, make_phantom
spec = PhantomSpec.random(numpy.random.default_rng(3), matrix=96, slices=40)
result = score_scan(make_phantom(spec).scan, l_net=found["l_net"].folder, s_net=found["s_net"].folder, heat_maps=False)
from SScILDScoringLib.report import write_report
write_report(result, Path("report.html"))
print("extent", *result.extent)
"""
    done = run_installed(installed, tmp_path, "-c", code, str(installed))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("extent ")


OPEN_AND_TEST = """
import sys
from importlib import import_module
from pathlib import Path
folder, name, button = Path(sys.argv[1]), sys.argv[3], sys.argv[4]
sys.path.append(sys.argv[2])
from minimal_application import MinimalApplication
from standins.install import install
with MinimalApplication() as minimal:
    installation = install(minimal)
    installation.application.showMainWindow()
    from standins.module_opening import openModule
    opened = openModule(folder / f"{name}.py")
    library = import_module(f"{name}Lib")
    assert Path(library.__file__).is_relative_to(folder)
    assert opened.cpp.categories == ["Chest Imaging Platform"] and opened.cpp.helpText
    assert opened.panel.findChildren(object, button)
    import_module(f"{name}Lib.panel.self_test").runSelfTest(print)
    opened.close()
    installation.remove()
print("passed")
"""


@pytest.mark.parametrize(
    ("module", "button"), [("SScILDScoring", "findLevelsButton"), ("SScILDScoringTraining", "startButton")]
)
def test_the_installed_module_opens_its_panel_and_passes_its_self_test(installed, tmp_path, module, button):
    pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
    pytest.importorskip("PySide6", reason="PySide6 is not installed: pip install PySide6-Essentials")
    done = run_installed(installed, tmp_path, "-c", OPEN_AND_TEST, str(installed), str(APPLICATION), module, button)
    assert done.stdout.strip().endswith("passed"), done.stdout + done.stderr


def test_the_catalog_entry_keeps_the_rules_of_the_extensions_index():
    data = json.loads((ROOT / "SScILDScoring.json").read_text(encoding="utf-8"))
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    allowed = {
        "$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies", "build_subdirectory",
        "tier", "enabled", "dicom_support_rule",
    }  # fmt: skip
    assert {"$schema", "category", "scm_url"} <= set(data) <= allowed
    project = re.search(r"project\((\w+)\)", text).group(1)
    assert project == "SScILDScoring"
    assert not project.lower().startswith("slicer")
    assert Path(data["scm_url"]).stem.startswith("Slicer")
    depends = re.search(r'EXTENSION_DEPENDS "([^"]*)"', text).group(1)
    assert depends.split() == data["build_dependencies"]
    assert data["scm_url"].removesuffix(".git") in text
    assert (ROOT / "LICENSE.txt").is_file()
    assert b"\r" not in (ROOT / "SScILDScoring.json").read_bytes()


def test_the_icons_are_128_pixels_square():
    icons = [ROOT / module / "Resources" / "Icons" / f"{module}.png" for module in MODULES]
    for path in (ROOT / "SScILDScoring.png", *icons):
        data = path.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", data[16:24]) == (128, 128)


def test_the_screenshots_of_the_catalog_are_in_the_repository():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    names = re.findall(r"Resources/Screenshots/\w+\.png", text)
    assert names
    assert all((ROOT / name).is_file() for name in names)


@pytest.mark.parametrize("module", MODULES)
def test_the_module_file_is_thin(module):
    lines = (ROOT / module / f"{module}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 150
