"""Active time on a case, pauses excluded."""

from __future__ import annotations

import time
from collections.abc import Callable


class Stopwatch:
    """Seconds that pass while it runs. A computer's sleep does not count where the system's clock stops in it.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds = 0.0
        self._since: float | None = None

    @property
    def running(self) -> bool:
        """Whether time counts at the moment."""
        return self._since is not None

    @property
    def seconds(self) -> float:
        """Active seconds since the last :meth:`take`."""
        return self._seconds + (self._clock() - self._since if self.running else 0.0)

    def start(self) -> None:
        """Time counts from now; nothing happens when it does already."""
        if not self.running:
            self._since = self._clock()

    def stop(self) -> None:
        """Time does not count until :meth:`start`."""
        self._seconds, self._since = self.seconds, None

    def take(self) -> float:
        """The seconds, which begin at 0 again; it goes on running or standing as it was."""
        taken = self.seconds
        self._seconds = 0.0
        if self.running:
            self._since = self._clock()
        return taken
