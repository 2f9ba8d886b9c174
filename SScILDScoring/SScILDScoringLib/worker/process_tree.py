"""Starting a process so that it can be ended with everything it started itself.

POSIX: the process leads a session and group of its own, and the group is killed. Windows: ``taskkill`` ends the tree
(written from its documentation; this software was not run on Windows yet).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

WINDOWS = sys.platform == "win32"


def start_tree(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> subprocess.Popen:
    """Starts ``command`` as the head of a tree; standard input and output are pipes, errors go to the file ``log``.

    Args:
        command: program and arguments, run without a shell.
        environment: all variables of the process.
        folder: where it runs.

    Raises:
        OSError: the program is not there or may not be run.
    """
    options: dict = {"start_new_session": True}
    if WINDOWS:
        options = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    with log.open("ab") as errors:
        return subprocess.Popen(  # noqa: S603 - no shell, and a command that the program made itself
            list(command),
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            **options,
        )


def kill_tree(process: subprocess.Popen, wait_s: float = 5.0) -> None:
    """Ends a process of :func:`start_tree` and all its children, at once; also when itself has ended already."""
    if WINDOWS:
        _taskkill(process.pid)
        with suppress(OSError):
            process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads the group of this number
    with suppress(subprocess.TimeoutExpired):
        process.wait(wait_s)


def end_own_tree(leads_group: bool) -> None:
    """Ends this process and its children at once, without any cleaning up. Does not return.

    Args:
        leads_group: the process's group holds nothing but what :func:`start_tree` started, so that it may be killed.
    """
    if WINDOWS:
        _taskkill(os.getpid())
    elif leads_group:
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _taskkill(process: int) -> None:
    program = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "taskkill.exe"
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603 - no shell, and a command that the program made itself
            [str(program), "/PID", str(process), "/T", "/F"],
            capture_output=True,
            timeout=10,
            creationflags=subprocess.CREATE_NO_WINDOW,
        )
