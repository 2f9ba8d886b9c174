"""DICOM headers: which files of a folder are DICOM, and what each image in them is."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..progress import Progress, silent

_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "ImageType", "StudyDate", "SeriesDate", "AcquisitionDate", "PatientID", "PatientName", "AccessionNumber",
    "StudyDescription", "SeriesDescription", "SeriesNumber", "InstanceNumber", "AcquisitionNumber",
    "TemporalPositionIdentifier", "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated",
    "PhotometricInterpretation", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "RescaleType", "ConvolutionKernel", "Manufacturer",
    "ManufacturerModelName", "KVP", "ContrastBolusAgent", "ContrastBolusAgentSequence", "BodyPartExamined",
    "ProtocolName", "PatientPosition", "GantryDetectorTilt", "ReconstructionDiameter", "PixelPaddingValue",
    "PixelRepresentation", "LossyImageCompression", "BurnedInAnnotation", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "SpecificCharacterSet", "DirectoryRecordSequence", "FrameIncrementPointer",
]  # fmt: skip

_MOST_FRAMES = 100_000  # no scan has more; a damaged header may say billions


@dataclass(frozen=True)
class Frame:
    """One image: a single-frame file, or one frame of a multi-frame file.

    ``position`` (LPS mm of the first pixel's centre), ``orientation`` (unit vectors of a row, then of a column) and
    ``pixel_spacing`` (mm between rows, between columns) are None where the file does not have them or they are not
    usable. HU = stored value * ``slope`` + ``intercept``. ``phase`` tells images of the same place apart.
    """

    path: Path
    number: int
    frames_in_file: int
    rows: int
    columns: int
    position: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, float] | None
    slope: float
    intercept: float
    instance: int
    image_type: tuple[str, ...]
    phase: tuple
    sop_uid: str
    transfer_syntax: str


@dataclass
class Series:
    """The images of one Series Instance UID, and the header of the first file."""

    uid: str
    header: object = field(repr=False)
    frames: list[Frame] = field(default_factory=list, repr=False)


@dataclass
class DicomFolder:
    """What was found: series by UID, how many DICOM files have an unreadable header, how many files are no DICOM."""

    series: dict[str, Series] = field(default_factory=dict)
    damaged: int = 0
    others: int = 0


@contextlib.contextmanager
def lenient_pydicom() -> Iterator[None]:
    """Real archives break the standard in small ways; pydicom neither warns about nor refuses such values here."""
    import logging

    from pydicom import config

    logger = logging.getLogger("pydicom")
    settings, level = config.settings, logger.level
    mode = settings.reading_validation_mode
    settings.reading_validation_mode = config.IGNORE
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode = mode
        logger.setLevel(level)


def looks_like_dicom(path: Path) -> bool:
    """Whether the file starts like DICOM: with its preamble, or (older files) with an element of group 0002 or 0008."""
    with path.open("rb") as stream:
        start = stream.read(132)
    if start[128:132] == b"DICM":
        return True
    if len(start) < 132 or start[0:2] not in (b"\x02\x00", b"\x08\x00"):
        return False
    # Explicit value representation: two capital letters; implicit: a short length.
    return (start[4:6].isalpha() and start[4:6].isupper()) or int.from_bytes(start[4:8], "little") < 256


def scan_folder(path: Path, progress: Progress = silent) -> DicomFolder:
    """The headers of all DICOM files in a folder (and below) or of one file. Contents never choose a path."""
    files = [path] if path.is_file() else list(_regular_files(path))
    folder = DicomFolder()
    seen: set[tuple[str, int]] = set()
    with lenient_pydicom():
        for n, file in enumerate(files):
            if n % 16 == 0:
                progress("read", n / max(len(files), 1), "Looking through the DICOM files")
            _add_file(folder, file, seen)
    return folder


def _regular_files(path: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file():
                yield file


def _add_file(folder: DicomFolder, path: Path, seen: set) -> None:
    import pydicom

    if not looks_like_dicom(path):
        folder.others += 1
        return
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=True)
        sop_class = str(header.get("SOPClassUID", ""))
        if "DirectoryRecordSequence" in header or str(header.file_meta.get("MediaStorageSOPClassUID", "")).endswith(
            ".1.3.10"
        ):
            folder.others += 1
            return
        uid = str(header.get("SeriesInstanceUID", ""))
        if not uid or not sop_class:
            raise ValueError("incomplete")
        frames = list(_frames(header, path))
        if uid not in folder.series:
            _settle(header)
    except Exception:  # pydicom raises anything on damaged files
        folder.damaged += 1
        return
    series = folder.series.setdefault(uid, Series(uid, header))
    for frame in frames:
        key = (frame.sop_uid, frame.number)
        if not frame.sop_uid or key not in seen:
            seen.add(key)
            series.frames.append(frame)


def _settle(dataset) -> None:
    """Decodes all elements now (pydicom does it when they are first used) and drops those that cannot be."""
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            for item in element.value[:1] if element.VR == "SQ" else ():
                _settle(item)
        except Exception:  # pydicom raises anything on damaged elements
            del dataset[tag]


def _frames(header, path: Path) -> Iterator[Frame]:
    syntax = str(getattr(header.file_meta, "TransferSyntaxUID", ""))
    if not syntax:  # no file meta group: implicit or explicit little endian, as pydicom found it
        syntax = "1.2.840.10008.1.2" if header.original_encoding[0] else "1.2.840.10008.1.2.1"
    rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    if not rows or not columns:
        return
    count = int(header.get("NumberOfFrames") or 1)
    if count > _MOST_FRAMES:
        raise ValueError("damaged")
    shared = _first(header, "SharedFunctionalGroupsSequence")
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    for number in range(count):
        own = per_frame[number] if number < len(per_frame) else None

        def value(group: str, name: str, own=own):
            for source in (own, shared):
                item = _first(source, group)
                if item is not None and name in item:
                    return item.get(name)
            return header.get(name)

        position = _numbers(value("PlanePositionSequence", "ImagePositionPatient"), 3)
        orientation = _orientation(value("PlaneOrientationSequence", "ImageOrientationPatient"))
        if count > 1 and not per_frame:
            position = _classic_position(header, position, orientation, number)
        slope = value("PixelValueTransformationSequence", "RescaleSlope")
        intercept = value("PixelValueTransformationSequence", "RescaleIntercept")
        spacing = _numbers(value("PixelMeasuresSequence", "PixelSpacing"), 2)
        frame_type = value("CTImageFrameTypeSequence", "FrameType") or header.get("ImageType")
        yield Frame(
            path,
            number,
            count,
            rows,
            columns,
            position,
            orientation,
            spacing if spacing and min(spacing) > 0 else None,
            _number(slope, 1.0) or 1.0,
            _number(intercept, 0.0),
            int(_number(header.get("InstanceNumber"), 0)),
            _strings(frame_type),
            (
                str(header.get("AcquisitionNumber", "")),
                str(value("FrameContentSequence", "TemporalPositionIndex") or header.get("TemporalPositionIdentifier")),
                _strings(value("CTReconstructionSequence", "ConvolutionKernel")),
                str(value("FrameContentSequence", "StackID") or ""),
            ),
            str(header.get("SOPInstanceUID", "")),
            syntax,
        )


def _classic_position(header, position, orientation, number: int):
    """Multi-frame files without functional groups: evenly spaced only if the file says how far."""
    gap = _number(header.get("SpacingBetweenSlices"), 0.0)
    if position is None or orientation is None or gap == 0:
        return position if number == 0 else None
    normal = np.cross(orientation[:3], orientation[3:])
    return tuple(float(v) for v in np.array(position) + number * gap * normal)


def first_value(header, group: str, name: str):
    """A value of the header: at the top, or inside the shared or the first frame's functional group ``group``."""
    if header.get(name) is not None:
        return header.get(name)
    for source in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        item = _first(_first(header, source), group)
        if item is not None and item.get(name) is not None:
            return item.get(name)
    return None


def _first(dataset, name: str):
    sequence = dataset.get(name) if dataset is not None else None
    return sequence[0] if sequence else None


def _number(value, default: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return number if np.isfinite(number) else default


def _numbers(value, count: int) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _orientation(value) -> tuple[float, ...] | None:
    numbers = _numbers(value, 6)
    if numbers is None:
        return None
    row, column = np.array(numbers[:3]), np.array(numbers[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.5 or abs(row @ column) > 0.01:
        return None
    return tuple(float(v) for v in (*(row / lengths[0]), *(column / lengths[1])))


def _strings(value) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value.strip().upper(),)
    return tuple(str(v).strip().upper() for v in value)
