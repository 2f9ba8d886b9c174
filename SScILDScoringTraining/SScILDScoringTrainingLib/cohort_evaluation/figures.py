"""The figures of a cohort's report: drawn once, as files beside the report and as pictures within it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from SScILDScoringLib.progress import Progress, part_of, silent

from ..agreement.figures import draw_all
from ..agreement.figures.sets import file_names
from ..agreement.figures.style import DPI
from ..agreement.tables import Aligned, align

if TYPE_CHECKING:
    from ..agreement.goh import StageAgreement
    from .evaluation import CohortEvaluation

FORMATS = ("png", "pdf")

_CAPTIONS = (
    ("bland_altman_levels", "Levels: difference over mean position; line: bias; dashed: 95 % limits of agreement."),
    ("correlation_levels", "Levels found over those of the reference, with regression and identity line."),
    ("box_plots_levels", "Difference of the level positions, by level."),
    ("forest_levels", "ICC and MAE of the levels with 95 % bootstrap intervals."),
    ("bland_altman", "Difference over mean of the scores; line: bias; dashed: 95 % limits of agreement."),
    ("correlation", "Scores over the reference, with regression and identity line."),
    ("scatter", "Scores on the 5 % grid; circles grow with the number of slices."),
    ("confusion_tot", "Confusion matrix of TOT on the 5 % grid, with counts."),
    ("confusion", "Confusion matrices on the 5 % grid."),
    ("box_plots", "Difference to the reference, by level."),
    ("distributions", "Distribution of the scores."),
    ("forest", "Weighted kappa and ICC with 95 % bootstrap intervals."),
    ("goh_stage", "Goh stages, patients."),
    ("threshold_curve", "Error of derived scores over the threshold; the chosen ones are marked."),
    ("derived_scores", "Derived scores at the chosen thresholds over the network's clipped output."),
    ("localisation", "How well maps show where the disease is; bars: what chance would reach."),
)
_NARROW_INCHES = 4.0
"""Figures that are less wide stand side by side in the report; all others take its whole width."""


@dataclass(frozen=True)
class Picture:
    """One figure.

    Args:
        section: ``levels``, ``scores`` or ``heat_maps``. name: of its files, without ending.
        caption: what it shows. narrow: one column wide.
        files: PNG first.
    """

    section: str
    name: str
    caption: str
    narrow: bool
    files: tuple[Path, ...]

    @property
    def uri(self) -> str:
        """The PNG as a data URI."""
        return f"data:image/png;base64,{base64.b64encode(self.files[0].read_bytes()).decode()}"


def draw(
    evaluation: CohortEvaluation, out: Path, progress: Progress = silent, formats: Sequence[str] = FORMATS
) -> list[Picture]:
    """Draws all figures into ``scores/figures``, ``levels/figures`` and ``heat_maps/figures``.

    Args:
        formats: endings of the files, ``png`` first.

    Raises:
        SettingsError: a file cannot be written. Cancelled: by ``progress`` (stage ``figures``).
    """
    pictures: list[Picture] = []
    found = {"levels": evaluation.levels, "scores": evaluation.scores}
    for n, (name, agreement) in enumerate(found.items()):
        if agreement is None:
            continue
        reference, *raters = evaluation.compared[name]
        part = part_of(progress, 0.1 + 0.4 * n, 0.5 + 0.4 * n)
        comparisons = [align(reference, rater) for rater in raters]
        options = {"rows": agreement.rows, "stages": agreement.stages, "formats": formats}
        files = draw_all(comparisons, out / name / "figures", progress=part, **options)
        pictures += _pictures(name, files, _pairs(comparisons, agreement.stages))
    if evaluation.heat_maps is not None:
        progress("figures", 0.9, "heat maps")
        pictures += _pictures("heat_maps", evaluation.heat_maps.draw(out / "heat_maps" / "figures", formats))
    progress("figures", 1.0, f"{len(pictures)} figures")
    return pictures


def _pictures(section: str, files: list[Path], pairs: Mapping[str, str] | None = None) -> Iterator[Picture]:
    """The figures of a section. ``pairs``: ends of file names, and the raters they stand for."""
    names = dict.fromkeys(path.with_suffix("") for path in files)
    for name in names:
        caption = next((caption for start, caption in _CAPTIONS if name.name.startswith(start)), "")
        # The longest one: L_S-Net_truth ends like S-Net_truth.
        ends = sorted((end for end in pairs or {} if name.name.endswith(f"_{end}")), key=len)
        raters = pairs[ends[-1]] if ends else ""
        own = tuple(path for path in files if path.with_suffix("") == name)
        yield Picture(section, name.name, f"{raters}. {caption}" if raters else caption, _is_narrow(own[0]), own)


def _pairs(comparisons: Sequence[Aligned], stages: Sequence[StageAgreement]) -> dict[str, str]:
    """End of a figure's file name -> the two raters it shows."""
    both = [*comparisons, *stages]
    names = file_names(title for one in both for title in (one.first, one.second))
    return {f"{names[one.second]}_{names[one.first]}": f"{one.second} against {one.first}" for one in both}


def _is_narrow(png: Path) -> bool:
    """By the width that stands in the header of a PNG file."""
    with png.open("rb") as file:
        width = int.from_bytes(file.read(20)[16:], "big")
    return width < _NARROW_INCHES * DPI
