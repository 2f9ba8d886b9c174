"""``start.json``: what was started in a run folder, and by which process number, until that process speaks itself.

A training needs some seconds to load its libraries before it writes its status; this file fills that gap.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from SScILDScoringLib.files import write_text

from ..processes import process_mark
from ..run_status import RunStatus, read_status

FILE = "start.json"


@dataclass(frozen=True)
class StartRecord:
    """A process that was started in a run folder.

    Args:
        kind: one of :data:`.registry.KINDS`. asked: what it was started with (``config``, ``overrides``, ``options``).
        pid, mark, host: the process, its mark (:func:`..processes.process_mark`) and its computer. Behind a launcher,
            as Slicer's Python has one, the training itself is a child of it.
        time: of the start, in seconds since 1970.
    """

    kind: str
    asked: Mapping[str, Any]
    pid: int
    mark: str
    host: str
    time: float

    @property
    def alive(self) -> bool:
        """Whether the process is still there. (Processes of other computers are not seen.)"""
        if self.host != platform.node():
            return False
        mark = process_mark(self.pid)
        return mark is not None and (not mark or not self.mark or mark == self.mark)

    def silent(self, status: RunStatus | None) -> bool:
        """Whether ``status`` is none of this process's session: it has not spoken yet."""
        return status is None or status.started < self.time

    def write(self, folder: Path) -> None:
        """Writes it into the run folder. Raises SettingsError when that is not possible."""
        write_text(folder / FILE, json.dumps(asdict(self), indent=1) + "\n")


def record_of(kind: str, asked: Mapping[str, Any], pid: int, started: float) -> StartRecord:
    """The record of a process of this computer that was just started."""
    return StartRecord(kind, dict(asked), pid, process_mark(pid) or "", platform.node(), started)


def read_record(folder: str | Path) -> StartRecord | None:
    """The record in a run folder; None when nothing was started there by :mod:`.starting`."""
    try:
        return StartRecord(**json.loads((Path(folder) / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def is_starting(folder: str | Path) -> bool:
    """Whether a process was started there that lives and has not written its status yet: it loads its libraries."""
    record = read_record(folder)
    return record is not None and record.alive and record.silent(read_status(folder))


def now() -> float:
    """The time that a start is noted with: before the process, whose own status must not look older."""
    return time.time()
