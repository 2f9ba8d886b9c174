"""A small healthy slice for synthesis tests, made from the phantom's texture of healthy lung: quick, no file needed."""

from __future__ import annotations

from functools import cache

import numpy as np

from SScILDScoringLib.phantom.textures import healthy_texture
from SScILDScoringTrainingLib.synthesis import Background

SIZE = 256
MM = 1.3
AIRWAY = (128, 70)  # row, column of an airway with a wall; its lumen is 5 pixels wide
VESSEL_ROWS = (100, 102)  # a vessel across the left lung
VESSEL_COLUMNS = (165, 215)


def _ellipse(centre: tuple[float, float], semi_axes: tuple[float, float]) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return ((rows - centre[0]) / semi_axes[0]) ** 2 + ((columns - centre[1]) / semi_axes[1]) ** 2 <= 1


@cache
def healthy_background(name: str = "thorax") -> Background:
    """A body of soft tissue with two lungs, one airway and one plain vessel."""
    body = _ellipse((128, 128), (95, 120))
    lung = _ellipse((125, 75), (75, 45)) | _ellipse((125, 185), (75, 42))
    texture = healthy_texture((SIZE, SIZE), np.random.default_rng(3), MM, base_hu=-865.0, vessels=0.5)
    hu = np.where(body, 30.0, -1000.0)
    hu[lung] = texture[lung]
    hu[VESSEL_ROWS[0] : VESSEL_ROWS[1] + 1, VESSEL_COLUMNS[0] : VESSEL_COLUMNS[1]] = 40
    hu[_ellipse(AIRWAY, (4.5, 4.5))] = -300
    hu[_ellipse(AIRWAY, (2.6, 2.6))] = -990
    return Background(np.rint(hu).astype(np.int16), lung, body, (MM, MM), name, 0.3)


def lungless_background() -> Background:
    """A slice through the abdomen: body, no lung."""
    body = _ellipse((128, 128), (95, 120))
    hu = np.where(body, 30, -1000).astype(np.int16)
    return Background(hu, np.zeros_like(body), body, (MM, MM), "abdomen")
