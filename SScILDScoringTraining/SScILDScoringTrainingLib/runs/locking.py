"""One process at a time: a lock that the system gives back when its holder dies."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from SScILDScoringLib.errors import SettingsError

WAIT_S = 5.0
"""What is done under a lock takes moments; who holds one for longer has come to a standstill."""
_POLL_S = 0.02


@contextmanager
def locked(path: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Holds the lock ``path``, a file for this purpose alone, while the block runs; waits for it when it is taken.

    Raises:
        SettingsError: the file cannot be written, or another process holds the lock for longer than ``wait_s``.
    """
    end = time.monotonic() + wait_s
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise SettingsError(f"{path.parent} cannot be written: {error.strerror or error}.") from error
    with file:
        while not _taken(file):
            if time.monotonic() > end:
                raise SettingsError(f"Another program is at work on {path.parent}; try again in a moment.")
            time.sleep(_POLL_S)
        yield  # closing the file gives the lock back


def _taken(file) -> bool:
    """Whether the lock is ours now. Drives without locks (some network drives) count as never locked by others."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        import errno

        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True
