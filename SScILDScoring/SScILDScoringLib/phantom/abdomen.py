"""What lies below the diaphragm: liver, spleen, stomach, bowel, kidneys, as depth fields."""

from __future__ import annotations

import numpy as np

from .grid import Lattice
from .patient import Patient
from .shapes import FAR, empty, meet, put_ellipsoid, put_tube


def organs(patient: Patient, grid: Lattice, cavity: np.ndarray) -> dict[str, np.ndarray]:
    """Depth fields of ``liver``, ``spleen`` (with kidneys), ``gut`` (stomach and bowel) and ``gas`` inside the gut.

    Args:
        cavity: depth inside the abdominal cavity (within the ribs, below the diaphragm's muscle).
    """
    rng = patient.spec.rng("abdomen")
    p, w = grid.points, patient.spec.width
    half = float(patient.cage_half_width(patient.right_dome - 40))
    front, back = float(patient.cage_front(patient.right_dome - 40)), float(patient.cage_back(patient.right_dome - 40))
    depth = back - front
    spine = float(patient.spine_y(patient.right_dome - 60))
    right, left = patient.right_dome, patient.left_dome
    # The liver fills the right side; its edge runs from the spine to the left front, and rises to the left.
    tip = rng.uniform(25, 65)
    edge = (
        (spine - 14 - p.y) * np.float32(tip / (spine - 14 - front))
        + 4
        - p.x
        + 9 * np.sin(p.y * np.float32(0.045) + np.float32(rng.uniform(0, 6)))
    )
    under = p.z - np.float32(right - rng.uniform(150, 200)) - np.clip(p.x + 40, 0, None) * np.float32(0.9)
    liver = meet(meet(cavity, edge * np.float32(0.8), 14), under * np.float32(0.7), 14)
    fields = {"liver": liver, "spleen": empty(grid), "gut": empty(grid), "gas": empty(grid)}
    put_ellipsoid(
        fields["spleen"],
        grid,
        (0.68 * half, front + 0.78 * depth, left - rng.uniform(42, 60)),
        (0.25 * half, 0.27 * depth, 52),
    )
    for side in (-1, 1):
        put_ellipsoid(fields["spleen"], grid, (side * 50 * w, spine + 12, right - rng.uniform(120, 160)), (26, 27, 52))
    # Stomach under the left dome, with a bubble of gas in front (the patient lies on the back).
    stomach = np.array((0.45 * half, front + 0.45 * depth, left - rng.uniform(34, 48)))
    radii = np.array((0.31 * half, 0.31 * depth, rng.uniform(34, 52)))
    put_ellipsoid(fields["gut"], grid, stomach, radii)
    put_tube(fields["gut"], grid, np.array([(0, 0, 0), (-35, -15, -50), (-85, -12, -62)]) + stomach, (22, 20, 15))
    bubble = np.minimum(fields["gut"] - 3, (stomach[1] - radii[1] * rng.uniform(-0.1, 0.75)) - p.y)
    fields["gas"] = np.maximum(bubble, FAR)
    # Loops of the colon: under the left dome's outer part and across the front below.
    flexure = [
        (0.78 * half, front + 0.45 * depth, left - rng.uniform(45, 80)),
        (0.7 * half, front + 0.28 * depth, left - 90),
        (0.1 * half, front + 0.1 * depth, left - 120),
        (-0.6 * half, front + 0.2 * depth, right - 165),
    ]
    put_tube(fields["gut"], grid, flexure, rng.uniform(15, 21))
    for _ in range(7):
        t = rng.uniform(0, 1)
        at = (1 - t) * np.array(flexure[0]) + t * np.array(flexure[1 + int(rng.integers(2))])
        put_ellipsoid(fields["gas"], grid, at + rng.normal(0, (5, 4, 6)), rng.uniform(4, 15, 3))
    for _ in range(10):
        at = (rng.uniform(-0.2, 0.75) * half, front + rng.uniform(0.1, 0.65) * depth, left - rng.uniform(60, 200))
        put_ellipsoid(fields["gut"], grid, at, rng.uniform(12, 24, 3))
    for name in ("spleen", "gut", "gas"):
        fields[name] = meet(fields[name], cavity - (2 if name == "gut" else 5), 3)
    fields["gut"] = meet(fields["gut"], -liver - 1)
    fields["gas"] = meet(fields["gas"], np.minimum(fields["gut"] - 2.0, -liver - 3))
    fields["spleen"] = meet(fields["spleen"], np.minimum(-liver - 1, -fields["gut"] - 1))
    return fields
