"""Runs jobs in processes of their own, several at once where there are devices for them.

A job that fails leaves the others alone. Cancelling, and the end of this process by whatever means, closes the pipe
that every job's process listens to: it finishes its step, writes a checkpoint and ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.progress import Progress, silent
from SScILDScoringLib.worker.environment import worker_environment, worker_python

from ..run_status import read_status, request
from .jobs import LOG, JobFolder

LIBRARY = Path(__file__).resolve().parents[2]
POLL_S = 0.25
GRACE_S = 60.0
"""So long a job may take to finish its step and write a checkpoint before it is killed."""
STAGE = "crossvalidate"

Slot = Mapping[str, str]
"""What a process's environment needs to keep to its share of the computer."""


def slots(parallel: int | None = None, device: str = "auto") -> list[Slot]:
    """Places for processes: one for each CUDA device, or one on the CPU.

    Args:
        parallel: so many instead: CUDA devices are shared evenly, cores are divided.
        device: as in a configuration; ``cpu`` leaves CUDA devices alone.

    Raises:
        SettingsError: not a number above 0.
    """
    if parallel is not None and parallel < 1:
        raise SettingsError(f"The number of runs at once is 1 or more, not {parallel}.")
    from SScILDScoringLib.devices import available_cores

    cores = available_cores()
    devices = _cuda_devices() if device in ("auto", "cuda") else []
    if devices:
        count = parallel or len(devices)
        return [{"CUDA_VISIBLE_DEVICES": devices[n % len(devices)]} for n in range(count)]
    count = parallel or 1
    threads = str(max(1, cores // count))
    return [{"OMP_NUM_THREADS": threads} if count > 1 else {} for _ in range(count)]


def _cuda_devices() -> list[str]:
    """Names of the CUDA devices as CUDA_VISIBLE_DEVICES has them."""
    import torch

    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return (given or [str(n) for n in range(torch.cuda.device_count())])[: torch.cuda.device_count()]


@dataclass
class Report:
    """How the jobs ended: names of those that are done, and of the others with a sentence each."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


class _Running:
    """A job's process."""

    def __init__(self, folder: JobFolder, slot: Slot) -> None:
        self.folder, self.slot, self.told = folder, slot, "resume"
        environment = worker_environment({**slot, "RANK": None, "WORLD_SIZE": None, "LOCAL_RANK": None})
        environment["PYTHONPATH"] = os.pathsep.join([str(LIBRARY), environment["PYTHONPATH"]])
        own_group = {"start_new_session": True} if os.name == "posix" else {
            "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        }  # fmt: skip
        module = f"{__package__}.job_process"
        with (folder.path / LOG).open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [*worker_python(), "-m", module, str(folder.path.resolve())],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=environment, **own_group,
            )  # fmt: skip

    def ask_to_end(self) -> None:
        with suppress(OSError):
            self.process.stdin.close()

    def kill(self) -> None:
        """Ends it and whatever it started."""
        if os.name == "posix":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()


class JobRunner:
    """Runs jobs until all of them are done or have failed.

    Args:
        jobs: prepared folders. slots: see :func:`slots`.
        order: asked again and again: ``resume`` (go on), ``pause`` or ``stop``.
        progress: stage ``crossvalidate``; raising :class:`~SScILDScoringLib.errors.Cancelled` in it stops all.
    """

    def __init__(
        self,
        jobs: Sequence[JobFolder],
        slots: Sequence[Slot],
        order: Callable[[], str] = lambda: "resume",
        progress: Progress = silent,
    ) -> None:
        self.jobs, self.slots, self.order, self.progress = list(jobs), list(slots), order, progress
        self.report = Report()
        self.stopped = False
        self._running: list[_Running] = []

    def run(self) -> Report:
        """Runs the jobs that are not done.

        Raises:
            Cancelled, KeyboardInterrupt: after every process has ended; what was trained can be gone on with.
        """
        waiting = []
        for job in self.jobs:
            if job.done:
                self.report.done.append(job.job.name)
            else:
                waiting.append(job)
        free = list(self.slots)
        try:
            while (waiting or self._running) and not self.stopped:
                order = self.order()
                self.stopped = order == "stop"
                while waiting and free and order == "resume":
                    self._wait_for_former(waiting[0])
                    self._running.append(_Running(waiting.pop(0), free.pop(0)))
                self._pass_on(order)
                self._tell(len(waiting))
                time.sleep(POLL_S)
                for ended in [r for r in self._running if r.process.poll() is not None]:
                    self._running.remove(ended)
                    free.append(ended.slot)
                    self._note(ended)
        finally:
            self._end_all()
        self._tell(len(waiting))
        return self.report

    @property
    def share(self) -> float:
        """From 0 to 1 over all jobs."""
        ended = len(self.report.done) + len(self.report.failed)
        under_way = sum(_share(r.folder.path) for r in self._running)
        return (ended + under_way) / max(len(self.jobs), 1)

    def _wait_for_former(self, job: JobFolder) -> None:
        """A process that an earlier, killed session left behind ends by itself within moments."""
        limit = time.monotonic() + GRACE_S
        while job.worker is not None:
            if time.monotonic() > limit:
                raise SettingsError(f"Process {job.worker} is still at work in {job.path}; end it first.")
            self.progress(STAGE, self.share, f"Waiting for process {job.worker} of an earlier session to end")
            time.sleep(POLL_S)

    def _pass_on(self, order: str) -> None:
        """Hands pause and resume to the runs; one that cannot listen yet, or no longer, is asked again later."""
        for running in self._running:
            if order == running.told or order not in ("pause", "resume"):
                continue
            status = read_status(running.folder.path)
            if status is not None and status.at_work and status.pid == running.process.pid:
                with suppress(SettingsError):  # it ended at this very moment
                    request(running.folder.path, order)
                    running.told = order

    def _note(self, ended: _Running) -> None:
        name = ended.folder.job.name
        ended.ask_to_end()
        if ended.folder.done:
            self.report.done.append(name)
        elif ended.process.returncode < 0:
            number = -ended.process.returncode
            self.report.failed[name] = f"Its process was ended from outside (signal {number})."
        else:
            self.report.failed[name] = ended.folder.complaint()

    def _tell(self, waiting: int) -> None:
        parts = [f"{r.folder.job.name}: {_in_words(r.folder.path)}" for r in self._running]
        ended = f"{len(self.report.done)} of {len(self.jobs)} done"
        if self.report.failed:
            ended += f", {len(self.report.failed)} failed"
        self.progress(STAGE, self.share, "; ".join([ended, *parts]))

    def _end_all(self) -> None:
        """Every process ends: politely, or, when it does not or the user insists, at once."""
        for running in self._running:
            running.ask_to_end()
        limit = time.monotonic() + GRACE_S
        try:
            while any(r.process.poll() is None for r in self._running) and time.monotonic() < limit:
                time.sleep(0.05)
        finally:
            for running in self._running:
                if running.process.poll() is None:
                    running.kill()
            self._running = []


def _share(folder: Path) -> float:
    status = read_status(folder)
    return min(status.share, 1.0) if status else 0.0


def _in_words(folder: Path) -> str:
    status = read_status(folder)
    if status is None or status.state == "preparing":
        return status.message if status and status.message else "starting"
    if status.state == "finished":
        return "asking about the cases held out"
    left = "" if status.seconds_left is None else f", {_duration(status.seconds_left)} left"
    paused = "paused at " if status.state == "paused" else ""
    return f"{paused}step {status.step}/{status.total_steps}{left}"


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} h" if minutes >= 90 else f"{minutes:.0f} min" if minutes >= 1 else f"{seconds:.0f} s"
