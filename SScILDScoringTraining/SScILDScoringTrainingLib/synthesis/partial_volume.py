"""Slices that cut a dome: the diaphragm rising into the lung, the lung's tip ending inside the slice.

Where a slice is thicker than such a border is steep, lung and soft tissue share its pixels: the lung looks hazy there
and is healthy. Synthesis takes what is mostly tissue out of the lung; the haze around it stays lung without disease.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

from .backgrounds import Background
from .noise_fields import smooth_noise


@dataclass(frozen=True)
class PartialVolumeSettings:
    """Domes cut by the slice.

    Args:
        share: part of the slices that get one.
        tip: share of them in which a whole lung ends, as at the apex, rather than a dome rising inside.
        mediastinal: share of those ends that are on the side of the mediastinum alone, as beside heart and fat.
        edge_mm: range of the width over which tissue passes into lung (a tenth to nine tenths).
        radius_mm: range of the dome's radius.
        hu: range of the tissue's density.
    """

    share: float = 0.25
    tip: float = 0.5
    mediastinal: float = 0.4
    edge_mm: tuple[float, float] = (3.0, 22.0)
    radius_mm: tuple[float, float] = (6.0, 45.0)
    hu: tuple[float, float] = (0.0, 120.0)


def paint_partial_volume(
    hu: np.ndarray, background: Background, rng: np.random.Generator, settings: PartialVolumeSettings
) -> np.ndarray | None:
    """Mixes tissue into ``hu`` (float32, the lungs' window, in place), now and then.

    Returns:
        bool mask in the window of what is no longer lung; None when nothing was drawn.
    """
    if rng.random() >= settings.share:
        return None
    anatomy, mm = background.anatomy, background.spacing_mm[0]
    edge = np.float32(rng.uniform(*settings.edge_mm) / 4.4)  # of a logistic curve, from a tenth to nine tenths
    inward = _tip(background, rng, settings) if rng.random() < settings.tip else _dome(background, rng, settings)
    inward = inward + np.float32(rng.uniform(0, 2)) * smooth_noise(hu.shape, rng, rng.uniform(6, 20) / mm)
    tissue = 1 / (1 + np.exp(np.clip(inward / -edge, -30, 30)))
    tissue[tissue < 0.02] = 0
    tissue *= anatomy.rim
    density = np.float32(rng.uniform(*settings.hu))
    hu += tissue * np.maximum(density - hu, 0)
    return tissue > 0.5


def _dome(background: Background, rng: np.random.Generator, settings: PartialVolumeSettings) -> np.ndarray:
    """How far inside a rounded shape that lies in the lung a pixel is, mm; float32 ``(y, x)``, negative outside."""
    lung = background.anatomy.lung
    inside = np.flatnonzero(lung)
    row, column = np.unravel_index(inside[rng.integers(len(inside))], lung.shape)
    radius = rng.uniform(*settings.radius_mm)
    stretch = np.exp(rng.uniform(-0.4, 0.4))
    rows = (np.arange(lung.shape[0], dtype=np.float32)[:, None] - row) * np.float32(background.spacing_mm[0] / stretch)
    columns = (np.arange(lung.shape[1], dtype=np.float32)[None] - column) * np.float32(
        background.spacing_mm[1] * stretch
    )
    return np.float32(radius) - np.sqrt(rows * rows + columns * columns)


def _tip(background: Background, rng: np.random.Generator, settings: PartialVolumeSettings) -> np.ndarray:
    """How far outside a lung that has shrunk from its border a pixel is, mm; one lung, or both now and then."""
    anatomy = background.anatomy
    depth = anatomy.pleural_mm.astype(np.float32)
    lungs, count = label(anatomy.lung)
    chosen = anatomy.rim
    if count > 1 and rng.random() < 0.7:
        sizes = np.bincount(lungs.ravel())[1:]
        one = lungs == 1 + int(rng.choice(np.argsort(sizes)[-2:]))
        # The rim around the lung goes with it: whatever is nearer to it than to the other lung.
        centre = np.flatnonzero(one.any(0)).mean()
        others = np.flatnonzero(((lungs > 0) & ~one).any(0)).mean()
        nearer = np.abs(np.arange(one.shape[1]) - centre) < np.abs(np.arange(one.shape[1]) - others)
        chosen = anatomy.rim & (nearer[None] | one)
    deepest = float(depth[chosen].max(initial=1.0))
    if rng.random() < settings.mediastinal:
        outer = np.clip(np.float32(rng.uniform(12, 30)) - anatomy.costal_mm.astype(np.float32), 0, None)
        inward = np.float32(min(rng.uniform(0.02, 0.4) * deepest, 12.0)) - depth - outer
    else:
        inward = np.float32(rng.uniform(0.02, 0.6) * deepest) - depth
    return np.where(chosen, inward, np.float32(-1e3))
