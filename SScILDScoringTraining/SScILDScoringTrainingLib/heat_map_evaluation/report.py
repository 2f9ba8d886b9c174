"""``HeatMapEvaluation``: every figure of the heat maps of one network, as Markdown, CSV, JSON and drawings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from SScILDScoringLib import __version__
from SScILDScoringLib.files import replacing
from SScILDScoringLib.heatmaps.thresholds import HIGHEST, LOWEST, STEP
from SScILDScoringLib.levels import Level
from SScILDScoringLib.results import NOTICE, plain
from SScILDScoringLib.scores import PATTERNS

from ..agreement.markdown import number, table, with_interval
from ..runfolder import csv_text
from .localisation import SMALLEST_SHARE, Localisation
from .records import OWN_SHARE, SliceRecord
from .thresholds import DerivedScores, ThresholdEvaluation, at_threshold

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from SScILDScoringLib.models import ModelBundle

    from .run import Settings

HOW = {
    "chosen": "chosen on these slices",
    "left_out": "chosen on the other patients",
    "bundle": "the bundle's",
    "fixed": "fixed",
}
MAPS = {"replacement": "heat map", "own": "network's own map"}
TABLES = ("thresholds.csv", "localisation.csv", "slices.csv", "failures.csv")


@dataclass(frozen=True, eq=False)
class HeatMapEvaluation:
    """The heat maps of one network.

    Args:
        bundle: the S-Net. settings: of the evaluation.
        records: one for each slice.
        thresholds: chosen thresholds and derived scores.
        localisation: Dice and pointing, empty where nobody knows where the disease is.
        failures: cases that could not be used, with a sentence each.
    """

    bundle: ModelBundle
    settings: Settings
    records: tuple[SliceRecord, ...]
    thresholds: ThresholdEvaluation
    localisation: tuple[Localisation, ...]
    failures: tuple[tuple[str, str], ...]

    @property
    def patients(self) -> int:
        """How many patients the slices are of."""
        return len({r.patient for r in self.records})

    # ---- tables ------------------------------------------------------------------------------------------------------

    def threshold_table(self) -> str:
        """Thresholds and derived scores as Markdown."""
        header = ["", "threshold", "t", "n", "MAE (SD)", "95 % CI of MAE", "R²", "line"]
        return table(header, (_threshold_cells(d) for d in self.thresholds.derived), left=2)

    def localisation_table(self) -> str:
        """Dice and pointing as Markdown."""
        header = ["", "map", "threshold", "slices", "Dice", "by chance", "above chance"]
        header += ["pointing", "by chance", "slices free", "marked there"]
        return table(header, (_localisation_cells(row) for row in self.localisation), left=3)

    def remarks(self) -> list[str]:
        """What is worth knowing about the numbers, as sentences."""
        found = []
        ends = [p.name for p in self.thresholds.at_the_end]
        if ends:
            found.append(
                f"The threshold of {', '.join(ends)} lies at the end of the range ({LOWEST:g}): a lower one might fit "
                "better, but method.md has this range."
            )
        if self.bundle.thresholds and not self.thresholds.bundle:
            found.append("The bundle's own thresholds lie outside of the range and are not compared.")
        if self.patients < 2:
            found.append("With a single patient there is no interval, and nothing to choose a threshold on but itself.")
        if self.localisation:
            lacking = sorted({r.case for r in self.records if r.truth is None})
            if lacking:
                found.append(f"Localisation leaves out cases without masks of their disease: {', '.join(lacking)}.")
        return found

    def definitions(self) -> str:
        """What the numbers are, as a paragraph for the methods of a paper."""
        text = [
            f"Derived score: area of the heat map below the threshold t over the lung area. t: of the values from "
            f"{LOWEST:g} to {HIGHEST:g} percentage points in steps of {STEP:g} the one with the smallest mean absolute "
            "error (MAE) between derived score and S-Net's output clipped to 0-100, for each pattern; where several "
            "are equally good, the middle of the lowest run of them.",
            "R²: squared Pearson correlation of derived score and clipped output. Chosen on the other patients: for "
            "each patient the threshold is chosen without the patient's own slices.",
        ]
        if self.localisation:
            text.append(
                f"Localisation: slices in which the pattern's lesions fill at least {100 * SMALLEST_SHARE:g} % of the "
                "lung. Dice: 2 |A and B| / (|A| + |B|) of the pixels below the threshold and the lesions, mean over "
                "slices; by chance: the Dice of as many pixels drawn at random in the lung. Pointing: share of slices "
                "whose strongest point (the lowest value of the map, below 0) lies in a lesion of the pattern; where "
                "several pixels share this value, which is the rule as the maps are constant in cells of one step, the "
                "share of them that do; by chance: lesion area / lung area. TOT is the union of both patterns. Marked "
                "there: percent of the lung marked in slices free of the pattern."
            )
            if any(row.maps == "own" for row in self.localisation):
                text.append(
                    "Network's own map: lung map times disease map of the ratio head, marked from "
                    f"{100 * OWN_SHARE:g} % on."
                )
        if self.settings.samples:
            text.append(
                f"Brackets: 95 % percentile bootstrap intervals by patient ({self.settings.samples} samples, seed "
                f"{self.settings.seed})."
            )
        return " ".join(text)

    def markdown(self) -> str:
        """Everything as one document."""
        parts = [
            f"# Heat maps of {self.bundle.name} {self.bundle.version}",
            f"{len(self.records)} slices of {self.patients} patient{'' if self.patients == 1 else 's'}. "
            f"{self.settings.data}".strip(),
            f"> {self.bundle.notice}" if self.bundle.notice else "",
            "## Thresholds and derived scores",
            self.threshold_table(),
        ]
        if self.localisation:
            parts += ["## Localisation, where the disease is known", self.localisation_table()]
        if self.remarks():
            parts += ["## Remarks", "\n".join(f"- {remark}" for remark in self.remarks())]
        if self.failures:
            parts += ["## Cases that could not be used", "\n".join(f"- {case}: {why}" for case, why in self.failures)]
        parts += ["## Definitions", self.definitions(), f"SScILDScoring {__version__}. {NOTICE}"]
        return "\n\n".join(part for part in parts if part) + "\n"

    def csv_tables(self) -> dict[str, list[dict]]:
        """File name -> rows: ``thresholds.csv``, ``localisation.csv``, ``slices.csv`` and ``failures.csv``."""
        tables = {
            "thresholds.csv": [_flat(d) for d in self.thresholds.derived],
            "localisation.csv": [_flat(row) for row in self.localisation],
            "slices.csv": [self._slice_row(r) for r in self.records],
            "failures.csv": [{"case": case, "message": why} for case, why in self.failures],
        }
        return {name: [{k: _cell(v) for k, v in row.items()} for row in rows] for name, rows in tables.items()}

    def to_dict(self) -> dict:
        """Plain values, for JSON; None where a figure is not defined."""
        return plain(
            {
                "software": {"name": "SScILDScoring", "version": __version__},
                "bundle": {"name": self.bundle.name, "version": self.bundle.version, "sha256": self.bundle.sha256},
                "settings": vars(self.settings),
                "slices": len(self.records),
                "patients": self.patients,
                "thresholds": self.thresholds.values,
                "curve": {
                    "thresholds": self.thresholds.tried,
                    "mae": {p.value: self.thresholds.errors[p] for p in PATTERNS},
                },
                "derived_scores": [_flat(d) for d in self.thresholds.derived],
                "localisation": [_flat(row) for row in self.localisation],
                "failures": [{"case": case, "message": why} for case, why in self.failures],
                "remarks": self.remarks(),
                "definitions": self.definitions(),
            }
        )

    def write(self, folder: str | Path) -> list[Path]:
        """Writes ``heat_maps.md``, ``heat_maps.json`` and the CSV tables that have rows; all of them, or nothing.

        Raises:
            SettingsError: the folder cannot be written.
        """
        folder = Path(folder)
        texts = {"heat_maps.md": self.markdown()}
        texts |= {name: csv_text(rows) for name, rows in self.csv_tables().items() if rows}
        texts["heat_maps.json"] = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        with ExitStack() as files:  # renamed only when all of them are written
            for name, text in texts.items():
                files.enter_context(replacing(folder / name)).write_text(text, encoding="utf-8", newline="\n")
        for name in set(TABLES) - texts.keys():
            (folder / name).unlink(missing_ok=True)
        return [folder / name for name in texts]

    # ---- drawings ----------------------------------------------------------------------------------------------------

    def drawings(self) -> dict[str, Callable[[], Figure]]:
        """File name without ending -> what draws the figure."""
        from ..agreement.figures import derived_scores, threshold_curve
        from . import figures

        found = self.thresholds
        chosen = {p: found.chosen[p].value for p in PATTERNS}
        drawings = {
            "threshold_curve": partial(
                threshold_curve, found.tried, found.errors, chosen=chosen, n=len(self.records), what="slices"
            ),
            "derived_scores": partial(derived_scores, found.pairs, thresholds=chosen),
        }
        if self.localisation:
            drawings["localisation"] = partial(figures.localisation, self.localisation)
        return drawings

    def draw(self, folder: str | Path, formats: Sequence[str] = ("png", "pdf", "svg")) -> list[Path]:
        """Writes the figures. Raises SettingsError when one cannot be written."""
        from ..agreement.figures import save

        return [path for name, draw in self.drawings().items() for path in save(draw(), Path(folder) / name, formats)]

    def _slice_row(self, record: SliceRecord) -> dict:
        row = {"case": record.case, "level": Level(record.level).name if record.level else ""}
        row["lung_pixels"] = record.lung
        for i, pattern in enumerate(PATTERNS):
            value = self.thresholds.chosen[pattern].value
            row[f"{pattern.value}_network"] = float(record.network[i])
            row[f"{pattern.value}_derived"] = float(at_threshold(record.derived[i], self.thresholds.tried, value))
            if record.truth is not None:
                row[f"{pattern.value}_lesion_pixels"] = int(record.truth.lesion[i])
                row[f"{pattern.value}_pointed"] = float(record.truth.pointed[i])
        return row


def _threshold_cells(d: DerivedScores) -> list[str]:
    interval = d.mae_interval
    known = math.isfinite(interval.low)
    line = f"{number(d.slope)} x {'-' if d.intercept < 0 else '+'} {number(abs(d.intercept))}"
    return [
        d.pattern.name,
        HOW[d.how],
        number(d.threshold),
        str(d.n),
        f"{number(d.mae)} ({number(d.sd)})",
        f"{number(interval.low)} to {number(interval.high)}" if known else "–",
        number(d.r2),
        line if math.isfinite(d.slope) else "–",
    ]


def _localisation_cells(row: Localisation) -> list[str]:
    return [
        row.pattern.name,
        MAPS[row.maps],
        f"{HOW[row.how]} ({row.threshold:g})",
        str(row.n),
        with_interval(row.dice, row.dice_interval),
        number(row.dice_chance),
        with_interval(row.gain, row.gain_interval, sign=True),
        with_interval(row.pointing, row.pointing_interval),
        number(row.pointing_chance),
        str(row.free),
        f"{number(row.free_marked, 1)} %" if row.free else "–",
    ]


def _flat(row) -> dict:
    """The fields of a figure's row; intervals as two columns, patterns as text."""
    flat = {}
    for name, value in vars(row).items():
        if name.endswith("interval"):
            base = name.removesuffix("interval")
            flat |= {f"{base}ci_low": value.low, f"{base}ci_high": value.high}
        else:
            flat[name] = value.value if name == "pattern" else value
    return flat


def _cell(value):
    """As CSV has it: six digits, nothing where a value is not defined."""
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return value
