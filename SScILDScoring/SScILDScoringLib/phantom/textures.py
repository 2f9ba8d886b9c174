"""Two-dimensional textures of lung in HU: healthy, ground glass, reticulation. Models for synthesis and heat maps."""

from __future__ import annotations

import numpy as np

from .disease import DiseaseTexture
from .noise3d import Placement, band_block, sample, sample_nearest
from .render import BLUR_MM
from .scanner import NoiseModel
from .trees import Segments, paint

VESSELS_PER_CM2 = 1.1
"""Vessel sections seen per square centimetre of a healthy slice, most of them under a millimetre wide."""


def healthy_texture(
    shape: tuple[int, int],
    rng: np.random.Generator,
    spacing_mm: float = 0.7,
    *,
    base_hu: float | None = None,
    noise_hu: float = 14.0,
    kernel: str = "soft",
    vessels: float = 1.0,
) -> np.ndarray:
    """Healthy lung parenchyma without pleura or large vessels: float32 HU ``(y, x)``.

    Args:
        shape: rows and columns. rng: where the chance comes from. spacing_mm: size of a pixel.
        base_hu: density between the vessels; random between -900 and -830 when None.
        noise_hu: standard deviation of the scanner's noise. kernel: ``soft`` or ``sharp``.
        vessels: number of small vessels relative to a usual slice.
    """
    return _texture(shape, rng, spacing_mm, base_hu, noise_hu, kernel, vessels, None, 0.0)


def ground_glass_texture(
    shape: tuple[int, int],
    rng: np.random.Generator,
    spacing_mm: float = 0.7,
    *,
    severity: float = 0.5,
    base_hu: float | None = None,
    noise_hu: float = 14.0,
    kernel: str = "soft",
    vessels: float = 1.0,
) -> np.ndarray:
    """Lung that is ground glass everywhere, its vessels visible: float32 HU ``(y, x)``; arguments as above."""
    return _texture(shape, rng, spacing_mm, base_hu, noise_hu, kernel, vessels, "gg", severity)


def reticulation_texture(
    shape: tuple[int, int],
    rng: np.random.Generator,
    spacing_mm: float = 0.7,
    *,
    severity: float = 0.5,
    base_hu: float | None = None,
    noise_hu: float = 14.0,
    kernel: str = "soft",
    vessels: float = 1.0,
) -> np.ndarray:
    """Lung that is reticulated everywhere: float32 HU ``(y, x)``; arguments as above."""
    return _texture(shape, rng, spacing_mm, base_hu, noise_hu, kernel, vessels, "ret", severity)


def healthy_patch(size: int = 64, seed: int = 0) -> np.ndarray:
    """A square of healthy lung, int16 HU ``(size, size)``; the same for the same ``size`` and ``seed``."""
    texture = healthy_texture((size, size), np.random.default_rng(seed), base_hu=-865.0, noise_hu=10.0, vessels=0.6)
    return np.rint(np.clip(texture, -1024, 3071)).astype(np.int16)


def _texture(shape, rng, spacing_mm, base_hu, noise_hu, kernel, vessels, pattern, severity) -> np.ndarray:
    rows, columns = (int(n) for n in shape)
    base = np.float32(rng.uniform(-900, -830) if base_hu is None else base_hu)
    y, x = (a.astype(np.float32).ravel() * np.float32(spacing_mm) for a in np.mgrid[:rows, :columns])
    z = np.float32(0)
    hu = base + sample_nearest(band_block(), Placement(rng, 0.5).lattice(x, y, z)) * np.float32(12)
    hu = hu + sample(band_block(), Placement(rng, 3.0).lattice(x, y, z)) * np.float32(9)
    if pattern is not None:
        model = DiseaseTexture(severity, rng)
        whole = np.ones_like(hu)
        if pattern == "gg":
            hu = model.ground_glass(hu, whole, x, y, z, spacing_mm)
        else:
            hu = model.reticulation(hu, whole, x, y, z, np.full_like(hu, 8), spacing_mm)
    filled = _vessel_fill(rows, columns, rng, spacing_mm, vessels, kernel).ravel()
    hu = hu + filled * (np.maximum(hu, 35) - hu)
    hu = hu.reshape(rows, columns) + NoiseModel((rows, columns), spacing_mm, kernel, noise_hu).plane(rng)
    return hu.astype(np.float32)


def _vessel_fill(
    rows: int, columns: int, rng: np.random.Generator, spacing_mm: float, density: float, kernel: str
) -> np.ndarray:
    """Share of each pixel that small vessels fill: rods in random directions through the slice."""
    height, width = rows * spacing_mm, columns * spacing_mm
    count = int(rng.poisson(VESSELS_PER_CM2 * density * (height + 10) * (width + 10) / 100))
    middle = rng.uniform((-5, -5, -1.0), (width + 5, height + 5, 1.0), (count, 3))
    direction = rng.normal(0, 1, (count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True) + 1e-9
    half = rng.uniform(2, 9, (count, 1))
    radius = np.minimum(0.3 + rng.gamma(1.2, 0.17, count), 1.6)
    tree = Segments(middle - half * direction, middle + half * direction, radius, radius * 0.8)
    volume = np.zeros((1, rows, columns), np.uint8)
    patient_from_index = np.diag([spacing_mm, spacing_mm, 1.0, 1.0])
    paint(volume, np.linalg.inv(patient_from_index), patient_from_index, tree, max(BLUR_MM[kernel], spacing_mm))
    return volume[0].astype(np.float32) / 255
