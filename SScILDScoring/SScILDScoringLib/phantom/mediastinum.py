"""Heart, great vessels, airways and oesophagus as depth fields."""

from __future__ import annotations

import numpy as np

from .grid import Lattice, rotation
from .patient import Patient
from .shapes import empty, join, put_ellipsoid, put_tube


def airway_lumen(patient: Patient, grid: Lattice) -> np.ndarray:
    """Depth inside the lumen of trachea and main bronchi."""
    field = empty(grid)
    for points, radii in patient.points_of(patient.airways):
        put_tube(field, grid, points, radii, round_mm=1.5)
    return field


def heart_parts(patient: Patient) -> dict[str, list]:
    """Ellipsoids ``(centre, radii, axes)`` of the heart: ``right`` and ``left`` blood and the whole muscle."""
    spec, m = patient.spec, patient.mediastinal
    h, w = spec.heart, patient.wobble
    # The heart hangs from the level of the atria and rests on the diaphragm.
    top = patient.l3 + 16
    floor = min(patient.right_dome, patient.left_dome) - 20.0
    height = float(np.clip((top - floor) / 2, 34, 58))
    middle = floor + height
    front = float(patient.cage_front(middle))
    y = float(np.clip(front + 8 + 44 * h, -54, -26))
    long_axis = rotation((0, 0, -patient.heart_axis_deg)) @ rotation((0, 18 + 5 * w[2], 0))
    whole = [
        ((28 * m, y - 2, middle - 4), (70 * h * m, 44 * h, height), long_axis),
        ((-16 * m, y + 8, middle), (34 * h * m, 38 * h, height * 0.92), np.eye(3)),
        ((22 * m, y + 14, (middle + patient.l3) / 2), (44 * h * m, 34 * h, height * 0.75), np.eye(3)),
    ]
    left = [
        ((48 * m, y - 4, middle - 6), (33 * h * m, 20 * h, height * 0.52), long_axis),  # left ventricle
        ((5 * m, 1, patient.l3), (31 * m * h, 15 * h, 17 * h), np.eye(3)),  # left atrium
    ]
    right = [
        ((-27 * m, y + 6, middle), (20 * h * m, 25 * h, height * 0.62), np.eye(3)),  # right atrium
        ((10 * m, y - 22, middle - 8), (36 * h * m, 16 * h, height * 0.58), long_axis),  # right ventricle
    ]
    return {"whole": whole, "left": left, "right": right}


def soft_organs(patient: Patient, grid: Lattice) -> dict[str, np.ndarray]:
    """Depth fields by kind of blood: ``muscle`` (heart muscle and oesophagus), ``left`` (left heart, aorta and its
    branches, pulmonary veins), ``right`` (right heart and pulmonary arteries), ``cava`` (systemic veins)."""
    heart = heart_parts(patient)
    fields = {name: empty(grid) for name in ("muscle", "left", "right", "cava", "injected")}
    for name, part in (("muscle", "whole"), ("left", "left"), ("right", "right")):
        for centre, radii, axes in heart[part]:
            put_ellipsoid(fields[name], grid, centre, radii, axes, round_mm=10 if name == "muscle" else 4)
    for name, courses in (
        ("left", patient.arteries),
        ("left", patient.pulmonary_veins),
        ("right", patient.pulmonary),
        ("cava", patient.cava),
    ):
        for points, radii in patient.points_of(courses):
            put_tube(fields[name], grid, points, radii, round_mm=1.5)
    for side in (-1, 1):
        vein = patient.arm_vein(side)
        put_tube(fields["injected" if side == patient.injected_side else "cava"], grid, vein.points, vein.radii)
    put_tube(fields["muscle"], grid, *oesophagus(patient))
    return fields


def oesophagus(patient: Patient) -> tuple[list, list]:
    """Centre line and radii of the oesophagus, in front of the spine."""
    heights = (patient.apex + 110, patient.apex, 30, 0, -60, patient.right_dome - 10, patient.right_dome - 45)
    back = [float(patient.spine_y(z)) for z in heights]
    x = (0, 3, 5, 5, 4, 10, 22)
    before = (22, 22, 24, 24, 27, 34, 44)
    return [(a, y - b, z) for a, y, b, z in zip(x, back, before, heights, strict=True)], [6, 6.5, 7, 7.5, 8, 8, 8]


def mediastinum(patient: Patient, grid: Lattice, organs: dict[str, np.ndarray], airways: np.ndarray) -> np.ndarray:
    """Depth inside everything between the lungs: organs with the fat around them, the spine, and the thin plate of
    fat that parts the two lungs in front and behind."""
    p, spec, m = grid.points, patient.spec, patient.mediastinal
    inside = organs["muscle"] + 2.5
    for name in ("left", "right", "cava"):
        inside = join(inside, organs[name] + 1.2, 9)
    inside = join(inside, airways + 2.5, 8)
    fat = empty(grid)
    top, bottom = patient.l1 + 4, patient.l3 - 4
    put_ellipsoid(fat, grid, (3, -33, (top + bottom) / 2), (29 * m, 24, (top - bottom) / 2 + 6))
    inside = join(inside, fat, 8)
    heights = np.array(
        [patient.apex + 40, patient.apex, patient.l1 + 12, patient.l1 - 8, patient.l3, patient.right_dome, -400]
    )
    # In front of the great vessels: a broad sheet at the top of the chest, hardly anything at the carina.
    front = p.profile(heights, np.array([40, 34, 24, 9, 3.5, 9, 16]) * m)
    middle = p.profile(heights, np.array([34, 30, 21, 10, 4, 6, 12]) * m)
    spine_y = p.profile(_PROFILE_Z, patient.spine_y(_PROFILE_Z))
    behind = p.y - spine_y
    ahead = np.clip((-25 - p.y) * np.float32(1 / 30), 0, 1)
    plate = middle + (front - middle) * ahead - np.abs(p.x)
    # The vertebral body, round in front, widening to the heads of the ribs behind it.
    before = np.minimum(behind, 0) * np.float32(1.12)
    radius = np.float32(20 * (0.6 + 0.4 * spec.width)) + np.clip(behind - 6, 0, 30) * np.float32(0.3)
    bone = radius - np.sqrt(p.x * p.x + before * before)
    return join(join(inside, plate, 6), bone, 7)


_PROFILE_Z = np.linspace(390, -390, 157)
