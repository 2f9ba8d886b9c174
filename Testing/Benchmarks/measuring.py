"""Honest comparisons: contestants run by turns in one process, ratios of medians, and what was only extrapolated."""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does; read when torch is imported


class Deadline:
    """After so many seconds nothing new is begun."""

    def __init__(self, seconds: float = float("inf")) -> None:
        self._end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether the seconds are over."""
        return time.monotonic() > self._end


@dataclass(frozen=True)
class Contestant:
    """Somebody who does the same work as the others.

    Args:
        name: as the table shows it.
        sample: does a part of the work, or all of it; returns how many positions it did.
        positions: how many a whole map takes this contestant.
        start: the same with hardly any positions: mostly what a map costs once. With it a map is extrapolated along
            the line through both; without it in proportion to the positions.
        rounds: takes part in at most so many rounds (whole maps of slow ones would take hours).
    """

    name: str
    sample: Callable[[], int]
    positions: int
    start: Callable[[], int] | None = None
    rounds: int = 99


@dataclass
class Measured:
    """What a contestant took.

    Args:
        contestant: who.
        walls, processors: seconds of a whole map, wall and processor time, one entry a round.
        done: positions in a round.
    """

    contestant: Contestant
    walls: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)
    done: int = 0

    def take(self) -> None:
        """Runs the contestant once."""
        done, wall, processor = timed(self.contestant.sample)
        positions = self.contestant.positions
        first, *once = (
            timed(self.contestant.start) if self.contestant.start is not None and done < positions else (done,)
        )
        if first < done:
            slopes = [
                max(whole - part, 0.0) / (done - first) for whole, part in zip((wall, processor), once, strict=True)
            ]
            wall, processor = (
                v + slope * (positions - done) for v, slope in zip((wall, processor), slopes, strict=True)
            )
        else:
            wall, processor = (v / done * positions for v in (wall, processor))
        self.walls.append(wall)
        self.processors.append(processor)
        self.done = done

    @property
    def seconds(self) -> float:
        """Wall time of a whole map by the median round."""
        return statistics.median(self.walls)

    @property
    def spread(self) -> tuple[float, float]:
        """Shortest and longest whole map by single rounds, seconds."""
        return min(self.walls), max(self.walls)

    @property
    def processor_seconds(self) -> float:
        """Processor time of a whole map by the median round."""
        return statistics.median(self.processors)

    @property
    def extrapolated(self) -> bool:
        """Whether a round did only a part of a map."""
        return self.done < self.contestant.positions

    def times_faster_than(self, other: Measured) -> float:
        """By wall time of whole maps; the median over rounds, each against the other's same round."""
        return _median_ratio(other.walls, self.walls)

    def cheaper_than(self, other: Measured) -> float:
        """By processor time, which hardly depends on what else the computer does."""
        return _median_ratio(other.processors, self.processors)


def timed(work: Callable[[], int]) -> tuple[int, float, float]:
    """What ``work`` returns, and its wall and processor time in seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    done = work()
    return done, time.perf_counter() - wall, time.process_time() - processor


def _median_ratio(others: Sequence[float], own: Sequence[float]) -> float:
    return statistics.median(o / v for o, v in zip(others, own, strict=True))


def by_turns(contestants: Sequence[Contestant], rounds: int, seconds: float = float("inf")) -> list[Measured]:
    """Runs everybody once in each round (A B C, A B C ...), after a run of each that does not count.

    That first run is the ``start`` of those who have one. Ends when ``rounds`` or ``seconds`` are over, but not before
    the first round that counts.
    """
    for contestant in contestants:
        if contestant.rounds > 1:
            (contestant.start or contestant.sample)()
    return rounds_of(contestants, rounds, seconds)


def rounds_of(contestants: Sequence[Contestant], rounds: int, seconds: float = float("inf")) -> list[Measured]:
    """:func:`by_turns` of contestants that are warm already."""
    results = [Measured(contestant) for contestant in contestants]
    end = time.monotonic() + seconds
    for number in range(min(rounds, *(c.rounds for c in contestants))):
        if number and time.monotonic() > end:
            break
        for result in results:
            result.take()
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


class Rows:
    """A table that grows by a line as soon as one is known.

    Args:
        head: names of the columns; a column is as wide as its name, the first one ``width`` characters.
        width: of the first column.
    """

    def __init__(self, head: Sequence[str], width: int = 32) -> None:
        self._widths = [width, *(max(len(name), 6) for name in head[1:])]
        print(self._line(head))
        print("-" * len(self._line(head)), flush=True)

    def add(self, *cells: str) -> None:
        """Prints a line."""
        print(self._line(cells), flush=True)

    def _line(self, cells: Sequence[str]) -> str:
        first, *rest = cells
        padded = (cell.rjust(width) for cell, width in zip(rest, self._widths[1:], strict=True))
        return "  ".join((first.ljust(self._widths[0]), *padded)).rstrip()


def peak_mb() -> float:
    """Largest memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # what the system counts for a process otherwise includes its parent's, from before it began
        lines = [line.split() for line in status.read_text().splitlines()]
        return next(float(line[1]) for line in lines if line[:1] == ["VmHWM:"]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1024


def load() -> str:
    """The average number of processes that want to run."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
