"""A picture of many samples with their masks and scores, to judge a synthesis by eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from .synthetic_slice import SyntheticSlice

LUNG_WINDOW = (-1350.0, 150.0)
COLOURS = {"lung": (70, 110, 255), "ground_glass": (255, 210, 0), "reticulation": (255, 60, 60)}


def sample_picture(
    sample: SyntheticSlice, *, contours: bool = True, crop: bool = True, window: tuple[float, float] = LUNG_WINDOW
) -> Image.Image:
    """One sample as an RGB picture: lung blue, ground glass yellow, reticulation red, scores written below."""
    low, high = window
    grey = (np.clip((sample.hu.astype(np.float32) - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    picture = np.repeat(grey[:, :, None], 3, axis=2)
    if contours:
        for name, colour in COLOURS.items():
            mask = getattr(sample, name)
            picture[mask & ~ndimage.binary_erosion(mask)] = colour
    if crop and sample.lung.any():
        rows, columns = np.flatnonzero(sample.lung.any(axis=1)), np.flatnonzero(sample.lung.any(axis=0))
        picture = picture[
            max(rows[0] - 8, 0) : rows[-1] + 9,
            max(columns[0] - 8, 0) : columns[-1] + 9,
        ]
    return Image.fromarray(np.ascontiguousarray(picture))


def contact_sheet(
    samples: Sequence[SyntheticSlice],
    path: str | Path,
    *,
    columns: int = 4,
    tile: int = 360,
    contours: bool | str = "beside",
) -> Path:
    """Writes a PNG of the samples, scores below each.

    Args:
        contours: True draws them, False leaves the samples bare, ``beside`` shows each sample bare and with contours.
        tile: width of a picture in pixels.

    Returns:
        The path of the PNG.
    """
    kinds = (False, True) if contours == "beside" else (bool(contours),)
    cells = []
    for sample in samples:
        pictures = [sample_picture(sample, contours=kind) for kind in kinds]
        factor = tile / pictures[0].width
        size = (tile, max(round(pictures[0].height * factor), 1))
        cell = Image.new("RGB", (tile * len(pictures), size[1] + 16), (0, 0, 0))
        for n, picture in enumerate(pictures):
            cell.paste(picture.resize(size, Image.Resampling.BICUBIC), (n * tile, 0))
        text = f"{sample.name}  TOT {sample.scores[0]:.1f}  GG {sample.scores[1]:.1f}  RET {sample.scores[2]:.1f}"
        ImageDraw.Draw(cell).text((4, size[1] + 2), text, fill=(255, 255, 255))
        cells.append(cell)
    width = max((c.width for c in cells), default=tile)
    height = max((c.height for c in cells), default=tile)
    sheet = Image.new("RGB", (columns * width, -(-max(len(cells), 1) // columns) * height), (0, 0, 0))
    for n, cell in enumerate(cells):
        sheet.paste(cell, ((n % columns) * width, (n // columns) * height))
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    sheet.save(temporary, format="PNG")
    temporary.replace(path)
    return path
