"""NIfTI-1 and NIfTI-2 files, read slice by slice.

Written here rather than left to ITK because ITK refuses sheared matrices (gantry tilt), needs a multiple of the
volume's memory for scaled files, and reports damage on stderr. Layout: https://nifti.nimh.nih.gov.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import ScanError
from ..progress import Progress, silent
from ..scan import CTScan, hounsfield_plane, scan_from_array

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_MILLIMETRES = {1: 1000.0, 3: 0.001}  # metres and micrometres; everything else counts as millimetres
_HIGHEST_GZIP_RATIO = 1032  # of the deflate format


@dataclass(frozen=True)
class NiftiHeader:
    """What this software needs of a NIfTI header.

    ``size`` is ``(i, j, k)``; ``dtype`` the stored type with byte order; HU = stored * ``slope`` + ``intercept``;
    ``sform`` and ``qform`` are 4x4 index-to-RAS matrices in millimetres, None where the file's code is 0.
    """

    size: tuple[int, int, int]
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float
    sform: np.ndarray | None
    qform: np.ndarray | None
    pair: bool

    @property
    def plane_bytes(self) -> int:
        """Bytes of one stored slice."""
        return self.size[0] * self.size[1] * self.dtype.itemsize


def is_nifti(start: bytes) -> bool:
    """Whether these first bytes (at least 352, uncompressed) are those of a NIfTI header."""
    return start[344:347] in (b"n+1", b"ni1") or start[4:7] in (b"n+2", b"ni2")


def read_nifti(path: Path, progress: Progress = silent) -> CTScan:
    """The CT in a NIfTI file: ``.nii``, ``.nii.gz``, or an ``.hdr``/``.img`` pair (give the ``.hdr``).

    The sform gives the geometry where its code is set (shear included), else the qform. A file with neither does not
    say how the patient lies in it and is refused.

    Raises:
        ScanError: damaged, truncated, not one volume of numbers, or without geometry.
    """
    try:
        with _opened(path) as stream:
            header = _read_header(stream)
            matrix, acquisition = _geometry(header)
            if header.pair:
                with _opened(_image_of_pair(path)) as data:
                    array = _read_voxels(data, header, _image_of_pair(path), progress)
            else:
                array = _read_voxels(stream, header, path, progress)
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error) as error:
        raise ScanError("The NIfTI file is damaged or was not copied completely; copy or export it again.") from error
    return scan_from_array(array, RAS_TO_LPS @ matrix, acquisition=acquisition, copy=False)


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if compressed else path.open("rb")


def _image_of_pair(path: Path) -> Path:
    name = path.name
    base = path.with_name(name[: name.lower().rindex(".hdr")]) if ".hdr" in name.lower() else path.with_suffix("")
    for ending in (".img", ".img.gz"):
        if (image := base.with_name(base.name + ending)).is_file():
            return image
    raise ScanError("The .img file that belongs to this .hdr file is missing; put both into one folder.")


def _read_header(stream: BinaryIO) -> NiftiHeader:
    raw = stream.read(540)
    if len(raw) < 348:
        raise EOFError
    for order in "<>":
        length = struct.unpack(order + "i", raw[:4])[0]
        if length == 348:
            return _header_1(raw, order)
        if length == 540 and len(raw) == 540:
            return _header_2(raw, order)
    raise ScanError("The file's NIfTI header is damaged; export the CT again.")


def _header_1(raw: bytes, order: str) -> NiftiHeader:
    def get(kind: str, offset: int):
        return struct.unpack_from(order + kind, raw, offset)

    return _header(
        order,
        get("8h", 40),
        get("h", 70)[0],
        get("8f", 76),
        get("f", 108)[0],
        get("2f", 112),
        raw[123],
        get("2h", 252),
        get("6f", 256),
        get("12f", 280),
        raw[344:347] == b"ni1",
    )


def _header_2(raw: bytes, order: str) -> NiftiHeader:
    def get(kind: str, offset: int):
        return struct.unpack_from(order + kind, raw, offset)

    return _header(
        order,
        get("8q", 16),
        get("h", 12)[0],
        get("8d", 104),
        get("q", 168)[0],
        get("2d", 176),
        get("i", 500)[0],
        get("2i", 344),
        get("6d", 352),
        get("12d", 400),
        raw[4:7] == b"ni2",
    )


def _header(order, dim, datatype, pixdim, offset, scaling, units, codes, quaternion, rows, pair) -> NiftiHeader:
    if not 1 <= dim[0] <= 7 or any(d < 0 for d in dim[1 : dim[0] + 1]) or not np.isfinite(offset) or offset < 0:
        raise ScanError("The file's NIfTI header is damaged; export the CT again.")
    if any(d == 0 for d in dim[1 : dim[0] + 1]):
        raise ScanError("The scan is empty: one of its dimensions has no voxels.")
    more = [d for d in dim[4 : dim[0] + 1] if d > 1]
    if more:
        raise ScanError(
            f"The file holds {int(np.prod(more))} volumes in more than three dimensions; export one CT volume alone."
        )
    if datatype not in _TYPES:
        raise ScanError(
            "The NIfTI file holds colours, complex or other values that are no Hounsfield units; export the CT again."
        )
    size = tuple(int(d) for d in (*dim[1 : min(dim[0], 3) + 1], 1, 1)[:3])
    slope, intercept = scaling
    if slope == 0 or not np.isfinite(slope):
        slope, intercept = 1.0, 0.0
    to_mm = np.diag([_MILLIMETRES.get(units & 7, 1.0)] * 3 + [1.0])
    sform = qform = None
    if codes[1] > 0:
        sform = to_mm @ np.vstack([np.reshape(rows, (3, 4)), [0, 0, 0, 1]])
    if codes[0] > 0:
        qform = to_mm @ _matrix_of_quaternion(quaternion[:3], quaternion[3:], pixdim)
    return NiftiHeader(
        size,
        np.dtype(order + _TYPES[datatype]),
        int(offset),
        float(slope),
        float(intercept) if np.isfinite(intercept) else 0.0,
        sform,
        qform,
        pair,
    )


def _matrix_of_quaternion(vector, offset, pixdim) -> np.ndarray:
    b, c, d = (float(v) for v in vector)
    length = b * b + c * c + d * d
    if not length < 1.01:  # no rotation at all; NaN as well
        return np.full((4, 4), np.nan)
    if length > 1:  # rounding of a half turn
        b, c, d = (v / np.sqrt(length) for v in (b, c, d))
    a = np.sqrt(max(0.0, 1 - min(length, 1.0)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    steps = np.abs(np.array(pixdim[1:4], float))
    if pixdim[0] < 0:
        steps[2] = -steps[2]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * steps
    matrix[:3, 3] = offset
    return matrix


def _geometry(header: NiftiHeader) -> tuple[np.ndarray, dict]:
    if header.sform is None and header.qform is None:
        raise ScanError(
            "The NIfTI file does not say how the patient lies in it (qform and sform codes are 0), so that left and "
            "right or head and feet could be confused; convert the scan again, or use the DICOM files."
        )
    if header.sform is None:
        return header.qform, {}
    if header.qform is None:
        return header.sform, {}
    x, y, z = (n - 1 for n in header.size)
    corners = np.array([[i, j, k, 1] for i in (0, x) for j in (0, y) for k in (0, z)], float).T
    with np.errstate(all="ignore"):  # a damaged qform beside a good sform
        apart = np.linalg.norm(((header.sform - header.qform) @ corners)[:3], axis=0).max()
    return header.sform, {"geometry_conflict_mm": round(float(apart), 2)} if apart > 1 else {}


def _read_voxels(stream: BinaryIO, header: NiftiHeader, path: Path, progress: Progress) -> np.ndarray:
    x, y, z = header.size
    needed = header.offset + header.plane_bytes * z
    limit = path.stat().st_size * (_HIGHEST_GZIP_RATIO if isinstance(stream, gzip.GzipFile) else 1)
    if needed > limit:
        raise EOFError
    stream.seek(header.offset)
    scaled = header.slope != 1.0 or header.intercept != 0.0
    result = np.empty((z, y, x), np.int16)
    buffer = bytearray(header.plane_bytes)
    stored = np.frombuffer(buffer, header.dtype).reshape(y, x)
    for k in range(z):
        if k % 16 == 0:
            progress("read", k / z, "Reading the scan")
        _fill(stream, buffer)
        plane = stored * header.slope + header.intercept if scaled else stored
        result[k] = hounsfield_plane(plane)
    while isinstance(stream, gzip.GzipFile) and stream.read(1 << 20):
        pass  # to its end, where the checksum of the compressed stream is verified
    return result


def _fill(stream: BinaryIO, buffer: bytearray) -> None:
    view = memoryview(buffer)
    while view:
        count = stream.readinto(view)
        if not count:
            raise EOFError
        view = view[count:]
