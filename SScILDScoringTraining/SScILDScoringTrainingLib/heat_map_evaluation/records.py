"""What is kept of one slice's heat maps: small numbers at every threshold, from which everything else follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SScILDScoringLib.heatmaps import HeatMaps
from SScILDScoringLib.heatmaps.thresholds import candidates, derived_scores
from SScILDScoringLib.scores import PATTERNS

from .slices import MapSlice

OWN_SHARE = 0.5
"""A pixel of a ratio head's own map counts as marked from this share of diseased lung on."""


@dataclass(frozen=True, eq=False)
class Truth:
    """One slice's maps against the true place of the disease; the first axis of every array is TOT, GG, RET.

    Args:
        lesion: pixels of the lesions ``(3,)``. within: those of them inside the lung mask ``(3,)``.
        hits: ``(3, t)`` pixels of the lesions where the map is below each threshold.
        pointed: ``(3,)`` share of the map's strongest pixels that lie in a lesion; 0 where the map is nowhere below 0.
        own_marked, own_hits: pixels that a ratio head's own map marks, and those in lesions ``(3,)``; None without.
        own_pointed: ``(3,)`` as ``pointed``, for its own map.
    """

    lesion: np.ndarray
    within: np.ndarray
    hits: np.ndarray
    pointed: np.ndarray
    own_marked: np.ndarray | None = None
    own_hits: np.ndarray | None = None
    own_pointed: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class SliceRecord:
    """One slice.

    Args:
        case, patient, level: whose; level 0 for a slice that is none of the five.
        lung: pixels of the lung mask.
        network: S-Net's clipped scores, percent ``(3,)``.
        derived: ``(3, t)`` percent: the derived score at each threshold (heatmaps.thresholds.candidates).
        truth: the comparison with the true disease, where it is known.
    """

    case: str
    patient: str
    level: int
    lung: int
    network: np.ndarray
    derived: np.ndarray
    truth: Truth | None = None


def record_of(one: MapSlice, maps: HeatMaps) -> SliceRecord:
    """The record of a slice and its heat maps."""
    tried = candidates()
    return SliceRecord(
        one.case,
        one.patient,
        int(one.level or 0),
        int(one.lung.sum()),
        np.array(maps.baseline.clipped),
        np.stack([derived_scores(maps, pattern, tried) for pattern in PATTERNS]),
        None if one.lesions is None else _truth(one, maps, tried),
    )


def _truth(one: MapSlice, maps: HeatMaps, tried: np.ndarray) -> Truth:
    hits, pointed = [], []
    for pattern, lesion in zip(PATTERNS, one.lesions, strict=True):
        values = np.sort(maps.of(pattern)[maps.covered & lesion])
        hits.append(np.searchsorted(values, tried.astype(np.float32), side="left"))
        pointed.append(pointed_share(-maps.of(pattern), maps.covered, lesion))
    own = {}
    if one.own is not None:
        marked = (one.own >= OWN_SHARE) & one.lung
        own = {
            "own_marked": marked.sum(axis=(1, 2)),
            "own_hits": (marked & one.lesions).sum(axis=(1, 2)),
            "own_pointed": np.array(
                [pointed_share(own_map, one.lung, lesion) for own_map, lesion in zip(one.own, one.lesions, strict=True)]
            ),
        }
    return Truth(
        one.lesions.sum(axis=(1, 2)),
        (one.lesions & one.lung).sum(axis=(1, 2)),
        np.stack(hits),
        np.array(pointed),
        **own,
    )


def pointed_share(strength: np.ndarray, where: np.ndarray, lesion: np.ndarray) -> float:
    """Whether the strongest point lies in a lesion: 1 or 0, or the share of the strongest pixels that do.

    Heat maps are constant in cells as wide as the patch's step, so that the strongest point is mostly a cell; pointing
    at any pixel of it by chance hits with this share.

    Args:
        strength: ``(y, x)``, larger where the map is stronger. where: bool ``(y, x)``, pixels that count.
        lesion: bool ``(y, x)``.

    Returns:
        0 where the map says nothing (no pixel with a strength above 0).
    """
    values = strength[where]
    if not values.size or values.max() <= 0:
        return 0.0
    return float(lesion[where][values == values.max()].mean())
