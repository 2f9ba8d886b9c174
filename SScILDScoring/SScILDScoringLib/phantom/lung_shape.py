"""The lungs: inside the rib cage, beside the mediastinum, above the diaphragm."""

from __future__ import annotations

import numpy as np

from .grid import Points
from .patient import Patient
from .shapes import meet

PLEURA_GAP_MM = 2.0


def diaphragm_height(patient: Patient, p: Points) -> np.ndarray:
    """z of the diaphragm above or below each point: two domes that fall off towards the ribs.

    The right one peaks at the spec's dome, the left one lower; the recesses are deepest at the back, less deep at the
    sides and shallow in front.
    """
    spec = patient.spec
    width = float(patient.cage_half_width(patient.right_dome - 35))
    front, back = float(patient.cage_front(patient.right_dome - 35)), float(patient.cage_back(patient.right_dome - 35))
    peak_x, peak_y = patient.dome_peak
    left = np.clip(np.float32(0.5) + p.x * np.float32(1 / 50), 0, 1)
    beside = np.abs(p.x) - np.float32(peak_x)
    lateral = beside > 0
    u = beside * np.where(lateral, np.float32(1 / (width - peak_x)), np.float32(1 / (peak_x + 12)))
    v = p.y - np.float32(peak_y)
    behind = v > 0
    v = v * np.where(behind, np.float32(1 / (back - peak_y)), np.float32(1 / (peak_y - front)))
    uu, vv = u * u, v * v
    r2 = uu + vv
    recess = np.float32(spec.recess_mm) * (1 - left * np.float32(0.006 * spec.left_dome_mm))
    drop_u = np.where(lateral, np.float32(0.74), np.float32(0.3))
    drop_v = np.where(behind, np.float32(1.0), np.float32(0.42))
    drop = recess * (drop_u * uu + drop_v * vv) / (r2 + np.float32(1e-4))
    shape = 0.42 * r2 + 0.58 * (1 - np.sqrt(np.clip(1 - r2, 0, None)))
    top = np.float32(patient.right_dome) + left * np.float32(patient.left_dome - patient.right_dome)
    return top - drop * np.minimum(shape, 1.25)


def lungs(patient: Patient, p: Points, cage: np.ndarray, mediastinum: np.ndarray, diaphragm: np.ndarray) -> np.ndarray:
    """Depth inside the lungs, both in one field: the patient's right lung where x < 0, the left where x > 0."""
    gap = np.float32(PLEURA_GAP_MM)
    depth = meet(cage, -gap - mediastinum, 5)
    depth = meet(depth, (p.z - diaphragm) * np.float32(0.75), 2.5)
    return meet(depth, apex_depth(patient, p), 8)


def apex_depth(patient: Patient, p: Points) -> np.ndarray:
    """Depth below the two domes of the lung apices."""
    spread = np.float32(1 / 62)
    side = np.abs(p.x) - np.float32(44 * patient.spec.width)
    v = p.y - np.float32(patient.spine_y(patient.apex - 10) + 14)
    lower = np.float32(abs(patient.apex_difference)) * ((p.x > 0) == (patient.apex_difference > 0))
    # The dome shapes the uppermost four centimetres only; below, the ribs bound the lung.
    fall = 42 * (1 - np.exp(-(side * side + v * v) * (spread / 42)))
    return (np.float32(patient.apex) - lower - p.z - fall) * np.float32(0.8)


def fissures(patient: Patient, p: Points) -> np.ndarray:
    """Depth inside the fissures, taken as 1.2 mm thick sheets: oblique on both sides, horizontal on the right."""
    w = patient.wobble
    slope = np.float32(0.95 + 0.12 * w[10])
    bend = np.float32(0.0012) * (np.abs(p.x) - 60) ** 2
    middle = np.float32(0.38 * patient.right_dome + 6 * w[11])
    oblique = (
        p.z - middle - slope * (p.y - 12) + bend * 6 + 5 * np.sin(p.x * np.float32(0.05) + np.float32(w[12]))
    ) * np.float32(0.71)
    sheet = 0.6 - np.abs(oblique)
    level = (
        p.z
        - np.float32(0.32 * patient.right_dome + 5 * w[13])
        - 6 * np.sin(p.y * np.float32(0.04) + np.float32(w[14]))
        - bend * 5
    )
    horizontal = np.where((p.x < 0) & (oblique > 0), 0.6 - np.abs(level), np.float32(-12))
    return np.maximum(sheet, horizontal).astype(np.float32)
