"""All figures of one comparison, written into a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from SScILDScoringLib.levels import Level
from SScILDScoringLib.progress import Progress, silent
from SScILDScoringLib.scores import PATTERNS, Pattern

from ..goh import StageAgreement
from ..rows import Row
from ..tables import Aligned, ScoreTable
from .bland_altman import bland_altman
from .box_plots import Series, box_plots
from .confusion import score_confusion, stage_confusion
from .correlation import correlation
from .distributions import distributions
from .forest import MEASURE_NAMES, forest, rows_of
from .pairing import Pairs
from .scatter import score_scatter
from .style import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVEL_TITLE = "Levels"
POSITION = "position_mm"

Drawings = dict[str, Callable[[], "Figure"]]
"""File name without ending -> what draws it."""


def draw_all(
    aligned: Aligned | Sequence[Aligned],
    folder: str | Path,
    *,
    rows: Iterable[Row] = (),
    stages: Iterable[StageAgreement] = (),
    formats: Sequence[str] = ("png", "pdf"),
    progress: Progress = silent,
) -> list[Path]:
    """Draws the set of one comparison, or of several with the same reference.

    For each pair of raters: Bland-Altman, correlation and, for scores, scatter and confusion matrix (``tot`` also with
    its counts). For all together: box plots per level, the distribution of the scores and, when ``rows`` are given,
    the forest plots.

    Args:
        aligned: score tables or level tables; rows that one side lacks are stated as missing in the figures.
        folder: made as needed; files of the same names are replaced.
        rows: the numbers of the comparisons, for the forest plots. stages: for the confusion of Goh stages.
        formats: endings of the files. progress: called with stage ``figures`` before each figure.

    Returns:
        The files.

    Raises:
        SettingsError: a file cannot be written.
    """
    comparisons = [aligned] if isinstance(aligned, Aligned) else list(aligned)
    rows, stages = list(rows), list(stages)
    names = file_names(title for one in (*comparisons, *stages) for title in (one.first, one.second))
    drawings: Drawings = {}
    for one in comparisons:
        of_pair = _of_scores(one) if one.columns == ScoreTable.columns else _of_levels(one)
        end = f"{names[one.second]}_{names[one.first]}"
        drawings |= {f"{name}_{end}": draw for name, draw in of_pair.items()}
    drawings |= _together(comparisons, names) | _forests(rows)
    for stage in stages:
        draw = partial(stage_confusion, stage.matrix, names=(stage.first, stage.second))
        drawings[f"goh_stage_{names[stage.second]}_{names[stage.first]}"] = draw
    written = []
    for number, (name, draw) in enumerate(drawings.items()):
        progress("figures", number / len(drawings), name)
        written += save(draw(), Path(folder) / name, formats)
    progress("figures", 1.0, f"{len(drawings)} figures")
    return written


def score_pairs(aligned: Aligned) -> dict[Pattern, Pairs]:
    """Both raters' scores by pattern; rows that one of the two lacks are there as NaN, so that figures name them."""
    return {pattern: _with_missing(aligned, *aligned.of(pattern)) for pattern in PATTERNS}


def file_names(titles: Iterable[str]) -> dict[str, str]:
    """Titles as parts of file names, without what file systems dislike; different titles stay different."""
    names: dict[str, str] = {}
    for title in dict.fromkeys(titles):
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", title).strip("._") or "rater"
        taken = {name.lower() for name in names.values()}
        number = 2
        name = plain
        while name.lower() in taken:
            name, number = f"{plain}-{number}", number + 1
        names[title] = name
    return names


def _with_missing(aligned: Aligned, x: np.ndarray, y: np.ndarray) -> Pairs:
    lacking = np.full(len(aligned.only_first) + len(aligned.only_second), np.nan)
    return np.concatenate([x, lacking]), np.concatenate([y, lacking])


def _levels_with_missing(aligned: Aligned) -> np.ndarray:
    return np.array(
        [*aligned.level.tolist(), *(level for _, level in (*aligned.only_first, *aligned.only_second))], int
    )


def _of_scores(aligned: Aligned) -> Drawings:
    pairs, names = score_pairs(aligned), (aligned.first, aligned.second)
    return {
        "bland_altman": partial(bland_altman, pairs, names=names),
        "correlation": partial(correlation, pairs, names=names),
        "scatter": partial(score_scatter, pairs, names=names),
        "confusion": partial(score_confusion, pairs, names=names),
        "confusion_tot": partial(score_confusion, {Pattern.TOT: pairs[Pattern.TOT]}, names=names),
    }


def _of_levels(aligned: Aligned) -> Drawings:
    pairs = {LEVEL_TITLE: _with_missing(aligned, *aligned.of())}
    levels = _levels_with_missing(aligned)
    options = {
        "names": (aligned.first, aligned.second),
        "unit": "mm",
        "what": "levels",
        "groups": {LEVEL_TITLE: levels},
        "group_names": {int(level): level.name for level in Level if level in levels},
    }
    return {
        "bland_altman_levels": partial(bland_altman, pairs, **options),
        "correlation_levels": partial(correlation, pairs, **options),
    }


def _together(comparisons: Sequence[Aligned], names: Mapping[str, str]) -> Drawings:
    """The figures that show several raters: one set for each reference and kind of table."""
    drawings: Drawings = {}
    sets: dict[tuple, list[Aligned]] = {}
    for one in comparisons:
        sets.setdefault((one.first, one.columns), []).append(one)
    for (reference, columns), found in sets.items():
        end = names[reference]
        if columns == ScoreTable.columns:
            differences = {p: {one.second: _difference(one, score_pairs(one)[p]) for one in found} for p in PATTERNS}
            drawings[f"box_plots_{end}"] = partial(box_plots, differences, reference=reference)
            drawings[f"distributions_{end}"] = partial(distributions, _distribution(found))
        else:
            of = {LEVEL_TITLE: {one.second: _difference(one, _with_missing(one, *one.of())) for one in found}}
            options = {"reference": reference, "unit": "mm", "what": "levels"}
            drawings[f"box_plots_levels_{end}"] = partial(box_plots, of, **options)
    return drawings


def _difference(aligned: Aligned, pair: Pairs) -> Series:
    return np.asarray(pair[1]) - np.asarray(pair[0]), _levels_with_missing(aligned)


def _distribution(found: Sequence[Aligned]) -> dict[Pattern, Mapping[str, np.ndarray]]:
    """The reference's scores are those of the comparison with the most rows."""
    largest = max(found, key=len)
    return {
        pattern: {largest.first: largest.of(pattern)[0], **{one.second: one.of(pattern)[1] for one in found}}
        for pattern in PATTERNS
    }


def _forests(rows: Sequence[Row]) -> Drawings:
    """One forest plot for each kind of comparison, of scores and of level positions."""
    drawings: Drawings = {}
    for kind, levels in dict.fromkeys((row.kind, row.column == POSITION) for row in rows):
        chosen = [row for row in rows if (row.kind, row.column == POSITION) == (kind, levels)]
        found = rows_of(chosen, ("icc", "mae") if levels else ("kappa", "icc"))
        if found:
            names = MEASURE_NAMES | ({"mae": "MAE (mm)"} if levels else {})
            drawings[f"forest_levels_{kind}" if levels else f"forest_{kind}"] = partial(forest, found, names=names)
    return drawings
