"""Slices that S-Net is trained on: healthy ones of scans, phantom slices with their truth, scored ones of a cohort."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from SScILDScoringLib.body import body_mask
from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.progress import Progress
from SScILDScoringLib.recent import Recent

from .cache import ArrayCache, content_key
from .cohort import CohortRow
from .config import one_of
from .content import digests_beside
from .preparation import Made, Work, prepared
from .synthesis import Background, Slab, SyntheticSlice, backgrounds_from_scan
from .synthesis.backgrounds import LungAnatomy

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

    def background(self, known: LungAnatomy | None = None) -> Background:
        """The slice as a place to draw disease into; ``known``: its anatomy, if it was found before."""
        return Background(
            np.asarray(self.hu), self.mask(LUNG), self.mask(BODY), self.spacing_mm, self.name, self.height, known
        )

    @property
    def lung_mm2(self) -> float:
        """Area of the lung mask in square millimetres."""
        return float(np.count_nonzero(self.flags & LUNG)) * self.spacing_mm[0] * self.spacing_mm[1]

    @property
    def healthy(self) -> bool:
        """No disease in masks or scores."""
        return self.scores[0] == 0 if self.scores else not (self.flags & (GROUND_GLASS | RETICULATION)).any()


class Backgrounds(Sequence[Background]):
    """Slices as backgrounds, unpacked when they are asked for: a cohort has more than fit into memory.

    The last :data:`KEPT` stay unpacked, so that what is known of their anatomy is found again.

    Args:
        anatomies: of each slice, when they are known (:func:`.slice_anatomy.anatomies`).
    """

    KEPT = 256

    def __init__(self, slices: Sequence[LabelledSlice], anatomies: Sequence[LungAnatomy | None] | None = None) -> None:
        self._slices = list(slices)
        self._anatomies = list(anatomies) if anatomies is not None else [None] * len(self._slices)
        self._unpacked: Recent = Recent(self.KEPT)

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, number: int) -> Background:
        found = self._unpacked.get(number)
        if found is None:
            found = self._unpacked[number] = self._slices[number].background(self._anatomies[number])
        return found


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
    digests, work = digests_beside(cache), []
    for source in sources:
        numbers = slice_numbers(source.slices)
        slabs = [[slab.mm, slab.brightest] for slab in source.slabs]
        key = content_key("healthy slices", 2, digests.of(source.path), numbers, source.name, slabs)
        work.append(Work(key, source.name, _healthy_slices, (Path(source.path), numbers, source.name, source.slabs)))
    digests.save()
    return [s for made in prepared(cache, work, "scans", progress) for s in _unstacked(*made)]


def _healthy_slices(path: Path, numbers: Sequence[int], name: str, slabs: Sequence[Slab]) -> Made:
    from SScILDScoringLib.lungs import segment_lungs
    from SScILDScoringLib.scan import load_scan

    scan = load_scan(path)
    return _stacked([_labelled(b) for b in backgrounds_from_scan(scan, segment_lungs(scan), numbers, name, slabs)])


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
        height = _height(k, with_lung)
        slices.append(LabelledSlice(hu, flags, (scan.spacing[1], scan.spacing[0]), f"phantom:{k}", height))
    return _stacked(slices)


def phantom_slices(
    cache: ArrayCache, seeds: list[int], fixed: Mapping, slices: int, progress: Progress
) -> list[LabelledSlice]:
    """``slices`` slices of each of the phantoms of ``seeds``, cached."""
    from .phantoms import cached_phantoms

    made = cached_phantoms(cache, seeds, fixed, reduced_phantom, {"slices": slices}, progress)
    return [s for stored in made for s in _unstacked(*stored)]


def cohort_slices(
    cache: ArrayCache, rows: Sequence[CohortRow], neighbours: int, lungs: bool, progress: Progress
) -> list[LabelledSlice]:
    """The scored slices of every row and ``neighbours`` slices above and below each, with the same scores.

    Args:
        rows: those without scores, and levels without scores, are passed over.
        neighbours: 1 as published. lungs: find the lungs (needed to synthesise disease into healthy slices), or take
            those of the row's ``lung_path``.

    Raises:
        ScanError: a scan or lung mask cannot be used; the message names the case.
    """
    digests, work = digests_beside(cache), []
    rows = [row for row in rows if row.scores is not None]
    for row in rows:
        given = row.lung_path if lungs else None
        scored = [mm for mm, scores in zip(row.mm, row.scores, strict=True) if scores is not None]
        content = digests.of(row.path), None if given is None else digests.of(given)
        # Not the scores: a corrected score needs no new lungs.
        key = content_key("scored slices", 2, *content, scored, neighbours, lungs)
        work.append(Work(key, row.case, _scored_slices, (row.path, scored, neighbours, lungs, given)))
    digests.save()
    result: list[LabelledSlice] = []
    for row, (arrays, facts) in zip(rows, prepared(cache, work, "scans", progress), strict=True):
        scores = [s for s in row.scores if s is not None]
        for labelled, number in zip(_unstacked(arrays, facts), facts["level"], strict=True):
            result.append(replace(labelled, name=f"{row.case}:{labelled.name}", scores=scores[number]))
    return result


def _scored_slices(path: Path, mm: Sequence[float], neighbours: int, lungs: bool, lung_path: Path | None) -> Made:
    """The slices at ``mm`` and their neighbours; ``level`` tells which of ``mm`` each belongs to."""
    from SScILDScoringLib.lungs import load_lung_mask, segment_lungs
    from SScILDScoringLib.scan import load_scan

    scan = load_scan(path)
    mask = None
    if lungs:
        mask = segment_lungs(scan) if lung_path is None else load_lung_mask(lung_path, scan)
    with_lung = [k for k in range(scan.slice_count) if mask.mask(k).any()] if mask is not None else []
    slices, level = [], []
    for n, centre in enumerate(scan.slice_at(v) for v in mm):
        for k in range(max(centre - neighbours, 0), min(centre + neighbours, scan.slice_count - 1) + 1):
            hu = np.clip(scan.axial_slice(k), -1024, 3071).astype(np.int16)
            flags = body_mask(hu).astype(np.uint8) * BODY
            if mask is not None:
                flags |= mask.mask(k).astype(np.uint8) * LUNG
            spacing = (scan.spacing[1], scan.spacing[0])
            slices.append(LabelledSlice(hu, flags, spacing, str(k), _height(k, with_lung)))
            level.append(n)
    arrays, facts = _stacked(slices)
    return arrays, {**facts, "level": level}


def _height(k: int, with_lung: Sequence[int]) -> float | None:
    """0 at the lowest, 1 at the highest slice with lung; None when there is none."""
    if not with_lung:
        return None
    return float(np.clip((k - with_lung[0]) / max(with_lung[-1] - with_lung[0], 1), 0, 1))
