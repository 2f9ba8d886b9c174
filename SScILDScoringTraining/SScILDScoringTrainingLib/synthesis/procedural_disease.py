"""Disease drawn from noise into a healthy slice (the default recipe): exact masks, vessels and airways kept.

Ground glass lifts the air-bearing part of each pixel, so that vessels show through it and airways stay open;
reticulation draws lines over it. Nothing is copied from pictures of disease and nothing repeats.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from SScILDScoringLib.errors import SettingsError

from .backgrounds import Background, LungAnatomy
from .lesion_shapes import ellipse_preference, lobular, noise_preference, soft_region
from .noise_fields import smooth_noise
from .procedural_textures import (
    GroundGlassSettings,
    ReticulationSettings,
    ground_glass_hu,
    honeycomb,
    reticular_lines,
)


@dataclass(frozen=True)
class ExtentSettings:
    """How much of the lung is diseased. Shares need not add up to 1: they are weights.

    Args:
        small, spread, near_total: weights of three laws of a pattern's area: up to 12 %; over the whole range with
            a preference for less; 80 to 100 %.
        gg_only, ret_only, both: weights of the patterns in a slice.
    """

    small: float = 0.35
    spread: float = 0.60
    near_total: float = 0.05
    gg_only: float = 0.30
    ret_only: float = 0.25
    both: float = 0.45

    def __post_init__(self) -> None:
        for group in ((self.small, self.spread, self.near_total), (self.gg_only, self.ret_only, self.both)):
            if min(group) < 0 or sum(group) <= 0:
                raise SettingsError(f"Weights of extents and patterns are positive numbers, not {group}.")

    def draw(self, rng: np.random.Generator) -> float:
        """A pattern's area as a part (0..1) of the lung."""
        law = _choose(rng, (self.small, self.spread, self.near_total))
        if law == 0:
            return float(rng.uniform(0.003, 0.12))
        if law == 1:
            return float(rng.beta(1.0, 1.8))
        return float(rng.uniform(0.8, 1.03))  # above 1 is all of the lung

    def draw_pair(self, rng: np.random.Generator) -> tuple[float, float]:
        """Areas of ground glass and reticulation; 0 where the pattern is absent."""
        kind = _choose(rng, (self.gg_only, self.ret_only, self.both))
        first = self.draw(rng)
        if kind == 0:
            return first, 0.0
        if kind == 1:
            return 0.0, first
        second = self.draw(rng) if rng.random() < 0.5 else first * float(rng.uniform(0.15, 1.1))
        return (first, second) if rng.random() < 0.65 else (second, first)


@dataclass(frozen=True)
class ProceduralSettings:
    """The procedural recipe.

    Args:
        ellipses: share of regions made of ellipses; the others are thresholded noise.
        lobular: share of slices in which borders follow secondary lobules.
        together: share of slices with both patterns in which they lie together rather than anywhere.
        subpleural, posterior: ranges of the weights that pull disease to the pleura and to the back.
        edge_mm: range of the width over which ground glass fades out; reticulation takes half of it.
        texture: ``noise`` draws the patterns from noise; ``patches`` grows them, without period, from the texture
            patches of the settings (vessels and airways stay all the same).
    """

    extent: ExtentSettings = field(default_factory=ExtentSettings)
    ground_glass: GroundGlassSettings = field(default_factory=GroundGlassSettings)
    reticulation: ReticulationSettings = field(default_factory=ReticulationSettings)
    ellipses: float = 0.35
    lobular: float = 0.25
    together: float = 0.6
    subpleural: tuple[float, float] = (0.0, 1.6)
    posterior: tuple[float, float] = (0.0, 1.4)
    edge_mm: tuple[float, float] = (2.0, 12.0)
    texture: str = "noise"

    def __post_init__(self) -> None:
        if self.texture not in ("noise", "patches"):
            raise SettingsError(f"The procedural recipe's texture is noise or patches, not {self.texture!r}.")


def _choose(rng: np.random.Generator, weights: tuple[float, ...]) -> int:
    edges = np.cumsum(weights)
    return int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))


def draw_regions(
    background: Background, rng: np.random.Generator, settings: ProceduralSettings
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Opacities of ground glass and reticulation in the lungs' window, float32 0..1; None for an absent pattern."""
    anatomy, spacing = background.anatomy, background.spacing_mm
    gg_area, ret_area = settings.extent.draw_pair(rng)
    preference = _preference(background, anatomy, rng, settings)
    ground_glass = reticulation = None
    if gg_area > 0:
        edge = rng.uniform(*settings.edge_mm) / spacing[0]
        ground_glass = soft_region(preference, anatomy.lung, gg_area, edge, anatomy.rim)
    if ret_area > 0:
        if gg_area > 0:
            other = _preference(background, anatomy, rng, settings)
            share = np.float32(rng.uniform(0.5, 0.95) if rng.random() < settings.together else 0.0)
            preference = share * _standardised(preference, anatomy) + (1 - share) * _standardised(other, anatomy)
        edge = 0.5 * rng.uniform(*settings.edge_mm) / spacing[0]
        reticulation = soft_region(preference, anatomy.lung, ret_area, edge, anatomy.rim)
    return ground_glass, reticulation


def _standardised(values: np.ndarray, anatomy: LungAnatomy) -> np.ndarray:
    inside = values[anatomy.lung]
    return (values - inside.mean()) / max(float(inside.std()), 1e-6)


def _preference(
    background: Background, anatomy: LungAnatomy, rng: np.random.Generator, settings: ProceduralSettings
) -> np.ndarray:
    subpleural, posterior = rng.uniform(*settings.subpleural), rng.uniform(*settings.posterior)
    if background.height is not None:  # bases: at the pleura and the back; apices: more even
        posterior *= 1.3 - 0.8 * background.height
    spacing = background.spacing_mm
    if rng.random() < settings.ellipses:
        place = np.exp(-subpleural * anatomy.costal_mm.astype(np.float32) / 15) * (0.2 + posterior * anatomy.posterior)
        result = ellipse_preference(anatomy, rng, spacing, place)
    else:
        ragged = rng.uniform(0.05, 0.5)
        result = noise_preference(anatomy, rng, spacing, subpleural, posterior, ragged)
    if rng.random() < settings.lobular:
        result = lobular(result, rng, spacing, rng.uniform(0.3, 1.5))
    return result


def paint_ground_glass(
    hu: np.ndarray,
    opacity: np.ndarray,
    airiness: np.ndarray,
    base_hu: np.ndarray,
    rng: np.random.Generator,
    spacing_mm: tuple[float, float],
    settings: GroundGlassSettings,
) -> None:
    """Lifts the air-bearing part of ``hu`` (float32, changed in place) towards ground glass where it is opaque."""
    lift = ground_glass_hu(base_hu, rng, spacing_mm, settings, opacity > 0)
    lift -= base_hu
    lift *= opacity
    lift *= airiness
    hu += lift


def paint_reticulation(
    hu: np.ndarray,
    opacity: np.ndarray,
    airiness: np.ndarray,
    depth_mm: np.ndarray,
    rng: np.random.Generator,
    spacing_mm: tuple[float, float],
    settings: ReticulationSettings,
) -> np.ndarray | None:
    """Draws the network of lines over ``hu`` (float32, changed in place); ``depth_mm``: distance to the pleura.

    Returns where honeycombing took the place of whatever was there (bool ``(y, x)``), or None: air-filled cysts are no
    ground glass.
    """
    cystic = None
    shape, mm = hu.shape, spacing_mm[0]
    where = opacity > 0
    lines = reticular_lines(where, rng, spacing_mm, settings)
    if rng.random() < 0.6:  # the network thins out away from the pleura
        rest = np.float32(rng.uniform(0.7, 0.95))
        lines *= rest + (1 - rest) * np.exp(depth_mm * np.float32(-1 / rng.uniform(6, 20)))
    if rng.random() < settings.haze:
        haze = np.float32(rng.uniform(*settings.haze_hu)) * (1 + np.float32(0.3) * smooth_noise(shape, rng, 8 / mm))
        hu += np.clip(haze, 0, 100) * opacity * airiness
    if rng.random() < settings.dark_cells:
        hu -= np.float32(rng.uniform(20, 60)) * opacity * airiness * (1 - lines)
    if rng.random() < settings.honeycomb:
        wall, lumen = honeycomb(where, rng, spacing_mm)
        cysts = np.clip(smooth_noise(shape, rng, 15 / mm) * 2 + np.float32(rng.uniform(-1, 1)), 0, 1) * opacity
        np.maximum(lines * (1 - cysts), wall * cysts, out=lines)
        hu += lumen * cysts * airiness * (np.float32(-940) - hu)
        cystic = cysts > 0.5
    peak = smooth_noise(shape, rng, rng.uniform(2, 6) / mm)
    peak *= np.float32(80)
    peak += np.float32(rng.uniform(30, 70)) * smooth_noise(shape, rng, max(1.2 / mm, 1.0))
    peak += np.float32(rng.uniform(*settings.line_hu))
    peak -= hu
    # Lines stand out from the tissue they cross, ground glass included: what nobody can see must not be counted.
    np.maximum(peak, np.float32(rng.uniform(*settings.contrast)), out=peak)
    peak *= lines
    peak *= opacity
    # Lines cross vessels unseen and do not cross airways; close to a wall they reach it.
    peak *= np.sqrt(airiness)
    hu += peak
    return cystic
