"""Where a new run goes, and how it is called, when the user says nothing."""

from __future__ import annotations

import json
from pathlib import Path

from SScILDScoringLib.results import safe_name

DEFAULT_FOLDER = "SScILDScoringRuns"
"""Below the user's home."""

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
    """The name of the next run: the user's, else that of the preset, with a number when it is taken."""
    given = parameters.runName.strip()
    if given:
        return safe_name(given)
    base = parameters.preset or parameters.recipe
    number, name = 1, base
    while (runsFolder(parameters) / name).exists():
        number += 1
        name = f"{base}_{number}"
    return name


def runFolder(parameters) -> Path:
    """The folder of the next run."""
    return runsFolder(parameters) / runName(parameters)


def holdsRun(folder: Path) -> bool:
    """Whether a training or study was started in a folder."""
    return any((folder / name).exists() for name in ("status.json", "config.yaml", "plan.json", "checkpoints"))


def kindOfFolder(folder: Path) -> str:
    """What was started in a folder: ``training``, or the kind of study its plan shows."""
    try:
        variants = json.loads((folder / "plan.json").read_text(encoding="utf-8"))["variants"]
    except (OSError, ValueError, KeyError, TypeError):
        return "training"
    if len(variants) < 2:
        return "folds"
    return "ablation" if any(variant.get("factors") for variant in variants) else "compare"
