"""Legends below the panels, in rows as wide as the figure at most, and the layout of square panels above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Entry = tuple[Any, str]
"""A handle and its label in a legend."""


def circle_entries(unit: float, highest: int, what: str) -> list[Entry]:
    """Explains the circles: 1, 10, 100 ... up to the highest multiplicity; none when all are single.

    Args:
        what: what is counted, in the plural: ``slices``.
    """
    if highest < 2:
        return []
    counts = [c for c in (1, 10, 100, 1000) if c <= highest]
    counts = counts if len(counts) > 1 else [1, highest]
    labels = [str(c) for c in counts]
    labels[-1] += f" {what} (area)"
    return [(_mark(style.GREY, "o", unit * c), label) for c, label in zip(counts, labels, strict=True)]


def group_entries(names: Mapping[int, str]) -> list[Entry]:
    """Explains the groups of :func:`.pairing.draw_panel_circles`, by their numbers."""
    return [(_mark(*style.group_look(number), 9.0), name) for number, name in names.items()]


def line_entry(label: str, colour: str = style.INK, ls: Any = "-", linewidth: float = 0.8) -> Entry:
    """Explains a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, ls=ls, linewidth=linewidth), label


def _mark(colour: str, marker: str, size: float) -> Any:
    from matplotlib.lines import Line2D

    face, edge = style.with_alpha(colour, 0.35), style.with_alpha(colour, 0.9)
    return Line2D(
        [], [], ls="", marker=marker, ms=size**0.5, markerfacecolor=face, markeredgecolor=edge, markeredgewidth=0.4
    )


_GAP_PT, _HANDLE_PT, _LINE_PT = 8.0, 14.0, 9.0  # between entries; a handle; a row


def outside_legend(figure: Figure, *groups: Sequence[Entry], stacked: bool = False) -> None:
    """A legend below the panels, which move up for it; a group of entries stays in one row where it has room.

    Args:
        groups: entries that belong together. stacked: every group has a row of its own.
    """
    rows = [list(group) for group in groups] if stacked else _legend_rows(figure, groups)
    share = _draw_legend(figure, rows) / (figure.get_size_inches()[1] * 72)
    figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))


def finish_squares(figure: Figure, axes: Sequence[Axes], *groups: Sequence[Entry]) -> None:
    """Lays out panels in a row that have to be square, with a legend below them; the figure gets the height they need.

    matplotlib's constrained layout leaves no room for the titles of panels of a fixed aspect, so it only finds the
    widths. The figure must be high enough for the width to decide.
    """
    figure.draw_without_rendering()
    points = 72 / figure.dpi
    width, height = (size * 72 for size in figure.get_size_inches())
    places = [ax.get_position() for ax in axes]
    extents = [ax.get_tightbbox() for ax in axes]
    below = max(place.y0 * height - extent.y0 * points for place, extent in zip(places, extents, strict=True))
    above = max(extent.y1 * points - place.y1 * height for place, extent in zip(places, extents, strict=True))
    side = places[0].width * width
    rows = _legend_rows(figure, groups)
    legend = sum(map(_row_height, rows)) + 3.0
    needed = legend + below + side + above + 2.0
    figure.set_layout_engine("none")
    figure.set_size_inches(width / 72, needed / 72)
    _draw_legend(figure, rows)
    for ax, place in zip(axes, places, strict=True):
        ax.set_position((place.x0, (legend + below) / needed, place.width, side / needed))


def _marker_sizes(row: Sequence[Entry]) -> list[float]:
    return [handle.get_markersize() for handle, _ in row if hasattr(handle, "get_markersize")]


def _row_height(row: Sequence[Entry]) -> float:
    return max([_LINE_PT, *(size + 2 for size in _marker_sizes(row))])


def _handle_width(row: Sequence[Entry]) -> float:
    return max([_HANDLE_PT, *_marker_sizes(row)])


def _draw_legend(figure: Figure, rows: Sequence[Sequence[Entry]]) -> float:
    """The rows at the foot of the figure; returns the height they take, in points."""
    height = figure.get_size_inches()[1] * 72
    bottom = 2.0
    for row in reversed(rows):
        tall = _row_height(row)
        figure.legend(
            *zip(*row, strict=True),
            loc="center",
            bbox_to_anchor=(0.5, (bottom + tall / 2) / height),
            ncols=len(row),
            borderpad=0,
            handlelength=_handle_width(row) / style.SMALL_PT,
            handletextpad=0.5,
            columnspacing=_GAP_PT / style.SMALL_PT,
        ).set_in_layout(False)
        bottom += tall
    return bottom + 1.0 if rows else 0.0


def _legend_rows(figure: Figure, groups: Sequence[Sequence[Entry]]) -> list[list[Entry]]:
    """The entries in rows as wide as the figure at most."""
    room = figure.get_size_inches()[0] * 72 - 10
    rows: list[list[Entry]] = []
    left = 0.0
    for group in groups:
        widths = [_handle_width(group) + 0.5 * style.SMALL_PT + text_width(figure, text) + _GAP_PT for _, text in group]
        if group and (not rows or sum(widths) > left):
            rows.append([])
            left = room
        for entry, width in zip(group, widths, strict=True):
            if rows[-1] and width > left:
                rows.append([])
                left = room
            rows[-1].append(entry)
            left -= width
    return rows


def text_width(figure: Figure, text: str, size: float = style.SMALL_PT) -> float:
    """Width of a text in points."""
    from matplotlib.font_manager import FontProperties

    width, _, _ = figure.canvas.get_renderer().get_text_width_height_descent(text, FontProperties(size=size), False)
    return width * 72 / figure.dpi
