"""What a batch promises: every scan scored or listed with a reason, nothing scored twice, nothing lost when stopped."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicom_writer import chest_like, common, header, put_pixels
from small_bundles import s_net_bundle
from SScILDScoringLib.batch import score_folder
from SScILDScoringLib.batch_cases import find_cases, input_state
from SScILDScoringLib.cli import run
from SScILDScoringLib.devices import threads
from SScILDScoringLib.errors import Cancelled, ModelError, SettingsError, TableError
from SScILDScoringLib.heatmaps.replacement import HeatMapSettings
from SScILDScoringLib.phantom import DiseaseSpec, PhantomSpec, make_phantom
from SScILDScoringLib.phantom.writing import write_dicom, write_nifti
from SScILDScoringLib.pipeline import score_scan
from SScILDScoringLib.results import read_json
from SScILDScoringLib.worker.environment import worker_environment

DISEASE = DiseaseSpec(ground_glass=0.2, reticulation=0.1)


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


@pytest.fixture(scope="module")
def s_net(tmp_path_factory):
    return s_net_bundle(tmp_path_factory.mktemp("bundles") / "s", clear_outside_body=True)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSpec(seed=5, matrix=64, spacing=(5.7, 5.7, 7.0), disease=DISEASE))


@pytest.fixture(scope="module")
def scans_made_once(phantom, tmp_path_factory):
    """Two images, a DICOM series, one file that is none, and things that do not matter."""
    folder = tmp_path_factory.mktemp("made") / "scans"
    write_nifti(phantom, folder / "b patient.nii.gz")
    write_dicom(phantom, folder / "c_dicom" / "study")
    shutil.copy(folder / "b patient.nii.gz", folder / "d.nii.gz")
    (folder / "a_broken.nii.gz").write_bytes(b"\x1f\x8b not really")
    (folder / "notes.txt").write_text("nothing")
    (folder / ".hidden.nii.gz").write_text("nothing")
    return folder


@pytest.fixture
def scans(scans_made_once, tmp_path):
    return shutil.copytree(scans_made_once, tmp_path / "scans")


@pytest.fixture
def options(s_net):
    return {"l_net": False, "s_net": s_net, "heat_maps": False, "device": "cpu"}


def table(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def states(report):
    return {o.case: o.state for o in report.outcomes}


ALL = {"a_broken": "failed", "b_patient": "scored", "c_dicom": "scored", "d": "scored"}

# ---- a folder of scans -------------------------------------------------------------------------------------------


def test_a_folder_is_scored_and_what_fails_is_listed(scans, options, tmp_path, phantom):
    out = tmp_path / "out"
    report = score_folder(scans, out, **options)
    assert states(report) == ALL
    assert [row["case"] for row in table(out / "scores.csv")] == ["b_patient"] * 5 + ["c_dicom"] * 5 + ["d"] * 5
    (failure,) = table(out / "failures.csv")
    assert failure["case"] == "a_broken"
    assert "damaged" in failure["message"]
    assert "1 failed (see failures.csv)" in report.summary()
    alone = score_scan(scans / "b patient.nii.gz", **options)
    again = read_json(out / "b_patient" / "scores.json")
    assert again.scores == alone.scores
    assert again.seconds["read"] > 0
    first = table(out / "scores.csv")[0]
    assert float(first["tot_raw"]) == alone.scores[0].raw[0]
    cases = {row["case"]: row for row in table(out / "cases.csv")}
    assert list(cases) == ["b_patient", "c_dicom", "d"]
    assert [float(cases["d"][name]) for name in ("tot", "gg", "ret")] == list(alone.extent)
    assert (cases["d"]["stage"], cases["d"]["fvc_percent"]) == (alone.stage.value, "")
    assert int(cases["d"]["warnings"]) == sum(f.severity == "warning" for f in alone.findings)
    assert (out / "c_dicom" / "report.html").is_file()
    assert not (out / "a_broken").exists()


def test_a_second_run_scores_nothing_twice_and_tries_failures_again(scans, options, tmp_path, phantom):
    out = tmp_path / "out"
    score_folder(scans, out, **options)
    tables = {name: (out / name).read_bytes() for name in ("scores.csv", "cases.csv", "failures.csv", "batch.json")}
    written = (out / "d" / "scores.json").stat().st_mtime_ns
    again = score_folder(scans, out, **options)
    assert states(again) == {**dict.fromkeys(ALL, "finished"), "a_broken": "failed"}
    assert "3 finished before (same settings, same scan)" in again.summary()
    assert (out / "d" / "scores.json").stat().st_mtime_ns == written
    assert {name: (out / name).read_bytes() for name in tables} == tables
    shutil.copy(scans / "d.nii.gz", scans / "a_broken.nii.gz")
    mended = score_folder(scans, out, **options)
    assert states(mended)["a_broken"] == "scored"
    assert table(out / "failures.csv") == []
    assert len(table(out / "scores.csv")) == 20


def test_other_settings_are_not_mixed_in_without_being_asked(scans, options, tmp_path):
    out = tmp_path / "out"
    score_folder([scans / "b patient.nii.gz", scans / "d.nii.gz"], out, **options)
    before = (out / "scores.csv").read_bytes()
    with pytest.raises(SettingsError, match="b_patient, d that were made with other settings"):
        score_folder(scans, out, **{**options, "every_slice": True})
    assert (out / "scores.csv").read_bytes() == before
    one = score_folder([scans / "d.nii.gz"], out, overwrite=True, **{**options, "every_slice": True})
    assert states(one) == {"d": "scored"}
    assert one.other_settings == ("b_patient",)
    assert len(table(out / "scores.csv")) == 10
    assert read_json(out / "d" / "scores.json").profile is not None


def test_a_scan_that_changed_is_scored_again_only_when_asked(scans, options, tmp_path):
    out = tmp_path / "out"
    score_folder(scans / "d.nii.gz", out, **options)
    os.utime(scans / "d.nii.gz", (1, 1))
    with pytest.raises(SettingsError, match="another scan"):
        score_folder(scans / "d.nii.gz", out, **options)
    assert states(score_folder(scans / "d.nii.gz", out, overwrite=True, **options)) == {"d": "scored"}
    assert states(score_folder(scans / "d.nii.gz", out, overwrite=True, **options)) == {"d": "finished"}


def test_results_of_others_are_never_touched(scans, options, tmp_path):
    out = tmp_path / "out"
    (out / "d").mkdir(parents=True)
    (out / "d" / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(SettingsError):
            score_folder(scans / "d.nii.gz", out, overwrite=overwrite, **options)
    assert [p.name for p in (out / "d").iterdir()] == ["thesis.txt"]
    assert not (out / "scores.csv").exists()


def test_a_case_folder_that_was_deleted_is_scored_again(scans, options, tmp_path):
    out = tmp_path / "out"
    score_folder(scans / "d.nii.gz", out, **options)
    shutil.rmtree(out / "d")
    assert states(score_folder(scans / "d.nii.gz", out, **options)) == {"d": "scored"}


def test_nothing_identifies_the_patient(scans, options, tmp_path):
    secret = scans / "c_dicom"
    shutil.rmtree(secret)
    secret.mkdir()
    for k, plane in enumerate(chest_like(4)):  # too few slices: it fails, and its message must not tell either
        data = header(**common("1.2.3"), InstanceNumber=k + 1, ImagePositionPatient=[0, 0, k * 2.0])
        put_pixels(data, plane + 1024)
        data.save_as(secret / f"{k}.dcm", enforce_file_format=True)
    out = tmp_path / "out"
    score_folder(scans, out, **options)
    written = b"".join(p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file())
    for word in (b"Doe", b"Jane", b"SECRET", str(scans).encode()):
        assert word not in written


def test_heat_maps_and_more_writers_reach_every_case(scans, options, tmp_path):
    out = tmp_path / "out"
    coarse = HeatMapSettings(patch=24, step=16)

    def note(result, folder):
        (folder / "note.txt").write_text(result.case)

    score_folder([scans / "d.nii.gz"], out, **{**options, "heat_maps": True}, heat_map_settings=coarse, also=(note,))
    assert len(list((out / "d" / "heatmaps").glob("*.nrrd"))) == 15
    assert (out / "d" / "note.txt").read_text() == "d"


# ---- stopping ----------------------------------------------------------------------------------------------------


def test_a_cancelled_batch_keeps_what_is_finished_and_goes_on(scans, options, tmp_path):
    out = tmp_path / "out"

    def until_third(stage, fraction, message):
        if message.startswith("3 of 4") and "score" in message.lower():
            raise Cancelled

    with pytest.raises(Cancelled):
        score_folder(scans, out, progress=until_third, **options)
    assert [row["case"] for row in table(out / "scores.csv")] == ["b_patient"] * 5
    assert [row["case"] for row in table(out / "failures.csv")] == ["a_broken"]
    assert sorted(p.name for p in out.iterdir()) == [
        "b_patient",
        "batch.json",
        "cases.csv",
        "failures.csv",
        "scores.csv",
    ]
    assert states(score_folder(scans, out, **options)) == {**ALL, "b_patient": "finished"}


def test_progress_runs_once_over_all_cases(scans, options, tmp_path):
    heard = []
    score_folder(scans, tmp_path / "out", progress=lambda *event: heard.append(event), **options)
    assert {stage for stage, _, _ in heard} == {"batch"}
    fractions = [fraction for _, fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.1
    assert fractions[-1] == 1.0
    assert any("3 of 4, c_dicom" in message for _, _, message in heard)


def test_ctrl_c_keeps_everything_finished(phantom, s_net, tmp_path):
    scans, out = tmp_path / "scans", tmp_path / "out"
    for name in "abcdef":
        write_nifti(phantom, scans / f"{name}.nii.gz")
    command = [sys.executable, "-m", "SScILDScoringLib", "batch", str(scans), "-o", str(out)]
    command += ["--l-net", "none", "--s-net", str(s_net.folder), "--no-heat-maps"]
    process = subprocess.Popen(
        command,
        env=worker_environment({"OMP_NUM_THREADS": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 120
    while not (out / "scores.csv").is_file() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Stopped" in errors
    rows = table(out / "scores.csv")
    done = {row["case"] for row in rows}
    assert len(rows) == 5 * len(done) > 0
    assert len(done) < 6
    assert {p.name for p in out.iterdir()} == done | {"batch.json", "cases.csv", "failures.csv", "scores.csv"}
    state = json.loads((out / "batch.json").read_text())
    assert set(state["cases"]) == done


# ---- which scans, and their names ----------------------------------------------------------------------------------


def test_scans_of_the_same_name_get_names_of_their_own(tmp_path):
    for name in ("one/ct.nii.gz", "two/ct.nii.gz", "two/ct.nrrd", "three.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"-")
    cases = find_cases(tmp_path)
    assert {c.name for c in cases} == {"one_ct", "two_ct_nii_gz", "two_ct_nrrd", "three"}
    assert len({c.path for c in cases}) == 4
    listed = find_cases([tmp_path / "two" / "ct.nrrd", tmp_path / "two" / "ct.nrrd"])
    assert [c.name for c in listed] == ["ct"]


def test_a_folder_that_holds_dicom_files_is_one_case(scans, tmp_path):
    assert [c.name for c in find_cases(scans / "c_dicom" / "study")] == ["study"]


def test_the_results_among_the_scans_are_not_taken_for_a_scan(scans, options):
    out = scans / "results"
    out.mkdir()
    names = [c.name for c in find_cases(scans, leave_out=out)]
    assert names == ["a_broken", "b_patient", "c_dicom", "d"]


def test_a_table_names_the_cases_and_gives_their_lung_function(scans, options, tmp_path):
    cohort = scans / "cohort.csv"
    cohort.write_text("# ours\npath,case,fvc_percent\nd.nii.gz,lady 1,62\nb patient.nii.gz,,\n")
    cases = find_cases(cohort)
    assert [(c.name, c.fvc_percent) for c in cases] == [("lady_1", 62.0), ("b_patient", None)]
    out = tmp_path / "out"
    report = score_folder(cohort, out, **options)
    assert states(report) == {"lady_1": "scored", "b_patient": "scored"}
    assert read_json(out / "lady_1" / "scores.json").fvc_percent == 62


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("case\na\n", "no column path"),
        ("path\n\n,\n", "no path"),
        ("path,fvc_percent\nd.nii.gz,good\n", "Row 1 .* is a number"),
        ("path,fvc_percent\nd.nii.gz,0.7\n", "Row 1 .* percent of the predicted"),
    ],
)
def test_a_wrong_table_is_refused_with_the_row(scans, text, words):
    (scans / "list.csv").write_text(text)
    with pytest.raises(TableError, match=words):
        find_cases(scans / "list.csv")


def test_two_rows_of_one_name_are_refused(scans):
    (scans / "list.csv").write_text("path,case\nd.nii.gz,x\nb patient.nii.gz,X\n")
    with pytest.raises(SettingsError, match="Two scans would be the case"):
        find_cases(scans / "list.csv")


def test_a_folder_without_scans_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(SettingsError, match="holds no scans"):
        find_cases(tmp_path)


def test_a_scan_is_the_same_until_one_of_its_files_changes(scans):
    folder, image = scans / "c_dicom", scans / "d.nii.gz"
    before = input_state(folder), input_state(image)
    assert (input_state(folder), input_state(image)) == before
    next(folder.rglob("*.dcm")).unlink()
    with image.open("ab") as stream:
        stream.write(b"\0")
    assert input_state(folder) != before[0]
    assert input_state(image) != before[1]
    header_file, voxels = scans / "x.mhd", scans / "x.raw"
    header_file.write_text("NDims = 3")
    voxels.write_bytes(b"1")
    alone = input_state(header_file)
    voxels.write_bytes(b"12")
    assert input_state(header_file) != alone


# ---- mistakes, and the command -------------------------------------------------------------------------------------


def test_mistakes_are_said_before_the_work(scans, options, tmp_path):
    def no_work(stage, fraction, message):
        raise AssertionError(message)

    for wrong, error in (
        ({"s_net": "absent"}, ModelError),
        ({"device": "gpu"}, SettingsError),
    ):
        with pytest.raises(error):
            score_folder(scans, tmp_path / "out", progress=no_work, **{**options, **wrong})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": 1, "cases": {"../../elsewhere": {"state": "scored", "settings": "a", "input": "b"}}}',
        '{"format": 1, "cases": {"d": {"state": "dreamt"}}}',
        '{"format": 1, "cases": {"d": {"state": "failed"}}}',
    ],
)
def test_a_damaged_record_is_not_guessed_at(scans, options, tmp_path, text):
    out = tmp_path / "out"
    out.mkdir()
    (out / "batch.json").write_text(text)
    with pytest.raises(SettingsError, match=r"batch\.json cannot be read"):
        score_folder(scans, out, **options)


def test_the_command_ends_with_0_1_or_2(scans, s_net, tmp_path, capsys):
    out = tmp_path / "out"
    common_options = ["--l-net", "none", "--s-net", str(s_net.folder), "--no-heat-maps", "--device", "cpu"]

    def batch(*arguments):
        code = run(arguments=["batch", *map(str, arguments), *common_options])
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    code, output, errors = batch(scans / "d.nii.gz", "-o", out)
    assert code == 0, errors
    assert "[1/1] d: TOT" in output
    assert "1 scan: 1 scored" in output
    code, output, errors = batch(scans, "-o", out)
    assert code == 1
    assert "[1/4] a_broken: " in errors
    assert "(finished before)" in output
    assert "4 scans: 2 scored, 1 finished before" in output
    code, _, errors = batch(scans)
    assert (code, "-o" in errors) == (2, True)
    code, _, errors = batch(scans, "-o", out, "--every-slice")
    assert code == 2
    assert errors.count("\n") == 1
    assert "--overwrite" in errors
    code, output, _ = batch(scans / "d.nii.gz", "-o", out, "--quiet")
    assert code == 0
    assert output.count("\n") == 1


def test_the_command_explains_itself(capsys):
    assert run(arguments=["batch", "--help"]) == 0
    assert "Example: sscild batch scans -o results" in " ".join(capsys.readouterr().out.split())
    assert run(arguments=["--help"]) == 0
    shown = capsys.readouterr().out
    assert "batch" in shown
    assert "worker" not in shown
