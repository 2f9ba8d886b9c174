"""Trachea, carina and main bronchi: traced from the neck downwards through the axial slices of a coarse scan."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..morphology import components, dilated
from .coarse import CoarseScan

_THRESHOLDS = (-600, -750, -850, -900)
"""Lumen is what lies below the first of these that keeps it apart from the lung (thin walls leak at the first)."""

_TRACHEA_MM2 = (40.0, 700.0)
_JUST_ABOVE_CARINA_MM2 = 1300.0
_BRONCHUS_MM2 = (12.0, 420.0)
_CENTRAL_SHARE = 0.22  # of the body's width, to either side of its middle
_SHORTEST_TRACHEA_MM = 25.0
_SPLIT_LASTS_MM = 8.0
_BRONCHI_BELOW_MM = 55.0
_BRONCHI_ABOVE_MM = 12.0
_SOFT_TISSUE_HU = -450
_WALLED_SHARE = 0.55


@dataclass(frozen=True)
class Airways:
    """What was traced.

    Args:
        lumen: bool on the coarse grid ``(z, y, x)``: air inside trachea and main bronchi.
        trachea: coarse slices of the trachea, from the head downwards, with the lumen's centre: ``(z, y, x)`` each.
        carina: coarse slice position of the carina (between the last slice with one lumen and the first with two);
            None when no division was found.
        note: what hindered the tracing; empty when all is well.
        slices_per_block: the scan's slices in a coarse one.
    """

    lumen: np.ndarray = field(repr=False)
    trachea: tuple[tuple[float, float, float], ...] = ()
    carina: float | None = None
    note: str = ""
    slices_per_block: int = 1

    @property
    def carina_slice(self) -> float | None:
        """The carina as the scan's own (canonical) slice position, with fraction."""
        return None if self.carina is None else (self.carina + 0.5) * self.slices_per_block - 0.5


@dataclass
class _Lumen:
    """One piece of air in one coarse slice."""

    z: int
    pixels: np.ndarray  # flat indices into the slice
    area: float
    y: float
    x: float
    hu: float
    aspect: float


class _SliceAir:
    """The pieces of air of every slice at every threshold, found when first asked for."""

    def __init__(self, coarse: CoarseScan) -> None:
        self.coarse = coarse
        self.cache: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def labels(self, z: int, threshold: int) -> tuple[np.ndarray, np.ndarray]:
        key = (z, threshold)
        if key not in self.cache:
            labels, counts = components((self.coarse.hu[z] < threshold) & self.coarse.body[z])
            self.cache[key] = (labels.ravel(), counts)
        return self.cache[key]

    def piece(self, z: int, threshold: int, label: int) -> _Lumen:
        labels, _ = self.labels(z, threshold)
        pixels = np.flatnonzero(labels == label)
        _, sy, sx = self.coarse.spacing
        y, x = np.divmod(pixels, self.coarse.hu.shape[2])
        dy, dx = (y - y.mean()) * sy, (x - x.mean()) * sx
        spread = np.linalg.eigvalsh([[dy @ dy, dy @ dx], [dy @ dx, dx @ dx]]) / len(pixels) + (sy * sx) / 12
        hu = float(self.coarse.hu[z].ravel()[pixels].mean())
        return _Lumen(z, pixels, len(pixels) * sy * sx, y.mean(), x.mean(), hu, float(np.sqrt(spread[1] / spread[0])))

    def touching(self, z: int, pixels: np.ndarray, area: tuple[float, float]) -> list[_Lumen]:
        """Pieces in slice ``z`` that hold some of ``pixels`` and are of such an area (mm2), each at the first threshold
        that gives one."""
        found: list[_Lumen] = []
        left = pixels
        for threshold in _THRESHOLDS:
            labels, counts = self.labels(z, threshold)
            mm2 = counts * self.coarse.pixel_mm2
            here = labels[left]
            for label in np.unique(here):
                if label and area[0] <= mm2[label] <= area[1]:
                    found.append(self.piece(z, threshold, int(label)))
            # What was too large here may fall apart at a lower threshold.
            left = left[(here > 0) & (mm2[here] > area[1])]
            if not len(left):
                break
        return found


def trace_airways(coarse: CoarseScan) -> Airways:
    """Follows the trachea downwards to its division and the main bronchi as far as their lumen is apart from the lung.

    A trachea is a round central lumen that goes on for at least 25 mm; the carina is where it falls into two lumina
    that stay apart. Nothing is guessed: where the division is not seen, ``carina`` is None and ``note`` says so.
    """
    air = _SliceAir(coarse)
    chain, branches = _best_chain(air)
    lumen = np.zeros(coarse.hu.shape, bool)
    if not chain:
        return Airways(lumen, note="no trachea was seen", slices_per_block=coarse.factors[0])
    for piece in chain:
        lumen[piece.z].ravel()[piece.pixels] = True
    carina = None
    note = ""
    if branches:
        carina = (chain[-1].z + branches[0].z) / 2
        _grow_bronchi(air, lumen, branches, carina)
    else:
        note = "the trachea's division was not seen"
        _grow_bronchi(air, lumen, chain[-1:], chain[-1].z)
    return Airways(lumen, tuple((p.z, p.y, p.x) for p in chain), carina, note, coarse.factors[0])


def _best_chain(air: _SliceAir) -> tuple[list[_Lumen], list[_Lumen]]:
    """The longest trachea-like chain (one that divides is preferred) and the two lumina it divides into."""
    coarse = air.coarse
    best: tuple[float, list[_Lumen], list[_Lumen]] = (0.0, [], [])
    used = np.zeros(coarse.hu.shape, bool)
    for z in range(coarse.hu.shape[0] - 1, 0, -1):
        for seed in _round_central_pieces(air, z):
            if used[z].ravel()[seed.pixels].any():
                continue
            chain, branches = _follow(air, seed)
            for piece in chain:
                used[piece.z].ravel()[piece.pixels] = True
            length = len(chain) * coarse.spacing[0]
            score = length + (60 if branches else 0)
            if length >= _SHORTEST_TRACHEA_MM and score > best[0]:
                best = (score, chain, branches)
    return best[1], best[2]


def _round_central_pieces(air: _SliceAir, z: int) -> list[_Lumen]:
    body = air.coarse.body[z]
    columns = np.flatnonzero(body.any(axis=0))
    if not len(columns):
        return []
    middle, width = columns.mean(), len(columns)
    _, counts = air.labels(z, _THRESHOLDS[0])
    mm2 = counts * air.coarse.pixel_mm2
    wanted = np.flatnonzero((mm2 >= _TRACHEA_MM2[0]) & (mm2 <= _TRACHEA_MM2[1]))
    pieces = [air.piece(z, _THRESHOLDS[0], int(n)) for n in wanted if n]
    return [p for p in pieces if p.aspect < 2.0 and p.hu < -780 and abs(p.x - middle) < _CENTRAL_SHARE * width]


def _reach(air: _SliceAir, pixels: np.ndarray) -> np.ndarray:
    """``pixels`` widened by as much as an airway may shift between two slices."""
    shape = air.coarse.hu.shape[1:]
    mask = np.zeros(shape, bool)
    mask.ravel()[pixels] = True
    return np.flatnonzero(dilated(mask, max(1, round(0.4 * air.coarse.spacing[0] / air.coarse.spacing[1]))))


def _follow(air: _SliceAir, seed: _Lumen) -> tuple[list[_Lumen], list[_Lumen]]:
    """The chain of lumina below ``seed`` and, where it divides for good, the two that follow it."""
    chain = [seed]
    while chain[-1].z > 0:
        last = chain[-1]
        below = air.touching(last.z - 1, _reach(air, last.pixels), (_BRONCHUS_MM2[0], _JUST_ABOVE_CARINA_MM2))
        below = [p for p in below if p.hu < -700]
        if not below:
            break
        below.sort(key=lambda p: -p.area)
        pair = _lasting_pair(air, below)
        if pair:
            return chain, pair
        nearest = max(below, key=lambda p: np.isin(p.pixels, last.pixels).sum())
        if nearest.aspect > 4.0 or nearest.area < 0.2 * min(last.area, 300.0):
            break
        chain.append(nearest)
    return chain, []


def _lasting_pair(air: _SliceAir, below: list[_Lumen]) -> list[_Lumen]:
    """Two of the lumina that lie side by side and stay apart, or drift apart, further down; else nothing."""
    if len(below) < 2:
        return []
    a, b = sorted(below[:2], key=lambda p: p.x)
    _, sy, sx = air.coarse.spacing
    if b.area > 5 * a.area or a.area > 5 * b.area or (b.x - a.x) * sx < 1.2 * abs(b.y - a.y) * sy:
        return []
    steps = max(1, round(_SPLIT_LASTS_MM / air.coarse.spacing[0]))
    first_gap = (b.x - a.x) * sx
    for _ in range(steps):
        if a.z == 0:
            break
        next_a = air.touching(a.z - 1, _reach(air, a.pixels), (_BRONCHUS_MM2[0], _JUST_ABOVE_CARINA_MM2))
        next_b = air.touching(b.z - 1, _reach(air, b.pixels), (_BRONCHUS_MM2[0], _JUST_ABOVE_CARINA_MM2))
        if not next_a or not next_b:
            return []
        a = max(next_a, key=lambda p: np.isin(p.pixels, a.pixels).sum())
        b = max(next_b, key=lambda p: np.isin(p.pixels, b.pixels).sum())
        if np.isin(a.pixels, b.pixels).any():
            return []  # together again: a fold or secretion, not the carina
    if (b.x - a.x) * sx < max(first_gap - 2, 9.0):
        return []
    return sorted(below[:2], key=lambda p: p.x)


def _grow_bronchi(air: _SliceAir, lumen: np.ndarray, start: list[_Lumen], carina: float) -> None:
    """Adds to ``lumen`` what is connected with ``start`` and stays small: bronchi up to where they enter the lung."""
    dz = air.coarse.spacing[0]
    lowest = max(0, round(carina - _BRONCHI_BELOW_MM / dz))
    highest = min(lumen.shape[0] - 1, round(carina + _BRONCHI_ABOVE_MM / dz))
    waiting = list(start)
    for piece in waiting:
        lumen[piece.z].ravel()[piece.pixels] = True
    while waiting:
        piece = waiting.pop()
        for z in (piece.z - 1, piece.z + 1):
            if not lowest <= z <= highest:
                continue
            for other in air.touching(z, piece.pixels, _BRONCHUS_MM2):
                flat = lumen[z].ravel()
                if other.hu < -700 and not flat[other.pixels].any() and _walled(air, other):
                    flat[other.pixels] = True
                    waiting.append(other)


def _walled(air: _SliceAir, piece: _Lumen) -> bool:
    """Whether most of a piece's surroundings is soft tissue, as around a bronchus that has not entered the lung."""
    plane = air.coarse.hu[piece.z]
    mask = np.zeros(plane.shape, bool)
    mask.ravel()[piece.pixels] = True
    ring = dilated(mask, 3) & ~dilated(mask, 1)
    return float((plane[ring] > _SOFT_TISSUE_HU).mean()) >= _WALLED_SHARE
