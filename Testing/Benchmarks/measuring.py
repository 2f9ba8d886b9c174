"""Honest comparisons: contestants run by turns in one process, ratios of medians, and what was only extrapolated."""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contestant:
    """Somebody who does the same work as the others.

    Args:
        name: as the table shows it.
        sample: does a part of the work, or all of it; returns how many positions it did.
        positions: how many a whole map takes this contestant.
        rounds: takes part in at most so many rounds (whole maps of slow ones would take hours).
    """

    name: str
    sample: Callable[[], int]
    positions: int
    rounds: int = 99


@dataclass
class Measured:
    """What a contestant took.

    Args:
        contestant: who.
        walls, processors: seconds for one position, one entry a round.
        done: positions in a round.
    """

    contestant: Contestant
    walls: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)
    done: int = 0

    @property
    def seconds(self) -> float:
        """Wall time of a whole map by the median round."""
        return statistics.median(self.walls) * self.contestant.positions

    @property
    def spread(self) -> tuple[float, float]:
        """Shortest and longest whole map by single rounds, seconds."""
        return min(self.walls) * self.contestant.positions, max(self.walls) * self.contestant.positions

    @property
    def processor_seconds(self) -> float:
        """Processor time of a whole map by the median round."""
        return statistics.median(self.processors) * self.contestant.positions

    @property
    def extrapolated(self) -> bool:
        """Whether a round did only a part of a map."""
        return self.done < self.contestant.positions

    def times_faster_than(self, other: Measured) -> float:
        """By wall time of whole maps."""
        return other.seconds / self.seconds

    def cheaper_than(self, other: Measured) -> float:
        """By processor time, which hardly depends on what else the computer does."""
        return other.processor_seconds / self.processor_seconds


def by_turns(contestants: Sequence[Contestant], rounds: int, warm: bool = True) -> list[Measured]:
    """Runs everybody once in each round (A B C, A B C ...), after a run of each that does not count."""
    results = [Measured(contestant) for contestant in contestants]
    for number in range(-1 if warm else 0, rounds):
        for result in results:
            if number >= result.contestant.rounds or (number < 0 and result.contestant.rounds == 1):
                continue
            wall, processor = time.perf_counter(), time.process_time()
            done = result.contestant.sample()
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            if number >= 0:
                result.walls.append(wall / done)
                result.processors.append(processor / done)
                result.done = done
    return results


def line_through(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Slope, intercept and the share of the variance that a straight line explains (1 when all points lie on it)."""
    mx, my = statistics.fmean(x), statistics.fmean(y)
    variance = sum((a - mx) ** 2 for a in x)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / variance
    rest = sum((b - my - slope * (a - mx)) ** 2 for a, b in zip(x, y, strict=True))
    total = sum((b - my) ** 2 for b in y)
    return slope, my - slope * mx, 1 - rest / total if total else 1.0


def percent_of_largest(values, wanted) -> float:
    """The largest difference of two arrays in percent of the largest absolute value wanted."""
    return 100.0 * float(abs(values - wanted).max()) / float(abs(wanted).max())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Plain text with columns; the first is flush left, the others flush right."""
    lines = [list(head), *[list(row) for row in rows]]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]

    def padded(line: Sequence[str]) -> str:
        cells = (c.rjust(w) if n else c.ljust(w) for n, (c, w) in enumerate(zip(line, widths, strict=True)))
        return "  ".join(cells).rstrip()

    return "\n".join([padded(lines[0]), "-" * len(padded(lines[0])), *map(padded, lines[1:])])


def peak_mb() -> float:
    """Largest memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1024


def load() -> str:
    """The average number of processes that want to run."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
