"""The figures of the published evaluation and of reader studies: data in, a matplotlib Figure out.

Every figure is one function; :func:`save` writes it and :func:`draw_all` makes the set of one comparison. Figures are
85 mm (one column) or 175 mm (two columns) wide. matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from .architectures import Architecture, architectures
from .bland_altman import bland_altman
from .box_plots import box_plots
from .confusion import score_confusion, score_matrix, stage_confusion
from .correlation import correlation
from .distributions import category_shares, distributions
from .forest import ForestRow, forest, rows_of
from .heat_map_scores import derived_scores, threshold_curve
from .likert import likert_bars, likert_pies
from .scatter import score_scatter
from .sets import draw_all
from .style import save

__all__ = [
    "Architecture",
    "ForestRow",
    "architectures",
    "bland_altman",
    "box_plots",
    "category_shares",
    "correlation",
    "derived_scores",
    "distributions",
    "draw_all",
    "forest",
    "likert_bars",
    "likert_pies",
    "rows_of",
    "save",
    "score_confusion",
    "score_matrix",
    "score_scatter",
    "stage_confusion",
    "threshold_curve",
]
