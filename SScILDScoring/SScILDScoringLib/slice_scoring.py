"""S-Net on axial slices: the five levels, every slice of the lung, and the maps that a ratio head shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .errors import ScanError
from .explanations import ExplanationMaps
from .preprocessing import resize_slice
from .progress import Progress, silent
from .scan import CTScan
from .scores import LungProfile, SliceScores
from .slice_network import SliceNetwork

if TYPE_CHECKING:
    from .lungs import LungMask
    from .models import ModelBundle

GPU_BATCH = 16
"""Slices given to a GPU at once, so that it is busy."""

CPU_BATCH = 1
"""On a CPU larger batches win nothing: ConvNeXt-Tiny takes 203 ms a slice alone, 235 ms each in fours and 293 ms in
eights, the starter the same processor time alone and in fives (Testing/Benchmarks/bench_levels.py). And one slice can
be cancelled."""

SMALLEST_LUNG_MM2 = 100.0
"""A slice with less lung is left out of the profile: it is the very tip of a lung."""


def score_slices(
    scan: CTScan,
    indices: Sequence[int],
    bundle: ModelBundle | SliceNetwork,
    progress: Progress = silent,
    device: str = "cpu",
    stage: str = "scores",
) -> list[SliceScores]:
    """S-Net's scores of axial slices.

    Args:
        scan: the CT.
        indices: canonical slice indices.
        bundle: the S-Net bundle, or its network when it is loaded already.
        progress: told after every batch under the name ``stage``; may cancel.
        device: where the network runs.

    Raises:
        ScanError: the scan has no such slice.
        ModelError: no S-Net, or answers that are not numbers.
        Cancelled: by ``progress``.
    """
    network = _network(bundle, device)
    scores: list[SliceScores] = []
    size = CPU_BATCH if network.device.type == "cpu" else GPU_BATCH
    for start in range(0, len(indices), size):
        progress(stage, start / len(indices), f"Scoring slice {start + 1} of {len(indices)}")
        inputs = [network.input.prepare(scan.axial_slice(k)) for k in indices[start : start + size]]
        scores += [SliceScores(tuple(answer)) for answer in network.run(np.stack(inputs))]
    progress(stage, 1.0, f"{len(indices)} slices scored")
    return scores


def score_every_slice(
    scan: CTScan,
    lungs: LungMask,
    bundle: ModelBundle | SliceNetwork,
    progress: Progress = silent,
    device: str = "cpu",
) -> LungProfile:
    """Scores of every axial slice that holds lung (the "future" section of Jia 2024).

    Raises:
        ScanError: no slice holds lung.
        Cancelled: by ``progress`` (stage ``profile``).
    """
    # A step along x and along y spans this area; the axes of a tilted scan's slices are still perpendicular.
    pixel = scan.spacing[0] * scan.spacing[1]
    areas = lungs.areas().sum(axis=1) * pixel
    indices = tuple(int(k) for k in np.flatnonzero(areas >= SMALLEST_LUNG_MM2))
    if not indices:
        raise ScanError("No slice of the scan holds lung; there is nothing to score.")
    return LungProfile(
        indices,
        tuple(scan.file_slice(k) for k in indices),
        tuple(scan.mm_of_slice(k) for k in indices),
        tuple(float(areas[k]) for k in indices),
        tuple(score_slices(scan, indices, bundle, progress, device, "profile")),
    )


def explain_slices(
    scan: CTScan,
    indices: Sequence[int],
    bundle: ModelBundle | SliceNetwork,
    progress: Progress = silent,
    device: str = "cpu",
) -> list[ExplanationMaps]:
    """The lung and disease maps of a ratio-head network, resampled to the slices' own grid.

    Returns:
        One for every slice; an empty list when the network has no such maps.
    """
    network = _network(bundle, device)
    if not network.has_maps:
        return []
    maps = []
    for n, k in enumerate(indices):
        progress("explanations", n / len(indices), f"Maps of slice {n + 1} of {len(indices)}")
        hu = scan.axial_slice(k)
        lung, patterns = network.maps(network.input.prepare(hu)[None])
        grown = np.stack([resize_slice(m, *hu.shape) for m in (lung[0], *patterns[0])])
        maps.append(ExplanationMaps(grown[0], grown[1:]))
    return maps


def _network(bundle: ModelBundle | SliceNetwork, device: str) -> SliceNetwork:
    return bundle if isinstance(bundle, SliceNetwork) else SliceNetwork(bundle, device)
