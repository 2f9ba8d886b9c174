"""NRRD and MetaImage files, read by ITK."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from ..errors import ScanError
from ..progress import Progress, silent
from ..scan import CTScan, scan_from_array
from .quiet import quiet_libraries

_DATA_FILE = re.compile(r"^\s*(?:ElementDataFile\s*=|data\s?file:)[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)

_DAMAGED = "The {} file is damaged or was not copied completely; copy or export it again."

_META_TYPES = {f"MET_{u}{t}" for u in ("", "U") for t in ("CHAR", "SHORT", "INT", "LONG", "LONG_LONG")}
_META_TYPES |= {"MET_FLOAT", "MET_DOUBLE"}


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
    _check_data_files(path)
    if kind == "MetaImage" and not _is_sound_meta_header(path):
        raise ScanError(_DAMAGED.format(kind))
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
        raise ScanError(_DAMAGED.format(kind)) from error
    progress("read", 0.7, "Reading the scan")
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    # The view ends with this function; scan_from_array copies.
    return scan_from_array(sitk.GetArrayViewFromImage(image), matrix)


def _check(reader, kind: str) -> None:
    size = reader.GetSize()
    if 0 in size:
        raise ScanError("The scan is empty: one of its dimensions has no voxels.")
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
    # ITK turns the anatomical spaces of NRRD into LPS; any other says nothing about the patient.
    if kind == "NRRD" and not (
        reader.HasMetaDataKey("NRRD_space") and reader.GetMetaData("NRRD_space") == "left-posterior-superior"
    ):
        raise ScanError(
            "The NRRD file does not say how the patient lies in it (no anatomical `space`), so that left and right or "
            "head and feet could be confused; export it again, or use the DICOM files."
        )


def _check_data_files(path: Path) -> None:
    """A header may keep its voxels in other files, but only beside or below itself: contents choose no other place."""
    with path.open("rb") as stream:
        header = stream.read(1 << 16).decode("utf-8", "surrogateescape")
    if header.startswith("NRRD"):
        header = re.split(r"\r?\n\r?\n", header, maxsplit=1)[0]
    match = _DATA_FILE.search(header)
    if match is None or match.group(1).strip().upper() == "LOCAL":
        return
    first = match.group(1).strip()
    listed = first.upper().startswith("LIST")
    names = header[match.end() :].split("\n") if listed else [first]
    for name in (n.strip() for n in names):
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or PureWindowsPath(name).drive:
            raise ScanError("The header names a voxel file in another folder; put both files into one folder.")
        if "%" in name:  # the libraries hand such a name to printf
            raise ScanError("The header names a numbered set of voxel files; export the CT as one file.")
    if not listed and not (path.parent / first).is_file():
        raise ScanError("The file with the voxels that belongs to this header is missing; put both into one folder.")


def _is_sound_meta_header(path: Path) -> bool:
    """Whether a MetaImage header's numbers fit each other: ITK crashes on some that do not (NDims = -3)."""
    with path.open("rb") as stream:
        lines = stream.read(1 << 16).split(b"\n")
    fields: dict[str, list[str]] = {}
    for line in lines:
        key, equals, value = line.decode("utf-8", "replace").partition("=")
        if not equals:
            return False
        fields[key.strip()] = value.split()
        if key.strip() == "ElementDataFile":
            break
    else:
        return False
    try:
        (count,) = (int(v) for v in fields["NDims"])
        sizes = [int(v) for v in fields["DimSize"]]
        rows = {
            "Offset": 1,
            "Position": 1,
            "Origin": 1,
            "ElementSpacing": 1,
            "TransformMatrix": count,
            "Rotation": count,
        }
        numbers = {key: [float(v) for v in fields[key]] for key in rows if key in fields}
    except (KeyError, ValueError):
        return False
    return (
        2 <= count <= 6
        and len(sizes) == count
        and all(0 <= n < 1 << 20 for n in sizes)
        and all(len(values) == count * rows[key] for key, values in numbers.items())
        and bool(np.isfinite([v for values in numbers.values() for v in values]).all())
        and "".join(fields.get("ElementType", [])) in _META_TYPES
    )
