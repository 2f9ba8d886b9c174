"""A configuration file of the user's own, told as a preset is."""

from __future__ import annotations

import re
from pathlib import Path

from ..runs import Preset
from ..runs.presets import recipe_in
from .parameter_node import RECIPES

SUFFIXES = (".yaml", ".yml")


def ownPreset(text: str) -> Preset | None:
    """The configuration in a file; None when there is none, or none of a training.

    Args:
        text: the file's path as the user gave it.
    """
    path = Path(text.strip()).expanduser().absolute()
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return None
    recipe = recipe_in(path)
    if recipe not in RECIPES:
        return None
    content = "\n".join(line for line in _lines(path) if not line.lstrip().startswith("#"))
    needs = tuple(name for name in dict.fromkeys(re.findall(r"\$\{(\w+)\}", content)) if name != "PRESETS")
    return Preset(path.stem, path, recipe, path.name, "", "", "COHORT" in needs, needs)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
