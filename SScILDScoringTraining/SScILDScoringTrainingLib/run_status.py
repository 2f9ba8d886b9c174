"""Looking at a training run from outside, and pausing, resuming or stopping it.

The training process keeps ``status.json`` in its run folder up to date (every two seconds) and reads ``control.json``
after every step. Any other process - a panel, a script, a colleague on the same file system - uses this module:

>>> status = read_status("runs/s_net")                        # doctest: +SKIP
>>> status.state, status.step, status.total_steps, status.seconds_left   # doctest: +SKIP
('running', 1200, 20000, 5400.0)
>>> request("runs/s_net", "pause")                            # doctest: +SKIP

Importing it is cheap: nothing but Python's own library.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from SScILDScoringLib.errors import SettingsError

from .processes import process_mark

STATUS, CONTROL = "status.json", "control.json"
ORDERS = ("pause", "resume", "stop")
AT_WORK = ("preparing", "running", "paused")
SILENCE_S = 60.0
"""A run on another computer that has not written its status for so long is taken for dead."""


@dataclass(frozen=True)
class RunStatus:
    """How a training run is getting on.

    Args:
        state: ``preparing`` (data), ``running``, ``paused``; ``finished``, ``stopped`` (asked to; can be resumed),
            ``failed`` (``message`` says why); ``interrupted``: its process is gone without a word (killed, power
            failure) - it can be resumed.
        stage: what it is doing: ``scans``, ``phantoms``, ``train``, ``validate`` ...
        message: the last sentence it said.
        pid, host: its process, and the computer that runs on. mark: tells the process from later ones of that number.
        step, total_steps: of the optimiser. share: from 0 to 1, by steps or by the time limit.
        seconds: of training so far, pauses left out. seconds_left: expected; None when not known yet.
        loss: over the last steps. best_mae, best_step: the best validation; None before the first one.
        samples_per_second: training speed of this session, None before it is known.
        started, updated: seconds since 1970, of this session's start and of the last sign of life.
        can_resume: whether there is a checkpoint to go on from.
    """

    state: str
    stage: str = ""
    message: str = ""
    pid: int = 0
    host: str = ""
    mark: str = ""
    step: int = 0
    total_steps: int = 0
    share: float = 0.0
    seconds: float = 0.0
    seconds_left: float | None = None
    loss: float | None = None
    best_mae: float | None = None
    best_step: int = 0
    samples_per_second: float | None = None
    started: float = 0.0
    updated: float = 0.0
    can_resume: bool = False

    @property
    def at_work(self) -> bool:
        """Whether a process is busy with it (or paused)."""
        return self.state in AT_WORK

    @property
    def in_words(self) -> str:
        """The state as a sentence."""
        if self.state == "interrupted":
            after = "can be resumed" if self.can_resume else "has no checkpoint yet: start it again"
            return f"Interrupted at step {self.step} of {self.total_steps}; {after}."
        if self.state == "failed":
            return f"Failed: {self.message}"
        return f"{self.state.capitalize()}: step {self.step} of {self.total_steps}."


def read_status(folder: str | Path) -> RunStatus | None:
    """The status of the run in ``folder``; None when no training ever started there.

    A run whose process is gone reads as ``interrupted``.
    """
    folder = Path(folder)
    values = _read_json(folder / STATUS)
    if values is None:
        return None
    names = {f.name for f in dataclasses.fields(RunStatus)}
    try:
        status = RunStatus(**{k: v for k, v in values.items() if k in names})
    except TypeError:
        return None
    checkpoints = folder / "checkpoints"
    resumable = any((checkpoints / name).is_file() for name in ("last.pt", "previous.pt"))
    status = dataclasses.replace(status, can_resume=resumable and status.state != "finished")
    if status.at_work and not _alive(status):
        return dataclasses.replace(status, state="interrupted", seconds_left=None)
    return status


def request(folder: str | Path, order: str) -> None:
    """Asks the process that trains in ``folder`` to ``pause``, ``resume`` (after a pause) or ``stop``.

    It obeys after the step (or validation) it is at; pause and stop leave a checkpoint of that very step. A stopped
    run is gone on with by ``sscild train ... --resume``.

    Raises:
        SettingsError: an unknown order, or nothing is running there.
    """
    if order not in ORDERS:
        raise SettingsError(f"A run can be asked to {', '.join(ORDERS)}, not to {order!r}.")
    status = read_status(folder)
    if status is None:
        raise SettingsError(f"No training was ever started in {folder}.")
    if not status.at_work:
        raise SettingsError(f"No process is training in {folder} ({status.state}). Start it again with --resume.")
    _write_json(Path(folder) / CONTROL, {"order": order, "time": time.time()})


class Orders:
    """The training process's side of :func:`request`. Asking costs one look at the file's time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / CONTROL
        self._seen: int | None = None
        self._order = "resume"

    def forget(self) -> None:
        """Drops what an earlier session was asked to do."""
        self.path.unlink(missing_ok=True)

    def current(self) -> str:
        """``resume`` (go on), ``pause`` or ``stop``."""
        try:
            changed = self.path.stat().st_mtime_ns
        except OSError:
            return self._order
        if changed != self._seen:
            values = _read_json(self.path)
            if values is not None and values.get("order") in ORDERS:
                self._seen, self._order = changed, values["order"]
        return self._order


class StatusWriter:
    """Keeps ``status.json`` up to date from a thread of its own, also while the training is busy elsewhere.

    Args:
        folder: the run's.
        facts: called for what changes all the time (``step``, ``share`` ...); only reads plain attributes.
        every: seconds between two signs of life.
    """

    def __init__(self, folder: Path, facts: Callable[[], Mapping], every: float = 2.0) -> None:
        self.path, self._facts, self._every = folder / STATUS, facts, every
        self._values: dict = {
            "state": "preparing",
            "pid": os.getpid(),
            "host": platform.node(),
            "mark": process_mark(os.getpid()) or "",
            "started": time.time(),
        }
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep_writing, name="run status", daemon=True)

    def start(self) -> None:
        """Writes the first status; from then on every few seconds."""
        self._write()
        self._thread.start()

    def say(self, **values: object) -> None:
        """Takes new values (``stage``, ``message`` ...); a new ``state`` is written at once."""
        with self._lock:
            new = "state" in values and values["state"] != self._values["state"]
            self._values.update(values)
        if new:
            self._write()

    def close(self, state: str, message: str) -> None:
        """The last word."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._values.update(state=state, message=message)
        self._write()

    def _keep_writing(self) -> None:
        while not self._end.wait(self._every):
            self._write()

    def _write(self) -> None:
        with self._lock, suppress(OSError):  # a full disk must not end the training here
            _write_json(self.path, {**self._values, **self._facts(), "updated": time.time()})


def _alive(status: RunStatus) -> bool:
    if status.host != platform.node():
        return time.time() - status.updated < SILENCE_S
    mark = process_mark(status.pid)
    return mark is not None and (not mark or not status.mark or mark == status.mark)


def _read_json(path: Path) -> dict | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _write_json(path: Path, values: Mapping) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(values, indent=1), encoding="utf-8")
    part.replace(path)
