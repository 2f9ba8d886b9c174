"""Finds in the source of a module what works on the stand-ins but not in Slicer, or breaks a rule of Slicer's.

``python Testing/Application/slicer_habits.py FILE...`` prints the findings, one a line.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

HEAVY = ("torch", "monai", "SimpleITK", "pydicom", "pandas", "matplotlib", "sklearn", "SampleData", "PyTorchUtils")
"""Packages that no module may import when Slicer starts: they are slow, or may be missing."""

NOT_IN_PYTHONQT = {
    "Signal",
    "Slot",
    "Property",
    "pyqtSignal",
    "pyqtSlot",
    "pyqtProperty",
    "QtCore",
    "QtGui",
    "QtWidgets",
}


def findings(path: Path, heavy: tuple[str, ...] = HEAVY) -> list[str]:
    """What is wrong in a file: ``name:line: sentence``, in the order of the lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    found = sorted({(line, text) for check in (_imports, _calls, _attributes) for line, text in check(tree, heavy)})
    return [f"{path.name}:{line}: {text}" for line, text in found]


def _imports(tree: ast.Module, heavy: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            relative = isinstance(node, ast.ImportFrom) and node.level
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for top in {name.partition(".")[0] for name in names if not relative}:
                if top.startswith(("PySide", "PyQt", "PythonQt")):
                    yield node.lineno, f"{top} is imported; Slicer's Qt is the module qt"
                if top in heavy and node in _atFileScope(tree):
                    yield node.lineno, f"{top} is imported at file scope, that is when Slicer starts"


def _atFileScope(tree: ast.Module) -> list[ast.stmt]:
    """Statements that run on import, also within if and try."""
    found, waiting = [], list(tree.body)
    while waiting:
        node = waiting.pop()
        found.append(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        for field in ("body", "orelse", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                waiting += getattr(node, field, [])
        waiting += [statement for handler in getattr(node, "handlers", []) for statement in handler.body]
    return found


def _dotted(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""


def _calls(tree: ast.Module, heavy: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _dotted(node.func)
        if name.startswith(("qt.", "ctk.")) and node.keywords:
            words = ", ".join(str(keyword.arg) for keyword in node.keywords)
            yield node.lineno, f"{name} gets keywords ({words}), which PythonQt refuses"
        if name in ("_", "tr") and node.args and not _isText(node.args[0]):
            yield node.lineno, f"{name}() needs a text that translators can find: no f-string, no +, no variable"
        if name in ("print", "breakpoint"):
            yield node.lineno, f"{name}() is left in the code; logging reaches Slicer's log"
        if isinstance(node.func, ast.Attribute) and node.func.attr == "emit":
            yield node.lineno, "a signal is emitted from Python, which PythonQt does for its own classes only"


def _isText(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _attributes(tree: ast.Module, heavy: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    try:
        import slicer.util as utilities

        functions = {n for n, f in vars(utilities).items() if getattr(f, "__module__", "") == "slicer.util"}
    except ImportError:
        functions = set()
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        if node.value.id == "slicer" and node.attr in functions:
            yield node.lineno, f"slicer.{node.attr} is slicer.util.{node.attr} in the application"
        if node.value.id == "qt" and node.attr in NOT_IN_PYTHONQT:
            yield node.lineno, f"qt.{node.attr} is not in PythonQt"


if __name__ == "__main__":
    everything = [line for name in sys.argv[1:] for line in findings(Path(name))]
    print("\n".join(everything) or "nothing found")
    sys.exit(bool(everything))
