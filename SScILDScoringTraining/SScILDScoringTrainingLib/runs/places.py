"""What lies in a run folder, and from where the relative paths of its configuration count."""

from __future__ import annotations

import os
from pathlib import Path

PLAN = "plan.json"
"""A study's plan (see :mod:`..crossvalidation.study`)."""


def absolute(folder: str | Path) -> Path:
    """The whole path of a folder, which need not exist; links stay links."""
    return Path(os.path.abspath(Path(folder).expanduser()))  # noqa: PTH100 - resolve() would follow links


def holds_run(folder: Path) -> bool:
    """Whether a training got as far as a checkpoint there, or a study as far as its plan."""
    checkpoints = folder / "checkpoints"
    return any(p.exists() for p in (checkpoints / "last.pt", checkpoints / "previous.pt", folder / PLAN))


def place_of_paths(folder: Path) -> Path:
    """The folder from which the relative paths in a run's configuration count.

    A run that was started here has them from the folder around it; one that somebody started in a terminal has them
    from wherever that was: the nearest folder above in which they lead to something.
    """
    relative = [path for path in _paths(folder / "config.yaml") if not path.is_absolute()]
    for place in folder.parents:
        if relative and all((place / path).exists() for path in relative):
            return place
    return folder.parent


def _paths(config: Path) -> list[Path]:
    """The cohort table and the cache of a configuration; none when it cannot be read."""
    try:
        import yaml

        data = yaml.safe_load(config.read_text(encoding="utf-8"))["data"]
        return [Path(data[key]) for key in ("cohort", "cache") if data.get(key)]
    except (ImportError, OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return []
