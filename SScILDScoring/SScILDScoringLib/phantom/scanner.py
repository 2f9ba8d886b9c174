"""What the scanner adds: noise with a kernel's spectrum, edge enhancement, streaks, table, the round field of view."""

from __future__ import annotations

import numpy as np

from .spec import PhantomSpec

# Peak and cut-off of the noise spectrum in cycles per millimetre, after published spectra of body kernels.
_KERNELS = {"soft": (0.22, 0.34), "sharp": (0.45, 0.75)}


class NoiseModel:
    """Correlated noise of filtered back projection: power rises with frequency, then the kernel cuts it off.

    Args:
        shape: rows and columns. pixel_mm: size of a pixel. kernel: ``soft`` or ``sharp``.
        noise_hu: standard deviation; pixels larger than 0.9 mm average some of it away.
    """

    def __init__(self, shape: tuple[int, int], pixel_mm: float, kernel: str, noise_hu: float) -> None:
        self.shape = rows, columns = shape
        peak, cut = _KERNELS[kernel]
        radius = np.hypot(np.fft.fftfreq(rows, pixel_mm)[:, None], np.fft.rfftfreq(columns, pixel_mm)[None, :])
        power = (radius + 0.1 * peak) * np.exp(-((radius / cut) ** 2.5))
        amplitude = np.sqrt(power)
        amplitude[0, 0] = 0
        weight = np.full(amplitude.shape[1], 2.0)
        weight[0] = 1
        if columns % 2 == 0:
            weight[-1] = 1
        # Standard deviation that complex noise of unit parts has after the inverse transform.
        deviation = np.sqrt((amplitude**2 * weight).sum() * 2) / (rows * columns)
        self._gain = (amplitude / deviation * noise_hu * min(1.0, 0.9 / pixel_mm) ** 0.5).astype(np.float32)

    def plane(self, rng: np.random.Generator) -> np.ndarray:
        """One slice of noise, float32."""
        n, half = self._gain.shape
        white = rng.standard_normal((n, 2 * half), dtype=np.float32).view(np.complex64)
        return np.fft.irfft2(white * self._gain, self.shape).astype(np.float32)


def streaks(shape: tuple[int, int], rng: np.random.Generator, strength: float) -> np.ndarray:
    """Horizontal streaks through the shoulders: noise that is long along x and short along y."""
    rows = rng.standard_normal((shape[0], 12), dtype=np.float32)
    knots = np.linspace(0, 11, shape[1])
    first = np.minimum(knots.astype(int), 10)
    share = (knots - first).astype(np.float32)
    return (rows[:, first] * (1 - share) + rows[:, first + 1] * share) * np.float32(strength)


def sharpened(image: np.ndarray, amount: float) -> np.ndarray:
    """Edge enhancement of sharp kernels: the image plus ``amount`` of what a small blur takes away."""
    blurred = image.copy()
    blurred[1:-1] = (image[:-2] + 2 * image[1:-1] + image[2:]) * np.float32(0.25)
    across = blurred.copy()
    across[:, 1:-1] = (blurred[:, :-2] + 2 * blurred[:, 1:-1] + blurred[:, 2:]) * np.float32(0.25)
    return image + np.float32(amount) * (image - across)


def table_depth(spec: PhantomSpec, x: np.ndarray, y: np.ndarray, back_y: float) -> np.ndarray:
    """Depth inside the table's shell in a slice: a shallow tray under the back with a thin wall, hollow inside.

    Args:
        x, y: millimetres in the scanner relative to the table's middle, broadcastable.
        back_y: height of the tray's surface.
    """
    rng = spec.rng("table")
    curve = rng.uniform(2e-4, 1.3e-3)
    thickness, wall, half = rng.uniform(25, 60), rng.uniform(1.2, 2.6), rng.uniform(190, 260)
    lower_curve = curve * rng.uniform(-0.6, 1.4)
    upper = y - (back_y - curve * x * x)
    lower = y - (back_y + thickness - lower_curve * x * x)
    shell = np.maximum(wall - np.abs(upper), wall * 0.8 - np.abs(lower))
    return np.minimum(shell, half - np.abs(x)).astype(np.float32)


def field_of_view(n: int) -> np.ndarray:
    """Boolean ``(n, n)``: inside the round field of view."""
    at = np.arange(n) - (n - 1) / 2
    return at[:, None] ** 2 + at[None, :] ** 2 <= (n / 2) ** 2
