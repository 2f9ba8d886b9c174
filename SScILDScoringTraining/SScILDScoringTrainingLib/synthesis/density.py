"""Changes of the density of healthy lung that no score may follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .backgrounds import Background
from .noise_fields import smooth_noise


@dataclass(frozen=True)
class DensitySettings:
    """Density of healthy parenchyma: inspiration, position, age.

    Args:
        share: part of the slices that are changed.
        shift: range of the change in HU.
        gradient: range of the HU by which the back is denser than the front.
        dependent: share of slices with a band of dependent density along the posterior pleura.
        limit: healthy parenchyma is not lifted above this density, HU: below the faintest ground glass, so that the two
            can be told apart.
    """

    share: float = 0.7
    shift: tuple[float, float] = (-40.0, 130.0)
    gradient: tuple[float, float] = (-20.0, 90.0)
    dependent: float = 0.15
    limit: float = -730.0


def density_change(
    background: Background, rng: np.random.Generator, settings: DensitySettings
) -> np.ndarray | np.float32:
    """HU to add to air-bearing tissue in the lungs' window, float32 ``(y, x)``; 0 when nothing changes."""
    anatomy = background.anatomy
    change = np.float32(0)
    if rng.random() < settings.share:
        gradient = rng.uniform(*settings.gradient)
        change = np.float32(rng.uniform(*settings.shift)) + np.float32(gradient) * (anatomy.posterior - 0.5)
        # Lungs are never of quite one density.
        change = change + np.float32(rng.uniform(0, 15)) * smooth_noise(
            anatomy.lung.shape, rng, 25 / background.spacing_mm[0]
        )
        room = np.clip(np.float32(settings.limit) - anatomy.base_hu.astype(np.float32), 0, None)
        change = np.minimum(change, room)
    if rng.random() < settings.dependent:  # thin, so it may be denser than the limit
        band = np.exp(anatomy.costal_mm.astype(np.float32) * np.float32(-1 / rng.uniform(2, 6)))
        band *= np.clip((anatomy.posterior - np.float32(0.6)) * np.float32(4), 0, 1)
        change = change + np.float32(rng.uniform(40, 160)) * band
    return change
