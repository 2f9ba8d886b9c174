"""Forest plots: estimates with 95 % confidence intervals, one row a comparison, one column a measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..rows import Row

Estimate = tuple[float, float, float]
"""Estimate, lower and upper end of its interval; NaN where not defined or not known."""

MEASURE_NAMES = {"kappa": "Weighted κ", "icc": "ICC(A,1)", "mae": "MAE (percentage points)", "r": "Pearson r"}
_UP_TO_ONE = ("kappa", "icc", "r")


@dataclass(frozen=True)
class ForestRow:
    """One row.

    Args:
        group: a headline that rows share (a pattern). label: the comparison.
        estimates: by measure. note: stands at the right end of the label, e.g. ``n = 80``.
    """

    group: str
    label: str
    estimates: Mapping[str, Estimate]
    note: str = ""


def rows_of(rows: Iterable[Row], measures: Sequence[str] = ("kappa", "icc"), level: str = "pooled") -> list[ForestRow]:
    """Forest rows of a comparison's numbers (:class:`..rows.Row`).

    Scores: the rows of one ``level``, grouped by pattern. Level positions: every level, grouped by raters.
    """
    found = []
    for row in rows:
        positions = row.column == "position_mm"
        if not positions and row.level != level:
            continue
        estimates = {}
        for measure in measures:
            interval = row.intervals.get(measure)
            low, high = (interval.low, interval.high) if interval else (np.nan, np.nan)
            estimates[measure] = (row.values.get(measure, np.nan), low, high)
        raters = f"{row.second} vs. {row.first}"
        heading, label = (raters, row.level) if positions else (row.column.upper(), raters)
        found.append(ForestRow(heading, label, estimates, f"n = {row.n}"))
    groups = list(dict.fromkeys(row.group for row in found))
    return sorted(found, key=lambda row: groups.index(row.group))


@style.styled
def forest(
    rows: Sequence[ForestRow],
    *,
    names: Mapping[str, str] = MEASURE_NAMES,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Points with their intervals and both as numbers; rows under the headline of their group.

    Args:
        rows: in their order from top to bottom; rows of a group stand together.
        names: of the measures on the axes. limits: of the axes; up to 1 for kappa, ICC and r, which share their
            scale, and from 0 for others when None.

    Returns:
        Two columns wide, as high as the rows need.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("no rows to draw")
    measures = list(dict.fromkeys(m for row in rows for m in row.estimates))
    places, heads, bottom = _places(rows)
    figure = style.new_figure(style.DOUBLE_MM, 14 + 4.2 * bottom)
    axes = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for ax, measure in zip(axes, measures, strict=True):
        low, high = (limits or {}).get(measure) or _limits(rows, measure)
        ax.set_xlim(low, high)
        ax.set_xlabel(names.get(measure, measure))
        numbers_title(ax)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color=style.PALE, linewidth=0.4)
        for row, place in zip(rows, places, strict=True):
            if measure in row.estimates:
                draw_estimate(ax, place, row.estimates[measure], style.colour_of(row.group), "o")
    axes[0].set_ylim(bottom - 0.4, -0.6)
    labels = [row.label + (f"  ({row.note})" if row.note else "") for row in rows]
    axes[0].set_yticks([*heads.values(), *places], [*heads, *labels])
    for text in axes[0].get_yticklabels()[: len(heads)]:
        text.set_fontweight("bold")
    return figure


def draw_estimate(axes: Axes, place: float, estimate: Estimate, colour: str, marker: str, digits: int = 2) -> None:
    """A point, its interval and both as numbers right of the panel; ``not defined`` for a NaN."""
    value, low, high = estimate
    if not np.isfinite(value):
        text = "not defined"
    else:
        # 1.00 is said of nothing that is not 1.
        digits = max(digits, 3) if any(0.995 <= abs(v) < 1 for v in estimate) else digits
        if np.isfinite([low, high]).all():
            axes.plot([low, high], [place, place], color=colour, linewidth=1.1, zorder=2, gid="interval")
            text = f"{style.number(value, digits)} ({style.number(low, digits)} to {style.number(high, digits)})"
        else:
            text = style.number(value, digits)
        axes.plot(
            value, place, marker=marker, ms=4, color=colour, markeredgewidth=0, zorder=3, clip_on=False, gid="estimate"
        )
    axes.annotate(
        text,
        (1, place),
        (5, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=style.SMALL_PT,
        annotation_clip=False,
        gid="numbers",
    )


def numbers_title(axes: Axes) -> None:
    """The headline of the numbers that :func:`draw_estimate` writes."""
    axes.annotate(
        "Estimate (95 % CI)",
        (1, 1),
        (5, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        fontsize=style.SMALL_PT,
        annotation_clip=False,
    )


def _places(rows: Sequence[ForestRow]) -> tuple[list[float], dict[str, float], float]:
    """Heights of the rows, of the groups' headlines, and of what comes after the last."""
    places, heads, place = [], {}, 0.0
    for row in rows:
        if row.group and row.group not in heads:
            place += 0.4 if heads else 0.0
            heads[row.group] = place
            place += 1
        places.append(place)
        place += 1
    return places, heads, place


def _limits(rows: Sequence[ForestRow], measure: str) -> tuple[float, float]:
    """From 0; for measures whose best value is 1, from a round number below all of them together, to 1."""
    alike = _UP_TO_ONE if measure in _UP_TO_ONE else (measure,)
    values = np.array([v for row in rows for m in alike for v in row.estimates.get(m, ()) if np.isfinite(v)])
    if measure in _UP_TO_ONE:
        return min(0.8, float(np.floor((values.min(initial=1.0) - 0.05) * 5) / 5)), 1.0
    return (0.0, 1.05 * float(values.max(initial=1.0))) if values.min(initial=0) >= 0 else style.span_of(values)
