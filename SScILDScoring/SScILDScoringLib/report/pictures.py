"""Pictures of a scan: axial slices, coronal and sagittal views with level lines, heat-map overlays.

A :class:`View` is a grey picture with square pixels in millimetres and what has to be written on it; the report draws
the writing as vector graphics, :func:`drawn` burns it into a bitmap. All views follow the radiological convention:
the patient's right is on the left of axial and coronal pictures, the head is up, anterior is on the left of sagittal
ones.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..levels import Level, Levels
from ..scan import CTScan
from .colours import HEAT_LIMIT, LUNG_WINDOW, heat_colours, share_colours, windowed

JPEG_QUALITY = 88
_SLAB_MM = 5.0


@dataclass(frozen=True)
class LevelLine:
    """A level in a coronal or sagittal view; ``row`` counts pixels from the upper edge of the picture (0 = edge)."""

    level: Level
    row: float


@dataclass(frozen=True)
class Crop:
    """A rectangle of voxels, upper ends excluded: columns ``left..right`` and rows ``top..bottom`` of a slice."""

    left: int
    right: int
    top: int
    bottom: int


@dataclass(frozen=True)
class View:
    """A grey picture with square pixels.

    Args:
        pixels: uint8 ``(rows, columns)``.
        mm_per_pixel: the same across and down.
        marks: letters at the left, right, upper and lower edge (R, L, A, P, H, F).
        lines: levels that cross the picture.
        title: what the picture shows, for people who cannot see it.
    """

    pixels: np.ndarray
    mm_per_pixel: float
    marks: tuple[str, str, str, str]
    title: str
    lines: tuple[LevelLine, ...] = ()

    @property
    def height(self) -> int:
        """Rows."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """Columns."""
        return self.pixels.shape[1]


# ---- views -------------------------------------------------------------------------------------------------------


def axial_view(scan: CTScan, k: int, crop: Crop | None = None, window: tuple[float, float] = LUNG_WINDOW) -> View:
    """The axial slice with canonical index ``k``, seen from the feet, in pixels of the smaller in-plane spacing."""
    crop = crop or whole_slice(scan)
    hu = scan.axial_slice(k)[crop.top : crop.bottom, crop.left : crop.right]
    x, y, _ = scan.spacing
    mm = min(x, y)
    title = f"Axial CT slice at {scan.mm_of_slice(k):.1f} mm, lung window"
    return View(_squared(windowed(hu, window), y, x, mm), mm, ("R", "L", "A", "P"), title)


def coronal_view(
    scan: CTScan,
    levels: Levels | None = None,
    j: int | None = None,
    lungs: np.ndarray | None = None,
    window: tuple[float, float] = LUNG_WINDOW,
) -> View:
    """A coronal view, head up, the patient's right on the left.

    Args:
        scan: the CT.
        levels: drawn as lines at the slices they stand for.
        j: canonical row of the slices; the middle of the lungs (or of the scan) when None.
        lungs: lung labels ``(z, y, x)``; the view is cropped to them from side to side.
        window: (width, level) in HU.
    """
    left, right, _, _ = _extent(scan, lungs)
    if j is None:
        j = _middle(lungs, axis=1) if lungs is not None and lungs.any() else scan.shape[1] // 2
    hu = _slab(scan.voxels, 1, j, scan.spacing[1])[:, left:right]
    return _upright(scan, hu, scan.spacing[0], ("R", "L", "H", "F"), "Coronal view", levels, window)


def sagittal_view(
    scan: CTScan,
    levels: Levels | None = None,
    i: int | None = None,
    lungs: np.ndarray | None = None,
    window: tuple[float, float] = LUNG_WINDOW,
) -> View:
    """A sagittal view, head up, anterior on the left; through the middle of the right lung (label 1) when ``i`` is
    None, because level 5 stands on the right hemidiaphragm. Arguments as in :func:`coronal_view`."""
    _, _, top, bottom = _extent(scan, lungs)
    if i is None:
        right_lung = lungs == 1 if lungs is not None else None
        i = _middle(right_lung, axis=2) if right_lung is not None and right_lung.any() else scan.shape[2] // 3
    hu = _slab(scan.voxels, 2, i, scan.spacing[0])[:, top:bottom]
    return _upright(scan, hu, scan.spacing[1], ("A", "P", "H", "F"), "Sagittal view", levels, window)


def whole_slice(scan: CTScan) -> Crop:
    """The crop that leaves an axial slice as it is."""
    _, y, x = scan.shape
    return Crop(0, x, 0, y)


def lung_crop(scan: CTScan, lungs: np.ndarray, margin_mm: float = 25.0) -> Crop:
    """The part of the axial slices that holds the lungs and ``margin_mm`` around them; all of it without lungs.

    Args:
        lungs: lung labels ``(z, y, x)`` or of some slices only.
    """
    if not lungs.any():
        return whole_slice(scan)
    rows, columns = (np.flatnonzero(lungs.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    x, y = (int(np.ceil(margin_mm / s)) for s in scan.spacing[:2])
    _, height, width = scan.shape
    return Crop(
        max(int(columns[0]) - x, 0),
        min(int(columns[-1]) + x + 1, width),
        max(int(rows[0]) - y, 0),
        min(int(rows[-1]) + y + 1, height),
    )


# ---- overlays ----------------------------------------------------------------------------------------------------


def heat_overlay(change: np.ndarray, covered: np.ndarray, limit: float = HEAT_LIMIT) -> Image.Image:
    """A heat map as a picture with a palette of its own, transparent where nothing was covered or nothing changed.

    Args:
        change: percentage points ``(y, x)``.
        covered: boolean ``(y, x)``.
        limit: percentage points at the ends of the colour scale.
    """
    steps = np.rint(np.clip(np.asarray(change, np.float32) / limit, -1, 1) * 127).astype(np.int16) + 128
    index = np.where(covered, steps, 0).astype(np.uint8)
    palette = heat_colours((np.arange(256) - 128) / 127 * limit, limit)
    palette[0] = 0
    return _with_palette(index, palette)


def share_overlay(share: np.ndarray) -> Image.Image:
    """A network's own disease map (0..1) as a picture with a palette of its own; transparent at 0."""
    return _with_palette(
        np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8), share_colours(np.arange(256, dtype=float) / 255)
    )


def cropped_overlay(overlay: Image.Image, crop: Crop) -> Image.Image:
    """The part of an overlay on the slice's own grid that lies in ``crop``."""
    return overlay.crop((crop.left, crop.top, crop.right, crop.bottom))


# ---- files -------------------------------------------------------------------------------------------------------


def png_bytes(image: Image.Image | np.ndarray) -> bytes:
    """A picture as a PNG file."""
    return _bytes(_image(image), format="PNG", optimize=True)


def jpeg_bytes(image: Image.Image | np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """A grey or colour picture as a JPEG file."""
    return _bytes(_image(image), format="JPEG", quality=quality, optimize=True)


def data_uri(data: bytes) -> str:
    """A PNG or JPEG file as an address that holds the file itself."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def drawn(view: View, overlay: Image.Image | None = None, opacity: float = 0.6, scale: float = 1.0) -> Image.Image:
    """A view as an RGB bitmap with its marks, level lines and scale bar burnt in.

    Args:
        view: what to draw.
        overlay: laid over the grey picture, stretched to its size.
        opacity: of the overlay, 0..1.
        scale: picture pixels per view pixel.
    """
    size = (round(view.width * scale), round(view.height * scale))
    image = Image.fromarray(view.pixels).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    if overlay is not None:
        colour = overlay.convert("RGBA").resize(size, Image.Resampling.BILINEAR)
        alpha = colour.getchannel("A").point(lambda v: round(v * opacity))
        image.paste(colour.convert("RGB"), mask=alpha)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=min(max(size[1] / 20, 11), 18))
    left, right, top, _ = view.marks
    write = {"fill": (255, 255, 255), "stroke_width": 2, "stroke_fill": (0, 0, 0), "font": font}
    side = 14 if view.lines else size[1] / 2  # not where a level line may run
    draw.text((6, side), left, anchor="lm", **write)
    draw.text((size[0] - 6, side), right, anchor="rm", **write)
    draw.text((size[0] / 2, 4), top, anchor="ma", **write)
    for line in view.lines:
        row = line.row * scale
        draw.line([(0, row), (size[0], row)], fill=(255, 214, 60), width=1)
        draw.text((size[0] - 6, row - 2), line.level.name, anchor="rs", **{**write, "fill": (255, 214, 60)})
    length, y = scale_bar_mm(view) / view.mm_per_pixel * scale, size[1] - 10
    draw.line([(8, y), (8 + length, y)], fill=(255, 255, 255), width=2)
    draw.text((8, y - 5), f"{scale_bar_mm(view):g} mm", anchor="ls", **write)
    return image


def scale_bar_mm(view: View) -> float:
    """A round length of about a fifth of the picture's width."""
    wanted = view.width * view.mm_per_pixel / 5
    return max((length for length in (10, 20, 50, 100) if length <= wanted), default=10)


# ---- how -----------------------------------------------------------------------------------------------------------


def _upright(scan, hu, spacing_across, marks, title, levels, window) -> View:
    """The view of a plane ``(z, across)``: turned head up, with square pixels and the level lines of its slices."""
    height = scan.spacing[2]
    mm = min(spacing_across, 1.0)
    pixels = _squared(windowed(hu[::-1], window), height, spacing_across, mm)
    per_slice = pixels.shape[0] / scan.slice_count
    lines = ()
    if levels is not None:
        centres = [scan.slice_count - 0.5 - k for k in levels.slice_indices(scan)]
        lines = tuple(LevelLine(p.level, row * per_slice) for p, row in zip(levels, centres, strict=True))
    return View(pixels, mm, marks, f"{title}, lung window", lines)


def _squared(pixels: np.ndarray, row_mm: float, column_mm: float, mm: float) -> np.ndarray:
    """``pixels`` resized so that each is ``mm`` by ``mm`` millimetres."""
    height, width = pixels.shape
    size = (max(round(width * column_mm / mm), 1), max(round(height * row_mm / mm), 1))
    if size == (width, height):
        return pixels
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BICUBIC))


def _slab(voxels: np.ndarray, axis: int, centre: int, spacing: float) -> np.ndarray:
    """Mean over about 5 mm across the plane: less noise, vessels stay visible."""
    half = int(_SLAB_MM / 2 / spacing)
    part = slice(max(centre - half, 0), min(centre + half + 1, voxels.shape[axis]))
    chosen = voxels[:, part] if axis == 1 else voxels[:, :, part]
    return chosen.mean(axis=axis, dtype=np.float32)


def _extent(scan: CTScan, lungs: np.ndarray | None) -> Sequence[int]:
    crop = whole_slice(scan) if lungs is None else lung_crop(scan, lungs, margin_mm=35.0)
    return crop.left, crop.right, crop.top, crop.bottom


def _middle(mask: np.ndarray, axis: int) -> int:
    """The middle of the mask's voxels along an axis (their median)."""
    counts = np.count_nonzero(mask, axis=tuple(a for a in range(3) if a != axis))
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))


def _with_palette(index: np.ndarray, palette: np.ndarray) -> Image.Image:
    image = Image.fromarray(index)
    image.putpalette(palette[:, :3].tobytes())
    image.info["transparency"] = palette[:, 3].tobytes()
    return image


def _image(image: Image.Image | np.ndarray) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(image)


def _bytes(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    if "transparency" in image.info and options["format"] == "PNG":
        options["transparency"] = image.info["transparency"]
    image.save(buffer, **options)
    return buffer.getvalue()
