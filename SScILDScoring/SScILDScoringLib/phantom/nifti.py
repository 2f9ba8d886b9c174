"""Writing NIfTI-1 files with their exact affine, sheared (gantry-tilted) volumes included."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from ..files import replacing

_CODES = {np.dtype(np.uint8): 2, np.dtype(np.int16): 4}
_HEADER = np.dtype(
    [
        ("sizeof_hdr", "<i4"), ("unused1", "V35"), ("dim_info", "u1"), ("dim", "<i2", 8), ("intent_p", "<f4", 3),
        ("intent_code", "<i2"), ("datatype", "<i2"), ("bitpix", "<i2"), ("slice_start", "<i2"), ("pixdim", "<f4", 8),
        ("vox_offset", "<f4"), ("scl_slope", "<f4"), ("scl_inter", "<f4"), ("slice_end", "<i2"), ("slice_code", "u1"),
        ("xyzt_units", "u1"), ("cal_max", "<f4"), ("cal_min", "<f4"), ("slice_duration", "<f4"), ("toffset", "<f4"),
        ("glmax", "<i4"), ("glmin", "<i4"), ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "<i2"),
        ("sform_code", "<i2"), ("quatern", "<f4", 3), ("qoffset", "<f4", 3), ("srow", "<f4", (3, 4)),
        ("intent_name", "S16"), ("magic", "S4"), ("extension", "V4"),
    ]
)  # fmt: skip


def write_volume(path: str | Path, voxels: np.ndarray, ras_from_index: np.ndarray) -> Path:
    """Writes ``voxels (z, y, x)`` (bool, uint8 or int16) as ``.nii`` or ``.nii.gz``.

    Args:
        ras_from_index: 4x4 affine from ``(i, j, k)`` to RAS millimetres. It goes into the sform; the qform is
            written too unless the axes are not perpendicular (gantry tilt), which a quaternion cannot say.

    Raises:
        SettingsError: the file cannot be written.
    """
    voxels = np.ascontiguousarray(voxels.astype(np.uint8) if voxels.dtype == bool else voxels)
    spacing = np.linalg.norm(ras_from_index[:3, :3], axis=0)
    header = np.zeros((), _HEADER)
    header["sizeof_hdr"], header["vox_offset"], header["magic"] = 348, 352, b"n+1\0"
    header["dim"] = (3, *voxels.shape[::-1], 1, 1, 1, 1)
    header["datatype"], header["bitpix"] = _CODES[voxels.dtype], voxels.dtype.itemsize * 8
    header["scl_slope"], header["xyzt_units"] = 1, 2
    header["descrip"] = b"SScILDScoring phantom"
    header["sform_code"], header["srow"] = 1, ras_from_index[:3]
    sign, quaternion = _quaternion(ras_from_index[:3, :3] / spacing)
    header["pixdim"] = (sign, *spacing, 0, 0, 0, 0)
    if quaternion is not None:
        header["qform_code"], header["quatern"], header["qoffset"] = 1, quaternion, ras_from_index[:3, 3]
    path = Path(path)
    with replacing(path) as temporary, temporary.open("wb") as raw:
        if path.name.endswith(".gz"):
            # No name and no time inside, so that the same phantom gives the same bytes.
            with gzip.GzipFile("", "wb", compresslevel=2, fileobj=raw, mtime=0) as packed:
                _write(packed, header, voxels)
        else:
            _write(raw, header, voxels)
    return path


def _write(stream, header: np.ndarray, voxels: np.ndarray) -> None:
    stream.write(header.tobytes())
    for plane in voxels:
        stream.write(plane.astype(plane.dtype.newbyteorder("<")).tobytes())


def _quaternion(rotation: np.ndarray) -> tuple[float, tuple[float, float, float] | None]:
    """NIfTI's qfac and the quaternion's b, c, d of three unit axes; None when they are not perpendicular."""
    if not np.allclose(rotation.T @ rotation, np.eye(3), atol=1e-5):
        return 1.0, None
    sign = 1.0 if np.linalg.det(rotation) > 0 else -1.0
    r = rotation * [1, 1, sign]
    # The quaternion is the eigenvector of the largest eigenvalue of this symmetric matrix (Bar-Itzhack 2000).
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], np.trace(r)],
        ]
    )
    q = np.linalg.eigh(k)[1][:, -1]
    q = q if q[3] >= 0 else -q
    return sign, (float(q[0]), float(q[1]), float(q[2]))
