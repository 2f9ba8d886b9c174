"""Vessels that crowd around the hilum, thick and hazy as motion and thick slices show them: no disease.

The few scans that healthy slices come from show few hila; a network that has not seen more of them takes their haze
for ground glass and their branches for reticulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ..smoothing import smooth
from .backgrounds import Background


@dataclass(frozen=True)
class VesselSettings:
    """Vessels from the hilum.

    Args:
        share: part of the slices that get some.
        branches: range of their number in one lung.
        length_mm, width_mm: ranges of their length, and of their width where they begin.
        hu: range of their density.
        haze_mm: range of the standard deviation by which motion blurs half of them.
    """

    share: float = 0.35
    branches: tuple[float, float] = (2, 13)
    length_mm: tuple[float, float] = (8.0, 40.0)
    width_mm: tuple[float, float] = (1.5, 9.0)
    hu: tuple[float, float] = (0.0, 180.0)
    haze_mm: tuple[float, float] = (1.0, 4.5)


def paint_vessels(hu: np.ndarray, background: Background, rng: np.random.Generator, settings: VesselSettings) -> None:
    """Draws vessels that leave the hilum of one lung or both into ``hu`` (float32, the lungs' window, in place)."""
    if rng.random() >= settings.share:
        return
    anatomy, mm = background.anatomy, background.spacing_mm[0]
    hila = anatomy.lung & (anatomy.pleural_mm < 6) & (anatomy.costal_mm > 20)
    middle = np.flatnonzero(anatomy.lung.any(0)).mean()
    columns = np.arange(hila.shape[1])
    crisp, hazy = (Image.new("L", hu.shape[::-1]) for _ in range(2))
    drawn = False
    for half in (columns < middle, columns >= middle):
        places = np.flatnonzero(hila & half[None])
        lung = np.nonzero(anatomy.lung & half[None])
        if not len(places) or rng.random() < 0.25:
            continue
        for _ in range(int(rng.integers(1, 3))):  # the vessels of one lobe leave together
            start = np.array(np.unravel_index(places[rng.integers(len(places))], hila.shape), float)
            outward = np.array([lung[0].mean(), lung[1].mean()]) - start
            towards = np.arctan2(outward[0], outward[1])
            for _ in range(int(rng.integers(*np.array(settings.branches, int)))):
                _branch(hazy if rng.random() < 0.5 else crisp, start, towards, rng, settings, mm)
                drawn = True
    if not drawn:
        return
    blurs = (rng.uniform(0.7, 1.4) / mm, rng.uniform(*settings.haze_mm) / mm)
    layers = [
        smooth(np.asarray(layer, np.float32) * np.float32(1 / 255), blur, truncate=4.0, mode="reflect")
        for layer, blur in zip((crisp, hazy), blurs, strict=True)
    ]
    vessel = np.maximum(layers[0], np.float32(rng.uniform(0.5, 1.0)) * layers[1])
    vessel *= anatomy.airiness.astype(np.float32)
    hu += vessel * np.maximum(np.float32(rng.uniform(*settings.hu)) - hu, 0)


def _branch(
    layer: Image.Image,
    hilum: np.ndarray,
    towards: float,
    rng: np.random.Generator,
    settings: VesselSettings,
    mm: float,
) -> None:
    """A bent, tapering line of five pieces from near ``hilum (row, column)``."""
    draw = ImageDraw.Draw(layer)
    place = hilum + rng.normal(0, 8 / mm, 2)
    angle = towards + rng.uniform(-1.8, 1.8)  # outwards, or along the mediastinum
    piece = rng.uniform(*settings.length_mm) / mm / 5
    width = rng.uniform(*settings.width_mm) / mm
    for part in range(5):
        angle += rng.normal(0, 0.25)
        end = place + piece * np.array([np.sin(angle), np.cos(angle)])
        pixels = max(width * (1 - 0.17 * part), 1.0)
        radius = pixels / 2
        draw.line([place[1], place[0], end[1], end[0]], fill=255, width=round(pixels))
        for row, column in (place, end):
            draw.ellipse([column - radius, row - radius, column + radius, row + radius], fill=255)
        place = end
