"""Distributions of scores on the 5 % grid: how often each category was given, by the reference and by raters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.scores import Pattern, rounded

from .. import measures
from . import legends, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def category_shares(scores: Sequence[float]) -> np.ndarray:
    """Share of each of the 21 categories 0, 5, ..., 100 in percent, ``(21,)``; NaN is left out; 0 without scores."""
    values = np.asarray(scores, float).ravel()
    values = values[np.isfinite(values)]
    counts = np.bincount(rounded(values).astype(int) // 5, minlength=len(measures.CATEGORIES))
    return 100 * counts / max(len(values), 1)


@style.styled
def distributions(scores: Mapping[Pattern | str, Mapping[str, Sequence[float]]], *, what: str = "slices") -> Figure:
    """One row a pattern. The first series are bars (the reference), the others markers.

    The share of 0 % stands in a panel of its own: about half of all scores are 0 and would flatten the rest.

    Args:
        scores: by pattern or title, by rater, the reference first: percent, ``(n,)``; NaN where missing.
        what: what has a score, in the plural.

    Returns:
        Two columns wide.

    Raises:
        ValueError: nothing given.
    """
    if not scores or not all(scores.values()):
        raise ValueError("no scores to draw")
    from matplotlib.ticker import MaxNLocator

    figure = style.new_figure(style.DOUBLE_MM, 12 + 38 * len(scores))
    axes = figure.subplots(len(scores), 2, sharex="col", squeeze=False, width_ratios=(1, 8))
    raters = list(dict.fromkeys(name for series in scores.values() for name in series))
    for (zero, rest), (key, series) in zip(axes, scores.items(), strict=True):
        for place, rater in enumerate(raters):
            if rater in series:
                _draw_series(zero, rest, category_shares(series[rater]), place, len(raters))
        zero.set_title(style.name_of(key))
        zero.set_ylim(0, 100)
        zero.set_xlim(-0.7, 0.7)
        rest.set_xlim(2, 103)
        rest.set_ylim(0, max(rest.get_ylim()[1], 2.0))
        zero.set_yticks([0, 50, 100])
        rest.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes[-1, 0].set_xticks([0], ["0"])
    axes[-1, 1].set_xticks(range(5, 101, 5))
    axes[-1, 1].set_xlabel("Score (%)")
    figure.supylabel(f"Share of {what} (%)", fontsize=style.BASE_PT)
    labels = [f"{rater} ({_count(scores.values(), rater)})" for rater in raters]
    legends.outside_legend(figure, _entries(labels))
    return figure


def _count(scores: Iterable[Mapping[str, Sequence[float]]], rater: str) -> str:
    """The rater's n, and how many are missing; the range where patterns differ."""
    values = [np.asarray(series[rater], float) for series in scores if rater in series]
    there = [int(np.isfinite(v).sum()) for v in values]
    missing = max(v.size - n for v, n in zip(values, there, strict=True))
    if min(there) == max(there):
        return style.count_text(there[0], missing)
    return f"n = {min(there)} to {max(there)}, up to {missing} missing"


def _draw_series(zero: Axes, rest: Axes, shares: np.ndarray, place: int, count: int) -> None:
    """The reference (place 0) as bars, a rater as markers beside each other within the category."""
    categories = np.array(measures.CATEGORIES, float)
    if place == 0:
        zero.bar([0], shares[:1], width=0.9, color=style.PALE, edgecolor=style.GREY, linewidth=0.4)
        rest.bar(categories[1:], shares[1:], width=4, color=style.PALE, edgecolor=style.GREY, linewidth=0.4)
        return
    shift = (place - count / 2) / max(count - 1, 2)
    look = {
        "ls": "",
        "marker": style.RATER_MARKERS[(place - 1) % len(style.RATER_MARKERS)],
        "ms": 3.2,
        "markerfacecolor": style.RATER_COLOURS[(place - 1) % len(style.RATER_COLOURS)],
        "markeredgecolor": "white",
        "markeredgewidth": 0.3,
        "clip_on": False,
        "zorder": 3,
    }
    zero.plot([0.6 * shift], shares[:1], **look)
    rest.plot(categories[1:] + 3.4 * shift, shares[1:], **look)


def _entries(raters: Sequence[str]) -> list[legends.Entry]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[legends.Entry] = [(Patch(facecolor=style.PALE, edgecolor=style.GREY, linewidth=0.4), raters[0])]
    for place, rater in enumerate(raters[1:]):
        colour = style.RATER_COLOURS[place % len(style.RATER_COLOURS)]
        marker = style.RATER_MARKERS[place % len(style.RATER_MARKERS)]
        entries.append((Line2D([], [], ls="", marker=marker, ms=3.2, color=colour, markeredgewidth=0), rater))
    return entries
