"""What a phantom is: one frozen description from which everything else follows."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, fields, replace

import numpy as np

from ..errors import SettingsError

DISTRIBUTIONS = ("basal", "subpleural", "diffuse")
KERNELS = ("soft", "sharp")
ARMS = ("up", "down")


@dataclass(frozen=True)
class DiseaseSpec:
    """How much disease the lungs hold, of what kind and where.

    Args:
        ground_glass: share of the lung volume with ground glass, 0..1.
        reticulation: share of the lung volume with reticulation, 0..1.
        distribution: ``basal`` (lower lungs, towards the pleura), ``subpleural`` (a rim at all heights) or ``diffuse``.
        severity: 0 (faint haze, fine lines) to 1 (dense haze; thick lines, traction and honeycomb-like cells).
        overlap: 0 (the two patterns avoid each other) to 1 (they lie in the same places).
        patch_mm: typical size of the patches of disease.
    """

    ground_glass: float = 0.0
    reticulation: float = 0.0
    distribution: str = "basal"
    severity: float = 0.5
    overlap: float = 0.5
    patch_mm: float = 30.0

    def __post_init__(self) -> None:
        if self.distribution not in DISTRIBUTIONS:
            raise SettingsError(f"The distribution is one of {', '.join(DISTRIBUTIONS)}, not {self.distribution!r}.")
        for name in ("ground_glass", "reticulation", "severity", "overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"The disease's {name} lies between 0 and 1, not at {getattr(self, name):g}.")

    @property
    def present(self) -> bool:
        """Whether there is any disease at all."""
        return self.ground_glass > 0 or self.reticulation > 0

    @classmethod
    def random(cls, rng: np.random.Generator, healthy: float = 0.3) -> DiseaseSpec:
        """A random disease; with probability ``healthy`` none."""
        kind = rng.choice(4, p=[healthy, *([(1 - healthy) / 3] * 3)])
        extents = rng.beta(1.2, 2.6, 2) * 0.9 + 0.02
        return cls(
            ground_glass=float(extents[0]) if kind in (1, 3) else 0.0,
            reticulation=float(extents[1]) if kind in (2, 3) else 0.0,
            distribution=str(rng.choice(DISTRIBUTIONS, p=[0.5, 0.3, 0.2])),
            severity=float(rng.uniform(0.1, 1)),
            overlap=float(rng.uniform(0, 1)),
            patch_mm=float(rng.uniform(15, 45)),
        )


@dataclass(frozen=True)
class PhantomSpec:
    """A synthetic patient, how it is scanned, and how it lies in the scanner. All lengths in millimetres.

    The anatomy depends on ``seed``, the sizes and ``disease`` only, never on the sampling: two specs that differ in
    ``matrix``, ``spacing`` or coverage show the same patient.

    Args:
        seed: fixes every random detail.
        matrix: pixels along each side of a slice.
        spacing: voxel size along x, y, z. The field of view is ``matrix * spacing``.
        slices: number of slices; None: as many as cover the lungs and the margins.
        above_mm, below_mm: margin above the apices and below the lung bases; negative values crop the lungs.
        centre_mm: shift of the field of view's centre from the middle of the chest, to left and posterior.
        kernel: ``soft`` or ``sharp``. noise_hu: standard deviation of the noise in soft tissue.
        contrast: intravenous contrast. arms: ``up`` or ``down``. table: whether the table is seen.
        padding_hu: value outside the round field of view; None: no round field of view.
        width, depth: size of the chest relative to 1 (lungs 245 mm wide and 180 mm deep at the carina).
        fat_mm: thickness of the subcutaneous fat. breast_mm: how far the breasts stand out (0: none).
        apex_mm: carina to the higher lung apex. dome_mm: carina down to the top of the right dome of the diaphragm.
        left_dome_mm: how much lower the left dome lies (negative: higher). recess_mm: depth of the posterior recess
            below the right dome's top.
        l1_mm: origin of the great vessels above the carina. l3_mm: pulmonary venous confluence below the carina.
        heart, aorta: sizes relative to 1. kyphosis_mm: forward lean of the upper spine.
        lung_hu: density of the healthy lung (inspiration). gradient_hu: how much denser the back is than the front.
        masses: number of solid masses (5 to 30 mm in radius) in the lungs; they are neither ground glass nor
            reticulation, and belong to the lung.
        rotation_deg: how the patient lies in the scanner: angles about x, y and z of the world.
        tilt_deg: gantry tilt (slices leaned about x while the table moves along z, so that the volume is sheared).
        oblique_deg: angles about x, y and z by which the whole voxel grid is turned against the world.
        carina_lps: where the carina lies in the world, LPS.
    """

    seed: int = 0
    matrix: int = 512
    spacing: tuple[float, float, float] = (0.72, 0.72, 2.5)
    slices: int | None = None
    above_mm: float = 20.0
    below_mm: float = 20.0
    centre_mm: tuple[float, float] = (0.0, 0.0)
    kernel: str = "soft"
    noise_hu: float = 12.0
    contrast: bool = False
    arms: str = "up"
    table: bool = True
    padding_hu: int | None = None
    width: float = 1.0
    depth: float = 1.0
    fat_mm: float = 12.0
    breast_mm: float = 0.0
    apex_mm: float = 88.0
    dome_mm: float = 100.0
    left_dome_mm: float = 12.0
    recess_mm: float = 80.0
    l1_mm: float = 36.0
    l3_mm: float = 42.0
    heart: float = 1.0
    aorta: float = 1.0
    kyphosis_mm: float = 0.0
    lung_hu: float = -855.0
    gradient_hu: float = 40.0
    masses: int = 0
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tilt_deg: float = 0.0
    oblique_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    carina_lps: tuple[float, float, float] = (0.0, 0.0, -150.0)
    disease: DiseaseSpec = field(default_factory=DiseaseSpec)

    def __post_init__(self) -> None:
        for name in ("spacing", "centre_mm", "rotation_deg", "oblique_deg", "carina_lps"):
            object.__setattr__(self, name, tuple(float(v) for v in getattr(self, name)))
        if self.kernel not in KERNELS:
            raise SettingsError(f"The kernel is one of {', '.join(KERNELS)}, not {self.kernel!r}.")
        if self.arms not in ARMS:
            raise SettingsError(f"The arms are {' or '.join(ARMS)}, not {self.arms!r}.")
        if self.matrix < 16 or min(self.spacing) <= 0 or (self.slices is not None and self.slices < 2):
            raise SettingsError("A phantom needs at least 16 pixels, 2 slices and a positive spacing.")
        if not (self.apex_mm > self.l1_mm + 15 and self.l1_mm > 5 and self.dome_mm >= self.l3_mm + 12):
            raise SettingsError(
                "The phantom's landmarks are out of order: from the head down apex, L1, carina, L3, right dome, with "
                "15 mm between apex and L1 and 12 mm between L3 and the dome."
            )

    @classmethod
    def random(cls, rng: np.random.Generator, **fixed) -> PhantomSpec:
        """A random patient in a random scanner.

        Args:
            rng: where the chance comes from.
            **fixed: fields that are not left to chance. With ``matrix`` fixed the pixels grow so that the chest is
                covered; with ``slices`` fixed the slices get as thick as the coverage needs.

        Raises:
            SettingsError: an unknown field or an impossible value.
        """
        unknown = set(fixed) - {f.name for f in fields(cls)}
        if unknown:
            raise SettingsError(f"A phantom has no setting {', '.join(sorted(unknown))}.")
        drawn = _draw_patient(rng) | _draw_scan(rng)
        drawn |= {k: v for k, v in fixed.items() if k in drawn}
        if "dome_mm" not in fixed:
            drawn["dome_mm"] = max(drawn["dome_mm"], drawn["l3_mm"] + 16)
        field_of_view = drawn.pop("field_of_view") * drawn["width"]
        thickness = drawn.pop("thickness")
        matrix = int(fixed.get("matrix", drawn["matrix"]))
        if fixed.get("slices") is not None:
            draft = cls(**{**drawn, "matrix": matrix, "spacing": (1, 1, 1), "slices": None})
            thickness = draft.coverage_mm / fixed["slices"]
        drawn["spacing"] = (field_of_view / matrix, field_of_view / matrix, thickness)
        return cls(**{**drawn, **fixed})

    def with_(self, **changes) -> PhantomSpec:
        """The spec with some fields changed."""
        return replace(self, **changes)

    def rng(self, purpose: str) -> np.random.Generator:
        """A random generator for one purpose, independent of every other purpose and of the sampling."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])

    @property
    def lung_bottom_mm(self) -> float:
        """The lowest point of the lungs below the carina (the deepest recess)."""
        return self.dome_mm + self.recess_mm

    @property
    def coverage_mm(self) -> float:
        """Length of the scan along the patient."""
        return self.apex_mm + self.above_mm + self.lung_bottom_mm + self.below_mm


def _draw_patient(rng: np.random.Generator) -> dict:
    """Random sizes. Ranges are wide around four real scans and common anatomical figures."""
    long = rng.normal(0, 1)  # tall people have long lungs throughout
    inspiration = rng.beta(3, 1.4)
    apex = np.clip(85 + 6 * long + rng.normal(0, 7), 62, 116)
    l1 = np.clip(36 + 1.5 * long + rng.normal(0, 6), 20, min(54, apex - 22))
    l3 = np.clip(42 + 2.5 * long + rng.normal(0, 6), 26, 64)
    dome = np.clip(57 + 50 * inspiration + 8 * long + rng.normal(0, 12), l3 + 16, 155)
    width = np.clip(rng.normal(1.03, 0.1), 0.78, 1.32)
    return {
        "seed": int(rng.integers(2**31)),
        "width": float(width),
        "depth": float(np.clip(rng.normal(1.0, 0.1) + 0.35 * (width - 1.03), 0.75, 1.3)),
        "fat_mm": float(np.clip(rng.gamma(3, 5), 3, 45)),
        "breast_mm": float(rng.choice([0.0, rng.uniform(4, 26)], p=[0.5, 0.5])),
        "apex_mm": float(apex),
        "dome_mm": float(dome),
        "left_dome_mm": float(np.clip(rng.normal(12, 9), -15, 38)),
        "recess_mm": float(np.clip(rng.normal(82, 16), 42, 125)),
        "l1_mm": float(l1),
        "l3_mm": float(l3),
        "heart": float(np.clip(rng.normal(1.0, 0.1), 0.78, 1.35)),
        "aorta": float(np.clip(rng.normal(1.0, 0.12), 0.75, 1.4)),
        "kyphosis_mm": float(rng.normal(0, 9)),
        "lung_hu": float(np.clip(-725 - 175 * inspiration + rng.normal(0, 20), -915, -680)),
        "gradient_hu": float(rng.uniform(5, 90)),
        "contrast": bool(rng.random() < 0.5),
        "arms": str(rng.choice(ARMS, p=[0.85, 0.15])),
        "disease": DiseaseSpec.random(rng),
        "masses": int(rng.choice(4, p=[0.78, 0.12, 0.06, 0.04])),
    }


def _draw_scan(rng: np.random.Generator) -> dict:
    """Random acquisition and position."""
    tilt = float(rng.uniform(-15, 15)) if rng.random() < 0.04 else 0.0
    oblique = tuple(rng.normal(0, 3, 3)) if rng.random() < 0.08 else (0.0, 0.0, 0.0)
    thickness = float(rng.choice([0.5, 0.625, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 5.0]))
    return {
        "matrix": 512,
        "field_of_view": float(rng.uniform(300, 440)),
        "thickness": thickness,
        "above_mm": float(np.clip(rng.gamma(2.2, 11), 3, 95)),
        "below_mm": float(np.clip(rng.gamma(1.6, 18), 3, 160)),
        "centre_mm": tuple(rng.normal(0, 8, 2)),
        "kernel": str(rng.choice(KERNELS)),
        "noise_hu": float(rng.uniform(4, 32)),
        "table": bool(rng.random() < 0.92),
        "padding_hu": [None, -1024, -2048, -3024][int(rng.choice(4, p=[0.45, 0.2, 0.25, 0.1]))],
        "rotation_deg": tuple(rng.normal(0, (3.0, 2.0, 3.0))),
        "tilt_deg": tilt,
        "oblique_deg": oblique,
        "carina_lps": tuple(rng.normal((0, 0, -200), (15, 25, 250))),
    }
