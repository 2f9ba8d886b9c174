"""Curves and settings of a run in MLflow, where that is installed and asked for (``training.mlflow``)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.progress import Progress

from ..runfolder import RunFolder, write_text

EXPERIMENT = "SScILDScoring"
MOST_METRICS = 500
"""Sent in one message; MLflow takes at most 1000."""
MOST_TEXT = 500
"""Characters of a setting that MLflow keeps."""


class Mlflow:
    """Sends the rows of the curves after every checkpoint, so that no step is sent twice after a kill.

    The run goes on when the server stops answering; what was not sent is sent later. ``mlflow.json`` in the run folder
    holds the run's number there and how far it was sent.

    Args:
        address: of the server or store, or ``environment``.
        run: the folder. rows: of the curves so far, after a resume.
        progress: told when the server does not answer.

    Raises:
        SettingsError: MLflow is not installed, or there is no run to be had from that address.
    """

    def __init__(self, address: str, run: RunFolder, rows: Sequence[Mapping], progress: Progress) -> None:
        # A training must not wait minutes for a server: two attempts of ten seconds, then later again.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        if address.startswith("file:"):
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 wants to be told that it is meant
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise SettingsError(
                "training.mlflow is set and MLflow is not installed: pip install mlflow-skinny, or remove the setting."
            ) from error
        self.path = run.path / "mlflow.json"
        self.progress = progress
        self.silent = False
        try:
            self.client = MlflowClient(None if address == "environment" else address)
            self.run, self.sent = self._run(run)
        except Exception as error:  # MLflow's stores raise kinds of their own
            raise SettingsError(f"MLflow at {address} gives no run: {' '.join(str(error).split())[:300]}") from error
        self.waiting = [
            (int(row["step"]), {k: float(v) for k, v in row.items() if k != "step" and v not in ("", None)})
            for row in rows
            if int(row["step"]) > self.sent
        ]

    def _run(self, run: RunFolder) -> tuple[str, int]:
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
            self.client.update_run(known["run"], status="RUNNING")
            return known["run"], int(known["sent"])
        except (OSError, ValueError, KeyError):
            pass
        found = self.client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else self.client.create_experiment(EXPERIMENT)
        made = self.client.create_run(experiment, run_name=run.path.name).info.run_id
        for name, value in _flat(run.config()):
            self.client.log_param(made, name, str(value)[:MOST_TEXT])
        environment = json.loads((run.path / "environment.json").read_text(encoding="utf-8"))
        for name in ("device", "git_commit"):
            self.client.set_tag(made, name, str(environment.get(name)))
        self._note(made, 0)
        return made, 0

    def _note(self, run: str, sent: int) -> None:
        write_text(self.path, json.dumps({"run": run, "sent": sent}) + "\n")

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """See :class:`.tracking.Tracker`."""
        self.waiting.append((step, dict(values)))

    def flush(self) -> None:
        """See :class:`.tracking.Tracker`."""
        from mlflow.entities import Metric

        if not self.waiting:
            return
        now = int(1000 * time.time())
        metrics = [Metric(name, value, now, step) for step, values in self.waiting for name, value in values.items()]
        try:
            for start in range(0, len(metrics), MOST_METRICS):
                self.client.log_batch(self.run, metrics=metrics[start : start + MOST_METRICS])
        except Exception as error:  # whatever a server does, the training goes on
            if not self.silent:
                self.progress("train", 0.0, f"MLflow does not answer ({str(error)[:100]}); it is tried again later.")
            self.silent = True
            return
        self.silent = False
        self.sent, self.waiting = self.waiting[-1][0], []
        self._note(self.run, self.sent)

    def close(self, state: str) -> None:
        """See :class:`.tracking.Tracker`."""
        self.flush()
        status = {"finished": "FINISHED", "stopped": "KILLED"}.get(state, "FAILED")
        try:
            self.client.set_terminated(self.run, status)
        except Exception as error:  # as above
            self.progress("train", 1.0, f"MLflow does not answer ({str(error)[:100]}).")


def _flat(values: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
