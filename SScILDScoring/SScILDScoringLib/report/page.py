"""The report of one scored scan: a single HTML file that needs nothing else, works offline and prints on A4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..files import write_text
from ..heat_map_words import how_made
from ..levels import Levels
from ..preprocessing import resize_slice
from ..results import NOTICE, ScanResult, plain
from ..scores import PATTERNS, Pattern, Stage
from . import pictures
from .colours import HEAT_LIMIT, LUNG_WINDOW, PATTERN_COLOURS, css_gradient, heat_colours, share_colours
from .svg_plots import Drawing, Overlay, profile_plot

TEMPLATES = Path(__file__).with_name("templates")

_SOURCES = {"l_net": "network", "anatomy": "anatomy", "manual": "by hand", "given": "given"}
_SEVERITY_ORDER = ("error", "warning", "info")
_STEPS = {
    "models": "Loading the networks",
    "read": "Reading the CT",
    "quality": "Checking the scan",
    "lungs": "Finding the lungs",
    "landmarks": "Finding landmarks",
    "levels": "Placing the levels",
    "scores": "Scoring the slices",
    "profile": "Scoring every slice",
    "heat_maps": "Computing heat maps",
    "explanations": "Drawing the network's own maps",
    "total": "In all",
}


@dataclass(frozen=True)
class Truth:
    """What a phantom knows about itself, to be set beside the result (demo and tests).

    Args:
        levels: the true levels.
        scores: exact TOT, GG, RET in percent of the five slices that were scored.
    """

    levels: Levels
    scores: tuple[tuple[float, float, float], ...]


def write_report(
    result: ScanResult,
    path: str | Path,
    *,
    identifiers: Mapping[str, object] | None = None,
    truth: Truth | None = None,
) -> Path:
    """Writes the report; see :func:`report_html`. The file appears complete or not at all.

    Raises:
        SettingsError: the file cannot be written.
    """
    return write_text(path, report_html(result, identifiers=identifiers, truth=truth))


def report_html(
    result: ScanResult,
    *,
    identifiers: Mapping[str, object] | None = None,
    truth: Truth | None = None,
) -> str:
    """The report as HTML.

    Args:
        result: what was scored. Pictures need ``result.scan``; without it (a result read back from a file) the report
            has tables only.
        identifiers: shown in the header when given. They may identify the patient.
        truth: what a phantom knows about itself.
    """
    template = _environment().get_template("report.html")
    return template.render(
        result=result,
        notice=NOTICE,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        identifiers=_plain_rows({k: v for k, v in (identifiers or {}).items() if isinstance(v, str)}),
        model_notices=_model_notices(result),
        stage_reason=stage_reason(result),
        rows=_level_rows(result),
        patterns=PATTERNS,
        pattern_colours={p.value: PATTERN_COLOURS[p] for p in PATTERNS},
        overviews=_overviews(result),
        level_cards=_level_cards(result),
        heat_maps_made=how_made(result.heat_maps) if result.heat_maps else "",
        heat_limit=HEAT_LIMIT,
        heat_gradient=css_gradient(heat_colours, -HEAT_LIMIT, HEAT_LIMIT),
        share_gradient=css_gradient(share_colours, 0, 1),
        window=LUNG_WINDOW,
        profile=profile_plot(result) if result.profile else None,
        # The banner at the top says what the bundles say about themselves.
        findings=sorted(
            (f for f in result.findings if f.code != "model_not_validated"),
            key=lambda f: _SEVERITY_ORDER.index(f.severity),
        ),
        truth=_truth_rows(result, truth) if truth else None,
        steps=[(_STEPS.get(name, name), seconds) for name, seconds in result.seconds.items()],
        settings=_plain_rows(result.settings),
        acquisition=_plain_rows(result.facts.acquisition),
    )


def stage_reason(result: ScanResult) -> str:
    """Why the stage is what it is, in one sentence."""
    tot = f"{result.extent[0]:.0f} %"
    if result.extent[0] < 10:
        return f"Disease extent of {tot}: clearly below 20 %."
    if result.extent[0] > 30:
        return f"Disease extent of {tot}: clearly above 20 %."
    if result.stage is Stage.INDETERMINATE:
        return f"Disease extent of {tot}: between 10 and 30 % forced vital capacity decides (not given, option --fvc)."
    return f"Disease extent of {tot}: between 10 and 30 % forced vital capacity decides ({result.fvc_percent:g} %)."


def source_name(source: str) -> str:
    """Where a level position came from, in words."""
    return _SOURCES.get(source, source)


# ---- tables --------------------------------------------------------------------------------------------------------


def _level_rows(result: ScanResult) -> list[dict]:
    derived = result.derived_scores()
    rows = []
    for i, position in enumerate(result.levels):
        rows.append(
            {
                "level": position.level,
                "mm": position.mm,
                "slice": result.file_slice_indices[i],
                "source": source_name(position.source),
                "spread": position.spread_mm,
                "scores": result.scores[i].reported,
                "raw": result.scores[i].clipped,
                "derived": [derived[i].get(p.value) for p in PATTERNS] if derived else None,
            }
        )
    return rows


def _truth_rows(result: ScanResult, truth: Truth) -> list[dict]:
    return [
        {
            "level": found.level,
            "mm": known.mm,
            "off": found.mm - known.mm,
            "scores": truth.scores[i],
            "answers": result.scores[i].clipped,
        }
        for i, (found, known) in enumerate(zip(result.levels, truth.levels, strict=True))
    ]


def _model_notices(result: ScanResult) -> list[str]:
    """What the bundles say about themselves, each sentence once; a bundle that is not validated always says so."""
    notices = []
    for model in result.models:
        text = model.notice or ("" if model.validated else f"{model.name}: not clinically validated.")
        if text and text not in notices:
            notices.append(text)
    return notices


def _plain_rows(values: Mapping[str, object]) -> list[tuple[str, str]]:
    rows = []
    for name, value in plain(dict(values)).items():
        if isinstance(value, list):
            value = ", ".join(str(v) for v in value)
        elif isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        if value not in (None, ""):
            rows.append((name.replace("_", " "), str(value)))
    return rows


# ---- pictures ------------------------------------------------------------------------------------------------------


def _overviews(result: ScanResult) -> list[Drawing]:
    if result.scan is None:
        return []
    lungs = result.lungs.labels if result.lungs is not None else None
    drawings = []
    for name, view in (
        ("coronal", pictures.coronal_view(result.scan, result.levels, lungs=lungs)),
        ("sagittal", pictures.sagittal_view(result.scan, result.levels, lungs=lungs)),
    ):
        where = ", ".join(f"{p.level.name} at {p.mm:.0f} mm" for p in result.levels)
        uri = pictures.data_uri(pictures.jpeg_bytes(view.pixels))
        drawings.append(Drawing(view, f"ct-{name}", uri, f"{view.title}, with the levels {where}."))
    return drawings


def _level_cards(result: ScanResult) -> list[dict]:
    """For every level the CT drawing, the heat-map drawing and the drawing of the network's own maps, as available."""
    if result.scan is None:
        return []
    crop = scored_crop(result)
    cards = []
    for i, row in enumerate(_level_rows(result)):
        view = pictures.axial_view(result.scan, result.slice_indices[i], crop)
        name = row["level"].name
        ct = f"ct-{name}"
        plain_ct = Drawing(view, ct, pictures.data_uri(pictures.jpeg_bytes(view.pixels)), f"{name}: {view.title}.")
        card = {**row, "ct": plain_ct, "heat": None, "own": None}
        if result.heat_maps:
            alt = f"{name}: heat maps over the same slice. {_derived_sentence(row)}"
            card["heat"] = Drawing(view, ct, "", alt, _heat_overlays(result.heat_maps[i], crop))
        if result.explanations:
            overlays = _own_overlays(result.explanations[i], result.scan.shape[1:], crop)
            card["own"] = Drawing(
                view, ct, "", f"{name}: the network's own disease maps over the same slice.", overlays
            )
        cards.append(card)
    return cards


def scored_crop(result: ScanResult) -> pictures.Crop:
    """The same crop for all five slices, so that their pictures have one scale: lungs and a margin."""
    if result.lungs is None:
        return pictures.whole_slice(result.scan)
    return pictures.lung_crop(result.scan, result.lungs.labels[list(result.slice_indices)])


def _heat_overlays(maps, crop: pictures.Crop) -> tuple[Overlay, ...]:
    overlays = []
    for pattern in PATTERNS:
        picture = pictures.heat_overlay(maps.of(pattern), maps.covered)
        overlays.append(_overlay(pattern, pictures.cropped_overlay(picture, crop)))
    return tuple(overlays)


def _own_overlays(maps, shape: Sequence[int], crop: pictures.Crop) -> tuple[Overlay, ...]:
    overlays = []
    for pattern in PATTERNS:
        share = resize_slice(np.asarray(maps.lung) * maps.of(pattern), *shape)
        overlays.append(_overlay(pattern, pictures.cropped_overlay(pictures.share_overlay(share), crop)))
    return tuple(overlays)


def _overlay(pattern: Pattern, picture) -> Overlay:
    return Overlay(pattern.value, pictures.data_uri(pictures.png_bytes(picture)))


def _derived_sentence(row: dict) -> str:
    if not row["derived"]:
        return ""
    parts = [f"{p.name} {v:.0f} %" for p, v in zip(PATTERNS, row["derived"], strict=True) if v is not None]
    return f"Scores derived from them: {', '.join(parts)}."


@lru_cache(maxsize=1)
def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = lambda value, digits=1: f"{value:+.{digits}f}".replace("-", "\u2212")
    environment.filters["mm"] = lambda value: f"{value:.1f}".replace("-", "\u2212")
    return environment
