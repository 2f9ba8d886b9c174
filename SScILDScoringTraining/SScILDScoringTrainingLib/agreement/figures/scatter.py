"""Scatter of scores on the 5 % grid: rater over reference, the area of a circle is how often the pair occurs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.scores import Pattern

from . import legends, pairing, style
from .pairing import Pairs, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@style.styled
def score_scatter(
    pairs: Mapping[Pattern | str, Pairs],
    *,
    names: tuple[str, str] = ("reference", "rater"),
    unit: str = "%",
    what: str = "slices",
    band: float = 5.0,
) -> Figure:
    """Rater over reference with the line of identity; one panel a series, with the share of pairs close to it.

    Args:
        pairs: by pattern or title: reference and rater, ``(n,)`` each in ``unit``; NaN where missing.
        names: of reference and rater. unit: of the scores. what: what a pair is, in the plural.
        band: the shaded band around identity, in ``unit``; the share of pairs within it stands in the panel.

    Returns:
        One column wide for one series, two columns for more.
    """
    panels = pairing.panels_of(pairs)
    figure, axes, unit_area, highest = draw_square(panels, names, unit)
    for ax, panel in zip(axes, panels, strict=True):
        if panel.n:
            _draw_band(ax, panel, band, unit)
    entries = [
        legends.line_entry("identity", style.GREY, style.IDENTITY_LINE, 0.7),
        *legends.circle_entries(unit_area, highest, what),
    ]
    legends.finish_squares(figure, axes, entries)
    return figure


def draw_square(
    panels: Sequence[Panel], names: tuple[str, str], unit: str
) -> tuple[Figure, Sequence[Axes], float, int]:
    """Square panels with circles and the line of identity, both axes alike; ends with :func:`.legends.finish_squares`.

    Returns:
        The figure, its panels, the circles' unit (see :func:`.pairing.circle_unit`) and the highest multiplicity.
    """
    figure = style.new_figure(style.SINGLE_MM if len(panels) == 1 else style.DOUBLE_MM, 120)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=unit == "%")[0]
    highest = max(int(pairing.multiplicities(p.reference, p.answer)[1].max(initial=1)) for p in panels)
    unit_area = pairing.circle_unit(highest)
    for ax, panel in zip(axes, panels, strict=True):
        limits = style.GRID_LIMITS if unit == "%" else style.span_of(panel.reference, panel.answer)
        ax.set(xlim=limits, ylim=limits, aspect="equal", title=panel.title)
        ax.set_xlabel(style.wrapped(f"{names[0]} ({unit})"))
        if unit == "%":
            ax.set_xticks(range(0, 101, 20))
            ax.set_yticks(range(0, 101, 20))
        if not panel.n:
            style.nothing_to_draw(ax)
            continue
        ends = (0, 100) if unit == "%" else limits
        ax.plot(ends, ends, color=style.GREY, ls=style.IDENTITY_LINE, linewidth=0.7, zorder=2, label="identity")
        pairing.draw_panel_circles(ax, panel.reference, panel.answer, unit_area, panel)
    axes[0].set_ylabel(style.wrapped(f"{names[1]} ({unit})"))
    return figure, axes, unit_area, highest


def _draw_band(axes: Axes, panel: Panel, band: float, unit: str) -> None:
    ends = np.array(axes.get_xlim())
    axes.fill_between(ends, ends - band, ends + band, color=style.PALE, alpha=0.5, linewidth=0, zorder=1, gid="band")
    share = 100 * np.mean(np.abs(panel.answer - panel.reference) <= band + 1e-9)
    text = f"{share:.0f} % within ±{band:g} {'percentage points' if unit == '%' else unit}"
    axes.text(0.04, 0.96, text, transform=axes.transAxes, ha="left", va="top", fontsize=style.SMALL_PT, gid="share")
