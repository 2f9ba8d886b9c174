"""A picture of many samples with their masks and scores, to judge a synthesis by eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from .backgrounds import Background
from .samples import SynthesisSettings, synthesize
from .synthetic_slice import SyntheticSlice

LUNG_WINDOW = (-1350.0, 150.0)
EXAMPLES = 8
"""Samples on the contact sheet of a run."""
LEGEND = "contours:  blue lung,  yellow ground glass,  red reticulation"
_CAPTION, _LETTERS = 24, 15
"""Height of a caption and of its letters in pixels."""
_STREAM = 1_000_003
"""Of random numbers: those of the training have small numbers in its place (see :func:`..datasets.generator`)."""
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


def example_sheet(
    backgrounds: Sequence[Background], settings: SynthesisSettings, seed: int, path: str | Path, count: int = EXAMPLES
) -> Path | None:
    """Writes a contact sheet of ``count`` samples as a training makes them, from backgrounds all over the list.

    Args:
        backgrounds: of the training; slices without lung are left out where there are others.
        settings: the recipe. seed: the same one gives the same sheet; none of the samples is one of the training's.

    Returns:
        The path of the PNG; None without any background.
    """
    if not len(backgrounds):
        return None
    places = np.unique(np.linspace(0, len(backgrounds) - 1, 4 * count).astype(int))
    with_lung = [int(n) for n in places if backgrounds[int(n)].has_lung] or [int(places[0])]
    chosen = [with_lung[n * len(with_lung) // count] for n in range(count)]
    samples = [synthesize(backgrounds[k], np.random.default_rng((seed, _STREAM, n)), settings)
               for n, k in enumerate(chosen)]  # fmt: skip
    return contact_sheet(samples, path, columns=2)


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
        cell = Image.new("RGB", (tile * len(pictures), size[1] + _CAPTION), (0, 0, 0))
        for n, picture in enumerate(pictures):
            cell.paste(picture.resize(size, Image.Resampling.BICUBIC), (n * tile, 0))
        text = f"{sample.name}  TOT {sample.scores[0]:.1f}  GG {sample.scores[1]:.1f}  RET {sample.scores[2]:.1f}"
        _write(cell, size[1], text)
        cells.append(cell)
    width = max((c.width for c in cells), default=tile)
    rows = [cells[n : n + columns] for n in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) for row in rows]
    legend = _CAPTION if any(kinds) else 0
    sheet = Image.new("RGB", (columns * width, max(sum(heights) + legend, 1)), (0, 0, 0))
    for row, cells_of_row in enumerate(rows):
        for n, cell in enumerate(cells_of_row):
            sheet.paste(cell, (n * width, sum(heights[:row])))
    if legend:
        _write(sheet, sheet.height - _CAPTION, LEGEND)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    sheet.save(temporary, format="PNG")
    temporary.replace(path)
    return path


def _write(picture: Image.Image, top: int, text: str) -> None:
    """A caption into the strip that begins at ``top``."""
    letters = ImageFont.load_default(_LETTERS)
    ImageDraw.Draw(picture).text((6, top + 2), text, fill=(255, 255, 255), font=letters)
