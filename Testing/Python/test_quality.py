"""What the software remarks about a scan: the right findings, with the measured value, and none on a good scan."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from SScILDScoringLib.findings import Finding
from SScILDScoringLib.lungs import LungMask
from SScILDScoringLib.quality import inspect_coverage, inspect_scan
from SScILDScoringLib.reading import read_scan
from SScILDScoringLib.reading.kernels import kernel_class
from SScILDScoringLib.scan import CTScan, scan_from_array

SIZE = 512


def thorax(slices: int = 20, size: int = SIZE, blood: float = 40.0, noise: float = 12.0, sharp: bool = False):
    """HU int16 ``(slices, size, size)``: body, two lungs, a heart with aorta, vertebra, and the noise of a kernel."""
    y, x = np.mgrid[:size, :size] / size - 0.5

    def ellipse(cx, cy, rx, ry):
        return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1

    plane = np.full((size, size), -1000.0)
    plane[ellipse(0, 0, 0.45, 0.33)] = 45
    plane[ellipse(-0.22, 0, 0.17, 0.24) | ellipse(0.22, 0, 0.17, 0.24)] = -860
    plane[ellipse(0.03, -0.06, 0.1, 0.1)] = blood
    plane[ellipse(0, 0.2, 0.05, 0.05)] = 250
    rng = np.random.default_rng(0)
    result = np.empty((slices, size, size), np.int16)
    for k in range(slices):
        grain = rng.normal(0, 1, (size, size))
        if not sharp:  # a soft kernel makes neighbours alike
            for axis in (0, 1):
                grain = grain + 0.6 * (np.roll(grain, 1, axis) + np.roll(grain, -1, axis))
            grain /= grain.std()
        result[k] = np.rint(plane + noise * grain)
    return result


def scan_of(hu: np.ndarray, spacing=(0.7, 0.7, 1.25), **acquisition) -> CTScan:
    return scan_from_array(hu, np.diag([*spacing, 1.0]), acquisition=acquisition)


PLAIN = thorax()
KNOWN = {"kernel": "B70f", "manufacturer": "SIEMENS", "modality": "CT", "slice_thickness_mm": 1.25}


def codes(findings: list[Finding]) -> dict[str, Finding]:
    return {f.code: f for f in findings}


def test_a_thin_sharp_plain_512_scan_has_no_remark_but_its_kernel():
    assert list(codes(inspect_scan(scan_of(PLAIN, **KNOWN)))) == ["kernel_sharp"]


# ---- Hounsfield units --------------------------------------------------------------------------------------------


def test_another_modality_is_an_error():
    finding = codes(inspect_scan(scan_of(PLAIN, modality="MR")))["not_ct"]
    assert finding.severity == "error"
    assert "MR" in finding.message


def test_values_stored_with_an_offset_are_recognised():
    finding = codes(inspect_scan(scan_of(PLAIN + np.int16(1024))))["hu_implausible"]
    assert finding.severity == "error"
    assert "offset of 1024" in finding.message


@pytest.mark.parametrize(
    "values",
    [
        (PLAIN > -500).astype(np.int16),
        np.clip(PLAIN / 8 + 128, 0, 255).astype(np.int16),
        np.zeros_like(PLAIN),
        (PLAIN - np.int16(1024)),
        np.full_like(PLAIN, -1000),
        np.random.default_rng(0).integers(0, 1000, PLAIN.shape).astype(np.int16),
    ],
    ids=["label image", "8-bit picture", "all zero", "offset twice", "all air", "MR-like"],
)
def test_implausible_values_are_an_error_and_nothing_else_is_said_about_them(values):
    findings = inspect_scan(scan_of(values, slice_thickness_mm=5.0))
    assert [f.code for f in findings] == ["hu_implausible"]
    assert findings[0].severity == "error"


# ---- slices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distance", "thickness", "expected"),
    [
        (3.0, 3.0, None),
        (2.5, None, None),
        (5.0, 5.0, "5.0 mm thick and lie 5.0 mm apart"),
        (5.0, None, "5.0 mm apart"),
        (2.5, 5.0, "5.0 mm thick and lie 2.5 mm apart"),
    ],
)
def test_thick_slices(distance, thickness, expected):
    found = codes(inspect_scan(scan_of(PLAIN, (0.7, 0.7, distance), slice_thickness_mm=thickness)))
    if expected is None:
        assert "thick_slices" not in found
    else:
        assert expected in found["thick_slices"].message
        assert found["thick_slices"].severity == "warning"


def test_thin_slices_far_apart_are_sparse_not_thick():
    found = codes(inspect_scan(scan_of(PLAIN, (0.7, 0.7, 10.0), slice_thickness_mm=1.0)))
    assert "1 mm lie 10.0 mm apart" in found["sparse_slices"].message
    assert "off by 5 mm" in found["sparse_slices"].message
    assert "thick_slices" not in found


def test_what_reading_recorded_becomes_findings(tmp_path):
    import pydicom

    import dicom_writer as dw

    hu = thorax(20, 64)
    paths = dw.write_series(tmp_path, hu, skip=[7], PatientPosition="HFP", ContrastBolusAgent="Ultravist 300")
    again = pydicom.dcmread(paths[3])
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    again.save_as(tmp_path / "again")
    paths[0].write_bytes(paths[0].read_bytes()[:200])
    found = codes(inspect_scan(read_scan(tmp_path)))
    assert found["missing_slices"].severity == "warning"
    assert "1 of 19 slices are missing" in found["missing_slices"].message
    assert "at S 114 mm" in found["missing_slices"].message
    assert "largest gap is 4 mm" in found["missing_slices"].message
    assert found["duplicate_slices"].message.startswith("1 slices were present twice")
    assert "1 DICOM files in the folder are damaged" in found["unreadable_files"].message
    assert found["prone"].severity == "warning"
    assert "header names a contrast agent" in found["contrast_likely"].message
    assert "sharp kernel (B70f)" in found["kernel_sharp"].message
    assert "64x64 pixels" in found["in_plane_size"].message


# ---- pixels and orientation --------------------------------------------------------------------------------------


def test_other_sizes_and_pixels_that_are_not_square():
    found = codes(inspect_scan(scan_of(thorax(8, 256), (0.7, 0.9, 1.25))))
    assert "256x256 pixels" in found["in_plane_size"].message
    assert "0.700 x 0.900 mm" in found["pixels_not_square"].message


COS, SIN = np.cos(0.3), np.sin(0.3)


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([[1, 0, 0], [0, COS, 0], [0, -SIN, 1]], "tilted gantry (17 degrees)"),
        ([[1, 0, 0], [0, COS, SIN], [0, -SIN, COS]], "oblique to the patient's axis (17 degrees)"),
    ],
)
def test_tilted_and_oblique_slices(matrix, words):
    full = np.eye(4)
    full[:3, :3] = np.array(matrix) * [0.7, 0.7, 1.25]
    found = codes(inspect_scan(scan_from_array(PLAIN, full)))
    assert words in found["tilted"].message


def test_a_turn_of_two_degrees_is_not_worth_a_remark():
    c, s = np.cos(np.radians(2)), np.sin(np.radians(2))
    full = np.eye(4)
    full[:3, :3] = np.array([[1, 0, 0], [0, c, s], [0, -s, c]]) * [0.7, 0.7, 1.25]
    assert "tilted" not in codes(inspect_scan(scan_from_array(PLAIN, full)))


# ---- contrast, kernel, streaks, padding --------------------------------------------------------------------------


@pytest.mark.parametrize(("noise", "sharp"), [(12, False), (40, True)])
def test_contrast_is_seen_in_the_voxels(noise, sharp):
    enhanced = inspect_scan(scan_of(thorax(blood=260, noise=noise, sharp=sharp)))
    plain = inspect_scan(scan_of(thorax(blood=45, noise=noise, sharp=sharp)))
    assert "cm² of evenly bright blood" in codes(enhanced)["contrast_likely"].message
    assert "contrast_likely" not in codes(plain)


def test_a_header_that_says_none_is_checked_against_the_voxels():
    assert "contrast_likely" in codes(inspect_scan(scan_of(thorax(blood=260), contrast_agent="none")))
    assert "contrast_likely" not in codes(inspect_scan(scan_of(PLAIN, contrast_agent="none")))


def test_the_kernel_is_estimated_from_the_noise_when_the_header_is_silent():
    soft = codes(inspect_scan(scan_of(PLAIN)))
    assert "noise texture looks like that of a soft kernel" in soft["kernel_soft"].message
    sharp = codes(inspect_scan(scan_of(thorax(noise=40, sharp=True))))
    assert "noise texture looks like that of a sharp kernel" in sharp["kernel_sharp"].message
    unsure = codes(inspect_scan(scan_of(PLAIN, (1.5, 1.5, 1.25))))
    assert not {"kernel_soft", "kernel_sharp"} & set(unsure), "no estimate with large pixels"
    unknown = codes(inspect_scan(scan_of(PLAIN, kernel="XYZ")))
    assert not {"kernel_soft", "kernel_sharp"} & set(unknown), "no estimate against a name we do not know"


@pytest.mark.parametrize(
    ("kernel", "maker", "expected"),
    [
        ("B70f", "SIEMENS", "sharp"),
        ("B31f", "SIEMENS", "soft"),
        ("B40f", "SIEMENS", "soft"),
        ("I70f\\3", "SIEMENS", "sharp"),
        ("Br40d\\3", "Siemens Healthineers", "soft"),
        ("Bl57d\\3", "Siemens Healthineers", "sharp"),
        ("Qr36", "Siemens Healthineers", "soft"),
        ("STANDARD", "GE MEDICAL SYSTEMS", "soft"),
        ("LUNG", "GE MEDICAL SYSTEMS", "sharp"),
        ("BONEPLUS", "GE MEDICAL SYSTEMS", "sharp"),
        ("FC17", "TOSHIBA", "soft"),
        ("FC51", "TOSHIBA", "sharp"),
        ("FC86", "TOSHIBA", "sharp"),
        ("L", "Philips", "sharp"),
        ("B", "Philips", "soft"),
        ("YB", "Philips", "soft"),
        ("C", "Philips", None),
        ("L", "unknown", None),
        ("", "SIEMENS", None),
        (None, None, None),
    ],
)
def test_vendor_kernels(kernel, maker, expected):
    assert kernel_class(kernel, maker) == expected


def test_metal_is_reported_with_its_height():
    hu = PLAIN.copy()
    hu[4:7, 200:204, 300:304] = 3071
    finding = codes(inspect_scan(scan_of(hu)))["metal_streaks"]
    assert "up to 3071 HU" in finding.message
    assert "at S 5 to 8 mm" in finding.message
    assert finding.severity == "warning"


def test_padding_is_reported_with_its_value_and_does_not_count_as_implausible():
    hu = PLAIN.copy()
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    hu[:, x**2 + y**2 > 0.25] = -3024
    found = codes(inspect_scan(scan_of(hu)))
    assert "22 % of the image" in found["padding"].message
    assert "-3024 HU" in found["padding"].message
    assert "hu_implausible" not in found


def test_a_field_of_view_that_cuts_the_body():
    found = codes(inspect_scan(scan_of(np.ascontiguousarray(PLAIN[:, :, 60:]))))
    assert "(right side)" in found["body_cut"].message
    assert "body_cut" not in codes(inspect_scan(scan_of(PLAIN)))


def test_the_gravest_findings_come_first():
    hu = PLAIN.copy()
    hu[4:7, 200:204, 300:304] = 3071
    severities = [f.severity for f in inspect_scan(scan_of(hu, (0.7, 0.7, 5.0), lossy_compression=True))]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert {"warning", "info"} <= set(severities)


def test_inspection_of_120_slices_takes_less_than_a_second():
    scan = scan_of(np.concatenate([PLAIN] * 6))
    start = time.process_time()
    inspect_scan(scan)
    assert time.process_time() - start < 1


# ---- coverage ----------------------------------------------------------------------------------------------------


def lungs_of(slices: int, areas: dict[int, int]) -> LungMask:
    """A mask of 100x100 pixels (49 cm²) in every slice but those of ``areas``, which have that many pixels."""
    labels = np.zeros((slices, SIZE, SIZE), np.uint8)
    labels[:, 200:300, 100:200] = 1
    for k, area in areas.items():
        labels[k] = 0
        labels[k].reshape(-1)[100_000 : 100_000 + area] = 2
    return LungMask(labels, "given")


@pytest.mark.parametrize(
    ("areas", "expected"),
    [
        ({0: 0, 19: 0}, {}),
        ({0: 0}, {"apices_missing": "warning"}),
        ({19: 0}, {"bases_missing": "warning"}),
        ({0: 100, 19: 100}, {}),
        ({0: 600, 19: 0}, {"bases_missing": "info"}),
        ({0: 0, 19: 600}, {"apices_missing": "info"}),
    ],
)
def test_lungs_that_reach_the_outermost_slices(areas, expected):
    found = codes(inspect_coverage(scan_of(PLAIN), lungs_of(20, areas)))
    ends = {code: f.severity for code, f in found.items() if code.endswith("missing")}
    assert ends == expected
    for code, severity in expected.items():
        assert ("49 cm²" if severity == "warning" else "3 cm²") in found[code].message


def test_lungs_cut_by_the_field_of_view():
    mask = lungs_of(20, {0: 0, 19: 0})
    labels = mask.labels.copy()
    labels[5:15, 200:300, :150] = 1
    found = codes(inspect_coverage(scan_of(PLAIN), LungMask(labels, "given")))
    assert "(right side)" in found["lung_cut"].message


def test_lungs_with_little_air():
    mask = lungs_of(20, {0: 0, 19: 0})
    dense = PLAIN.copy()
    dense[mask.labels > 0] = -620
    assert "median -620 HU" in codes(inspect_coverage(scan_of(dense), mask))["dense_lungs"].message
    aerated = PLAIN.copy()
    aerated[mask.labels > 0] = -840
    assert "dense_lungs" not in codes(inspect_coverage(scan_of(aerated), mask))


def test_an_empty_mask_is_no_reason_to_fail():
    assert inspect_coverage(scan_of(PLAIN), LungMask(np.zeros(PLAIN.shape, np.uint8), "given")) == []


# ---- real scans, as their README describes them ------------------------------------------------------------------


@pytest.mark.real_ct
@pytest.mark.parametrize(
    ("name", "present", "absent"),
    [
        ("lidc0001.nii.gz", {"contrast_likely", "padding", "kernel_soft"}, {"thick_slices", "tilted", "in_plane_size"}),
        ("lidc0003.nii.gz", {"contrast_likely", "padding", "kernel_soft", "metal_streaks"}, {"thick_slices"}),
        ("lungdx_a0001_sharp.nii.gz", {"kernel_sharp", "thick_slices"}, {"contrast_likely", "padding", "kernel_soft"}),
        ("lungdx_a0001_soft.nii.gz", {"kernel_soft", "thick_slices"}, {"contrast_likely", "padding", "kernel_sharp"}),
        ("dicom_lungdx_a0002", {"kernel_soft", "thick_slices"}, {"contrast_likely", "padding", "metal_streaks"}),
    ],
)
def test_findings_of_real_scans(real_ct, name, present, absent):
    found = codes(inspect_scan(read_scan(real_ct / "volumes" / name)))
    assert present <= set(found)
    assert not absent & set(found)
    assert not [f for f in found.values() if f.severity == "error"]
    if "padding" in present:
        assert "-2048 HU" in found["padding"].message
    if name.startswith("lidc0003"):
        assert "5892 HU" in found["metal_streaks"].message


@pytest.mark.real_ct
def test_a_nodule_mask_is_no_ct(real_ct):
    found = inspect_scan(read_scan(real_ct / "volumes" / "lidc0001_nodules_readercount.nii.gz"))
    assert [f.code for f in found] == ["hu_implausible"]


def test_findings_do_not_name_the_patient():
    scan = replace(scan_of(PLAIN, (0.7, 0.7, 5.0)), identity={"PatientName": "Doe^Jane", "path": "/data/Jane"})
    assert all("Jane" not in f.message for f in inspect_scan(scan))
