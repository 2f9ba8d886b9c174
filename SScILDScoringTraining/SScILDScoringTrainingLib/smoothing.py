"""Gaussian smoothing and other weighted sums of neighbouring rows, in float32.

Written as products with sparse matrices: each result row is made where it lies in the processor's cache, without
copies of the whole picture and without BLAS threads, which on a machine that is busy training cost more than they save.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse


def weighted_rows(rows: np.ndarray, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums of some rows of a picture, each with its weight.

    Args:
        rows: whole numbers ``(n, k)``: which rows of ``values`` each of the ``n`` result rows is made of.
        weights: ``(n, k)``.
        values: float32 ``(y, x)``.

    Returns:
        float32 ``(n, x)``.
    """
    count, terms = rows.shape
    ends = np.arange(0, count * terms + 1, terms, dtype=np.int32)
    entries = np.ravel(weights).astype(np.float32), np.ravel(rows).astype(np.int32), ends
    return sparse.csr_array(entries, shape=(count, len(values))) @ values


def smooth(image: np.ndarray, sigma_px: float, *, truncate: float, mode: str) -> np.ndarray:
    """``image (y, x)`` smoothed by a Gaussian, as ``scipy.ndimage.gaussian_filter`` does it; float32.

    Args:
        sigma_px: standard deviation in pixels.
        truncate: where the Gaussian is cut off, in standard deviations.
        mode: what continues the picture beyond its edges: ``reflect`` (c b a | a b c) or ``nearest`` (a a a | a b c).
    """
    radius = int(truncate * sigma_px + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    kernel /= kernel.sum()
    result = np.ascontiguousarray(image, np.float32)
    for _ in range(2):  # down the columns, then along the rows
        count = len(result)
        rows = np.pad(np.arange(count), radius, "symmetric" if mode == "reflect" else "edge")
        rows = np.lib.stride_tricks.sliding_window_view(rows, 2 * radius + 1)
        result = weighted_rows(rows, np.broadcast_to(kernel, rows.shape), result)
        result = np.ascontiguousarray(result.T)
    return result
