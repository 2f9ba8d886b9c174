"""The measures of one synthetic patient: profiles along the body and the courses of airways and great vessels.

Everything is in patient coordinates (millimetres, carina at the origin, x left, y posterior, z to the head). The
figures are round averages of adult anatomy, compared with four public chest CTs, and vary with the spec's sizes and
seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .grid import Points
from .shapes import smooth_path
from .spec import PhantomSpec

# Heights in a standard patient: apex at 85, carina at 0, deepest recess at -150.
_HEIGHTS = (95, 87, 82, 75, 68, 52, 38, 22, 0, -30, -60, -90, -120, -150, -180, -230, -330)
_CAGE_HALF_WIDTH = (24, 44, 58, 73, 85, 101, 109, 115, 120, 124, 127, 131, 135, 138, 138, 134, 130)
_CAGE_FRONT = (14, 4, -6, -16, -26, -47, -60, -70, -79, -91, -100, -104, -104, -102, -99, -92, -88)
_CAGE_BACK = (42, 49, 56, 63, 69, 79, 87, 94, 99, 104, 107, 107, 105, 102, 98, 90, 84)

_BODY_HEIGHTS = (200, 150, 128, 110, 98, 82, 68, 52, 38, 22, 0, -30, -60, -98, -140, -190, -330)
_BODY_HALF_WIDTH = (62, 66, 185, 206, 206, 200, 194, 188, 184, 180, 175, 168, 161, 155, 154, 155, 158)
_BODY_FRONT = (-50, -46, -38, -38, -44, -56, -66, -76, -85, -94, -103, -114, -122, -126, -124, -118, -116)
_BODY_BACK = (88, 108, 122, 130, 134, 138, 140, 141, 141, 141, 140, 139, 138, 136, 133, 127, 120)


@dataclass(frozen=True)
class Course:
    """A tubular structure: its centre line ``(n, 3)`` and radius at each point, millimetres."""

    points: np.ndarray
    radii: np.ndarray

    @classmethod
    def through(cls, points, radii, pieces: int = 3) -> Course:
        """A course with rounded corners through ``points``; ``radii`` one value or one per point."""
        path = smooth_path(points, pieces)
        radii = np.broadcast_to(np.asarray(radii, float), len(points))
        at = np.linspace(0, len(points) - 1, len(path))
        return cls(path, np.interp(at, np.arange(len(points)), radii))


class Patient:
    """Measures derived from a :class:`PhantomSpec`; the same for every sampling of it."""

    def __init__(self, spec: PhantomSpec) -> None:
        self.spec = spec
        rng = spec.rng("patient")
        self.apex = spec.apex_mm
        self.bottom = -spec.lung_bottom_mm
        self.right_dome = -spec.dome_mm
        self.left_dome = -spec.dome_mm - spec.left_dome_mm
        self.l1 = spec.l1_mm
        self.l3 = -spec.l3_mm
        self.mediastinal = 0.5 + 0.5 * spec.width
        # How far the spine lies behind the carina varies a lot.
        self.spine_shift = float(rng.uniform(-6, 12))
        self.apex_difference = float(rng.uniform(-9, 9))
        self.base_difference = float(rng.uniform(-8, 8))
        self.trachea_slope = float(rng.uniform(0.02, 0.3))
        self.taper = float(np.clip(rng.normal(0, 0.04), -0.09, 0.09))
        self.pressed_mm = float(rng.uniform(2, 12))
        self.dent_mm = float(rng.uniform(20, 30))
        self.squareness = float(rng.uniform(0.25, 0.6))
        self.heart_axis_deg = float(rng.uniform(28, 55))
        self.wobble = rng.normal(0, 1, 40)
        # The arm vein through which contrast runs in while the scan is made.
        self.injected_side = int(rng.choice([-1, 1])) if spec.contrast and rng.random() < 0.6 else 0
        self.blood = self._enhancement(spec.rng("contrast"))

    def _enhancement(self, rng: np.random.Generator) -> dict[str, float]:
        """HU of the blood in each compartment."""
        plain = rng.uniform(36, 50)
        values = {
            "left": rng.uniform(150, 330),
            "right": rng.uniform(140, 380),
            "cava": rng.uniform(180, 700),
            "injected": rng.uniform(700, 2600),
            "muscle": rng.uniform(80, 120),
            "liver": rng.uniform(70, 120),
            "spleen": rng.uniform(90, 140),
        }
        none = {
            "left": plain,
            "right": plain,
            "cava": plain,
            "injected": plain,
            "muscle": 46,
            "liver": rng.uniform(45, 65),
            "spleen": 50,
        }
        return values if self.spec.contrast else none

    # ---- profiles along z ------------------------------------------------------------------------------------

    def heights(self, standard) -> np.ndarray:
        """Patient z of heights in the standard patient (apex 85, deepest recess -150)."""
        s = np.asarray(standard, float)
        up = np.where(s > 85, self.apex + s - 85, s * self.apex / 85)
        down = np.where(s < -150, self.bottom + s + 150, s * -self.bottom / 150)
        return np.where(s > 0, up, down)

    @cached_property
    def cage_heights(self) -> np.ndarray:
        return self.heights(_HEIGHTS)

    @cached_property
    def body_heights(self) -> np.ndarray:
        return self.heights(_BODY_HEIGHTS)

    def lean(self, z) -> np.ndarray:
        """How far the upper chest leans forward (kyphosis), in mm of y at heights ``z``."""
        return -self.spec.kyphosis_mm * np.clip(np.asarray(z, float) / 85, 0, 2) ** 2 * 0.5

    @cached_property
    def cage_table(self) -> dict[str, np.ndarray]:
        """Half width, centre and half depth of the inside of the rib cage at :attr:`cage_heights`."""
        d = self.spec.depth
        front, back = np.array(_CAGE_FRONT) * d, np.array(_CAGE_BACK) * d + self.spine_shift
        lean = self.lean(self.cage_heights)
        taper = 1 + self.taper * np.clip(-self.cage_heights / 100, -1, 1.3)
        return {
            "half_width": np.array(_CAGE_HALF_WIDTH) * self.spec.width * taper,
            "centre": (front + back) / 2 + lean,
            "half_depth": (back - front) / 2,
        }

    def cage_back(self, z) -> np.ndarray:
        """y of the inner back wall of the chest at height ``z``."""
        table = self.cage_table
        return np.interp(-np.asarray(z, float), -self.cage_heights, table["centre"] + table["half_depth"])

    def cage_front(self, z) -> np.ndarray:
        """y of the inner front wall of the chest at height ``z``."""
        table = self.cage_table
        return np.interp(-np.asarray(z, float), -self.cage_heights, table["centre"] - table["half_depth"])

    def cage_half_width(self, z) -> np.ndarray:
        """Half the inner width of the chest at height ``z``."""
        return np.interp(-np.asarray(z, float), -self.cage_heights, self.cage_table["half_width"])

    def spine_y(self, z) -> np.ndarray:
        """y of the middle of the vertebral bodies at height ``z``."""
        z = np.asarray(z, float)
        thoracic = self.cage_back(np.minimum(z, self.apex - 12)) - 50 * self.spec.depth
        return thoracic - 0.28 * np.clip(z - (self.apex - 12), 0, None)

    @cached_property
    def chest_centre_y(self) -> float:
        """y of the middle of the body, where a field of view is centred."""
        return float((_BODY_FRONT[11] + _BODY_BACK[11]) / 2 * self.spec.depth + self.spine_shift / 2)

    @cached_property
    def body_table(self) -> dict[str, np.ndarray]:
        """Half width, centre and half depth of the trunk at :attr:`body_heights`."""
        spec = self.spec
        extra = spec.fat_mm - 12
        z = self.body_heights
        neck = np.clip((np.asarray(_BODY_HEIGHTS) - 110) / 40, 0, 1)
        half_width = np.array(_BODY_HALF_WIDTH) * (0.15 + 0.85 * spec.width) + extra * (1.1 - 0.7 * neck)
        belly = np.clip((-z - 60) / 150, 0, 1)
        front = np.array(_BODY_FRONT) * spec.depth - extra * (0.75 + 0.9 * belly)
        # The windpipe lies well under the skin of the neck.
        front = np.where(z > self.apex / 2, np.minimum(front, self.trachea_y(z) - self.lean(z) - 26), front)
        back = np.array(_BODY_BACK) * spec.depth + self.spine_shift + extra * 0.6
        lean = self.lean(z)
        return {"half_width": half_width, "centre": (front + back) / 2 + lean, "half_depth": (back - front) / 2}

    @cached_property
    def arm(self) -> np.ndarray:
        """Centre line ``(n, 3)`` of the left upper arm, from the head of the humerus; the right one mirrors it."""
        spec, top = self.spec, self.apex
        x = 150 * (0.25 + 0.75 * spec.width)
        if spec.arms == "up":
            return np.array([(x, 40, top + 10), (x + 5, 20, top + 200)])
        table = self.body_table
        beside = float(np.interp(100, -self.body_heights, table["half_width"])) + 52 + spec.fat_mm * 0.3
        return np.array([(x, 40, top - 8), (max(beside, x + 20), 44, top - 110), (max(beside + 4, x + 24), 38, -330)])

    @cached_property
    def dome_peak(self) -> tuple[float, float]:
        """Distance from the midline and y of the tops of the diaphragm's domes."""
        z = self.right_dome - 35
        front, back = float(self.cage_front(z)), float(self.cage_back(z))
        return 0.5 * float(self.cage_half_width(z)), front + 0.46 * (back - front)

    # ---- airways ---------------------------------------------------------------------------------------------

    def trachea_y(self, z):
        """y of the trachea's centre at height ``z`` (it runs backwards on its way down)."""
        return -self.trachea_slope * np.clip(z, 0, None) + self.lean(z) * 0.6

    @cached_property
    def airways(self) -> dict[str, Course]:
        """Lumen of the trachea and the main bronchi; the two bronchi part at the origin."""
        radius = 8.3 + 0.7 * self.wobble[1]
        top = self.apex + 120
        heights = (top, self.apex, self.apex / 2, 18, 11)
        shift = (0, 0, -1.5, -1.5, 0)
        trachea = [(x, self.trachea_y(z), z) for x, z in zip(shift, heights, strict=True)]
        start = self.trachea_y(11)
        right = [(-2.8, start, 12), (-8.2, 0.5, 0), (-21, 4, -15), (-31, 6, -25), (-34, 8, -42)]
        left = [(2.8, start, 12), (8.2, 0.5, 0), (23, 4, -12), (39, 8, -21), (47, 13, -31)]
        return {
            "trachea": Course.through(trachea, radius),
            "right": Course.through(right, [7.0, 6.9, 6.6, 6.0, 4.8]),
            "left": Course.through(left, [6.6, 6.5, 6.0, 5.6, 4.8]),
        }

    # ---- great vessels ---------------------------------------------------------------------------------------

    @cached_property
    def arteries(self) -> dict[str, Course]:
        """Aorta and its branches (left-heart blood). The arch ends 3 mm below L1, where the branches stand apart."""
        a, m = self.spec.aorta, self.mediastinal
        arch = self.l1 - 3 - 13 * a
        root = self.l3 - 6
        below = [-60.0, -100.0, -150.0, -220.0, -320.0]
        down = [
            (x * m, float(self.spine_y(z)) - back, z)
            for x, back, z in zip((25, 22, 15, 6, 3), (12, 15, 22, 30, 32), below, strict=True)
        ]
        thoracic = [(26 * m, float(self.spine_y(0)) - 11, -10.0), (28 * m, float(self.spine_y(arch)) - 12, arch - 22)]
        aorta = [
            (3, -36, root), (-14 * m, -44, root / 2 - 4), (-19 * m, -44, 0.0), (-13 * m, -37, arch - 9),
            (2, -29, arch - 1), (15 * m, -16, arch), (25 * m, 2, arch - 3), thoracic[1], thoracic[0], *down,
        ]  # fmt: skip
        radii = np.array([15, 15.5, 15.5, 14.5, 13.5, 13, 12.5, 12.2, 12, 11.8, 11.5, 11, 10, 9]) * a
        l1, top = self.l1, self.apex
        neck_y = self.trachea_y(top + 40)
        return {
            "aorta": Course.through(aorta, radii),
            "brachiocephalic": Course.through(
                [(-3, -30, l1 - 10), (-12, -30, l1 + 14), (-22, -27, l1 + 32)], [7, 6.5, 6.2]
            ),
            "right_carotid": Course.through([(-22, -27, l1 + 32), (-24, -24, top), (-25, neck_y, top + 100)], 3.6),
            "right_subclavian": Course.through(
                [(-22, -27, l1 + 32), (-38, -18, top - 6), (-66, -16, top - 4), (-110, -4, top - 16)],
                [5, 4.8, 4.4, 3.8],
            ),
            "left_carotid": Course.through(
                [(11, -24, l1 - 10), (18, -24, l1 + 18), (24, -24, top), (25, neck_y, top + 100)], [4.4, 4, 3.7, 3.6]
            ),
            "left_subclavian": Course.through(
                [(22, -6, l1 - 10), (27, -6, l1 + 20), (36, -10, top - 5), (66, -14, top - 3), (110, -4, top - 16)],
                [5.4, 5, 4.8, 4.4, 3.8],
            ),
            "vertebral": Course.through([(24, 2, top), (20, float(self.spine_y(top + 60)) - 8, top + 100)], 1.8),
        }

    @cached_property
    def cava(self) -> dict[str, Course]:
        """Systemic veins: brachiocephalic veins, superior vena cava, azygos."""
        m, l1, top = self.mediastinal, self.l1, self.apex
        join_z = l1 + 2
        entry = self.l3 + 2
        spine = float(self.spine_y(0))
        return {
            "superior": Course.through(
                [(-27 * m, -36, join_z), (-28 * m, -32, 0), (-28 * m, -30, entry)], [8.5, 9, 10]
            ),
            "right_vein": Course.through(
                [(-27 * m, -36, join_z), (-31, -38, l1 + 24), (-38, -34, top - 8), (-34, -28, top + 90)],
                [8, 7.2, 6.5, 5],
            ),
            "left_vein": Course.through(
                [
                    (-27 * m, -36, join_z),
                    (-2, -44, l1 + 7),
                    (24, -40, l1 + 20),
                    (40, -34, top - 10),
                    (34, -28, top + 90),
                ],
                [7.5, 6.5, 6.5, 6.2, 5],
            ),
            "azygos": Course.through(
                [
                    (-27 * m, -26, 12),
                    (-20, 4, 14),
                    (-9, spine - 20, 0),
                    (-8, spine - 18, -60),
                    (-6, float(self.spine_y(-180)) - 20, -180),
                ],
                [4.2, 4, 3.6, 3.2, 2.6],
            ),
        }

    def arm_vein(self, side: int) -> Course:
        """Subclavian and axillary vein of one side (-1 right, 1 left), from the arm to the brachiocephalic vein."""
        top, w = self.apex, 0.3 + 0.7 * self.spec.width
        inner = (38, -34, top - 8)
        points = [inner, (66 * w, -34, top - 10), (100 * w, -14, top - 4), self.arm[0] * (1, 0.3, 1), self.arm[1]]
        return Course.through(np.asarray(points) * (side, 1, 1), [6, 5.6, 5, 4.2, 3])

    @cached_property
    def pulmonary(self) -> dict[str, Course]:
        """Pulmonary trunk and its main branches (right-heart blood)."""
        m, h = self.mediastinal, self.spec.heart
        return {
            "trunk": Course.through(
                [(14 * m, -58, self.l3 - 4), (20 * m, -46, self.l3 / 2 - 4), (19 * m, -32, -14)], [13 * h, 13 * h, 12.5]
            ),
            "left": Course.through(
                [(19 * m, -32, -14), (30 * m, -14, -8), (40 * m, 2, -9), (45 * m, 12, -20), (46 * m, 15, -30)],
                [11, 10.5, 9, 7.5, 6],
            ),
            "right": Course.through(
                [(19 * m, -32, -14), (0, -23, -19), (-22 * m, -16, -21), (-37 * m, -9, -23), (-41 * m, -2, -33)],
                [11, 10.5, 9.5, 8, 6],
            ),
            "right_upper": Course.through([(-32 * m, -14, -20), (-44 * m, -16, -8)], [6.5, 5]),
        }

    @cached_property
    def pulmonary_veins(self) -> dict[str, Course]:
        """The four veins; their mouths lie around L3."""
        m, z = self.mediastinal, self.l3
        return {
            "right_upper": Course.through([(-14, 2, z), (-30 * m, -6, z + 3), (-41 * m, -13, z + 10)], [8, 6.5, 4.5]),
            "right_lower": Course.through([(-14, 4, z), (-32 * m, 12, z - 5), (-41 * m, 17, z - 9)], [8, 6.5, 4.5]),
            "left_upper": Course.through([(22, 0, z), (36 * m, -10, z + 4), (43 * m, -17, z + 11)], [8, 6.5, 4.5]),
            "left_lower": Course.through([(22, 4, z), (36 * m, 13, z - 3), (44 * m, 18, z - 6)], [8, 6.5, 4.5]),
        }

    def points_of(self, courses: dict[str, Course]):
        """Iterates over ``(points, radii)`` of some courses."""
        for course in courses.values():
            yield course.points, course.radii


def cage_depth(patient: Patient, p: Points, outward_mm: float = 0.0) -> np.ndarray:
    """Depth below the inner surface of the rib cage, moved outwards by ``outward_mm``."""
    table, heights = patient.cage_table, patient.cage_heights
    half_width = p.profile(heights, table["half_width"] + outward_mm)
    half_depth = p.profile(heights, table["half_depth"] + outward_mm)
    u = p.x / half_width
    v = (p.y - p.profile(heights, table["centre"])) / half_depth
    # The spine dents the cage from behind: the ribs swing back on both sides of it before they turn to the front.
    dent = np.exp(p.x * p.x * np.float32(-1 / (28 * patient.mediastinal) ** 2))
    v = v + dent * np.clip(v, 0, 1) * (np.float32(patient.dent_mm) / half_depth)
    # The back of the chest is fuller than its front.
    squareness = np.float32(patient.squareness) * (np.float32(0.45) + np.float32(0.5) * np.clip(v, 0, 0.8))
    uu, vv = np.minimum(u * u, 3.0), np.minimum(v * v, 3.0)
    size = (half_width * uu + half_depth * vv) / (uu + vv + np.float32(1e-4))
    return (1 - np.sqrt(np.maximum(uu + vv - squareness * uu * vv, 0))) * size
