"""Making a phantom: scan, truth and scores from one spec."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..levels import Levels
from ..progress import Progress, silent
from ..scan import CTScan
from .anatomy import build, lung_fields
from .disease import DiseaseMap
from .grid import Lattice, ScanGrid
from .patient import Patient
from .render import BLUR_MM, Renderer, TreeVolumes
from .shapes import empty, put_ellipsoid
from .spec import PhantomSpec
from .trees import Segments, grow, paint

if TYPE_CHECKING:
    from ..lungs import LungMask

SURVEY_MM = 6.0
THREADS = 2


@dataclass(frozen=True)
class Phantom:
    """A synthetic CT with known truth.

    Args:
        spec: what was asked for.
        scan: the CT.
        levels: the five Goh levels (RAS S millimetres of the slice through each landmark).
        labels: uint8 ``(z, y, x)``: 1 = patient's right lung, 2 = left lung, 0 = else (trachea and main bronchi too).
        ground_glass, reticulation: boolean ``(z, y, x)``: where each pattern is, always within the lungs.
        landmarks_ras: RAS millimetres of named points (``carina``, ``right_dome``, ``left_dome``, ``apex``,
            ``great_vessels``, ``venous_confluence``).
    """

    spec: PhantomSpec
    scan: CTScan
    levels: Levels
    labels: np.ndarray = field(repr=False)
    ground_glass: np.ndarray = field(repr=False)
    reticulation: np.ndarray = field(repr=False)
    landmarks_ras: dict[str, tuple[float, float, float]] = field(repr=False)

    @property
    def lungs(self) -> LungMask:
        """The true lung mask."""
        from ..lungs import LungMask

        return LungMask(self.labels, "phantom")

    def scores(self, k: int) -> tuple[float, float, float]:
        """Exact TOT, GG and RET of slice ``k`` in percent of its lung area (zeros in a slice without lung)."""
        area = int(np.count_nonzero(self.labels[k]))
        if area == 0:
            return 0.0, 0.0, 0.0
        gg, ret = self.ground_glass[k], self.reticulation[k]
        return tuple(100.0 * int(np.count_nonzero(m)) / area for m in (gg | ret, gg, ret))


def make_phantom(spec: PhantomSpec, progress: Progress = silent) -> Phantom:
    """The phantom that ``spec`` describes. The same spec gives the same voxels, always.

    Args:
        progress: told about the steps; may raise ``Cancelled``.
    """
    progress("phantom", 0.0, "Shaping the patient")
    patient = Patient(spec)
    grid = ScanGrid(spec, patient.chest_centre_y)
    survey = _survey(patient)
    disease = _disease_map(patient, survey)
    anatomy = build(patient, grid.field_grid)
    gg_field, ret_field = None, None
    if disease is not None:
        gg_field, ret_field = disease.depths(grid.field_grid.points, anatomy.pleura, anatomy.lungs)
    progress("phantom", 0.15, "Growing vessels and bronchi")
    volumes = _trees(patient, survey, grid, disease)
    masses = _masses(patient, survey, grid.field_grid)
    renderer = Renderer(patient, grid, anatomy, gg_field, ret_field, volumes, masses)
    voxels = np.empty(grid.shape, np.int16)
    labels = np.empty(grid.shape, np.uint8)
    ground_glass = np.empty(grid.shape, bool)
    reticulation = np.empty(grid.shape, bool)

    def draw(k: int) -> None:
        voxels[k], labels[k], ground_glass[k], reticulation[k] = renderer.draw(k)

    count = grid.shape[0]
    with ThreadPoolExecutor(THREADS) as pool:
        for first in range(0, count, 16):
            progress("phantom", 0.3 + 0.7 * first / count, "Drawing the slices")
            list(pool.map(draw, range(first, min(first + 16, count))))
    scan = CTScan(
        voxels,
        origin=tuple(grid.lps_from_index[:3, 3]),
        spacing=spec.spacing,
        direction=grid.direction,
        identity={"name": f"phantom {spec.seed}"},
        acquisition={
            "modality": "CT",
            "kernel": {"soft": "PHANTOM SOFT", "sharp": "PHANTOM SHARP"}[spec.kernel],
            "slice_thickness_mm": spec.spacing[2],
            "contrast_agent": "phantom" if spec.contrast else "",
            "manufacturer": "SScILDScoring phantom",
        },
    )
    for mask in (labels, ground_glass, reticulation):
        mask.flags.writeable = False
    landmarks = _landmarks(patient, grid)
    progress("phantom", 1.0, "Done")
    return Phantom(spec, scan, _levels(patient, scan, landmarks), labels, ground_glass, reticulation, landmarks)


@dataclass(frozen=True)
class Survey:
    """Points spread evenly through the lungs, and their distance to the pleura; independent of the scan's sampling."""

    grid: Lattice
    lungs: np.ndarray
    pleura: np.ndarray


def _survey(patient: Patient) -> Survey:
    half = float(patient.cage_table["half_width"].max()) + 4
    table = patient.cage_table
    front = float((table["centre"] - table["half_depth"]).min()) - 4
    back = float((table["centre"] + table["half_depth"]).max()) + 4
    low = np.array([-half, front, patient.bottom - 4])
    high = np.array([half, back, patient.apex + 4])
    shape = np.ceil((high - low) / SURVEY_MM).astype(int)
    matrix = np.diag([SURVEY_MM, SURVEY_MM, SURVEY_MM, 1.0])
    matrix[:3, 3] = low + SURVEY_MM / 2
    grid = Lattice(tuple(int(n) for n in shape[::-1]), matrix)
    fields = lung_fields(patient, grid)
    return Survey(grid, fields["lungs"], fields["pleura"])


def _disease_map(patient: Patient, survey: Survey) -> DiseaseMap | None:
    if not patient.spec.disease.present:
        return None
    disease = DiseaseMap(patient)
    where = np.nonzero(survey.lungs > 0)
    disease.calibrate(survey.grid.points[where], survey.pleura[where])
    return disease


def _trees(patient: Patient, survey: Survey, grid: ScanGrid, disease: DiseaseMap | None) -> TreeVolumes:
    """Vessels and bronchi, grown in the patient and painted onto the scan's grid."""
    rng, rng_bronchi = patient.spec.rng("trees"), patient.spec.rng("bronchi")
    where = np.nonzero(survey.lungs > 1.5)
    p = survey.grid.points
    points = np.stack([p.x[where], p.y[where], p.z[where]], 1).astype(float)
    points += rng.uniform(-SURVEY_MM / 2, SURVEY_MM / 2, points.shape)
    traction = _traction(patient, survey, disease)
    pulled = traction[where]
    pulmonary, veins, airways = patient.pulmonary, patient.pulmonary_veins, patient.airways
    vessels, bronchi = [], []
    for side, name in ((-1, "right"), (1, "left")):
        here = points[:, 0] * side > 0
        own = points[here]
        if len(own) < 64:
            continue
        for root, share in ((pulmonary[name].points[-1], 0.5), (_middle(veins, name), 0.45)):
            targets = own[rng.random(len(own)) < share * 4400 / len(own)]
            vessels.append(grow(root, targets, 0.33, 4.6, rng))
        # Where lines pull at them, bronchi are seen far out in the lung.
        chance = 24 / len(own) + pulled[here] * 0.02
        targets = own[rng_bronchi.random(len(own)) < chance]
        bronchi.append(grow(airways[name].points[-1], targets, 0.9, 3.6, rng_bronchi))
    volumes = TreeVolumes(*(np.zeros(grid.shape, np.uint8) for _ in range(3)))
    affine = grid.index_from_patient, grid.patient_from_index
    blur, thick = max(BLUR_MM[patient.spec.kernel], float(np.mean(grid.step_mm[:2]))), float(grid.step_mm[2])
    if vessels:
        tree = Segments.joined(vessels).thicker_than(0.11 * blur)
        paint(volumes.vessels, *affine, tree, blur, slice_mm=thick)
        airway = _widened(Segments.joined(bronchi), survey, traction).thicker_than(max(0.8, 0.35 * blur))
        paint(volumes.walls, *affine, airway, blur, grow_mm=0.55, slice_mm=thick)
        paint(volumes.lumina, *affine, airway, blur, slice_mm=thick)
    return volumes


def _traction(patient: Patient, survey: Survey, disease: DiseaseMap | None) -> np.ndarray:
    """How strongly fibrosis pulls the bronchi open, 0..1, at the points of the survey."""
    pull = np.zeros(survey.grid.shape, np.float32)
    if disease is not None:
        reticulation = disease.depths(survey.grid.points, survey.pleura, survey.lungs)[1]
        if reticulation is not None:
            pull = np.clip(reticulation + np.float32(0.5), 0, 1) * np.float32(patient.spec.disease.severity**1.5)
    return pull


def _widened(bronchi: Segments, survey: Survey, traction: np.ndarray) -> Segments:
    """Bronchi opened up (to at most 2.2 times their radius) where the lung pulls at them."""
    factors = []
    for ends in (bronchi.start, bronchi.stop):
        index = ends @ survey.grid.index_from_patient[:3, :3].T + survey.grid.index_from_patient[:3, 3]
        i, j, k = np.clip(np.rint(index).astype(int), 0, np.array(traction.shape[::-1]) - 1).T
        factors.append(1 + 1.2 * traction[k, j, i])
    return Segments(bronchi.start, bronchi.stop, bronchi.start_radius * factors[0], bronchi.stop_radius * factors[1])


def _masses(patient: Patient, survey: Survey, grid: Lattice) -> np.ndarray | None:
    """Depth inside the solid masses, or None when there are none."""
    if patient.spec.masses < 1:
        return None
    rng = patient.spec.rng("masses")
    field = empty(grid)
    inside = np.argwhere(survey.lungs > 3)
    for _ in range(patient.spec.masses):
        k, j, i = inside[int(rng.integers(len(inside)))]
        centre = (survey.grid.patient_from_index @ (i, j, k, 1))[:3]
        radius = float(np.clip(rng.gamma(2, 6), 5, 30))
        for _ in range(4):  # lobed rather than round
            put_ellipsoid(
                field, grid, centre + rng.normal(0, 0.4 * radius, 3), radius * rng.uniform(0.5, 1, 3), round_mm=4
            )
    return field


def _middle(courses, side: str) -> np.ndarray:
    """A point between the outer ends of a side's two pulmonary veins."""
    return np.mean([c.points[-1] for name, c in courses.items() if name.startswith(side)], axis=0)


def _landmarks(patient: Patient, grid: ScanGrid) -> dict[str, tuple[float, float, float]]:
    half, y = patient.dome_peak
    higher = -1 if patient.apex_difference > 0 else 1
    points = {
        "apex": (higher * 44 * patient.spec.width, float(patient.spine_y(patient.apex - 10) + 14), patient.apex),
        "great_vessels": (5, -20, patient.l1),
        "carina": (0, 0, 0),
        "venous_confluence": (4, 1, patient.l3),
        "right_dome": (-half, y, patient.right_dome),
        "left_dome": (half, y, patient.left_dome),
    }
    world = {n: grid.patient @ np.asarray(v, float) + grid.spec.carina_lps for n, v in points.items()}
    return {n: (float(-v[0]), float(-v[1]), float(v[2])) for n, v in world.items()}


def _levels(patient: Patient, scan: CTScan, landmarks) -> Levels:
    """The slices through the landmarks; L5 lies 10 mm above the dome, L4 halfway between L3 and L5."""

    def height(name: str) -> float:
        return scan.mm_of_slice(scan.index_at(landmarks[name])[2])

    l1, l2, l3 = height("great_vessels"), height("carina"), height("venous_confluence")
    l5 = height("right_dome") + 10.0
    return Levels.from_mm((l1, l2, l3, (l3 + l5) / 2, l5), "given", l4_follows=True)
