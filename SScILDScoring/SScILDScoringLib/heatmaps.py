"""Replacement-based heat maps: where in a slice S-Net sees the disease it counted (Jia 2024; method.md section 5)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from .errors import SettingsError
from .scores import PATTERNS, Pattern, SliceScores

EDGES = ("box5", "ramp")
REPLACEMENTS = ("healthy", "gg", "ret")


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

    def to_dict(self) -> dict:
        """Plain values, for results."""
        return asdict(self)


@dataclass(frozen=True)
class HeatMaps:
    """The three heat maps of one axial slice.

    Args:
        maps: float32 ``(3, y, x)``, TOT, GG, RET in percentage points; below 0 where the network found disease,
            above 0 where it took the replacement for disease, 0 where nothing was covered.
        covered: boolean ``(y, x)``: lung pixels that at least one patch covered.
        lung: boolean ``(y, x)``: the lung mask the maps were made with.
        baseline: S-Net's answer to the untouched slice.
        settings: what was replaced.
        engine: the implementation that computed the maps.
        network_runs: how many inputs S-Net was run on, the untouched slice included.
        seconds: wall time.
    """

    maps: np.ndarray
    covered: np.ndarray
    lung: np.ndarray
    baseline: SliceScores
    settings: HeatMapSettings = field(default_factory=HeatMapSettings)
    engine: str = "batched"
    network_runs: int = 0
    seconds: float = 0.0

    def of(self, pattern: Pattern) -> np.ndarray:
        """The map of one pattern, float32 ``(y, x)`` in percentage points."""
        return self.maps[PATTERNS.index(pattern)]

    def area_below(self, pattern: Pattern, threshold: float) -> np.ndarray:
        """Boolean ``(y, x)``: the covered lung where the map is below ``threshold`` (percentage points)."""
        return (self.of(pattern) < threshold) & self.covered

    def derived_score(self, pattern: Pattern, threshold: float) -> float:
        """The score that the thresholded map stands for: area below ``threshold`` / lung area, in percent."""
        lung = int(self.lung.sum())
        return 100.0 * int(self.area_below(pattern, threshold).sum()) / lung if lung else 0.0
