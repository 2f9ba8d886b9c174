"""Small synthetic DICOM series for the tests: every variant that real archives hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MR = "1.2.840.10008.5.1.4.1.1.4"


def chest_like(slices: int = 20, rows: int = 64, columns: int = 48, seed: int = 0) -> np.ndarray:
    """HU int16 ``(slices, rows, columns)``: two air-filled ellipses in soft tissue in air, with noise."""
    z, y, x = np.mgrid[:slices, :rows, :columns].astype(float)
    y, x = y / rows - 0.5, x / columns - 0.5
    hu = np.where((y / 0.4) ** 2 + (x / 0.45) ** 2 < 1, 40.0, -1000.0)
    hu[((y / 0.25) ** 2 + ((abs(x) - 0.2) / 0.15) ** 2) < 1] = -850
    hu += np.random.default_rng(seed).normal(0, 15, hu.shape) + z
    return np.clip(hu, -1024, 3000).round().astype(np.int16)


def header(**values) -> Dataset:
    """A dataset with a file meta group; ``values`` are DICOM keywords."""
    dataset = Dataset()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = values.get("SOPClassUID", CT)
    values.setdefault("SOPInstanceUID", generate_uid())
    meta.MediaStorageSOPInstanceUID = values["SOPInstanceUID"]
    dataset.file_meta = meta
    for name, value in values.items():
        if value is not None:
            setattr(dataset, name, value)
    return dataset


def common(series: str, **values) -> dict:
    """Keywords that every image of a series shares; the patient's details must never show up in messages."""
    return {
        "SOPClassUID": CT,
        "PatientName": "Doe^Jane",
        "PatientID": "SECRET-4711",
        "StudyInstanceUID": "1.2.826.0.1.1",
        "SeriesInstanceUID": series,
        "StudyDate": "20200131",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SeriesDescription": "Thorax 1.0 B70f",
        "BodyPartExamined": "CHEST",
        "Manufacturer": "SIEMENS",
        "ConvolutionKernel": "B70f",
        "SliceThickness": "1.0",
        "KVP": "120",
        "PatientPosition": "HFS",
        **values,
    }


def put_pixels(dataset: Dataset, stored: np.ndarray, bits: int = 16) -> None:
    """Stores unsigned or signed 16-bit pixels ``(rows, columns)`` or ``(frames, rows, columns)``."""
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 16
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.astype("<i2" if stored.dtype.kind == "i" else "<u2").tobytes()


def write_series(
    folder: Path,
    hu: np.ndarray,
    *,
    series: str = "1.2.826.0.1.1.1",
    origin: Iterable[float] = (-20.0, -30.0, 100.0),
    row: Iterable[float] = (1.0, 0.0, 0.0),
    column: Iterable[float] = (0.0, 1.0, 0.0),
    step: Iterable[float] = (0.0, 0.0, 2.0),
    pixel_spacing: tuple[float, float] = (0.8, 0.7),
    slope: float | Callable[[int], float] = 1.0,
    intercept: float | Callable[[int], float] = -1024.0,
    skip: Iterable[int] = (),
    name: Callable[[int], str] = "{:03d}.dcm".format,
    each: Callable[[int, Dataset], None] | None = None,
    compress: str | None = None,
    **values,
) -> list[Path]:
    """Writes ``hu (slices, rows, columns)`` slice by slice.

    Slice k lies at ``origin + k * step`` (LPS mm); ``row`` and ``column`` are the directions of growing column and
    row index; ``pixel_spacing`` is (between rows, between columns). ``each(k, dataset)`` may change a slice before it
    is written. Other keywords are DICOM keywords of all slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k, plane in enumerate(hu):
        if k in set(skip):
            continue
        m = slope(k) if callable(slope) else slope
        b = intercept(k) if callable(intercept) else intercept
        dataset = header(
            **common(series, **values),
            InstanceNumber=str(k + 1),
            ImagePositionPatient=[f"{v:.10g}" for v in np.array(origin, float) + k * np.array(step, float)],
            ImageOrientationPatient=[f"{v:.12g}" for v in (*row, *column)],
            PixelSpacing=[str(v) for v in pixel_spacing],
            RescaleSlope=str(m),
            RescaleIntercept=str(b),
        )
        put_pixels(dataset, np.rint((plane - b) / m).astype(np.uint16))
        if each is not None:
            each(k, dataset)
        if compress is not None:
            dataset.compress(compress, generate_instance_uid=False)
        paths.append(folder / name(k))
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def write_enhanced(path: Path, hu: np.ndarray, order: Iterable[int] | None = None, **values) -> Path:
    """An enhanced (multi-frame) CT of ``hu (slices, rows, columns)``, 2 mm apart, its frames stored in ``order``.

    Every frame has an intercept of its own.
    """
    order = list(order if order is not None else range(len(hu)))
    dataset = header(**common("1.2.826.0.1.1.9", SOPClassUID=ENHANCED_CT, **values))
    for name in ("ConvolutionKernel", "SliceThickness", "KVP"):
        delattr(dataset, name)
    intercepts = [-1024.0 - k for k in order]
    put_pixels(dataset, np.stack([hu[k] - b for k, b in zip(order, intercepts, strict=True)]).astype(np.uint16))
    dataset.NumberOfFrames = len(order)

    def item(**content) -> Dataset:
        inner = Dataset()
        for name, value in content.items():
            setattr(inner, name, value)
        return inner

    shared = Dataset()
    shared.PlaneOrientationSequence = Sequence([item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])
    shared.PixelMeasuresSequence = Sequence([item(PixelSpacing=[0.8, 0.7], SliceThickness=2.0)])
    shared.CTReconstructionSequence = Sequence([item(ConvolutionKernel="B70f")])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                PlanePositionSequence=Sequence([item(ImagePositionPatient=[-20.0, -30.0, 100.0 + 2 * k])]),
                PixelValueTransformationSequence=Sequence(
                    [item(RescaleSlope=1.0, RescaleIntercept=b, RescaleType="HU")]
                ),
            )
            for k, b in zip(order, intercepts, strict=True)
        ]
    )
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_picture(path: Path, series: str = "1.2.826.0.1.1.77", **values) -> Path:
    """A secondary capture: a colour picture of a screen."""
    dataset = header(**common(series, SOPClassUID=SECONDARY_CAPTURE, SeriesDescription="Dose Report", **values))
    dataset.Rows = dataset.Columns = 16
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = bytes(16 * 16 * 3)
    dataset.save_as(path, enforce_file_format=True)
    return path


def place_from_headers(path: Path, row: int, column: int) -> tuple[np.ndarray, float]:
    """RAS mm and HU of one pixel, straight from a single-frame file's header as PS3.3 C.7.6.2.1.1 defines them."""
    dataset = pydicom.dcmread(path)
    position = np.array(dataset.ImagePositionPatient, float)
    orientation = np.array(dataset.ImageOrientationPatient, float)
    between_rows, between_columns = (float(v) for v in dataset.PixelSpacing)
    lps = position + orientation[:3] * between_columns * column + orientation[3:] * between_rows * row
    value = float(dataset.pixel_array[row, column]) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return lps * [-1, -1, 1], value
