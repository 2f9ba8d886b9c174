"""One run of a study and its folder: what is asked for, what it answered, and whether it is done.

A job's folder is an ordinary run folder (:mod:`..runfolder`) below its study's, with more in it: ``job.json`` what it
is, ``bundle/`` the packed weights, ``answers.csv`` what they say of the cases held out, ``process.json`` and
``process.log`` of the process that worked on it last, and, written last, ``done.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.files import write_text

from ..cohort import CohortRow, read_cohort
from ..processes import process_mark

JOB, TABLE, ANSWERS, DONE = "job.json", "cohort.csv", "answers.csv", "done.json"
PROCESS, LOG, BUNDLE = "process.json", "process.log", "bundle"


@dataclass(frozen=True)
class Job:
    """One training run.

    Args:
        name: unique in its study, and its folder below the study's: ``fold_2``, ``published/seed_1``.
        variant: name of its configuration. seed: of the training. fold: held out; 0: the split ``test`` is.
        config: complete configuration, without the cohort's table.
        weights: ``best`` or ``last``.
    """

    name: str
    variant: str
    seed: int
    fold: int
    config: Mapping[str, Any]
    weights: str = "best"


@dataclass(frozen=True)
class Done:
    """What ``done.json`` says: the job's mark, the step and validation MAE of the weights, and minutes of training."""

    mark: str
    step: int
    steps: int
    validation_mae: float | None
    minutes: float


class JobFolder:
    """A job on disk.

    Args:
        path: its folder. job: None reads it from there.

    Raises:
        SettingsError: no job there.
    """

    def __init__(self, path: str | Path, job: Job | None = None) -> None:
        self.path = Path(path)
        self.job = job or self._read()

    def _read(self) -> Job:
        try:
            return Job(**json.loads((self.path / JOB).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise SettingsError(f"{self.path} is not a run of a cross-validation ({error}).") from error

    def prepare(self) -> None:
        """Writes what the job's process reads; nothing changes for a job that is done."""
        if not self.done:
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.path / JOB, json.dumps(asdict(self.job), indent=1) + "\n")

    @property
    def table(self) -> Path:
        """The study's cohort table."""
        return self.path.resolve().parents[self.job.name.count("/")] / TABLE

    @property
    def config(self) -> dict:
        """The configuration with the study's cohort and the job's fold."""
        data = {**self.job.config.get("data", {}), "cohort": str(self.table), "fold": self.job.fold or None}
        return {**self.job.config, "data": data}

    def asked(self) -> list[CohortRow]:
        """The cases that the run is asked about: those of its fold, or those of the split ``test``."""
        cohort = read_cohort(self.table, scores=self.job.config["recipe"] == "scores", partial=True)
        if self.job.fold:
            return [row for row in cohort if row.fold == self.job.fold and row.split != "test"]
        return list(cohort.of_split("test"))

    @property
    def mark(self) -> str:
        """Changes with anything that the job depends on."""
        content = json.dumps(asdict(self.job), sort_keys=True)
        table = self.table.read_bytes() if self.table.is_file() else b""
        return hashlib.sha256(content.encode() + table).hexdigest()[:20]

    @property
    def done(self) -> Done | None:
        """What it left when it was finished; None when it is not, or when it was another job."""
        try:
            done = Done(**json.loads((self.path / DONE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        whole = (self.path / ANSWERS).is_file() and (self.path / BUNDLE).is_dir()
        return done if whole and done.mark == self.mark else None

    def finish(self, step: int, steps: int, validation_mae: float | None, minutes: float) -> None:
        """Writes ``done.json``."""
        done = Done(self.mark, step, steps, validation_mae, round(minutes, 3))
        write_text(self.path / DONE, json.dumps(asdict(done), indent=1) + "\n")

    # ---- its process ---------------------------------------------------------------------------------------------

    def claim(self) -> None:
        """Notes this process as the one that works here."""
        pid = os.getpid()
        write_text(self.path / PROCESS, json.dumps({"pid": pid, "mark": process_mark(pid) or ""}) + "\n")

    @property
    def worker(self) -> int | None:
        """Number of the process that works here; None when it is gone. (Processes of other computers are not seen.)"""
        try:
            noted = json.loads((self.path / PROCESS).read_text(encoding="utf-8"))
            pid, mark = int(noted["pid"]), str(noted["mark"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        now = process_mark(pid)
        return pid if now is not None and (not now or not mark or now == mark) else None

    def complaint(self) -> str:
        """The last thing its process said, as one line."""
        try:
            lines = (self.path / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        said = [line.strip() for line in lines if line.strip()]
        return said[-1] if said else "it ended without a word"
