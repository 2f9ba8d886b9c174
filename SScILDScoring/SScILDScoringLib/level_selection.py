"""Finding the five levels: L-Net on sliding windows, checked against the anatomy, or the anatomy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .errors import ModelError, ScanError
from .findings import Finding
from .levels import Level, Levels, ordered_mm
from .preprocessing import VolumeInput
from .progress import Progress, part_of, silent
from .scan import CTScan

if TYPE_CHECKING:
    from .anatomy import Landmarks
    from .lungs import LungMask
    from .models import ModelBundle

DISAGREEMENT_MM = 25.0
"""Network and anatomy further apart than this are a finding."""

WIDE_SPREAD_MM = 10.0
"""Windows whose answers scatter (standard deviation) more than this are a finding: eight published slices."""

WINDOWS = ("covering", "all")


@dataclass(frozen=True)
class WindowAnswers:
    """What L-Net answered on the sliding windows.

    Args:
        starts: first slice of every window in the resized CT.
        resized: float ``(windows, 5)``: the answers as slice numbers of the resized CT, L1 first.
        used: boolean ``(windows,)``: the windows that were averaged.
    """

    starts: tuple[int, ...]
    resized: np.ndarray
    used: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The averaged slice numbers in the resized CT, ``(5,)``."""
        return self.resized[self.used].mean(axis=0)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation (ddof 0) of the averaged answers in slices of the resized CT, ``(5,)``."""
        return self.resized[self.used].std(axis=0)


def find_levels(
    scan: CTScan,
    bundle: ModelBundle | None,
    lungs: LungMask | None = None,
    landmarks: Landmarks | None = None,
    progress: Progress = silent,
    device: str = "cpu",
    windows: str = "covering",
) -> tuple[Levels, list[Finding]]:
    """The five levels of a scan.

    Args:
        scan: the CT.
        bundle: the L-Net bundle; None takes the estimate from the anatomy, labelled as such.
        lungs: the lungs; they are needed for landmarks only.
        landmarks: found from the lungs when None.
        progress: stage ``levels``; may cancel.
        device: where the network runs.
        windows: which windows are averaged, see :func:`run_windows`.

    Returns:
        The levels, each with its source and spread, and what to know about them. L4 follows L3 and L5 from now on.

    Raises:
        ScanError: neither network nor anatomy can say where the levels are.
        Cancelled: by ``progress``.
    """
    estimate, findings = _anatomy_estimate(scan, lungs, landmarks, progress)
    if bundle is None:
        if estimate is None:
            raise ScanError(
                "The levels cannot be found: there is no L-Net bundle, and the lungs' landmarks are not clear enough. "
                "Give the five levels yourself."
            )
        progress("levels", 1.0, "Levels estimated from the anatomy")
        message = (
            "There is no L-Net bundle: the levels are estimated from the ends of the lungs, the carina and the right "
            "diaphragm. Check them."
        )
        if landmarks is not None and landmarks.notes:
            message += " " + " ".join(landmarks.notes)
        return estimate, [*findings, Finding("levels_from_anatomy", "warning", message)]
    answers = run_windows(scan, bundle, progress, device, windows)
    levels, more = levels_from_answers(answers, bundle.input, scan)
    findings += more
    findings += spread_findings(levels)
    if estimate is not None:
        findings += disagreement_findings(levels, estimate)
    progress("levels", 1.0, "Levels found")
    return levels, findings


def run_windows(
    scan: CTScan, bundle: ModelBundle, progress: Progress = silent, device: str = "cpu", windows: str = "covering"
) -> WindowAnswers:
    """L-Net on windows that slide along z over the resized CT, each z-scored by itself.

    Args:
        windows: ``covering`` averages the windows that hold all five levels by the median of all answers, as the
            patches of training always do, and all windows when there is no such one; ``all`` averages all of them
            (the published program).

    Raises:
        ModelError: the bundle is no L-Net, or its answers are not numbers.
        Cancelled: by ``progress``.
    """
    from .devices import choose_device
    from .level_windows import window_answers

    if bundle.kind != "l_net":
        raise ModelError(f"{bundle.name} is a bundle for scores, not for levels; choose an L-Net bundle.")
    if windows not in WINDOWS:
        raise ValueError(f"windows is one of {', '.join(WINDOWS)}, not {windows!r}")
    settings: VolumeInput = bundle.input
    place = choose_device(device)
    network = bundle.network().eval().to(place)
    volume = settings.prepare(scan.voxels, progress)
    starts = settings.patch_starts()

    def tick(done: float, window: int) -> None:
        progress("levels", 0.5 + 0.5 * done, f"L-Net: window {window + 1} of {len(starts)}")

    answers = window_answers(network, volume, starts, settings.depth, place, tick=tick)
    if not np.isfinite(answers).all():
        raise ModelError(f"{bundle.name} gives answers that are not numbers; install the bundle again.")
    used = np.ones(len(starts), bool)
    if windows == "covering":
        consensus = np.median(answers, axis=0)
        first = np.asarray(starts)
        covering = (first <= consensus.min()) & (first + settings.depth - 1 >= consensus.max())
        used = covering if covering.any() else used
    return WindowAnswers(starts, answers, used)


def levels_from_answers(answers: WindowAnswers, settings: VolumeInput, scan: CTScan) -> tuple[Levels, list[Finding]]:
    """Levels in millimetres from L-Net's slice numbers: put in order, kept inside the scan, with remarks on both."""
    findings = []
    raw = [scan.mm_of_slice(settings.slice_from_resized(z, scan.slice_count)) for z in answers.mean]
    mm_per_resized_slice = scan.mm_per_slice * scan.slice_count / settings.size[0]
    spread = [None] * 5 if answers.used.sum() < 2 else [float(s * mm_per_resized_slice) for s in answers.spread]
    if any(below >= above for above, below in pairwise(raw)):
        listed = ", ".join(f"L{level:d} {mm:.0f} mm" for level, mm in zip(Level, raw, strict=True))
        message = f"The network named the levels out of order ({listed}); they were put in order. Check them."
        findings.append(Finding("levels_reordered", "warning", message))
    inside, outside = kept_inside(raw, scan)
    for level in outside:
        message = (
            f"The network placed level {level:d} at {raw[level - 1]:.0f} mm, outside the scan; "
            f"it was moved to {inside[level - 1]:.0f} mm. The scan may not cover the whole lungs."
        )
        findings.append(Finding("level_outside_scan", "warning", message))
    return Levels.from_mm(inside, "l_net", spread, l4_follows=True), findings


def kept_inside(mm: Sequence[float], scan: CTScan) -> tuple[tuple[float, ...], list[Level]]:
    """Five positions put into descending order and into the scan, on different slices where it has five.

    Returns:
        The positions, and the levels that lay outside the scan.
    """
    bottom, top = scan.mm_of_slice(0), scan.mm_of_slice(scan.slice_count - 1)
    gap = min(scan.mm_per_slice, (top - bottom) / 4)
    half = scan.mm_per_slice / 2
    outside = [level for level in Level if not bottom - half <= mm[level - 1] <= top + half]
    ordered = ordered_mm(mm, gap)
    # Room is left for the neighbours further up and further down, so that five levels fit on five slices.
    inside = [min(max(v, bottom + (4 - i) * gap), top - i * gap) for i, v in enumerate(ordered)]
    return tuple(inside), outside


def spread_findings(levels: Levels) -> list[Finding]:
    """A remark when the windows' answers scatter widely."""
    wide = [p for p in levels if p.spread_mm is not None and p.spread_mm > WIDE_SPREAD_MM]
    if not wide:
        return []
    listed = ", ".join(f"L{p.level:d} by {p.spread_mm:.0f} mm" for p in wide)
    message = f"The network is not sure where the levels are: its answers scatter ({listed}, SD). Check them."
    return [Finding("level_spread", "warning", message)]


def disagreement_findings(levels: Levels, estimate: Levels) -> list[Finding]:
    """A remark for every level that lies far from where the anatomy puts it."""
    return [
        Finding(
            "level_disagreement",
            "warning",
            f"Level {found.level:d} ({found.level.title}): the network says {found.mm:.0f} mm, the anatomy "
            f"{expected.mm:.0f} mm, {abs(found.mm - expected.mm):.0f} mm apart. Check this level.",
        )
        for found, expected in zip(levels, estimate, strict=True)
        if abs(found.mm - expected.mm) > DISAGREEMENT_MM
    ]


def _anatomy_estimate(
    scan: CTScan, lungs: LungMask | None, landmarks: Landmarks | None, progress: Progress
) -> tuple[Levels | None, list[Finding]]:
    """The levels by anatomy, or None with a remark when the landmarks do not tell."""
    from .anatomy import estimate_levels, find_landmarks

    if landmarks is None and lungs is None:
        return None, []
    try:
        if landmarks is None:
            landmarks = find_landmarks(scan, lungs, part_of(progress, 0.0, 0.1))
        return estimate_levels(landmarks, scan), []
    except ScanError as error:
        message = f"The levels could not be checked against the anatomy: {error}"
        return None, [Finding("levels_unchecked", "info", message)]
