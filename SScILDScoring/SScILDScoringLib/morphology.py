"""Fast binary morphology of single slices: boolean arrays ``(y, x)``, distances in pixels."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def dilated(mask: np.ndarray, radius: int) -> np.ndarray:
    """``mask`` grown by about ``radius`` pixels (an octagon); nothing comes in over the image border."""
    for step in range(radius):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        source = grown.copy() if step % 3 == 0 else mask  # a square step, then two diamond steps
        grown[:, 1:] |= source[:, :-1]
        grown[:, :-1] |= source[:, 1:]
        mask = grown
    return mask


def eroded(mask: np.ndarray, radius: int) -> np.ndarray:
    """``mask`` shrunk by the octagon of :func:`dilated`; the image border does not eat into it."""
    return ~dilated(~mask, radius)


def opened(mask: np.ndarray, radius: int) -> np.ndarray:
    """``mask`` without what is thinner than about ``2 * radius`` pixels."""
    return dilated(eroded(mask, radius), radius)


def closed(mask: np.ndarray, radius: int) -> np.ndarray:
    """``mask`` with gaps and notches narrower than about ``2 * radius`` pixels filled, also at the image border."""
    if not mask.any() or radius < 1:
        return mask.copy()
    padded = np.pad(mask, radius)
    return ~dilated(~dilated(padded, radius), radius)[radius:-radius, radius:-radius]


def components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels (int, 0 is background) of the 4-connected pieces of ``mask``, and the pixel count of every label."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(mask).view(np.uint8))
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(image, False))
    return labels, np.bincount(labels.ravel())


def without_holes(mask: np.ndarray) -> np.ndarray:
    """``mask`` and every piece of background that does not reach the image border."""
    labels, counts = components(~mask)
    outside = np.zeros(len(counts), bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[edge] = True
    outside[0] = False
    return ~outside[labels]


def smoothed(image: np.ndarray) -> np.ndarray:
    """Mean over 3 x 3 pixels (edges repeated) as int16; ``image`` is int16 within -3000..3000."""
    wide = np.pad(image, 1, mode="edge")
    rows = wide[:-2].astype(np.int32) + wide[1:-1] + wide[2:]
    return ((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) // 9).astype(np.int16)


def box_sum(plane: np.ndarray) -> np.ndarray:
    """Sum over 5 x 5 pixels, int32; edges repeated."""
    wide = np.pad(plane, 2, mode="edge").astype(np.int32)
    rows = sum(wide[d : d + plane.shape[0]] for d in range(5))
    return sum(rows[:, d : d + plane.shape[1]] for d in range(5))


def shrunk(hu: np.ndarray, factor: int) -> np.ndarray:
    """Mean HU of ``factor`` x ``factor`` pixels as int16; pixels of an incomplete last row or column are left out.

    Values are limited to -1100..3000 first, so that neither padding nor metal weighs more than air or bone.
    """
    hu = np.clip(hu, -1100, 3000).astype(np.int32)
    if factor == 1:
        return hu.astype(np.int16)
    rows, columns = hu.shape[0] // factor, hu.shape[1] // factor
    total = np.zeros((rows, columns), np.int32)
    for y in range(factor):
        for x in range(factor):
            total += hu[y : rows * factor : factor, x : columns * factor : factor]
    return (total // (factor * factor)).astype(np.int16)


def enlarged(mask: np.ndarray, factor: int, shape: tuple[int, int]) -> np.ndarray:
    """An array on the grid of :func:`shrunk` repeated onto the full one of ``shape``."""
    grown = np.repeat(np.repeat(mask, factor, axis=0), factor, axis=1)
    missing = [(0, max(0, full - have)) for full, have in zip(shape, grown.shape, strict=True)]
    return np.pad(grown, missing, mode="edge") if any(m[1] for m in missing) else grown
