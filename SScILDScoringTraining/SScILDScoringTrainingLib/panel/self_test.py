"""The module's self-test in the real application: a small training in a process of its own, followed and steered."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import slicer

from SScILDScoringLib.errors import SScILDError

from ..run_status import read_status, request
from ..runs import kill, start_training

PATIENCE_S = 300
PHANTOMS = {"train": 2, "validation": 1, "seed": 9, "fixed": {"matrix": 64, "slices": 24, "tilt_deg": 0.0}, "slices": 6}
CONFIGURATION = {
    "recipe": "scores",
    "seed": 1,
    "network": {"name": "compact_ratio", "options": {"widths": [4, 8, 8, 8], "blocks": [1, 1, 1, 1]}},
    "input": {"size": 64, "hu_window": [-1024, 600]},
    "data": {"phantoms": PHANTOMS, "mix": {"phantom": 1.0}},
    "training": {
        "batch_size": 2,
        "steps": 1_000_000,
        "learning_rate": 1e-3,
        "validate_every": 20,
        "device": "cpu",
        "tensorboard": False,
    },
    "bundle": {"name": "self_test", "description": "The self-test of the module."},
}
"""A tiny network on two phantoms; it goes on until it is stopped."""


def runSelfTest(say: Callable[[str], None]) -> None:
    """Runs it; raises AssertionError where something is not as promised.

    Args:
        say: shows a message for a moment (``delayDisplay``).
    """
    say("Opening the module")
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule("SScILDScoringTraining")
    else:  # nobody selects a module without a main window
        slicer.util.getModuleWidget("SScILDScoringTraining").enter()
    panel = slicer.modules.SScILDScoringTrainingWidget.panel
    desk = panel.desk
    assert desk.parameters is not None, "the panel has no settings although it is open"
    if desk.noSoftware():
        assert not panel.ui.startButton.enabled, "a training could be started although packages are missing"
        say("Software is missing; only the panel was tested")
        return
    place = Path(tempfile.mkdtemp(prefix="sscild-self-test-"))
    folder = place / "run"
    try:
        _train(say, panel, place, folder)
    finally:
        with suppress(SScILDError):
            kill(folder)
        with suppress(SScILDError):
            desk.registry.forget(folder)
        desk.look(everything=True)
        desk.setCurrentRun(None)
        shutil.rmtree(place, ignore_errors=True)
    say("Test passed")


def _train(say: Callable[[str], None], panel, place: Path, folder: Path) -> None:
    import yaml  # training needs it; without it the test has ended before

    desk = panel.desk
    say("Starting a small training")
    configuration = place / "self_test.yaml"
    data = {**CONFIGURATION["data"], "cache": str(place / "cache")}
    configuration.write_text(yaml.safe_dump({**CONFIGURATION, "data": data}), encoding="utf-8")
    start_training(configuration, folder)
    desk.look(everything=True)
    desk.setCurrentRun(folder)
    assert desk.currentRun == folder, "the run is not in the list"
    _wait(lambda: _state(folder) == "running" and read_status(folder).step > 0, "the first step", panel)
    say("Following its curves")
    _wait(lambda: panel.progress.layout.plots is not None and panel.progress.layout.plots.nodes, "the curves", panel)
    say("Pausing, going on, stopping")
    request(folder, "pause")
    _wait(lambda: _state(folder) == "paused", "the pause", panel)
    step = read_status(folder).step
    request(folder, "resume")
    _wait(lambda: read_status(folder).step > step, "the steps after the pause", panel)
    request(folder, "stop")
    _wait(lambda: _state(folder) == "stopped", "the stop", panel)
    _wait(lambda: desk.status is not None and desk.status.state == "stopped", "the panel's notice of the stop", panel)
    assert read_status(folder).can_resume, "a stopped run cannot be gone on with"


def _state(folder: Path) -> str:
    status = read_status(folder)
    return status.state if status is not None else ""


def _wait(done: Callable[[], object], what: str, panel) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        run = panel.desk.run
        failed = run is not None and (run.startError or (run.status is not None and run.status.state == "failed"))
        assert not failed, f"{what}: the training failed: {run.startError or run.status.message}"
        assert time.monotonic() < deadline, f"{what} took longer than {PATIENCE_S} s"
        slicer.app.processEvents()
        time.sleep(0.02)
