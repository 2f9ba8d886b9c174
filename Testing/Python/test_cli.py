"""What the command line promises: one clear sentence for every mistake, nothing half-written, nothing leaked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
import torch
import typer

from SScILDScoringLib.cli import run
from SScILDScoringLib.commands.demo import run_demo
from SScILDScoringLib.commands.terminal import STAGES
from SScILDScoringLib.errors import Cancelled, SettingsError
from SScILDScoringLib.given_levels import given_levels
from SScILDScoringLib.models import write_bundle
from SScILDScoringLib.networks import build_s_net
from SScILDScoringLib.outputs import write_case
from SScILDScoringLib.phantom import DiseaseSpec, PhantomSpec, make_phantom
from SScILDScoringLib.phantom.writing import write_dicom, write_nifti
from SScILDScoringLib.pipeline import score_scan
from SScILDScoringLib.preprocessing import SliceInput

LIBRARY = Path(__file__).resolve().parents[2] / "SScILDScoring"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(LIBRARY), "COLUMNS": "150"}
SMALL = PhantomSpec(seed=5, matrix=96, spacing=(3.8, 3.8, 5.0), disease=DiseaseSpec(ground_glass=0.2, reticulation=0.1))
FILES = {"scores.json", "scores.csv", "report.html", "heatmaps", "levels.mrk.json", "scene.mrb"}


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(SMALL)


@pytest.fixture(scope="module")
def ct(phantom, tmp_path_factory) -> Path:
    """A small phantom as NIfTI."""
    return write_nifti(phantom, tmp_path_factory.mktemp("ct") / "lady.nii.gz")


@pytest.fixture(scope="module")
def s_net(tmp_path_factory) -> Path:
    """A small S-Net bundle as training writes it; its weights are untrained, so its scores mean nothing."""
    torch.manual_seed(1)
    network = build_s_net("compact_ratio", widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), stem_stride=4, head_width=8)
    bundle = write_bundle(
        tmp_path_factory.mktemp("models") / "small_scores",
        network,
        "s_net",
        SliceInput(size=64),
        description="Untrained, for tests.",
        licence_text="Apache-2.0",
        training_data=[{"name": "none", "licence": "none", "citation": "none"}],
        notice="Untrained weights for tests.",
        heat_maps={"thresholds": {"tot": -0.5, "gg": -0.5, "ret": -0.5}},
    )
    return bundle.folder


@pytest.fixture
def score(ct, s_net, tmp_path, capsys):
    """Runs ``sscild score`` on the phantom (or given arguments) and returns exit code, stdout and stderr."""

    def call(*arguments: object, cts=(ct,), out=tmp_path / "out", maps=False):
        options = ["--s-net", s_net, "-o", out, *(() if maps else ("--no-heat-maps",))]
        code = run(arguments=[str(a) for a in ("score", *cts, *options, *arguments)])
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return call


@pytest.fixture(autouse=True)
def models_of_nobody(tmp_path_factory, monkeypatch):
    """The user's own models are neither used nor touched."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    monkeypatch.delenv("SSCILD_MODELS", raising=False)


def process(*arguments: object) -> subprocess.CompletedProcess:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "SScILDScoringLib", *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)


# ---- around every command ----------------------------------------------------------------------------------------


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from SScILDScoringLib.cli import run; code = run(arguments=['--help']);"
        "heavy = {'torch', 'numpy', 'SimpleITK', 'pydicom', 'PIL', 'jinja2'} & set(sys.modules);"
        "print(sorted(heavy), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")
    assert "sscild" in done.stdout


@pytest.mark.parametrize("command", ["demo", "score", "phantom", "doctor", "models"])
def test_every_command_explains_itself_with_an_example(command, capsys):
    assert run(arguments=[command, "--help"]) == 0
    assert "Example: sscild " + command in " ".join(capsys.readouterr().out.split())


def test_the_version_is_told(capsys):
    assert run(arguments=["--version"]) == 0
    assert capsys.readouterr().out.startswith("sscild ")


@pytest.mark.parametrize("line", ["score", "paint", "score x --colour red", "score x --fvc good", "models fly"])
def test_a_wrong_command_line_ends_with_2(line, capsys):
    assert run(arguments=line.split()) == 2
    assert "Traceback" not in capsys.readouterr().err


def failing_app() -> typer.Typer:
    """Another application, as the training library has one, with a defect and a user's mistake."""
    application = typer.Typer()

    @application.command()
    def defect() -> None:
        raise KeyError("engine\nroom")

    @application.command()
    def mistake() -> None:
        raise SettingsError("The setting is wrong;\nchoose another.")

    return application


def test_a_defect_is_one_line_with_a_hint_and_exit_code_1(capsys):
    assert run(failing_app(), ["defect"]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "KeyError" in error
    assert "--debug" in error


def test_debug_shows_the_traceback_wherever_it_stands(capsys):
    assert run(failing_app(), ["defect", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_mistake_is_one_line_and_exit_code_2(capsys):
    assert run(failing_app(), ["mistake"]) == 2
    assert capsys.readouterr().err == "sscild: The setting is wrong; choose another.\n"


def test_signal_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run(arguments=["--version"])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# ---- levels given by a person ---------------------------------------------------------------------------------------


def test_levels_can_be_typed():
    assert given_levels("-95,-130,-160.5,-185,-2.1e2").mm == (-95, -130, -160.5, -185, -210)
    assert given_levels(" 50 40; 30\t20, 10 ").mm == (50, 40, 30, 20, 10)


def test_levels_can_come_from_files(tmp_path):
    rows = "case,level,position_mm\n" + "".join(f"a,{n},{100 - n}\nb,L{n},{50 - n}\n" for n in range(1, 6))
    (tmp_path / "two.csv").write_text(rows, encoding="utf-8-sig")
    (tmp_path / "plain.txt").write_text("50\n40\n30\n20\n10\n", encoding="utf-8")
    levels = [{"level": n, "position_mm": 60.0 - n} for n in (5, 4, 3, 2, 1)]
    (tmp_path / "scores.json").write_text(json.dumps({"levels": levels}), encoding="utf-8")
    assert given_levels(str(tmp_path / "two.csv"), "b").mm == (49, 48, 47, 46, 45)
    assert given_levels(str(tmp_path / "plain.txt")).mm == (50, 40, 30, 20, 10)
    assert given_levels(str(tmp_path / "scores.json")).mm == (59, 58, 57, 56, 55)
    assert {p.source for p in given_levels(str(tmp_path / "plain.txt"))} == {"given"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("50,40,30,20", "five numbers"),
        ("50,40,30,20,x", "five numbers"),
        ("50,40,30,35,10", "must lie above"),
        ("nan,40,30,20,10", "five numbers"),
        ('{"levels": [{"level": 1}]}', "no five levels"),
        ('{"levels": 7}', "no five levels"),
        ("level,position_mm\n1,50\n", "does not have the levels 1 to 5"),
        ("level,position_mm\n1,50\n1,49\n", "level 1 twice"),
        ("level,position_mm\n1,high\n", "a row without a level"),
    ],
)
def test_levels_that_cannot_be_used_say_why(content, says, tmp_path):
    path = tmp_path / "levels.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=says):
        given_levels(str(path))


@pytest.mark.parametrize("text", ["nowhere.csv", "/no/such,place", "1,2,3", "100"])
def test_levels_typed_wrong_say_why(text):
    with pytest.raises(SettingsError):
        given_levels(text)


def test_binary_files_are_no_levels(tmp_path):
    (tmp_path / "x.bin").write_bytes(bytes(range(256)))
    with pytest.raises(SettingsError, match="cannot be read as text"):
        given_levels(str(tmp_path / "x.bin"))


# ---- score -----------------------------------------------------------------------------------------------------------


def test_one_command_takes_a_ct_to_scores_heat_maps_and_report(score, ct, tmp_path):
    code, out, err = score(maps=True)
    assert code == 0, err
    folder = tmp_path / "out" / "lady"
    assert {p.name for p in folder.iterdir()} == FILES
    assert len(list((folder / "heatmaps").iterdir())) == 15
    data = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert data["case"] == "lady"
    assert [row["level"] for row in data["levels"]] == [1, 2, 3, 4, 5]
    assert {row["source"] for row in data["levels"]} == {"l_net"}
    assert [model["name"] for model in data["models"]] == ["l_net_starter", "small_scores"]
    assert data["seconds"]["read"] > 0
    for level in ("L1", "L2", "L3", "L4", "L5"):
        assert level in out
    for expected in ("Goh stage", str(folder), "For research use only", "Untrained weights for tests."):
        assert expected in out
    heat_map = sitk.ReadImage(str(folder / "heatmaps" / "level_1_tot.nrrd"))
    assert heat_map.GetSize() == (96, 96, 1)
    assert "Traceback" not in err


def test_the_stages_are_told_line_by_line_when_nobody_watches_a_terminal(score):
    _, _, err = score()
    lines = [line.split("] ")[1] for line in err.splitlines()]
    assert lines[0] == STAGES["read"]
    assert lines[-1] == STAGES["report"]
    assert len(lines) == len(set(lines))


def test_quiet_is_one_line(score):
    code, out, err = score("--quiet")
    assert (code, err) == (0, "")
    assert out.startswith("lady: TOT ")
    assert len(out.splitlines()) == 1


def wrong_cts(folder: Path) -> dict[str, Path]:
    """What people give by mistake."""
    cases = {
        name: folder / name for name in ("no such file.nii.gz", "empty", "note.txt", "damaged.nii.gz", "empty.nii")
    }
    cases["empty"].mkdir()
    cases["note.txt"].write_text("This is no CT.", encoding="utf-8")
    cases["damaged.nii.gz"].write_bytes(b"\x1f\x8b\x08" + bytes(50))
    cases["empty.nii"].write_bytes(b"")
    one = sitk.Image(16, 16, 1, sitk.sitkInt16)
    sitk.WriteImage(one, str(folder / "one_slice.nrrd"))
    no_lung = sitk.Image(32, 32, 20, sitk.sitkInt16)
    sitk.WriteImage(no_lung, str(folder / "water.mha"))
    return {**cases, "one_slice": folder / "one_slice.nrrd", "no lung": folder / "water.mha"}


WRONG = ["no such file.nii.gz", "empty", "note.txt", "damaged.nii.gz", "empty.nii", "one_slice", "no lung"]


@pytest.mark.parametrize("which", WRONG)
def test_what_cannot_be_scored_is_refused_in_one_line_and_nothing_is_written(which, score, tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    path = wrong_cts(folder)[which]
    before = sorted(tmp_path.rglob("*"))
    code, out, err = score("--quiet", cts=[path])
    assert code == 2
    assert out == ""
    assert err.startswith("sscild: ")
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fvc", "0.65"], "FVC is given in percent"),
        (["--levels", "1,2,3"], "five numbers"),
        (["--levels", "900,800,700,600,500"], "outside the scan"),
        (["--device", "toaster"], "no device"),
        (["--lungs", "nowhere.nii"], "nowhere.nii"),
        (["--series", "1.2.3"], "series"),
        (["--l-net", "nobody"], "nobody"),
    ],
)
def test_options_that_cannot_be_used_are_refused_in_one_line(arguments, says, score, tmp_path):
    code, out, err = score("--quiet", *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_without_a_place_for_results_one_is_asked_for(ct, capsys):
    assert run(arguments=["score", str(ct)]) == 2
    assert "-o" in capsys.readouterr().err


def test_results_are_not_overwritten_unless_asked(score, tmp_path):
    assert score()[0] == 0
    report = tmp_path / "out" / "lady" / "report.html"
    before = report.read_bytes()
    code, _, err = score("--levels", "0,-1,-2,-3,-4")
    assert code == 2
    assert "--overwrite" in err
    assert report.read_bytes() == before


def test_overwriting_replaces_our_files_and_keeps_those_of_others(score, tmp_path):
    folder = tmp_path / "out" / "lady"
    assert score()[0] == 0
    (folder / "heatmaps").mkdir()
    (folder / "heatmaps" / "level_1_tot.nrrd").write_bytes(b"of the earlier run")
    (folder / "note of the radiologist.txt").write_text("mine", encoding="utf-8")
    assert score("--overwrite", "--fvc", "65")[0] == 0
    assert {p.name for p in folder.iterdir()} == FILES - {"heatmaps"} | {"note of the radiologist.txt"}
    assert json.loads((folder / "scores.json").read_text(encoding="utf-8"))["fvc_percent"] == 65
    assert [p.name for p in folder.parent.iterdir()] == ["lady"]


def test_a_folder_that_holds_something_else_is_never_overwritten(score, tmp_path):
    folder = tmp_path / "out" / "lady"
    folder.mkdir(parents=True)
    (folder / "thesis.doc").write_text("years of work", encoding="utf-8")
    code, _, err = score("--overwrite")
    assert code == 2
    assert "left as it is" in err
    assert [p.name for p in folder.iterdir()] == ["thesis.doc"]


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_place_that_is_a_file_is_refused_before_the_work(below, score, tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    code, _, err = score(out=tmp_path / "file" / below)
    assert code == 2
    assert err.splitlines() == [
        f"sscild: Nothing can be written to {tmp_path / 'file'}; choose another folder with -o."
    ]


def test_of_several_cts_the_good_ones_are_kept(score, ct, tmp_path):
    bad = tmp_path / "bad.nii.gz"
    bad.write_text("no CT", encoding="utf-8")
    code, out, err = score("--quiet", cts=[bad, ct])
    assert code == 2
    assert "sscild: bad: " in err
    assert "1 of 2" in err
    assert out.startswith("lady: ")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"lady"}


def test_two_cts_of_one_name_are_not_written_over_each_other(score, ct, tmp_path):
    twin = tmp_path / ct.name
    twin.write_bytes(ct.read_bytes())
    code, _, err = score(cts=[ct, twin])
    assert code == 2
    assert "--case" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [["--case", "x"], ["--levels", "5,4,3,2,1"], ["--series", "1.2"], ["--lungs", "m"]])
def test_options_of_one_ct_are_refused_for_several(option, score, ct, tmp_path):
    code, _, err = score(*option, cts=[ct, tmp_path / "other.nii"])
    assert code == 2
    assert option[0] in err


def test_given_levels_and_a_case_name_are_used(score, phantom, tmp_path):
    typed = ",".join(f"{mm:.1f}" for mm in phantom.levels.mm)
    assert score("--levels", typed, "--case", "Miss M./1")[0] == 0
    (folder,) = (tmp_path / "out").iterdir()
    rows = json.loads((folder / "scores.json").read_text(encoding="utf-8"))["levels"]
    assert folder.name == "Miss_M._1"
    assert [row["position_mm"] for row in rows] == pytest.approx(phantom.levels.mm, abs=0.051)
    assert {row["source"] for row in rows} == {"given"}


def test_results_can_be_given_back_as_levels(score, tmp_path):
    assert score()[0] == 0
    first = tmp_path / "out" / "lady"
    assert score("--levels", first / "scores.csv", out=tmp_path / "again")[0] == 0
    again = json.loads((tmp_path / "again" / "lady" / "scores.json").read_text(encoding="utf-8"))
    before = json.loads((first / "scores.json").read_text(encoding="utf-8"))
    for a, b in zip(again["levels"], before["levels"], strict=True):
        assert (a["slice_index"], a["tot_raw"]) == (b["slice_index"], pytest.approx(b["tot_raw"], abs=1e-3))
    assert given_levels(str(first / "scores.json")).mm == given_levels(str(first / "scores.csv")).mm


# ---- patients --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dicom(phantom, tmp_path_factory) -> Path:
    """The phantom as a DICOM series of somebody with a name."""
    folder = write_dicom(phantom, tmp_path_factory.mktemp("dicom") / "series7", patient_id="PID-55667")
    for path in folder.iterdir():
        header = pydicom.dcmread(path)
        header.PatientName, header.AccessionNumber = "Curie^Marie", "ACC-99118"
        header.ReferringPhysicianName, header.InstitutionName = "Laennec^Rene", "Hopital Necker"
        header.PatientBirthDate, header.StudyDate = "18671107", "20010911"
        header.PatientComments = "sister of Bronislawa"
        header.save_as(path)
    return folder


SECRETS = ("Curie", "PID-55667", "ACC-99118", "Laennec", "Necker", "18671107", "20010911", "Bronislawa")


def everything_in(folder: Path) -> bytes:
    """Names and content of all files, also of those packed into Slicer's scene."""
    found = [p.name.encode() + p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()]
    for path in folder.rglob("*.mrb"):
        with zipfile.ZipFile(path) as archive:
            found += [name.encode() + archive.read(name) for name in archive.namelist()]
    return b"\n".join(found)


def test_nothing_that_names_the_patient_is_written(score, dicom, tmp_path):
    code, out, err = score(cts=[dicom])
    assert code == 0, err
    uid = pydicom.dcmread(next(dicom.iterdir())).SeriesInstanceUID
    written = everything_in(tmp_path / "out")
    for secret in (*SECRETS, uid, str(dicom.parent)):
        assert secret.encode() not in written
        assert secret not in out + err


def test_identifiers_are_written_when_asked_for(score, dicom, tmp_path):
    assert score("--identifiers", cts=[dicom])[0] == 0
    folder = tmp_path / "out" / "series7"
    data = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert data["identifiers"]["PatientID"] == "PID-55667"
    assert "Curie" in (folder / "report.html").read_text(encoding="utf-8")


def test_series_can_be_listed(dicom, capsys):
    assert run(arguments=["score", str(dicom), "--list-series"]) == 0
    out = capsys.readouterr().out
    assert f"* {pydicom.dcmread(next(dicom.iterdir())).SeriesInstanceUID}" in out
    assert "synthetic chest CT" in out


# ---- stopping --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_program_leaves_nothing_behind(number, code, ct, s_net, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-u", "-m", "SScILDScoringLib", "score", str(ct), "-o", str(out), "--s-net", str(s_net)]
    running = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    first = running.stderr.readline()  # it is at work now
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert STAGES["read"] in first
    assert running.returncode == code
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("sscild: Stopped")
    assert not out.exists()


def test_cancelling_while_results_are_written_keeps_the_earlier_ones(score, ct, s_net, tmp_path):
    assert score()[0] == 0
    folder = tmp_path / "out" / "lady"
    before = everything_in(folder)

    def cancel(stage: str, fraction: float, message: str) -> None:
        if stage == "report" and fraction > 0:
            raise Cancelled

    result = score_scan(ct, l_net=False, s_net=s_net, heat_maps=False)
    with pytest.raises(Cancelled):
        write_case(result, tmp_path / "out", overwrite=True, progress=cancel)
    assert everything_in(folder) == before
    with pytest.raises(Cancelled):
        write_case(result, tmp_path / "new" / "place", progress=cancel)
    assert not (tmp_path / "new").exists()


# ---- other commands --------------------------------------------------------------------------------------------------


def test_the_demo_compares_with_the_truth(s_net, tmp_path):
    result, truth, folder = run_demo(tmp_path, spec=SMALL, s_net=str(s_net), l_net=False, heat_maps=False)
    assert folder == tmp_path / "phantom"
    assert {p.name for p in folder.iterdir()} == FILES - {"heatmaps"}
    assert "phantom's truth" in (folder / "report.html").read_text(encoding="utf-8").replace("&#39;", "'")
    phantom = make_phantom(SMALL)
    assert truth.levels == phantom.levels
    assert truth.scores[4] == phantom.scores(result.slice_indices[4])
    run_demo(tmp_path, spec=SMALL, s_net=str(s_net), l_net=False, heat_maps=False)  # again, in the same place


def test_phantoms_are_written_with_their_table_and_are_the_same_for_the_same_seed(tmp_path, capsys):
    from SScILDScoringLib.phantom.writing import write_cohort

    table = write_cohort(tmp_path / "a", 1, 3, matrix=64, slices=40)
    write_cohort(tmp_path / "b", 1, 3, matrix=64, slices=40)
    assert table.read_text(encoding="utf-8") == (tmp_path / "b" / table.name).read_text(encoding="utf-8")
    assert run(arguments=["phantom", "-n", "0", "-o", str(tmp_path)]) == 2
    assert run(arguments=["phantom", "-o", str(table)]) == 2


def test_models_are_installed_used_verified_and_removed(s_net, capsys):
    def models(*arguments: object) -> str:
        assert run(arguments=["models", *map(str, arguments)]) == 0
        return capsys.readouterr().out

    assert "small_scores" not in models("list")
    assert "small_scores" in models("install", s_net, "--use")
    assert "* small_scores" in " ".join(models("list").split())
    shown = models("show", "small_scores")
    assert "Untrained weights for tests." in shown
    assert "S-Net" in shown
    assert "whole" in models("verify", "small_scores")
    models("remove", "small_scores")
    assert "small_scores" not in models("list")


def test_an_altered_model_is_found_out(s_net, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(s_net, copy)
    weights = copy / "models" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert run(arguments=["models", "verify", str(copy)]) == 2
    assert "altered" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["show nobody", "remove nobody", "install nowhere", "use nobody", "use"])
def test_models_that_are_not_there_are_one_line(line, capsys):
    assert run(arguments=["models", *line.split()]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
