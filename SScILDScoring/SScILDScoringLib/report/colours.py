"""The colours of pictures: the lung window, the diverging heat-map scale, the scale of explanation maps, the patterns.

Heat maps (method.md section 5): a change of the score below zero (the place looked diseased) runs from yellow to red,
above zero from green to blue, and nothing is drawn at zero. Weak colours are the bright ones and strong colours the
dark ones on both sides, and the green leans to blue, so that the scale reads without red-green vision as well.
"""

from __future__ import annotations

import numpy as np

from ..scores import Pattern

LUNG_WINDOW = (1500.0, -600.0)
"""Width and level in HU."""

HEAT_LIMIT = 4.0
"""Percentage points at the ends of the heat-map scale, symmetric."""

PATTERN_COLOURS = {Pattern.TOT: "#8a5cd1", Pattern.GG: "#0f8fa8", Pattern.RET: "#d1741a"}
"""Line colours of the three patterns; they differ in lightness too and have 3:1 contrast on white and on dark."""

# (position -1..1, red, green, blue); between the stops colours are interpolated.
_HEAT_STOPS = (
    (-1.00, 178, 0, 24),
    (-0.66, 232, 62, 12),
    (-0.33, 252, 150, 20),
    (0.00, 255, 236, 90),
    (0.00, 120, 226, 170),
    (0.33, 30, 178, 150),
    (0.66, 22, 120, 196),
    (1.00, 24, 44, 170),
)
_FULL_ALPHA_AT = 0.25  # of the limit: weaker changes fade out towards zero

_SHARE_STOPS = ((0.0, 60, 20, 110), (0.33, 150, 40, 130), (0.66, 236, 105, 80), (1.0, 252, 230, 140))


def windowed(hu: np.ndarray, window: tuple[float, float] = LUNG_WINDOW) -> np.ndarray:
    """HU as grey values 0..255 (uint8, same shape) under ``window`` = (width, level)."""
    width, level = window
    grey = (np.asarray(hu, np.float32) - np.float32(level - width / 2)) * np.float32(255 / width)
    return np.clip(grey + 0.5, 0, 255).astype(np.uint8)


def heat_colours(change: np.ndarray, limit: float = HEAT_LIMIT) -> np.ndarray:
    """Colours of score changes.

    Args:
        change: percentage points, any shape; stronger changes than ``limit`` take the colour of the end.
        limit: percentage points at the ends of the scale.

    Returns:
        uint8, shape ``(*change.shape, 4)``: red, green, blue, alpha (0 at zero change).
    """
    share = np.clip(np.asarray(change, np.float64) / limit, -1, 1)
    negative, positive = _HEAT_STOPS[:4], _HEAT_STOPS[4:]
    colours = np.where((share < 0)[..., None], _interpolated(share, negative), _interpolated(share, positive))
    alpha = np.clip(np.abs(share) / _FULL_ALPHA_AT, 0, 1) * 255
    return np.rint(np.concatenate([colours, alpha[..., None]], axis=-1)).astype(np.uint8)


def share_colours(share: np.ndarray) -> np.ndarray:
    """Colours of a network's own disease map: 0 (transparent) to 1 (bright); uint8 ``(*share.shape, 4)``."""
    share = np.clip(np.asarray(share, np.float64), 0, 1)
    alpha = np.clip(share / 0.3, 0, 1) * 255
    return np.rint(np.concatenate([_interpolated(share, _SHARE_STOPS), alpha[..., None]], axis=-1)).astype(np.uint8)


def css_gradient(colours, low: float, high: float, steps: int = 24) -> str:
    """A CSS gradient, left to right, of a colour function over ``low``..``high`` (for legends)."""
    stops = []
    for number, value in enumerate(np.linspace(low, high, steps + 1)):
        red, green, blue, alpha = (int(v) for v in colours(np.asarray(value)))
        stops.append(f"rgb({red} {green} {blue} / {alpha / 255:.2f}) {100 * number / steps:.1f}%")
    return f"linear-gradient(to right, {', '.join(stops)})"


def _interpolated(values: np.ndarray, stops) -> np.ndarray:
    positions = [stop[0] for stop in stops]
    return np.stack([np.interp(values, positions, [stop[c] for stop in stops]) for c in (1, 2, 3)], axis=-1)
