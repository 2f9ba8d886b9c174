"""Trunk, neck, shoulders and arms: outline and muscle."""

from __future__ import annotations

import numpy as np

from .grid import Lattice, Points
from .noise3d import Placement, band_block, sample
from .patient import Patient
from .shapes import FAR, meet, put_ellipsoid, put_tube

MUSCLE_WALL_MM = 9.0


def body(patient: Patient, grid: Lattice) -> np.ndarray:
    """Depth below the skin. Positive inside the body, arms included."""
    p, spec = grid.points, patient.spec
    table, heights = patient.body_table, patient.body_heights
    half_width, half_depth = p.profile(heights, table["half_width"]), p.profile(heights, table["half_depth"])
    u = p.x / half_width
    v = (p.y - p.profile(heights, table["centre"])) / half_depth
    uu, vv = np.minimum(u * u, 4.0), np.minimum(v * v, 4.0)
    size = (half_width * uu + half_depth * vv) / (uu + vv + np.float32(1e-4))
    # Flat where the patient lies on the table, and broad shoulders are flatter than the trunk.
    squareness = p.profile(heights, np.interp(heights, (-100, 40, patient.apex), (0.45, 0.4, 0.3)))
    depth = (1 - np.sqrt(np.maximum(uu + vv - squareness * np.minimum(uu, 1.4) * np.minimum(vv, 1.4), 0))) * size
    # The skin bulges round the shoulders instead of ending in the sharp tips of an oval.
    depth = np.maximum(depth, -25.0).astype(np.float32)
    for side in (-1, 1):
        arm = patient.arm * (side, 1, 1)
        put_ellipsoid(depth, grid, arm[0], (52, 52, 52), round_mm=20)
        thick = (50, 44) if spec.arms == "up" else (48, 42 + spec.fat_mm * 0.3, 36 + spec.fat_mm * 0.3)
        put_tube(depth, grid, arm, thick, round_mm=14)
        if spec.breast_mm:
            z = -42 * spec.apex_mm / 85
            front = float(np.interp(-z, -heights, table["centre"] - table["half_depth"]))
            put_ellipsoid(
                depth, grid, (side * 80 * spec.width, front + 22, z), (74, 22 + spec.breast_mm, 80), round_mm=30
            )
    # The back is pressed flat by the table.
    flat = float(np.max((table["centre"] + table["half_depth"])[4:14])) - patient.pressed_mm
    return meet(depth, np.float32(flat) - p.y, 24)


def chest_muscle(patient: Patient, p: Points, body_depth: np.ndarray, cage_outer: np.ndarray) -> np.ndarray:
    """Depth inside muscle of the chest wall, back, shoulders and neck.

    Muscle fills the wall between the ribs and the subcutaneous fat; below the shoulders a layer of fat lies over the
    ribs at the sides.
    """
    spec = patient.spec
    heights = patient.body_heights
    fat = p.profile(
        heights, spec.fat_mm * np.interp(heights, (-120, -20, 60, patient.apex + 20), (1.0, 0.9, 0.6, 0.45))
    )
    if spec.breast_mm:
        fat = fat + np.float32(spec.breast_mm) * np.clip((-15 - p.y) * np.float32(1 / 45), 0, 1)
    # Thickness of the muscle outside the ribs: thick at the shoulder blades and the back, thin low at the sides.
    wall = p.profile(heights, np.interp(heights, (-140, -90, -40, 20, 60), (11, 13, 22, 60, 120)))
    back = np.clip((p.y - np.float32(35)) * np.float32(1 / 40), 0, 1) * 26
    return meet(body_depth - fat, cage_outer + wall + back, 6)


def fat_planes(patient: Patient, p: Points, muscle: np.ndarray, cage_outer: np.ndarray) -> np.ndarray:
    """Depth inside the thin layers of fat between the muscles outside the ribs.

    They are the sheets where smooth noise with waves of a few centimetres changes its sign.
    """
    rng = patient.spec.rng("muscle")
    within = np.minimum(muscle - 1, -11 - cage_outer)
    where = np.nonzero(within > -4)
    # Distance to the sheet: the noise over its typical slope (2 pi / wavelength).
    noise = sample(band_block(), Placement(rng, 10.0).lattice(p.x[where], p.y[where], p.z[where]))
    depth = np.full(muscle.shape, FAR, np.float32)
    depth[where] = np.minimum(1.1 - np.abs(noise) * np.float32(11), within[where])
    return depth


def sheet(patient: Patient, p: Points, body_depth: np.ndarray) -> np.ndarray:
    """Depth inside a thin cloth over the patient's front, a few millimetres off the skin."""
    w = patient.wobble
    along = np.sin(p.x * np.float32(0.045 + 0.01 * w[30]) + np.float32(w[31]))
    wave = 3.5 * along * np.sin(p.z * np.float32(0.03) + p.x * np.float32(0.02))
    depth = 0.5 - np.abs(body_depth + np.float32(7 + 2 * w[32]) + wave)
    return np.minimum(depth, np.float32(60 + 15 * w[33]) - p.y).astype(np.float32)
