"""Growing a large texture without period from a small patch.

Two steps. *Quilting* (after Efros and Freeman, SIGGRAPH 2001): blocks cut at random from the patch and its eight
mirror images are laid side by side, each chosen to fit its neighbours and joined along the seam where both differ
least; this keeps structures such as lines. *Exchange of the slow part*: block means wander less than real tissue
and seams show as steps, so what varies over more than a block is replaced by noise of the patch's own spread.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

CANDIDATES = 40  # blocks tried for each place


def grow_texture(patch: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A texture like ``patch`` (HU, at least 16x16), float32 ``shape``, in which nothing repeats regularly."""
    patch = np.asarray(patch, np.float32)
    # A slope across the patch is anatomy, not texture: it would show as steps between the blocks.
    patch = patch - _plane(patch) + patch.mean()
    quilted = quilt(patch, shape, rng)
    block = max(min(patch.shape) // 2, 8)
    slow = ndimage.gaussian_filter(quilted, block, mode="reflect")
    fresh = ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), block, mode="reflect")
    spread = float(ndimage.gaussian_filter(patch, block / 2, mode="reflect").std())
    fresh *= spread / max(float(fresh.std()), 1e-6)
    return quilted - slow + float(patch.mean()) + fresh


def quilt(patch: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Image quilting of ``patch`` over ``shape``; block size varies from row to row so that seams form no grid."""
    variants = [np.rot90(v, turns) for v in (patch, patch[:, ::-1]) for turns in range(4)]
    shortest = min(patch.shape)
    height, width = shape
    result = np.zeros((height + shortest, width + shortest), np.float32)
    y, first_row = 0, True
    while y < height:
        size = int(rng.integers(max(shortest * 2 // 5, 8), max(shortest * 3 // 5, 9) + 1))
        overlap = max(size // 3, 3)
        x = -int(rng.integers(0, size)) if not first_row else 0
        start_y = 0 if first_row else y - overlap
        first_column = True
        while x < width:
            start_x = x if first_column else x - overlap
            left, right = max(start_x, 0), start_x + size
            if right <= 0:
                x = right
                continue
            target = result[start_y : start_y + size, left:right]
            known_top = 0 if first_row else overlap
            known_left = 0 if first_column else overlap
            block = _fitting_block(variants, target, known_top, known_left, rng)
            _lay(target, block, known_top, known_left)
            x, first_column = right, False
        y, first_row = start_y + size, False
    return result[:height, :width]


def _fitting_block(
    variants: list[np.ndarray], target: np.ndarray, known_top: int, known_left: int, rng: np.random.Generator
) -> np.ndarray:
    """Of some random blocks one whose overlap differs little from what lies there already."""
    height, width = target.shape
    blocks = []
    for _ in range(CANDIDATES):
        source = variants[int(rng.integers(len(variants)))]
        y = int(rng.integers(0, source.shape[0] - height + 1))
        x = int(rng.integers(0, source.shape[1] - width + 1))
        blocks.append(source[y : y + height, x : x + width])
    stack = np.stack(blocks)
    error = np.zeros(CANDIDATES)
    if known_top:
        error += ((stack[:, :known_top] - target[None, :known_top]) ** 2).sum(axis=(1, 2))
    if known_left:
        error += ((stack[:, known_top:, :known_left] - target[None, known_top:, :known_left]) ** 2).sum(axis=(1, 2))
    best = np.argsort(error)[:3]  # not always the very best, or the same block would follow itself
    return stack[int(best[int(rng.integers(len(best)))])]


def _lay(target: np.ndarray, block: np.ndarray, known_top: int, known_left: int) -> None:
    """Puts a block over the target, cut along the cheapest seams in the overlaps."""
    keep = np.zeros(target.shape, bool)  # of what was there
    if known_left:
        seam = _seam((block[:, :known_left] - target[:, :known_left]) ** 2)
        keep[:, :known_left] |= np.arange(known_left)[None, :] < seam[:, None]
    if known_top:
        seam = _seam(((block[:known_top] - target[:known_top]) ** 2).T)
        keep[:known_top] |= (np.arange(known_top)[None, :] < seam[:, None]).T
    np.copyto(target, block, where=~keep)


def _seam(cost: np.ndarray) -> np.ndarray:
    """For each row the column of the cheapest connected path from the first to the last row."""
    total = cost.astype(np.float64).copy()
    for row in range(1, len(total)):
        above = np.pad(total[row - 1], 1, constant_values=np.inf)
        total[row] += np.minimum(np.minimum(above[:-2], above[1:-1]), above[2:])
    path = np.empty(len(total), int)
    path[-1] = int(total[-1].argmin())
    for row in range(len(total) - 2, -1, -1):
        low = max(path[row + 1] - 1, 0)
        path[row] = low + int(total[row, low : path[row + 1] + 2].argmin())
    return path


def _plane(patch: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(patch.shape)
    terms = np.stack([np.ones(patch.size), rows.ravel(), columns.ravel()], axis=1)
    solution, *_ = np.linalg.lstsq(terms, patch.ravel(), rcond=None)
    return (terms @ solution).reshape(patch.shape).astype(np.float32)
