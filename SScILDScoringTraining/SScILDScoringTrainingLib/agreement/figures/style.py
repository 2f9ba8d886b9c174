"""The common look of the figures: sizes, fonts, colours, and writing the files.

Figures are drawn with matplotlib's objects on an Agg canvas of their own. Nothing here imports pyplot, chooses a
backend or leaves a setting changed: :func:`styled` lends a figure function our settings and gives the user's back.

Sizes are those in print: :data:`SINGLE_MM` for one column, :data:`DOUBLE_MM` for two; no letter is smaller than
:data:`SMALL_PT`. The file is exactly as large as the figure, so that a journal need not scale it.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
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

COUNT_COLOURS = ("#eef3f8", "#9fc3de", "#3f83b8", "#0b3c6b")
"""Few to many."""


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


# ---- names, colours and texts ----------------------------------------------------------------------------------------


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


def group_look(number: int) -> tuple[str, str]:
    """Colour and marker of a group of pairs, by its number from 1 (a level's)."""
    return LEVEL_COLOURS[(number - 1) % len(LEVEL_COLOURS)], LEVEL_MARKERS[(number - 1) % len(LEVEL_MARKERS)]


def with_alpha(colour: str, alpha: float) -> tuple[float, ...]:
    """A colour as red, green, blue, alpha, each 0..1; ``alpha`` is its opacity."""
    from matplotlib.colors import to_rgba

    return to_rgba(colour, alpha)


def wrapped(text: str, characters: int = 38) -> str:
    """A label in lines of at most so many characters: names of raters may be long."""
    return textwrap.fill(text, characters)


def ink_on(colour: object) -> str:
    """White or :data:`INK`, whichever contrasts more with a background (relative luminance of WCAG 2)."""
    from matplotlib.colors import to_rgb

    def luminance(of: object) -> float:
        rgb = np.array(to_rgb(of))
        return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))

    ground = luminance(colour) + 0.05
    return "white" if 1.05 / ground > ground / (luminance(INK) + 0.05) else INK


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
