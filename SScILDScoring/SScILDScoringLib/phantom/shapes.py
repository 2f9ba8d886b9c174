"""Depth fields of simple solids. Positive inside, about in millimetres; see :mod:`.grid`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .grid import Lattice, Points

FAR = np.float32(-14.0)
"""The depth that stands for "well outside": solids are evaluated only where they come closer than this."""


def empty(grid: Lattice) -> np.ndarray:
    """A field in which there is nothing."""
    return np.full(grid.shape, FAR, np.float32)


def join(a: np.ndarray, b: np.ndarray, round_mm: float = 0.0) -> np.ndarray:
    """Union of two solids, its crease filled with a fillet of about ``round_mm``."""
    if round_mm <= 0:
        return np.maximum(a, b)
    bridge = np.clip(1 - np.abs(a - b) / np.float32(round_mm), 0, None)
    top = np.maximum(a, b)
    # No fillet out where the fields only say "far away".
    bridge *= bridge * np.clip((top + 11) * np.float32(1 / 4), 0, 1)
    return top + bridge * np.float32(round_mm / 4)


def meet(a: np.ndarray, b: np.ndarray, round_mm: float = 0.0) -> np.ndarray:
    """Intersection of two solids, its edge rounded by about ``round_mm``."""
    if round_mm <= 0:
        return np.minimum(a, b)
    bridge = np.clip(1 - np.abs(a - b) / np.float32(round_mm), 0, None)
    return np.minimum(a, b) - bridge * bridge * np.float32(round_mm / 4)


def put_ellipsoid(
    field: np.ndarray,
    grid: Lattice,
    centre: Sequence[float],
    radii: Sequence[float],
    axes: np.ndarray | None = None,
    round_mm: float = 0.0,
) -> None:
    """Joins an ellipsoid to ``field`` in place; ``axes``: its 3x3 directions (columns), the patient's if None."""
    centre, radii = np.asarray(centre, float), np.asarray(radii, float)
    axes = np.eye(3) if axes is None else np.asarray(axes, float)
    far = FAR - np.float32(round_mm)
    reach = np.sqrt(((axes * (radii - far)) ** 2).sum(axis=1))
    box = grid.box(centre - reach, centre + reach)
    if box is None:
        return
    p = grid.points[box]
    delta = [c - np.float32(o) for c, o in zip((p.x, p.y, p.z), centre, strict=True)]
    inside, slope = np.float32(0), np.float32(0)
    for a in range(3):
        along = sum(d * np.float32(axes[b, a] / radii[a]) for b, d in enumerate(delta) if abs(axes[b, a]) > 1e-6)
        square = along * along
        inside = inside + square
        slope = slope + square * np.float32(1 / radii[a] ** 2)
    r = np.sqrt(inside)
    # (1 - r) r / |gradient|: exact to first order at the surface, whatever the ratio of the radii.
    depth = np.maximum((1 - r) * r / np.sqrt(slope + np.float32(1e-8)), far)
    field[box] = join(field[box], depth, round_mm)


def put_tube(
    field: np.ndarray,
    grid: Lattice,
    points: Sequence[Sequence[float]],
    radii: float | Sequence[float],
    round_mm: float = 0.0,
) -> None:
    """Joins a tube along a polyline to ``field`` in place; ``radii`` one value, or one per point."""
    points = np.asarray(points, float)
    radii = np.broadcast_to(np.asarray(radii, float), len(points))
    for a, b, ra, rb in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        far = FAR - np.float32(round_mm)
        reach = max(ra, rb) - far
        box = grid.box(np.minimum(a, b) - reach, np.maximum(a, b) + reach)
        if box is not None:
            depth = capsule(grid.points[box], a, b, ra, rb)
            field[box] = join(field[box], np.maximum(depth, far), round_mm)


def capsule(p: Points, a: np.ndarray, b: np.ndarray, ra: float, rb: float) -> np.ndarray:
    """Depth of a round-ended rod from ``a`` to ``b`` whose radius goes from ``ra`` to ``rb``."""
    axis = b - a
    length2 = float(axis @ axis) + 1e-9
    dx, dy, dz = p.x - np.float32(a[0]), p.y - np.float32(a[1]), p.z - np.float32(a[2])
    ux, uy, uz = (np.float32(v / length2) for v in axis)
    along = np.clip(dx * ux + dy * uy + dz * uz, 0, 1)
    dx -= along * np.float32(axis[0])
    dy -= along * np.float32(axis[1])
    dz -= along * np.float32(axis[2])
    distance = np.sqrt(dx * dx + dy * dy + dz * dz)
    return np.float32(ra) + along * np.float32(rb - ra) - distance


def smooth_path(points: Sequence[Sequence[float]], pieces: int = 3) -> np.ndarray:
    """A polyline through ``points`` with rounded corners (Catmull-Rom), ``pieces`` segments between two points."""
    p = np.asarray(points, float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, pieces, endpoint=False)[:, None]
    parts = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]
    return np.vstack([*parts, p[-2]])
