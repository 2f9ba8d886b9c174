"""Reading what a process writes without ever waiting for it.

In Slicer the main loop leaves other Python threads hardly any time, so that where the system can, no thread is used.
"""

from __future__ import annotations

import os
import queue
import select
import sys
import threading
import time
from typing import BinaryIO

_BLOCK = 1 << 16


class PolledPipe:
    """A pipe that answers at once (POSIX)."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.ended = False
        os.set_blocking(stream.fileno(), False)

    def read(self) -> bytes:
        """What has arrived since the last call; nothing new gives b"". Sets ``ended`` at the end of the stream."""
        parts = []
        while not self.ended:
            try:
                block = os.read(self._stream.fileno(), _BLOCK)
            except BlockingIOError:
                break
            except OSError:
                block = b""
            self.ended = not block
            parts.append(block)
        return b"".join(parts)

    def wait(self, seconds: float) -> None:
        """Returns when something arrived, at the latest after ``seconds``."""
        poll = select.poll()  # unlike select.select it has no limit for the numbers of files
        poll.register(self._stream.fileno(), select.POLLIN)
        poll.poll(max(0.0, seconds) * 1000)

    def close(self) -> None:
        """Lets go of the pipe."""
        self.ended = True
        self._stream.close()


class ThreadedPipe:
    """A pipe read by a thread, for Windows, whose pipes cannot be polled."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._blocks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.ended = False
        threading.Thread(target=self._read_on, name="sscild-worker-pipe", daemon=True).start()

    def _read_on(self) -> None:
        block = b"-"
        while block:
            try:
                block = os.read(self._stream.fileno(), _BLOCK)
            except (OSError, ValueError):
                block = b""
            self._blocks.put(block)

    def read(self) -> bytes:
        """As in :class:`PolledPipe`."""
        time.sleep(0.001)  # lets the thread run
        parts = []
        while not self.ended and not self._blocks.empty():
            block = self._blocks.get()
            self.ended = not block
            parts.append(block)
        return b"".join(parts)

    def wait(self, seconds: float) -> None:
        """As in :class:`PolledPipe`."""
        end = time.monotonic() + seconds
        while self._blocks.empty() and time.monotonic() < end:
            time.sleep(0.005)

    def close(self) -> None:
        """Lets go of the pipe; the thread ends with the process that writes to it."""
        self.ended = True


def reading_pipe(stream: BinaryIO) -> PolledPipe | ThreadedPipe:
    """The right kind of pipe for this system."""
    return ThreadedPipe(stream) if sys.platform == "win32" else PolledPipe(stream)
