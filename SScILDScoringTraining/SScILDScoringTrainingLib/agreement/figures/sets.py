"""All figures of one comparison, written into a folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from SScILDScoringLib.levels import Level
from SScILDScoringLib.scores import PATTERNS, Pattern

from ..goh import StageAgreement
from ..rows import Row
from ..tables import Aligned, ScoreTable
from .bland_altman import bland_altman
from .box_plots import box_plots
from .confusion import score_confusion, stage_confusion
from .correlation import correlation
from .distributions import distributions
from .forest import MEASURE_NAMES, forest, rows_of
from .pairing import Pairs
from .scatter import score_scatter
from .style import save

LEVEL_TITLE = "Levels"


def draw_all(
    aligned: Aligned | Sequence[Aligned],
    folder: str | Path,
    *,
    rows: Iterable[Row] = (),
    stages: Iterable[StageAgreement] = (),
    formats: Sequence[str] = ("png", "pdf"),
) -> list[Path]:
    """Draws the set of one comparison, or of several with the same reference.

    For each pair of raters: Bland-Altman, correlation and, for scores, scatter and confusion matrix (``tot`` also with
    its counts). For all together: box plots per level, the distribution of the scores and, when ``rows`` are given,
    the forest plots.

    Args:
        aligned: score tables or level tables; rows that one side lacks are stated as missing in the figures.
        folder: made as needed; files of the same names are replaced.
        rows: the numbers of the comparisons, for the forest plots. stages: for the confusion of Goh stages.
        formats: endings of the files.

    Returns:
        The files.

    Raises:
        SettingsError: a file cannot be written.
    """
    folder = Path(folder)
    comparisons = [aligned] if isinstance(aligned, Aligned) else list(aligned)
    figures = {}
    for one in comparisons:
        end = f"_{_slug(one.second)}_{_slug(one.first)}"
        draw = _of_scores if one.columns == ScoreTable.columns else _of_levels
        figures |= {f"{name}{end}": figure for name, figure in draw(one).items()}
    figures |= _together(comparisons)
    rows = list(rows)
    for kind, levels in dict.fromkeys((row.kind, row.column == "position_mm") for row in rows):
        of_kind = [row for row in rows if (row.kind, row.column == "position_mm") == (kind, levels)]
        found = rows_of(of_kind, ("icc", "mae") if levels else ("kappa", "icc"))
        if found:
            names = MEASURE_NAMES | ({"mae": "MAE (mm)"} if levels else {})
            figures[f"forest_levels_{kind}" if levels else f"forest_{kind}"] = forest(found, names=names)
    for stage in stages:
        names = (stage.first, stage.second)
        name = f"goh_stage_{_slug(stage.second)}_{_slug(stage.first)}"
        figures[name] = stage_confusion(stage.matrix, names=names)
    written = []
    for name, figure in figures.items():
        written += save(figure, folder / name, formats)
    return written


def score_pairs(aligned: Aligned) -> dict[Pattern, Pairs]:
    """Both raters' scores by pattern; rows that one of the two lacks are there as NaN, so that figures name them."""
    return {pattern: _with_missing(aligned, *aligned.of(pattern)) for pattern in PATTERNS}


def _with_missing(aligned: Aligned, x: np.ndarray, y: np.ndarray) -> Pairs:
    lacking = np.full(len(aligned.only_first) + len(aligned.only_second), np.nan)
    return np.concatenate([x, lacking]), np.concatenate([y, lacking])


def _levels_with_missing(aligned: Aligned) -> np.ndarray:
    return np.array(
        [*aligned.level.tolist(), *(level for _, level in (*aligned.only_first, *aligned.only_second))], int
    )


def _of_scores(aligned: Aligned) -> dict:
    pairs, names = score_pairs(aligned), (aligned.first, aligned.second)
    return {
        "bland_altman": bland_altman(pairs, names=names),
        "correlation": correlation(pairs, names=names),
        "scatter": score_scatter(pairs, names=names),
        "confusion": score_confusion(pairs, names=names),
        "confusion_tot": score_confusion({Pattern.TOT: pairs[Pattern.TOT]}, names=names),
    }


def _of_levels(aligned: Aligned) -> dict:
    pairs = {LEVEL_TITLE: _with_missing(aligned, *aligned.of())}
    groups = {LEVEL_TITLE: _levels_with_missing(aligned)}
    options = {
        "names": (aligned.first, aligned.second),
        "unit": "mm",
        "what": "levels",
        "groups": groups,
        "group_names": {int(level): level.name for level in Level if level in groups[LEVEL_TITLE]},
    }
    return {"bland_altman_levels": bland_altman(pairs, **options), "correlation_levels": correlation(pairs, **options)}


def _together(comparisons: Sequence[Aligned]) -> dict:
    """The figures that show several raters: one set for each reference and kind of table."""
    figures = {}
    sets: dict[tuple, list[Aligned]] = {}
    for one in comparisons:
        sets.setdefault((one.first, one.columns), []).append(one)
    for (reference, columns), found in sets.items():
        end = _slug(reference)
        if columns == ScoreTable.columns:
            differences = {
                pattern: {one.second: _difference(one, score_pairs(one)[pattern]) for one in found}
                for pattern in PATTERNS
            }
            figures[f"box_plots_{end}"] = box_plots(differences, reference=reference)
            figures[f"distributions_{end}"] = distributions(_distribution(found))
        else:
            of = {one.second: _difference(one, _with_missing(one, *one.of())) for one in found}
            figures[f"box_plots_levels_{end}"] = box_plots(
                {LEVEL_TITLE: of}, reference=reference, unit="mm", what="levels"
            )
    return figures


def _difference(aligned: Aligned, pair: Pairs) -> tuple[np.ndarray, np.ndarray]:
    return pair[1] - pair[0], _levels_with_missing(aligned)


def _distribution(found: Sequence[Aligned]) -> dict[Pattern, Mapping[str, np.ndarray]]:
    """The reference's scores are those of the comparison with the most rows."""
    largest = max(found, key=len)
    return {
        pattern: {largest.first: largest.of(pattern)[0], **{one.second: one.of(pattern)[1] for one in found}}
        for pattern in PATTERNS
    }


def _slug(text: str) -> str:
    """A text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("._") or "rater"
