"""Quick measurements on a CT's voxels, from a sample of its slices: what :mod:`.quality` bases its remarks on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .scan import CTScan

LOWEST_REAL_HU = -1100
"""Nothing in a patient or scanner room measures less, noise included; lower values are padding."""

DENSE_HU = 2500
"""Denser than any bone: metal, or contrast medium straight from the injection."""

_BLOCK = 8  # pixels along each side of the squares in which noise is measured


@dataclass(frozen=True)
class Values:
    """The distribution of HU in a scan without its padding.

    ``darkest`` and ``brightest`` are the 1st and 99.9th percentile, ``soft_tissue`` the share of voxels between
    -200 and 200 HU, ``air`` the share below -800 HU, ``peak`` the most frequent HU well above
    the darkest (that of soft tissue in a CT).
    """

    darkest: float
    brightest: float
    soft_tissue: float
    air: float
    peak: float
    padding: int | None
    padding_share: float


@dataclass(frozen=True)
class Noise:
    """Noise of homogeneous soft tissue: standard deviation in HU and correlation of neighbouring pixels."""

    deviation: float
    correlation: float
    squares: int


def sampled_slices(scan: CTScan, count: int = 24) -> np.ndarray:
    """Indices of ``count`` slices spread evenly over the scan, its ends left out where there are enough."""
    z = scan.slice_count
    return np.unique(np.linspace(0.02 * (z - 1), 0.98 * (z - 1), min(count, z)).round().astype(int))


def measure_values(scan: CTScan) -> Values:
    """:class:`Values` of about 400,000 voxels."""
    step = max(1, min(scan.shape[1:]) // 128)
    sample = np.concatenate([scan.voxels[k, ::step, ::step].ravel() for k in sampled_slices(scan)])
    low = sample[sample < LOWEST_REAL_HU]
    padding, share = None, 0.0
    if low.size >= 0.001 * sample.size and low.size < 0.9 * sample.size:
        found, counts = np.unique(low, return_counts=True)
        # Padding is one value repeated; a badly scaled image has many different low values.
        if counts.max() > 0.9 * low.size:
            padding, share = int(found[counts.argmax()]), float(low.size / sample.size)
            sample = sample[sample >= LOWEST_REAL_HU]
    darkest, brightest = np.percentile(sample, [1, 99.9])
    denser = sample[sample >= darkest + 600]
    bins = np.bincount((np.clip(denser, -4096, 8191).astype(int) + 4096) // 16, minlength=1)
    return Values(
        float(darkest),
        float(brightest),
        float(np.mean((sample > -200) & (sample < 200))),
        float(np.mean(sample < -800)),
        float(bins.argmax() * 16 - 4096 + 8),
        padding,
        share,
    )


def dense_slices(scan: CTScan, fewest: int = 3) -> tuple[np.ndarray, int]:
    """Indices of the slices with at least ``fewest`` voxels above :data:`DENSE_HU`, and the highest HU there.

    At most about 250 slices are looked at.
    """
    step = max(1, scan.slice_count // 250)
    found, highest = [], 0
    for k in range(0, scan.slice_count, step):
        plane = scan.voxels[k]
        top = int(plane.max())
        if top > DENSE_HU and np.count_nonzero(plane > DENSE_HU) >= fewest:
            found.append(k)
            highest = max(highest, top)
    return np.array(found, int), highest


def enhanced_area_cm2(scan: CTScan) -> np.ndarray:
    """For sampled slices, the area of evenly bright tissue (120 to 600 HU) where heart and great vessels lie.

    Only the front 60 % of the body counts, which leaves out the vertebrae; the brightness must be even over about
    8 mm, which leaves out ribs and sternum. Blood without contrast medium measures about 40 HU.
    """
    x_mm, y_mm = scan.spacing[:2]
    size = max(1, round(2.8 / min(x_mm, y_mm)))
    areas = []
    for k in sampled_slices(scan):
        plane = scan.voxels[k]
        rows, columns = (n // size * size for n in plane.shape)
        means = plane[:rows, :columns].reshape(rows // size, size, columns // size, size).mean(axis=(1, 3))
        body = means > -300
        filled = np.flatnonzero(body.mean(axis=1) > 0.15)
        if len(filled) < 8:
            areas.append(0.0)
            continue
        front, back = filled[0], filled[0] + int(0.6 * (filled[-1] - filled[0]))
        zone = np.clip(means[front : back + 1], -1024, 3000)
        bright = (zone > 120) & (zone < 600)
        even = bright[1:-1, 1:-1].copy()
        centre = zone[1:-1, 1:-1]
        for dy in (0, 1, 2):
            for dx in (0, 1, 2):
                near = np.s_[dy : dy + even.shape[0], dx : dx + even.shape[1]]
                even &= bright[near] & (np.abs(zone[near] - centre) < 40)
        areas.append(float(even.sum()) * (size * size * x_mm * y_mm) / 100)
    return np.array(areas)


def measure_noise(scan: CTScan) -> Noise | None:
    """:class:`Noise` within slices, from small squares of even soft tissue; None where there is too little of it."""
    plane_of_square = _residual_projection()
    residuals = []
    for k in sampled_slices(scan, 12):
        plane = scan.voxels[k]
        rows, columns = (n // _BLOCK * _BLOCK for n in plane.shape)
        squares = plane[:rows, :columns].reshape(rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
        squares = squares.swapaxes(1, 2).reshape(-1, _BLOCK * _BLOCK)
        means = squares.mean(axis=1)
        squares = squares[(means > -20) & (means < 110)].astype(np.float32)
        residuals.append(squares @ plane_of_square)
    residual = np.concatenate(residuals)
    if len(residual) < 200:
        return None
    deviation = residual.std(axis=1)
    # The quieter half has no edges of organs in it.
    residual = residual[deviation <= np.percentile(deviation, 40)].reshape(-1, _BLOCK, _BLOCK)
    variance = float((residual**2).mean())
    if variance < 1:
        return None
    along_x = (residual[:, :, 1:] * residual[:, :, :-1]).mean()
    along_y = (residual[:, 1:] * residual[:, :-1]).mean()
    return Noise(variance**0.5, float(along_x + along_y) / 2 / variance, len(residual))


def cut_sides(scan: CTScan) -> tuple[str, ...]:
    """Sides of the field of view (``right``, ``left``, ``front``) that cut through the body in most slices.

    The back is left out because the table lies there.
    """
    share: dict[str, list[float]] = {"right": [], "left": [], "front": []}
    for k in sampled_slices(scan, 12):
        plane = scan.voxels[k]
        share["right"].append(float(np.mean(plane[:, 0] > -300)))
        share["left"].append(float(np.mean(plane[:, -1] > -300)))
        share["front"].append(float(np.mean(plane[0] > -300)))
    return tuple(side for side, values in share.items() if np.median(values) > 0.05)


def _residual_projection() -> np.ndarray:
    """Matrix that removes the best-fitting plane from a square's pixels."""
    y, x = np.mgrid[:_BLOCK, :_BLOCK] - (_BLOCK - 1) / 2
    basis = np.stack([np.ones(_BLOCK**2), x.ravel(), y.ravel()], axis=1)
    return (np.eye(_BLOCK**2) - basis @ np.linalg.pinv(basis)).astype(np.float32)
