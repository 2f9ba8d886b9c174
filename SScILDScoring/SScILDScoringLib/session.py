"""One opened scan with its networks loaded: what a person works with, where moving a level must not cost a minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .findings import Finding
from .heatmaps.replacement import HeatMapSettings
from .levels import Levels
from .pipeline import BundleChoice, assembled, find_lungs, find_model, level_findings, slice_progress
from .progress import Progress, part_of, silent
from .recent import Recent
from .results import ModelFacts, ScanResult
from .scan import CTScan
from .scores import LungProfile, SliceScores, goh_stage

if TYPE_CHECKING:
    from .anatomy import Landmarks
    from .explanations import ExplanationMaps
    from .heatmaps import HeatMaps
    from .lungs import LungMask
    from .slice_network import SliceNetwork

PREVIEW_FROM_S = 1.5
"""Exact heat maps of a slice that take less are not worth a preview."""

PREVIEW_SHARE = 0.25
"""How much of the way to exact heat maps their preview takes, about."""

KEPT_SLICES = 40
"""Slices whose maps are kept: five levels and some history of moving them (about 8 MB each at 512x512)."""

POSITION_FINDINGS = (
    *("levels_from_anatomy", "levels_unchecked", "levels_reordered"),
    *("level_outside_scan", "level_spread", "level_disagreement"),
)
"""Findings about how levels were found; they hold as long as a level still stands where it was put by that means."""

_MADE_ANEW = ("level_spread", "level_disagreement")


@dataclass(frozen=True)
class FoundLevels:
    """Five levels that were found, and what to compare them with.

    Args:
        levels: the five levels; L4 follows L3 and L5.
        anatomy: the estimate from landmarks, without a network; None when the landmarks do not tell.
        findings: what to know about the scan, its lungs and these levels.
    """

    levels: Levels
    anatomy: Levels | None
    findings: tuple[Finding, ...] = ()


class ScoringSession:
    """One opened scan, its lungs and landmarks, its networks, and everything computed so far.

    The steps are those of :func:`~SScILDScoringLib.pipeline.score_scan` and give the same numbers; here each is done
    once: scores, explanations and heat maps are kept by slice, so that moving one level costs one slice.

    >>> session = ScoringSession(load_scan("patient.nii.gz"))                  # doctest: +SKIP
    >>> found = session.find_levels()                                          # doctest: +SKIP
    >>> session.score(found.levels.moved(3, -120.0), heat_maps=True)           # doctest: +SKIP

    Args:
        scan: the CT.
        l_net: the L-Net bundle, its name or folder; the default one when None; False takes the anatomy's estimate.
        s_net: the S-Net bundle, its name or folder, or its network when it is loaded already; the default one when
            None. Without any, levels can be found but nothing scored.
        lungs: the lung mask on the scan's grid, or a file of it; segmented when first needed if None.
        lung_method: how lungs are found (see :func:`~SScILDScoringLib.lungs.segment_lungs`).
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        found: what :meth:`find_levels` gave in an earlier session on this scan, so that results keep its findings.

    Raises:
        SScILDError: a network, the device, or the given lung mask cannot be used.
    """

    def __init__(
        self,
        scan: CTScan,
        *,
        l_net: BundleChoice = None,
        s_net: BundleChoice | SliceNetwork = None,
        lungs: LungMask | str | Path | None = None,
        lung_method: str = "3d",
        device: str = "auto",
        found: FoundLevels | None = None,
    ) -> None:
        from .devices import choose_device
        from .slice_network import SliceNetwork

        self.scan = scan
        self.found = found
        self._device = choose_device(device)
        self._l_bundle = find_model(l_net, "l_net", optional=True)
        self._network = s_net if isinstance(s_net, SliceNetwork) else None
        self._s_bundle = self._network.bundle if self._network else find_model(s_net, "s_net", optional=True)
        self._lung_method = lung_method
        self._lungs = find_lungs(scan, lungs) if lungs is not None else None
        self._landmarks: Landmarks | None = None
        self._profile: LungProfile | None = None
        self._scores: dict[int, SliceScores] = {}
        self._explanations: Recent = Recent(KEPT_SLICES)
        self._heat_maps: Recent = Recent(KEPT_SLICES)
        self._exact_seconds: float | None = None  # of the latest heat maps
        self._seconds: dict[str, float] = {}

    # ---- what is opened --------------------------------------------------------------------------------------------

    @property
    def device(self) -> str:
        """The device in words."""
        from .devices import device_name

        return device_name(self._device)

    @property
    def models(self) -> tuple[ModelFacts, ...]:
        """The networks of this session: L-Net, S-Net, as far as there are any."""
        return tuple(ModelFacts.of(b) for b in (self._l_bundle, self._s_bundle) if b is not None)

    @property
    def network(self) -> SliceNetwork:
        """S-Net on the device, loaded when first asked for.

        Raises:
            ModelError: there is no S-Net.
        """
        from .slice_network import SliceNetwork

        if self._network is None:
            self._network = SliceNetwork(find_model(self._s_bundle or False, "s_net"), self._device)
        return self._network

    @property
    def lungs(self) -> LungMask:
        """The lungs; segmented when first asked for. Raises ScanError when there are none."""
        return self.find_lungs()

    @property
    def has_lungs(self) -> bool:
        """Whether :attr:`lungs` are at hand without work."""
        return self._lungs is not None

    def warm(self, progress: Progress = silent) -> None:
        """Loads the networks and runs each once, because the first run of a network is slow (stage ``warm``).

        Raises:
            ModelError: a bundle was altered or does not fit its network.
            Cancelled: by ``progress``.
        """
        progress("warm", 0.0, "Loading the networks")
        if self._s_bundle is not None:
            middle = self.scan.axial_slice(self.scan.slice_count // 2)
            prepared = self.network.input.prepare(middle)[None]
            self.network.run(prepared)
            if self.network.has_maps:
                self.network.maps(prepared)
        progress("warm", 0.4, "Loading the networks")
        if self._l_bundle is not None:
            _run_once(self._l_bundle, self._device)
        progress("warm", 1.0, "Networks loaded")

    # ---- steps -----------------------------------------------------------------------------------------------------

    def find_lungs(self, progress: Progress = silent) -> LungMask:
        """The lungs, segmented at the first call (stage ``lungs``).

        Raises:
            ScanError: no lung is found.
            Cancelled: by ``progress``.
        """
        if self._lungs is None:
            with self._timed("lungs"):
                self._lungs = find_lungs(self.scan, None, self._lung_method, progress)
        return self._lungs

    def find_levels(self, progress: Progress = silent) -> FoundLevels:
        """The five levels by L-Net, or by the anatomy without one; computed at the first call.

        Args:
            progress: stages ``quality``, ``lungs``, ``landmarks`` and ``levels``; may cancel.

        Raises:
            ScanError: no lung is found, or neither network nor anatomy can say where the levels are.
            Cancelled: by ``progress``.
        """
        from .anatomy import estimate_levels
        from .level_selection import find_levels

        if self.found is None:
            findings = self._findings_of_scan(progress)
            landmarks = self._find_landmarks(progress)
            with self._timed("levels"):
                levels, more = find_levels(self.scan, self._l_bundle, self._lungs, landmarks, progress, self._device)
            self.found = FoundLevels(levels, estimate_levels(landmarks, self.scan), (*findings, *more))
        return self.found

    def score(
        self,
        levels: Levels,
        *,
        case: str | None = None,
        fvc_percent: float | None = None,
        heat_maps: bool = False,
        heat_map_settings: HeatMapSettings | None = None,
        every_slice: bool = False,
        progress: Progress = silent,
    ) -> ScanResult:
        """The result at five levels; computed is only what was not before.

        Heat maps and the profile of every slice that are there already are part of the result also when they are not
        asked for: ``heat_maps`` and ``every_slice`` say what is to be computed if it is missing.

        Args:
            levels: where to score.
            case: name of the result; the scan's own name when None.
            fvc_percent: forced vital capacity in percent of the predicted value.
            heat_maps: compute the heat maps of levels that have none.
            heat_map_settings: patch, step, edge and replacement; the S-Net bundle's when None.
            every_slice: score every slice that holds lung.
            progress: stages ``quality``, ``lungs``, ``scores``, ``explanations``, ``profile``, ``heat_maps``; may
                cancel. Heat maps of slices that were finished before are kept.

        Raises:
            ScanError: a level lies outside the scan, or no lung is found.
            ModelError: there is no S-Net, or it cannot be used.
            SettingsError: a forced vital capacity or a heat-map setting that cannot be.
            Cancelled: by ``progress``.
        """
        goh_stage(0.0, fvc_percent)  # a wrong FVC is said before the work, not after
        scan, network = self.scan, self.network
        indices = levels.slice_indices(scan)
        settings = heat_map_settings or HeatMapSettings.of_bundle(network.bundle)
        findings = [f for f in self._findings_of_scan(progress) if f.code not in POSITION_FINDINGS]
        scores = self._score_slices(indices, progress)
        explanations = self._explain_slices(indices, progress)
        if every_slice:
            self._score_every_slice(progress)
        if heat_maps:
            self._render_heat_maps(indices, settings, progress)
        maps = tuple(self._heat_maps.get((k, settings)) for k in indices)
        maps = () if any(m is None for m in maps) else maps
        findings += self._findings_of_positions(levels)
        findings += level_findings(scan, self.lungs, levels, indices, scores)
        placed_by_network = any(p.source == "l_net" for p in levels)
        used = [b for b in ((self._l_bundle if placed_by_network else None), self._s_bundle) if b is not None]
        return assembled(
            scan,
            self.lungs,
            levels,
            used,
            case=case,
            findings=findings,
            scores=scores,
            heat_maps=maps,
            explanations=explanations,
            profile=self._profile,
            fvc_percent=fvc_percent,
            device=self.device,
            seconds={**self._seconds, "total": sum(self._seconds.values())},
        )

    def heat_maps(
        self,
        k: int,
        settings: HeatMapSettings | None = None,
        progress: Progress = silent,
        partial: Callable[[HeatMaps], None] | None = None,
    ) -> HeatMaps:
        """The heat maps of one axial slice, so that a level can be shown while the next is computed; kept for later.

        Args:
            k: canonical slice index. settings: patch, step, edge and replacement; the S-Net bundle's when None.
            progress: stage ``heat_maps``; may cancel.
            partial: shown what there is so far, at most every 100 ms, for somebody who looks at this slice and waits:
                a guarded preview while it grows (``exact`` is False), which stays until the exact maps are returned;
                or the exact maps while they grow, where they are quick or the network allows no preview.

        Raises:
            ScanError: the scan has no such slice, or no lung is found.
            ModelError: there is no S-Net.
            Cancelled: by ``progress``.
        """
        self.scan.axial_slice(k)
        settings = settings or HeatMapSettings.of_bundle(self.network.bundle)
        self._render_heat_maps([k], settings, progress, partial)
        return self._heat_maps.get((k, settings))

    def has_heat_maps(self, k: int, settings: HeatMapSettings | None = None) -> bool:
        """Whether the heat maps of axial slice ``k`` (canonical) are there already."""
        return (k, settings or HeatMapSettings.of_bundle(self.network.bundle)) in self._heat_maps

    # ---- what is kept ----------------------------------------------------------------------------------------------

    def _score_slices(self, indices: Sequence[int], progress: Progress) -> tuple[SliceScores, ...]:
        from .slice_scoring import score_slices

        missing = [k for k in dict.fromkeys(indices) if k not in self._scores]
        if missing:
            with self._timed("scores"):
                answers = score_slices(self.scan, missing, self.network, progress)
            self._scores.update(zip(missing, answers, strict=True))
        return tuple(self._scores[k] for k in indices)

    def _explain_slices(self, indices: Sequence[int], progress: Progress) -> tuple[ExplanationMaps, ...]:
        from .slice_scoring import explain_slices

        if not self.network.has_maps:
            return ()
        missing = [k for k in dict.fromkeys(indices) if k not in self._explanations]
        if missing:
            with self._timed("explanations"):
                maps = explain_slices(self.scan, missing, self.network, progress)
            self._explanations.update(zip(missing, maps, strict=True))
        return tuple(self._explanations.get(k) for k in indices)

    def _score_every_slice(self, progress: Progress) -> None:
        from .slice_scoring import score_every_slice

        if self._profile is None:
            with self._timed("profile"):
                self._profile = score_every_slice(self.scan, self.lungs, self.network, progress)
            for k, scores in zip(self._profile.slice_indices, self._profile.scores, strict=True):
                self._scores.setdefault(k, scores)

    def _render_heat_maps(
        self,
        indices: Sequence[int],
        settings: HeatMapSettings,
        progress: Progress,
        partial: Callable[[HeatMaps], None] | None = None,
    ) -> None:
        missing = [k for k in dict.fromkeys(indices) if (k, settings) not in self._heat_maps]
        for n, k in enumerate(missing):
            part = slice_progress(progress, n, len(missing))
            with self._timed("heat_maps", more=n > 0):
                rendered = self._rendered(k, settings, part, partial)
            self._heat_maps[k, settings] = rendered
            self._exact_seconds = rendered.seconds

    def _rendered(
        self, k: int, settings: HeatMapSettings, progress: Progress, partial: Callable[[HeatMaps], None] | None
    ) -> HeatMaps:
        from .heatmaps import render_heat_maps
        from .heatmaps.engines import best_engine

        slice_and_lung = self.scan.axial_slice(k), self.lungs.mask(k)
        quick = self._exact_seconds is not None and self._exact_seconds < PREVIEW_FROM_S
        if partial is not None and not quick and best_engine(self.network) == "incremental":
            part = part_of(progress, 0.0, PREVIEW_SHARE)

            def grows(maps: HeatMaps) -> None:
                partial(replace(maps, tolerance=None))  # a share of the largest value, which nobody knows yet

            preview = render_heat_maps(*slice_and_lung, self.network, settings, part, engine="preview", partial=grows)
            if preview.exact:  # the guard found no shortcut that is near enough
                return preview
            partial(preview)
            # It stays until the end: half of the exact maps would be further from them.
            progress, partial = part_of(progress, PREVIEW_SHARE, 1.0), None
        return render_heat_maps(*slice_and_lung, self.network, settings, progress, partial=partial)

    def _find_landmarks(self, progress: Progress) -> Landmarks:
        from .anatomy import find_landmarks

        if self._landmarks is None:
            lungs = self.find_lungs(progress)
            with self._timed("landmarks"):
                self._landmarks = find_landmarks(self.scan, lungs, progress)
        return self._landmarks

    # ---- findings --------------------------------------------------------------------------------------------------

    @cached_property
    def _quality_findings(self) -> tuple[Finding, ...]:
        from .quality import inspect_scan

        with self._timed("quality"):
            return tuple(inspect_scan(self.scan))

    @cached_property
    def _coverage_findings(self) -> tuple[Finding, ...]:
        from .quality import inspect_coverage

        return tuple(inspect_coverage(self.scan, self.lungs))

    def _findings_of_scan(self, progress: Progress) -> list[Finding]:
        if "_quality_findings" not in self.__dict__:
            progress("quality", 0.0, "Checking the scan")
        findings = self._quality_findings
        self.find_lungs(progress)
        return [*findings, *self._coverage_findings]

    def _findings_of_positions(self, levels: Levels) -> list[Finding]:
        """What was said when the levels were found, as far as it still holds for ``levels``."""
        from .level_selection import disagreement_findings, spread_findings

        if self.found is None:
            return []
        by_network = any(p.source == "l_net" for p in levels)
        by_anatomy = any(p.source == "anatomy" for p in levels)
        findings = []
        for finding in self.found.findings:
            holds = by_anatomy if finding.code == "levels_from_anatomy" else by_network
            if (
                holds
                and finding.code in POSITION_FINDINGS
                and finding.code not in ("level_spread", "level_disagreement")
            ):
                findings.append(finding)
        if by_network:
            findings += spread_findings(levels)
            if self.found.anatomy is not None:
                pairs = [(p, e) for p, e in zip(levels, self.found.anatomy, strict=True) if p.source == "l_net"]
                findings += disagreement_findings(*zip(*pairs, strict=True))
        return findings

    @contextmanager
    def _timed(self, step: str, more: bool = False) -> Iterator[None]:
        """Notes the wall time of a step; ``more`` adds it to that of the same step before."""
        started = time.perf_counter()
        yield
        self._seconds[step] = time.perf_counter() - started + (self._seconds.get(step, 0.0) if more else 0.0)


def _run_once(bundle, device) -> None:
    """Loads an L-Net and runs it on an empty window."""
    import torch

    network = bundle.network().eval().to(device)
    settings = bundle.input
    with torch.inference_mode():
        network(torch.zeros(1, 1, settings.depth, *settings.size[1:], device=device))
