"""A command of this software in a process of its own, watched by a Qt timer."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence

import qt

from ..worker.environment import worker_environment, worker_python
from ..worker.process_tree import WINDOWS, kill_tree

_POLL_MS = 100


class ConsoleJob:
    """``python -m SScILDScoringLib ...`` without blocking the window; what it writes is read when it has ended.

    Args:
        arguments: of the command ``sscild``.
        onDone: called with the exit code and everything it wrote.
    """

    def __init__(self, arguments: Sequence[str], onDone: Callable[[int, str], None]) -> None:
        self._onDone = onDone
        options: dict = {"start_new_session": True}
        if WINDOWS:
            options = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        self._process = subprocess.Popen(  # noqa: S603 - a list, no shell
            [*worker_python(), "-m", "SScILDScoringLib", *arguments],
            env=worker_environment({"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "1000"}),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            **options,
        )
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        self._timer.start()

    def cancel(self) -> None:
        """Ends the process and its children; nobody is told."""
        self._timer.stop()
        kill_tree(self._process)
        self._output.close()

    def _poll(self, *_args) -> None:
        code = self._process.poll()
        if code is None:
            return
        self._timer.stop()
        self._output.seek(0)
        text = self._output.read().decode("utf-8", errors="replace").strip()
        self._output.close()
        self._onDone(code, text)
