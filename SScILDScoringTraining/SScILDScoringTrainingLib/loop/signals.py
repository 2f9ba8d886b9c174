"""Ctrl-C and a polite kill while training: the step is finished and kept first."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

GRACE_SECONDS = 10.0
"""How long a loading process outlives SIGTERM."""


class Politely:
    """Within the block the first SIGINT or SIGTERM only sets :attr:`asked`; a second one acts at once.

    The trainer then saves and calls :meth:`obey`, which hands the signal to whoever handled it before. Outside the
    main thread, where Python delivers no signals, nothing changes. Ctrl-C in a terminal and a cluster's SIGTERM reach
    the loading processes too, which were forked with this handler: they go on until their parent has no more need of
    them, after SIGTERM for :data:`GRACE_SECONDS` at most. One that ended at once would make the step fail that is to
    be kept.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._former: dict = {}
        self._woken = threading.Event()
        self._owner = os.getpid()

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
        if os.getpid() != self._owner:
            if number == signal.SIGTERM:
                last = threading.Timer(GRACE_SECONDS, os._exit, (1,))
                last.daemon = True
                last.start()
            return
        if self.asked:
            former = self._former.get(number)
            if callable(former):
                former(number, frame)
            raise KeyboardInterrupt
        self._number = number
        self._woken.set()
