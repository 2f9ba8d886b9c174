"""What a heat-map engine tells while it works, and what it says about its answer in the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..progress import Progress, silent

INTERVAL = 0.1
"""Seconds: partial maps come at most so often."""

TICK = 0.05
"""Seconds: within a batch, progress is told at most so often."""


@dataclass(frozen=True)
class Outcome:
    """What an engine says besides the sums; see :class:`~SScILDScoringLib.heatmaps.HeatMaps`.

    Args:
        baseline: the network's answer to the untouched slice, ``(3,)``.
        precision, exact, checked_positions: as in HeatMaps.
        tolerance: the largest difference on the checked positions, in percentage points while the engine works; in
            the end as in HeatMaps, see :meth:`relative_to`.
    """

    baseline: np.ndarray
    precision: str = "fp32"
    exact: bool = True
    tolerance: float | None = None
    checked_positions: int = 0

    def relative_to(self, maps: np.ndarray) -> Outcome:
        """The same with the tolerance as a share of the maps' largest absolute value."""
        largest = float(np.abs(maps).max(initial=0))
        if self.tolerance is None or largest == 0:
            return replace(self, tolerance=None)
        return replace(self, tolerance=self.tolerance / largest)


class Reporter:
    """Tells how far the maps are, and shows those of the positions finished so far.

    Args:
        progress: told after every batch, and between batches that take long; may cancel by raising.
        partial: shown what the engine has so far, at most every 100 ms; None when nobody looks.
    """

    def __init__(self, progress: Progress = silent, partial: Callable[[Outcome], None] | None = None) -> None:
        self._progress = progress
        self._partial = partial
        self._fraction, self._message = 0.0, "Heat map"
        self._told = self._shown = time.perf_counter()

    def batch(self, done: int, total: int, outcome: Outcome) -> None:
        """``done`` of ``total`` positions are finished and summed."""
        self._fraction = done / total if total else 1.0
        self._message = f"Heat map: {done} of {total} positions"
        now = time.perf_counter()
        if self._partial is not None and done and done < total and now - self._shown >= INTERVAL:
            self._partial(outcome)
            self._shown = time.perf_counter()
        self._tell()

    def tick(self) -> None:
        """Called often within long work: keeps the progress alive and lets it cancel."""
        if time.perf_counter() - self._told >= TICK:
            self._tell()

    def _tell(self) -> None:
        self._progress("heat_maps", self._fraction, self._message)
        self._told = time.perf_counter()
