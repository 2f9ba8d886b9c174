"""CTScan: voxels in one orientation, and conversions that agree with the file whatever its own axes are."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from SScILDScoringLib.errors import ScanError
from SScILDScoringLib.scan import LPS_TO_RAS, CTScan, FileAxes, as_hounsfield, scan_from_array

RNG = np.random.default_rng(0)
VOXELS = RNG.integers(-1024, 3000, (5, 6, 7)).astype(np.int16)
MATRIX = np.array([[0.7, 0, 0, -100], [0, 0.8, 0, -120], [0, 0, 2.5, 300], [0, 0, 0, 1.0]])

ARRANGEMENTS = list(product(permutations(range(3)), product((False, True), repeat=3)))


def arranged(voxels, matrix, order, reverse):
    """The same voxels and geometry as a file with permuted and reversed axes would hold them.

    New file axis b is canonical axis ``order[b]``, running backwards where ``reverse[b]``.
    """
    array = np.transpose(voxels, [2 - order[2 - n] for n in range(3)])
    array = array[tuple(slice(None, None, -1) if reverse[2 - n] else slice(None) for n in range(3))]
    change = np.zeros((4, 4))
    change[3, 3] = 1
    for b in range(3):
        size = voxels.shape[2 - order[b]]
        change[order[b], b] = -1 if reverse[b] else 1
        change[order[b], 3] = size - 1 if reverse[b] else 0
    return np.ascontiguousarray(array), matrix @ change


def rotation(axis: int, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    a, b = [n for n in range(3) if n != axis]
    matrix = np.eye(4)
    matrix[[a, a, b, b], [a, b, a, b]] = c, -s, s, c
    return matrix


SHEAR = np.array([[1, 0, 0, 0], [0, 1, 0.3, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
SPACES = {
    "straight": np.eye(4),
    "oblique": rotation(0, 20) @ rotation(2, -15),
    "gantry tilt": SHEAR,
}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
@pytest.mark.parametrize(("order", "reverse"), ARRANGEMENTS)
def test_all_48_arrangements_of_a_file_give_the_same_scan(order, reverse, space):
    array, matrix = arranged(VOXELS, space @ MATRIX, order, reverse)
    scan = scan_from_array(array, matrix)
    assert np.array_equal(scan.voxels, VOXELS)
    assert np.array_equal(scan_from_array(array.copy(), matrix, copy=False).voxels, VOXELS)
    assert np.allclose(scan.lps_from_index, space @ MATRIX)
    assert np.allclose(scan.ras_from_file_index, LPS_TO_RAS @ matrix), "Slicer's matrix of that file"
    assert np.array_equal(scan.to_file_order(scan.voxels), array)
    assert np.array_equal(scan.from_file_order(array), VOXELS)
    file_k = scan.file_slice(3)
    along = [slice(None)] * 3
    along[2 - scan.file_slice_axis] = file_k
    assert np.array_equal(np.sort(array[tuple(along)], axis=None), np.sort(scan.axial_slice(3), axis=None))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_millimetres_and_indices_convert_both_ways(space):
    scan = scan_from_array(VOXELS, space @ MATRIX)
    for _ in range(20):
        index = RNG.uniform(-1, 8, 3)
        ras = scan.ras_at(index)
        assert np.allclose(ras, (LPS_TO_RAS @ space @ MATRIX @ [*index, 1])[:3])
        assert np.allclose(scan.index_at(ras), index)
    for k in range(scan.slice_count):
        assert scan.slice_at(scan.mm_of_slice(k)) == k
        assert scan.slice_position(scan.mm_of_slice(k) + 0.4 * scan.mm_per_slice) == pytest.approx(k + 0.4)
        centre = scan.ras_at(((7 - 1) / 2, (6 - 1) / 2, k))
        assert scan.mm_of_slice(k) == pytest.approx(centre[2])
    assert scan.mm_per_slice > 0


def test_positions_outside_the_scan_are_refused_but_not_its_outermost_half_slice():
    scan = scan_from_array(VOXELS, MATRIX)
    assert scan.slice_at(300 - 1.2) == 0
    assert scan.slice_at(300 + 4 * 2.5 + 1.2) == 4
    for outside in (300 - 1.3, 300 + 4 * 2.5 + 1.3):
        with pytest.raises(ScanError, match=r"outside the scan, which reaches from 300\.0 to 310\.0 mm"):
            scan.slice_at(outside)
    with pytest.raises(ScanError, match="has no slice 5"):
        scan.axial_slice(5)
    with pytest.raises(ScanError, match="has no slice -1"):
        scan.file_slice(-1)


def test_tilt_is_the_angle_to_the_long_axis():
    assert scan_from_array(VOXELS, MATRIX).tilt_degrees == pytest.approx(0)
    assert scan_from_array(VOXELS, rotation(0, 12) @ MATRIX).tilt_degrees == pytest.approx(12)
    gantry = MATRIX.copy()
    gantry[1:3, 1] = 0.8 * np.cos(np.radians(15)), -0.8 * np.sin(np.radians(15))
    scan = scan_from_array(VOXELS, gantry)
    assert scan.tilt_degrees == pytest.approx(15)
    assert scan.spacing == pytest.approx((0.7, 0.8, 2.5))


def test_the_scan_cannot_be_changed():
    scan = scan_from_array(VOXELS, MATRIX)
    with pytest.raises(ValueError, match="read-only"):
        scan.voxels[0, 0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        scan.axial_slice(0)[0, 0] = 0


def test_the_scan_does_not_share_memory_with_an_array_that_others_may_change():
    array = VOXELS.copy()
    scan = scan_from_array(array, MATRIX)
    array[:] = 0
    assert np.array_equal(scan.voxels, VOXELS)
    own = VOXELS.copy()
    assert np.shares_memory(scan_from_array(own, MATRIX, copy=False).voxels, own)


def test_identity_is_not_printed():
    scan = scan_from_array(VOXELS, MATRIX, identity={"PatientName": "Jane"}, acquisition={"kvp": 120})
    assert "Jane" not in repr(scan)
    assert "kvp" in repr(scan)


@pytest.mark.parametrize("dtype", ["i1", "u1", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "?", ">i2", ">f4"])
def test_every_numeric_type_becomes_int16(dtype):
    values = np.array([[[0, 1], [1, 0]], [[1, 1], [0, 0]]]).astype(dtype)
    result = as_hounsfield(values)
    assert result.dtype == np.int16
    assert np.array_equal(result, values.astype(int))


def test_values_are_rounded_and_limited():
    values = np.array([[[-1e6, -40000.0, -0.6, 0.4, 0.6, 70000, 1e12]]])
    assert as_hounsfield(values).ravel().tolist() == [-32768, -32768, -1, 0, 1, 32767, 32767]
    assert as_hounsfield(np.array([[[2**63 + 5]]], np.uint64)).item() == 32767
    assert as_hounsfield(np.array([[[-(2**60), 2**60]]])).ravel().tolist() == [-32768, 32767]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(bad):
    array = VOXELS.astype(np.float32)
    array[3, 2, 1] = bad
    with pytest.raises(ScanError, match="not numbers"):
        scan_from_array(array, MATRIX)


@pytest.mark.parametrize(
    ("array", "matrix", "words"),
    [
        (VOXELS[0], MATRIX, "has three dimensions; this image has 2"),
        (VOXELS[None], MATRIX, "has three dimensions; this image has 4"),
        (VOXELS[:1], MATRIX, "one slice only"),
        (VOXELS[:, :1], MATRIX, "one slice only"),
        (VOXELS[:0], MATRIX, "is empty"),
        (VOXELS, MATRIX * np.nan, "geometry is not usable"),
        (VOXELS, np.diag([1.0, 1, 0, 1]), "geometry is not usable"),
        (VOXELS, np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "axes do not span space"),
        (VOXELS.astype(complex), MATRIX, "no Hounsfield units"),
    ],
)
def test_what_is_no_scan_is_refused_with_a_sentence(array, matrix, words):
    with pytest.raises(ScanError, match=words) as caught:
        scan_from_array(array, matrix)
    assert str(caught.value).endswith((".", "dimensions."))


def test_arrays_of_another_size_are_refused():
    scan = scan_from_array(VOXELS, MATRIX)
    with pytest.raises(ScanError, match="size"):
        scan.from_file_order(VOXELS[:2])
    with pytest.raises(ScanError, match="size"):
        scan.to_file_order(VOXELS[:, :2])


def test_a_scan_made_by_hand_has_the_files_axes_by_default():
    scan = CTScan(VOXELS, (0, 0, 0), (1, 1, 1))
    assert scan.file_axes == FileAxes((0, 1, 2), (False, False, False), (7, 6, 5))
    assert np.array_equal(scan.ras_from_file_index, scan.ras_from_index)
    assert scan == scan
    assert scan in {scan}
    with pytest.raises(ScanError, match="int16"):
        CTScan(VOXELS.astype(float), (0, 0, 0), (1, 1, 1))
    with pytest.raises(ScanError, match="spacing"):
        CTScan(VOXELS, (0, 0, 0), (1, -1, 1))
