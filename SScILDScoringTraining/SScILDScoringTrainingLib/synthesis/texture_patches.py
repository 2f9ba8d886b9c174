"""Patches that are entirely one pattern, and slice-filling textures made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from SScILDScoringLib.errors import SettingsError

from .texture_growth import GrowingTexture

PATCH_PATTERNS = ("gg", "ret", "healthy")
SMALLEST_PATCH = 16
PHANTOM_MM = 0.7
SHARPNESS = {"gg": 2.0, "ret": 5.0, "healthy": 3.0}  # of the transitions when a patch is grown: lines need sharp ones


@dataclass(frozen=True)
class PatchSource:
    """Where a patch is cut from, as a configuration names it.

    Args:
        file: a CT (any format that :func:`SScILDScoringLib.scan.load_scan` reads) or a single axial DICOM slice.
        box: ``(y0, y1, x0, x1)`` in canonical pixels, upper ends excluded.
        pattern: ``gg``, ``ret`` or ``healthy``.
        slice: canonical slice number; None for a single-slice file.
    """

    file: Path
    box: tuple[int, int, int, int]
    pattern: str
    slice: int | None = None

    @classmethod
    def from_config(cls, values: Mapping, folder: Path | None = None) -> PatchSource:
        """From plain values; relative files are looked up below ``folder``. Raises SettingsError."""
        try:
            file = Path(values["file"])
            box = tuple(int(v) for v in values["box"])
            k = values.get("slice")
            source = cls(file if folder is None else folder / file, box, str(values["pattern"]), k)
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f"A texture patch needs file, slice, box (y0, y1, x0, x1) and pattern; this one is {dict(values)}."
            ) from error
        unknown = set(values) - {"file", "box", "pattern", "slice"}
        if unknown or len(box) != 4:
            raise SettingsError(f"A texture patch has file, slice, box of four numbers, pattern; not {dict(values)}.")
        return source


@dataclass(frozen=True, eq=False)
class TexturePatch:
    """A small piece of a slice that shows one pattern only.

    Args:
        hu: int16 ``(y, x)``, at least 16 pixels each way.
        pattern: ``gg``, ``ret`` or ``healthy``.
        spacing_mm: pixel size in millimetres, or None when unknown (then pixels are used as they are).
        name: where it comes from, for logs and for keeping training and evaluation patches apart.
    """

    hu: np.ndarray
    pattern: str
    spacing_mm: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.pattern not in PATCH_PATTERNS:
            raise SettingsError(f"A patch shows one of {', '.join(PATCH_PATTERNS)}, not {self.pattern!r}.")
        if self.hu.ndim != 2 or min(self.hu.shape) < SMALLEST_PATCH:
            raise SettingsError(
                f"A texture patch has at least {SMALLEST_PATCH}x{SMALLEST_PATCH} pixels; {self.name or 'this one'} "
                f"has {' x '.join(str(s) for s in self.hu.shape)}."
            )

    @cached_property
    def growing(self) -> GrowingTexture:
        """The patch prepared for non-periodic growth, once."""
        return GrowingTexture(self.hu, SHARPNESS[self.pattern])


def load_patch(source: PatchSource) -> TexturePatch:
    """Cuts the patch out of its file.

    Raises:
        ScanError: the file cannot be read or has no such slice.
        SettingsError: the box reaches out of the slice or is too small.
    """
    hu, spacing = _read_slice(source)
    y0, y1, x0, x1 = source.box
    if not (0 <= y0 < y1 <= hu.shape[0] and 0 <= x0 < x1 <= hu.shape[1]):
        raise SettingsError(f"The box {source.box} reaches out of the slice of {source.file.name} ({hu.shape}).")
    name = f"{source.file.name}:{source.slice}:{source.box}"
    return TexturePatch(np.clip(hu[y0:y1, x0:x1], -1024, 3071).astype(np.int16), source.pattern, spacing, name)


def _read_slice(source: PatchSource) -> tuple[np.ndarray, float]:
    if source.slice is not None:
        from SScILDScoringLib.scan import load_scan

        scan = load_scan(source.file)
        return scan.axial_slice(source.slice), scan.spacing[1]
    import SimpleITK as sitk

    from SScILDScoringLib.errors import ScanError

    try:
        image = sitk.ReadImage(str(source.file))
    except RuntimeError as error:
        raise ScanError(f"The slice {source.file.name} cannot be read.") from error
    array = sitk.GetArrayFromImage(image)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise SettingsError(f"{source.file.name} has several slices: say which one the texture patch is in.")
    return array, float(image.GetSpacing()[1])


def phantom_patches(count: int = 4, seed: int = 0, size: int = 64) -> tuple[TexturePatch, ...]:
    """Patches from the phantom's texture models, for those who have no scans of disease: ``count`` of each pattern."""
    from SScILDScoringLib.phantom.textures import ground_glass_texture, reticulation_texture

    rng = np.random.default_rng(seed)
    patches = []
    for n in range(count):
        for pattern, texture in (("gg", ground_glass_texture), ("ret", reticulation_texture)):
            hu = texture((size, size), rng, PHANTOM_MM, severity=float(rng.uniform(0.3, 0.9)))
            hu = np.rint(np.clip(hu, -1024, 3071)).astype(np.int16)
            patches.append(TexturePatch(hu, pattern, PHANTOM_MM, f"phantom:{pattern}:{seed}:{n}"))
    return tuple(patches)


def patches_of(patches: Sequence[TexturePatch], pattern: str) -> list[TexturePatch]:
    """The patches of one pattern. Raises SettingsError when there is none."""
    chosen = [p for p in patches if p.pattern == pattern]
    if not chosen:
        raise SettingsError(
            f"This synthesis needs at least one texture patch of {pattern!r}: name some in the configuration, or set "
            "patches to phantom."
        )
    return chosen


def mirrored_tiling(patch: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The published filling: the patch mirrored at its borders and repeated until it covers ``shape``."""
    cell = np.block([[patch, patch[:, ::-1]], [patch[::-1], patch[::-1, ::-1]]])
    repeats = [-(-s // c) for s, c in zip(shape, cell.shape, strict=True)]
    return np.tile(cell, repeats)[: shape[0], : shape[1]]


def slice_texture(
    patch: TexturePatch,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    tiled: bool = False,
    spacing_mm: float | None = None,
    rotation_deg: float = 180.0,
    scale: tuple[float, float] = (0.95, 1.05),
) -> np.ndarray:
    """A texture that fills ``shape``: covered with the patch, rotated, scaled and cropped (method.md section 4).

    Args:
        tiled: mirrored tiling as published; otherwise a texture without period grown from the patch.
        spacing_mm: pixel size of the slice, so that a patch of other pixel size keeps its size in millimetres.
        rotation_deg: tiles are rotated by a uniform angle within +- this; grown textures have no direction.
        scale: range of the size factor.

    Returns:
        float32 HU ``shape``.
    """
    factor = float(rng.uniform(*scale))
    if spacing_mm is not None and patch.spacing_mm is not None:
        factor *= patch.spacing_mm / spacing_mm
    if not tiled:
        return patch.growing.grow(shape, rng, factor)
    angle = np.deg2rad(rng.uniform(-rotation_deg, rotation_deg))
    # Output pixel -> source pixel: rotate, then divide by the scale.
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / factor
    corners = matrix @ (np.array([[0, 0, 1, 1], [0, 1, 0, 1]]) * np.array(shape)[:, None])
    low, high = corners.min(axis=1), corners.max(axis=1)
    needed = tuple(int(np.ceil(b - a)) + 3 for a, b in zip(low, high, strict=True))
    source = mirrored_tiling(patch.hu, needed).astype(np.float32)
    if factor < 0.75:  # a coarser slice shows means, not samples
        source = ndimage.gaussian_filter(source, 0.4 / factor, truncate=2.5)
    return ndimage.affine_transform(source, matrix, offset=1 - low, output_shape=shape, order=1, mode="mirror")
