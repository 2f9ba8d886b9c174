"""Healthy axial slices that synthetic disease is drawn into."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.preprocessing import AIR_HU, resize_slice

if TYPE_CHECKING:
    from SScILDScoringLib.lungs import LungMask
    from SScILDScoringLib.scan import CTScan

SOLID_HU = -20.0  # vessels and walls: no air that disease could replace
AIRWAY_HU = -930.0  # lumina of airways and bullae are darker than this and than the parenchyma
AIRWAY_MM2 = (3.0, 150.0)  # smaller dark spots are scanner noise, larger ones emphysema or shading
RIM_MM, RIM_HU = 2.0, -200.0  # how far beside the mask, and how dense, a pixel may still be the border of the lung


@dataclass(frozen=True, eq=False)
class Background:
    """A healthy slice (TOT = 0) with what has to be known about it. Arrays are not to be modified.

    Args:
        hu: int16 Hounsfield units ``(y, x)``, x to the patient's left, y to posterior.
        lung: bool ``(y, x)``; empty for slices through neck or abdomen, whose score is 0.
        body: bool ``(y, x)``, inside of the body, lungs included.
        spacing_mm: pixel size ``(y, x)`` in millimetres.
        name: where it comes from, for logs and splits (``lidc0001:42``).
        height: 0 at the lowest, 1 at the highest slice of the lungs; None when unknown.
        known: the slice's anatomy, if it was found before.
    """

    hu: np.ndarray
    lung: np.ndarray
    body: np.ndarray
    spacing_mm: tuple[float, float]
    name: str = ""
    height: float | None = None
    known: LungAnatomy | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.hu.ndim != 2 or self.hu.dtype != np.int16:
            raise SettingsError(f"A background is an int16 slice (y, x), not {self.hu.dtype} {self.hu.shape}.")
        for mask, what in ((self.lung, "lung"), (self.body, "body")):
            if mask.shape != self.hu.shape or mask.dtype != bool:
                raise SettingsError(f"The {what} mask of background {self.name!r} does not fit its slice.")
        if min(self.spacing_mm) <= 0 or len(self.spacing_mm) != 2:
            raise SettingsError(f"The pixel size of background {self.name!r} is not usable: {self.spacing_mm}.")
        object.__setattr__(self, "spacing_mm", tuple(float(v) for v in self.spacing_mm))

    @property
    def has_lung(self) -> bool:
        """Whether the slice shows enough lung (at least 1 cm2) to draw disease into."""
        return np.count_nonzero(self.lung) * self.spacing_mm[0] * self.spacing_mm[1] >= 100

    @property
    def anatomy(self) -> LungAnatomy | None:
        """What disease goes by in this slice, kept for the next time. None when :attr:`has_lung` is false."""
        return self.known or _anatomy_of(self)

    def resized(self, height: int, width: int) -> Background:
        """The same slice with another number of pixels and the same field of view (area averages when shrinking)."""
        if self.hu.shape == (height, width):
            return self
        factor = (self.hu.shape[0] / height, self.hu.shape[1] / width)
        return Background(
            np.rint(resize_slice(self.hu, height, width)).astype(np.int16),
            resize_slice(self.lung, height, width) >= 0.5,
            resize_slice(self.body, height, width) >= 0.5,
            (self.spacing_mm[0] * factor[0], self.spacing_mm[1] * factor[1]),
            self.name,
            self.height,
        )


@lru_cache(maxsize=256)  # about a megabyte each at 512x512, a fiftieth of a second to make
def _anatomy_of(background: Background) -> LungAnatomy | None:
    return LungAnatomy.of(background) if background.has_lung else None


@dataclass(frozen=True, eq=False)
class LungAnatomy:
    """The lungs' surroundings in a slice, within the box ``window`` around them (float16 to save memory).

    Args:
        window: slices ``(y, x)`` of the box, with a margin of 3 mm.
        lung: bool, the lung in the box.
        rim: bool, the lung and the air-bearing pixels along its border that the mask left out; disease is painted here
            (and counted in the lung), so that no thin line of healthy lung stays along the chest wall.
        airiness: part of a pixel that is air-bearing parenchyma: 1 in plain lung, 0 in vessels, walls and airways.
        base_hu: smoothed HU of the parenchyma.
        pleural_mm: distance to the border of the lung.
        costal_mm: distance to the outer contour around both lungs (the mediastinal pleura does not count).
        posterior: 0 at the front, 1 at the back of the lungs, a column.
    """

    window: tuple[slice, slice]
    lung: np.ndarray
    rim: np.ndarray
    airiness: np.ndarray
    base_hu: np.ndarray
    pleural_mm: np.ndarray
    costal_mm: np.ndarray
    posterior: np.ndarray

    @classmethod
    def of(cls, background: Background) -> LungAnatomy:
        """The anatomy of a background that has lung."""
        spacing = background.spacing_mm
        rows = np.flatnonzero(background.lung.any(axis=1))
        columns = np.flatnonzero(background.lung.any(axis=0))
        margin = [int(np.ceil(3 / s)) for s in spacing]
        window = tuple(
            slice(max(int(line[0]) - m, 0), min(int(line[-1]) + 1 + m, size))
            for line, m, size in zip((rows, columns), margin, background.hu.shape, strict=True)
        )
        hu = np.clip(background.hu[window], AIR_HU, None).astype(np.float32)
        lung = background.lung[window]
        # A light blur keeps scanner noise from being taken for vessels or airways.
        quiet = ndimage.gaussian_filter(hu, [0.45 / s for s in spacing])
        pleural_mm = ndimage.distance_transform_edt(lung, sampling=spacing)
        plain = lung & (quiet < -650)
        level = min(float(np.median(hu[plain] if plain.sum() > 50 else hu[lung])), -500.0)
        parenchyma = plain & (quiet > level - 150)
        base = _local_mean(hu, parenchyma, level, spacing)
        airways = _airways(hu, lung & (pleural_mm > 2), base, spacing)
        near = ndimage.distance_transform_edt(~lung, sampling=spacing) <= RIM_MM
        rim = lung | (near & (quiet < RIM_HU) & (quiet > base - 60))
        airiness = np.clip((SOLID_HU - quiet) / (SOLID_HU - level), 0, 1) * (1 - airways) * rim
        return cls(
            window,
            lung,
            rim,
            airiness.astype(np.float16),
            np.clip(base, AIR_HU, -400).astype(np.float16),
            pleural_mm.astype(np.float16),
            _distance_to_outer_contour(lung, spacing).astype(np.float16),
            cls.front_to_back(lung),
        )

    @staticmethod
    def front_to_back(lung: np.ndarray) -> np.ndarray:
        """0 at the first, 1 at the last row with lung; float32, a column."""
        rows = np.flatnonzero(lung.any(axis=1))
        along = (np.arange(len(lung)) - rows[0]) / max(rows[-1] - rows[0], 1)
        return np.clip(along, 0, 1).astype(np.float32)[:, None]


def _local_mean(hu: np.ndarray, where: np.ndarray, fallback: float, spacing: tuple[float, float]) -> np.ndarray:
    """Mean of ``hu`` over the pixels ``where`` within about 8 mm."""
    sigma = [8 / s for s in spacing]
    weight = ndimage.gaussian_filter(where.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(where, hu, np.float32(0)), sigma)
    return np.where(weight > 0.02, total / np.maximum(weight, np.float32(0.02)), np.float32(fallback))


def _airways(hu: np.ndarray, inside: np.ndarray, base: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Lumina of airways and small bullae, float32 0..1: dark compact spots larger than noise, with soft edges."""
    quiet = ndimage.gaussian_filter(hu, [0.7 / s for s in spacing])
    excess = quiet - np.minimum(base, AIRWAY_HU + 45)
    spots, count = ndimage.label(inside & (excess < -50))
    numbers = np.arange(count + 1)
    area = np.bincount(spots.ravel(), minlength=count + 1) * spacing[0] * spacing[1]
    darkest = ndimage.minimum(excess, spots, numbers) if count else np.zeros(1)
    keep = (area >= AIRWAY_MM2[0]) & (area <= AIRWAY_MM2[1]) & (darkest < -80)
    keep[0] = False
    return ndimage.gaussian_filter(keep[spots].astype(np.float32), [0.6 / s for s in spacing])


def _distance_to_outer_contour(lung: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Millimetres from each pixel to the outside of the convex hull of the lungs."""
    from PIL import Image, ImageDraw
    from scipy.spatial import ConvexHull, QhullError

    border = lung & ~ndimage.binary_erosion(lung)
    points = np.argwhere(border)
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:  # all lung pixels on one line
        return ndimage.distance_transform_edt(lung, sampling=spacing)
    picture = Image.new("1", lung.shape[::-1])
    ImageDraw.Draw(picture).polygon([(int(x), int(y)) for y, x in corners], fill=1, outline=1)
    hull = np.pad(np.array(picture) | lung, 1)
    return ndimage.distance_transform_edt(hull, sampling=spacing)[1:-1, 1:-1]


def background_from_slice(
    hu: np.ndarray,
    lung: np.ndarray,
    spacing_mm: tuple[float, float],
    *,
    body: np.ndarray | None = None,
    name: str = "",
    height: float | None = None,
) -> Background:
    """A background from one slice; the body mask is found when it is not given. Scanner padding becomes air."""
    if body is None:
        from SScILDScoringLib.body import body_mask

        body = body_mask(hu)
    lung = np.asarray(lung, bool)
    hu = np.clip(hu, AIR_HU, 3071).astype(np.int16)
    return Background(hu, lung, np.asarray(body, bool) | lung, spacing_mm, name, height)


@dataclass(frozen=True)
class Slab:
    """Neighbouring slices seen as one: what a scanner with thicker slices would have shown.

    Args:
        mm: thickness.
        brightest: weight (0..1) of the brightest instead of the mean of the slices: vessels are crowded and borders
            hazy, as they are around the hila and in lungs that are not fully inspired.
    """

    mm: float
    brightest: float = 0.0

    def __post_init__(self) -> None:
        if self.mm <= 0 or not 0 <= self.brightest <= 1:
            raise SettingsError(f"A slab is thicker than 0 mm and its brightest share lies in 0..1, not {self}.")

    def of(self, scan: CTScan, lungs: LungMask, k: int) -> tuple[np.ndarray, np.ndarray]:
        """HU ``(y, x)`` float32 and lung mask (bool; where most of the slices are lung) of the slab around ``k``."""
        reach = max(1, round((self.mm / scan.spacing[2] - 1) / 2))
        numbers = range(max(k - reach, 0), min(k + reach, scan.slice_count - 1) + 1)
        hu = np.stack([np.clip(scan.axial_slice(n), AIR_HU, 3071) for n in numbers])
        mean = hu.mean(0, dtype=np.float32)
        lung = np.mean([lungs.mask(n) for n in numbers], axis=0) >= 0.5
        return mean + np.float32(self.brightest) * (hu.max(0) - mean), lung


def backgrounds_from_scan(
    scan: CTScan, lungs: LungMask, indices: Iterable[int], name: str, slabs: Iterable[Slab] = ()
) -> list[Background]:
    """The healthy slices of a scan, and after them the same slices as each of the slabs shows them.

    Args:
        scan: the CT.
        lungs: its lung mask.
        indices: canonical slice numbers that look healthy in both lungs; slices without lung are allowed.
        name: of the scan; a background is called ``name:k``.
        slabs: thicker slices to be made beside the scan's own.

    Raises:
        ScanError: a slice number outside the scan.
    """
    with_lung = np.flatnonzero([lungs.mask(k).any() for k in range(scan.slice_count)])
    bottom, top = (int(with_lung[0]), int(with_lung[-1])) if len(with_lung) else (0, 0)
    spacing = (scan.spacing[1], scan.spacing[0])
    result = []
    numbers = [int(k) for k in indices]
    for slab in (None, *slabs):
        for k in numbers:
            height = float(np.clip((k - bottom) / (top - bottom), 0, 1)) if top > bottom else None
            hu, lung = slab.of(scan, lungs, k) if slab else (scan.axial_slice(k), lungs.mask(k))
            result.append(background_from_slice(hu, lung, spacing, name=f"{name}:{k}", height=height))
    return result
