"""Where losses and validation figures go: ``curves.csv`` always, TensorBoard and MLflow as configured."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from SScILDScoringLib.progress import Progress

from ..config import LoopConfig
from ..runfolder import RunFolder, csv_text

SECONDS_BETWEEN_WRITES = 1.0


class Tracker(Protocol):
    """One more place for curves."""

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """One row."""

    def flush(self) -> None:
        """Called after every checkpoint: what was added so far will not be taken back."""

    def close(self, state: str) -> None:
        """The end of this session: ``finished``, ``stopped`` or ``failed``."""


class Curves:
    """The rows of ``curves.csv``, handed on to the other trackers.

    After a resume the rows behind the checkpoint's step are dropped, so that no step stands twice. The file is written
    before every checkpoint, so that a checkpoint never knows a step whose row is lost.

    Args:
        run: the folder. step: of the checkpoint that the run goes on from, or 0. trackers: other places.
    """

    def __init__(self, run: RunFolder, step: int, trackers: Sequence[Tracker] = ()) -> None:
        self.path = run.path / "curves.csv"
        self.rows: list[dict] = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.rows = [r for r in csv.DictReader(file) if int(r["step"]) <= step]
        self.trackers = list(trackers)
        self._written = -1e9

    def add(self, step: int, **values: float) -> None:
        """One row; a value that is not known at this step is left out."""
        self.rows.append({"step": step, **{k: f"{v:.6g}" for k, v in values.items()}})
        for tracker in self.trackers:
            tracker.add(step, values)
        if time.monotonic() - self._written > SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        """Brings the file up to date."""
        part = self.path.with_name(self.path.name + ".part")
        with part.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_text(self.rows))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        self._written = time.monotonic()

    def flush(self) -> None:
        """After a checkpoint."""
        for tracker in self.trackers:
            tracker.flush()

    def close(self, state: str) -> None:
        """Writes what is left and ends the other trackers."""
        self.write()
        for tracker in self.trackers:
            tracker.close(state)


class TensorBoard:
    """Scalars for TensorBoard in the run's folder ``tensorboard``."""

    def __init__(self, run: RunFolder, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.board = SummaryWriter(run.path / "tensorboard", purge_step=step + 1)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """See :class:`Tracker`."""
        for name, value in values.items():
            self.board.add_scalar(name.replace("validation_", "validation/"), value, step)

    def flush(self) -> None:
        """See :class:`Tracker`."""
        self.board.flush()

    def close(self, state: str) -> None:
        """See :class:`Tracker`."""
        self.board.close()


def tracked_curves(config: LoopConfig, run: RunFolder, step: int, progress: Progress) -> Curves:
    """The curves of a run with the trackers of its configuration.

    Raises:
        SettingsError: MLflow is asked for and not installed, or its server does not answer.
    """
    curves = Curves(run, step)
    if config.tensorboard:
        try:
            curves.trackers.append(TensorBoard(run, step))
        except ImportError:
            progress("train", 0.0, "TensorBoard is not installed; curves are in curves.csv alone.")
    if config.mlflow:
        from .mlflow_tracking import Mlflow

        curves.trackers.append(Mlflow(config.mlflow, run, curves.rows, progress))
    return curves
