"""Driving the module's panel as a person does: opening it, choosing a CT, pressing, waiting, looking."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "SScILDScoring" / "SScILDScoring.py"
PATIENCE_S = 240


@cache
def smallPhantom():
    """A whole chest of few voxels with disease: scan and true levels, made once."""
    from SScILDScoringLib.phantom import DiseaseSpec, PhantomSpec, make_phantom

    disease = DiseaseSpec(ground_glass=0.3, reticulation=0.2)
    return make_phantom(PhantomSpec(seed=3, matrix=96, spacing=(3.9, 3.9, 8.0), disease=disease))


class PanelDriver:
    """The opened module with short names for what tests do.

    Args:
        opened: by the fixture ``openModule``.
    """

    def __init__(self, opened) -> None:
        import slicer

        self.opened, self.application, self.scene = opened, slicer.app, slicer.mrmlScene
        self.panel = opened.widget.panel
        self.ui, self.desk = self.panel.ui, self.panel.desk

    @property
    def parameters(self):
        return self.desk.parameters

    def addCT(self, name: str = "CT"):
        """A small phantom in the scene, not yet chosen."""
        from SScILDScoringLib.scene.volumes import volumeFromScan

        return volumeFromScan(smallPhantom().scan, name, self.scene)

    def choose(self, volumeNode) -> None:
        """Chooses a CT in the selector."""
        self.ui.volumeSelector.setCurrentNode(volumeNode)
        self.settle()

    def chooseCT(self):
        """Puts a small phantom into the scene and chooses it."""
        node = self.addCT()
        self.choose(node)
        return node

    def settle(self) -> None:
        """Lets Qt do what waits."""
        for _n in range(3):
            self.application.processEvents()

    def waitUntil(self, condition: Callable[[], object], what: str) -> None:
        """Runs Qt's event loop until ``condition()`` holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE_S} s"
            self.application.processEvents()
            time.sleep(0.01)

    def press(self, button, what: str) -> None:
        """Presses a button and waits until the step that it starts has ended."""
        assert button.enabled, f"the button for {what} cannot be pressed: {button.toolTip}"
        button.click()
        self.waitUntil(lambda: not self.desk.busy(), what)

    def nodeNames(self) -> set[str]:
        """IDs of everything in the scene."""
        return {self.scene.GetNthNode(n).GetID() for n in range(self.scene.GetNumberOfNodes())}

    def killWorker(self) -> None:
        """Kills the worker process as a crash would."""
        import psutil

        workers = [p for p in psutil.Process().children(recursive=True) if "SScILDScoringLib.worker" in p.cmdline()]
        assert workers, "no worker runs"
        for process in workers:
            process.kill()

    def saveAndLoad(self, folder) -> None:
        """Saves the scene into a file, closes it, and loads the file."""
        from scene_files_on_disk import saved_and_loaded

        saved_and_loaded(self.scene, folder)
        self.settle()

    def scores(self, row: int) -> list[str]:
        """A row of the score table as it is shown."""
        table = self.ui.scoresTable
        return [table.item(row, column).text() for column in range(table.columnCount)]


def withoutPyTorch(monkeypatch) -> None:
    """The computer has no PyTorch: nothing can be computed, and no worker starts."""
    from SScILDScoringLib.panel import packages

    lacking = packages.Package("torch", "there_is_no_torch_here", "2.6", 250, torch=True)
    monkeypatch.setattr(packages, "PACKAGES", (lacking, *packages.PACKAGES[1:]))
