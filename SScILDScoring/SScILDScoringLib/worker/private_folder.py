"""The folder through which a client and its worker exchange arrays: for this user alone, and gone afterwards.

It holds a patient's CT while a scan is open. The client removes it at its end, the worker when the client was killed;
when both were, the next client does: a lock that every client holds on its folder tells whether it still lives.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path

PREFIX = "sscild-worker-"
_LOCK = "lock"
_NEW_S = 60.0
"""A folder without a lock is left alone for this long: its client may be about to lock it."""


class PrivateFolder:
    """A new folder of mode 0700 in the system's place for temporary files.

    Removed by :meth:`remove`, or when this object or the program ends.
    """

    def __init__(self) -> None:
        remove_orphans()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = (self.path / _LOCK).open("wb")
        _locked(self._lock)
        self.remove = weakref.finalize(self, _remove, self.path, self._lock)

    def remove_older(self, generation: int) -> None:
        """Removes the arrays of scans that were opened before ``generation``."""
        for path in self.path.glob("*.npy"):
            number = path.name.split("-", 1)[0]
            if number.isdecimal() and int(number) < generation:
                with suppress(OSError):
                    path.unlink()


def is_private(folder: Path) -> bool:
    """Whether a client made this folder, so that nobody keeps anything in it."""
    return folder.name.startswith(PREFIX) and not folder.is_symlink() and (folder / _LOCK).is_file()


def remove_private(folder: Path) -> None:
    """Removes a client's folder; any other one stays."""
    if not is_private(folder):
        return
    gone = folder.with_name(folder.name + "-gone")
    try:
        folder.rename(gone)  # so that another thread of this process cannot put a new file into it meanwhile
    except OSError:
        gone = folder
    shutil.rmtree(gone, ignore_errors=True)


def remove_orphans() -> None:
    """Removes the folders of clients that were killed together with their workers."""
    user = os.getuid() if hasattr(os, "getuid") else None
    for folder in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        with suppress(OSError):
            state = folder.lstat()
            if not folder.is_dir() or folder.is_symlink() or (user is not None and state.st_uid != user):
                continue
            lock = folder / _LOCK
            if not lock.is_file():
                if time.time() - state.st_mtime > _NEW_S:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            with lock.open("r+b") as stream:
                free = _locked(stream)
            if free:
                shutil.rmtree(folder, ignore_errors=True)


def _locked(stream) -> bool:
    """Whether the file could be locked; the lock lasts until it is closed or its process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(path: Path, lock) -> None:
    lock.close()
    shutil.rmtree(path, ignore_errors=True)
