"""The report of a cohort: a single HTML file that needs nothing else, in the look of a scan's report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from SScILDScoringLib import __version__
from SScILDScoringLib.report.page import TEMPLATES as SCAN_TEMPLATES
from SScILDScoringLib.results import NOTICE
from SScILDScoringLib.scores import PATTERNS

from ..agreement.markdown import number, with_interval
from ..agreement.rows import SLICE_MM
from .figures import Picture
from .markdown_blocks import section
from .methods import methods_text
from .tables import CASCADE, S_NET

if TYPE_CHECKING:
    from .evaluation import CohortEvaluation

TEMPLATES = Path(__file__).with_name("templates")


def html(evaluation: CohortEvaluation, pictures: Sequence[Picture]) -> str:
    """The report.

    Args:
        pictures: its figures, in their order.
    """
    documents = {
        "levels": evaluation.levels and evaluation.levels.markdown(),
        "scores": evaluation.scores and evaluation.scores.markdown(),
        "heat_maps": evaluation.heat_maps and evaluation.heat_maps.markdown(),
    }
    titles = {"levels": "Levels", "scores": "Scores and Goh stages", "heat_maps": "Heat maps"}
    sections = [
        {
            "name": name,
            "title": titles[name],
            # The definitions stand in the methods, the failures in a section of their own.
            "blocks": section(text, "Definitions", "Cases that could not be used"),
            "pictures": [p for p in pictures if p.section == name],
        }
        for name, text in documents.items()
        if text
    ]
    return (
        _environment()
        .get_template("cohort_report.html")
        .render(
            evaluation=evaluation,
            version=__version__,
            notice=NOTICE,
            date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
            notices=list(dict.fromkeys(b.notice or "Not clinically validated." for b in _not_validated(evaluation))),
            cards=_cards(evaluation),
            sections=sections,
            methods=methods_text(evaluation).split("\n\n"),
        )
    )


def _not_validated(evaluation: CohortEvaluation) -> list:
    return [bundle for bundle in evaluation.bundles if not bundle.validated]


def _cards(evaluation: CohortEvaluation) -> list[dict]:
    """The main figures: of TOT, of the levels, of the heat maps."""
    cards = []
    if evaluation.scores:
        for title in (S_NET, CASCADE):
            row = next((r for r in evaluation.scores.find("tot", kind="reference") if r.second == title), None)
            if row is not None:
                values, intervals = row.values, row.intervals
                lines = [
                    f"kappa {with_interval(values['kappa'], intervals['kappa'])}",
                    f"ICC {with_interval(values['icc'], intervals['icc'])}",
                    f"{row.n} slices of {row.cases} scans",
                ]
                name = f"TOT of {title}: mean absolute error, percentage points"
                cards.append({"name": name, "big": number(values["mae"], 1), "lines": lines})
    if evaluation.levels:
        row = evaluation.levels.find("position_mm")[0]
        slices = row.values["mae"] / SLICE_MM
        lines = [
            f"{number(slices)} slices of {SLICE_MM:g} mm",
            f"bias {number(row.values['bias'], 1, sign=True)} mm",
            f"{row.n} levels of {row.cases} scans",
        ]
        cards.append(
            {
                "name": f"Levels of {row.second}: mean absolute error",
                "big": f"{number(row.values['mae'], 1)} mm",
                "lines": lines,
            }
        )
    if evaluation.heat_maps:
        found = evaluation.heat_maps
        rows = [found.thresholds.of("left_out", p) or found.thresholds.of("chosen", p) for p in PATTERNS]
        lines = [f"{row.pattern.name}: MAE {number(row.mae, 1)}, t = {number(row.threshold)}" for row in rows]
        best = rows[0].r2
        big = f"R² {number(best)}" if math.isfinite(best) else "R² not defined"
        cards.append({"name": "Scores derived from heat maps, TOT", "big": big, "lines": lines})
        known = [row for row in found.localisation if row.n and row.how in ("chosen", "fixed")]
        if known:
            first = known[0]
            lines = [
                f"by chance {number(first.dice_chance)}; {first.n} slices of {first.patients} patients",
                f"pointing {with_interval(first.pointing, first.pointing_interval)}, by chance "
                f"{number(first.pointing_chance)}",
            ]
            own = next((row for row in known if row.maps == "own" and row.pattern is first.pattern), None)
            lines += [f"the network's own map: {with_interval(own.dice, own.dice_interval)}"] if own else []
            name = f"Heat map against the true disease, {first.pattern.name}"
            cards.append({"name": name, "big": f"Dice {number(first.dice)}", "lines": lines})
    return cards


@lru_cache(maxsize=1)
def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([TEMPLATES, SCAN_TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
