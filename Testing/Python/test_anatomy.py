"""Landmarks without a network, and the five levels estimated from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from SScILDScoringLib.anatomy import Landmarks, estimate_levels, find_landmarks
from SScILDScoringLib.levels import Level
from SScILDScoringLib.lungs import LungMask, segment_lungs
from SScILDScoringLib.lungs.airways import trace_airways
from SScILDScoringLib.lungs.coarse import coarse_scan
from SScILDScoringLib.phantom import PhantomSpec, make_phantom
from SScILDScoringLib.scan import CTScan, scan_from_array

SMALL = {"matrix": 160, "spacing": (2.3, 2.3, 3.0)}


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSpec(seed=31, **SMALL))


@pytest.fixture(scope="module")
def landmarks(phantom):
    return find_landmarks(phantom.scan, segment_lungs(phantom.scan))


def cut(scan: CTScan, start: int, stop: int) -> CTScan:
    """The slices from ``start`` to ``stop`` alone."""
    origin = np.asarray(scan.origin) + scan.direction[:, 2] * scan.spacing[2] * start
    return CTScan(np.ascontiguousarray(scan.voxels[start:stop]), tuple(origin), scan.spacing, scan.direction)


def test_carina_and_right_dome_are_where_the_phantom_has_them(phantom, landmarks):
    assert landmarks.notes == ()
    assert landmarks.carina_mm == pytest.approx(phantom.levels[2].mm, abs=4)
    assert landmarks.right_dome_mm == pytest.approx(phantom.levels[5].mm - 10, abs=5)
    dome_difference = phantom.spec.left_dome_mm
    assert landmarks.left_dome_mm == pytest.approx(phantom.levels[5].mm - 10 - dome_difference, abs=8)


def test_the_lungs_ends_are_the_masks_ends(phantom, landmarks):
    slices = np.flatnonzero(phantom.lungs.labels.any(axis=(1, 2)))
    low, high = (phantom.scan.mm_of_slice(int(k)) for k in (slices[0], slices[-1]))
    assert landmarks.lung_bottom_mm == pytest.approx(low, abs=7)
    assert landmarks.lung_top_mm == pytest.approx(high, abs=7)
    assert not landmarks.top_cut
    assert not landmarks.bottom_cut


def test_levels_from_anatomy_are_near_the_phantoms(phantom, landmarks):
    levels = estimate_levels(landmarks, phantom.scan)
    assert {p.source for p in levels} == {"anatomy"}
    assert levels.l4_follows
    for level, tolerance in zip(Level, (18, 4, 18, 12, 5), strict=True):
        assert levels[level].mm == pytest.approx(phantom.levels[level].mm, abs=tolerance), level


def test_level_2_is_the_carina_and_level_5_one_centimetre_above_the_dome(phantom, landmarks):
    levels = estimate_levels(landmarks, phantom.scan)
    assert levels[2].mm == pytest.approx(landmarks.carina_mm)
    assert levels[5].mm == pytest.approx(landmarks.right_dome_mm + 10)
    assert levels[4].mm == pytest.approx((levels[3].mm + levels[5].mm) / 2)


def test_how_the_file_was_stored_does_not_matter(phantom, landmarks):
    scan = phantom.scan
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    flip[1, 3], flip[2, 3] = scan.shape[1] - 1, scan.shape[0] - 1
    other = scan_from_array(scan.voxels[::-1, ::-1], scan.lps_from_index @ flip)
    found = find_landmarks(other, segment_lungs(other))
    assert found.carina_mm == pytest.approx(landmarks.carina_mm)
    assert found.right_dome_mm == pytest.approx(landmarks.right_dome_mm)


@pytest.mark.parametrize(
    "changes",
    [
        {"spacing": (2.3, 2.3, 8.0)},
        {"noise_hu": 60.0, "kernel": "sharp", "contrast": True},
        {"rotation_deg": (6.0, 4.0, 10.0), "arms": "down"},
    ],
    ids=["thick", "noise", "rotated"],
)
def test_thick_noisy_and_rotated_scans_are_no_harder(changes):
    phantom = make_phantom(PhantomSpec(seed=32, **{**SMALL, **changes}))
    found = find_landmarks(phantom.scan, segment_lungs(phantom.scan))
    slice_mm = phantom.scan.mm_per_slice
    assert found.carina_mm == pytest.approx(phantom.levels[2].mm, abs=max(6, slice_mm))
    assert found.right_dome_mm == pytest.approx(phantom.levels[5].mm - 10, abs=max(6, slice_mm))


def test_a_given_mask_needs_no_airways_of_its_own(phantom, landmarks):
    found = find_landmarks(phantom.scan, LungMask(phantom.lungs.labels, "given"))
    assert found.carina_mm == pytest.approx(landmarks.carina_mm)


# ---- when something is missing -----------------------------------------------------------------------------------


def test_a_scan_that_ends_above_the_diaphragm_has_no_dome_and_says_so(phantom):
    scan = phantom.scan
    start = scan.slice_at(phantom.levels[5].mm + 5)
    short = cut(scan, start, scan.slice_count)
    found = find_landmarks(short, segment_lungs(short))
    assert found.bottom_cut
    assert found.right_dome_mm is None
    assert any("right dome" in note for note in found.notes)
    levels = estimate_levels(found, short)
    assert levels[5].spread_mm >= 20
    levels.slice_indices(short)  # all inside the scan


def test_a_scan_that_starts_below_the_carina_has_no_carina_and_says_so(phantom):
    scan = phantom.scan
    short = cut(scan, 0, scan.slice_at(phantom.levels[2].mm - 12))
    found = find_landmarks(short, segment_lungs(short))
    assert found.carina_mm is None
    assert found.top_cut
    assert any("carina" in note for note in found.notes)
    levels = estimate_levels(found, short)
    assert levels[2].spread_mm >= 20
    levels.slice_indices(short)


@pytest.mark.parametrize("missing", [["carina_mm"], ["right_dome_mm"], ["carina_mm", "right_dome_mm", "left_dome_mm"]])
def test_levels_without_landmarks_stay_ordered_and_get_a_wide_spread(phantom, landmarks, missing):
    full = estimate_levels(landmarks, phantom.scan)
    levels = estimate_levels(replace(landmarks, **dict.fromkeys(missing)), phantom.scan)
    assert max(p.spread_mm for p in levels) > max(p.spread_mm for p in full)
    for level in Level:
        assert levels[level].mm == pytest.approx(full[level].mm, abs=45)


def test_levels_stay_inside_a_short_scan(phantom):
    """A scan of 40 mm, with landmarks that would put levels outside."""
    short = cut(phantom.scan, 40, 54)
    top = short.mm_of_slice(13)
    levels = estimate_levels(Landmarks(top, short.mm_of_slice(0), carina_mm=top - 5), short)
    assert len(set(levels.slice_indices(short))) == 5


# ---- real scans --------------------------------------------------------------------------------------------------

# Read by eye (README of the scans): canonical slices of carina and of the first slice above the right dome.
BY_EYE = {
    "lidc0001": (68.5, 44),
    "lidc0003": (78, 33),
    "lungdx_a0001_sharp": (37.5, 17),
    "lungdx_a0001_soft": (37.5, 17),
    "dicom_lungdx_a0002": (19.5, 12),
}


def read(folder, name):
    if name.startswith("dicom"):
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder / name)))
        image = reader.Execute()
    else:
        image = sitk.ReadImage(str(folder / f"{name}.nii.gz"))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return scan_from_array(sitk.GetArrayFromImage(image), matrix)


@pytest.mark.real_ct
@pytest.mark.parametrize("name", BY_EYE)
def test_carina_and_dome_of_real_patients_are_within_two_slices_of_the_eye(real_ct, name):
    scan = read(real_ct / "volumes", name)
    found = find_landmarks(scan, segment_lungs(scan))
    carina, dome = BY_EYE[name]
    assert scan.slice_position(found.carina_mm) == pytest.approx(carina, abs=2)
    assert scan.slice_position(found.right_dome_mm) + 0.5 == pytest.approx(dome, abs=2)


@pytest.mark.real_ct
def test_the_airway_does_not_leak_into_the_lung(real_ct):
    """Trachea and main bronchi of an adult hold some 20 to 90 ml down to the hila."""
    coarse = coarse_scan(read(real_ct / "volumes", "lidc0003"))
    assert 20 < np.count_nonzero(trace_airways(coarse).lumen) * coarse.voxel_ml < 90
