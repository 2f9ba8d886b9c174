"""The way in: whatever holds a chest CT becomes a :class:`~SScILDScoringLib.scan.CTScan`.

The kind of a file is told from its first bytes, never from its name.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import ScanError
from ..files import name_without_ending
from ..progress import Progress, silent
from ..scan import CTScan
from .itk_reading import read_meta_image, read_nrrd
from .nifti_reading import is_nifti, read_nifti

_ACCEPTED = "a DICOM folder or file, NIfTI, NRRD, MHA or MHD"


def read_scan(path: str | Path, *, series: str | None = None, progress: Progress | None = None) -> CTScan:
    """Reads a chest CT.

    Args:
        path: a folder with DICOM files (nested, several series: the best chest CT is taken), a multi-frame DICOM
            file, NIfTI (``.nii``, ``.nii.gz``), NRRD (``.nrrd``, ``.nhdr``) or MetaImage (``.mha``, ``.mhd``).
        series: Series Instance UID to take from a DICOM folder instead of the best one.
        progress: called with stage ``read``; raises Cancelled to stop.

    Raises:
        ScanError: nothing there, nothing readable, or nothing that can be scored.
        Cancelled: ``progress`` asked to stop.
    """
    path = Path(path)
    progress = progress or silent
    progress("read", 0.0, "Reading the scan")
    if not path.exists():
        raise ScanError(f"There is no file or folder {path.name!r} at the given place; check the path.")
    if not path.is_dir() and not path.is_file():
        raise ScanError(f"This is neither a file nor a folder; give {_ACCEPTED}.")
    try:
        if path.is_dir():
            from .dicom_reading import read_dicom

            scan = read_dicom(path, series, progress)
        else:
            scan = _read_file(path, series, progress)
    except PermissionError as error:
        raise ScanError("The scan may not be read: the permission is missing.") from error
    except OSError as error:
        raise ScanError(f"The scan cannot be read from its disk ({error.strerror or 'input error'}).") from error
    except MemoryError as error:
        raise ScanError("The scan does not fit into this computer's memory.") from error
    progress("read", 1.0, "Reading the scan")
    identity = {"path": str(path), "name": name_without_ending(path), **scan.identity}
    return replace(scan, identity=identity)


def _read_file(path: Path, series: str | None, progress: Progress) -> CTScan:
    start = _first_bytes(path)
    reader = _reader_of(start)
    if reader is not None:
        if series is not None:
            raise ScanError("A series can be chosen in a DICOM folder only; this is a single image file.")
        scan = reader(path, progress)
        return replace(scan, acquisition={"format": _NAMES[reader], **scan.acquisition})
    from .dicom_reading import read_dicom
    from .dicom_series import looks_like_dicom

    if looks_like_dicom(path):
        return read_dicom(path, series, progress)
    if path.stat().st_size == 0:
        raise ScanError("The file is empty; copy or export it again.")
    if start.startswith(b"PK\x03\x04"):
        raise ScanError("This is a ZIP archive; unpack it and give the folder.")
    raise ScanError(f"The file is none of the kinds that can be read; give {_ACCEPTED}.")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        start = stream.read(1024)
    if start[:2] != b"\x1f\x8b":
        return start
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read(1024)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ScanError("The compressed file is damaged or was not copied completely; copy it again.") from error


def _reader_of(start: bytes) -> Callable[[Path, Progress], CTScan] | None:
    if is_nifti(start):
        return read_nifti
    if start.startswith(b"NRRD000"):
        return read_nrrd
    if b"NDims" in start or start.startswith(b"ObjectType"):
        return read_meta_image
    return None


_NAMES = {read_nifti: "NIfTI", read_nrrd: "NRRD", read_meta_image: "MetaImage"}
