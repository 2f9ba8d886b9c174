"""From depth fields to Hounsfield units, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy import Anatomy
from .disease import DiseaseTexture
from .grid import ScanGrid
from .noise3d import Placement, band_block, sample_nearest
from .patient import Patient
from .scanner import NoiseModel, field_of_view, sharpened, streaks, table_depth

AIR_HU = -1000.0
BLUR_MM = {"soft": 1.2, "sharp": 0.8}
"""Width of the edges that the kernels leave."""


@dataclass(frozen=True)
class TreeVolumes:
    """Share of every voxel, uint8 ``(z, y, x)`` with 255 for all of it, filled by pulmonary ``vessels``, by bronchi
    with their ``walls``, and by the bronchi's ``lumina``."""

    vessels: np.ndarray
    walls: np.ndarray
    lumina: np.ndarray


@dataclass(frozen=True)
class Layer:
    """A part as it is drawn: its depth in units of the edge's width, and where it is to be found in each plane."""

    name: str
    ratio: np.ndarray
    hu: float
    inner_hu: float | None
    rim: float
    bounds: list[tuple[int, int, int, int] | None]


class Renderer:
    """Draws the slices of one phantom. ``draw(k)`` may be called for any slice, in any order, from several threads.

    Args:
        ground_glass, reticulation: fields on the field grid, positive in the pattern, or None.
        trees: vessels and bronchi. masses: depth inside solid masses on the field grid, or None.
    """

    def __init__(
        self, patient: Patient, grid: ScanGrid, anatomy: Anatomy, ground_glass, reticulation, trees: TreeVolumes, masses
    ) -> None:
        self.patient, self.grid, self.spec = patient, grid, patient.spec
        self.voxel_mm = float(np.mean(grid.step_mm[:2]))
        self.edge_mm = max(self.voxel_mm, BLUR_MM[self.spec.kernel])
        self.layers = [self._layer(p.name, p.depth, p.hu, p.inner_hu, p.rim_mm) for p in anatomy.parts]
        self.lungs = self._layer("lungs", anatomy.lungs, 0, None, 0)
        self.airways = self._layer("airways", anatomy.airways, -985, None, 0)
        self.fissures = anatomy.fissures
        self.pleura = anatomy.pleura
        self.ground_glass, self.reticulation = ground_glass, reticulation
        self.trees, self.masses = trees, masses
        self.disease = DiseaseTexture(self.spec.disease.severity, self.spec.rng("disease texture"))
        rng = self.spec.rng("parenchyma")
        self._grain = Placement(rng, 0.5)
        self._clouds = Placement(rng, 3.0)
        n = self.spec.matrix
        self.noise = NoiseModel((n, n), self.spec.spacing[0], self.spec.kernel, self.spec.noise_hu)
        self._circle = field_of_view(n)
        self._matrix = grid.patient_from_index.astype(np.float32)
        self._table = self._table_fill() if self.spec.table else None
        self._shoulders = self._shoulder_strength()

    # ---- preparation -----------------------------------------------------------------------------------------

    def _layer(self, name, depth, hu, inner_hu, rim_mm) -> Layer:
        """The edge of a solid is as wide as the blur in plane, and as the surface moves within a slice's thickness."""
        grid = self.grid
        per_slice = np.float32(grid.step_mm[2] / grid.field_grid.step_mm[2])
        ratio = np.full(depth.shape, -6, np.float32)
        near = _box(depth > -2.2 * max(self.edge_mm, 0.8 * float(grid.step_mm[2])))
        if near is not None:
            part = depth[near]
            change = np.zeros_like(part)
            change[1:-1] = (part[2:] - part[:-2]) * (np.float32(0.5) * per_slice)
            change *= change
            np.minimum(change, np.float32((0.8 * grid.step_mm[2]) ** 2), out=change)
            change += np.float32(self.edge_mm**2)
            ratio[near] = np.maximum(part / np.sqrt(change), np.float32(-6))
        return Layer(name, ratio, hu, inner_hu, rim_mm / self.edge_mm, [_bounds(plane) for plane in ratio])

    def _table_fill(self) -> np.ndarray:
        """The table in one slice; it is the same in all of them, as the table moves with the scan."""
        n, spec = self.spec.matrix, self.spec
        x = (np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(spec.spacing[0])
        y = (np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(spec.spacing[1])
        table = self.patient.body_table
        back = float(np.max((table["centre"] + table["half_depth"])[2:14]))
        lies_at = back - self.patient.chest_centre_y - spec.centre_mm[1] + 4
        depth = table_depth(spec, x[None, :] + np.float32(spec.centre_mm[0]), y[:, None], lies_at)
        return np.clip(0.5 + depth / np.float32(self.edge_mm), 0, 1)

    def _shoulder_strength(self) -> np.ndarray:
        """How strongly each slice shows streaks: from the neck down to a few centimetres below the apices."""
        k = np.arange(self.grid.shape[0])
        middle = (self.spec.matrix - 1) / 2
        z = self._matrix[2, :2].sum() * middle + self._matrix[2, 2] * k + self._matrix[2, 3]
        shoulders = np.clip((z - (self.patient.apex - 35)) / 40, 0, 1) * np.clip(
            (self.patient.apex + 75 - z) / 40, 0, 1
        )
        strength = self.spec.noise_hu * (1.1 if self.spec.arms == "up" else 1.6)
        if self.patient.injected_side:
            strength += self.patient.blood["injected"] / 60
        return shoulders * strength

    # ---- drawing ---------------------------------------------------------------------------------------------

    def draw(self, k: int):
        """Slice ``k``: ``(voxels int16, labels uint8, ground glass bool, reticulation bool)``, each ``(y, x)``."""
        n = self.spec.matrix
        hu = np.full((n, n), AIR_HU, np.float32)
        if self._table is not None:
            hu += self._table * np.float32(780)
        for layer in self.layers:
            self._mix(hu, layer, k)
        labels = np.zeros((n, n), np.uint8)
        patterns = np.zeros((2, n, n), bool)
        self._draw_lungs(hu, labels, patterns, k)
        self._mix(hu, self.airways, k)
        if self.spec.kernel == "sharp":
            hu = sharpened(hu, 0.45)
        rng = self.spec.rng(f"noise {k}")
        hu += self.noise.plane(rng)
        if self._shoulders[k] > 0.5:
            hu += streaks((n, n), rng, self._shoulders[k]) * (hu > -600)
        np.clip(hu, -1024, 3071, out=hu)
        voxels = np.rint(hu).astype(np.int16)
        if self.spec.padding_hu is not None:
            voxels[~self._circle] = self.spec.padding_hu
            labels[~self._circle] = 0
            patterns[:, ~self._circle] = False
        return voxels, labels, patterns[0], patterns[1]

    def _window(self, layer: Layer, k: int):
        """Ratio of the layer at the voxels of slice ``k`` it may touch, and where these are."""
        grid = self.grid
        plane = grid.field_plane(layer.ratio, k)
        bounds = self._plane_bounds(layer, k)
        if bounds is None:
            return None
        rows = grid.voxel_span(1, bounds[0], bounds[1])
        columns = grid.voxel_span(2, bounds[2], bounds[3])
        return (rows, columns), grid.spread(plane, rows, columns)

    def _plane_bounds(self, layer: Layer, k: int):
        weights = self.grid.z_nodes(k)
        found = [layer.bounds[i] for i in weights if layer.bounds[i] is not None]
        if not found:
            return None
        low = np.min(found, axis=0)
        high = np.max(found, axis=0)
        return low[0], high[1], low[2], high[3]

    def _mix(self, hu: np.ndarray, layer: Layer, k: int) -> None:
        window = self._window(layer, k)
        if window is None:
            return
        box, ratio = window
        part = hu[box]
        if layer.inner_hu is None:
            part += np.clip(ratio + np.float32(0.5), 0, 1) * (np.float32(layer.hu) - part)
            return
        part += np.clip(ratio + np.float32(0.5), 0, 1) * (np.float32(layer.hu) - part)
        part += np.clip(ratio + np.float32(0.5 - layer.rim), 0, 1) * (np.float32(layer.inner_hu) - part)

    def _draw_lungs(self, hu, labels, patterns, k: int) -> None:
        window = self._window(self.lungs, k)
        if window is None:
            return
        box, ratio = window
        rows, columns = box
        touched = ratio > -0.5
        flat = np.flatnonzero(touched)
        if not len(flat):
            return
        m = self._matrix
        j = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        i = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :]
        x, y, z = ((m[a, 0] * i + m[a, 1] * j + (m[a, 2] * np.float32(k) + m[a, 3])).ravel()[flat] for a in range(3))
        ratio = ratio.ravel()[flat]
        inside = ratio > 0
        lung = self._healthy(x, y, z)

        def share(volume: np.ndarray) -> np.ndarray:
            return volume[k][box].ravel()[flat] * np.float32(1 / 255)

        lung += self._fill(self.fissures, k, box, flat) * np.float32(130 * min(1, 0.9 / self.voxel_mm))
        lung += share(self.trees.walls) * (np.float32(-150) - lung)
        lung = self._draw_disease(lung, flat, inside, patterns, box, k, x, y, z)
        if self.masses is not None:
            lung += self._fill(self.masses, k, box, flat) * (np.float32(35) - lung)
        blood = np.float32(45 + 0.5 * (self.patient.blood["right"] - 45))
        lung += share(self.trees.vessels) * (np.maximum(blood, lung) - lung)
        lung += share(self.trees.lumina) * (np.float32(-960) - lung)
        part = hu[box]
        values = part.ravel()[flat]
        values += np.clip(ratio + np.float32(0.5), 0, 1) * (lung - values)
        part[np.unravel_index(flat, part.shape)] = values
        side = np.where(x < 0, 1, 2).astype(np.uint8) * inside
        labels[box][np.unravel_index(flat, part.shape)] = side

    def _healthy(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """HU of healthy parenchyma: denser at the back, with a fine grain and faint clouds."""
        lung = np.float32(self.spec.lung_hu) + (y - np.float32(15)) * np.float32(self.spec.gradient_hu / 180)
        fine = np.float32(22 / (1 + (self.voxel_mm / 1.6) ** 2))
        lung += sample_nearest(band_block(), self._grain.lattice(x, y, z)) * fine
        lung += sample_nearest(band_block(), self._clouds.lattice(x, y, z)) * np.float32(14)
        return lung

    def _fill(self, depth: np.ndarray, k: int, box, flat: np.ndarray) -> np.ndarray:
        """How far the solid of a depth field fills the voxels ``flat`` of ``box`` in slice ``k``, 0..1."""
        return np.clip(np.float32(0.5) + self._spread(depth, k, box).ravel()[flat] / np.float32(self.edge_mm), 0, 1)

    def _spread(self, field: np.ndarray, k: int, box) -> np.ndarray:
        return self.grid.spread(self.grid.field_plane(field, k), *box)

    def _draw_disease(self, lung, flat, inside, patterns, box, k, x, y, z):
        pleura = None
        for number, field in enumerate((self.ground_glass, self.reticulation)):
            if field is None:
                continue
            if pleura is None:
                pleura = self._spread(self.pleura, k, box).ravel()[flat]
            score = self._spread(field, k, box).ravel()[flat]
            shape = (box[0].stop - box[0].start, box[1].stop - box[1].start)
            patterns[number][box][np.unravel_index(flat, shape)] = (score > 0) & inside
            ill = np.flatnonzero(score > -0.5)
            if not len(ill):
                continue
            alpha = np.clip(score[ill] + np.float32(0.5), 0, 1)
            at = (x[ill], y[ill], z[ill])
            if number == 0:
                lung[ill] = self.disease.ground_glass(lung[ill], alpha, *at, self.voxel_mm)
            else:
                lung[ill] = self.disease.reticulation(lung[ill], alpha, *at, pleura[ill], self.voxel_mm)
        return lung


def _box(near: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The smallest box around the true points of ``near (z, y, x)``, or None."""
    spans = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        used = np.flatnonzero(near.any(axes))
        if not len(used):
            return None
        spans.append(slice(max(int(used[0]) - 1, 0), int(used[-1]) + 2))
    return tuple(spans)


def _bounds(plane: np.ndarray) -> tuple[int, int, int, int] | None:
    """First and last row and column where a ratio plane comes near its surface or lies inside."""
    near = plane > -1.5
    rows = np.flatnonzero(near.any(1))
    if not len(rows):
        return None
    columns = np.flatnonzero(near.any(0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
