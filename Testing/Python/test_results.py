"""What a result promises: the files' contents, names that reveal nothing, nothing half-written."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk

from SScILDScoringLib.errors import SettingsError, TableError
from SScILDScoringLib.findings import Finding
from SScILDScoringLib.heatmaps import HeatMaps
from SScILDScoringLib.heatmaps.map_files import slice_image, write_heat_maps
from SScILDScoringLib.levels import Levels
from SScILDScoringLib.results import (
    ModelFacts,
    ScanFacts,
    ScanResult,
    case_name,
    plain,
    read_json,
    safe_name,
    write_csv,
    write_json,
)
from SScILDScoringLib.scan import scan_from_array
from SScILDScoringLib.scores import LungProfile, SliceScores, Stage

RAW = ((0.4, 0.0, 1.0), (12.5, 7.0, 6.0), (22.0, 18.0, 8.0), (41.0, 30.0, 12.0), (63.0, 55.0, 30.0))
SCORES = tuple(SliceScores(raw) for raw in RAW)
MM = (81.25, 64.0, 48.0, 31.5, 15.0)


def upside_down_scan():
    """A CT whose file counts its slices from the head downwards, with the patient's name in its identity."""
    voxels = np.random.default_rng(0).integers(-1000, 400, (50, 8, 6)).astype(np.int16)
    matrix = np.diag([-0.7, 0.8, -2.0, 1.0])
    matrix[:3, 3] = (3.0, -2.0, 98.0)
    identity = {"PatientName": "Doe^Jane", "PatientID": "4711", "path": "/data/jane/ct.nii"}
    return scan_from_array(voxels, matrix, identity, {"kvp": np.float32(120), "kernel": "B70f"})


def heat_maps(shape, scores=SCORES[0], seed=1):
    maps = np.random.default_rng(seed).normal(-0.5, 1, (3, *shape)).astype(np.float32)
    lung = np.ones(shape, bool)
    return HeatMaps(maps, lung, lung, scores, network_runs=4)


@pytest.fixture(scope="module")
def result():
    scan = upside_down_scan()
    levels = Levels.from_mm(MM, "l_net", (1.0, 2.0, 3.0, 4.0, 5.0), l4_follows=True)
    indices = levels.slice_indices(scan)
    return ScanResult(
        case="case_7",
        levels=levels,
        slice_indices=indices,
        file_slice_indices=tuple(scan.file_slice(k) for k in indices),
        scores=SCORES,
        facts=ScanFacts.of(scan),
        findings=(Finding("thick_slices", "warning", "The slices are 5 mm thick."), Finding("soft", "info", "Soft.")),
        models=(ModelFacts("s_net", "starter", "1.0.0", "ab" * 32, False, "Not validated."),),
        device="cpu: test, 2 threads",
        settings={"l4_follows": True, "heat_maps": True},
        seconds={"read": 1.23456, "total": 2.0},
        fvc_percent=65.0,
        profile=LungProfile((3, 4), (46, 45), (6.0, 8.0), (100.0, 300.0), SCORES[:2]),
        heat_maps=tuple(heat_maps((8, 6), s, n) for n, s in enumerate(SCORES)),
        thresholds={"tot": -0.5, "gg": -0.5, "ret": -0.25},
        scan=scan,
    )


def test_extent_and_stage_come_from_the_reported_scores(result):
    assert [s.reported for s in result.scores] == [(0, 0, 0), (15, 5, 5), (20, 20, 10), (40, 30, 10), (65, 55, 30)]
    assert result.extent == (28.0, 22.0, 11.0)
    assert result.stage is Stage.EXTENSIVE  # between 10 and 30, and FVC below 70


def test_scores_json_holds_what_the_design_promises(result, tmp_path):
    data = json.loads(write_json(result, tmp_path / "scores.json").read_text(encoding="utf-8"))
    wanted = {"case", "levels", "extent", "stage", "findings", "software", "models", "device", "seconds"}
    assert wanted <= set(data)
    assert data["case"] == "case_7"
    assert data["extent"] == {"tot": 28.0, "gg": 22.0, "ret": 11.0}
    assert data["stage"] == "extensive"
    assert [level["level"] for level in data["levels"]] == [1, 2, 3, 4, 5]
    third = data["levels"][2]
    assert third == {
        "level": 3,
        "name": "pulmonary venous confluence",
        "position_mm": 48.0,
        "slice_index": 25,
        "canonical_slice_index": 24,
        "source": "l_net",
        "spread_mm": 3.0,
        "tot": 20,
        "gg": 20,
        "ret": 10,
        "tot_raw": 22.0,
        "gg_raw": 18.0,
        "ret_raw": 8.0,
    }
    assert data["findings"][0] == {
        "code": "thick_slices",
        "severity": "warning",
        "message": "The slices are 5 mm thick.",
    }
    assert data["models"][0]["sha256"] == "ab" * 32
    assert data["whole_lung"] == pytest.approx({"tot": 9.475, "gg": 5.25, "ret": 4.75})
    assert data["scan"]["acquisition"] == {"kvp": 120.0, "kernel": "B70f"}
    assert len(data["heat_maps"]["derived_scores"]) == 5


def test_the_slice_index_is_the_files_own(result):
    voxels = np.random.default_rng(0).integers(-1000, 400, (50, 8, 6))
    for k, number in zip(result.slice_indices, result.file_slice_indices, strict=True):
        stored = voxels[number][:, ::-1]  # the file's columns run to the patient's right
        assert (result.scan.axial_slice(k) == stored).all()


def test_nothing_that_identifies_the_patient_is_written(result, tmp_path):
    text = write_json(result, tmp_path / "scores.json").read_text() + write_csv(result, tmp_path / "s.csv").read_text()
    assert not [word for word in ("Doe", "Jane", "jane", "4711", "/data/jane", str(tmp_path)) if word in text]


def test_scores_csv_starts_with_the_columns_of_every_score_table(result, tmp_path):
    with write_csv(result, tmp_path / "scores.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0][:5] == ["case", "level", "tot", "gg", "ret"]
    assert [row[:5] for row in rows[1:]] == [
        ["case_7", "1", "0", "0", "0"],
        ["case_7", "2", "15", "5", "5"],
        ["case_7", "3", "20", "20", "10"],
        ["case_7", "4", "40", "30", "10"],
        ["case_7", "5", "65", "55", "30"],
    ]


def test_a_result_read_back_says_the_same(result, tmp_path):
    path = write_json(result, tmp_path / "scores.json")
    again = read_json(path)
    assert again.to_dict() == {**result.to_dict(), "heat_maps": None}
    assert again.levels == result.levels
    assert again.scan is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "not json", '{"format": 1, "levels": [1]}'])
def test_a_file_that_is_no_result_is_refused(text, tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(text)
    with pytest.raises(TableError, match=r"scores\.json is not a result"):
        read_json(path)


def test_a_result_of_a_newer_version_is_refused(result, tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({**result.to_dict(), "format": 99}))
    with pytest.raises(TableError, match="newer version"):
        read_json(path)


def test_a_missing_result_is_refused(tmp_path):
    with pytest.raises(TableError, match="cannot be read"):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/patient 12.nii.gz", "patient_12"),
        ("scan.NRRD", "scan"),
        ("dicom/series.2/", "series.2"),
        ("../=cmd|calc.mha", "cmd_calc"),
        ("-rf.nii", "rf"),
        ("CON.nii", "case_CON"),
        ("...", "case"),
        ("Müller.mhd", "Müller"),
    ],
)
def test_a_case_is_named_after_its_file_and_usable_as_a_folder(path, name):
    assert case_name(path) == name


def test_a_very_long_name_is_cut():
    assert len(safe_name("x" * 500)) == 100


def test_values_that_json_does_not_know_become_plain():
    values = {"a": np.float32(0.5), "b": (np.int64(3), float("nan")), 4: np.arange(2), "e": None}
    assert plain(values) == {"a": 0.5, "b": [3, None], "4": [0, 1], "e": None}


def test_a_file_that_cannot_be_written_is_said_and_leaves_nothing(result, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match="cannot be written"):
        write_json(result, tmp_path / "file" / "scores.json")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_existing_result_survives_a_failed_write(result, tmp_path):
    path = write_json(result, tmp_path / "scores.json")
    before = path.read_bytes()
    broken = ScanResult(**{**vars(result), "settings": {"x": "\ud800"}})  # no UTF-8 for half a character
    with pytest.raises(UnicodeEncodeError):
        write_json(broken, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_results_need_all_five_levels(result):
    with pytest.raises(ValueError, match="five levels"):
        ScanResult(**{**vars(result), "scores": SCORES[:4]})
    with pytest.raises(ValueError, match="five levels"):
        ScanResult(**{**vars(result), "heat_maps": result.heat_maps[:2]})


# ---- heat maps as images -----------------------------------------------------------------------------------------


def arrangements():
    """Ways in which the same 10x8x6 block of a patient lies in a file: matrices from file index to LPS."""
    straight = np.diag([0.7, 0.8, 2.5, 1.0])
    straight[:3, 3] = (-20.0, 10.0, -300.0)
    turned = straight.copy()
    turned[:, [0, 1, 2]] = turned[:, [1, 2, 0]]  # sagittal: the file's i runs along y, j along z, k along x
    flipped = straight.copy()
    flipped[:, :3] *= (-1, 1, -1)
    angle = np.radians(20.0)
    oblique = straight.copy()
    rotation = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    oblique[:3, :3] = rotation @ straight[:3, :3]
    tilted = straight.copy()
    tilted[2, 1] = 0.3
    return {"straight": straight, "sagittal": turned, "flipped": flipped, "oblique": oblique, "tilted": tilted}


@pytest.mark.parametrize("name", list(arrangements()))
def test_a_heat_map_image_lies_on_the_files_own_voxels(name, tmp_path):
    matrix = arrangements()[name]
    stored = np.random.default_rng(4).integers(-1000, 400, (10, 8, 6)).astype(np.int16)
    scan = scan_from_array(stored, matrix)
    k = 3
    path = tmp_path / "slice.nrrd"
    sitk.WriteImage(slice_image(scan.axial_slice(k).astype(np.float32), scan, k), str(path), True)
    image = sitk.ReadImage(str(path))
    assert image.GetSize()[scan.file_slice_axis] == 1
    for index in np.ndindex(*image.GetSize()):
        number = list(index)
        number[scan.file_slice_axis] = scan.file_slice(k)
        world = (matrix @ (*number, 1.0))[:3]
        assert np.allclose(image.TransformIndexToPhysicalPoint(index), world, atol=1e-4)
        assert image.GetPixel(*index) == stored[number[2], number[1], number[0]]


def test_fifteen_heat_map_files_are_written_with_their_values(result, tmp_path):
    files = write_heat_maps(result.heat_maps, result.scan, result.slice_indices, tmp_path / "heatmaps")
    assert len(files) == 15
    assert sorted(p.name for p in (tmp_path / "heatmaps").iterdir()) == sorted(p.name for p in files)
    image = sitk.ReadImage(str(tmp_path / "heatmaps" / "level_2_gg.nrrd"))
    assert np.allclose(np.sort(sitk.GetArrayFromImage(image).ravel()), np.sort(result.heat_maps[1].maps[1].ravel()))


def test_a_map_of_another_size_is_refused(result):
    with pytest.raises(ValueError, match="shape"):
        slice_image(np.zeros((4, 4), np.float32), result.scan, 0)


def test_scores_csv_tells_level_agreement_where_the_scan_begins(result, tmp_path):
    """``sscild agreement --levels`` counts positions from the scan's lowest slice, as published, where it is told."""
    from SScILDScoringTrainingLib.agreement.reading import read_level_tables

    (table,) = read_level_tables(write_csv(result, tmp_path / "scores.csv"))
    assert table.bottoms == {result.case: pytest.approx(result.facts.bottom_mm, abs=1e-3)}
    assert table.values[:, 0].tolist() == pytest.approx([p.mm for p in result.levels], abs=1e-3)
