"""Pictures of a cohort: how its scores are distributed, and where its levels lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.levels import Level
from SScILDScoringLib.scores import PATTERNS

from ..agreement.figures import style
from ..agreement.figures.distributions import distributions
from .checking import CohortCheck
from .rows import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FAR = 3.0
"""Interquartile ranges beyond the quartiles from which on a level's row is named in the picture."""
_FEWEST, _NAMED = 8, 6
"""Cases that it takes to call one far from the others; at most so many are named."""


def write_figures(check: CohortCheck, folder: str | Path) -> list[Path]:
    """Writes ``scores.png`` and ``levels.png`` (and PDF) into ``folder``, as far as there is something to draw.

    Raises:
        SettingsError: a file cannot be written.
    """
    folder, written = Path(folder), []
    if len(check.scores()):
        written += style.save(score_distribution(check), folder / "scores")
    if any(row.number in check.facts for row in check.cohort):
        written += style.save(level_positions(check), folder / "levels")
    return written


def score_distribution(check: CohortCheck) -> Figure:
    """How often each score was given: bars for the whole cohort, markers for its splits where it has several."""
    series = {"cohort": check.scores()}
    for split in SPLITS:
        of_split = [s for row in check.cohort.of_split(split) for s in row.scores or () if s is not None]
        if 0 < len(of_split) < len(series["cohort"]):
            series[split] = np.array(of_split)
    scores = {p: {name: values[:, n] for name, values in series.items()} for n, p in enumerate(PATTERNS)}
    return distributions(scores, what="scored slices")


@style.styled
def level_positions(check: CohortCheck) -> Figure:
    """Where the levels lie: below level 1 in millimetres, and in the scan's height in percent.

    A circle is a case, a box the quartiles and the median. What lies far from the others is named by its row in the
    table: often a mistake.
    """
    rows = [row for row in check.cohort if row.number in check.facts]
    mm = np.array([row.mm for row in rows])
    facts = [check.facts[row.number] for row in rows]
    bottom = np.array([f.low_mm - f.step_mm / 2 for f in facts])[:, None]
    height = np.array([f.slices * f.step_mm for f in facts])[:, None]
    numbers = [row.number for row in rows]
    figure = style.new_figure(style.DOUBLE_MM, 62)
    below, share = figure.subplots(1, 2, sharey=True)
    _draw(below, mm[:, :1] - mm, numbers, first=1)
    below.set_xlabel("Distance below level 1 (mm)")
    below.set_title("Between the levels")
    _draw(share, 100 * (mm - bottom) / height, numbers)
    share.set_xlabel("Position in the scan (% of its height, 0 = lowest slice)")
    share.set_title("Within the scan")
    share.set_xlim(min(0, share.get_xlim()[0]), max(100, share.get_xlim()[1]))
    for edge in (0, 100):
        share.axvline(edge, color=style.GREY, linewidth=0.6, zorder=0)
    below.set_yticks(range(5), [level.name for level in Level])
    below.set_ylim(4.6, -0.6)
    figure.supylabel(f"Level ({style.count_text(len(rows))} cases)", fontsize=style.BASE_PT)
    return figure


def _draw(axes: Axes, values: np.ndarray, numbers: list[int], first: int = 0) -> None:
    """Strips of ``values (cases, 5)``, from level ``first`` on; far ones are named once, where they are farthest."""
    rng = np.random.default_rng(0)  # jitter only
    far = np.zeros(values.shape)
    places = np.arange(5) + (rng.uniform(-0.22, 0.22, values.shape) if len(values) > 1 else np.zeros(values.shape))
    for n in range(first, 5):
        column = values[:, n]
        axes.plot(column, places[:, n], "o", ms=2.2, color=style.LEVEL_COLOURS[n], alpha=0.75, markeredgewidth=0)
        low, middle, high = np.percentile(column, [25, 50, 75])
        axes.plot([low, high], [n + 0.34] * 2, color=style.INK, linewidth=1.2, solid_capstyle="butt")
        axes.plot([middle], [n + 0.34], "|", ms=5, color=style.INK)
        far[:, n] = np.maximum(low - column, column - high) / max(high - low, 1e-9)
    if len(values) < _FEWEST:
        return
    named = [int(i) for i in np.argsort(-far.max(axis=1), kind="stable")[:_NAMED] if far[i].max() > _FAR]
    for i in named:
        n = int(far[i].argmax())
        place = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "fontsize": style.SMALL_PT}
        axes.annotate(f"row {numbers[i]}", (values[i, n], places[i, n]), annotation_clip=False, **place)
