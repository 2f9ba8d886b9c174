"""Phantoms as files: geometry survives, the cohort table is right, and nothing is left half written."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from SScILDScoringLib.errors import Cancelled, SettingsError
from SScILDScoringLib.phantom import DiseaseSpec, PhantomSpec, make_phantom
from SScILDScoringLib.phantom.writing import COLUMNS, write_cohort, write_dicom, write_masks, write_nifti

TINY = PhantomSpec(
    seed=2,
    matrix=48,
    spacing=(7.0, 7.0, 12.0),
    carina_lps=(11.0, -23.0, -412.5),
    disease=DiseaseSpec(ground_glass=0.3, reticulation=0.2),
)
POSES = {
    "straight": TINY,
    "turned patient": TINY.with_(rotation_deg=(4.0, -3.0, 6.0)),
    "oblique grid": TINY.with_(oblique_deg=(8.0, 5.0, -7.0)),
    "gantry tilt": TINY.with_(tilt_deg=12.0),
}


@pytest.fixture(scope="module", params=POSES)
def phantom(request):
    return make_phantom(POSES[request.param])


def _ras(image: sitk.Image, index) -> np.ndarray:
    return np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)


# SimpleITK refuses NIfTI files with sheared axes (gantry tilt); for these the header is read by hand further below.
@pytest.mark.parametrize("pose", ["straight", "turned patient", "oblique grid"])
def test_nifti_read_by_simpleitk_has_the_same_voxels_at_the_same_places(pose, tmp_path):
    phantom = make_phantom(POSES[pose])
    image = sitk.ReadImage(str(write_nifti(phantom, tmp_path / "ct.nii.gz")))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), phantom.scan.voxels)
    for index in ((0, 0, 0), (47, 3, 1), (5, 40, 20)):
        np.testing.assert_allclose(_ras(image, index), phantom.scan.ras_at(index), atol=1e-3)


def test_the_nifti_header_holds_the_exact_affine(phantom, tmp_path):
    raw = write_nifti(phantom, tmp_path / "ct.nii").read_bytes()
    sform = np.frombuffer(raw, "<f4", 12, offset=280).reshape(3, 4)
    np.testing.assert_allclose(sform, phantom.scan.ras_from_index[:3], atol=1e-4)
    assert len(raw) == 352 + 2 * phantom.scan.voxels.size


def test_nifti_read_by_this_software_gives_the_same_levels(phantom, tmp_path):
    from SScILDScoringLib.scan import load_scan

    scan = load_scan(write_nifti(phantom, tmp_path / "ct.nii.gz"))
    np.testing.assert_allclose(scan.ras_from_index, phantom.scan.ras_from_index, atol=1e-3)
    np.testing.assert_array_equal(scan.voxels, phantom.scan.voxels)
    assert phantom.levels.slice_indices(scan) == phantom.levels.slice_indices(phantom.scan)


def test_dicom_has_the_same_voxels_at_the_same_places(phantom, tmp_path):
    folder = write_dicom(phantom, tmp_path / "series")
    files = sorted(folder.iterdir())
    assert len(files) == phantom.scan.slice_count
    for k in (0, 7, len(files) - 1):
        d = pydicom.dcmread(files[k])
        np.testing.assert_array_equal(d.pixel_array * d.RescaleSlope + d.RescaleIntercept, phantom.scan.voxels[k])
        matrix = np.eye(4)
        row, column = np.array(d.ImageOrientationPatient, float).reshape(2, 3)
        matrix[:3, 0], matrix[:3, 1] = row * float(d.PixelSpacing[1]), column * float(d.PixelSpacing[0])
        matrix[:3, 3] = d.ImagePositionPatient
        for i, j in ((0, 0), (30, 11)):
            ras = (matrix @ (i, j, 0, 1))[:3] * (-1, -1, 1)
            np.testing.assert_allclose(ras, phantom.scan.ras_at((i, j, k)), atol=1e-4)


def test_dicom_series_read_by_simpleitk_lies_where_the_phantom_lies(tmp_path):
    phantom = make_phantom(POSES["oblique grid"])
    folder = write_dicom(phantom, tmp_path / "series")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    assert image.GetSize() == phantom.scan.shape[::-1]
    voxels = sitk.GetArrayFromImage(image)
    for index in ((0, 0, 0), (47, 3, 5), (5, 40, 20)):
        i, j, k = np.rint(phantom.scan.index_at(_ras(image, index))).astype(int)
        np.testing.assert_allclose(phantom.scan.ras_at((i, j, k)), _ras(image, index), atol=1e-3)
        assert voxels[index[2], index[1], index[0]] == phantom.scan.voxels[k, j, i]


def test_dicom_names_nobody_and_keeps_its_uids(tmp_path):
    phantom = make_phantom(TINY.with_(padding_hu=-2048))
    first, second = (pydicom.dcmread(write_dicom(phantom, tmp_path / n) / "0003.dcm") for n in ("a", "b"))
    assert str(first.PatientName) == "PHANTOM"
    assert first.SOPInstanceUID == second.SOPInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.PixelPaddingValue + first.RescaleIntercept == -2048


def test_an_existing_dicom_folder_is_not_touched(tmp_path):
    (tmp_path / "series").mkdir()
    with pytest.raises(SettingsError, match="exists already"):
        write_dicom(make_phantom(TINY), tmp_path / "series")
    assert not list((tmp_path / "series").iterdir())


def test_masks_are_written_on_the_grid_of_the_scan(phantom, tmp_path):
    truths = phantom.labels, phantom.ground_glass, phantom.reticulation
    for path, truth in zip(write_masks(phantom, tmp_path / "case"), truths, strict=True):
        raw = gzip.decompress(path.read_bytes())
        np.testing.assert_array_equal(np.frombuffer(raw, np.uint8, offset=352).reshape(truth.shape), truth)
        sform = np.frombuffer(raw, "<f4", 12, offset=280).reshape(3, 4)
        np.testing.assert_allclose(sform, phantom.scan.ras_from_index[:3], atol=1e-4)


# ---- cohort -------------------------------------------------------------------------------------------------------

SETTINGS = {"matrix": 48, "slices": 30}


def _rows(table):
    with table.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"), 2, seed=9, **SETTINGS)


def test_the_cohort_table_agrees_with_its_files(cohort):
    rows = _rows(cohort)
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 2
    for row in rows:
        folder = cohort.parent
        image = sitk.ReadImage(str(folder / row["path"]))
        masks = [
            sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{row['case']}_{name}.nii.gz")))
            for name in ("lungs", "gg", "ret")
        ]
        lung, gg, ret = (m > 0 for m in masks)
        middle = [(n - 1) / 2 for n in image.GetSize()[:2]]
        heights = [
            image.TransformContinuousIndexToPhysicalPoint((*middle, float(k)))[2] for k in range(image.GetSize()[2])
        ]
        for level in range(1, 6):
            k = int(np.argmin(np.abs(np.array(heights) - float(row[f"level_{level}_mm"]))))
            area = lung[k].sum()
            for name, mask in (("tot", gg | ret), ("gg", gg), ("ret", ret)):
                assert float(row[f"{name}_{level}"]) == pytest.approx(100 * mask[k].sum() / area, abs=0.051)


def test_the_same_seed_gives_the_same_files(cohort, tmp_path):
    again = write_cohort(tmp_path, 1, seed=9, **SETTINGS)
    name = _rows(again)[0]["path"]
    assert (tmp_path / name).read_bytes() == (cohort.parent / name).read_bytes()
    assert _rows(again)[0] == _rows(cohort)[0]


def test_a_stopped_cohort_leaves_no_half_file_and_goes_on_later(tmp_path):
    seen = []

    def stop(stage, fraction, message):
        seen.append(fraction)
        if fraction > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_cohort(tmp_path, 2, seed=9, progress=stop, **SETTINGS)
    assert len(_rows(tmp_path / "cohort.csv")) == 1
    assert not [p for p in tmp_path.iterdir() if ".part" in p.name]
    done = tmp_path / _rows(tmp_path / "cohort.csv")[0]["path"]
    written = done.stat().st_mtime_ns
    table = write_cohort(tmp_path, 2, seed=9, **SETTINGS)
    assert len(_rows(table)) == 2
    assert done.stat().st_mtime_ns == written


def test_a_cohort_of_dicom_series_can_be_read_again(tmp_path):
    from SScILDScoringLib.scan import load_scan

    row = _rows(write_cohort(tmp_path, 1, seed=9, dicom=True, **SETTINGS))[0]
    scan = load_scan(tmp_path / row["path"])
    assert scan.slice_count == 30
    assert scan.mm_of_slice(0) < float(row["level_5_mm"]) < float(row["level_1_mm"]) < scan.mm_of_slice(29)


def test_a_foreign_table_is_not_overwritten(tmp_path):
    (tmp_path / "cohort.csv").write_text("case,level,tot\nx,1,5\n")
    with pytest.raises(SettingsError, match="not a table of phantoms"):
        write_cohort(tmp_path, 1, seed=1, **SETTINGS)
    assert (tmp_path / "cohort.csv").read_text().startswith("case,level,tot")
