"""How far a bundle's previews must look: the halo per stage, chosen on slices and stored with the bundle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import SettingsError
from ..networks.layout import stages_of
from ..progress import Progress, silent
from ..slice_network import SliceNetwork
from .engines import Work
from .incremental import describes_itself
from .incremental_maps import PREVIEW_LIMIT, Cut, Positions
from .precision import choose_precision
from .replacement import HeatMapSettings, replacement_texture
from .reporting import Reporter
from .sums import MapSums

WIDEST = 9
"""Cells per stage from which the search goes down."""

POSITIONS = 12
"""Positions of every slice that are computed exactly and with each halo that is tried."""


def calibrated_halo(
    bundle,
    slices: Sequence[tuple[np.ndarray, np.ndarray]],
    settings: HeatMapSettings | None = None,
    tolerance: float = PREVIEW_LIMIT / 4,
    device: str = "cpu",
    progress: Progress = silent,
) -> list[int]:
    """The smallest halo per stage with which previews stay within ``tolerance`` of the exact changes.

    From the widest halo downwards, the most expensive stages first, every stage's halo is taken back cell by cell as
    long as the largest difference on all slices stays below ``tolerance`` times the largest change. The result belongs
    into the bundle's metadata, ``heat_maps["preview_halo"]``.

    Args:
        bundle: the S-Net bundle, or a SliceNetwork made of one.
        slices: Hounsfield units ``(y, x)`` and lung mask of validation slices, with disease.
        settings: patch, step and edge; the bundle's when None.
        tolerance: share of the largest change; by default a quarter of what a preview is allowed. Other slices and
            positions are worse, what a halo leaves out adds up over positions, and rows left out come on top.
        device: where the network runs.
        progress: stage ``heat_maps``; may cancel.

    Raises:
        SettingsError: no slice with lung, or a network that does not describe its layers.
    """
    network = bundle if isinstance(bundle, SliceNetwork) else SliceNetwork(bundle, device)
    if not describes_itself(network.network):
        raise SettingsError(f"The network {network.bundle.name} does not describe its layers; it has no previews.")
    settings = settings or HeatMapSettings.of_bundle(network.bundle)
    # In float32, where the differences of a preview are not hidden behind those of rounding.
    precision = choose_precision("fp32", network.device)
    texture = replacement_texture(settings, network.bundle)
    report = Reporter(progress)
    samples = []
    for hu, lung in slices:
        work = Work(hu, network, settings, texture, MapSums(np.asarray(lung, bool)), report, precision)
        positions = Positions(work)
        numbers = positions.telling(POSITIONS)
        if numbers:
            samples.append((positions, numbers, positions.all_changes(numbers, precision)))
    if not samples:
        raise SettingsError("Calibrating a preview needs at least one slice with lung.")
    allowed = tolerance * max(np.abs(exact).max() for _, _, exact in samples)

    def suffices(halo: Sequence[int]) -> bool:
        return all(
            np.abs(positions.all_changes(numbers, precision, Cut(tuple(halo))) - exact).max() <= allowed
            for positions, numbers, exact in samples
        )

    halo = [WIDEST] * (max(stages_of(network.network.layers())) + 1)
    # The last stages but one cost most: their windows are small, their channels many, their blocks the most.
    for stage in sorted(range(len(halo)), key=lambda n: abs(n - (len(halo) - 2))):
        while halo[stage] > 0 and suffices([*halo[:stage], halo[stage] - 1, *halo[stage + 1 :]]):
            halo[stage] -= 1
    return halo
