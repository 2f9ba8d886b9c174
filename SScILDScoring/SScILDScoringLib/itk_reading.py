"""NRRD and MetaImage files, read by ITK."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .errors import ScanError
from .progress import Progress, silent
from .scan import CTScan, scan_from_array

DAMAGED = "The {kind} file is damaged or was not copied completely; copy or export it again."

_LOCK = threading.Lock()


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keeps what C and C++ libraries print to stderr (warnings, traces) from the user while the block runs.

    They write to the file descriptor, past Python, so that the descriptor itself is turned away. Python's own
    ``sys.stderr`` goes on where it is a terminal or file with that descriptor only after the block.
    """
    import SimpleITK as sitk

    with _LOCK:
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        try:
            saved = os.dup(2)
        except OSError:  # a window application without stderr
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device, not a path)
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def read_nrrd(path: Path, progress: Progress = silent) -> CTScan:
    """The CT in an NRRD file (``.nrrd``, ``.nhdr``). Raises ScanError as :func:`read_meta_image` does."""
    return _read(path, "NRRD", "NrrdImageIO", progress)


def read_meta_image(path: Path, progress: Progress = silent) -> CTScan:
    """The CT in a MetaImage file (``.mha``, ``.mhd``).

    Raises:
        ScanError: damaged, truncated, not one volume of numbers, or without geometry.
    """
    return _read(path, "MetaImage", "MetaImageIO", progress)


def _read(path: Path, kind: str, image_io: str, progress: Progress) -> CTScan:
    import SimpleITK as sitk

    progress("read", 0.0, "Reading the scan")
    reader = sitk.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    try:
        with quiet_libraries():
            reader.ReadImageInformation()
            _check(reader, kind)
            size = list(reader.GetSize())
            reader.SetExtractSize([*size[:3], *[0] * (len(size) - 3)])
            image = reader.Execute()
    except RuntimeError as error:
        raise ScanError(DAMAGED.format(kind=kind)) from error
    progress("read", 0.7, "Reading the scan")
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    scan = scan_from_array(sitk.GetArrayViewFromImage(image), matrix)
    progress("read", 1.0, "Reading the scan")
    return scan


def _check(reader, kind: str) -> None:
    size = reader.GetSize()
    if reader.GetNumberOfComponents() != 1:
        raise ScanError(
            f"The {kind} file holds {reader.GetNumberOfComponents()} values per voxel (colours, vectors or a series "
            "over time); export one CT volume alone."
        )
    if len(size) < 3:
        raise ScanError("The file holds one slice only; the five levels can be found in a whole volume only.")
    if any(n > 1 for n in size[3:]):
        raise ScanError(
            f"The file holds {int(np.prod(size[3:]))} volumes in more than three dimensions; export one CT volume "
            "alone."
        )
    if 0 in size:
        raise ScanError("The scan is empty: one of its dimensions has no voxels.")
