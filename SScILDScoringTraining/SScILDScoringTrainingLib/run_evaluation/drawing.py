"""The figures of an evaluation, each with the title that a panel shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from SScILDScoringLib.progress import Progress
from SScILDScoringLib.scores import Pattern

from ..agreement.figures import bland_altman, correlation, distributions, save, score_confusion, score_scatter
from ..agreement.figures.sets import score_pairs
from ..agreement.levels import from_bottom
from ..agreement.tables import align
from .asking import Answers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..agreement.report import Agreement

FORMATS = ("png", "pdf")
_TITLES = (
    ("box_plots_levels", "Errors of the levels in mm"),
    ("bland_altman_levels", "Bland-Altman plot of the levels"),
    ("correlation_levels", "Levels found over those of the reference"),
    ("forest_levels", "ICC and error by level, with intervals"),
    ("bland_altman", "Bland-Altman plots"),
    ("scatter", "Scores over the reference"),
    ("confusion_tot", "Confusion matrix of TOT"),
    ("confusion", "Confusion matrices"),
    ("correlation", "Correlation"),
    ("box_plots", "Errors by level"),
    ("distributions", "Distribution of the scores"),
    ("forest", "Kappa and ICC by level, with intervals"),
    ("goh_stage", "Goh stages"),
)
"""Beginnings of file names and the titles, in the order in which figures are shown."""


def draw(answers: Answers, agreement: Agreement, folder: Path, progress: Progress) -> list[tuple[str, Path]]:
    """Draws into ``folder``; titles and PNG files in the order in which they are shown.

    Raises:
        SettingsError: a file cannot be written. Cancelled: by ``progress`` (stage ``figures``).
    """
    reference, said = answers.reference, answers.answers
    if answers.kind == "levels":
        reference, (said,), _ = from_bottom(reference, [said])
    aligned = align(reference, said)
    if answers.by_level:
        from ..agreement.figures import draw_all

        options = {"rows": agreement.rows, "stages": agreement.stages, "formats": FORMATS}
        files = draw_all(aligned, folder, progress=progress, **options)
    else:
        files = _slices(score_pairs(aligned), (aligned.first, aligned.second), folder, progress)
    return in_order([path for path in files if path.suffix == ".png"])


def _slices(pairs: Mapping[Pattern, Sequence], names: tuple[str, str], folder: Path, progress: Progress) -> list[Path]:
    """Slices that belong to no level: the figures that go by pairs alone."""
    scores = {p: dict(zip(names, pair, strict=True)) for p, pair in pairs.items()}
    drawings: dict[str, Callable[[], Figure]] = {
        "bland_altman": partial(bland_altman, pairs, names=names),
        "scatter": partial(score_scatter, pairs, names=names),
        "confusion_tot": partial(score_confusion, {Pattern.TOT: pairs[Pattern.TOT]}, names=names),
        "confusion": partial(score_confusion, pairs, names=names),
        "correlation": partial(correlation, pairs, names=names),
        "distributions": partial(distributions, scores),
    }
    written = []
    for number, (name, figure) in enumerate(drawings.items()):
        progress("figures", number / len(drawings), name)
        written += save(figure(), folder / name, FORMATS)
    return written


def in_order(files: Sequence[Path]) -> list[tuple[str, Path]]:
    """Files with their titles, in the order of :data:`_TITLES`."""
    found = []
    for path in files:
        place = next((n for n, (start, _) in enumerate(_TITLES) if path.stem.startswith(start)), len(_TITLES))
        title = _TITLES[place][1] if place < len(_TITLES) else path.stem.replace("_", " ")
        found.append((place, title, path))
    return [(title, path) for _, title, path in sorted(found, key=lambda one: one[0])]
