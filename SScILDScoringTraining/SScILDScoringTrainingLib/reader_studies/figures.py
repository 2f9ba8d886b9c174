"""Reading times as figures: per reader and session, and over the course of a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..agreement.figures import legends, style
from .times import ReadingTimes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WINDOW = 5
"""Cases whose median makes one point of the curve."""

_DASHES = ("-", (0, (3, 1.2)), (0, (1, 1)))
"""Of the sessions."""


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
    for place, (one, look) in enumerate(zip(times, looks(times), strict=True)):
        minutes = one.seconds / 60
        _draw_box(left, place, minutes, look)
        _draw_course(right, minutes, look)
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


class Look(NamedTuple):
    """How one reader's session is drawn: a colour for the reader, a marker for both, dashes for the session."""

    colour: str
    marker: str
    dashes: str | tuple


def looks(times: Sequence[ReadingTimes]) -> list[Look]:
    """One look for each."""
    readers = list(dict.fromkeys(one.reader for one in times))
    return [
        Look(
            style.RATER_COLOURS[readers.index(one.reader) % len(style.RATER_COLOURS)],
            style.RATER_MARKERS[place % len(style.RATER_MARKERS)],
            _DASHES[(one.session - 1) % len(_DASHES)],
        )
        for place, one in enumerate(times)
    ]


def _draw_box(axes: Axes, place: float, minutes: np.ndarray, look: Look) -> None:
    # Points in fixed places across the box, so that the same times give the same picture.
    shift = 0.16 * np.sin(2.4 * np.arange(len(minutes)))
    axes.plot(place + shift, minutes, ls="", marker=look.marker, ms=2.2, color=_pale(look), markeredgewidth=0)
    line = {"color": look.colour, "linestyle": look.dashes}
    parts = {f"{part}props": line for part in ("box", "whisker")}
    axes.boxplot(
        [minutes],
        positions=[place],
        widths=0.6,
        showfliers=False,
        **parts,
        capprops={"color": look.colour},
        medianprops={"color": look.colour, "linewidth": 1.4},
        manage_ticks=False,
    )


def _draw_course(axes: Axes, minutes: np.ndarray, look: Look) -> None:
    numbers = np.arange(1, len(minutes) + 1)
    axes.plot(numbers, minutes, ls="", marker=look.marker, ms=2.4, color=_pale(look), markeredgewidth=0, zorder=2)
    if len(minutes) >= _WINDOW:
        windows = np.lib.stride_tricks.sliding_window_view(minutes, _WINDOW)
        middle = numbers[_WINDOW // 2 : -(_WINDOW // 2)]
        axes.plot(middle, np.median(windows, axis=1), color=look.colour, ls=look.dashes, linewidth=1.1, zorder=3)


def _pale(look: Look) -> tuple[float, ...]:
    return style.with_alpha(look.colour, 0.4)


def _entries(times: Sequence[ReadingTimes]) -> list[legends.Entry]:
    from matplotlib.lines import Line2D

    entries: list[legends.Entry] = []
    for one, look in zip(times, looks(times), strict=True):
        line = {"color": look.colour, "ls": look.dashes, "marker": look.marker, "ms": 3, "markeredgewidth": 0}
        entries.append((Line2D([], [], **line), one.rater))
    if any(one.n >= _WINDOW for one in times):
        entries.append((Line2D([], [], color=style.GREY), f"running median of {_WINDOW} cases"))
    return entries
