"""Keeping to one's own words: what C and C++ libraries print is not for users."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_LOCK = threading.Lock()


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keeps away what ITK, GDCM and their like print to stderr while the block runs.

    They write to the file descriptor, past Python, so that the descriptor itself is turned away for that time (of
    the whole process: keep the block short, and raise errors as exceptions).
    """
    import SimpleITK as sitk

    with _LOCK:
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        try:
            saved = os.dup(2)
        except OSError:  # a window application without stderr
            saved = None
        if saved is None:
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device, not a path)
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
