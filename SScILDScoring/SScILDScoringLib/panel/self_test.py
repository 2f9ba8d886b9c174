"""The module's self-test in the real application: a phantom through panel, worker and scene."""

from __future__ import annotations

import time
from collections.abc import Callable

import slicer

from ..levels import Level
from ..phantom import PhantomSpec
from ..scene.case import ScoredCase
from .packages import missing
from .sample_data import makeSample

PATIENCE_S = 300


def runSelfTest(say: Callable[[str], None]) -> None:
    """Runs it; raises AssertionError where something is not as promised.

    Args:
        say: shows a message for a moment (``delayDisplay``).
    """
    say("Making a small phantom")
    volume = makeSample(PhantomSpec(seed=1, matrix=128, spacing=(2.8, 2.8, 6.0)))
    slicer.util.selectModule("SScILDScoring")
    panel = slicer.modules.SScILDScoringWidget.panel
    panel.desk.parameters.inputVolume = volume
    if missing():
        assert not panel.ui.findLevelsButton.enabled, "levels could be asked for although packages are missing"
        say("Software is missing; only the panel was tested")
        return
    say("Finding the levels")
    panel.levels.find()
    _wait(lambda: not panel.desk.busy(), "finding the levels")
    case = ScoredCase.ofVolume(volume)
    assert case is not None, "nothing was found"
    assert len(case.levelPlanes.nodes) == len(Level), "there are no five levels"
    say("Scoring")
    panel.scores.score()
    _wait(lambda: not panel.desk.busy(), "scoring")
    assert case.result is not None, "there are no scores"
    assert not case.staleLevels(), "levels are not scored where they are"
    say("Moving level 3")
    before = case.result.slice_indices
    case.levelPlanes.moveLevel(Level.L3, case.levels[Level.L3].mm - 2 * case.scan.mm_per_slice)
    _wait(lambda: not panel.desk.busy() and not case.staleLevels(), "scoring the moved level")
    assert case.result.slice_indices[2] != before[2], "level 3 was not scored where it is now"
    say("Test passed")


def _wait(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, f"{what} took longer than {PATIENCE_S} s"
        slicer.app.processEvents()
        time.sleep(0.02)
