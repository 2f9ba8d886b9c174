"""The files that each module's CMakeLists.txt has to list: a file that is not listed is not in the package.

python Testing/Application/module_files.py --write      # brings the lists up to date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("SScILDScoring", "SScILDScoringTraining")
LISTS = {"MODULE_PYTHON_SCRIPTS": (".py",), "MODULE_PYTHON_RESOURCES": None}


def module_files(module: str, root: Path = ROOT) -> dict[str, list[str]]:
    """Scripts and resources of a module, relative to its folder, sorted."""
    folder = root / module
    files = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "CMakeLists.txt" and "__pycache__" not in path.parts
    )
    return {
        "MODULE_PYTHON_SCRIPTS": [name for name in files if name.endswith(".py")],
        "MODULE_PYTHON_RESOURCES": [name for name in files if not name.endswith(".py")],
    }


def listed_files(module: str, root: Path = ROOT) -> dict[str, list[str]]:
    """What the module's CMakeLists.txt lists, in its order."""
    text = (root / module / "CMakeLists.txt").read_text(encoding="utf-8")
    return {name: _list_in(text, name).group(2).split() for name in LISTS}


def write_lists(module: str, root: Path = ROOT) -> None:
    """Rewrites the two lists of a module's CMakeLists.txt."""
    path = root / module / "CMakeLists.txt"
    text = path.read_text(encoding="utf-8")
    for name, files in module_files(module, root).items():
        found = _list_in(text, name)
        body = "".join(f"  {file}\n" for file in files)
        text = text[: found.start(2)] + "\n" + body + "  " + text[found.end(2) :]
    path.write_text(text, encoding="utf-8")


def _list_in(text: str, name: str) -> re.Match:
    found = re.search(rf"(set\({name}\b)([^)]*)\)", text)
    if found is None:
        raise ValueError(f"no list {name}")
    return found


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    for each in MODULES:
        write_lists(each)
