"""Volumes that L-Net is trained on: scans of a cohort and phantoms, resized once as the network sees them.

Resizing averages over the height that each new slice covers, so that no slice of the scan is dropped
(:meth:`SScILDScoringLib.preprocessing.VolumeInput.prepare`). The cache's key follows from the scan's content and the
settings of resizing only: moved or copied scans and corrected levels need no new resizing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from SScILDScoringLib.preprocessing import VolumeInput
from SScILDScoringLib.progress import Progress

from .cache import ArrayCache, content_key
from .cohort import CohortRow
from .content import digests_beside
from .phantoms import cached_phantoms
from .preparation import Made, Work, prepared


@dataclass(frozen=True, eq=False)
class LevelCase:
    """A resized CT: int16 HU ``volume``, slice numbers ``levels`` of L1..L5 in it, millimetres per slice."""

    name: str
    volume: np.ndarray
    levels: np.ndarray
    mm_per_slice: float


def resizing(volume_input: VolumeInput) -> dict:
    """The part of the input settings that the resized volume depends on."""
    return {"size": list(volume_input.size), "hu_window": list(volume_input.hu_window), "depth": volume_input.size[0]}


def resized(scan, settings: Mapping) -> Made:
    """A scan as L-Net sees it: int16 ``volume``, and where its slices lie.

    Args:
        scan: a ``CTScan``. settings: see :func:`resizing`.
    """
    volume_input = VolumeInput(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
    volume = np.rint(volume_input.prepare(scan.voxels)).astype(np.int16)
    place = {"low_mm": scan.mm_of_slice(0), "mm_per_slice": scan.mm_per_slice, "slices": scan.slice_count}
    return {"volume": volume}, place


def _resized_scan(path: Path, settings: Mapping) -> Made:
    from SScILDScoringLib.scan import load_scan

    return resized(load_scan(path), settings)


def _resized_phantom(phantom, rng: np.random.Generator, settings: Mapping) -> Made:
    """``rng`` is not needed."""
    arrays, place = resized(phantom.scan, settings)
    return arrays, {**place, "mm": list(phantom.levels.mm)}


def scan_cases(
    cache: ArrayCache, rows: Sequence[CohortRow], volume_input: VolumeInput, progress: Progress
) -> list[LevelCase]:
    """The scans of cohort rows as cases, in their order.

    Raises:
        ScanError: a scan cannot be used; the message names the case.
    """
    digests, settings = digests_beside(cache), resizing(volume_input)
    work = []
    for row in rows:
        key = content_key("volume", 2, digests.of(row.path), settings)
        work.append(Work(key, row.case, _resized_scan, (row.path, settings)))
    digests.save()
    made = prepared(cache, work, "scans", progress)
    return [_case(row.case, row.mm, *entry, volume_input) for row, entry in zip(rows, made, strict=True)]


def phantom_cases(
    cache: ArrayCache, seeds: list[int], fixed: Mapping, volume_input: VolumeInput, progress: Progress
) -> list[LevelCase]:
    """Phantoms of ``seeds`` as cases."""
    made = cached_phantoms(cache, seeds, fixed, _resized_phantom, resizing(volume_input), progress)
    return [
        _case(f"phantom {seed}", facts["mm"], arrays, facts, volume_input)
        for seed, (arrays, facts) in zip(seeds, made, strict=True)
    ]


def _case(name: str, mm: Iterable[float], arrays: Mapping, facts: Mapping, volume_input: VolumeInput) -> LevelCase:
    slices = facts["slices"]
    numbers = [(v - facts["low_mm"]) / facts["mm_per_slice"] for v in mm]
    levels = np.array([volume_input.resized_from_slice(k, slices) for k in numbers])
    return LevelCase(name, arrays["volume"], levels, facts["mm_per_slice"] * slices / volume_input.size[0])
