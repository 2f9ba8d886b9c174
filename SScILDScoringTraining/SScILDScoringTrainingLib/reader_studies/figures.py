"""Reading times as figures: per reader and session, and over the course of a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..agreement.figures import legends, style
from .times import ReadingTimes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WINDOW = 5
"""Cases whose median makes one point of the curve."""


@style.styled
def reading_time_figure(times: Sequence[ReadingTimes]) -> Figure:
    """Left: minutes per case of every reader and session, as box and points. Right: over the order of reading.

    Returns:
        Two columns wide.

    Raises:
        ValueError: no times.
    """
    if not times:
        raise ValueError("no reading times to draw")
    figure = style.new_figure(style.DOUBLE_MM, 66)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1 + 0.25 * len(times), 3))
    for place, one in enumerate(times):
        colour = style.RATER_COLOURS[place % len(style.RATER_COLOURS)]
        marker = style.RATER_MARKERS[place % len(style.RATER_MARKERS)]
        minutes = one.seconds / 60
        _draw_box(left, place, minutes, colour)
        _draw_course(right, minutes, colour, marker)
    left.set_title("Per case")
    left.set_xticks(range(len(times)), [f"{style.wrapped(one.rater, 12)}\nn = {one.n}" for one in times])
    left.set_xlim(-0.6, len(times) - 0.4)
    left.set_ylabel("Active time (min)")
    left.set_ylim(bottom=0)
    right.set_title("In the order of reading")
    right.set_xlabel("Case of the session")
    right.set_xlim(0.2, max(one.n for one in times) + 0.8)
    right.xaxis.get_major_locator().set_params(integer=True)
    legends.outside_legend(figure, _entries(times))
    return figure


def _draw_box(axes: Axes, place: float, minutes: np.ndarray, colour: str) -> None:
    # Points beside the box in fixed places, so that the same times give the same picture.
    shift = 0.16 * np.sin(2.4 * np.arange(len(minutes)))
    axes.plot(place + shift, minutes, ls="", marker="o", ms=2, color=style.with_alpha(colour, 0.45), markeredgewidth=0)
    axes.boxplot(
        [minutes],
        positions=[place],
        widths=0.6,
        showfliers=False,
        boxprops={"color": colour},
        whiskerprops={"color": colour},
        capprops={"color": colour},
        medianprops={"color": colour, "linewidth": 1.4},
        manage_ticks=False,
    )


def _draw_course(axes: Axes, minutes: np.ndarray, colour: str, marker: str) -> None:
    numbers = np.arange(1, len(minutes) + 1)
    axes.plot(
        numbers, minutes, ls="", marker=marker, ms=2.6, color=style.with_alpha(colour, 0.4), markeredgewidth=0, zorder=2
    )
    if len(minutes) >= _WINDOW:
        windows = np.lib.stride_tricks.sliding_window_view(minutes, _WINDOW)
        axes.plot(numbers[_WINDOW // 2 : -(_WINDOW // 2)], np.median(windows, axis=1), color=colour, linewidth=1.1)


def _entries(times: Sequence[ReadingTimes]) -> list[legends.Entry]:
    from matplotlib.lines import Line2D

    entries: list[legends.Entry] = []
    for place, one in enumerate(times):
        colour = style.RATER_COLOURS[place % len(style.RATER_COLOURS)]
        marker = style.RATER_MARKERS[place % len(style.RATER_MARKERS)]
        entries.append((Line2D([], [], color=colour, marker=marker, ms=3, markeredgewidth=0), one.rater))
    if any(one.n >= _WINDOW for one in times):
        entries.append((Line2D([], [], color=style.GREY), f"median of {_WINDOW} cases"))
    return entries
