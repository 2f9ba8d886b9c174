"""Bland-Altman figures: the difference of two scores over their mean, with bias and 95 % limits of agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.scores import Pattern

from .. import measures
from . import legends, pairing, style
from .pairing import Pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LIMIT_LINE = (0, (4, 2))
"""Dashes of the limits of agreement."""


@style.styled
def bland_altman(
    pairs: Mapping[Pattern | str, Pairs],
    *,
    names: tuple[str, str] = ("reference", "rater"),
    unit: str = "%",
    difference_unit: str | None = None,
    what: str = "slices",
    groups: Mapping[Pattern | str, Sequence[int]] | None = None,
    group_names: Mapping[int, str] | None = None,
) -> Figure:
    """Difference (rater minus reference) over the mean of both; one panel a series, all on the same scale.

    The line is the bias, the dashed lines are bias - 1.96 SD and bias + 1.96 SD; their values stand at the right edge.
    Circles grow with the number of pairs at the same point (area proportional).

    Args:
        pairs: by pattern or title: reference and rater, ``(n,)`` each in ``unit``; NaN where missing.
        names: of reference and rater. unit: of the scores.
        difference_unit: of their difference; ``unit`` when None, percentage points when that is ``%``.
        what: what a pair is, in the plural.
        groups, group_names: numbers of groups of pairs with colours of their own (levels), and their names.

    Returns:
        One column wide for one series, two columns for more.
    """
    panels = pairing.panels_of(pairs, groups)
    figure = style.new_figure(style.SINGLE_MM if len(panels) == 1 else style.DOUBLE_MM, 70)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    difference_unit = difference_unit or ("percentage points" if unit == "%" else unit)
    means = [(p.reference + p.answer) / 2 for p in panels]
    differences = [p.answer - p.reference for p in panels]
    agreements = [measures.limits_of_agreement(p.reference, p.answer) if p.n else None for p in panels]
    highest = max(
        (pairing.multiplicities(*xy)[1].max(initial=1) for xy in zip(means, differences, strict=True)), default=1
    )
    unit_area = pairing.circle_unit(highest)
    known = np.array([value for agreement in agreements if agreement for value in agreement])
    low, high = style.span_of(*differences, known, np.zeros(1), margin=0.06, at_least=10.0)
    for ax, panel, mean, difference, agreement in zip(axes, panels, means, differences, agreements, strict=True):
        ax.set_title(panel.title)
        ax.set_xlabel(style.wrapped(f"Mean of {names[1]} and {names[0]} ({unit})"))
        ax.set_ylim(low, high)
        ax.set_xlim(*(style.GRID_LIMITS if unit == "%" else style.span_of(mean)))
        if agreement is None:
            style.nothing_to_draw(ax)
            continue
        ax.axhline(0, color=style.PALE, linewidth=0.6, zorder=1)
        pairing.draw_panel_circles(ax, mean, difference, unit_area, panel)
        _draw_limits(ax, agreement, high - low)
    axes[0].set_ylabel(style.wrapped(f"{names[1]} − {names[0]} ({difference_unit})", 46))
    lines = [legends.line_entry("bias"), legends.line_entry("95 % limits of agreement", ls=LIMIT_LINE)]
    circles = legends.circle_entries(unit_area, highest, what)
    legends.outside_legend(figure, lines, circles, legends.group_entries(group_names or {}))
    return figure


def _draw_limits(axes: Axes, agreement: measures.Limits, height: float) -> None:
    """Bias and limits as lines, and their values beside the right edge, moved apart where they would touch.

    One pair has a bias and no limits (their SD is that of a sample).
    """
    lines = (
        (agreement.high, "+1.96 SD", LIMIT_LINE),
        (agreement.bias, "bias", "-"),
        (agreement.low, "−1.96 SD", LIMIT_LINE),
    )
    lines = tuple(line for line in lines if np.isfinite(line[0]))
    for value, label, ls in lines:
        axes.axhline(value, color=style.INK, linewidth=0.8, zorder=4, ls=ls, label=label)
    between = height * 0.055
    middle = agreement.bias
    places = {
        "+1.96 SD": max(agreement.high, middle + between),
        "bias": middle,
        "−1.96 SD": min(agreement.low, middle - between),
    }
    for value, label, _ in lines:
        axes.annotate(
            style.signed(value),
            (1, places[label]),
            (2, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=style.SMALL_PT,
            annotation_clip=False,
            gid=label,
        )
