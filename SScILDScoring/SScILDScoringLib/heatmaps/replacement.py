"""The replaced patches of a heat map: their positions, their texture and their faded edges.

A patch is a square of lung texture. It is cropped by the lung mask, its edge is faded, and it is blended into the
slice (method.md section 5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from ..errors import SettingsError

EDGES = ("box5", "ramp")
REPLACEMENTS = ("healthy", "gg", "ret")


BLUR_RADIUS = 2
"""Half width of the 5x5 box: the blurred mask reaches this many pixels beyond the patch."""


@dataclass(frozen=True)
class HeatMapSettings:
    """What is put into the slice, and where.

    Args:
        patch: side of the square patch in pixels of the slice (published: 64).
        step: distance between neighbouring patch positions in pixels (published: 16).
        edge: how the patch, cropped by the lung, fades into the slice: ``box5`` blurs its mask with a 5x5 box (the
            published program), ``ramp`` lets its opacity rise linearly from the edge inwards (the published text).
        ramp_pixels: width of the linear ramp; unused with ``box5``.
        replacement: ``healthy`` lung texture shows what the score came from; diseased texture (``gg``, ``ret``)
            shows what the network would miss.

    Raises:
        SettingsError: a value that cannot be used.
    """

    patch: int = 64
    step: int = 16
    edge: str = "box5"
    ramp_pixels: int = 8
    replacement: str = "healthy"

    def __post_init__(self) -> None:
        for name in ("patch", "step", "ramp_pixels"):
            value = getattr(self, name)
            if isinstance(value, bool) or value != int(value) or value < 1:
                raise SettingsError(f"The heat maps' {name} is a whole number of pixels, at least 1, not {value}.")
            object.__setattr__(self, name, int(value))
        if self.edge not in EDGES:
            raise SettingsError(f"The patch's edge is one of {', '.join(EDGES)}, not {self.edge!r}.")
        if self.replacement not in REPLACEMENTS:
            raise SettingsError(f"The replacement is one of {', '.join(REPLACEMENTS)}, not {self.replacement!r}.")

    @classmethod
    def of_bundle(cls, bundle) -> HeatMapSettings:
        """The published settings, or the patch size and step that an S-Net bundle asks for."""
        wanted = bundle.heat_maps
        return cls(patch=wanted.get("patch_size", cls.patch), step=wanted.get("step", cls.step))

    def to_dict(self) -> dict:
        """Plain values, for results."""
        return asdict(self)


@dataclass(frozen=True)
class PatchWindow:
    """One position of the patch: the part of the slice that it changes.

    Args:
        rows, columns: the changed window of the slice.
        covers: boolean, the window's shape: lung pixels under the patch.
        opacity: float32 in 0..1, the window's shape: weight of the replacement.
        texture: float32, the window's shape: the replacement in HU.
    """

    rows: slice
    columns: slice
    covers: np.ndarray
    opacity: np.ndarray
    texture: np.ndarray

    def trimmed(self) -> PatchWindow:
        """The same without rows and columns at its sides in which the replacement has no weight."""
        ends = []
        for axis in (1, 0):
            seen = np.flatnonzero(self.opacity.any(axis=axis))
            ends.append(slice(int(seen[0]), int(seen[-1]) + 1))
        y, x = ends
        return PatchWindow(
            slice(self.rows.start + y.start, self.rows.start + y.stop),
            slice(self.columns.start + x.start, self.columns.start + x.stop),
            self.covers[y, x],
            self.opacity[y, x],
            self.texture[y, x],
        )

    def blended(self, hu: np.ndarray) -> np.ndarray:
        """The window of the slice ``hu (y, x)`` with the patch in it, float32."""
        part = hu[self.rows, self.columns].astype(np.float32)
        return part + self.opacity * (self.texture - part)


def positions(height: int, width: int, step: int) -> list[tuple[int, int]]:
    """Top-left corners ``(y, x)`` of all patches, from top-left to bottom-right: 0, 16, ..., 496 in a 512 slice."""
    return [(y, x) for y in range(0, height, step) for x in range(0, width, step)]


def covered_lung(lung: np.ndarray, settings: HeatMapSettings) -> np.ndarray:
    """Boolean ``(y, x)``: the lung pixels that at least one patch covers; all of them unless steps exceed patches."""
    reached = np.zeros(lung.shape, bool)
    for y, x in positions(*lung.shape, settings.step):
        reached[y : y + settings.patch, x : x + settings.patch] = True
    return reached & lung


def margin_of(settings: HeatMapSettings) -> int:
    """Pixels kept around the patch: as far as the blur reaches, or one, so that the ramp sees where the mask ends."""
    return BLUR_RADIUS if settings.edge == "box5" else 1


def patch_windows(lung: np.ndarray, settings: HeatMapSettings, texture: np.ndarray) -> Iterator[PatchWindow]:
    """The windows of all positions that cover lung; the others change nothing.

    Args:
        lung: boolean ``(y, x)``.
        settings: patch, step and edge.
        texture: HU as :func:`replacement_texture` gives it.
    """
    height, width = lung.shape
    size, margin = settings.patch, margin_of(settings)
    for y, x in positions(height, width, settings.step):
        if not lung[y : y + size, x : x + size].any():
            continue
        top, left = max(y - margin, 0), max(x - margin, 0)
        rows = slice(top, min(y + size + margin, height))
        columns = slice(left, min(x + size + margin, width))
        covers = lung[rows, columns].copy()
        covers[: y - top] = covers[y - top + size :] = False
        covers[:, : x - left] = covers[:, x - left + size :] = False
        offset_y, offset_x = top - (y - margin), left - (x - margin)
        part = texture[offset_y : offset_y + covers.shape[0], offset_x : offset_x + covers.shape[1]]
        yield PatchWindow(rows, columns, covers, opacity_of(covers, settings), part).trimmed()


def opacity_of(mask: np.ndarray, settings: HeatMapSettings) -> np.ndarray:
    """Opacity of a patch whose cropped mask is ``mask``: float32, same shape, 0..1.

    A patch that is cut at the slice's border is not faded there: beyond the border is nothing to fade into.
    """
    return _box_blurred(mask) if settings.edge == "box5" else _ramp(mask, settings.ramp_pixels)


def _box_blurred(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask.astype(np.float32), BLUR_RADIUS, mode="edge")
    height, width = mask.shape
    span = 2 * BLUR_RADIUS + 1
    rows = sum(padded[n : n + height] for n in range(span))
    return (sum(rows[:, n : n + width] for n in range(span)) / np.float32(span * span)).astype(np.float32)


def _ramp(mask: np.ndarray, pixels: int) -> np.ndarray:
    """1 / (pixels + 1) in the outermost pixels of the mask, rising by as much with every pixel inwards, up to 1."""
    inside = mask.astype(bool)
    depth = inside.astype(np.float32)
    height, width = mask.shape
    for _ in range(pixels):
        padded = np.pad(inside, 1, mode="edge")
        rows = padded[:-2] & padded[1:-1] & padded[2:]
        inside = (rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:])[:height, :width]
        depth += inside
    return depth / np.float32(pixels + 1)


def replacement_texture(settings: HeatMapSettings, bundle=None) -> np.ndarray:
    """The texture that is put into the slice: float32 HU, square, patch size plus the margin on every side.

    Healthy texture comes from the bundle, or from the phantom's model of healthy lung when the bundle has none;
    diseased texture always comes from the phantom's models. A smaller patch is cut out of the middle, a larger one
    and the margin are made by mirroring.
    """
    size = settings.patch + 2 * margin_of(settings)
    patch = _patch_of(settings.replacement, bundle)
    return _fitted(np.asarray(patch, np.float32), settings.patch, size)


def _patch_of(replacement: str, bundle) -> np.ndarray:
    if replacement == "healthy" and bundle is not None and bundle.healthy_patch is not None:
        return bundle.healthy_patch
    from ..phantom import textures

    if replacement == "healthy":
        return textures.healthy_patch()
    make = {"gg": textures.ground_glass_texture, "ret": textures.reticulation_texture}[replacement]
    return make((64, 64), np.random.default_rng(0))


def _fitted(patch: np.ndarray, inner: int, size: int) -> np.ndarray:
    """``patch`` cut to at most ``inner`` pixels a side around its middle, then mirrored up to ``size``."""
    for axis in (0, 1):
        excess = max(patch.shape[axis] - inner, 0)
        patch = np.take(patch, range(excess // 2, patch.shape[axis] - (excess - excess // 2)), axis)
        missing = size - patch.shape[axis]
        widths = [(0, 0), (0, 0)]
        widths[axis] = (missing // 2, missing - missing // 2)
        patch = np.pad(patch, widths, mode="symmetric")
    return patch
