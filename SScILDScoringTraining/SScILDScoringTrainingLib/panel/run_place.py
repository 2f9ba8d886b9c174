"""Where a new run goes, and how it is called, when the user says nothing."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

from SScILDScoringLib.results import safe_name

from ..runs.places import PLAN, holds_run

DEFAULT_FOLDER = "SScILDScoringRuns"
"""Below the user's home."""

OWN = "own"
"""The choice of a configuration file of one's own instead of a preset."""

CACHE = "cache"
"""Below the folder of the runs: what checks and trainings remember of the scans."""


def runsFolder(parameters) -> Path:
    """The folder in which run folders are made."""
    given = parameters.runsFolder.strip()
    return Path(given).expanduser().absolute() if given else Path.home() / DEFAULT_FOLDER


def cacheFolder(parameters) -> Path:
    """The folder of the caches, one for all runs."""
    return runsFolder(parameters) / CACHE


def runName(parameters) -> str:
    """The name of the next run: the user's, else that of the preset, with a number when it is taken.

    It is the name of a folder and of a model: letters, digits, dot, hyphen and underscore of ASCII, at most 64.
    """
    given = parameters.runName.strip()
    if given:
        return _plain(given)
    base = parameters.preset if parameters.preset != OWN else _plain(Path(parameters.configFile).stem)
    number, name = 1, base
    while (runsFolder(parameters) / name).exists():
        number += 1
        name = f"{base}_{number}"
    return name


def _plain(name: str) -> str:
    ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return safe_name(ascii_)[:64].rstrip("._-")


def runFolder(parameters) -> Path:
    """The folder of the next run."""
    return runsFolder(parameters) / runName(parameters)


def holdsRun(folder: Path) -> bool:
    """Whether a training in a folder got as far as a checkpoint, or a study as far as its plan: it can be resumed."""
    return holds_run(folder)


def isRun(folder: Path) -> bool:
    """Whether a training or study was started in a folder, however far it got."""
    return any((folder / name).is_file() for name in ("status.json", "config.yaml", PLAN))


def kindOfFolder(folder: Path) -> str:
    """What was started in a folder: ``training``, or the kind of study its plan shows."""
    try:
        variants = json.loads((folder / PLAN).read_text(encoding="utf-8"))["variants"]
    except (OSError, ValueError, KeyError, TypeError):
        return "training"
    if len(variants) < 2:
        return "folds"
    return "ablation" if any(variant.get("factors") for variant in variants) else "compare"
