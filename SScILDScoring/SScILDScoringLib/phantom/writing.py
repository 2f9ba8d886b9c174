"""Phantoms as files: NIfTI, DICOM, masks, and the table of a cohort."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np

from ..errors import SettingsError
from ..files import write_text
from ..levels import Level
from ..progress import Progress, part_of, silent
from .nifti import write_volume
from .phantom import Phantom, make_phantom
from .spec import PhantomSpec

TABLE = "cohort.csv"
COLUMNS = (
    "case",
    "path",
    *(f"level_{n}_mm" for n in range(1, 6)),
    *(f"{pattern}_{n}" for n in range(1, 6) for pattern in ("tot", "gg", "ret")),
)


def write_nifti(phantom: Phantom, path: str | Path) -> Path:
    """Writes the CT as ``.nii`` or ``.nii.gz``. Raises SettingsError when the file cannot be written."""
    return write_volume(path, phantom.scan.voxels, phantom.scan.ras_from_index)


def write_masks(phantom: Phantom, stem: str | Path) -> list[Path]:
    """Writes ``<stem>_lungs.nii.gz`` (1 right, 2 left), ``<stem>_gg.nii.gz`` and ``<stem>_ret.nii.gz``."""
    stem, affine = Path(stem), phantom.scan.ras_from_index
    masks = {"lungs": phantom.labels, "gg": phantom.ground_glass, "ret": phantom.reticulation}
    return [write_volume(stem.with_name(f"{stem.name}_{n}.nii.gz"), m, affine) for n, m in masks.items()]


def write_dicom(phantom: Phantom, folder: str | Path, patient_id: str = "PHANTOM") -> Path:
    """Writes the CT as a DICOM series, one file a slice, into the new folder ``folder``.

    The folder appears when the series is complete. UIDs follow from the spec, so the same phantom gives the same
    series.

    Raises:
        SettingsError: the folder is there already, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise SettingsError(f"{folder} exists already; choose another folder for the DICOM series.")
    temporary = folder.with_name(f".part.{folder.name}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for k in range(phantom.scan.slice_count):
            _dicom_slice(phantom, k, patient_id).save_as(temporary / f"{k + 1:04d}.dcm", enforce_file_format=True)
        temporary.rename(folder)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _dicom_slice(phantom: Phantom, k: int, patient_id: str):
    """The data set of slice ``k``; slices are numbered from the head downwards, as scanners do."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    scan, spec = phantom.scan, phantom.spec
    entropy = [patient_id, repr(spec)]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[*entropy, f"slice {k}"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    d.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    d.Modality, d.Manufacturer, d.ManufacturerModelName = "CT", "SScILDScoring", "phantom"
    d.PatientName, d.PatientID, d.PatientPosition = "PHANTOM", patient_id, "HFS"
    d.PatientBirthDate = d.PatientSex = d.ReferringPhysicianName = d.AccessionNumber = ""
    d.StudyDate = d.SeriesDate = "20000101"
    d.StudyTime = d.SeriesTime = "000000"
    d.StudyInstanceUID = generate_uid(entropy_srcs=[*entropy, "study"])
    d.SeriesInstanceUID = generate_uid(entropy_srcs=[*entropy, "series"])
    d.FrameOfReferenceUID = generate_uid(entropy_srcs=[*entropy, "frame"])
    d.PositionReferenceIndicator = d.StudyID = ""
    d.SeriesNumber, d.AcquisitionNumber, d.InstanceNumber = 1, 1, scan.slice_count - k
    d.SeriesDescription = "synthetic chest CT (phantom)"
    d.BodyPartExamined = "CHEST"
    d.KVP = "120"
    d.ConvolutionKernel = "SOFT" if spec.kernel == "soft" else "SHARP"
    d.GantryDetectorTilt = f"{spec.tilt_deg:.4f}"
    if spec.contrast:
        d.ContrastBolusAgent = "PHANTOM"
    d.SliceThickness = _ds(scan.spacing[2])
    d.SpacingBetweenSlices = _ds(scan.spacing[2])
    d.PixelSpacing = [_ds(scan.spacing[1]), _ds(scan.spacing[0])]
    d.ImageOrientationPatient = [_ds(v) for v in (*scan.direction[:, 0], *scan.direction[:, 1])]
    position = (scan.lps_from_index @ (0, 0, k, 1))[:3]
    d.ImagePositionPatient = [_ds(v) for v in position]
    d.SliceLocation = _ds(position[2])
    plane = scan.axial_slice(k)
    d.Rows, d.Columns = plane.shape
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 1
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = "-1024", "1", "HU"
    d.WindowCenter, d.WindowWidth = ["-600", "40"], ["1500", "400"]
    if spec.padding_hu is not None:
        d.add_new(0x00280120, "SS", spec.padding_hu + 1024)
    d.PixelData = (plane.astype(np.int32) + 1024).astype("<i2").tobytes()
    return d


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters."""
    return f"{value:.10f}"[:16] if abs(value) < 1000 else f"{value:.8f}"[:16]


def write_cohort(
    folder: str | Path, count: int, seed: int, dicom: bool = False, progress: Progress = silent, **fixed
) -> Path:
    """Writes ``count`` random phantoms with masks, and their table ``cohort.csv``.

    Each case is ``<case>.nii.gz`` (or, with ``dicom``, a folder ``<case>`` with a DICOM series), ``<case>_lungs``,
    ``<case>_gg`` and ``<case>_ret.nii.gz``. A case enters the table when its files are complete; a run that was
    stopped goes on where it stopped when it is started again with the same seed.

    Args:
        seed: of the cohort; also part of the cases' names. The cases are the same for every ``count``.
        **fixed: fields of :class:`PhantomSpec` that are not left to chance.

    Returns:
        The table: ``case``, ``path`` (relative to the table), ``level_1_mm`` ... (RAS S), and the exact scores
        ``tot_1, gg_1, ret_1, ..., ret_5`` in percent with one decimal; empty where a level is not in the scan.

    Raises:
        SettingsError: the folder cannot be written, or holds another table.
        Cancelled: by ``progress``; no file is left half written.
    """
    folder = Path(folder)
    if count < 1:
        raise SettingsError("A cohort needs at least one phantom.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be made: {error.strerror or error}.") from error
    table = folder / TABLE
    rows = _read_rows(table)
    for number in range(count):
        case = f"phantom-{seed}-{number + 1:04d}"
        path = case if dicom else f"{case}.nii.gz"
        progress("phantom", number / count, f"Phantom {number + 1} of {count}")
        if case in rows and rows[case]["path"] == path and (folder / path).exists():
            continue
        spec = PhantomSpec.random(np.random.default_rng([seed, number]), **fixed)
        phantom = make_phantom(spec, part_of(progress, number / count, (number + 0.8) / count))
        write_masks(phantom, folder / case)
        if dicom:
            shutil.rmtree(folder / path, ignore_errors=True)
            write_dicom(phantom, folder / path, patient_id=case)
        else:
            write_nifti(phantom, folder / path)
        rows[case] = cohort_row(case, path, phantom)
        _write_rows(table, rows)
    progress("phantom", 1.0, f"{count} phantoms written")
    return table


def cohort_row(case: str, path: str, phantom: Phantom) -> dict[str, str]:
    """One line of the cohort table."""
    row = dict.fromkeys(COLUMNS, "")
    row |= {"case": case, "path": path}
    scan = phantom.scan
    for level in Level:
        mm = phantom.levels[level].mm
        row[f"level_{level:d}_mm"] = f"{mm:.2f}"
        k = round(scan.slice_position(mm))
        if 0 <= k < scan.slice_count:
            scores = phantom.scores(scan.slice_at(mm))
            row |= {f"{name}_{level:d}": f"{v:.1f}" for name, v in zip(("tot", "gg", "ret"), scores, strict=True)}
    return row


def _read_rows(table: Path) -> dict[str, dict[str, str]]:
    if not table.exists():
        return {}
    with table.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise SettingsError(f"{table} is not a table of phantoms; choose another folder.")
        return {row["case"]: row for row in reader}


def _write_rows(table: Path, rows: dict[str, dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[case] for case in sorted(rows))
    write_text(table, text.getvalue())
