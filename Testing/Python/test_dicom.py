"""DICOM as archives hold it: every readable series gives the right HU at the right place, all else one sentence."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import JPEG2000Lossless, RLELossless

import dicom_writer as dw
from SScILDScoringLib.errors import Cancelled, ScanError
from SScILDScoringLib.reading import read_scan
from SScILDScoringLib.reading.dicom_series import list_series

HU = dw.chest_like()


def assert_exact(scan, paths: list[Path], count: int = 60, tolerance_hu: float = 0.5) -> None:
    """Random pixels of the files have the same HU at the same RAS point in the scan."""
    rng = np.random.default_rng(1)
    for path in rng.choice(np.array(paths), count):
        rows, columns = HU.shape[1:]
        row, column = int(rng.integers(rows)), int(rng.integers(columns))
        ras, hu = dw.place_from_headers(path, row, column)
        index = scan.index_at(ras)
        i, j, k = np.rint(index).astype(int)
        assert np.abs(scan.ras_at((i, j, k)) - ras).max() < 1e-3, "the voxel centre is where the header says"
        assert abs(scan.voxels[k, j, i] - hu) <= tolerance_hu


# ---- geometry and values -----------------------------------------------------------------------------------------


OBLIQUE_ROW = np.array([np.cos(0.2), np.sin(0.2), 0])
OBLIQUE_COLUMN = np.array([-np.sin(0.2) * np.cos(0.3), np.cos(0.2) * np.cos(0.3), np.sin(0.3)])

GEOMETRIES = {
    "straight": {},
    "feet first in the file": {"step": (0, 0, -2)},
    "rows and columns reversed": {"row": (-1, 0, 0), "column": (0, -1, 0)},
    "rows reversed, which mirrors the stack": {"row": (-1, 0, 0)},
    "gantry tilted by 20 degrees": {
        "column": (0, np.cos(np.radians(20)), -np.sin(np.radians(20))),
        "step": (0, 0, 2),
    },
    "oblique": {
        "row": OBLIQUE_ROW,
        "column": OBLIQUE_COLUMN,
        "step": 1.5 * np.cross(OBLIQUE_ROW, OBLIQUE_COLUMN),
    },
    "prone": {"row": (-1, 0, 0), "column": (0, -1, 0), "PatientPosition": "HFP"},
}  # fmt: skip


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_every_geometry_is_exact(tmp_path, geometry):
    paths = dw.write_series(tmp_path, HU, **geometry)
    scan = read_scan(tmp_path)
    assert_exact(scan, paths)
    assert (np.diag(scan.direction) > 0.8).all()


def test_each_slice_of_a_tilted_scan_lies_where_its_header_says(tmp_path):
    paths = dw.write_series(tmp_path, HU, **GEOMETRIES["gantry tilted by 20 degrees"])
    scan = read_scan(tmp_path)
    for path in paths:
        ras, _ = dw.place_from_headers(path, 0, 0)
        k = round(scan.index_at(ras)[2])
        assert np.allclose(scan.ras_at((0, 0, k)), ras, atol=1e-6)
    assert scan.tilt_degrees == pytest.approx(20, abs=1e-6)
    assert abs(scan.direction[:, 1] @ scan.direction[:, 2]) == pytest.approx(np.sin(np.radians(20)), abs=1e-9)


def test_scans_agree_with_itk_voxel_for_voxel(tmp_path):
    dw.write_series(tmp_path, HU, row=(-1, 0, 0))
    scan = read_scan(tmp_path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    assert np.array_equal(scan.to_file_order(scan.voxels), sitk.GetArrayViewFromImage(image))
    for index in ((0, 0, 0), (3, 7, 11)):
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        assert np.allclose(scan.ras_from_file_index @ [*index, 1], [*(lps * [-1, -1, 1]), 1], atol=1e-4)


def test_file_names_and_their_order_do_not_matter(tmp_path):
    names = [f"IM{n}" for n in range(20)]
    random.Random(3).shuffle(names)
    paths = dw.write_series(tmp_path / "a" / "b", HU, name=lambda k: names[k])
    (tmp_path / "a" / "notes.txt").write_text("nothing")
    (tmp_path / "a" / "picture.jpg").write_bytes(b"\xff\xd8" + bytes(300))
    (tmp_path / "a" / "empty").write_bytes(b"")
    scan = read_scan(tmp_path)
    assert_exact(scan, paths)
    assert np.array_equal(scan.voxels, HU)


def test_every_slice_has_its_own_rescaling(tmp_path):
    paths = dw.write_series(tmp_path, HU, slope=lambda k: 1.0 + 0.0625 * k, intercept=lambda k: -1024.0 - 0.5 * k)
    assert_exact(read_scan(tmp_path), paths)


def test_signed_pixels_with_padding_keep_their_values(tmp_path):
    def pad(k, dataset):
        stored = (HU[k] + 1024).astype(np.int16)
        stored[:4] = -2000
        dw.put_pixels(dataset, stored)

    dw.write_series(tmp_path, HU, each=pad)
    scan = read_scan(tmp_path)
    assert (scan.voxels[:, :4] == -3024).all()
    assert np.array_equal(scan.voxels[:, 4:], HU[:, 4:])


def test_files_without_preamble_are_read(tmp_path):
    for implicit in (True, False):
        for path in dw.write_series(tmp_path, HU):
            dataset = pydicom.dcmread(path)
            del dataset.file_meta
            dataset.preamble = None
            dataset.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
            assert path.read_bytes()[128:132] != b"DICM"
        assert np.array_equal(read_scan(tmp_path).voxels, HU)


# ---- compression -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_series_are_read(tmp_path, syntax):
    paths = dw.write_series(tmp_path, HU, compress=syntax)
    assert pydicom.dcmread(paths[0]).file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(read_scan(tmp_path).voxels, HU)


def as_lossless_jpeg(folder: Path) -> None:
    """Compresses the files of a series with ITK's lossless JPEG."""
    for path in list(folder.iterdir()):
        plane = pydicom.dcmread(path).pixel_array
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(folder / "temporary.dcm"))
        writer.SetCompressor("JPEG")
        writer.UseCompressionOn()
        writer.Execute(sitk.GetImageFromArray(plane[None]))
        donor, dataset = pydicom.dcmread(folder / "temporary.dcm"), pydicom.dcmread(path)
        dataset["PixelData"] = donor["PixelData"]
        dataset.file_meta.TransferSyntaxUID = donor.file_meta.TransferSyntaxUID
        dataset.save_as(path)
        (folder / "temporary.dcm").unlink()


def test_lossless_jpeg_is_read(tmp_path):
    dw.write_series(tmp_path, HU)
    as_lossless_jpeg(tmp_path)
    assert np.array_equal(read_scan(tmp_path).voxels, HU)


def read_without(modules: list[str], folder: Path, library_path: str) -> subprocess.CompletedProcess:
    """Reads a folder in a fresh interpreter in which some packages cannot be imported."""
    code = f"""
        import sys
        for name in {modules!r}:
            sys.modules[name] = None
        sys.path.insert(0, {library_path!r})
        from SScILDScoringLib.errors import ScanError
        from SScILDScoringLib.reading import read_scan
        try:
            scan = read_scan({str(folder)!r})
            print(scan.shape, int(scan.voxels.astype(int).sum()))
        except ScanError as error:
            print(error)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=True
    )


PLUGINS = ["pylibjpeg", "libjpeg", "openjpeg", "rle", "PIL", "gdcm", "jpeg_ls"]


def test_itk_decodes_where_the_plugins_are_missing_and_else_the_message_names_them(tmp_path):
    library = str(Path(dw.__file__).parents[2] / "SScILDScoring")
    dw.write_series(tmp_path, HU)
    as_lossless_jpeg(tmp_path)
    by_itk = read_without(PLUGINS, tmp_path, library)
    assert by_itk.stdout.strip() == f"{HU.shape} {int(HU.astype(int).sum())}"
    by_none = read_without([*PLUGINS, "SimpleITK"], tmp_path, library)
    assert "JPEG Lossless" in by_none.stdout
    assert "pip install pylibjpeg" in by_none.stdout
    assert by_itk.stderr == by_none.stderr == ""


# ---- multi-frame -------------------------------------------------------------------------------------------------


def test_enhanced_ct_is_read_whatever_the_order_of_its_frames(tmp_path):
    order = np.random.default_rng(0).permutation(len(HU)).tolist()
    path = dw.write_enhanced(tmp_path / "enhanced", HU, order)
    scan = read_scan(path)
    assert np.array_equal(scan.voxels, HU)
    assert scan.spacing == pytest.approx((0.7, 0.8, 2.0))
    assert scan.ras_at((0, 0, 0)) == pytest.approx((20, 30, 100))
    assert scan.acquisition["kernel"] == "B70f"
    assert np.array_equal(read_scan(tmp_path).voxels, HU), "the folder that holds it works as well"


def test_compressed_enhanced_ct_is_read(tmp_path):
    path = dw.write_enhanced(tmp_path / "enhanced", HU)
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(path)
    assert np.array_equal(read_scan(path).voxels, HU)


def test_several_phases_in_one_multi_frame_file_give_one_of_them(tmp_path):
    both = np.concatenate([HU, HU])
    path = dw.write_enhanced(tmp_path / "enhanced", both)
    dataset = pydicom.dcmread(path)
    for n, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient = [-20, -30, 100 + 2 * (n % 20)]
        content = pydicom.Dataset()
        content.TemporalPositionIndex = 1 + n // 20
        frame.FrameContentSequence = pydicom.Sequence([content])
    dataset.save_as(path)
    scan = read_scan(path)
    assert scan.shape == HU.shape
    assert scan.acquisition["left_out_phases"] == 1


def test_multi_frame_without_slice_positions_is_refused(tmp_path):
    path = dw.write_enhanced(tmp_path / "enhanced", HU)
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence
    dataset.save_as(path)
    with pytest.raises(ScanError, match="do not say where their slices lie"):
        read_scan(path)


def test_a_single_slice_file_is_refused_and_the_folder_recommended(tmp_path):
    path = dw.write_series(tmp_path, HU)[0]
    with pytest.raises(ScanError, match="one slice only; give the folder"):
        read_scan(path)


# ---- which series ------------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path) -> Path:
    """A thorax study as a scanner sends it, all in one folder without endings."""
    write = dw.write_series
    folder = tmp_path / "study"

    def names(prefix):
        return lambda k: f"{prefix}{k:04d}"

    write(folder, HU, series="1.2.1", name=names("A"), step=(0, 0, 10.0), SeriesDescription="Thorax 5.0 B30f",
          ConvolutionKernel="B30f", SliceThickness="5")  # fmt: skip
    write(folder, dw.chest_like(160), series="1.2.2", name=names("B"), step=(0, 0, 1.2))
    write(folder, HU[:1], series="1.2.3", name=names("C"), row=(1, 0, 0), column=(0, 0, -1),
          ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesDescription="Topogram")  # fmt: skip
    write(folder, HU, series="1.2.4", name=names("D"), Modality="MR", SOPClassUID=dw.MR, SeriesDescription="T1")
    write(folder, HU, series="1.2.5", name=names("E"), SeriesDescription="Thorax MIP 10.0",
          ImageType=["DERIVED", "SECONDARY", "MIP"])  # fmt: skip
    write(folder, HU, series="1.2.6", name=names("F"), row=(1, 0, 0), column=(0, 0, -1), step=(0, 2, 0),
          ImageType=["DERIVED", "SECONDARY", "MPR"], SeriesDescription="coronal")  # fmt: skip
    write(folder, HU[:3], series="1.2.7", name=names("G"), SeriesDescription="three slices")
    write(folder, HU[:12], series="1.2.8", name=names("H"), step=(0, 0, 0), SeriesDescription="PreMonitoring")
    dw.write_picture(folder / "Z", series="1.2.9")
    return folder


def test_the_thin_chest_series_is_taken_and_the_reason_told(study):
    scan = read_scan(study)
    assert scan.identity["SeriesInstanceUID"] == "1.2.2"
    assert scan.slice_count == 160
    assert scan.acquisition["series_choice"].startswith("Best of 9 series: 160 slices")
    assert "sharp kernel" in scan.acquisition["series_choice"]


def test_every_other_series_has_its_reason(study):
    infos = {i.uid: i for i in list_series(study)}
    assert [u for u, i in infos.items() if i.chosen] == ["1.2.2"]
    assert {u for u, i in infos.items() if i.accepted} == {"1.2.1", "1.2.2"}
    expected = {
        "1.2.3": "localiser",
        "1.2.4": "modality MR",
        "1.2.5": "MIP",
        "1.2.6": "coronal",
        "1.2.7": "too few slices (3)",
        "1.2.8": "same place",
        "1.2.9": "secondary capture",
    }
    for uid, words in expected.items():
        assert words in infos[uid].reason
        assert not infos[uid].accepted


def test_a_series_can_be_chosen_by_its_uid(study):
    assert read_scan(study, series="1.2.1").slice_count == 20
    coronal = read_scan(study, series="1.2.6")
    assert coronal.spacing == pytest.approx((0.7, 2.0, 0.8)), "a reformat is read when it is asked for"
    with pytest.raises(ScanError, match="modality MR"):
        read_scan(study, series="1.2.4")
    with pytest.raises(ScanError, match="No series with the given UID"):
        read_scan(study, series="1.2.99")


def test_expiration_and_prone_series_come_second(tmp_path):
    thin = dw.chest_like(60)
    dw.write_series(tmp_path / "1", thin, series="1.2.1", SeriesDescription="Lung 1.0 expiration")
    dw.write_series(tmp_path / "2", thin, series="1.2.2", SeriesDescription="Lung 1.0 prone", PatientPosition="HFP")
    dw.write_series(tmp_path / "3", thin, series="1.2.3", SeriesDescription="Lung 1.0")
    assert [i.uid for i in list_series(tmp_path)] == ["1.2.3", "1.2.2", "1.2.1"]


def test_a_localiser_inside_the_series_is_left_out(tmp_path):
    dw.write_series(tmp_path, HU)
    dw.write_series(tmp_path / "scout", HU[:1], row=(1, 0, 0), column=(0, 0, -1),
                    ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])  # fmt: skip
    assert np.array_equal(read_scan(tmp_path).voxels, HU)


def test_nothing_usable_is_one_sentence(tmp_path):
    with pytest.raises(ScanError, match="No DICOM images were found"):
        read_scan(tmp_path)
    (tmp_path / "readme.txt").write_text("x" * 500)
    with pytest.raises(ScanError, match="No DICOM images were found"):
        read_scan(tmp_path)
    dw.write_series(tmp_path, HU, Modality="MR", SOPClassUID=dw.MR)
    with pytest.raises(ScanError, match=r"The DICOM series cannot be scored: not a CT \(modality MR\)\."):
        read_scan(tmp_path)
    dw.write_picture(tmp_path / "picture")
    with pytest.raises(ScanError, match="None of the 2 DICOM series can be scored"):
        read_scan(tmp_path)


# ---- missing, doubled, damaged -----------------------------------------------------------------------------------


def test_a_missing_slice_is_interpolated_and_recorded(tmp_path):
    dw.write_series(tmp_path, HU, skip=[7])
    scan = read_scan(tmp_path)
    assert scan.shape == HU.shape
    kept = [k for k in range(20) if k != 7]
    assert np.array_equal(scan.voxels[kept], HU[kept])
    between = (HU[6].astype(float) + HU[8]) / 2
    assert np.abs(scan.voxels[7] - between).max() <= 0.5
    assert scan.acquisition["missing_slices"] == 1
    assert scan.acquisition["interpolated_at_mm"] == [pytest.approx(114.0)]
    assert scan.acquisition["largest_gap_mm"] == 4.0


def test_more_than_a_tenth_missing_is_refused(tmp_path):
    dw.write_series(tmp_path, HU, skip=[3, 7, 12])
    with pytest.raises(ScanError, match=r"3 of 20 slices are missing.*at most 10 %"):
        read_scan(tmp_path)


def test_uneven_slices_are_brought_onto_an_even_grid(tmp_path):
    """HU that grow linearly along z stay linear: interpolation puts every value at its right height."""
    heights = 2.0 * np.arange(20) + 0.6 * (np.arange(20) % 2)
    ramp = np.broadcast_to((10 * heights - 500)[:, None, None], HU.shape).round().astype(np.int16)

    def lift(k, dataset):
        dataset.ImagePositionPatient = [-20, -30, 100 + heights[k]]

    dw.write_series(tmp_path, ramp, each=lift)
    scan = read_scan(tmp_path)
    assert scan.acquisition["uneven_slices"] is True
    expected = 10 * (np.array([scan.mm_of_slice(k) for k in range(scan.slice_count)]) - 100) - 500
    assert np.abs(scan.voxels[:, 5, 5] - expected).max() <= 1


def test_doubled_slices_are_used_once(tmp_path):
    paths = dw.write_series(tmp_path, HU)
    shutil.copy(paths[3], tmp_path / "copy of a file")
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.voxels, HU)
    assert scan.acquisition["duplicate_slices"] == 0, "the very same image twice is not worth a remark"
    again = pydicom.dcmread(paths[3])
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    again.save_as(tmp_path / "sent twice")
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.voxels, HU)
    assert scan.acquisition["duplicate_slices"] == 1


def test_two_acquisitions_in_one_series_are_told_apart(tmp_path):
    dw.write_series(tmp_path / "1", HU, AcquisitionNumber="1")
    dw.write_series(tmp_path / "2", HU + 100, AcquisitionNumber="2")
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.voxels, HU)
    assert scan.acquisition["left_out_phases"] == 1


def test_slices_shifted_against_each_other_are_refused(tmp_path):
    def move(k, dataset):
        dataset.ImagePositionPatient = [-20 + 40 * (k >= 10), -30, 100 + 2 * k]

    dw.write_series(tmp_path, HU, each=move)
    with pytest.raises(ScanError, match="shifted against each other by up to"):
        read_scan(tmp_path)


@pytest.mark.parametrize("compress", [None, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_a_truncated_slice_is_refused(tmp_path, compress, share):
    path = dw.write_series(tmp_path, HU, compress=compress)[5]
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ScanError, match=r"\(instance number 6\) is damaged or was not copied completely"):
        read_scan(tmp_path)


def test_a_truncated_multi_frame_file_is_refused(tmp_path):
    path = dw.write_enhanced(tmp_path / "enhanced", HU)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ScanError, match="damaged or was not copied completely"):
        read_scan(path)


def test_files_cut_within_their_header_are_counted(tmp_path):
    paths = dw.write_series(tmp_path, HU)
    paths[7].write_bytes(paths[7].read_bytes()[:300])
    scan = read_scan(tmp_path)
    assert scan.acquisition["unreadable_files"] == 1
    assert scan.acquisition["missing_slices"] == 1
    for path in paths:
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ScanError, match="damaged or were not copied completely"):
        read_scan(tmp_path)


def test_a_damaged_scan_says_one_sentence_and_nothing_on_stderr(tmp_path, capfd):
    path = dw.write_series(tmp_path, HU, compress=JPEG2000Lossless)[5]
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\x4f\xff\x51")  # of the JPEG 2000 code stream
    data[start : start + 60] = bytes(60)
    path.write_bytes(data)
    with pytest.raises(ScanError, match="is damaged") as caught:
        read_scan(tmp_path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


# ---- manners -----------------------------------------------------------------------------------------------------


def test_private_junk_and_broken_values_do_not_matter(tmp_path):
    def junk(k, dataset):
        block = dataset.private_block(0x0029, "JUNK INC", create=True)
        block.add_new(0x10, "OB", bytes(range(256)))
        dataset.PatientBirthDate = "not a date"
        dataset.ContrastBolusAgent = ""

    with pytest.warns(UserWarning, match="Invalid value"):
        dw.write_series(tmp_path, HU, each=junk)
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.voxels, HU)
    assert scan.acquisition["contrast_agent"] == "none"


@pytest.mark.filterwarnings("error")
def test_random_damage_to_headers_never_ends_in_anything_but_a_sentence(tmp_path):
    series = dw.write_series(tmp_path / "series", HU[:6])[0]
    enhanced = dw.write_enhanced(tmp_path / "enhanced", HU[:6])
    rng = np.random.default_rng(3)
    refused = 0
    for path in (series, enhanced):
        good = path.read_bytes()
        header = len(good) - HU[0].nbytes * (6 if path is enhanced else 1)
        for _ in range(80):
            data = bytearray(good)
            for place in rng.integers(132, header, rng.integers(1, 8)):
                data[place] = rng.integers(256)
            path.write_bytes(data)
            try:
                read_scan(path.parent if path is series else path)
            except ScanError:
                refused += 1
    assert refused > 0


def test_the_patient_is_in_identity_and_nowhere_else(tmp_path):
    dw.write_series(tmp_path / "series", HU)
    scan = read_scan(tmp_path / "series")
    assert scan.identity["PatientID"] == "SECRET-4711"
    assert scan.identity["PatientName"] == "Doe^Jane"
    assert scan.identity["SeriesInstanceUID"] == "1.2.826.0.1.1.1"
    assert len(scan.identity["files"]) == 20
    text = repr(scan) + repr(dict(scan.acquisition))
    for secret in ("SECRET", "Jane", "1.2.826", "20200131", str(tmp_path)):
        assert secret not in text


def test_progress_runs_to_one_and_cancelling_stops(tmp_path):
    dw.write_series(tmp_path, HU)
    seen: list[float] = []

    def progress(stage, fraction, message):
        assert stage == "read"
        assert message
        seen.append(fraction)

    read_scan(tmp_path, progress=progress)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert len(seen) > 4

    def cancel(stage, fraction, message):
        if fraction > 0.5:
            raise Cancelled

    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Cancelled):
        read_scan(tmp_path, progress=cancel)
    assert sorted(tmp_path.rglob("*")) == before


# ---- the real series ---------------------------------------------------------------------------------------------


@pytest.mark.real_ct
def test_the_real_series_is_read_as_itk_reads_it(real_ct):
    folder = real_ct / "volumes" / "dicom_lungdx_a0002"
    scan = read_scan(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    assert np.array_equal(scan.to_file_order(scan.voxels), sitk.GetArrayViewFromImage(image))
    assert scan.spacing == pytest.approx(image.GetSpacing(), abs=1e-6)
    lps = np.array(image.TransformIndexToPhysicalPoint((5, 6, 7)))
    assert scan.ras_at((5, 6, 7)) == pytest.approx(lps * [-1, -1, 1], abs=1e-4)
    assert scan.acquisition["kernel"] == "B40f"
    assert_exact_slices(scan, folder)


def assert_exact_slices(scan, folder: Path) -> None:
    for path in folder.glob("*.dcm"):
        ras, hu = dw.place_from_headers(path, 300, 200)
        i, j, k = np.rint(scan.index_at(ras)).astype(int)
        assert (i, j) == (200, 300)
        assert scan.voxels[k, j, i] == hu


@pytest.mark.real_ct
def test_single_slices_of_eight_studies_are_refused(real_ct):
    with pytest.raises(ScanError, match="None of the 8 DICOM series can be scored: one slice only"):
        read_scan(real_ct / "slices")
