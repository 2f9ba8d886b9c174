"""Ctrl-C and a polite kill while training: the step is finished and kept first."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

GRACE_SECONDS = 10.0
"""How long a loading process outlives SIGTERM."""


def outlive_signals(worker: int) -> None:
    """Makes a loading process go on until its parent has no more need of it (a DataLoader's ``worker_init_fn``).

    Ctrl-C in a terminal and a cluster's SIGTERM reach the loading processes as well. One that ended at once would make
    the step fail that is to be kept. It lives for :data:`GRACE_SECONDS` after SIGTERM at most. torch gives its loading
    processes a handler of its own for SIGTERM, so this must come after it; a handler inherited by fork is lost.
    """

    def end_later(number: int, frame) -> None:
        last = threading.Timer(GRACE_SECONDS, os._exit, (1,))
        last.daemon = True
        last.start()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end_later)


class Politely:
    """Within the block the first SIGINT or SIGTERM only sets :attr:`asked`; a second one acts at once.

    The trainer then saves and calls :meth:`obey`, which hands the signal to whoever handled it before. Outside the
    main thread, where Python delivers no signals, nothing changes. The loading processes need
    :func:`outlive_signals`.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._former: dict = {}
        self._woken = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    def __enter__(self) -> Politely:
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):  # not the main thread
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}

    def wait(self, seconds: float) -> None:
        """Sleeps, and wakes up for a signal."""
        self._woken.wait(seconds)

    def obey(self) -> None:
        """Does what the signal would have done."""
        number, former = self._number, self._former.get(self._number)
        self.__exit__()
        if callable(former):
            former(number, None)
        raise KeyboardInterrupt

    def _note(self, number: int, frame) -> None:
        if self.asked:
            former = self._former.get(number)
            if callable(former):
                former(number, frame)
            raise KeyboardInterrupt
        self._number = number
        self._woken.set()
