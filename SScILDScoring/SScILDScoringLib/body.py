"""The inside of the body in one axial slice: table, mat, clothes and the air around the patient left out."""

from __future__ import annotations

import numpy as np

from .morphology import components, dilated, enlarged, opened, shrunk, without_holes

TISSUE_HU = -400
"""Above this a voxel is tissue rather than air, lung or foam."""

_WORKING_WIDTH = 200
"""The slice is shrunk by a whole factor to at least this many pixels a row: enough for the skin line, and fast."""

_SMALLEST_SHARE = 0.1
"""A piece of tissue smaller than this share of the largest one (arm, table rail) is not taken for the body."""


def body_mask(hu: np.ndarray) -> np.ndarray:
    """Inside of the body in one axial slice.

    Tissue is opened, which removes the thin shells of table and mat and the folds of clothes, the large pieces are
    kept, and what they enclose (lungs, airways, bowel gas) is filled. Lung that lies at the very border of a cropped
    image counts as inside. Arms lying apart from the trunk do not count.

    Args:
        hu: Hounsfield units, shape ``(y, x)``, any numeric type; scanner padding may be left in.

    Returns:
        bool ``(y, x)``; all false when the slice holds no body. Accurate to about one pixel of 1.5 mm along the skin.
    """
    hu = np.asarray(hu)
    height, width = hu.shape
    factor = max(1, min(height, width) // _WORKING_WIDTH)
    small = shrunk(hu, factor)
    tissue = small > TISSUE_HU
    if not tissue.any():
        return np.zeros(hu.shape, bool)
    radius = max(1, min(small.shape) // 85)
    trunk = _large_pieces(opened(tissue, radius))
    # Opening may have cut through a thin chest wall; tissue next to the trunk closes it again.
    inside = without_holes(trunk | (dilated(trunk, radius) & tissue))
    if not inside.any():
        return np.zeros(hu.shape, bool)
    cut = _lung_cut_by_the_border(small, inside, radius + 1)
    if cut.any():
        inside = without_holes(inside | cut)
    return enlarged(inside, factor, hu.shape)


def _large_pieces(mask: np.ndarray) -> np.ndarray:
    """The largest piece and every other of at least a tenth of it."""
    labels, counts = components(mask)
    if len(counts) < 2:
        return mask
    kept = counts >= _SMALLEST_SHARE * counts[1:].max()
    kept[0] = False
    return kept[labels]


def _lung_cut_by_the_border(small: np.ndarray, inside: np.ndarray, reach: int) -> np.ndarray:
    """Lung-like pixels that the image border opens to the outside, because the field of view crops the body.

    A wall thinner than ``reach`` pixels at the border may have been lost to opening. Such a pixel has body in at least
    three of the four directions along its row and column, and is denser than air.
    """
    above = np.maximum.accumulate(inside, axis=0)
    below = np.maximum.accumulate(inside[::-1], axis=0)[::-1]
    left = np.maximum.accumulate(inside, axis=1)
    right = np.maximum.accumulate(inside[:, ::-1], axis=1)[:, ::-1]
    enclosed = above.astype(np.uint8) + below + left + right
    lung_like = (enclosed >= 3) & ~inside & (small > -940) & (small < TISSUE_HU)
    if not lung_like.any():
        return lung_like
    pieces, counts = components(opened(lung_like, 2))  # not the thin gap between arm and trunk
    edges = (pieces[:reach], pieces[-reach:], pieces[:, :reach], pieces[:, -reach:])
    border = np.unique(np.concatenate([edge.ravel() for edge in edges]))
    kept = [n for n in border if n and counts[n] > 0.003 * small.size]
    return np.isin(pieces, kept)
