"""Confusion matrices: scores on the 5 % grid, and stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.scores import Pattern, rounded

from .. import measures
from . import pairing, style
from .pairing import Pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def score_matrix(reference: Sequence[float], answer: Sequence[float]) -> np.ndarray:
    """How often the reference gave category i (row) and the rater j (column), ``(21, 21)`` int; NaN is left out."""
    both = np.array([np.asarray(reference, float).ravel(), np.asarray(answer, float).ravel()])
    places = rounded(both[:, np.isfinite(both).all(axis=0)]).astype(int) // 5
    matrix = np.zeros((len(measures.CATEGORIES),) * 2, int)
    np.add.at(matrix, tuple(places), 1)
    return matrix


@style.styled
def score_confusion(
    pairs: Mapping[Pattern | str, Pairs],
    *,
    names: tuple[str, str] = ("reference", "rater"),
    what: str = "slices",
) -> Figure:
    """Counts over the 21 categories 0, 5, ..., 100 %; one panel a pattern.

    The colour scale is logarithmic, because half of the scores are 0; what does not occur stays white. A single
    pattern is drawn two columns wide with the counts written into the cells.

    Args:
        pairs: by pattern or title: reference and rater in percent, ``(n,)`` each; NaN where missing.
        names: of reference and rater. what: what is counted, in the plural.
    """
    panels = pairing.panels_of(pairs)
    matrices = [score_matrix(p.reference, p.answer) for p in panels]
    figure = style.new_figure(style.DOUBLE_MM, 162 if len(panels) == 1 else 60)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    highest = max(int(m.max()) for m in matrices)
    image = None
    for ax, panel, matrix in zip(axes, panels, matrices, strict=True):
        image = _draw_counts(ax, matrix, max(highest, 1), logarithmic=True, numbers=len(panels) == 1)
        labels = measures.CATEGORIES if len(panels) == 1 else measures.CATEGORIES[::4]
        places = [measures.CATEGORIES.index(c) for c in labels]
        ax.set_xticks(places, labels)
        ax.set_yticks(places, labels)
        ax.set(title=panel.title, xlabel=style.wrapped(f"{names[1]} (%)"))
        if not panel.n:
            style.nothing_to_draw(ax)
    axes[0].set_ylabel(style.wrapped(f"{names[0]} (%)"))
    _count_bar(figure, image, list(axes), highest, what)
    return figure


@style.styled
def stage_confusion(
    matrix: Sequence[Sequence[int]],
    labels: Sequence[str] = ("limited", "indeterminate", "extensive"),
    *,
    names: tuple[str, str] = ("reference", "rater"),
    title: str = "Goh stage",
    what: str = "patients",
) -> Figure:
    """Counts of a few categories with the numbers in the cells, one column wide.

    Args:
        matrix: ``(k, k)``: rows the reference, columns the rater; see :class:`..goh.StageAgreement`.
        labels: of the k categories. names: of reference and rater. title, what: for the headline and its n.
    """
    counts = np.asarray(matrix, int)
    if counts.shape != (len(labels), len(labels)):
        raise ValueError(f"a matrix of {len(labels)} x {len(labels)} counts is needed, not {counts.shape}")
    figure = style.new_figure(style.SINGLE_MM, 82)
    axes = figure.subplots()
    _draw_counts(axes, counts, max(int(counts.max()), 1), logarithmic=False, numbers=True, zeros=True)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels, rotation=90, va="center")
    axes.set(
        title=f"{title} ({what}, {style.count_text(int(counts.sum()))})",
        xlabel=style.wrapped(names[1]),
        ylabel=style.wrapped(names[0]),
    )
    return figure


def _draw_counts(axes: Axes, counts: np.ndarray, highest: int, logarithmic: bool, numbers: bool, zeros: bool = False):
    """An image of counts, the reference upwards, with the diagonal framed; returns the image."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
    from matplotlib.patches import Rectangle

    colours = LinearSegmentedColormap.from_list("counts", style.COUNT_COLOURS, bad="white")
    norm = LogNorm(0.8, max(highest, 2)) if logarithmic else Normalize(0, highest)
    shown = np.ma.masked_equal(counts, 0) if logarithmic else counts
    image = axes.imshow(shown, cmap=colours, norm=norm, origin="lower", interpolation="nearest", aspect="auto")
    size = len(counts)
    for n in range(size):
        axes.add_patch(Rectangle((n - 0.5, n - 0.5), 1, 1, fill=False, edgecolor=style.GREY, linewidth=0.4, zorder=3))
    if numbers:
        for row, column in zip(*np.nonzero(counts >= (0 if zeros else 1)), strict=True):
            count = int(counts[row, column])
            axes.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                fontsize=style.SMALL_PT if size > 5 else style.BASE_PT + 1,
                color=style.ink_on(colours(norm(count)) if count else "white"),
                gid="count",
            )
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    return image


def _count_bar(figure: Figure, image, axes: list[Axes], highest: int, what: str) -> None:
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01, aspect=30)
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if t <= max(highest, 2)]
    bar.set_ticks(ticks, labels=[str(t) for t in ticks])
    bar.ax.minorticks_off()
    bar.outline.set_linewidth(0.4)
    bar.set_label(f"{what.capitalize()} (logarithmic)", fontsize=style.BASE_PT)
