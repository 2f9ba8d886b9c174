"""Trunk, neck, shoulders and arms: outline and muscle."""

from __future__ import annotations

import numpy as np

from .grid import Lattice, Points
from .patient import Patient
from .shapes import join, meet, put_ellipsoid, put_tube

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
    top = patient.apex
    shoulder_x = 150 * (0.2 + 0.8 * spec.width)
    for side in (-1, 1):
        rise = 18 if spec.arms == "up" else 0
        put_ellipsoid(depth, grid, (side * shoulder_x, 42, top + rise), (52, 52, 52), round_mm=20)
        if spec.arms == "up":
            end = (side * (shoulder_x + 5), 20, top + 190)
            put_tube(depth, grid, [(side * shoulder_x, 38, top + 20), end], (50, 44), round_mm=20)
        else:
            x = float(np.max(table["half_width"][8:])) + 46 + spec.fat_mm * 0.5
            put_tube(
                depth,
                grid,
                [(side * shoulder_x, 42, top), (side * max(x, 195), 40, top - 110), (side * max(x + 5, 200), 34, -320)],
                (48, 44 + spec.fat_mm * 0.3, 36 + spec.fat_mm * 0.3),
                round_mm=14,
            )
        if spec.breast_mm:
            z = -42 * spec.apex_mm / 85
            front = float(np.interp(-z, -heights, table["centre"] - table["half_depth"]))
            put_ellipsoid(
                depth, grid, (side * 78 * spec.width, front + 14, z), (62, 14 + spec.breast_mm, 58), round_mm=22
            )
    return depth


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
        fat = fat + np.float32(spec.breast_mm) * (p.y < -40)
    # Thickness of the muscle outside the ribs: thick at the shoulder blades and the back, thin low at the sides.
    wall = p.profile(heights, np.interp(heights, (-140, -90, -40, 20, 60), (11, 13, 22, 60, 120)))
    back = np.clip((p.y - np.float32(35)) * np.float32(1 / 40), 0, 1) * 26
    return meet(body_depth - fat, cage_outer + wall + back, 6)


def fat_planes(depth: np.ndarray, cage_outer: np.ndarray, p: Points) -> np.ndarray:
    """Depth inside the thin layers of fat between the muscles: under the shoulder blade and the pectoral muscle."""
    layer = 1.6 - np.abs(cage_outer + 13 + 3 * np.sin(p.z * np.float32(0.06)))
    outer = 1.8 - np.abs(cage_outer + 31 + 5 * np.sin(p.y * np.float32(0.05) + p.z * np.float32(0.035)))
    return meet(join(layer, outer), depth)
