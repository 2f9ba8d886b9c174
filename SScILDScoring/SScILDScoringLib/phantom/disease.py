"""Where the disease lies, and what it does to the density of the lung."""

from __future__ import annotations

import numpy as np

from .grid import Points
from .noise3d import Placement, band_block, cell_block, sample, sample_nearest
from .patient import Patient

# Weights of (patchy noise, height, rim along the pleura, back) in the choice of where disease lies.
_WEIGHTS = {"basal": (0.6, 2.0, 0.9, 0.6), "subpleural": (0.5, 0.35, 2.6, 0.2), "diffuse": (1.0, 0.1, 0.15, 0.0)}


class DiseaseMap:
    """Fields that are positive where a pattern is; made so that the pattern fills the wanted share of the lungs."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.spec = patient.spec.disease
        rng = patient.spec.rng("disease")
        # The band block's wavelength is about 7.5 lattice steps; a patch is half a wave.
        self._noise = [Placement(rng, 2 * self.spec.patch_mm / 7.5) for _ in range(2)]
        self._rim_mm = float(rng.uniform(7, 14))
        self._thresholds = (np.inf, np.inf)

    def _fields(self, p: Points, pleura: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The two scores that are compared with the thresholds; ``pleura`` is the distance to the pleura in mm."""
        noisy, low, rim, back = (np.float32(w) for w in _WEIGHTS[self.spec.distribution])
        height = (p.z - np.float32(self.patient.bottom)) * np.float32(1 / (self.patient.apex - self.patient.bottom))
        place = -low * height + rim * np.exp(-np.maximum(pleura, 0) * np.float32(1 / self._rim_mm))
        place = place + back * p.y * np.float32(1 / 100)
        block = band_block()
        first, second = (sample(block, n.lattice(p.x, p.y, p.z)) for n in self._noise)
        c = np.float32(2 * self.spec.overlap - 1)
        other = c * first + np.sqrt(1 - c * c) * second
        return place + noisy * first, place + noisy * other

    def calibrate(self, p: Points, pleura: np.ndarray) -> None:
        """Chooses the thresholds on points spread evenly through the lungs."""
        scores = self._fields(p, pleura)
        self._thresholds = tuple(
            float(np.quantile(s, 1 - share)) if share > 0 else np.inf
            for s, share in zip(scores, (self.spec.ground_glass, self.spec.reticulation), strict=True)
        )

    def depths(self, p: Points, pleura: np.ndarray, lungs: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Fields of ground glass and reticulation: positive inside, 0.5 well inside; None for an absent pattern.

        ``lungs`` is the depth inside the lungs; away from them the fields are only negative.
        """
        where = np.nonzero(lungs > -4)
        scores = self._fields(Points(p.x[where], p.y[where], p.z[where]), pleura[where])
        fields = []
        for score, threshold in zip(scores, self._thresholds, strict=True):
            field = None
            if not np.isinf(threshold):
                field = np.full(lungs.shape, -2, np.float32)
                field[where] = (score - np.float32(threshold)) * np.float32(3.0)
            fields.append(field)
        return tuple(fields)


class DiseaseTexture:
    """What the patterns look like at any point of the patient: HU changes of airy lung.

    Ground glass raises the density smoothly. Reticulation draws the walls of a foam of lobules and a finer one
    within; severe reticulation opens dark cells with thick walls near the pleura (honeycombing) and adds haze.

    Args:
        severity: 0..1, see :class:`~.spec.DiseaseSpec`. rng: where the details come from.
    """

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        # Even faint ground glass is denser than what breathing out explains.
        self.haze_hu = float(rng.uniform(0.9, 1.1) * (240 + 150 * severity))
        self.line_hu = float(rng.uniform(-420, -260) + 330 * severity)
        self.line_mm = float(rng.uniform(0.85, 1.15) * (0.65 + 0.45 * severity))
        self.honeycomb = max(0.0, (severity - 0.6) / 0.4)
        self.ret_haze_hu = float(rng.uniform(0, 55))  # stays below ground glass, which would have to be counted
        self.fine_mm = float(rng.uniform(5.0, 7.0) * (1 + 0.3 * severity))
        self.coarse_mm = float(rng.uniform(12, 18))
        # The foam block has 8 lattice steps a cell.
        self._fine = Placement(rng, self.fine_mm / 8)
        self._coarse = Placement(rng, self.coarse_mm / 8)
        self._mottle = Placement(rng, 0.75)
        self._slow = Placement(rng, 2.6)

    def ground_glass(self, hu, alpha, x, y, z, voxel_mm: float):
        """``hu`` of lung points after ground glass of strength ``alpha`` (0..1). All 1D float32."""
        block = band_block()
        visible = np.float32(0.10 / (1 + (voxel_mm / 2.5) ** 2))
        grain = sample_nearest(block, self._mottle.lattice(x, y, z)) * visible
        slow = sample(block, self._slow.lattice(x, y, z)) * np.float32(0.13)
        airy = np.clip((-60 - hu) * np.float32(1 / 700), 0, 1)
        return hu + alpha * airy * np.float32(self.haze_hu) * (1 + grain + slow)

    def reticulation(self, hu, alpha, x, y, z, pleura, voxel_mm: float):
        """``hu`` of lung points after reticulation of strength ``alpha``; ``pleura``: distance to it in mm."""
        wall_block, hue_block = cell_block()
        bend = sample(band_block(), self._slow.lattice(x, y, z))
        shift = bend * np.float32(0.22 * self.fine_mm)
        x, y = x + shift, y - shift
        fine = self._fine.lattice(x, y, z)
        hue = sample_nearest(hue_block, fine)
        comb = np.float32(self.honeycomb) * np.clip((16 - pleura) * np.float32(1 / 6), 0, 1) * (hue > 0.25)
        half = np.float32(self.line_mm / 2) * (1 + np.float32(0.25) * bend + comb * np.float32(0.35))
        edge = np.float32(max(0.7, voxel_mm))
        fill = _line(sample(wall_block, fine) * np.float32(self.fine_mm), half * np.float32(0.8), edge)
        # Lines within the lobule fade in places; the walls of honeycomb cells do not.
        fill = fill * np.maximum(np.clip(np.float32(0.75) + np.float32(0.5) * bend, 0.2, 1), comb)
        fill = np.maximum(
            fill,
            _line(sample(wall_block, self._coarse.lattice(x, y, z)) * np.float32(self.coarse_mm), half * 1.15, edge),
        )
        open_hu = hu + alpha * np.float32(self.ret_haze_hu) * np.clip((-60 - hu) * np.float32(1 / 700), 0, 1)
        dark = alpha * comb * np.float32(1 / (1 + (voxel_mm / 3) ** 2))
        open_hu = open_hu + dark * (np.float32(-950) - open_hu) * np.float32(0.85)
        fill = fill * np.clip(alpha * np.float32(1.4), 0, 1)
        return open_hu + fill * (np.maximum(np.float32(self.line_hu), open_hu) - open_hu)


def _line(distance: np.ndarray, half: np.ndarray, edge: np.float32) -> np.ndarray:
    """How far a voxel is filled by a sheet of half thickness ``half`` at ``distance`` (mm), seen through ``edge``."""
    seen = np.maximum(half, edge * np.float32(0.5))
    return np.clip(np.float32(0.5) + (seen - distance) / edge, 0, 1) * (half / seen)
