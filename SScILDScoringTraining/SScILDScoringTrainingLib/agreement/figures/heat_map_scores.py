"""Heat maps against scores: derived over network scores with R², and the error over the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.scores import Pattern

from .. import measures
from . import legends, pairing, style
from .pairing import Pairs
from .scatter import draw_square

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@style.styled
def derived_scores(
    pairs: Mapping[Pattern | str, Pairs],
    *,
    thresholds: Mapping[Pattern | str, float] | None = None,
    r2: Mapping[Pattern | str, float] | None = None,
    what: str = "slices",
) -> Figure:
    """Score derived from the thresholded map over the network's clipped output, with R²; one panel a pattern.

    Args:
        pairs: by pattern or title: the network's clipped outputs and the derived scores in percent, ``(n,)`` each.
        thresholds: of the maps, in percentage points; stated in the panel.
        r2: the coefficients to state; the squared Pearson correlation when None.
        what: what a pair is, in the plural.

    Returns:
        One column wide for one pattern, two columns for more.
    """
    panels = pairing.panels_of(pairs)
    names = ("Network output", "Derived score")
    figure, axes, unit_area, highest = draw_square(panels, names, "%")
    for ax, key, panel in zip(axes, pairs, panels, strict=True):
        if not panel.n:
            continue
        line = measures.regression_line(panel.reference, panel.answer)
        value = line.r**2 if r2 is None else r2[key]
        if np.isfinite(line.slope):
            ends = np.array([panel.reference.min(), panel.reference.max()])
            ax.plot(
                ends, line.slope * ends + line.intercept, color=style.INK, linewidth=1.2, zorder=4, gid="regression"
            )
        text = f"R² = {style.number(value)}" if np.isfinite(value) else "R² not defined"
        if thresholds is not None and key in thresholds:
            text += f"\nt = {style.number(thresholds[key])}"
        ax.text(0.04, 0.96, text, transform=ax.transAxes, va="top", fontsize=style.SMALL_PT, gid="r2")
    lines = [
        legends.line_entry("regression", linewidth=1.2),
        legends.line_entry("identity", style.GREY, style.IDENTITY_LINE, 0.7),
    ]
    legends.finish_squares(figure, axes, lines, legends.circle_entries(unit_area, highest, what))
    return figure


_LINES = ("-", (0, (3, 1)), (0, (1.2, 0.8)))
_MARKERS = ("o", "s", "^")


@style.styled
def threshold_curve(
    thresholds: Sequence[float],
    errors: Mapping[Pattern | str, Sequence[float]],
    *,
    chosen: Mapping[Pattern | str, float] | None = None,
    n: int | None = None,
    what: str = "slices",
) -> Figure:
    """Mean absolute error between derived and network score over the threshold; the chosen threshold is marked.

    Args:
        thresholds: ``(m,)`` percentage points. errors: by pattern or title, ``(m,)`` percentage points.
        chosen: the thresholds to mark; that of the smallest error when None.
        n, what: how many of what the curve was measured on.

    Returns:
        One column wide.

    Raises:
        ValueError: nothing given, or lengths that differ.
    """
    tried = np.asarray(thresholds, float)
    if not errors or not tried.size:
        raise ValueError("no curve to draw")
    figure = style.new_figure(style.SINGLE_MM, 62)
    axes = figure.subplots()
    entries = []
    for place, (key, values) in enumerate(errors.items()):
        curve = np.asarray(values, float)
        if curve.shape != tried.shape:
            raise ValueError(f"one error for each threshold is needed, not {curve.shape} for {tried.shape}")
        colour = style.colour_of(key) if style.as_pattern(key) else style.RATER_COLOURS[place % 6]
        ls, marker = _LINES[place % len(_LINES)], _MARKERS[place % len(_MARKERS)]
        axes.plot(tried, curve, color=colour, ls=ls, linewidth=1.2, label=style.name_of(key))
        best = float(tried[np.nanargmin(curve)]) if chosen is None else float(chosen[key])
        error = float(np.interp(best, tried, curve))
        axes.plot(
            best, error, marker=marker, ms=4.5, color=colour, markeredgecolor="white", gid="chosen", clip_on=False
        )
        label = f"{style.name_of(key)}: t = {style.number(best)}, MAE {style.number(error)}"
        entry, _ = legends.line_entry(label, colour, ls, 1.2)
        entry.set(marker=marker, markersize=4)
        entries.append((entry, label))
    everything = np.concatenate([np.asarray(v, float) for v in errors.values()])
    axes.set_xlim(*style.span_of(tried, margin=0.02, at_least=0.1))
    axes.set_ylim(0, style.span_of(everything, at_least=1.0)[1])
    axes.set_xlabel("Threshold t (percentage points)")
    axes.set_ylabel("MAE (percentage points)")
    axes.set_title("Derived against network score" + ("" if n is None else f" ({style.count_text(n)} {what})"))
    legends.outside_legend(figure, *([entry] for entry in entries), stacked=True)
    return figure
