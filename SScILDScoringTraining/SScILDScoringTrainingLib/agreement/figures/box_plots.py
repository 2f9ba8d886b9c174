"""Box plots per level: the differences, or absolute errors, of one or more raters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.levels import Level
from SScILDScoringLib.scores import Pattern

from . import legends, pairing, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Series = tuple[Sequence[float], Sequence[int]]
"""Differences (rater minus reference, ``(n,)``, NaN where missing) and the level 1 to 5 of each ``(n,)``."""

WHISKERS = (2.5, 97.5)
"""Percentiles at which the whiskers end."""

_MEAN_MARKER = "D"
_GROUP_WIDTH = 0.8  # of the space of a level that its boxes take together


@style.styled
def box_plots(
    differences: Mapping[Pattern | str, Mapping[str, Series]],
    *,
    absolute: bool = False,
    reference: str = "reference",
    unit: str = "percentage points",
    what: str = "slices",
) -> Figure:
    """One panel a pattern, one group of boxes a level and pooled, one box a rater.

    The box holds the middle half and the median, the whiskers the middle 95 %; circles beyond grow with multiplicity;
    the diamond is the mean. (Tukey's whiskers would call every second score an outlier: with half of the scores 0 the
    box often has no height.)

    Args:
        differences: by pattern or title, by rater: see :data:`Series`.
        absolute: absolute values are drawn.
        reference: its name. unit: of the differences. what: what one value is, in the plural.

    Returns:
        Two columns wide; with one rater and one pattern one column.

    Raises:
        ValueError: nothing given, or lengths that differ.
    """
    if not differences or not all(differences.values()):
        raise ValueError("no differences to draw")
    raters = list(dict.fromkeys(name for series in differences.values() for name in series))
    narrow = len(differences) == 1 and len(raters) == 1
    figure = style.new_figure(
        style.SINGLE_MM if narrow else style.DOUBLE_MM, 60 if len(differences) == 1 else 10 + 45 * len(differences)
    )
    axes = figure.subplots(len(differences), 1, sharex=True, squeeze=False)[:, 0]
    boxes = {
        (key, rater): _boxes(values, levels, absolute)
        for key, series in differences.items()
        for rater, (values, levels) in series.items()
    }
    unit_area = pairing.circle_unit(max((b.most for group in boxes.values() for b in group), default=1))
    for ax, (key, series) in zip(axes, differences.items(), strict=True):
        for place, rater in enumerate(raters):
            if rater in series:
                shift, width = _shift(place, len(raters))
                colour = style.RATER_COLOURS[place % len(style.RATER_COLOURS)]
                colour = style.colour_of(key) if len(raters) == 1 else colour
                _draw_rater(ax, boxes[key, rater], shift, width, colour, unit_area)
        missing = sum(int((~np.isfinite(np.asarray(values, float))).sum()) for values, _ in series.values())
        ax.set_title(style.name_of(key) + (f" ({missing} missing)" if missing else ""))
        ax.axvline(len(Level) + 0.5, color=style.PALE, linewidth=0.6, zorder=0)
        if not absolute:
            ax.axhline(0, color=style.GREY, linewidth=0.6, zorder=1)
        low, high = style.span_of(*(np.array(b.span) for group in boxes.values() for b in group), at_least=10.0)
        ax.set_ylim(min(0, low) if absolute else low, high)
        ax.set_xlim(0.5, len(Level) + 1.5)
    counts = [max((boxes[k][n].n for k in boxes), default=0) for n in range(len(Level) + 1)]
    names = [*(level.name for level in Level), "pooled"]
    axes[-1].set_xticks(range(1, len(Level) + 2), [f"{name}\nn = {n}" for name, n in zip(names, counts, strict=True)])
    axes[-1].tick_params(axis="x", length=0)
    figure.supylabel(
        f"Absolute error ({unit})" if absolute else f"Rater − {reference} ({unit})", fontsize=style.BASE_PT
    )
    _legend(figure, raters, unit_area, max((b.most for group in boxes.values() for b in group), default=1), what)
    return figure


class _Box:
    """The numbers of one box: quartiles, whiskers, mean, and what lies beyond."""

    def __init__(self, values: np.ndarray) -> None:
        self.n = len(values)
        self.mean = self.q1 = self.median = self.q3 = self.low = self.high = float("nan")
        self.beyond, self.most, self.span = np.zeros(0), 1, ()
        if not self.n:
            return
        self.mean = float(values.mean())
        self.q1, self.median, self.q3 = (float(v) for v in np.percentile(values, [25, 50, 75]))
        self.low, self.high = (float(v) for v in np.percentile(values, WHISKERS, method="nearest"))
        self.beyond = values[(values < self.low) | (values > self.high)]
        self.most = int(np.unique(np.round(self.beyond, 6), return_counts=True)[1].max(initial=1))
        self.span = (float(values.min()), float(values.max()))


def _boxes(values: Sequence[float], levels: Sequence[int], absolute: bool) -> list[_Box]:
    """The boxes of L1..L5 and of all."""
    numbers, of = np.asarray(values, float), np.asarray(levels, int)
    if numbers.shape != of.shape:
        raise ValueError(f"one level for each value is needed, not {of.shape} for {numbers.shape}")
    there = np.isfinite(numbers)
    numbers, of = (np.abs(numbers) if absolute else numbers)[there], of[there]
    return [*(_Box(numbers[of == int(level)]) for level in Level), _Box(numbers)]


def _shift(place: int, count: int) -> tuple[float, float]:
    """Where a rater's box stands beside its level's middle, and how wide it is."""
    step = _GROUP_WIDTH / max(count, 2)
    return (place - (count - 1) / 2) * step, step * 0.72


def _draw_rater(axes: Axes, boxes: Sequence[_Box], shift: float, width: float, colour: str, unit: float) -> None:
    for place, box in enumerate(boxes, start=1):
        if not box.n:
            continue
        stats = {"med": box.median, "q1": box.q1, "q3": box.q3, "whislo": box.low, "whishi": box.high, "fliers": []}
        axes.bxp(
            [stats],
            positions=[place + shift],
            widths=width,
            showfliers=False,
            manage_ticks=False,
            patch_artist=True,
            boxprops={"facecolor": style.with_alpha(colour, 0.3), "edgecolor": colour, "linewidth": 0.7},
            medianprops={"color": colour, "linewidth": 1.6, "solid_capstyle": "butt"},
            whiskerprops={"color": colour, "linewidth": 0.7},
            capprops={"color": colour, "linewidth": 0.7},
            zorder=2,
        )
        pairing.draw_circles(axes, np.full(len(box.beyond), place + shift), box.beyond, unit, colour)
        axes.plot(
            place + shift,
            box.mean,
            marker=_MEAN_MARKER,
            ms=3,
            markerfacecolor="white",
            markeredgecolor=style.INK,
            markeredgewidth=0.6,
            zorder=5,
            gid="mean",
        )


def _legend(figure: Figure, raters: Sequence[str], unit: float, highest: int, what: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries = []
    if len(raters) > 1:
        for place, rater in enumerate(raters):
            colour = style.RATER_COLOURS[place % len(style.RATER_COLOURS)]
            entries.append((Patch(facecolor=style.with_alpha(colour, 0.3), edgecolor=colour), rater))
    mean = Line2D(
        [],
        [],
        ls="",
        marker=_MEAN_MARKER,
        ms=3,
        markerfacecolor="white",
        markeredgecolor=style.INK,
        markeredgewidth=0.6,
    )
    explanation = [(mean, "mean"), legends.line_entry("whiskers: middle 95 %", style.GREY)]
    legends.outside_legend(figure, entries, explanation, legends.circle_entries(unit, highest, what))
