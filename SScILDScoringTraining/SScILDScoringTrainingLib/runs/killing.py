"""The last resort: ending the process of a run, and only that one, with its children."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from SScILDScoringLib.errors import SettingsError

from ..processes import process_mark
from ..run_status import read_status
from .start_record import is_starting, read_record

GONE_WITHIN_S = 5.0


def kill(folder: str | Path) -> None:
    """Ends the process at work in ``folder`` and its children at once, without a checkpoint.

    Only the very process that the run's status (or, before there is one, the record of its start) names is ended,
    never a later one of its number. A run that listens is better asked to stop (:func:`..run_status.request`).

    Raises:
        SettingsError: no process is at work there, or it runs on another computer.
    """
    status, record = read_status(folder), read_record(folder)
    if status is not None and status.at_work:
        if status.host != platform.node():
            raise SettingsError(f"The process works on {status.host}; end it there.")
        _end(status.pid, status.mark)
    elif record is not None and is_starting(folder):
        _end(record.pid, record.mark)
    else:
        raise SettingsError(f"No process is at work in {folder}.")


def _end(pid: int, mark: str) -> None:
    marks = {child: process_mark(child) for child in descendants(pid)}
    if _same(pid, mark):
        _kill(pid)
    for child, of_child in marks.items():
        if of_child is not None and _same(child, of_child):
            _kill(child)
    limit = time.monotonic() + GONE_WITHIN_S
    while _same(pid, mark) and time.monotonic() < limit:
        time.sleep(0.02)


def _same(pid: int, mark: str) -> bool:
    now = process_mark(pid)
    return now is not None and (not now or not mark or now == mark)


def descendants(pid: int) -> list[int]:
    """Numbers of the children of a process, their children and so on, at this moment."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents().items():
        children.setdefault(parent, []).append(child)
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _parents() -> dict[int, int]:
    """Every process's parent; nothing on Windows, where ``taskkill`` ends whole trees."""
    if sys.platform == "win32":
        return {}
    processes = Path("/proc")
    if (processes / "self" / "stat").exists():
        found = {}
        for place in processes.glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):  # it ended while we looked
                fields = (place / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                found[int(place.name)] = int(fields[1])
        return found
    listed = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, timeout=10, check=False)  # noqa: S607
    return {int(one): int(two) for one, two in (line.split() for line in listed.stdout.splitlines() if line.strip())}


def _kill(pid: int) -> None:
    if sys.platform == "win32":
        program = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "taskkill.exe"
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([str(program), "/PID", str(pid), "/T", "/F"], capture_output=True, timeout=10, check=False)  # noqa: S603
        return
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
