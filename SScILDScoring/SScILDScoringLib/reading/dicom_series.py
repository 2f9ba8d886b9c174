"""The series of a DICOM folder: which can be scored, which is the best chest CT, and why the others are not taken."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ScanError
from ..progress import Progress, silent
from .dicom_headers import DicomFolder, Series, first_value, looks_like_dicom, scan_folder
from .dicom_stack import Placement, Stack, build_stack, is_localiser, place
from .kernels import kernel_class

__all__ = ["SeriesInfo", "choose_series", "judge_series", "list_series", "looks_like_dicom"]

FEWEST_SLICES = 5
"""Fewer slices than levels cannot be scored; such a series is not taken by itself."""

_CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2",  # CT Image
    "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image
    "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT Image
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_PROJECTION = {
    "MIP", "MINIP", "MIN IP", "MAX_IP", "MIN_IP", "PROJECTION IMAGE", "VOLREN", "VRT", "SSD", "RENDERED", "3D",
    "VOLUME_RENDERED", "MAXIMUM", "MINIMUM",
}  # fmt: skip
_REFORMAT = {"MPR", "REFORMATTED", "CPR", "CURVED", "MPR_CURVED", "RESAMPLED"}
_PROJECTION_TEXT = re.compile(r"(?<![a-z])(mip|minip|vrt|volume rendering|3d)(?![a-z])", re.IGNORECASE)
_CHEST_TEXT = re.compile(r"chest|thora|lung|pulmo|hrct|lunge|poumon|pulmon|torace|longen", re.IGNORECASE)
_ELSEWHERE_TEXT = re.compile(r"head|brain|skull|neck|abdom|pelvis|spine|knee|extrem|kopf|sinus|cardiac", re.IGNORECASE)
_EXPIRATION_TEXT = re.compile(r"(?<![a-z])(exp|expi|expir\w*|exspir\w*)(?![a-z])", re.IGNORECASE)
_NO_IMAGE = {
    "SR": "a report (for example of the dose), not images",
    "KO": "a list of key images, not images",
    "PR": "a presentation state, not images",
    "SEG": "a segmentation, not a CT",
    "RTSTRUCT": "contours, not images",
    "DOC": "a document, not images",
}


@dataclass(frozen=True)
class SeriesInfo:
    """One series of a DICOM folder and what became of it.

    ``accepted`` tells whether it is taken without being asked for; ``choosable`` whether it can be read when its
    ``uid`` is given. ``reason`` is a phrase for people. ``slices`` counts distinct places, ``slice_distance_mm`` is
    their median distance. ``chosen`` marks the best series.
    """

    uid: str
    description: str
    modality: str
    kernel: str
    slices: int
    rows: int
    columns: int
    slice_distance_mm: float
    extent_mm: float
    accepted: bool
    choosable: bool
    reason: str
    points: float = 0.0
    chosen: bool = False
    series: Series | None = field(default=None, repr=False, compare=False)
    stack: Stack | None = field(default=None, repr=False, compare=False)
    placement: Placement | None = field(default=None, repr=False, compare=False)


def list_series(path: str | Path, progress: Progress | None = None) -> list[SeriesInfo]:
    """All series below ``path``, the best first, with the reason for which each is accepted or rejected.

    Raises:
        ScanError: there is no such folder.
    """
    path = Path(path)
    if not path.exists():
        raise ScanError(f"There is no file or folder {path.name!r} at the given place; check the path.")
    return judge_folder(scan_folder(path, progress or silent))


def judge_folder(folder: DicomFolder) -> list[SeriesInfo]:
    """:func:`list_series` of headers that have been read."""
    from dataclasses import replace

    infos = [judge_series(s) for s in folder.series.values()]
    infos.sort(key=lambda i: (not i.accepted, not i.choosable, -i.points, -i.slices, i.uid))
    if infos and infos[0].accepted:
        infos[0] = replace(infos[0], chosen=True)
    return infos


def judge_series(series: Series) -> SeriesInfo:
    """Whether a series is a chest CT that can be scored, and how good a one."""
    header = series.header
    modality = str(header.get("Modality") or "").strip().upper()
    description = str(header.get("SeriesDescription") or "").strip()
    kernel = kernel_name(header)
    images = [f for f in series.frames if not is_localiser(f)]
    stack = build_stack(images) if images else None
    placement = None
    hard = _hard_reason(series, modality, images, stack)
    if hard is None:
        try:
            placement = place(stack)
        except ScanError as error:
            hard = str(error)
    soft = None if hard else _soft_reason(stack, description)
    points, merits = (0.0, "") if hard else _rank(series, stack, description, kernel)
    return SeriesInfo(
        series.uid,
        description,
        modality,
        kernel,
        len(stack.frames) if stack else 0,
        stack.frames[0].rows if stack else 0,
        stack.frames[0].columns if stack else 0,
        round(stack.slice_distance_mm, 3) if stack else 0.0,
        round(stack.extent_mm, 1) if stack else 0.0,
        accepted=not hard and not soft,
        choosable=not hard,
        reason=hard or soft or merits,
        points=points,
        series=series,
        stack=stack,
        placement=placement,
    )


def choose_series(folder: DicomFolder, uid: str | None) -> tuple[SeriesInfo, str]:
    """The series to read and a sentence that says why.

    Raises:
        ScanError: none can be scored, or the one asked for is not there or cannot be.
    """
    infos = judge_folder(folder)
    if not infos:
        if folder.damaged:
            raise ScanError("The DICOM files are damaged or were not copied completely; copy or export them again.")
        raise ScanError(
            "No DICOM images were found here; give the folder that holds the CT series, or the image file itself."
        )
    if uid is not None:
        wanted = [i for i in infos if i.uid == uid.strip()]
        if not wanted:
            raise ScanError(f"No series with the given UID is here; there are {len(infos)} others.")
        if not wanted[0].choosable:
            raise ScanError(f"The chosen series cannot be scored: {_phrase(wanted[0].reason)}")
        return wanted[0], "The series was chosen by its UID."
    best = infos[0]
    if not best.accepted:
        if len(infos) == 1:
            raise ScanError(f"The DICOM series cannot be scored: {_phrase(best.reason)}")
        reasons = "; ".join(dict.fromkeys(i.reason.rstrip(".") for i in infos[:6]))
        raise ScanError(f"None of the {len(infos)} DICOM series can be scored: {reasons}.")
    if len(infos) == 1:
        return best, f"The only series: {best.reason}."
    accepted = sum(i.accepted for i in infos)
    others = f"{accepted - 1} other series could be scored too" if accepted > 1 else "no other series can be scored"
    return best, f"Best of {len(infos)} series: {best.reason}; {others}."


def _phrase(reason: str) -> str:
    return reason if reason.endswith(".") else reason + "."


def kernel_name(header) -> str:
    """Convolution Kernel, several values joined by a backslash; empty when not told."""
    value = first_value(header, "CTReconstructionSequence", "ConvolutionKernel")
    if value is None:
        return ""
    return str(value).strip() if isinstance(value, str) else "\\".join(str(v).strip() for v in value)


def _hard_reason(series: Series, modality: str, images: list, stack: Stack | None) -> str | None:
    header = series.header
    sop_class = str(header.get("SOPClassUID", ""))
    if modality in _NO_IMAGE:
        return _NO_IMAGE[modality]
    if sop_class.startswith(_SECONDARY_CAPTURE):
        return "a secondary capture (a picture of a screen or page), not a CT"
    if modality and modality != "CT":
        return f"not a CT (modality {modality})" if re.fullmatch(r"[A-Z]{2,10}", modality) else "not a CT"
    if sop_class not in _CT_CLASSES and modality != "CT":
        return "not a CT"
    if not series.frames:
        return "no images"
    if not images:
        return "a localiser (scout view), not slices"
    if header.get("SamplesPerPixel") not in (None, 1):
        return "colour pictures, not a CT"
    rescale = str(first_value(header, "PixelValueTransformationSequence", "RescaleType") or "HU").strip().upper()
    if rescale not in ("HU", "US", "UNSPECIFIED", "HOUNSFIELD", "HU_MOD", ""):
        return "values that are no Hounsfield units (a map of a material or substance)"
    if stack is None:
        return "the files do not say where their slices lie in the patient"
    if len(stack.frames) < 2:
        if len(images) > 1:
            return "all images show the same place (contrast timing)"
        return "one slice only; give the folder that holds the whole series"
    return None


def _soft_reason(stack: Stack, description: str) -> str | None:
    words = set(stack.frames[0].image_type)
    if words & _PROJECTION or _PROJECTION_TEXT.search(description):
        return "a projection or rendering (MIP and the like), not the scan itself"
    if abs(stack.normal[2]) < 0.7:
        return "a coronal or sagittal reformat, not axial slices"
    if words & _REFORMAT:
        return "reformatted from another series (MPR)"
    if len(stack.frames) < FEWEST_SLICES:
        return f"too few slices ({len(stack.frames)})"
    return None


def _rank(series: Series, stack: Stack, description: str, kernel: str) -> tuple[float, str]:
    """Points of a series and what speaks for it. Thin slices of the whole chest count most (Goh scoring is done on
    thin-section CT), then the sharp kernel of the published training data, then inspiration and supine position."""
    header = series.header
    text = " ".join(str(header.get(t) or "") for t in ("BodyPartExamined", "ProtocolName", "StudyDescription"))
    text = f"{description} {text}"
    points = 0.0
    merits = [f"{len(stack.frames)} slices, one every {stack.slice_distance_mm:.2g} mm, over {stack.extent_mm:.0f} mm"]
    points += min(stack.extent_mm, 250.0) / 10
    distance = stack.slice_distance_mm
    points += 20 if distance <= 1.5 else 15 if distance <= 3 else 5 if distance <= 5 else 0
    if _CHEST_TEXT.search(text):
        points += 15
        merits.append("described as chest")
    elif _ELSEWHERE_TEXT.search(text):
        points -= 25
    if kernel_class(kernel, str(header.get("Manufacturer") or "")) == "sharp":
        points += 5
        merits.append("sharp kernel")
    if "DERIVED" in stack.frames[0].image_type:
        points -= 8
    if _EXPIRATION_TEXT.search(description):
        points -= 20
        merits.append("in expiration")
    if str(header.get("PatientPosition") or "").upper().endswith("P"):
        points -= 10
        merits.append("prone")
    if (stack.frames[0].rows, stack.frames[0].columns) == (512, 512):
        points += 2
    return points, ", ".join(merits)
