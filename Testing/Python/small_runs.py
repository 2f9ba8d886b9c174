"""Trainings that are over within seconds, or that go on until somebody ends them, in processes of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from small_cohorts import FIXED, LEVELS, SCORES
from SScILDScoringTrainingLib.run_status import RunStatus, read_status
from SScILDScoringTrainingLib.runs import is_starting, start_error

PHANTOMS = {"train": 2, "validation": 1, "seed": 9, "fixed": {k: v for k, v in FIXED.items() if k != "oblique_deg"}}
ENDLESS = 1_000_000
"""Steps that no test waits for."""


def small_config(folder: Path, recipe: str = "scores", steps: int = 4, **training) -> Path:
    """A configuration file that trains a tiny network on two phantoms; cached below ``folder``, where it is written."""
    config = {"scores": SCORES, "levels": LEVELS}[recipe]
    data = {"phantoms": dict(PHANTOMS), "cache": str(folder / "cache")}
    if recipe == "scores":
        data["phantoms"]["slices"] = 6
        data["mix"] = {"phantom": 0.5, "synthetic": 0.5}
    every = {"steps": steps, "validate_every": 4 if steps < ENDLESS else 20}
    values = {**config, "data": data, "training": {**config["training"], **every, **training}}
    path = folder / f"{recipe}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def until(condition: Callable[[], object], seconds: float = 120.0) -> object:
    """Waits for something that must happen, and returns what it was."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


def until_state(folder: Path, *states: str, seconds: float = 120.0) -> RunStatus:
    """Waits until the run is in one of the states."""

    def reached() -> RunStatus | None:
        status = read_status(folder)
        _must_not_have_failed(folder, status, states)
        return status if status is not None and status.state in states else None

    return until(reached, seconds)


def until_step(folder: Path, step: int, seconds: float = 120.0) -> RunStatus:
    """Waits until the run is being trained and has done more than ``step`` steps."""

    def reached() -> RunStatus | None:
        status = read_status(folder)
        _must_not_have_failed(folder, status)
        return status if status is not None and status.state == "running" and status.step > step else None

    return until(reached, seconds)


def _must_not_have_failed(folder: Path, status: RunStatus | None, unless: tuple[str, ...] = ()) -> None:
    if is_starting(folder):  # what the status says is of an earlier session
        return
    assert not start_error(folder) or "failed" in unless, start_error(folder)
    assert status is None or status.state != "failed" or "failed" in unless, status.message


def alive(pid: int) -> bool:
    """Whether a process runs (what is left of an ended one does not count)."""
    from SScILDScoringTrainingLib.processes import process_mark

    return process_mark(pid) is not None


def end(pid: int) -> None:
    """Ends a process group of a test, whatever became of it."""
    import signal
    from contextlib import suppress

    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
