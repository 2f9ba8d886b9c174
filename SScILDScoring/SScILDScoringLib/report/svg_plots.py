"""The geometry of the report's drawings; ``templates/drawings.html`` turns it into SVG.

Only numbers are made here, so that no text of a scan can reach the drawing without being escaped by the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ..results import ScanResult
from ..scores import PATTERNS, Pattern
from .colours import PATTERN_COLOURS
from .pictures import View, scale_bar_mm

_DASHES = {Pattern.TOT: "none", Pattern.GG: "7 3", Pattern.RET: "2 3"}


@dataclass(frozen=True)
class Overlay:
    """A transparent picture over a CT view: ``pattern`` names the switch that shows it, ``uri`` holds the PNG."""

    pattern: str
    uri: str


@dataclass(frozen=True)
class Drawing:
    """A CT view with its writing, in units of the view's pixels.

    Args:
        view: size, marks and level lines.
        image_id: under which the CT picture is defined in the document.
        uri: the CT picture; empty where an earlier drawing of the document has defined it.
        overlays: one for each pattern, or none.
        alt: what the picture shows, in words.
    """

    view: View
    image_id: str
    uri: str
    alt: str
    overlays: tuple[Overlay, ...] = ()

    @property
    def unit(self) -> float:
        """Height of the writing. Coronal and sagittal view stand side by side at the same height."""
        return self.view.height / 22 if self.view.lines else self.view.width / 26

    @property
    def scale_bar_mm(self) -> float:
        """Length of the scale bar in millimetres."""
        return scale_bar_mm(self.view)

    @property
    def scale_bar(self) -> float:
        """Length of the scale bar in pixels of the view."""
        return self.scale_bar_mm / self.view.mm_per_pixel


@dataclass(frozen=True)
class Curve:
    """A line of the profile plot: pattern, colour, dash pattern, points as SVG writes them, and where it ends."""

    pattern: Pattern
    colour: str
    dash: str
    points: str
    end: tuple[float, float]


@dataclass(frozen=True)
class ProfilePlot:
    """TOT, GG and RET of every slice, head on the left, base on the right.

    ``x_ticks`` and ``y_ticks`` are (place, label), ``levels`` (place, name, scores as dots (pattern colour, y)).
    """

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    curves: tuple[Curve, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    levels: tuple[tuple[float, str, tuple[tuple[str, float], ...]], ...]


def profile_plot(result: ScanResult, width: float = 1000, height: float = 300) -> ProfilePlot:
    """The plot of ``result.profile`` with the five levels marked."""
    profile = result.profile
    left, right, top, bottom = 52.0, width - 60, 30.0, height - 44
    head, base = max(profile.mm), min(profile.mm)
    span = max(head - base, 1e-6)

    def x(mm: float) -> float:
        return round(left + (head - mm) / span * (right - left), 1)

    def y(percent: float) -> float:
        return round(bottom - percent / 100 * (bottom - top), 1)

    ends = _apart([y(profile.scores[0].clipped[i]) for i in range(3)], 13)
    curves = []
    for i, pattern in enumerate(PATTERNS):
        points = [f"{x(mm)},{y(s.clipped[i])}" for mm, s in zip(profile.mm, profile.scores, strict=True)]
        end = (x(profile.mm[0]) + 6, ends[i])
        curves.append(Curve(pattern, PATTERN_COLOURS[pattern], _DASHES[pattern], " ".join(points), end))
    levels = []
    for position, scores in zip(result.levels, result.scores, strict=True):
        dots = tuple((PATTERN_COLOURS[p], y(v)) for p, v in zip(PATTERNS, scores.clipped, strict=True))
        levels.append((x(position.mm), position.level.name, dots))
    return ProfilePlot(
        *(width, height, left, right, top, bottom, tuple(curves)),
        tuple((x(mm), f"{mm:.0f}".replace("-", "\u2212")) for mm in _round_steps(base, head)),
        tuple((y(v), f"{v} %") for v in range(0, 101, 25)),
        tuple(levels),
    )


def _apart(places: list[float], gap: float) -> list[float]:
    """Label places moved so that neighbours are at least ``gap`` apart, in the same order."""
    order = sorted(range(len(places)), key=places.__getitem__, reverse=True)
    moved = list(places)
    for lower, upper in pairwise(order):
        moved[upper] = min(moved[upper], moved[lower] - gap)
    return moved


def _round_steps(low: float, high: float) -> list[float]:
    """Multiples of a round step within ``low..high``, at most eight."""
    step = next((s for s in (10, 20, 25, 50, 100, 200) if (high - low) / s <= 8), 500)
    first = -(-low // step) * step
    return [first + n * step for n in range(int((high - first) // step) + 1)]
