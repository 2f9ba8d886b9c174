"""Pixels of DICOM images as Hounsfield units, one image at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .dicom_headers import Frame, lenient_pydicom
from .errors import ScanError
from .scan import hounsfield_plane

INSTALL_PLUGINS = "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"


def hounsfield_frames(frames: Sequence[Frame]) -> Iterator[np.ndarray]:
    """int16 HU ``(rows, columns)`` of each frame in turn; only one image is held in memory.

    Raises:
        ScanError: a file is damaged or truncated, or compressed in a way that nothing installed can read.
    """
    wanted: dict[Path, list[int]] = {}
    for frame in frames:
        wanted.setdefault(frame.path, []).append(frame.number)
    open_files: dict[Path, Iterator[np.ndarray]] = {}
    for frame in frames:
        if frame.path not in open_files:
            open_files[frame.path] = _stored_values(frame, wanted[frame.path])
        try:
            with lenient_pydicom():
                stored = next(open_files[frame.path])
        except StopIteration as error:
            raise ScanError(_damaged(frame)) from error
        if frame.frames_in_file == 1:
            del open_files[frame.path]
        yield to_hounsfield(stored, frame.slope, frame.intercept)


def to_hounsfield(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Stored values times ``slope`` plus ``intercept`` as int16."""
    if slope == 1.0 and float(intercept).is_integer():
        return hounsfield_plane(stored.astype(np.int64 if stored.dtype.itemsize > 2 else np.int32) + int(intercept))
    return hounsfield_plane(stored * slope + intercept)


def _stored_values(frame: Frame, numbers: list[int]) -> Iterator[np.ndarray]:
    from pydicom.pixels import iter_pixels, pixel_array

    shape = (frame.rows, frame.columns)
    try:
        if frame.frames_in_file == 1:
            images = iter([pixel_array(frame.path, raw=True)])
        else:
            images = iter_pixels(frame.path, indices=numbers, raw=True)
        for image in images:
            if image.shape != shape:
                raise ScanError(_damaged(frame))
            yield image
    except ScanError:
        raise
    except Exception as error:
        raise ScanError(_damaged(frame)) from error


def _damaged(frame: Frame) -> str:
    which = f" (instance number {frame.instance})" if frame.instance else ""
    return f"A DICOM file{which} is damaged or was not copied completely; copy or export the series again."
