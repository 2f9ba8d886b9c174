"""Replacement-based heat maps: where in a slice S-Net sees the disease it counted (Jia 2024; method.md section 5)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..errors import SettingsError
from ..progress import Progress, silent
from ..scores import PATTERNS, Pattern, SliceScores
from .replacement import HeatMapSettings, replacement_texture
from .reporting import Outcome, Reporter


@dataclass(frozen=True)
class HeatMaps:
    """The three heat maps of one axial slice.

    Args:
        maps: float32 ``(3, y, x)``, TOT, GG, RET in percentage points; below 0 where the network found disease,
            above 0 where it took the replacement for disease, 0 where nothing was covered.
        covered: boolean ``(y, x)``: lung pixels that at least one patch covered.
        lung: boolean ``(y, x)``: the lung mask the maps were made with.
        baseline: S-Net's answer to the untouched slice.
        settings: what was replaced.
        engine: the implementation that computed the maps.
        network_runs: how many inputs S-Net was run on, the untouched slice included.
        seconds: wall time.
        precision: of the network's arithmetic: ``fp32``, ``bf16`` or ``fp16``.
        exact: whether every change was followed through the network as far as its arithmetic goes: in fp32 every cell
            that a patch reaches was recomputed, in bf16 every one whose change exceeds rounding. False for a preview.
        tolerance: largest difference from the exact answer in fp32 (of a preview: from the exact answer) on the
            ``checked_positions``, as a share of the maps' largest absolute value; None where nothing was checked.
        checked_positions: how many positions were computed twice to measure the tolerance.
    """

    maps: np.ndarray
    covered: np.ndarray
    lung: np.ndarray
    baseline: SliceScores
    settings: HeatMapSettings = field(default_factory=HeatMapSettings)
    engine: str = "batched"
    network_runs: int = 0
    seconds: float = 0.0
    precision: str = "fp32"
    exact: bool = True
    tolerance: float | None = None
    checked_positions: int = 0

    def of(self, pattern: Pattern) -> np.ndarray:
        """The map of one pattern, float32 ``(y, x)`` in percentage points."""
        return self.maps[PATTERNS.index(pattern)]

    def area_below(self, pattern: Pattern, threshold: float) -> np.ndarray:
        """Boolean ``(y, x)``: the covered lung where the map is below ``threshold`` (percentage points)."""
        return (self.of(pattern) < threshold) & self.covered

    def derived_score(self, pattern: Pattern, threshold: float) -> float:
        """The score that the thresholded map stands for: area below ``threshold`` / lung area, in percent."""
        lung = int(self.lung.sum())
        return 100.0 * int(self.area_below(pattern, threshold).sum()) / lung if lung else 0.0


def render_heat_maps(
    hu: np.ndarray,
    lung: np.ndarray,
    bundle,
    settings: HeatMapSettings | None = None,
    progress: Progress = silent,
    device: str = "cpu",
    *,
    engine: str = "auto",
    precision: str = "auto",
    partial: Callable[[HeatMaps], None] | None = None,
    batch_size: int | None = None,
) -> HeatMaps:
    """The heat maps of one axial slice, all three patterns at once.

    Every position whose patch covers lung costs one network run; the others change nothing and are skipped. The
    change of the network's raw answer is added to the lung pixels under the patch, and every pixel is divided by the
    number of patches that covered it.

    Args:
        hu: Hounsfield units ``(y, x)``.
        lung: boolean ``(y, x)``.
        bundle: the S-Net bundle; its healthy patch is the replacement. Or a
            :class:`~SScILDScoringLib.slice_network.SliceNetwork` made of one, which saves loading it again.
        settings: patch, step, edge and replacement; the bundle's when None (the published ones if it has none).
        progress: told at least every 100 ms (stage ``heat_maps``); may cancel.
        device: where the network runs.
        engine: ``auto`` takes ``incremental`` for networks that describe their own blocks and ``batched`` for
            others; ``reference`` is the slow yardstick. These give the same maps, up to rounding. ``preview`` is a
            guarded approximation of the incremental engine.
        precision: ``fp32``, ``bf16`` or ``fp16``; ``auto`` takes what the device computes fast.
        partial: given the maps of the positions finished so far, at most every 100 ms. It is called from the thread
            that called this function.
        batch_size: positions computed together; chosen by the device when None. It does not change the result.

    Raises:
        SettingsError: slice and lung mask differ in size, or an unknown engine or precision.
        Cancelled: by ``progress``.
    """
    from ..devices import full_float32
    from ..slice_network import SliceNetwork
    from .engines import ENGINES, Work
    from .precision import choose_precision
    from .sums import MapSums

    hu, lung = np.asarray(hu), np.asarray(lung, bool)
    if hu.ndim != 2 or hu.shape != lung.shape:
        raise SettingsError(f"The slice {hu.shape} and its lung mask {lung.shape} must have the same size.")
    if engine not in ("auto", *ENGINES):
        raise SettingsError(f"The heat maps' engine is one of auto, {', '.join(ENGINES)}, not {engine!r}.")
    started = time.perf_counter()
    network = bundle if isinstance(bundle, SliceNetwork) else SliceNetwork(bundle, device)
    choose_precision(precision, network.device)
    engine = _usable(engine, network)
    settings = settings or HeatMapSettings.of_bundle(network.bundle)
    texture = replacement_texture(settings, network.bundle)
    sums = MapSums(lung)

    def maps_of(outcome: Outcome) -> HeatMaps:
        return HeatMaps(
            sums.means(),
            sums.covered,
            lung,
            SliceScores(tuple(outcome.baseline)),
            settings,
            engine,
            1 + sums.patches,
            time.perf_counter() - started,
            outcome.precision,
            outcome.exact,
            outcome.tolerance,
            outcome.checked_positions,
        )

    report = Reporter(progress, partial and (lambda outcome: partial(maps_of(outcome))))
    with full_float32():
        return maps_of(ENGINES[engine](Work(hu, network, settings, texture, sums, report, precision, batch_size)))


def _usable(engine: str, network) -> str:
    from .engines import best_engine

    best = best_engine(network)
    if engine in ("incremental", "preview") and best != "incremental":
        raise SettingsError(
            f"The network {network.bundle.name} does not describe its layers; use the engine auto or batched for it."
        )
    return best if engine == "auto" else engine
