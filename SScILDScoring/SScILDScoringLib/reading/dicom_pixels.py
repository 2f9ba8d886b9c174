"""Pixels of DICOM images as Hounsfield units, one image at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import ScanError
from ..scan import hounsfield_plane
from .dicom_headers import Frame, lenient_pydicom
from .quiet import quiet_libraries

INSTALL_PLUGINS = "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"
"""What makes every compression found in CT archives readable (the ``dicom`` extra of this package)."""

_PIXEL_DATA = 0x7FE00010
_ITEM, _END_OF_ITEMS = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


def hounsfield_frames(frames: Sequence[Frame]) -> Iterator[np.ndarray]:
    """int16 HU ``(rows, columns)`` of each frame in turn; only one image is held in memory.

    Raises:
        ScanError: a file is damaged or truncated, or compressed in a way that nothing installed can read.
    """
    of_file: dict[Path, list[Frame]] = {}
    for frame in frames:
        of_file.setdefault(frame.path, []).append(frame)
    images: dict[Path, Iterator[np.ndarray]] = {}
    for frame in frames:
        if frame.path not in images:
            images[frame.path] = _images_of_file(of_file[frame.path])
        with lenient_pydicom():
            image = next(images[frame.path], None)
        if image is None:
            raise ScanError(_damaged(frame))
        if frame is of_file[frame.path][-1]:
            del images[frame.path]
        yield image


def to_hounsfield(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Stored values times ``slope`` plus ``intercept`` as int16."""
    if slope == 1.0 and float(intercept).is_integer():
        return hounsfield_plane(stored.astype(np.int64 if stored.dtype.itemsize > 2 else np.int32) + int(intercept))
    return hounsfield_plane(stored * float(slope) + float(intercept))


def _images_of_file(frames: list[Frame]) -> Iterator[np.ndarray]:
    """HU of the given frames of one file, in the given order."""
    first = frames[0]
    try:
        compressed = _is_compressed(first)
        if compressed:
            _check_fragments(first.path)
        if not compressed or _pydicom_reads(first.transfer_syntax):
            for frame, image in zip(frames, _stored_values(frames), strict=True):
                yield to_hounsfield(_checked(image, frame), frame.slope, frame.intercept)
        elif first.frames_in_file == 1:
            yield _checked(_read_by_gdcm(first), first)
        else:
            raise ScanError(_unreadable(first))
    except ScanError:
        raise
    except Exception as error:  # the decoders raise anything on damaged data
        raise ScanError(_damaged(first)) from error


def _stored_values(frames: list[Frame]) -> Iterator[np.ndarray]:
    from pydicom.pixels import iter_pixels, pixel_array

    path, syntax = frames[0].path, frames[0].transfer_syntax
    if frames[0].frames_in_file == 1:
        return iter([pixel_array(path, raw=True, transfer_syntax_uid=syntax)])
    return iter_pixels(path, indices=[f.number for f in frames], raw=True, transfer_syntax_uid=syntax)


def _read_by_gdcm(frame: Frame) -> np.ndarray:
    """One compressed image through SimpleITK's GDCM, which applies slope and intercept itself."""
    try:
        import SimpleITK as sitk

        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(frame.path))
        with quiet_libraries():
            image = reader.Execute()
    except (ImportError, RuntimeError) as error:
        raise ScanError(_unreadable(frame)) from error
    return hounsfield_plane(sitk.GetArrayFromImage(image).reshape(-1, frame.columns))


def _is_compressed(frame: Frame) -> bool:
    from pydicom.uid import UID

    syntax = UID(frame.transfer_syntax)
    return syntax.is_transfer_syntax and syntax.is_encapsulated


def _pydicom_reads(transfer_syntax: str) -> bool:
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    try:
        return get_decoder(UID(transfer_syntax)).is_available
    except NotImplementedError:
        return False


def _check_fragments(path: Path) -> None:
    """Walks through the pieces of compressed pixel data to their end mark: some decoders fill up what is missing.

    Raises:
        EOFError: the file ends before.
    """
    from pydicom import dcmread

    size = path.stat().st_size
    with path.open("rb") as stream:
        dcmread(stream, stop_before_pixels=True, force=True)
        tag, representation, _, length = struct.unpack("<I2s2sI", _exactly(stream, 12))
        if ((tag & 0xFFFF) << 16 | tag >> 16) != _PIXEL_DATA or representation[:1] != b"O" or length != 0xFFFFFFFF:
            raise EOFError
        while (piece := _exactly(stream, 8))[:4] == _ITEM:
            stream.seek(int.from_bytes(piece[4:], "little"), 1)
            if stream.tell() > size:
                raise EOFError
        if piece[:4] != _END_OF_ITEMS:
            raise EOFError


def _exactly(stream, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _checked(image: np.ndarray, frame: Frame) -> np.ndarray:
    if image.shape != (frame.rows, frame.columns):
        raise ScanError(_damaged(frame))
    return image


def _damaged(frame: Frame) -> str:
    which = f" (instance number {frame.instance})" if frame.instance else ""
    return f"A DICOM file{which} is damaged or was not copied completely; copy or export the series again."


def _unreadable(frame: Frame) -> str:
    from pydicom.uid import UID

    name = UID(frame.transfer_syntax).name
    return (
        f"The DICOM files are compressed ({name}) and nothing installed can read that; install the decoders with "
        f"`{INSTALL_PLUGINS}`, or export the series without compression."
    )
