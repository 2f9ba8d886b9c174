"""A lock that the operating system gives back when its holder dies."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from .errors import ObserverError

_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""What systems say when somebody else holds the lock."""


class FileLock:
    """Held by one process at a time, from construction to :meth:`close`, or to the end of the process.

    Args:
        path: a file for the lock alone; made as needed and left where it is. what: what is locked, for the message.

    Raises:
        ObserverError: somebody else holds it, the file cannot be written, or the drive knows no locks.
    """

    def __init__(self, path: Path, what: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise ObserverError(f"{path} cannot be written: {error.strerror or error}.") from error
        try:
            _lock(self._file)
        except OSError as error:
            self._file.close()
            if error.errno not in _HELD:
                raise ObserverError(
                    f"{path.parent} is on a drive that cannot lock files ({error.strerror or error}); copy the study "
                    "to a drive of this computer."
                ) from error
            raise ObserverError(
                f"{what} is open already, in another window or program; close it there first."
            ) from error

    def close(self) -> None:
        """Gives the lock back; closing twice is fine."""
        self._file.close()


def _lock(file) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
