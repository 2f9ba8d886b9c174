"""Likert ratings of heat maps: shares as stacked bars, and as pies like the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.scores import Pattern

from . import legends, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = ("strongly disagree", "disagree", "neutral", "agree", "strongly agree")
COLOURS = ("#a6611a", "#dfc27d", "#e6e6e6", "#80cdc1", "#018571")
"""Brown to green-blue (ColorBrewer's BrBG): told apart without red-green vision, and by lightness from the middle."""

_LEAST_SHARE = 5.0  # percent; the number of a smaller share has no room in a bar
_LEAST_PIE_SHARE = 7.0
_LABEL_DEGREES = 19.0  # the width of "10.0 %" beside a pie

Ratings = Mapping[str, Mapping[Pattern | str, Sequence[int]]]
"""By reader, by pattern or title: how often each of the five :data:`LABELS` was given."""


def shares(counts: Sequence[int]) -> np.ndarray:
    """Percent of each label, ``(5,)``; zeros when nothing was rated.

    Raises:
        ValueError: not five counts, or a negative one.
    """
    values = np.asarray(counts, float)
    if values.shape != (len(LABELS),) or (values < 0).any():
        raise ValueError(f"five counts of at least 0 are needed, not {counts}")
    return 100 * values / max(values.sum(), 1)


@style.styled
def likert_bars(ratings: Ratings, *, what: str = "maps") -> Figure:
    """Stacked bars to 100 %, one for each reader and pattern, with the share of (strong) agreement beside each.

    Args:
        ratings: see :data:`Ratings`. what: what was rated, in the plural.

    Returns:
        Two columns wide, as high as the bars need.
    """
    rows = [(reader, key, counts) for reader, patterns in ratings.items() for key, counts in patterns.items()]
    if not rows:
        raise ValueError("no ratings to draw")
    # A gap between readers; the first reader on top.
    readers = list(ratings)
    places = [n + 0.6 * readers.index(reader) for n, (reader, _, _) in enumerate(rows)]
    figure = style.new_figure(style.DOUBLE_MM, 22 + 6 * (places[-1] + 1))
    axes = figure.subplots()
    for place, (_, _, counts) in zip(places, rows, strict=True):
        left = 0.0
        for number, share in enumerate(shares(counts)):
            axes.barh(
                place,
                share,
                0.75,
                left=left,
                color=COLOURS[number],
                edgecolor="white",
                linewidth=0.5,
                gid=LABELS[number],
            )
            if share >= _LEAST_SHARE:
                colour = style.ink_on(COLOURS[number])
                axes.text(left + share / 2, place, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=6)
            left += share
        text = f"{shares(counts)[3:].sum():.1f} %" if left else "not rated"
        axes.annotate(
            text,
            (1, place),
            (4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            gid="agreement",
            annotation_clip=False,
        )
    axes.annotate(
        "Agree or\nstrongly agree",
        (1, 1),
        (4, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        fontsize=style.SMALL_PT,
        annotation_clip=False,
    )
    axes.set_yticks(places, [f"{reader}, {style.name_of(k)} (n = {int(np.sum(c))})" for reader, k, c in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(places[-1] + 0.55, -0.55)
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"Share of {what} (%)")
    legends.outside_legend(figure, _entries())
    return figure


@style.styled
def likert_pies(ratings: Ratings, *, what: str = "maps") -> Figure:
    """Pies as published: one row a reader, one column a pattern; clockwise from the top, strongly disagree first.

    Args:
        ratings: see :data:`Ratings`. what: what was rated, in the plural.

    Returns:
        Two columns wide.
    """
    keys = list(dict.fromkeys(key for patterns in ratings.values() for key in patterns))
    if not keys:
        raise ValueError("no ratings to draw")
    figure = style.new_figure(style.DOUBLE_MM, 10 + 52 * len(ratings))
    axes = figure.subplots(len(ratings), len(keys), squeeze=False)
    for row, (reader, patterns) in zip(axes, ratings.items(), strict=True):
        for ax, key in zip(row, keys, strict=True):
            counts = patterns.get(key, (0,) * len(LABELS))
            ax.set_title(f"{reader}, {style.name_of(key)} (n = {int(np.sum(counts))} {what})", loc="center")
            _draw_pie(ax, shares(counts))
    legends.outside_legend(figure, _entries())
    return figure


def _draw_pie(axes, values: np.ndarray) -> None:
    if not values.sum():
        axes.axis("off")
        style.nothing_to_draw(axes, "not rated")
        return
    wedges, _ = axes.pie(
        values,
        colors=COLOURS,
        startangle=90,
        counterclock=False,
        wedgeprops={"edgecolor": "white", "linewidth": 0.6},
    )
    angles = [(wedge.theta1 + wedge.theta2) / 2 for wedge in wedges]
    small = [n for n, share in enumerate(values) if 0 < share < _LEAST_PIE_SHARE]
    outside = dict(zip(small, _spread([angles[n] for n in small]), strict=True))
    for number, (wedge, share) in enumerate(zip(wedges, values, strict=True)):
        wedge.set_gid(LABELS[number])
        if not share:
            continue
        text = {"fontsize": style.SMALL_PT, "va": "center", "ha": "center", "gid": "share"}
        if number in outside:
            place, end = _point(1.22, outside[number]), _point(1.11, outside[number])
            axes.plot(*zip(_point(1.0, angles[number]), end, strict=True), color=style.GREY, linewidth=0.4)
            axes.text(*place, f"{share:.1f} %", color=style.INK, **text)
        else:
            colour = style.ink_on(COLOURS[number])
            axes.text(*_point(0.65, angles[number]), f"{share:.1f} %", color=colour, **text)
    axes.set(xlim=(-1.4, 1.4), ylim=(-1.25, 1.35))


def _point(radius: float, degrees: float) -> tuple[float, float]:
    return radius * np.cos(np.deg2rad(degrees)), radius * np.sin(np.deg2rad(degrees))


def _spread(degrees: Sequence[float]) -> list[float]:
    """Angles of labels, clockwise like the wedges, pushed apart to where their texts do not touch."""
    placed: list[float] = []
    for angle in degrees:
        placed.append(min(angle, placed[-1] - _LABEL_DEGREES) if placed else angle)
    # Half of what the last was pushed back again, so that the labels lie around their wedges.
    back = (degrees[-1] - placed[-1]) / 2 if placed else 0.0
    return [angle + back for angle in placed]


def _entries() -> list[legends.Entry]:
    from matplotlib.patches import Patch

    return [(Patch(facecolor=colour), label) for colour, label in zip(COLOURS, LABELS, strict=True)]
