"""The published recipe (method.md section 4): ellipses filled with texture made from patches of disease.

Lengths are pixels of a 512-pixel slice, as published, and shrink with the slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from SScILDScoringLib.errors import SettingsError

from .backgrounds import Background
from .lesion_shapes import ellipse_field
from .texture_patches import TexturePatch, patches_of, slice_texture


@dataclass(frozen=True)
class PublishedSettings:
    """The published recipe and its variants.

    Args:
        ellipses: fewest and most ellipses of a pattern.
        axes_px: range of both full axis lengths of an ellipse.
        centres: ``anywhere`` (C: anywhere in the slice) or ``weighted`` (R: a weight map that favours the lungs'
            borders and their lower regions).
        edges: ``gaussian`` (C: the pattern decays like a Gaussian) or ``box`` (R: box blur).
        edge_px: width of the box; the Gaussian's standard deviation is the standard deviation of such a box.
        overlap: ``average`` (R: where both patterns lie their textures are averaged) or ``over`` (reticulation hides
            ground glass).
        tiled: fill with mirrored tiles of the patch as published, instead of a non-periodic texture grown from it.
        keep_vessels: lift the air-bearing part of each pixel only, instead of replacing vessels as published.
        rotation_deg: the texture is rotated by up to this, either way.
        scale: range of the texture's size factor.
    """

    ellipses: tuple[int, int] = (1, 3)
    axes_px: tuple[float, float] = (1.0, 150.0)
    centres: str = "anywhere"
    edges: str = "gaussian"
    edge_px: float = 20.0
    overlap: str = "average"
    tiled: bool = True
    keep_vessels: bool = False
    rotation_deg: float = 180.0
    scale: tuple[float, float] = (0.95, 1.05)

    def __post_init__(self) -> None:
        for name, allowed in (
            ("centres", ("anywhere", "weighted")),
            ("edges", ("gaussian", "box")),
            ("overlap", ("average", "over")),
        ):
            if getattr(self, name) not in allowed:
                raise SettingsError(
                    f"The published recipe's {name} are one of {', '.join(allowed)}, not {getattr(self, name)!r}."
                )
        if not 0 < self.ellipses[0] <= self.ellipses[1] or not 0 < self.axes_px[0] <= self.axes_px[1]:
            raise SettingsError("Numbers and axes of ellipses are ranges of positive numbers, smaller one first.")


def draw_ellipses(background: Background, rng: np.random.Generator, settings: PublishedSettings) -> np.ndarray:
    """One pattern's opacity, float32 0..1 in the lungs' window: soft-edged ellipses, cut by the lung."""
    anatomy = background.anatomy
    shape = anatomy.lung.shape
    origin = (anatomy.window[0].start, anatomy.window[1].start)
    per_pixel = background.hu.shape[1] / 512
    union = np.zeros(shape, bool)
    for _ in range(int(rng.integers(settings.ellipses[0], settings.ellipses[1] + 1))):
        if settings.centres == "anywhere":
            centre = (
                rng.uniform(0, background.hu.shape[0]) - origin[0],
                rng.uniform(0, background.hu.shape[1]) - origin[1],
            )
        else:
            centre = _weighted_centre(background, rng)
        axes = tuple(rng.uniform(*settings.axes_px, 2) * per_pixel)
        union |= ellipse_field(shape, centre, axes, float(rng.uniform(0, np.pi))) > 0
    edge = settings.edge_px * per_pixel
    opacity = union.astype(np.float32)
    if settings.edges == "box":
        opacity = ndimage.uniform_filter(opacity, max(round(edge), 1), mode="nearest")
    else:
        opacity = ndimage.gaussian_filter(opacity, edge / np.sqrt(12), truncate=2.5, mode="nearest")
    return opacity * anatomy.lung


def _weighted_centre(background: Background, rng: np.random.Generator) -> tuple[float, float]:
    anatomy = background.anatomy
    weight = np.exp(anatomy.pleural_mm.astype(np.float32) / -20) * (0.3 + anatomy.posterior) * anatomy.lung
    total = np.cumsum(weight.ravel(), dtype=np.float64)
    pick = min(int(np.searchsorted(total, rng.random() * total[-1])), total.size - 1)
    return tuple(float(v) for v in divmod(pick, weight.shape[1]))


def paint_published(
    hu: np.ndarray,
    background: Background,
    rng: np.random.Generator,
    settings: PublishedSettings,
    patches: Sequence[TexturePatch],
) -> tuple[np.ndarray, np.ndarray]:
    """Draws both patterns into ``hu`` (float32, the lungs' window, in place).

    Returns:
        Opacities of ground glass and of reticulation, float32 0..1.

    Raises:
        SettingsError: no patch of ground glass or none of reticulation.
    """
    opacities, textures = [], []
    for pattern in ("gg", "ret"):
        choice = patches_of(patches, pattern)
        patch = choice[int(rng.integers(len(choice)))]
        opacities.append(draw_ellipses(background, rng, settings))
        textures.append(
            slice_texture(
                patch,
                hu.shape,
                rng,
                tiled=settings.tiled,
                spacing_mm=background.spacing_mm[0],
                rotation_deg=settings.rotation_deg,
                scale=settings.scale,
            )
        )
    ground_glass, reticulation = opacities
    both = (ground_glass > 0) & (reticulation > 0)
    total = np.maximum(ground_glass, reticulation)
    if settings.overlap == "average":
        share = np.divide(reticulation, ground_glass + reticulation, out=np.zeros_like(total), where=total > 0)
    else:
        share = np.where(both, reticulation, reticulation > 0)
    lift = textures[0] * (1 - share) + textures[1] * share
    if settings.keep_vessels:
        lift -= background.anatomy.base_hu.astype(np.float32)
        lift *= background.anatomy.airiness
    else:
        lift -= hu
    lift *= total
    hu += lift
    return ground_glass, reticulation
