"""What the project promises about itself: layers, safety of its code, and what is kept in the repository."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCIENCE = ROOT / "SScILDScoring" / "SScILDScoringLib"
TRAINING = ROOT / "SScILDScoringTraining" / "SScILDScoringTrainingLib"


def python_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)


def imported_roots(path: Path, at_import_time: bool = False) -> set[str]:
    """First names of all modules that a file imports; only those outside functions when ``at_import_time``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = set()
    if at_import_time:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inside.update(id(child) for child in ast.walk(node))
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                inside.update(id(child) for child in ast.walk(node))
    roots = set()
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            roots.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots.add(node.module.split(".")[0])
    return roots


def layer_of(path: Path) -> str:
    """``science``, ``scene`` or ``panel``, by the folder a library file stands in."""
    parts = path.parts
    return "panel" if "panel" in parts else "scene" if "scene" in parts else "science"


def test_every_room_is_in_the_package_that_pip_installs():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    rooms = {
        ".".join(init.parent.relative_to(library.parent).parts)
        for library in (SCIENCE, TRAINING)
        for init in library.rglob("__init__.py")
    }
    assert rooms == set(listed) - {"SScILDScoringResources"}


@pytest.mark.parametrize("path", python_files(SCIENCE) + python_files(TRAINING), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_from_panel_to_scene_to_science(path):
    forbidden = {"science": {"slicer", "vtk", "qt", "ctk"}, "scene": {"qt", "ctk"}, "panel": set()}[layer_of(path)]
    assert not imported_roots(path) & forbidden


def relative_rooms(path: Path) -> set[str]:
    """Rooms and modules of its library that a file imports by relative names."""
    library = SCIENCE if path.is_relative_to(SCIENCE) else TRAINING
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            place = path.parents[node.level - 1].relative_to(library).parts
            names = [*place, *(node.module or "").split(".")]
            found.update([names[0]] if names[0] else [alias.name for alias in node.names])
    return found


@pytest.mark.parametrize("path", python_files(SCIENCE) + python_files(TRAINING), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_layer_knows_those_above_it(path):
    # Commands are where the layers are put together: they hand the scene's writers to the science layer.
    above = {"science": {"scene", "panel"}, "scene": {"panel"}, "panel": set()}[layer_of(path)]
    if path.parent.name != "commands":
        assert not relative_rooms(path) & above


@pytest.mark.parametrize("path", python_files(SCIENCE), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_scoring_library_does_not_need_the_training_library(path):
    assert "SScILDScoringTrainingLib" not in imported_roots(path) or path.name == "__main__.py"


@pytest.mark.parametrize("path", python_files(SCIENCE), ids=lambda p: str(p.relative_to(ROOT)))
def test_scoring_needs_only_its_declared_packages_to_be_imported(path):
    declared = {"numpy", "torch", "SimpleITK", "pydicom", "safetensors", "typer", "rich", "jinja2", "PIL"}
    if path.name == "passes.py":  # whoever imports that does without where numba is missing
        declared |= {"numba", "llvmlite"}
    if layer_of(path) == "science":
        outside = imported_roots(path, at_import_time=True) - set(sys.stdlib_module_names) - declared
        assert outside <= {"SScILDScoringLib"}


def test_the_training_panel_is_built_of_parts_that_are_cheap_to_import():
    """Slicer's own process imports these at the click on the module; torch and the rest stay with the workers."""
    code = (
        "import sys\n"
        "import SScILDScoringTrainingLib.runs, SScILDScoringTrainingLib.run_status, SScILDScoringTrainingLib.worker\n"
        "print([m for m in ('torch', 'SimpleITK', 'monai', 'ignite', 'pandas', 'numpy', 'yaml') if m in sys.modules])"
    )
    path = os.pathsep.join([str(SCIENCE.parent), str(TRAINING.parent)])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.stdout.strip() == "[]"


def test_importing_the_library_is_cheap():
    code = "import sys, SScILDScoringLib; print([m for m in ('torch', 'SimpleITK', 'pydicom') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SCIENCE.parent, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", python_files(SCIENCE) + python_files(TRAINING), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_pickle_no_eval_no_shell(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not imported_roots(path) & {"pickle", "dill", "cloudpickle", "shelve", "marshal"}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        arguments = {k.arg: ast.unparse(k.value) for k in node.keywords}
        assert name not in {"eval", "exec", "os.system", "yaml.load"}, name
        assert arguments.get("shell") != "True"
        if name == "torch.load":
            assert arguments.get("weights_only") == "True"
        if name in {"np.load", "numpy.load"}:
            assert arguments.get("allow_pickle", "False") == "False"


def test_the_top_level_holds_what_was_agreed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    agreed = {"SScILDScoring", "SScILDScoringTraining", "Resources", "Testing", ".ci", "README.md", "LICENSE.txt",
              "CMakeLists.txt", "pyproject.toml", "constraints.txt", "Makefile", ".gitignore", ".gitattributes",
              "SScILDScoring.png", "SScILDScoring.json"}  # fmt: skip
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} <= agreed


def test_nothing_large_and_no_scan_is_committed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    scans = re.compile(r"\.(dcm|nii|nii\.gz|nrrd|mha|mhd|npz|pt|pth|pkl)$")
    for name in listed.stdout.splitlines():
        assert not scans.search(name), name
        path = ROOT / name
        assert not path.is_file() or path.stat().st_size <= 8_000_000, name
