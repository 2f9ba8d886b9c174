"""The common look of the figures: sizes, fonts, colours, panels, circles by multiplicity, and writing the files.

Figures are drawn with matplotlib's objects on an Agg canvas of their own. Nothing here imports pyplot, chooses a
backend or leaves a setting changed: :func:`styled` lends a figure function our settings and gives the user's back.

Sizes are those in print: :data:`SINGLE_MM` for one column, :data:`DOUBLE_MM` for two; no letter is smaller than
:data:`SMALL_PT`. The file is exactly as large as the figure, so that a journal need not scale it.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from SScILDScoringLib.files import replacing
from SScILDScoringLib.report.colours import PATTERN_COLOURS
from SScILDScoringLib.scores import PATTERNS, Pattern

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SINGLE_MM, DOUBLE_MM = 85.0, 175.0
"""Widths of one and of two columns in millimetres."""

BASE_PT, SMALL_PT = 7.0, 6.0
"""Letter heights in points: labels and titles; ticks, legends and annotations."""

DPI = 300
"""Of PNG files."""

INK, GREY, PALE = "#222222", "#767676", "#d9d9d9"
"""Text and data without a pattern; helper lines; grids and cell borders."""

RATER_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
RATER_MARKERS = ("o", "s", "^", "D", "v", "P")
"""Raters differ in colour (Okabe and Ito 2008: distinct without red-green vision) and in marker."""

LEVEL_COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#d9b40b")
LEVEL_MARKERS = RATER_MARKERS
"""L1 to L5 from dark to light (viridis, its yellow darkened for white paper)."""

GRID_LIMITS = (-6.0, 106.0)
"""Axis limits of scores in percent; the margin keeps the circles at 0 and 100 whole."""

IDENTITY_LINE = (0, (2, 2))
"""Dots of the line of identity."""

LARGEST_CIRCLE_PT, LARGEST_SINGLE_PT = 19.0, 2.4
"""Diameters in points: of the circle with the highest multiplicity, and at most of a circle that stands for one."""

COUNT_COLOURS = ("#eef3f8", "#9fc3de", "#3f83b8", "#0b3c6b")
"""Few to many."""

Pairs = tuple[Sequence[float], Sequence[float]]
"""Reference and rater, equally long; NaN where one has no answer."""


# ---- settings --------------------------------------------------------------------------------------------------------


def look() -> AbstractContextManager:
    """A context in which matplotlib has its defaults and our settings; the user's come back at its end."""
    import matplotlib

    settings = {name: value for name, value in matplotlib.rcParamsDefault.items() if "backend" not in name}
    return matplotlib.rc_context(settings | _settings())


@functools.cache
def _fonts() -> tuple[str, ...]:
    """The sans serif fonts that are here; Arial and Liberation Sans have the same widths, DejaVu is always there."""
    from matplotlib.font_manager import fontManager

    here = set(fontManager.get_font_names())
    return (*(name for name in ("Arial", "Liberation Sans") if name in here), "DejaVu Sans")


def _settings() -> dict[str, Any]:
    return {
        "font.family": "sans-serif",
        "font.sans-serif": list(_fonts()),
        "font.size": BASE_PT,
        "axes.titlesize": BASE_PT,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 4,
        "axes.labelsize": BASE_PT,
        "axes.labelpad": 2.5,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.labelsize": SMALL_PT,
        "ytick.labelsize": SMALL_PT,
        "xtick.color": INK,
        "ytick.color": INK,
        **{f"{axis}tick.major.{what}": value for axis in "xy" for what, value in (("size", 2.5), ("width", 0.6))},
        **{f"{axis}tick.major.pad": 2 for axis in "xy"},
        "text.color": INK,
        "text.parse_math": False,  # a rater may be called $A$
        "legend.fontsize": SMALL_PT,
        "legend.title_fontsize": SMALL_PT,
        "legend.frameon": False,
        "legend.borderaxespad": 0.2,
        "legend.handletextpad": 0.5,
        "legend.columnspacing": 1.2,
        "legend.handlelength": 1.6,
        "lines.linewidth": 1.0,
        "patch.linewidth": 0.5,
        "hatch.linewidth": 0.4,
        "savefig.dpi": DPI,
        "savefig.facecolor": "white",
        "pdf.fonttype": 42,  # letters stay letters: editable and searchable
        "svg.fonttype": "path",  # looks the same where the font is absent
        "svg.hashsalt": "sscild",
    }


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Makes a figure function draw under :func:`look`."""

    @functools.wraps(draw)
    def drawn(*arguments: Any, **options: Any) -> Figure:
        with look():
            return draw(*arguments, **options)

    return drawn


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """An empty figure of that size with its own Agg canvas; its panels are laid out without overlap."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.03)
    return figure


def save(figure: Figure, path_without_ending: str | Path, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Writes a figure, each file whole or not at all; the same figure gives the same bytes (no time in the files).

    Args:
        path_without_ending: folder and name; folders are made as needed.
        formats: endings: ``png``, ``pdf``, ``svg``.

    Returns:
        The files.

    Raises:
        SettingsError: a file cannot be written.
    """
    base = Path(path_without_ending)
    # What would differ between two days or two versions of matplotlib.
    metadata = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": {"Date": None, "Creator": None},
    }
    written = []
    with look(), _laid_out(figure):
        for ending in formats:
            path = base.with_name(f"{base.name}.{ending}")
            with replacing(path) as temporary:
                figure.savefig(temporary, format=ending, metadata=metadata[ending])
            written.append(path)
    return written


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Lays the figure out once and holds that, so that all formats are alike (and the second is written faster)."""
    engine = figure.get_layout_engine()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


# ---- data that goes into panels --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """The pairs of one panel, without those that lack an answer.

    Args:
        name: the panel's title. colour: of its marks.
        reference: ``(n,)`` float. answer: ``(n,)`` float.
        groups: ``(n,)`` numbers of the groups the pairs belong to, or None.
        missing: how many pairs were left out because one of the two is NaN.
    """

    name: str
    colour: str
    reference: np.ndarray
    answer: np.ndarray
    groups: np.ndarray | None = None
    missing: int = 0

    @property
    def n(self) -> int:
        """How many pairs are drawn."""
        return len(self.reference)

    @property
    def title(self) -> str:
        """Name, n, and what is missing: ``TOT (n = 1147, 3 missing)``."""
        return f"{self.name} ({count_text(self.n, self.missing)})"


def count_text(n: int, missing: int = 0) -> str:
    """``n = 1147, 3 missing``."""
    return f"n = {n}" + (f", {missing} missing" if missing else "")


def name_of(key: Pattern | str) -> str:
    """``TOT`` for a pattern, a text itself."""
    return key.name if isinstance(key, Pattern) else str(key)


def colour_of(key: Pattern | str) -> str:
    """The colour of a pattern, also given as ``tot`` or ``TOT``; :data:`INK` for anything else."""
    return PATTERN_COLOURS.get(as_pattern(key), INK)


def as_pattern(key: Pattern | str) -> Pattern | None:
    """The pattern that a key names, or None."""
    if isinstance(key, Pattern):
        return key
    return next((p for p in PATTERNS if p.value == str(key).lower()), None)


def panels_of(
    pairs: Mapping[Pattern | str, Pairs], groups: Mapping[Pattern | str, Sequence[int]] | None = None
) -> list[Panel]:
    """One panel for each series of pairs.

    Args:
        pairs: by pattern or title: reference and rater, ``(n,)`` each.
        groups: by the same keys: the group's number of each pair, ``(n,)``.

    Raises:
        ValueError: no series, or lengths that differ.
    """
    if not pairs:
        raise ValueError("no pairs to draw")
    panels = []
    for key, (reference, answer) in pairs.items():
        both = np.array([np.asarray(reference, float).ravel(), np.asarray(answer, float).ravel()])
        there = np.isfinite(both).all(axis=0)
        group = None if groups is None else np.asarray(groups[key])[there]
        panels.append(Panel(name_of(key), colour_of(key), *both[:, there], group, int((~there).sum())))
    return panels


# ---- marks -----------------------------------------------------------------------------------------------------------


def multiplicities(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different points ``(m, 2)`` and how often each occurs ``(m,)``."""
    points = np.column_stack([x, y])
    if not len(points):
        return points.reshape(0, 2), np.zeros(0, int)
    return np.unique(np.round(points, 6), axis=0, return_counts=True)


def circle_unit(highest: int) -> float:
    """Squared diameter in points (matplotlib's ``s``) of a circle that stands for one, by the highest multiplicity."""
    return min(LARGEST_SINGLE_PT**2, LARGEST_CIRCLE_PT**2 / max(highest, 1))


def draw_circles(axes: Axes, x: np.ndarray, y: np.ndarray, unit: float, colour: str, marker: str = "o") -> None:
    """Draws points as circles whose area is ``unit`` times their multiplicity."""
    points, counts = multiplicities(x, y)
    order = np.argsort(-counts, kind="stable")  # the small ones on top
    axes.scatter(
        *points[order].T,
        s=unit * counts[order],
        marker=marker,
        facecolor=with_alpha(colour, 0.35),
        edgecolor=with_alpha(colour, 0.9),
        linewidth=0.5,
        clip_on=False,
        zorder=3,
    )


def with_alpha(colour: str, alpha: float) -> tuple[float, ...]:
    from matplotlib.colors import to_rgba

    return to_rgba(colour, alpha)


def draw_panel_circles(axes: Axes, x: np.ndarray, y: np.ndarray, unit: float, panel: Panel) -> None:
    """The pairs of a panel as circles, group by group when it has groups."""
    if panel.groups is None:
        draw_circles(axes, x, y, unit, panel.colour)
        return
    for place, group in enumerate(np.unique(panel.groups)):
        own = panel.groups == group
        colour, marker = LEVEL_COLOURS[place % len(LEVEL_COLOURS)], LEVEL_MARKERS[place % len(LEVEL_MARKERS)]
        draw_circles(axes, x[own], y[own], unit, colour, marker)


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
    return [(_mark(GREY, "o", unit * c), label) for c, label in zip(counts, labels, strict=True)]


def group_entries(names: Sequence[str]) -> list[Entry]:
    """Explains the groups of :func:`draw_panel_circles`."""
    return [
        (_mark(LEVEL_COLOURS[n % len(LEVEL_COLOURS)], LEVEL_MARKERS[n % len(LEVEL_MARKERS)], 9.0), name)
        for n, name in enumerate(names)
    ]


def line_entry(label: str, colour: str = INK, ls: Any = "-", linewidth: float = 0.8) -> Entry:
    """Explains a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, ls=ls, linewidth=linewidth), label


def _mark(colour: str, marker: str, size: float) -> Any:
    from matplotlib.lines import Line2D

    face, edge = with_alpha(colour, 0.35), with_alpha(colour, 0.9)
    return Line2D(
        [], [], ls="", marker=marker, ms=size**0.5, markerfacecolor=face, markeredgecolor=edge, markeredgewidth=0.4
    )


_LEGEND_GAP_PT, _LEGEND_HANDLE_PT, _LEGEND_LINE_PT = 8.0, 14.0, 9.0  # between entries; a handle; a row


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


def _row_height(row: Sequence[Entry]) -> float:
    sizes = [handle.get_markersize() + 2 for handle, _ in row if hasattr(handle, "get_markersize")]
    return max([_LEGEND_LINE_PT, *sizes])


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
            handlelength=_LEGEND_HANDLE_PT / SMALL_PT,
            handletextpad=0.5,
            columnspacing=_LEGEND_GAP_PT / SMALL_PT,
        ).set_in_layout(False)
        bottom += tall
    return bottom + 1.0 if rows else 0.0


def _legend_rows(figure: Figure, groups: Sequence[Sequence[Entry]]) -> list[list[Entry]]:
    """The entries in rows as wide as the figure at most."""
    room = figure.get_size_inches()[0] * 72 - 10
    rows: list[list[Entry]] = []
    left = 0.0
    for group in groups:
        widths = [_LEGEND_HANDLE_PT + 0.5 * SMALL_PT + text_width(figure, label) + _LEGEND_GAP_PT for _, label in group]
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


def text_width(figure: Figure, text: str, size: float = SMALL_PT) -> float:
    """Width of a text in points."""
    from matplotlib.font_manager import FontProperties

    width, _, _ = figure.canvas.get_renderer().get_text_width_height_descent(text, FontProperties(size=size), False)
    return width * 72 / figure.dpi


def wrapped(text: str, characters: int = 38) -> str:
    """A label in lines of at most so many characters: names of raters may be long."""
    return textwrap.fill(text, characters)


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, minus as a minus: ``+1.5``, ``−0.3``; ``0.0`` without."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def number(value: float, digits: int = 2) -> str:
    """A number with a true minus; ``–`` when it is not defined."""
    return f"{value:.{digits}f}".replace("-", "−") if np.isfinite(value) else "–"


def span_of(*values: np.ndarray, margin: float = 0.05, at_least: float = 1.0) -> tuple[float, float]:
    """Axis limits that hold all values with a margin, also when they are all the same or none."""
    together = np.concatenate([np.asarray(v, float).ravel() for v in values]) if values else np.zeros(0)
    together = together[np.isfinite(together)]
    if not len(together):
        return -at_least, at_least
    low, high = float(together.min()), float(together.max())
    more = max((high - low) * margin, (at_least - (high - low)) / 2, 0.0)
    return low - more, high + more


def nothing_to_draw(axes: Axes, reason: str = "no pairs") -> None:
    """Says in an empty panel why it is empty."""
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", fontsize=SMALL_PT, color=GREY)
