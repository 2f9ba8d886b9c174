"""One scan through all steps: lungs, landmarks, levels, scores, heat maps. Every step can be called alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import ModelError
from .findings import Finding
from .heatmaps.replacement import HeatMapSettings
from .levels import Level, Levels
from .progress import Progress, part_of, silent
from .results import ModelFacts, ScanFacts, ScanResult, safe_name
from .scan import CTScan, load_scan
from .scores import LungProfile, SliceScores, goh_stage

if TYPE_CHECKING:
    from .explanations import ExplanationMaps
    from .heatmaps import HeatMaps
    from .lungs import LungMask
    from .models import ModelBundle
    from .slice_network import SliceNetwork

SMALL_LUNG_MM2 = 2000.0
"""A scored level with less lung than this is a finding: a level belongs into the lungs, not above or below them."""

INCONSISTENT_POINTS = 10.0
"""TOT further than this outside of what GG and RET allow is a finding."""

BundleChoice = "ModelBundle | str | Path | bool | None"


def score_scan(
    scan: CTScan | str | Path,
    *,
    case: str | None = None,
    levels: Levels | Sequence[float] | str | Path | None = None,
    l_net: BundleChoice = None,
    s_net: BundleChoice = None,
    lungs: LungMask | str | Path | None = None,
    lung_method: str = "3d",
    heat_maps: bool = True,
    heat_map_settings: HeatMapSettings | None = None,
    every_slice: bool = False,
    fvc_percent: float | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> ScanResult:
    """Scores a chest CT: five levels, TOT, GG and RET of each, extent, Goh stage and heat maps.

    >>> result = score_scan("patient.nii.gz")               # doctest: +SKIP
    >>> result.extent, result.stage                          # doctest: +SKIP

    Args:
        scan: the CT, or a file or folder that holds it (see :func:`~SScILDScoringLib.reading.read_scan`).
        case: name under which the results are kept; the file's or folder's own name when None.
        levels: the five levels, when they are known: :class:`Levels`, five RAS S positions in millimetres (L1 first)
            or a file of them. Found when None.
        l_net: the L-Net bundle, its name or folder; the default one when None; False estimates the levels from the
            anatomy. Not used with ``levels``.
        s_net: the S-Net bundle, its name or folder; the default one when None.
        lungs: the lung mask on the scan's grid, or a file of it; found when None.
        lung_method: how lungs are found (see :func:`~SScILDScoringLib.lungs.segment_lungs`).
        heat_maps: whether to compute heat maps of the five levels.
        heat_map_settings: patch, step, edge and replacement; the S-Net bundle's when None.
        every_slice: whether to score every slice that holds lung, too.
        fvc_percent: forced vital capacity in percent of the predicted value; decides an indeterminate Goh stage.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        progress: called with the stages ``read``, ``quality``, ``lungs``, ``landmarks``, ``levels``, ``scores``,
            ``explanations``, ``profile`` and ``heat_maps``; may cancel.

    Raises:
        SScILDError: the scan, a model or a setting cannot be used; the message says what to do.
        Cancelled: by ``progress``.
    """
    from .anatomy import find_landmarks
    from .devices import choose_device, device_name
    from .level_selection import find_levels
    from .quality import inspect_coverage, inspect_scan
    from .slice_network import SliceNetwork
    from .slice_scoring import explain_slices, score_every_slice, score_slices

    clock = _Clock()
    goh_stage(0.0, fvc_percent)  # a wrong FVC is said before minutes of work, not after
    place = choose_device(device)
    with clock("models"):
        s_bundle = find_model(s_net, "s_net")
        l_bundle = None if levels is not None else find_model(l_net, "l_net", optional=True)
    given = _given_levels(levels)
    with clock("read"):
        scan = scan if isinstance(scan, CTScan) else load_scan(scan, progress=progress)
    if given is not None:
        given.slice_indices(scan)  # levels outside the scan are said before the work, too
    with clock("quality"):
        progress("quality", 0.0, "Checking the scan")
        findings = list(inspect_scan(scan))
    with clock("lungs"):
        lungs = find_lungs(scan, lungs, lung_method, progress)
        findings += inspect_coverage(scan, lungs)
    if given is not None:
        levels = given
    else:
        with clock("landmarks"):
            landmarks = find_landmarks(scan, lungs, progress)
        with clock("levels"):
            levels, more = find_levels(scan, l_bundle, lungs, landmarks, progress, place)
            findings += more
    indices = levels.slice_indices(scan)
    with clock("scores"):
        network = SliceNetwork(s_bundle, place)
        scores = tuple(score_slices(scan, indices, network, progress))
        findings += level_findings(scan, lungs, levels, indices, scores)
    with clock("explanations"):
        explanations = tuple(explain_slices(scan, indices, network, progress))
    profile = None
    if every_slice:
        with clock("profile"):
            profile = score_every_slice(scan, lungs, network, progress)
    maps: tuple[HeatMaps, ...] = ()
    if heat_maps:
        with clock("heat_maps"):
            maps = heat_maps_of(scan, lungs, indices, network, heat_map_settings, progress)
    bundles = [b for b in (l_bundle, s_bundle) if b is not None]
    return assembled(
        scan,
        lungs,
        levels,
        bundles,
        case=case,
        findings=findings,
        scores=scores,
        heat_maps=maps,
        explanations=explanations,
        profile=profile,
        fvc_percent=fvc_percent,
        device=device_name(place),
        seconds=clock.seconds(),
    )


def assembled(
    scan: CTScan,
    lungs: LungMask,
    levels: Levels,
    bundles: Sequence[ModelBundle],
    *,
    case: str | None,
    findings: Sequence[Finding],
    scores: Sequence[SliceScores],
    heat_maps: Sequence[HeatMaps] = (),
    explanations: Sequence[ExplanationMaps] = (),
    profile: LungProfile | None = None,
    fvc_percent: float | None = None,
    device: str = "",
    seconds: Mapping[str, float],
) -> ScanResult:
    """The result of the steps: what was computed, with the facts about scan, networks and settings.

    Args:
        bundles: the networks that answered, S-Net last; what they say about themselves joins the findings.
    """
    indices = levels.slice_indices(scan)
    thresholds = bundles[-1].thresholds
    return ScanResult(
        case=safe_name(case or str(scan.identity.get("name") or "case")),
        levels=levels,
        slice_indices=indices,
        file_slice_indices=tuple(scan.file_slice(k) for k in indices),
        scores=tuple(scores),
        facts=ScanFacts.of(scan),
        findings=(*findings, *model_findings(bundles)),
        models=tuple(ModelFacts.of(b) for b in bundles),
        device=device,
        settings={
            "lungs": lungs.method,
            "l4_follows": levels.l4_follows,
            "heat_maps": bool(heat_maps),
            "every_slice": profile is not None,
        },
        seconds=seconds,
        fvc_percent=fvc_percent,
        profile=profile,
        heat_maps=tuple(heat_maps),
        explanations=tuple(explanations),
        thresholds=dict(thresholds) if thresholds else None,
        scan=scan,
        lungs=lungs,
    )


def find_model(choice: BundleChoice, kind: str, optional: bool = False) -> ModelBundle | None:
    """The bundle that ``choice`` means: a bundle, its name or folder; None means the default one, False none.

    Raises:
        ModelError: there is no such bundle, or none at all and it is not ``optional``.
    """
    from .models import default_bundle, find_bundle

    if choice is False:
        bundle = None
    elif choice is None:
        bundle = default_bundle(kind)
    elif isinstance(choice, str | Path):
        bundle = find_bundle(choice, kind)
    else:
        bundle = choice
    if bundle is None and not optional:
        raise ModelError("Scoring needs an S-Net bundle and there is none: install one with 'sscild models install'.")
    return bundle


def find_lungs(
    scan: CTScan, lungs: LungMask | str | Path | None, method: str = "3d", progress: Progress = silent
) -> LungMask:
    """The lungs as given, read from a file, or segmented when None.

    Raises:
        ScanError: no lung is found, or the given mask does not belong to the scan.
    """
    if lungs is None:
        from .lungs import segment_lungs

        return segment_lungs(scan, method, progress)
    if isinstance(lungs, str | Path):
        from .lungs import load_lung_mask

        return load_lung_mask(lungs, scan)
    return lungs


def heat_maps_of(
    scan: CTScan,
    lungs: LungMask,
    indices: Sequence[int],
    bundle: ModelBundle | SliceNetwork,
    settings: HeatMapSettings | None = None,
    progress: Progress = silent,
    device: str = "cpu",
) -> tuple[HeatMaps, ...]:
    """Heat maps of axial slices (canonical indices); the progress runs once from 0 to 1 over all of them."""
    from .heatmaps import render_heat_maps

    maps = []
    for n, k in enumerate(indices):
        part = slice_progress(progress, n, len(indices))
        maps.append(render_heat_maps(scan.axial_slice(k), lungs.mask(k), bundle, settings, part, device))
    return tuple(maps)


def slice_progress(progress: Progress, n: int, count: int) -> Progress:
    """The progress of slice number ``n`` of ``count``: its part of the way, and its number in the message."""
    part = part_of(progress, n / count, (n + 1) / count)
    if count == 1:
        return part
    return lambda stage, fraction, message: part(stage, fraction, f"Slice {n + 1} of {count}. {message}")


def level_findings(
    scan: CTScan, lungs: LungMask, levels: Levels, indices: Sequence[int], scores: Sequence[SliceScores]
) -> list[Finding]:
    """What is remarkable about the scored slices themselves."""
    findings, inconsistent = [], []
    pixel = scan.spacing[0] * scan.spacing[1]
    for position, k, score in zip(levels, indices, scores, strict=True):
        area = float(np.count_nonzero(lungs.mask(k))) * pixel
        if area < SMALL_LUNG_MM2:
            message = f"Level {position.level:d} has hardly any lung ({area / 100:.0f} cm²); check its position."
            findings.append(Finding("level_without_lung", "warning", message))
        tot, gg, ret = score.clipped
        if tot < max(gg, ret) - INCONSISTENT_POINTS or tot > gg + ret + INCONSISTENT_POINTS:
            inconsistent.append(f"L{position.level:d} (TOT {tot:.0f}, GG {gg:.0f}, RET {ret:.0f} %)")
    if inconsistent:
        message = (
            f"TOT should be at least GG and RET and at most their sum; it is not on {', '.join(inconsistent)}. "
            "The network is unsure there."
        )
        findings.append(Finding("inconsistent_scores", "warning", message))
    same = [f"L{a:d} and L{b:d}" for a, b in pairwise(Level) if indices[a - 1] == indices[b - 1]]
    if same:
        message = f"{', '.join(same)} fall on the same slice: the slices are too far apart, or the levels too close."
        findings.append(Finding("levels_on_one_slice", "warning", message))
    return findings


def model_findings(bundles: Sequence[ModelBundle]) -> list[Finding]:
    """What the networks say about themselves."""
    return [
        Finding("model_not_validated", "warning", f"{b.name}: {b.notice or 'not clinically validated.'}")
        for b in bundles
        if not b.validated
    ]


def _given_levels(levels: Levels | Sequence[float] | str | Path | None) -> Levels | None:
    if levels is None or isinstance(levels, Levels):
        return levels
    if isinstance(levels, str | Path):
        from .given_levels import given_levels

        return given_levels(str(levels))
    return Levels.from_mm(levels, source="given")


class _Clock:
    """Wall time of named steps."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._seconds[step] = time.perf_counter() - started

    def seconds(self) -> Mapping[str, float]:
        """The steps so far, and ``total``."""
        return {**self._seconds, "total": time.perf_counter() - self._started}
