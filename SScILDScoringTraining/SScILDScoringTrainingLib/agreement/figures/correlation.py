"""Correlation figures: rater over reference with the regression line and the line of identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.scores import Pattern

from .. import measures
from . import legends, pairing, style
from .pairing import Pairs, Panel
from .scatter import draw_square

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@style.styled
def correlation(
    pairs: Mapping[Pattern | str, Pairs],
    *,
    names: tuple[str, str] = ("reference", "rater"),
    unit: str = "%",
    what: str = "slices",
    groups: Mapping[Pattern | str, Sequence[int]] | None = None,
    group_names: Mapping[int, str] | None = None,
) -> Figure:
    """Rater over reference, least-squares line, its equation and Pearson's r; one panel a series.

    Args:
        pairs: by pattern or title: reference and rater, ``(n,)`` each in ``unit``; NaN where missing.
        names: of reference and rater. unit: of the scores. what: what a pair is, in the plural.
        groups, group_names: numbers of groups of pairs with colours of their own (levels), and their names.

    Returns:
        One column wide for one series, two columns for more.
    """
    panels = pairing.panels_of(pairs, groups)
    figure, axes, unit_area, highest = draw_square(panels, names, unit)
    for ax, panel in zip(axes, panels, strict=True):
        if panel.n:
            _draw_regression(ax, panel)
    lines = [
        legends.line_entry("regression", linewidth=1.2),
        legends.line_entry("identity", style.GREY, style.IDENTITY_LINE, 0.7),
    ]
    circles = legends.circle_entries(unit_area, highest, what)
    legends.finish_squares(figure, axes, lines, circles, legends.group_entries(group_names or {}))
    return figure


def _draw_regression(axes: Axes, panel: Panel) -> None:
    """The line over the reference's range, its equation and r; a sentence where it is not defined."""
    line = measures.regression_line(panel.reference, panel.answer)
    if not np.isfinite(line.slope):
        text = "no regression: fewer than\ntwo different reference values"
    else:
        ends = np.array([panel.reference.min(), panel.reference.max()])
        axes.plot(
            ends, line.slope * ends + line.intercept, color=style.INK, linewidth=1.2, zorder=4, label="regression"
        )
        sign = "+" if line.intercept >= 0 else "−"
        r = style.number(line.r, 3 if abs(line.r) >= 0.995 else 2)
        text = f"y = {style.number(line.slope)} x {sign} {abs(line.intercept):.2f}\nr = {r}"
    axes.text(
        0.04,
        0.96,
        text,
        transform=axes.transAxes,
        ha="left",
        va="top",
        fontsize=style.SMALL_PT,
        zorder=5,
        gid="equation",
    )
