"""Source code that would work on the stand-ins but not in Slicer is found; ours has none of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Testing" / "Application"))

from slicer_habits import findings  # noqa: E402

MODULES = ("SScILDScoring", "SScILDScoringTraining")
OURS = [
    path
    for module in MODULES
    for pattern in ("*.py", f"{module}Lib/scene/*.py", f"{module}Lib/panel/*.py")
    for path in sorted((ROOT / module).glob(pattern))
]


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_modules_keep_to_slicers_habits(path):
    assert not findings(path)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("import torch", "torch is imported at file scope"),
        ("if True:\n    import monai.networks", "monai is imported at file scope"),
        ("try:\n    from SimpleITK import ReadImage\nexcept ImportError:\n    pass", "SimpleITK"),
        ("from PySide6 import QtCore", "PySide6 is imported"),
        ("button = qt.QPushButton(text='Score')", "gets keywords (text)"),
        ("value = slicer.getNode('CT')", "slicer.util.getNode"),
        ("label = _(f'{n} levels')", "no f-string"),
        ("label = _('a' + name)", "no f-string"),
        ("class A:\n    changed = qt.Signal(int)", "qt.Signal"),
        ("self.changed.emit(3)", "emitted"),
        ("print('here')", "print()"),
    ],
)
def test_mistakes_are_found(tmp_path, line, complaint):
    path = tmp_path / "Panel.py"
    path.write_text(line)
    (found,) = findings(path)
    assert complaint in found


@pytest.mark.parametrize(
    "line",
    [
        "def score():\n    import torch",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
        "from .torch import something",
        "text = _('{n} levels').format(n=3)",
        "dialog = slicer.util.createProgressDialog(labelText='Working')",
        "node = slicer.util.getNode('CT')",
        "slicer.mrmlScene.Clear(0)",
    ],
)
def test_good_code_is_left_alone(tmp_path, line):
    path = tmp_path / "Panel.py"
    path.write_text(line)
    assert not findings(path)
