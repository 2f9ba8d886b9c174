"""Pairs of scores as panels draw them: those with both answers, as circles whose area is their multiplicity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.scores import Pattern

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pairs = tuple[Sequence[float], Sequence[float]]
"""Reference and rater, equally long; NaN where one has no answer."""

LARGEST_CIRCLE_PT, LARGEST_SINGLE_PT = 19.0, 2.4
"""Diameters in points: of the circle with the highest multiplicity, and at most of a circle that stands for one."""


@dataclass(frozen=True)
class Panel:
    """The pairs of one panel, without those that lack an answer.

    Args:
        name: the panel's title. colour: of its marks.
        reference: ``(n,)`` float. answer: ``(n,)`` float.
        groups: ``(n,)`` numbers of the groups the pairs belong to, or None.
        missing: how many pairs were left out because one of the two is NaN.
    """

    name: str
    colour: str
    reference: np.ndarray
    answer: np.ndarray
    groups: np.ndarray | None = None
    missing: int = 0

    @property
    def n(self) -> int:
        """How many pairs are drawn."""
        return len(self.reference)

    @property
    def title(self) -> str:
        """Name, n, and what is missing: ``TOT (n = 1147, 3 missing)``."""
        return f"{self.name} ({style.count_text(self.n, self.missing)})"


def panels_of(
    pairs: Mapping[Pattern | str, Pairs], groups: Mapping[Pattern | str, Sequence[int]] | None = None
) -> list[Panel]:
    """One panel for each series of pairs.

    Args:
        pairs: by pattern or title: reference and rater, ``(n,)`` each.
        groups: by the same keys: the group's number of each pair, ``(n,)``.

    Raises:
        ValueError: no series, or lengths that differ.
    """
    if not pairs:
        raise ValueError("no pairs to draw")
    panels = []
    for key, (reference, answer) in pairs.items():
        both = np.array([np.asarray(reference, float).ravel(), np.asarray(answer, float).ravel()])
        there = np.isfinite(both).all(axis=0)
        group = None if groups is None else np.asarray(groups[key])[there]
        panels.append(Panel(style.name_of(key), style.colour_of(key), *both[:, there], group, int((~there).sum())))
    return panels


def multiplicities(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different points ``(m, 2)`` and how often each occurs ``(m,)``."""
    points = np.column_stack([x, y])
    if not len(points):
        return points.reshape(0, 2), np.zeros(0, int)
    return np.unique(np.round(points, 6), axis=0, return_counts=True)


def circle_unit(highest: int) -> float:
    """Squared diameter in points (matplotlib's ``s``) of a circle that stands for one, by the highest multiplicity."""
    return min(LARGEST_SINGLE_PT**2, LARGEST_CIRCLE_PT**2 / max(highest, 1))


def draw_circles(axes: Axes, x: np.ndarray, y: np.ndarray, unit: float, colour: str, marker: str = "o") -> None:
    """Draws points as circles whose area is ``unit`` times their multiplicity."""
    points, counts = multiplicities(x, y)
    order = np.argsort(-counts, kind="stable")  # the small ones on top
    axes.scatter(
        *points[order].T,
        s=unit * counts[order],
        marker=marker,
        facecolor=style.with_alpha(colour, 0.35),
        edgecolor=style.with_alpha(colour, 0.9),
        linewidth=0.5,
        clip_on=False,
        zorder=3,
    )


def draw_panel_circles(axes: Axes, x: np.ndarray, y: np.ndarray, unit: float, panel: Panel) -> None:
    """The pairs of a panel as circles, group by group when it has groups."""
    if panel.groups is None:
        draw_circles(axes, x, y, unit, panel.colour)
        return
    for group in np.unique(panel.groups):
        own = panel.groups == group
        colour, marker = style.group_look(int(group))
        draw_circles(axes, x[own], y[own], unit, colour, marker)
