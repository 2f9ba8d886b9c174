"""A DICOM folder or file as a :class:`~SScILDScoringLib.scan.CTScan`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..progress import Progress, part_of, silent
from ..scan import CTScan, scan_from_array
from .dicom_headers import first_value, scan_folder
from .dicom_pixels import hounsfield_frames
from .dicom_series import SeriesInfo, choose_series
from .slice_grid import SliceGrid


def read_dicom(path: Path, series: str | None = None, progress: Progress = silent) -> CTScan:
    """The best chest CT series of a folder, the series with UID ``series``, or the one in a (multi-frame) file.

    Raises:
        ScanError: no series can be scored, or files are damaged.
        Cancelled: ``progress`` asked to stop.
    """
    folder = scan_folder(path, part_of(progress, 0.0, 0.3))
    info, why = choose_series(folder, series)
    array = _read_slices(info, part_of(progress, 0.3, 1.0))
    return scan_from_array(
        array,
        info.placement.lps_from_index,
        identity=_identity(info),
        acquisition=_acquisition(info, why, folder.damaged),
        copy=False,
    )


def _read_slices(info: SeriesInfo, progress: Progress) -> np.ndarray:
    frames, grid = info.stack.frames, info.placement.grid
    array = np.empty((grid.count, frames[0].rows, frames[0].columns), np.int16)
    images = hounsfield_frames(frames)
    number, current, following = 0, next(images), next(images)
    for k in range(grid.count):
        if k % 8 == 0:
            progress("read", k / grid.count, "Reading the DICOM slices")
        while number < grid.lower[k]:
            number, current, following = number + 1, following, next(images)
        array[k] = _between(current, following, float(grid.weight[k]))
    return array


def _between(lower: np.ndarray, upper: np.ndarray, weight: float) -> np.ndarray:
    if weight in (0.0, 1.0):
        return upper if weight else lower
    return np.rint(lower * np.float32(1 - weight) + upper * np.float32(weight))


def _acquisition(info: SeriesInfo, why: str, damaged: int) -> dict:
    header, stack, placement = info.series.header, info.stack, info.placement
    facts = {
        "format": "DICOM",
        "modality": info.modality or "CT",
        "series_choice": why,
        "series_number": _int(header.get("SeriesNumber")),
        "image_type": "\\".join(stack.frames[0].image_type),
        "body_part": _text(header.get("BodyPartExamined")),
        "kernel": info.kernel,
        "slice_thickness_mm": _float(first_value(header, "PixelMeasuresSequence", "SliceThickness")),
        "contrast_agent": _contrast(header),
        "kvp": _float(first_value(header, "CTXRayDetailsSequence", "KVP")),
        "manufacturer": _text(header.get("Manufacturer")),
        "model": _text(header.get("ManufacturerModelName")),
        "patient_position": _text(header.get("PatientPosition")),
        "gantry_tilt_degrees": _float(header.get("GantryDetectorTilt")),
        "lossy_compression": _text(header.get("LossyImageCompression")) == "01" or None,
        "measured_slices": len(stack.frames),
        "missing_slices": placement.grid.missing,
        "duplicate_slices": stack.duplicates,
        "left_out_phases": stack.phases,
        "left_out_images": stack.foreign,
        "unreadable_files": damaged,
    }
    grid = placement.grid
    if grid.missing or grid.uneven:
        facts["uneven_slices"] = grid.uneven
        facts["largest_gap_mm"] = round(grid.largest_gap, 2)
        facts["interpolated_slices"] = len(grid.interpolated)
        facts["interpolated_at_mm"] = _heights(grid, placement.lps_from_index)
    if placement.shift_mm > 1:
        facts["slice_shift_mm"] = round(placement.shift_mm, 1)
    return {key: value for key, value in facts.items() if value not in (None, "")}


def _heights(grid: SliceGrid, matrix: np.ndarray) -> list[float]:
    return [round(float(matrix[2, 3] + matrix[2, 2] * k), 1) for k in grid.interpolated[:50]]


def _identity(info: SeriesInfo) -> dict:
    header = info.series.header
    names = "PatientID PatientName StudyInstanceUID AccessionNumber StudyDate SeriesDate AcquisitionDate"
    identity = {name: _text(header.get(name)) for name in names.split()}
    identity["SeriesDescription"] = info.description  # free text: some sites type names into it
    identity["SeriesInstanceUID"] = info.uid
    identity["files"] = tuple(dict.fromkeys(str(f.path) for f in info.stack.frames))
    return {key: value for key, value in identity.items() if value}


def _contrast(header) -> str | None:
    """The contrast agent as the header names it; "none" where the header says there was none; None when silent."""
    if "ContrastBolusAgent" in header:
        text = _text(header.get("ContrastBolusAgent"))
        return "none" if text.lower() in ("", "none", "no", "n", "without") else text
    return "yes" if header.get("ContrastBolusAgentSequence") else None


def _text(value) -> str:
    return "" if value is None else str(value).strip()


def _float(value) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _int(value) -> int | None:
    number = _float(value)
    return None if number is None else int(number)
