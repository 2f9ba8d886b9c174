"""Lung masks: what counts as lung, in a scan, in a slice, and when the user brings a mask."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from SScILDScoringLib.errors import Cancelled, ScanError, SettingsError
from SScILDScoringLib.lungs import LungMask, load_lung_mask, lungs_from_labels, segment_lungs, slice_lung_mask
from SScILDScoringLib.phantom import DiseaseSpec, PhantomSpec, make_phantom
from SScILDScoringLib.scan import CTScan, scan_from_array

SMALL = {"matrix": 160, "spacing": (2.3, 2.3, 3.0)}


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.fixture(scope="module")
def healthy():
    return make_phantom(PhantomSpec(seed=11, **SMALL))


@pytest.fixture(scope="module")
def ill():
    disease = DiseaseSpec(ground_glass=0.45, reticulation=0.4, distribution="basal", severity=0.7, overlap=0.5)
    return make_phantom(PhantomSpec(seed=12, disease=disease, **SMALL))


@pytest.fixture(scope="module")
def found(healthy):
    return segment_lungs(healthy.scan)


# ---- in three dimensions -----------------------------------------------------------------------------------------


def test_healthy_lungs_are_found_and_told_apart(healthy, found):
    truth = healthy.lungs.labels
    assert dice(found.labels > 0, truth > 0) >= 0.97
    for side in (1, 2):
        assert dice(found.labels == side, truth == side) >= 0.97


def test_severely_ill_lungs_are_found_whole(ill):
    truth = ill.lungs.labels > 0
    extent = np.count_nonzero((ill.ground_glass | ill.reticulation) & truth) / np.count_nonzero(truth)
    assert extent > 0.5, "the phantom is meant to be very ill"
    assert dice(segment_lungs(ill.scan).labels > 0, truth) >= 0.94


def test_trachea_table_and_outside_air_are_not_lung(healthy, found):
    scan, truth = healthy.scan, healthy.lungs.labels > 0
    empty = (scan.voxels < -960) & ~truth
    assert np.count_nonzero(found.labels[empty]) < 0.002 * np.count_nonzero(truth)


def test_the_mask_lies_on_the_scans_grid_and_cannot_be_changed(healthy, found):
    assert found.labels.shape == healthy.scan.shape
    assert found.labels.dtype == np.uint8
    assert found.mask(20).dtype == bool
    with pytest.raises(ValueError, match="read-only"):
        found.labels[0, 0, 0] = 1


def test_how_the_file_was_stored_does_not_matter(healthy, found):
    """Flipped and permuted copies of the same patient, read through the scan's own canonical orientation."""
    scan = healthy.scan
    array, matrix = scan.voxels, scan.lps_from_index
    flip = np.diag([-1.0, 1.0, -1.0, 1.0])
    flip[0, 3], flip[2, 3] = scan.shape[2] - 1, scan.shape[0] - 1
    flipped = scan_from_array(array[::-1, :, ::-1], matrix @ flip)
    permuted = scan_from_array(np.transpose(array, (2, 0, 1)), matrix[:, [1, 2, 0, 3]])
    for other in (flipped, permuted):
        assert np.array_equal(segment_lungs(other).labels, found.labels)


@pytest.mark.parametrize(
    "changes",
    [
        {"noise_hu": 60.0, "kernel": "sharp"},
        {"lung_hu": -690.0, "arms": "down"},
        {"spacing": (2.3, 2.3, 8.0), "contrast": True},
        {"oblique_deg": (12.0, 8.0, 10.0), "padding_hu": -2048},
    ],
    ids=["noise", "expiration", "thick", "oblique"],
)
def test_other_scanners_and_patients_are_no_harder(changes):
    phantom = make_phantom(PhantomSpec(seed=13, **{**SMALL, **changes}))
    assert dice(segment_lungs(phantom.scan).labels > 0, phantom.lungs.labels > 0) >= 0.96


def test_a_field_of_view_that_crops_the_body_is_no_harder(healthy):
    """Columns cut away until the outer border of the right lung is gone."""
    columns = np.flatnonzero((healthy.lungs.labels == 1).any(axis=(0, 1)))
    first = int(columns[0]) + 8
    scan = healthy.scan
    cropped = CTScan(np.ascontiguousarray(scan.voxels[:, :, first:]), scan.origin, scan.spacing, scan.direction)
    assert dice(segment_lungs(cropped).labels > 0, healthy.lungs.labels[:, :, first:] > 0) >= 0.96


def test_one_lung_alone_is_on_its_side(healthy):
    """After removal of the left lung its place is filled."""
    voxels = healthy.scan.voxels.copy()
    voxels[healthy.lungs.labels == 2] = 30
    scan = CTScan(voxels, healthy.scan.origin, healthy.scan.spacing, healthy.scan.direction)
    labels = segment_lungs(scan).labels
    assert dice(labels == 1, healthy.lungs.labels == 1) > 0.95
    assert np.count_nonzero(labels == 2) < 0.02 * np.count_nonzero(labels == 1)


def test_a_consolidation_at_the_pleura_belongs_to_the_lung(healthy):
    truth = healthy.lungs.labels == 1
    k = int(np.argmax(truth.sum(axis=(1, 2))))
    rows, columns = np.nonzero(truth[k])
    edge = (k, int(rows[columns == columns.min()].mean()), int(columns.min()))
    z, y, x = np.indices(truth.shape, sparse=True)
    distance = np.sqrt(((z - edge[0]) * 3.0) ** 2 + ((y - edge[1]) * 2.3) ** 2 + ((x - edge[2]) * 2.3) ** 2)
    mass = truth & (distance < 25)
    voxels = healthy.scan.voxels.copy()
    voxels[mass] = 45
    scan = CTScan(voxels, healthy.scan.origin, healthy.scan.spacing, healthy.scan.direction)
    labels = segment_lungs(scan).labels
    assert (labels[mass] == 1).mean() > 0.7
    assert dice(labels > 0, healthy.lungs.labels > 0) > 0.97


def test_without_lungs_there_is_an_error_that_says_so():
    voxels = np.full((40, 96, 96), -1000, np.int16)
    voxels[:, 20:80, 10:86] = 40
    with pytest.raises(ScanError, match="No lungs were found"):
        segment_lungs(CTScan(voxels, (0, 0, 0), (3, 3, 5)))


def test_an_unknown_method_is_refused(healthy):
    with pytest.raises(SettingsError, match="3d, published_2d"):
        segment_lungs(healthy.scan, method="magic")


def test_progress_is_told_and_can_cancel(healthy):
    told = []
    segment_lungs(healthy.scan, progress=lambda stage, fraction, message: told.append((stage, fraction)))
    fractions = [f for _, f in told]
    assert {s for s, _ in told} == {"lungs"}
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0

    def cancel(stage, fraction, message):
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        segment_lungs(healthy.scan, progress=cancel)


# ---- the published method, single slices ----------------------------------------------------------------------------


def test_the_published_steps_find_most_of_a_healthy_lung(healthy):
    mask = segment_lungs(healthy.scan, method="published_2d")
    assert mask.method == "published_2d"
    assert dice(mask.labels > 0, healthy.lungs.labels > 0) > 0.85
    truth = healthy.lungs.labels
    assert np.count_nonzero((mask.labels == 2) & (truth == 1)) < 0.02 * np.count_nonzero(truth == 1)


def test_a_single_slice_is_enough_for_a_mask(healthy):
    scan = healthy.scan
    for k in healthy.levels.slice_indices(scan)[1:]:
        mask = slice_lung_mask(scan.axial_slice(k), (scan.spacing[1], scan.spacing[0]))
        assert dice(mask, healthy.lungs.mask(k)) > 0.93


def test_a_slice_without_lung_has_an_empty_mask():
    assert not slice_lung_mask(np.full((128, 128), -1000, np.int16), (1.0, 1.0)).any()
    assert not slice_lung_mask(np.full((128, 128), 40, np.int16), (1.0, 1.0)).any()


# ---- masks brought along -------------------------------------------------------------------------------------------


def test_a_given_mask_keeps_its_two_sides(healthy):
    """Whatever the two values are, the one on the patient's right is the right lung."""
    truth = healthy.lungs.labels
    given = np.select([truth == 1, truth == 2], [20, 10], 0)
    assert np.array_equal(lungs_from_labels(healthy.scan, given).labels, truth)


def test_a_given_mask_of_one_value_is_parted(healthy):
    truth = healthy.lungs.labels
    mask = lungs_from_labels(healthy.scan, truth > 0)
    assert mask.method == "given"
    assert np.array_equal(mask.labels > 0, truth > 0)
    assert np.count_nonzero(mask.labels != truth) < 0.01 * np.count_nonzero(truth)


def test_a_given_mask_of_another_shape_or_without_lung_is_refused(healthy):
    with pytest.raises(ScanError, match="mask of this scan"):
        lungs_from_labels(healthy.scan, np.ones((3, 4, 5), np.uint8))
    with pytest.raises(ScanError, match="empty"):
        lungs_from_labels(healthy.scan, np.zeros(healthy.scan.shape, np.uint8))


def _written(mask: LungMask, scan: CTScan, path, flip=False, shift=0.0):
    array = mask.labels[::-1] if flip else mask.labels
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    direction = scan.direction.copy()
    origin = np.array(scan.origin)
    if flip:
        origin = origin + direction[:, 2] * scan.spacing[2] * (scan.shape[0] - 1)
        direction[:, 2] *= -1
    image.SetSpacing(scan.spacing)
    image.SetOrigin(tuple(origin + shift))
    image.SetDirection(direction.ravel())
    sitk.WriteImage(image, str(path))
    return image


@pytest.mark.parametrize("name", ["mask.nii.gz", "mask.nrrd"])
@pytest.mark.parametrize("flip", [False, True])
def test_a_mask_file_finds_its_place_through_its_coordinates(healthy, tmp_path, name, flip):
    _written(healthy.lungs, healthy.scan, tmp_path / name, flip)
    assert np.array_equal(load_lung_mask(tmp_path / name, healthy.scan).labels, healthy.lungs.labels)


def test_a_cropped_and_coarser_mask_file_is_resampled(healthy, tmp_path):
    image = _written(healthy.lungs, healthy.scan, tmp_path / "full.nrrd")
    sitk.WriteImage(image[10:150:2, 10:150:2, 5:-5:2], str(tmp_path / "small.nrrd"))
    mask = load_lung_mask(tmp_path / "small.nrrd", healthy.scan)
    inner = slice(8, -8)
    assert dice(mask.labels[inner] > 0, healthy.lungs.labels[inner] > 0) > 0.95


def test_a_mask_of_another_place_or_no_mask_at_all_is_refused(healthy, tmp_path):
    _written(healthy.lungs, healthy.scan, tmp_path / "far.nrrd", shift=2000.0)
    with pytest.raises(ScanError, match="does not overlap"):
        load_lung_mask(tmp_path / "far.nrrd", healthy.scan)
    with pytest.raises(ScanError, match="does not exist"):
        load_lung_mask(tmp_path / "nothing.nrrd", healthy.scan)
    (tmp_path / "text.nrrd").write_text("no image")
    with pytest.raises(ScanError, match="cannot be read"):
        load_lung_mask(tmp_path / "text.nrrd", healthy.scan)
