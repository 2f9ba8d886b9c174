"""Dense lung that is neither ground glass nor reticulation: consolidation and effusion.

They hold no air, so a lung mask usually loses them, and the Goh score does not count them. Synthesis therefore takes
them out of the lung (denominator) and out of both patterns (numerator): the network learns to leave them alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .backgrounds import Background
from .lesion_shapes import noise_preference, soft_region
from .noise_fields import fine_noise, smooth_noise


@dataclass(frozen=True)
class ConsolidationSettings:
    """Consolidation and effusion.

    Args:
        share: part of the slices that get one.
        area: largest part of the lung that it takes.
        hu: range of its density.
    """

    share: float = 0.1
    area: float = 0.35
    hu: tuple[float, float] = (-20.0, 70.0)


def paint_consolidation(
    hu: np.ndarray, background: Background, rng: np.random.Generator, settings: ConsolidationSettings
) -> np.ndarray | None:
    """Draws a consolidation or an effusion into ``hu`` (float32, the lungs' window, in place), now and then.

    Returns:
        bool mask in the window of what is no longer lung; None when nothing was drawn.
    """
    if rng.random() >= settings.share:
        return None
    anatomy, mm = background.anatomy, background.spacing_mm[0]
    area = float(rng.uniform(0.01, settings.area))
    shape = hu.shape
    if rng.random() < 0.3:  # effusion: a smooth crescent along the back
        preference = np.float32(60) * anatomy.posterior - anatomy.costal_mm.astype(np.float32)
        preference = preference + smooth_noise(shape, rng, 20 / mm)
        filled, edge = np.float32(1), 1.0
    else:
        preference = noise_preference(anatomy, rng, background.spacing_mm, rng.uniform(0.5, 1.6), 1.0, 0.3)
        # Airways stay open in consolidated lung; the fraction is undone where the tissue was airless already.
        filled, edge = np.sqrt(anatomy.airiness.astype(np.float32)), rng.uniform(1.0, 5.0)
    opacity = soft_region(preference, anatomy.lung, area, edge / mm, anatomy.rim)
    dense = np.float32(rng.uniform(*settings.hu)) + np.float32(12) * fine_noise(shape, rng, 0.7 / mm)
    dense -= hu
    np.clip(dense, 0, None, out=dense)
    dense *= opacity
    dense *= filled
    hu += dense
    return opacity > 0.5
