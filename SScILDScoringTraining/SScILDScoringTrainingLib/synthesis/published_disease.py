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
        tiled: fill with mirrored tiles of the patch as published; otherwise with a non-periodic texture grown from it.
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
    tiled: bool = False
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
    opacities = tuple(draw_ellipses(background, rng, settings) for _ in ("gg", "ret"))
    fill_with_patches(hu, opacities, background, rng, settings, patches)
    return opacities


def fill_with_patches(
    hu: np.ndarray,
    opacities: tuple[np.ndarray | None, np.ndarray | None],
    background: Background,
    rng: np.random.Generator,
    settings: PublishedSettings,
    patches: Sequence[TexturePatch],
    base_hu: np.ndarray | None = None,
) -> None:
    """Fills regions of ground glass and of reticulation with textures made from patches (``hu`` float32, in place).

    Args:
        opacities: of ground glass and reticulation, float32 0..1 in the lungs' window; None where absent.
        base_hu: smoothed density of the healthy tissue, used when vessels are kept; None is the background's own.

    Raises:
        SettingsError: a pattern without a patch.
    """
    texture = np.zeros(hu.shape, np.float32)
    total = np.zeros(hu.shape, np.float32)
    for pattern, opacity in zip(("gg", "ret"), opacities, strict=True):
        choice = patches_of(patches, pattern)
        patch = choice[int(rng.integers(len(choice)))]
        box = _box_of(opacity)
        if box is None:
            continue
        shape = tuple(s.stop - s.start for s in box)
        mm = background.spacing_mm[0]
        new = slice_texture(
            patch,
            shape,
            rng,
            tiled=settings.tiled,
            spacing_mm=mm,
            rotation_deg=settings.rotation_deg,
            scale=settings.scale,
        )
        before, after = total[box], opacity[box]
        if settings.overlap == "average":  # in equal parts where both are complete
            share = after / np.maximum(before + after, np.float32(1e-6))
        else:
            share = np.where(after > 0, after, 0)
        texture[box] += share * (new - texture[box])
        np.maximum(before, after, out=total[box])
    lift = texture
    if settings.keep_vessels:
        lift -= background.anatomy.base_hu.astype(np.float32) if base_hu is None else base_hu
        lift *= background.anatomy.airiness
    else:
        lift -= hu
    lift *= total
    hu += lift


def _box_of(opacity: np.ndarray | None) -> tuple[slice, slice] | None:
    """The smallest box around what is not transparent; None when there is nothing."""
    if opacity is None:
        return None
    rows, columns = np.flatnonzero(opacity.any(axis=1)), np.flatnonzero(opacity.any(axis=0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
