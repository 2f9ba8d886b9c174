"""The five levels of the Goh score: their names, their positions and the rules between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from .errors import SScILDError
from .scan import CTScan


class Level(IntEnum):
    """The five axial levels, from the head downwards (Goh 2008; Jia 2024)."""

    L1 = 1
    L2 = 2
    L3 = 3
    L4 = 4
    L5 = 5

    @property
    def title(self) -> str:
        """The anatomical name."""
        return _TITLES[self]


_TITLES = {
    Level.L1: "origin of the great vessels",
    Level.L2: "main carina",
    Level.L3: "pulmonary venous confluence",
    Level.L4: "halfway between levels 3 and 5",
    Level.L5: "1 cm above the right hemidiaphragm",
}

SOURCES = ("l_net", "anatomy", "manual", "given")


class LevelError(SScILDError):
    """Five levels that are not in order, not inside the scan, or not five."""


@dataclass(frozen=True)
class LevelPosition:
    """Where one level lies.

    Args:
        level: which of the five.
        mm: RAS S in millimetres at the centre of the slice (see :meth:`CTScan.mm_of_slice`).
        source: ``l_net`` (network), ``anatomy`` (landmarks without a network), ``manual`` (moved by a person) or
            ``given`` (read from a file or argument).
        spread_mm: standard deviation of the sliding windows' answers; None when there was one answer only.
    """

    level: Level
    mm: float
    source: str = "manual"
    spread_mm: float | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"source is one of {', '.join(SOURCES)}, not {self.source!r}")


@dataclass(frozen=True)
class Levels:
    """Five level positions, strictly descending from L1 to L5.

    ``l4_follows`` says that L4 is kept halfway between L3 and L5 until somebody moves it.

    Raises:
        LevelError: not exactly L1..L5, or not strictly descending.
    """

    positions: tuple[LevelPosition, ...]
    l4_follows: bool = True

    def __post_init__(self) -> None:
        if tuple(p.level for p in self.positions) != tuple(Level):
            raise LevelError("Five levels are needed, L1 to L5 in this order.")
        for above, below in zip(self.positions, self.positions[1:], strict=False):
            if not above.mm > below.mm:
                raise LevelError(
                    f"Level {above.level:d} ({above.mm:.1f} mm) must lie above "
                    f"level {below.level:d} ({below.mm:.1f} mm)."
                )

    @classmethod
    def from_mm(
        cls,
        mm: Sequence[float] | Mapping[Level, float],
        source: str = "given",
        spread_mm: Sequence[float | None] | None = None,
        l4_follows: bool = False,
    ) -> Levels:
        """Levels at five RAS S positions in millimetres, L1 first."""
        values = [float(mm[level]) for level in Level] if isinstance(mm, Mapping) else [float(v) for v in mm]
        if len(values) != 5:
            raise LevelError(f"Five levels are needed, L1 to L5; {len(values)} were given.")
        spreads = list(spread_mm) if spread_mm is not None else [None] * 5
        return cls(
            tuple(LevelPosition(level, v, source, s) for level, v, s in zip(Level, values, spreads, strict=True)),
            l4_follows,
        )

    def __getitem__(self, level: Level | int) -> LevelPosition:
        return self.positions[Level(level) - 1]

    def __iter__(self):
        return iter(self.positions)

    @property
    def mm(self) -> tuple[float, ...]:
        """The five RAS S positions, L1 first."""
        return tuple(p.mm for p in self.positions)

    def slice_indices(self, scan: CTScan) -> tuple[int, ...]:
        """Canonical indices of the slices nearest to the five levels.

        Raises:
            ScanError: a level lies outside the scan.
        """
        return tuple(scan.slice_at(p.mm) for p in self.positions)

    def moved(self, level: Level | int, mm: float) -> Levels:
        """The levels after a person put ``level`` to ``mm``.

        Moving L4 ends its following of L3 and L5; moving L3 or L5 takes L4 along while it follows.

        Raises:
            LevelError: the move would break the order; the levels stay as they were.
        """
        level = Level(level)
        positions = list(self.positions)
        positions[level - 1] = LevelPosition(level, float(mm), "manual")
        follows = self.l4_follows and level is not Level.L4
        if follows and level in (Level.L3, Level.L5):
            middle = (positions[2].mm + positions[4].mm) / 2
            positions[3] = replace(positions[3], mm=middle)
        return Levels(tuple(positions), follows)

    def limits(self, level: Level | int, gap_mm: float = 0.0) -> tuple[float, float]:
        """Lowest and highest millimetres ``level`` may take between its neighbours (infinite at the ends).

        ``gap_mm`` is kept free to each neighbour. L3 and L5 are limited by each other while L4 follows them.
        """
        level = Level(level)
        above = level - 1
        below = level + 1
        if self.l4_follows and level is Level.L3:
            below = Level.L5
        if self.l4_follows and level is Level.L5:
            above = Level.L3
        high = self[above].mm - gap_mm if above >= Level.L1 else float("inf")
        low = self[below].mm + gap_mm if below <= Level.L5 else float("-inf")
        return low, high


def ordered_mm(mm: Sequence[float], gap_mm: float) -> tuple[float, ...]:
    """Five positions made strictly descending with at least ``gap_mm`` between neighbours.

    A network that has not seen such anatomy may answer in the wrong order. The answer is the closest descending
    one in the least-squares sense (pool adjacent violators on positions with the gaps taken out), so that positions
    already in order are returned unchanged.
    """
    shifted = [v + i * gap_mm for i, v in enumerate(mm)]
    blocks: list[list[float]] = []
    for value in shifted:
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            mean, count = blocks.pop()
            other, other_count = blocks.pop()
            total = count + other_count
            blocks.append([(mean * count + other * other_count) / total, total])
    pooled = [mean for mean, count in blocks for _ in range(int(count))]
    return tuple(v - i * gap_mm for i, v in enumerate(pooled))
