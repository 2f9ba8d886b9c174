"""What is wrong with, or worth knowing about, an acquisition before its scores are trusted.

Every remark is a :class:`~SScILDScoringLib.findings.Finding` with the measured value in its sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .findings import Finding
from .image_statistics import (
    Values,
    cut_sides,
    dense_slices,
    enhanced_area_cm2,
    measure_noise,
    measure_values,
)
from .reading.kernels import kernel_class
from .scan import CTScan

if TYPE_CHECKING:
    from .lungs import LungMask

THICKEST_MM = 3.0
"""Goh scoring is defined on thin sections; thicker slices hide fine reticulation."""

EXPECTED_SIZE = 512
"""Pixels along each side of the slices that the published S-Net was trained on."""

MOST_TILT_DEGREES = 3.0

CUT_SHARE = 0.1
"""Lung in an outermost slice, as a share of the largest lung area, above which more than a tip is missing."""

_STREAK_GAP_MM = 20.0

_SOFT_CORRELATION, _SHARP_CORRELATION = 0.30, 0.20
"""Correlation of neighbouring pixels' noise: 0.32-0.51 with soft, 0.14 with sharp kernels of the scans at hand."""


def inspect_scan(scan: CTScan) -> list[Finding]:
    """Everything that header and voxels tell about the acquisition; the gravest remarks first.

    Looks at a sample of the slices: below a second for 512x512x120.
    """
    values = measure_values(scan)
    findings = [*_not_ct(scan, values)]
    if not findings:  # the remarks below assume Hounsfield units
        findings += [
            *_slices(scan),
            *_pixels(scan),
            *_orientation(scan),
            *_contrast(scan),
            *_kernel(scan),
            *_streaks(scan),
            *_padding(values),
            *_field_of_view(scan),
        ]
    findings += _header(scan)
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(findings, key=lambda f: order[f.severity])


def inspect_coverage(scan: CTScan, lungs: LungMask) -> list[Finding]:
    """Whether the lungs are in the scan from apex to base and side to side, and how much air they hold.

    Args:
        scan: the CT.
        lungs: its lung mask; ``lungs.labels`` uint8 ``(z, y, x)``, nonzero = lung.
    """
    labels = np.asarray(lungs.labels)
    pixel_cm2 = scan.spacing[0] * scan.spacing[1] / 100
    largest = max(np.count_nonzero(plane) for plane in labels) * pixel_cm2
    findings = []
    for code, k, end, name in (
        ("apices_missing", -1, "top", "apices"),
        ("bases_missing", 0, "lowest", "bases"),
    ):
        area = np.count_nonzero(labels[k]) * pixel_cm2
        if area > CUT_SHARE * largest:
            message = (
                f"The lung {name} are missing: the {end} slice of the scan still shows {area:.0f} cm² of lung. "
                "Levels near this end may be missing or misplaced."
            )
            findings.append(Finding(code, "warning", message))
        elif area >= 1.0:
            message = (
                f"The outermost tips of the lung {name} are not in the scan: its {end} slice still shows "
                f"{area:.0f} cm² of lung. The five levels are not affected."
            )
            findings.append(Finding(code, "info", message))
    sides = [
        side
        for side, face in (("right", labels[:, :, 0]), ("left", labels[:, :, -1]), ("front", labels[:, 0]))
        if np.count_nonzero(face.any(axis=1)) > 0.05 * scan.slice_count
    ]
    if sides:
        findings.append(
            Finding(
                "lung_cut",
                "warning",
                f"The field of view cuts through the lung ({' and '.join(sides)} side); "
                "scores hold for the visible part only.",
            )
        )
    findings += _aeration(scan, labels)
    return findings


def _aeration(scan: CTScan, labels: np.ndarray) -> Iterator[Finding]:
    step = max(1, scan.slice_count // 60)
    planes = range(0, scan.slice_count, step)
    sample = np.concatenate([scan.voxels[k][::2, ::2][labels[k][::2, ::2] > 0] for k in planes])
    if sample.size < 100:
        return
    median = float(np.median(sample))
    if median > -700:
        yield Finding(
            "dense_lungs",
            "warning",
            f"The lungs hold little air (median {median:.0f} HU; about -850 HU in full inspiration): expiration or "
            "extensive disease. Ground glass may be overrated when the patient did not breathe in.",
        )


def _not_ct(scan: CTScan, values: Values) -> Iterator[Finding]:
    modality = str(scan.acquisition.get("modality") or "CT").upper()
    if modality != "CT":
        yield Finding("not_ct", "error", f"This is no CT (modality {modality}); its scores mean nothing.")
        return
    if abs(values.darkest) < 150 and 700 < values.peak < 1400:
        yield Finding(
            "hu_implausible",
            "error",
            f"Air measures about {values.darkest:.0f} and soft tissue about {values.peak:.0f} instead of -1000 and 40 "
            "HU: the values seem to be stored with an offset of 1024. Export the scan again in Hounsfield units.",
        )
    elif values.darkest > -700 or values.soft_tissue < 0.02 or values.air < 0.005 or values.brightest < 50:
        yield Finding(
            "hu_implausible",
            "error",
            f"The values are no plausible Hounsfield units of a chest: the darkest 1 % reach {values.darkest:.0f} "
            f"(air is -1000), the brightest {values.brightest:.0f}, and {100 * values.soft_tissue:.0f} % look like "
            "soft tissue. It may be another modality, a label image or a rescaled picture.",
        )


def _slices(scan: CTScan) -> Iterator[Finding]:
    facts = scan.acquisition
    distance = scan.spacing[2]
    thickness = facts.get("slice_thickness_mm")
    if thickness and distance > max(1.5 * thickness, THICKEST_MM):
        yield Finding(
            "sparse_slices",
            "warning",
            f"Slices of {thickness:g} mm lie {distance:.1f} mm apart: what lies between is not seen, and a level may "
            f"be off by {distance / 2:.0f} mm.",
        )
    if (thick := max(thickness or 0.0, 0.0 if thickness else distance)) > THICKEST_MM + 0.01:
        known = f"thick and lie {distance:.1f} mm apart" if thickness else "apart"
        yield Finding(
            "thick_slices",
            "warning",
            f"The slices are {thick:.1f} mm {known}; Goh scoring is meant for slices of at most {THICKEST_MM:g} mm. "
            "Fine reticulation may be missed.",
        )
    missing = int(facts.get("missing_slices") or 0)
    where = _heights(facts.get("interpolated_at_mm"))
    if missing:
        yield Finding(
            "missing_slices",
            "warning",
            f"{missing} of {missing + int(facts.get('measured_slices') or 0)} slices are missing and were filled in "
            f"from their neighbours{where}; the largest gap is {facts.get('largest_gap_mm', 0):g} mm.",
        )
    if facts.get("uneven_slices"):
        yield Finding(
            "uneven_slices",
            "warning",
            f"The slices lie unevenly; {facts.get('interpolated_slices')} of {scan.slice_count} were interpolated onto "
            f"an even distance of {distance:.2f} mm.",
        )
    if facts.get("slice_shift_mm"):
        yield Finding(
            "shifted_slices",
            "warning",
            f"Some slices are shifted sideways by up to {facts['slice_shift_mm']} mm against the others.",
        )


def _heights(places: object) -> str:
    if not isinstance(places, (list, tuple)) or not places:
        return ""
    shown = ", ".join(f"{v:.0f}" for v in places[:5])
    return f" (at S {shown}{' and further' if len(places) > 5 else ''} mm)"


def _pixels(scan: CTScan) -> Iterator[Finding]:
    _, y, x = scan.shape
    if (x, y) != (EXPECTED_SIZE, EXPECTED_SIZE):
        yield Finding(
            "in_plane_size",
            "info",
            f"The slices have {x}x{y} pixels; the published networks were trained on {EXPECTED_SIZE}x{EXPECTED_SIZE}. "
            "They are resized for scoring.",
        )
    if abs(scan.spacing[0] / scan.spacing[1] - 1) > 0.02:
        yield Finding(
            "pixels_not_square",
            "warning",
            f"Pixels are not square ({scan.spacing[0]:.3f} x {scan.spacing[1]:.3f} mm), so that the networks see a "
            "distorted picture.",
        )


def _orientation(scan: CTScan) -> Iterator[Finding]:
    tilt = scan.tilt_degrees
    step, normal = scan.direction[:, 2], np.cross(scan.direction[:, 0], scan.direction[:, 1])
    shear = float(np.degrees(np.arccos(min(1.0, abs(step @ normal) / np.linalg.norm(normal)))))
    if max(tilt, shear) > MOST_TILT_DEGREES:
        kind = "with a tilted gantry" if shear > 1 else "oblique to the patient's axis"
        yield Finding(
            "tilted",
            "warning",
            f"The slices were taken {kind} ({max(tilt, shear):.0f} degrees): front and back of a slice lie at "
            "different heights, and the five levels hold for the middle of the image.",
        )
    turn = float(np.degrees(np.arctan2(scan.direction[1, 0], scan.direction[0, 0])))
    if abs(turn) > 10:
        yield Finding("rotated", "info", f"The image is turned within its plane by {abs(turn):.0f} degrees.")
    position = str(scan.acquisition.get("patient_position") or "").upper()
    if position.endswith("P") and position[:2] in ("HF", "FF"):
        yield Finding(
            "prone",
            "warning",
            "The patient lay prone: density that follows gravity appears in front, not in the back.",
        )
    elif position.endswith(("DL", "DR")):
        yield Finding("lateral_position", "warning", "The patient lay on the side; the lower lung is compressed.")
    if conflict := scan.acquisition.get("geometry_conflict_mm"):
        yield Finding(
            "geometry_conflict",
            "warning",
            f"The file gives two positions in space that differ by {conflict:g} mm (sform and qform); the sform was "
            "used. Scores do not depend on it, positions in millimetres do.",
        )


def _contrast(scan: CTScan) -> Iterator[Finding]:
    agent = str(scan.acquisition.get("contrast_agent") or "")
    if agent and agent != "none":
        yield Finding(
            "contrast_likely",
            "info",
            "The header names a contrast agent. Enhanced vessels may raise lung density a little; Goh scoring is "
            "meant for scans without contrast medium.",
        )
        return
    areas = enhanced_area_cm2(scan)
    enhanced = int((areas > 3).sum())
    if enhanced >= max(3, 0.2 * len(areas)):
        yield Finding(
            "contrast_likely",
            "info",
            f"Contrast medium is likely: up to {areas.max():.0f} cm² of evenly bright blood (over 120 HU) in heart and "
            "great vessels. Goh scoring is meant for scans without it.",
        )


def _kernel(scan: CTScan) -> Iterator[Finding]:
    name = str(scan.acquisition.get("kernel") or "")
    known = kernel_class(name, str(scan.acquisition.get("manufacturer") or ""))
    source = f"The scan was reconstructed with a {known} kernel ({name})"
    if name and known is None:
        return  # a name we do not know says more than an estimate
    if known is None:
        # With much smaller or larger pixels the correlation tells about the pixels, not about the kernel.
        if not 0.45 <= min(scan.spacing[:2]) <= max(scan.spacing[:2]) <= 1.0:
            return
        noise = measure_noise(scan)
        if noise is None or noise.deviation < 3:
            return
        if noise.correlation >= _SOFT_CORRELATION:
            known = "soft"
        elif noise.correlation <= _SHARP_CORRELATION and noise.deviation >= 20:
            known = "sharp"
        else:
            return
        source = (
            f"The noise texture looks like that of a {known} kernel ({noise.deviation:.0f} HU, correlation of "
            f"neighbours {noise.correlation:.2f})"
        )
    if known == "soft":
        yield Finding("kernel_soft", "info", f"{source}; fine reticulation is less visible than with a lung kernel.")
    else:
        yield Finding("kernel_sharp", "info", f"{source}, as the published networks' training data were.")


def _streaks(scan: CTScan) -> Iterator[Finding]:
    slices, highest = dense_slices(scan)
    if not len(slices):
        return
    heights = np.sort([scan.mm_of_slice(k) for k in slices])
    groups = np.split(heights, np.flatnonzero(np.diff(heights) > _STREAK_GAP_MM) + 1)
    largest = sorted(sorted(groups, key=len, reverse=True)[:3], key=lambda g: g[0])
    ranges = [f"{g[0]:.0f}" if len(g) == 1 else f"{g[0]:.0f} to {g[-1]:.0f}" for g in largest]
    yield Finding(
        "metal_streaks",
        "warning",
        f"Metal or very dense contrast medium (up to {highest} HU) at S {', '.join(ranges)} mm: streaks from it can "
        "look like lines or haze in the lung.",
    )


def _padding(values: Values) -> Iterator[Finding]:
    if values.padding is not None:
        yield Finding(
            "padding",
            "info",
            f"The scanner filled {100 * values.padding_share:.0f} % of the image outside its field of view with "
            f"{values.padding} HU; this does not affect the lungs.",
        )


def _field_of_view(scan: CTScan) -> Iterator[Finding]:
    if sides := cut_sides(scan):
        yield Finding(
            "body_cut",
            "info",
            f"The field of view cuts off the body ({' and '.join(sides)} side); the lungs may still be complete.",
        )


def _header(scan: CTScan) -> Iterator[Finding]:
    facts = scan.acquisition
    if count := int(facts.get("duplicate_slices") or 0):
        yield Finding("duplicate_slices", "info", f"{count} slices were present twice; the first of each was used.")
    if count := int(facts.get("left_out_phases") or 0):
        yield Finding(
            "several_phases",
            "info",
            f"The series holds {count + 1} scans of the same place (phases or kernels); the most complete was used.",
        )
    if count := int(facts.get("left_out_images") or 0):
        yield Finding(
            "left_out_images",
            "info",
            f"{count} images of another size or orientation in the same series were left out.",
        )
    if count := int(facts.get("unreadable_files") or 0):
        yield Finding(
            "unreadable_files",
            "warning",
            f"{count} DICOM files in the folder are damaged and could not be assigned to a series; slices may be "
            "missing.",
        )
    if facts.get("lossy_compression"):
        yield Finding("lossy", "info", "The images were compressed with loss; fine detail may be missing.")
