"""NIfTI, NRRD and MetaImage: the same scan from every format and every arrangement of axes; all else one sentence."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import textwrap
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from SScILDScoringLib.errors import Cancelled, ScanError
from SScILDScoringLib.files import name_without_ending
from SScILDScoringLib.reading import read_scan
from SScILDScoringLib.scan import LPS_TO_RAS, load_scan
from test_scan import SPACES, arranged

RNG = np.random.default_rng(0)
HU = RNG.integers(-1024, 3000, (20, 32, 24)).astype(np.int16)
MATRIX = np.array([[0.7, 0, 0, -100], [0, 0.8, 0, -120], [0, 0, 2.5, 300], [0, 0, 0, 1.0]])
ENDINGS = [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"]


def itk_image(array: np.ndarray, matrix: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    return image


def write(path: Path, array: np.ndarray = HU, matrix: np.ndarray = MATRIX, compress: bool = False) -> Path:
    sitk.WriteImage(itk_image(array, matrix), str(path), useCompression=compress)
    return path


def nifti(
    path: Path,
    array: np.ndarray = HU,
    sform: np.ndarray | None = None,
    *,
    slope: float = 0.0,
    intercept: float = 0.0,
    pixdim: tuple = (1, 0.7, 0.8, 2.5),
    quaternion: tuple | None = None,
    units: int = 2,
    dim: tuple | None = None,
    datatype: int | None = None,
    version: int = 1,
    order: str = "<",
) -> Path:
    """A NIfTI file written field by field, so that every odd header can be made. ``sform`` is index to RAS."""
    codes = {"i2": 4, "u2": 512, "f4": 16, "f8": 64, "u1": 2, "i4": 8}
    datatype = codes[array.dtype.str[1:]] if datatype is None else datatype
    dim = (array.ndim, *array.shape[::-1]) if dim is None else dim
    dim = (*dim, *[1] * (8 - len(dim)))
    pixdim = (*pixdim, *[1] * (8 - len(pixdim)))
    qcode, scode = int(quaternion is not None), int(sform is not None)
    quaternion = quaternion or (0,) * 6
    rows = (np.zeros(12) if sform is None else sform[:3].ravel()).tolist()
    raw = bytearray(352 if version == 1 else 544)

    def put(kind: str, offset: int, *values) -> None:
        struct.pack_into(order + kind, raw, offset, *values)

    if version == 1:
        put("i", 0, 348), put("8h", 40, *dim), put("2h", 70, datatype, array.dtype.itemsize * 8)
        put("8f", 76, *pixdim), put("3f", 108, 352, slope, intercept), put("B", 123, units)
        put("2h", 252, qcode, scode), put("6f", 256, *quaternion), put("12f", 280, *rows)
        raw[344:348] = b"n+1\0"
    else:
        put("i", 0, 540)
        raw[4:12] = b"n+2\0\r\n\x1a\n"
        put("2h", 12, datatype, array.dtype.itemsize * 8), put("8q", 16, *dim), put("8d", 104, *pixdim)
        put("q", 168, 544), put("2d", 176, slope, intercept), put("2i", 344, qcode, scode)
        put("6d", 352, *quaternion), put("12d", 400, *rows), put("i", 500, units)
    data = bytes(raw) + array.astype(array.dtype.newbyteorder(order)).tobytes()
    path.write_bytes(gzip.compress(data, 1) if path.name.endswith(".gz") else data)
    return path


RAS = LPS_TO_RAS @ MATRIX

# ---- the same scan from everything -------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("compress", [False, True])
def test_every_format_gives_the_same_scan(tmp_path, ending, compress):
    scan = read_scan(write(tmp_path / f"scan{ending}", compress=compress))
    assert np.array_equal(scan.voxels, HU)
    assert np.allclose(scan.lps_from_index, MATRIX, atol=1e-4)
    assert scan.identity["name"] == "scan"
    assert scan.acquisition["format"] in ("NIfTI", "NRRD", "MetaImage")


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("space", [SPACES["straight"], SPACES["oblique"]], ids=["straight", "oblique"])
def test_48_arrangements_of_the_axes_read_back_to_identical_voxels_and_positions(tmp_path, ending, space):
    small = np.ascontiguousarray(HU[:5, :6, :7])
    for order, reverse in product(permutations(range(3)), product((False, True), repeat=3)):
        array, matrix = arranged(small, space @ MATRIX, order, reverse)
        scan = read_scan(write(tmp_path / f"scan{ending}", array, matrix))
        assert np.array_equal(scan.voxels, small)
        assert np.allclose(scan.lps_from_index, space @ MATRIX, atol=1e-4)
        assert np.array_equal(scan.to_file_order(scan.voxels), array)
        assert np.allclose(scan.ras_from_file_index, LPS_TO_RAS @ matrix, atol=1e-4)


def test_a_sheared_matrix_survives(tmp_path):
    sheared = SPACES["gantry tilt"] @ MATRIX
    by_nifti = read_scan(nifti(tmp_path / "tilted.nii", sform=LPS_TO_RAS @ sheared))
    by_nrrd = read_scan(write(tmp_path / "tilted.nrrd", HU, sheared))
    for scan in (by_nifti, by_nrrd):
        assert np.allclose(scan.lps_from_index, sheared, atol=1e-4)
        assert np.array_equal(scan.voxels, HU)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [1, 2])
def test_both_nifti_versions_and_byte_orders(tmp_path, version, order):
    scan = read_scan(nifti(tmp_path / "scan.nii.gz", sform=RAS, version=version, order=order))
    assert np.array_equal(scan.voxels, HU)
    assert np.allclose(scan.ras_from_index, RAS, atol=1e-4)


def test_nifti_quaternions_are_read_as_itk_reads_them(tmp_path):
    for n in range(30):
        vector = RNG.normal(size=4)
        b, c, d = (vector / np.linalg.norm(vector) * np.sign(vector[0]))[1:]
        path = nifti(
            tmp_path / "scan.nii", HU[:4, :5, :6], quaternion=(b, c, d, 1, 2, 3), pixdim=((-1) ** n, 0.7, 0.8, 2.5)
        )
        image = sitk.ReadImage(str(path))
        lps = np.array(image.TransformIndexToPhysicalPoint((4, 3, 2)))
        scan = read_scan(path)
        assert np.allclose((scan.ras_from_file_index @ [4, 3, 2, 1])[:3], lps * [-1, -1, 1], atol=1e-3)
        assert np.array_equal(scan.to_file_order(scan.voxels), HU[:4, :5, :6])


def test_nifti_units_other_than_millimetres(tmp_path):
    in_metres = RAS.copy()
    in_metres[:3] /= 1000
    scan = read_scan(nifti(tmp_path / "scan.nii", sform=in_metres, units=1))
    assert np.allclose(scan.ras_from_index, RAS, atol=1e-4)


def test_nifti_scaling_and_floating_point(tmp_path):
    stored = RNG.integers(0, 4000, HU.shape).astype(np.uint16)
    scan = read_scan(nifti(tmp_path / "scan.nii", stored, RAS, slope=0.5, intercept=-1024))
    assert np.array_equal(scan.voxels, np.rint(stored * 0.5 - 1024))
    floats = (HU + RNG.uniform(-0.49, 0.49, HU.shape)).astype(np.float32)
    assert np.array_equal(read_scan(nifti(tmp_path / "float.nii.gz", floats, RAS)).voxels, HU)
    assert np.array_equal(read_scan(write(tmp_path / "float.nrrd", floats)).voxels, HU)


def test_nifti_pairs(tmp_path):
    whole = nifti(tmp_path / "whole.nii", sform=RAS).read_bytes()
    header = bytearray(whole[:348])
    header[344:348] = b"ni1\0"
    struct.pack_into("<f", header, 108, 0)
    (tmp_path / "scan.hdr").write_bytes(header)
    with pytest.raises(ScanError, match=r"\.img file that belongs to this \.hdr file is missing"):
        read_scan(tmp_path / "scan.hdr")
    (tmp_path / "scan.img").write_bytes(whole[352:])
    assert np.array_equal(read_scan(tmp_path / "scan.hdr").voxels, HU)


def test_conflicting_nifti_positions_are_recorded(tmp_path):
    turned = (0, 0, 1, 50, 60, 300)
    scan = read_scan(nifti(tmp_path / "scan.nii", sform=RAS, quaternion=turned))
    assert np.allclose(scan.ras_from_index, RAS, atol=1e-4)
    assert scan.acquisition["geometry_conflict_mm"] > 10
    agreeing = (0, 0, 1, *RAS[:3, 3])  # half a turn about z: x to the right, y to the front, as RAS is here
    scan = read_scan(nifti(tmp_path / "scan.nii", sform=RAS, quaternion=agreeing))
    assert "geometry_conflict_mm" not in scan.acquisition


def test_a_fourth_dimension_of_one_is_no_fourth_dimension(tmp_path):
    assert np.array_equal(read_scan(nifti(tmp_path / "scan.nii", HU[None], RAS)).voxels, HU)
    sitk.WriteImage(sitk.JoinSeries([itk_image(HU, MATRIX)]), str(tmp_path / "scan.mha"))
    scan = read_scan(tmp_path / "scan.mha")
    assert np.array_equal(scan.voxels, HU)
    assert np.allclose(scan.lps_from_index, MATRIX)


def test_the_kind_of_a_file_is_told_from_its_contents(tmp_path):
    write(tmp_path / "a.nrrd").rename(tmp_path / "without ending")
    nifti(tmp_path / "b.nii.gz", sform=RAS).rename(tmp_path / "b.dcm")
    assert np.array_equal(read_scan(tmp_path / "without ending").voxels, HU)
    assert np.array_equal(read_scan(tmp_path / "b.dcm").voxels, HU)


def test_names_with_spaces_and_letters_of_any_language(tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    for ending in ENDINGS:
        write(folder / f"lung ß{ending}")
    folder = folder.rename(tmp_path / "Prüfung; rm -rf * $(x) %s %n 肺")  # ITK crashes when it writes MHD there
    for ending in ENDINGS:
        path = folder / f"lung ß{ending}"
        scan = load_scan(path.rename(folder / f"lung %s ß{ending}"))
        assert np.array_equal(scan.voxels, HU)
        assert scan.identity["name"] == "lung %s ß"


@pytest.mark.parametrize("ending", [".mhd", ".nhdr"])
def test_a_header_does_not_reach_printf(tmp_path, ending):
    path = write(tmp_path / f"scan{ending}")
    path.write_text(path.read_text().replace("scan.raw", "%s%s%n.raw"))
    with pytest.raises(ScanError, match="numbered set of voxel files"):
        read_scan(path)


def test_case_names():
    assert name_without_ending("/a/b/patient 1.nii.gz") == "patient 1"
    assert name_without_ending("/a/b/patient.1.mha") == "patient.1"
    assert name_without_ending("/a/b/dicom/") == "dicom"


# ---- refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.6, 0.99])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_truncated_files_are_refused_with_one_sentence(tmp_path, capfd, ending, compress, share):
    path = write(tmp_path / f"scan{ending}", compress=compress)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ScanError) as caught:
        read_scan(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(tmp_path) not in message
    assert any(words in message for words in ("not copied completely", "file is empty", "none of the kinds"))
    assert capfd.readouterr() == ("", ""), "libraries do not speak to the user"


@pytest.mark.parametrize("ending", [".mhd", ".nhdr"])
def test_truncated_or_missing_voxel_files_are_refused(tmp_path, ending):
    path = write(tmp_path / f"scan{ending}")
    raw = tmp_path / "scan.raw"
    raw.write_bytes(raw.read_bytes()[:-100])
    with pytest.raises(ScanError, match="not copied completely"):
        read_scan(path)
    raw.unlink()
    with pytest.raises(ScanError, match="voxels that belongs to this header is missing"):
        read_scan(path)


def test_a_flipped_byte_in_a_compressed_file_is_noticed(tmp_path):
    path = nifti(tmp_path / "scan.nii.gz", sform=RAS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ScanError, match="damaged"):
        read_scan(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../elsewhere/voxels.raw", "a/../../voxels.raw", "C:\\voxels.raw"])
@pytest.mark.parametrize("ending", [".mhd", ".nhdr"])
def test_a_header_does_not_choose_files_elsewhere(tmp_path, ending, name):
    folder = tmp_path / "scan"
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    path = write(folder / f"scan{ending}")
    raw = (folder / "scan.raw").read_bytes()
    (tmp_path / "elsewhere" / "voxels.raw").write_bytes(raw)
    (tmp_path / "voxels.raw").write_bytes(raw)
    path.write_text(path.read_text().replace("scan.raw", name))
    with pytest.raises(ScanError, match="in another folder"):
        read_scan(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("NDims = 3", "NDims = -3"),
        ("NDims = 3", "NDims = 9999999"),
        ("DimSize = 24 32 20", "DimSize = 24 32"),
        ("DimSize = 24 32 20", "DimSize = 24 32 -1"),
        ("ElementType = MET_SHORT", "ElementType = MET_NOTHING"),
        ("Offset = -100 -120 300", "Offset = -100 nan 300"),
        ("ElementDataFile = LOCAL", "ElementDataFil"),
    ],
)
def test_impossible_meta_image_headers_are_refused(tmp_path, old, new):
    path = write(tmp_path / "scan.mha")
    data = path.read_bytes()
    assert old.encode() in data
    path.write_bytes(data.replace(old.encode(), new.encode()))
    with pytest.raises(ScanError, match="damaged"):
        read_scan(path)


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_random_damage_to_a_header_never_ends_in_anything_but_a_sentence(tmp_path, ending):
    path = write(tmp_path / f"scan{ending}", np.ascontiguousarray(HU[:6, :16, :16]))
    good = path.read_bytes()
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(60):
        data = bytearray(good)
        for place in rng.integers(0, 340, rng.integers(1, 8)):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            read_scan(path)
        except ScanError:
            refused += 1
    assert refused > 0


def four_dimensional(folder: Path, ending: str) -> Path:
    path = folder / f"scan{ending}"
    sitk.WriteImage(sitk.JoinSeries([itk_image(HU, MATRIX)] * 3), str(path))
    return path


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_four_dimensions_are_refused(tmp_path, ending):
    with pytest.raises(ScanError, match="3 v"):
        read_scan(four_dimensional(tmp_path, ending))


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_colours_vectors_nan_and_single_slices_are_refused(tmp_path, ending):
    path = tmp_path / f"scan{ending}"
    sitk.WriteImage(sitk.Compose([itk_image(HU, MATRIX)] * 3), str(path))
    with pytest.raises(ScanError, match=r"3 volumes|3 values per voxel|colours"):
        read_scan(path)
    broken = HU.astype(np.float32)
    broken[4, 5, 6] = np.nan
    with pytest.raises(ScanError, match="not numbers"):
        read_scan(write(path, broken))
    with pytest.raises(ScanError, match="one slice only"):
        read_scan(write(path, HU[:1]))
    sitk.WriteImage(sitk.GetImageFromArray(HU[0]), str(path))
    with pytest.raises(ScanError, match=r"one slice only|how the patient lies"):
        read_scan(path)


def test_files_that_do_not_say_how_the_patient_lies_are_refused(tmp_path):
    with pytest.raises(ScanError, match="NIfTI file does not say how the patient lies"):
        read_scan(nifti(tmp_path / "scan.nii"))
    header = "NRRD0005\ntype: short\ndimension: 3\nsizes: 24 32 20\nendian: little\nencoding: raw\n{}\n\n"
    for geometry in ("spacings: 0.7 0.8 2.5", "space: scanner-xyz\nspace directions: (1,0,0) (0,1,0) (0,0,1)"):
        (tmp_path / "scan.nrrd").write_bytes(header.format(geometry).encode() + HU.tobytes())
        with pytest.raises(ScanError, match="NRRD file does not say how the patient lies"):
            read_scan(tmp_path / "scan.nrrd")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dim": (3, 24, 0, 20)}, "empty"),
        ({"dim": (3, -24, 32, 20)}, "header is damaged"),
        ({"dim": (9, 24, 32, 20)}, "header is damaged"),
        ({"dim": (3, 32767, 32767, 32767)}, "not copied completely"),
        ({"datatype": 128}, "no Hounsfield units"),
        ({"datatype": 32}, "no Hounsfield units"),
        ({"sform": RAS * np.array([[1], [1], [np.nan], [1]])}, "geometry is not usable"),
        ({"sform": np.zeros((4, 4))}, "geometry is not usable"),
    ],
)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_impossible_nifti_headers_are_refused(tmp_path, changes, words, ending):
    with pytest.raises(ScanError, match=words):
        read_scan(nifti(tmp_path / f"scan{ending}", **{"sform": RAS, **changes}))


def test_what_is_not_there_or_no_image_is_refused(tmp_path):
    with pytest.raises(ScanError, match=r"no file or folder 'missing\.nii'"):
        read_scan(tmp_path / "missing.nii")
    (tmp_path / "text.nii.gz").write_text("this is no image\n" * 100)
    with pytest.raises(ScanError, match="none of the kinds that can be read"):
        read_scan(tmp_path / "text.nii.gz")
    (tmp_path / "archive.gz").write_bytes(gzip.compress(b"this is no image\n" * 100))
    with pytest.raises(ScanError, match="none of the kinds that can be read"):
        read_scan(tmp_path / "archive.gz")
    (tmp_path / "empty.nrrd").touch()
    with pytest.raises(ScanError, match="file is empty"):
        read_scan(tmp_path / "empty.nrrd")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((8, 8), np.uint8)), str(tmp_path / "picture.png"))
    with pytest.raises(ScanError, match="none of the kinds that can be read"):
        read_scan(tmp_path / "picture.png")
    with pytest.raises(ScanError, match="in a DICOM folder only"):
        read_scan(write(tmp_path / "scan.nrrd"), series="1.2.3")


# ---- progress and memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_progress_ends_at_one_and_cancelling_stops(tmp_path, ending):
    path = write(tmp_path / f"scan{ending}")
    seen = []
    read_scan(path, progress=lambda stage, fraction, message: seen.append((stage, fraction)))
    assert seen == sorted(seen)
    assert seen[-1] == ("read", 1.0)

    def cancel(stage, fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        read_scan(path, progress=cancel)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


MEASURE = """
    import re, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import numpy, SimpleITK, pydicom.pixels
    from SScILDScoringLib.reading import dicom_reading
    from SScILDScoringLib.reading import read_scan

    def kilobytes(name):  # of this very process; getrusage would count its parent's as well
        return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))

    before = kilobytes("VmRSS")  # the imports' own memory is not counted
    scan = read_scan(sys.argv[2])
    print((kilobytes("VmHWM") - before) * 1024 / scan.voxels.nbytes)
"""


def memory_ratio(path: Path) -> float:
    """Peak memory that reading takes, as a multiple of the int16 volume, in a fresh interpreter."""
    library = Path(__file__).resolve().parents[2] / "SScILDScoring"
    command = [sys.executable, "-c", textwrap.dedent(MEASURE), str(library), str(path)]
    return float(subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is measured in /proc")
@pytest.mark.parametrize("kind", ["flipped.nii", "float.nii", "flipped.nrrd", "float.mha", "dicom"])
def test_reading_needs_less_than_three_times_the_volumes_memory(tmp_path, kind):
    """At 512x512x120 (60 MB); 512x512x900 gives nearly the same multiples."""
    from dicom_writer import write_series

    hu = np.ones((120, 512, 512), np.int16)
    path = tmp_path / kind
    if kind == "dicom":
        write_series(path, hu)
    else:
        write(path, hu.astype(np.float32) if "float" in kind else hu, MATRIX @ np.diag([-1, -1, 1, 1]))
    limit = 2 * 3 if "float" in kind else 3  # 32-bit voxels are twice as large
    assert 0.9 < memory_ratio(path) < limit


# ---- real scans --------------------------------------------------------------------------------------------------


@pytest.mark.real_ct
@pytest.mark.parametrize("name", ["lidc0001", "lidc0003", "lungdx_a0001_sharp", "lungdx_a0001_soft"])
def test_real_scans_are_read_as_itk_reads_them(real_ct, name):
    path = real_ct / "volumes" / f"{name}.nii.gz"
    scan = read_scan(path)
    image = sitk.ReadImage(str(path))
    assert np.array_equal(scan.to_file_order(scan.voxels), sitk.GetArrayViewFromImage(image))
    assert scan.spacing == pytest.approx(image.GetSpacing(), abs=1e-6)
    for index in ((0, 0, 0), (511, 3, 60)):
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        assert (scan.ras_from_file_index @ [*index, 1])[:3] == pytest.approx(lps * [-1, -1, 1], abs=1e-3)
