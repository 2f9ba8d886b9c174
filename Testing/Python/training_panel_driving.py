"""Driving the training module's panel as a person does: opening it, choosing, pressing, waiting, looking."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TRAINING_MODULE = Path(__file__).resolve().parents[2] / "SScILDScoringTraining" / "SScILDScoringTraining.py"
PATIENCE_S = 240


def ownSurroundings(monkeypatch, folder: Path) -> None:
    """A user without runs, networks and settings; trainings with one thread."""
    for name in ("XDG_DATA_HOME", "APPDATA", "HOME"):
        monkeypatch.setenv(name, str(folder / "home"))
    monkeypatch.setenv("SSCILD_RUNS", str(folder / "known_runs.json"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("SSCILD_MODELS", raising=False)


class TrainingDriver:
    """The opened module with short names for what tests do.

    Args:
        opened: by the fixture ``openModule``.
    """

    def __init__(self, opened) -> None:
        import slicer

        self.opened, self.application, self.scene = opened, slicer.app, slicer.mrmlScene

    @property
    def panel(self):
        return self.opened.widget.panel

    @property
    def ui(self):
        return self.panel.ui

    @property
    def desk(self):
        return self.panel.desk

    @property
    def parameters(self):
        return self.desk.parameters

    def withMessageBoxes(self, *answers) -> None:
        """Message boxes are shown from here on and answered so."""
        self.application.showMainWindow()
        self.application.testing = False
        self.application.dialogs.willAnswer(*answers)

    def settle(self) -> None:
        """Lets Qt do what waits, and the desk look at the runs."""
        for _n in range(3):
            self.application.processEvents()
        self.desk.tick()

    def waitUntil(self, condition: Callable[[], object], what: str) -> None:
        """Runs Qt's event loop until ``condition()`` holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE_S} s: {self.said()}"
            self.application.processEvents()
            time.sleep(0.02)

    def said(self) -> str:
        """What the panel says about jobs and runs, for messages of failing tests."""
        names = ("cohortJobLabel", "recipeJobLabel", "runLabel", "runMessageLabel")
        return " | ".join(str(getattr(self.ui, name).text) for name in names)

    def press(self, button, what: str) -> None:
        """Presses a button and waits until the job that it starts has ended."""
        assert button.enabled, f"the button for {what} cannot be pressed: {button.toolTip}"
        button.click()
        self.waitUntil(lambda: not self.desk.busy(), what)

    # ---- choosing ------------------------------------------------------------------------------------------------

    def chooseTable(self, path: Path) -> None:
        """Types the path of a cohort table."""
        self.ui.tableEdit.currentPath = str(path)
        self.settle()

    def chooseConfig(self, path: Path, runs: Path, name: str) -> None:
        """Chooses a configuration file of one's own, and where its run goes."""
        recipe = "levels" if "levels" in path.name else "scores"
        combo = self.ui.recipeComboBox
        combo.setCurrentIndex([combo.itemData(n) for n in range(combo.count)].index(recipe))
        self.ui.presetComboBox.setCurrentIndex(self.ui.presetComboBox.count - 1)
        self.ui.configEdit.currentPath = str(path)
        self.ui.runsFolderEdit.currentPath = str(runs)
        self.ui.runNameEdit.setText(name)
        self.settle()

    # ---- looking -------------------------------------------------------------------------------------------------

    def table(self, table) -> list[list[str]]:
        """A table as it is shown."""
        rows, columns = range(table.rowCount), range(table.columnCount)
        return [[table.item(row, column).text() for column in columns] for row in rows]

    def runs(self) -> dict[str, list[str]]:
        """The list of runs by name: what, state, step, best, time left."""
        return {row[0]: row[1:] for row in self.table(self.ui.runsTable)}

    def state(self, name: str) -> str:
        """The state of a run in the list, which the panel looks at every second."""
        return self.runs().get(name, ["", "not listed"])[1]

    def waitForState(self, name: str, *states: str) -> None:
        """Waits until the list shows one of the states."""
        self.waitUntil(lambda: self.state(name) in states, f"{name} {' or '.join(states)}")

    def chooseRun(self, name: str) -> None:
        """Clicks on a run in the list."""
        self.ui.runsTable.selectRow(list(self.runs()).index(name))
        self.settle()


def killed(folder: Path) -> None:
    """Kills the process at work in a run folder, and its children, as a power failure would."""
    from SScILDScoringTrainingLib.run_status import read_status

    os.kill(read_status(folder).pid, signal.SIGKILL)


def endEverything(folder: Path) -> None:
    """Ends the processes that are still at work in the run folders below ``folder``."""
    import json

    for record in folder.rglob("start.json"):
        with suppress(OSError, ValueError, KeyError, ProcessLookupError, PermissionError):
            os.killpg(json.loads(record.read_text(encoding="utf-8"))["pid"], signal.SIGKILL)
