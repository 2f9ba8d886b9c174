"""Ribs, spine, sternum, clavicles, shoulder blades and arm bones as depth fields."""

from __future__ import annotations

import numpy as np

from .grid import Lattice, Points
from .patient import Patient
from .shapes import FAR, empty, join, meet, put_ellipsoid, put_tube


def vertebra_height(patient: Patient) -> float:
    """Distance from one thoracic vertebra to the next: the thorax holds about ten between apex and lung base."""
    return float(np.clip((patient.apex - patient.bottom) / 11.2, 17, 29))


def ribs(patient: Patient, p: Points, cage_outer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth inside the bony ribs and inside the rib cartilages.

    The ribs are a periodic function of a coordinate that follows their slant: z, plus a drop from the spine to the
    front. They lie in the shell just outside of the pleura.

    Args:
        cage_outer: depth below the inner surface of the cage (negative outside it).
    """
    table, heights = patient.cage_table, patient.cage_heights
    pitch = vertebra_height(patient)
    centre = p.profile(heights, table["centre"])
    half_depth = p.profile(heights, table["half_depth"])
    # 0 at the spine, 1 at the breastbone.
    front = np.clip(0.5 - 0.5 * (p.y - centre) / half_depth, 0, 1)
    # Behind, where they run sideways, the ribs already go down.
    phase = 0.72 * front + 0.28 * np.minimum(np.abs(p.x) / p.profile(heights, table["half_width"]), 1)
    drop = p.profile(heights, np.interp(heights, (patient.bottom, 0, patient.apex), (95, 66, 22)) * patient.spec.depth)
    # The front ends of the lower ribs turn up again towards the breastbone.
    rise = np.clip(front - np.float32(0.78), 0, None) * p.profile(
        heights, np.interp(heights, (patient.bottom, -30, patient.apex), (190, 90, 0))
    )
    slanted = (p.z + drop * phase - rise) / np.float32(pitch) + np.float32(0.13 * patient.wobble[20])
    along = slanted - np.floor(slanted) - np.float32(0.5)
    v = along * np.float32(pitch)
    u = cage_outer + np.float32(5.2)
    half_height, half_thick = np.float32(6.6), np.float32(4.0)
    depth = (1 - np.sqrt((v / half_height) ** 2 + (u / half_thick) ** 2)) * half_thick
    depth = np.maximum(depth, FAR)
    lowest = patient.bottom - 45
    top = patient.apex + 6
    depth = meet(depth, np.minimum(p.z + drop * phase * 0.6 - np.float32(lowest), np.float32(top) - p.z))
    # Floating ribs have no front part.
    depth = meet(depth, (p.z + 260 * (0.62 - phase) - np.float32(patient.bottom + 10)) * 0.5)
    cartilage = front > np.float32(0.86) - 0.05 * np.clip(-p.z / 100, 0, 2)
    return np.where(cartilage, FAR, depth), np.where(cartilage, depth, FAR)


def spine(patient: Patient, grid: Lattice) -> dict[str, np.ndarray]:
    """``body`` (vertebral bodies, discs left out), ``disc``, ``arch`` (lamina, processes) and ``canal``."""
    pitch = vertebra_height(patient)
    heights = np.linspace(patient.apex + 150, -420, 120)
    course = patient.spine_y(heights)
    low, high = [-48, float(course.min()) - 26, -420], [48, float(course.max()) + 80, patient.apex + 160]
    parts = {name: empty(grid) for name in ("body", "disc", "arch", "canal")}
    box = grid.box(low, high)
    if box is None:
        return parts
    p = grid.points[box]
    size = p.profile((patient.apex + 20, patient.bottom - 60), (0.82, 1.22)) * np.float32(
        0.5 + 0.5 * patient.spec.width
    )
    y = p.y - p.profile(heights, course)
    lateral = np.abs(p.x)
    along = p.z / np.float32(pitch) + np.float32(0.5 + 0.2 * patient.wobble[21])
    along = (along - np.floor(along) - np.float32(0.5)) * np.float32(pitch)
    from_disc = np.float32(pitch / 2 - 2.2) - np.abs(along)
    # Vertebral bodies have a waist, and their back is flat.
    waist = 1.6 * (1 - (along / np.float32(pitch / 2)) ** 2)
    rx, ry = 16.5 * size - waist, 13.5 * size - waist
    column = (1 - np.sqrt((p.x / rx) ** 2 + (np.minimum(y, 0) / ry) ** 2 + (np.maximum(y, 0) / (ry * 0.92)) ** 4)) * ry
    parts["body"][box] = meet(column, from_disc * 0.9, 2)
    parts["disc"][box] = meet(column + 0.5, -from_disc)
    canal_y = y - 20.5 * size
    radius = np.sqrt(p.x * p.x + (canal_y * 1.15) ** 2)
    canal = 8.0 - radius
    parts["canal"][box] = canal
    # Lamina: a ring about the canal, open at the joints between vertebrae at the sides.
    ring = 3.6 - np.abs(radius - 12.0)
    gap = np.where(canal_y < 4, 7.5 - np.abs(along - 3), np.float32(6))
    ring = meet(ring, gap)
    spinous_z = along + 0.55 * (canal_y - 14)
    spinous_z = spinous_z - np.float32(pitch) * np.round(spinous_z / np.float32(pitch))
    spinous = np.minimum(
        np.minimum(2.9 - lateral * 1.0, 36 * size - canal_y), np.minimum(canal_y - 9, 7.0 - np.abs(spinous_z) * 0.8)
    )
    process = np.minimum(
        4.2 - np.hypot(y - 23 * size - 0.22 * (lateral - 14), (along - 2) * 0.8),
        np.minimum(34 * size - lateral, lateral - 9),
    )
    arch = join(join(ring, spinous, 3), process, 3)
    parts["arch"][box] = meet(arch, -canal)
    for name in parts:
        np.maximum(parts[name], FAR, out=parts[name])
    return parts


def sternum_y(patient: Patient, z) -> np.ndarray:
    """y of the middle of the breastbone's thickness."""
    return (
        patient.cage_front(np.minimum(z, patient.apex * 0.62))
        - 9.5
        - 0.30 * np.clip(patient.apex * 0.62 - np.asarray(z, float), None, 0)
    )


def girdle(patient: Patient, grid: Lattice, cage_outer: np.ndarray) -> np.ndarray:
    """Depth inside breastbone, clavicles, shoulder blades and upper arms, in one field."""
    spec = patient.spec
    field = empty(grid)
    notch = patient.apex * 0.66
    heights = (notch, notch - 18, 12, 4, -30, -70, -95, -112)
    widths = np.array((26, 29, 18, 16, 17, 20, 15, 5)) * (0.4 + 0.6 * spec.width)
    zs = np.linspace(notch, -112, 40)
    course = sternum_y(patient, zs)
    box = grid.box([-34, float(course.min()) - 16, -120], [34, float(course.max()) + 16, notch + 6])
    if box is not None:
        p = grid.points[box]
        y = (p.y - p.profile(zs, course)) * np.float32(0.93)
        plate = meet(5.4 - np.abs(y), (p.profile(heights, widths) - np.abs(p.x)) * 0.9, 4)
        plate = meet(plate, np.minimum(np.float32(notch) - p.z, p.z + 110))
        field[box] = np.maximum(plate, FAR)
    w = 0.3 + 0.7 * spec.width
    up = 14 if spec.arms == "up" else -4
    start_y = float(sternum_y(patient, notch)) + 2
    top = patient.apex
    for side in (-1, 1):
        clavicle = [
            (side * 20, start_y, notch - 4),
            (side * 52 * w, start_y + 6, top - 14),
            (side * 95 * w, start_y + 38, top + up * 0.7),
            (side * 132 * w, 30, top + up + 8),
        ]
        put_tube(field, grid, clavicle, (9.5, 6.2, 5.6, 6.5))
        arm = patient.arm * (side, 1, 1)
        put_ellipsoid(field, grid, arm[0], (23, 24, 24))
        put_tube(field, grid, arm, (16, 12) if spec.arms == "up" else (16, 12, 12))
        # Acromion and spine of the shoulder blade.
        put_tube(
            field,
            grid,
            [(side * 142 * w, 36, top + up + 16), (side * 128 * w, 82, top + up), (side * 74 * w, 112, top - 22)],
            (7, 6.5, 4),
        )
        _blade(patient, grid, cage_outer, field, side, up)
    return field


def _blade(patient: Patient, grid: Lattice, cage_outer: np.ndarray, field: np.ndarray, side: int, up: float) -> None:
    """The flat part of a shoulder blade: a triangular plate that follows the ribs at a distance of two centimetres."""
    spec, top = patient.spec, patient.apex
    w = 0.3 + 0.7 * spec.width
    tip = -52.0 + up
    xs = sorted((side * 55 * w, side * 165 * w))
    box = grid.box([xs[0], 10, tip - 8], [xs[1], 170, top + 22])
    if box is None:
        return
    p = grid.points[box]
    lateral = p.x * side
    share = np.clip((p.z - np.float32(tip)) * np.float32(1 / (top + 4 - tip)), 0, 1)
    medial_border = np.float32(96 * w) - share * np.float32(28 * w)
    lateral_border = np.float32(112 * w) + share * np.float32(24 * w)
    offset = cage_outer[box] + 21 + share * 5
    plate = np.float32(3.0) + 2.0 * np.clip((lateral - lateral_border + 14) * np.float32(1 / 14), 0, 1) - np.abs(offset)
    plate = np.minimum(plate, np.minimum(lateral - medial_border, lateral_border - lateral))
    plate = np.minimum(plate, np.minimum(p.z - np.float32(tip), np.float32(top + 4) - p.z))
    plate = np.minimum(plate, p.y - 18)
    field[box] = np.maximum(field[box], np.maximum(plate, FAR))
