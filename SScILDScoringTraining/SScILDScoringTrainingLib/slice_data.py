"""Slices that S-Net is trained on: healthy ones of scans, phantom slices with their truth, scored ones of a cohort."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from SScILDScoringLib.body import body_mask
from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.progress import Progress

from .config import one_of
from .datasets import ArrayCache, content_key, file_state
from .synthesis import Background, Slab, SyntheticSlice, backgrounds_from_scan

LUNG, BODY, GROUND_GLASS, RETICULATION = 1, 2, 4, 8


@dataclass(frozen=True)
class SliceSource:
    """Healthy slices of one scan.

    Args:
        path: the scan. name: of the scan, part of the slices' names.
        slices: which, as the file's canonical numbers (k grows to the head): ``12-44,85-104``; slices without lung
            are welcome, they must score 0.
        split: ``train`` or ``validation``.
        slabs: the same slices once more for each, as a scanner with thicker slices would show them.
    """

    path: str
    name: str
    slices: str
    split: str = "train"
    slabs: tuple[Slab, ...] = ()

    def __post_init__(self) -> None:
        one_of("split", self.split, ("train", "validation", "test"))


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """A slice with masks packed into ``flags`` (LUNG, BODY, GROUND_GLASS, RETICULATION), or with scores only.

    Args:
        hu: int16 ``(y, x)``. flags: uint8 ``(y, x)``.
        scores: TOT, GG, RET in percent when they were given by a person; None: they follow from the masks.
    """

    hu: np.ndarray
    flags: np.ndarray
    spacing_mm: tuple[float, float]
    name: str
    height: float | None = None
    scores: tuple[float, float, float] | None = None

    def mask(self, bit: int) -> np.ndarray:
        """One of the masks, bool ``(y, x)``."""
        return (self.flags & bit) > 0

    def background(self) -> Background:
        """The slice as a place to draw disease into."""
        return Background(
            np.asarray(self.hu), self.mask(LUNG), self.mask(BODY), self.spacing_mm, self.name, self.height
        )

    @property
    def lung_mm2(self) -> float:
        """Area of the lung mask in square millimetres."""
        return float(np.count_nonzero(self.flags & LUNG)) * self.spacing_mm[0] * self.spacing_mm[1]

    @property
    def healthy(self) -> bool:
        """No disease in masks or scores."""
        return self.scores[0] == 0 if self.scores else not (self.flags & (GROUND_GLASS | RETICULATION)).any()


def packed(sample: SyntheticSlice) -> np.ndarray:
    """The masks of a sample as flags, uint8 ``(y, x)``."""
    flags = sample.lung.astype(np.uint8) * LUNG
    flags |= sample.body.astype(np.uint8) * BODY
    flags |= sample.ground_glass.astype(np.uint8) * GROUND_GLASS
    flags |= sample.reticulation.astype(np.uint8) * RETICULATION
    return flags


def slice_numbers(text: str) -> list[int]:
    """``12-14,20`` -> [12, 13, 14, 20]. Raises SettingsError for anything else."""
    numbers: list[int] = []
    try:
        for part in str(text).split(","):
            first, _, last = part.strip().partition("-")
            numbers += range(int(first), int(last or first) + 1)
    except ValueError:
        raise SettingsError(f"Slices are written as 12-44,85-104, not {text!r}.") from None
    return numbers


def healthy_slices(cache: ArrayCache, sources: Sequence[SliceSource], progress: Progress) -> list[LabelledSlice]:
    """The slices of the sources with lung and body masks, cached.

    Raises:
        ScanError: a scan is not readable or has no such slice.
    """
    from SScILDScoringLib.lungs import segment_lungs
    from SScILDScoringLib.scan import load_scan

    result: list[LabelledSlice] = []
    for n, source in enumerate(sources):
        numbers = slice_numbers(source.slices)
        slabs = [[slab.mm, slab.brightest] for slab in source.slabs]
        key = content_key("slices", 1, Path(source.path).name, file_state(source.path), numbers, *slabs)
        stored = cache.get(key)
        if stored is None:
            progress("scans", n / len(sources), f"Reading {source.name}")
            scan = load_scan(source.path)
            made = backgrounds_from_scan(scan, segment_lungs(scan), numbers, source.name, source.slabs)
            cache.put(key, *_stacked([_labelled(b) for b in made]))
            stored = cache.get(key)
        result += _unstacked(*stored)
    return result


def _labelled(background: Background) -> LabelledSlice:
    flags = background.lung.astype(np.uint8) * LUNG + background.body.astype(np.uint8) * BODY
    return LabelledSlice(background.hu, flags, background.spacing_mm, background.name, background.height)


def _stacked(slices: Sequence[LabelledSlice]) -> tuple[dict[str, np.ndarray], dict]:
    arrays = {"hu": np.stack([s.hu for s in slices]), "flags": np.stack([s.flags for s in slices])}
    facts = [[list(s.spacing_mm), s.name, s.height, list(s.scores) if s.scores else None] for s in slices]
    return arrays, {"slices": facts}


def _unstacked(arrays: Mapping, facts: Mapping) -> list[LabelledSlice]:
    return [
        LabelledSlice(hu, flags, tuple(spacing), name, height, tuple(scores) if scores else None)
        for hu, flags, (spacing, name, height, scores) in zip(
            arrays["hu"], arrays["flags"], facts["slices"], strict=True
        )
    ]


def reduced_phantom(phantom, rng: np.random.Generator, settings: Mapping) -> tuple[dict[str, np.ndarray], dict]:
    """Some axial slices of a phantom with their masks: ``settings["slices"]`` of them, evenly over its height."""
    scan = phantom.scan
    count = min(int(settings["slices"]), scan.slice_count)
    edges = np.linspace(0, scan.slice_count, count + 1)
    numbers = [int(rng.integers(int(a), max(int(b), int(a) + 1))) for a, b in itertools.pairwise(edges)]
    with_lung = [k for k in range(scan.slice_count) if phantom.lungs.mask(k).any()]
    slices = []
    for k in numbers:
        hu = np.clip(scan.axial_slice(k), -1024, 3071).astype(np.int16)
        lung = phantom.lungs.mask(k)
        flags = lung.astype(np.uint8) * LUNG + (body_mask(hu) | lung).astype(np.uint8) * BODY
        flags |= (phantom.ground_glass[k] & lung).astype(np.uint8) * GROUND_GLASS
        flags |= (phantom.reticulation[k] & lung).astype(np.uint8) * RETICULATION
        height = float(np.clip((k - with_lung[0]) / max(with_lung[-1] - with_lung[0], 1), 0, 1)) if with_lung else None
        slices.append(LabelledSlice(hu, flags, (scan.spacing[1], scan.spacing[0]), f"phantom:{k}", height))
    return _stacked(slices)


def phantom_slices(
    cache: ArrayCache, seeds: list[int], fixed: Mapping, slices: int, progress: Progress
) -> list[LabelledSlice]:
    """``slices`` slices of each of the phantoms of ``seeds``, cached."""
    from .phantoms import cached_phantoms

    made = cached_phantoms(cache, seeds, fixed, reduced_phantom, {"slices": slices}, progress)
    return [s for stored in made for s in _unstacked(*stored)]


def cohort_slices(cache: ArrayCache, rows: Sequence, neighbours: int, lungs: bool, progress: Progress):
    """The five scored slices of every row and ``neighbours`` slices above and below each, with the same scores.

    Args:
        rows: :class:`..cohort.CohortRow` with scores.
        neighbours: 1 as published. lungs: find the lungs (needed to synthesise disease into healthy slices).
    """
    from SScILDScoringLib.lungs import segment_lungs
    from SScILDScoringLib.scan import load_scan

    result: list[LabelledSlice] = []
    for n, row in enumerate(rows):
        key = content_key("scored", 1, row.path.name, file_state(row.path), row.mm, row.scores, neighbours, lungs)
        stored = cache.get(key)
        if stored is None:
            progress("scans", n / len(rows), f"Reading {row.case}")
            scan = load_scan(row.path)
            mask = segment_lungs(scan) if lungs else None
            slices = []
            for mm, scores in zip(row.mm, row.scores, strict=True):
                centre = scan.slice_at(mm)
                for k in range(max(centre - neighbours, 0), min(centre + neighbours, scan.slice_count - 1) + 1):
                    hu = np.clip(scan.axial_slice(k), -1024, 3071).astype(np.int16)
                    flags = body_mask(hu).astype(np.uint8) * BODY
                    if mask is not None:
                        flags |= mask.mask(k).astype(np.uint8) * LUNG
                    spacing = (scan.spacing[1], scan.spacing[0])
                    slices.append(LabelledSlice(hu, flags, spacing, f"{row.case}:{k}", None, scores))
            cache.put(key, *_stacked(slices))
            stored = cache.get(key)
        result += _unstacked(*stored)
    return result
