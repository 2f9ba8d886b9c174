"""What client and worker promise each other: checked messages, arrays that stay in their folder, exact values."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace

import numpy as np
import pytest

from SScILDScoringLib.explanations import ExplanationMaps
from SScILDScoringLib.findings import Finding
from SScILDScoringLib.heatmaps.maps import HeatMaps
from SScILDScoringLib.heatmaps.replacement import HeatMapSettings
from SScILDScoringLib.levels import LevelError, Levels
from SScILDScoringLib.results import ScanFacts, ScanResult
from SScILDScoringLib.scan import scan_from_array
from SScILDScoringLib.scores import LungProfile, SliceScores
from SScILDScoringLib.session import FoundLevels
from SScILDScoringLib.worker import arrays, private_folder, protocol, values
from SScILDScoringLib.worker.environment import LIBRARY, worker_environment, worker_python
from SScILDScoringLib.worker.pipes import PolledPipe, ThreadedPipe
from SScILDScoringLib.worker.private_folder import PrivateFolder, is_private, remove_orphans
from SScILDScoringLib.worker.protocol import Lines, ProtocolError, WorkerError, decode, encode, version_conflict

# ---- messages ----------------------------------------------------------------------------------------------------

REQUEST = {"id": 3, "op": "score", "params": {"levels": [1.5]}, "arrays": {"voxels": "3-in-voxels.npy"}}


def test_a_message_is_one_line_that_reads_back_the_same():
    line = encode("request", **REQUEST)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == {"kind": "request", **REQUEST}


def test_sentences_in_any_language_and_with_line_breaks_stay_one_line():
    line = encode("failed", id=1, message="Größe\n二", user_error=True)
    assert line.count(b"\n") == 1
    assert decode(line)["message"] == "Größe\n二"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"[]",
        b"3",
        b'{"kind":"dance"}',
        b'{"op":"score"}',
        b'{"kind":"request","id":1,"op":"score","params":{}}',
        b'{"kind":"request","id":1,"op":"score","params":{},"arrays":{},"more":1}',
        b'{"kind":"request","id":"1","op":"score","params":{},"arrays":{}}',
        b'{"kind":"request","id":true,"op":"score","params":{},"arrays":{}}',
        b'{"kind":"request","id":1,"op":"score","params":[],"arrays":{}}',
        b'{"kind":"request","id":1,"op":"score","params":{},"arrays":{"a":1}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
    ids=lambda line: repr(line[:40]),
)
def test_what_is_no_message_is_refused(line):
    with pytest.raises(ProtocolError):
        decode(line)


def test_values_that_json_does_not_know_are_not_sent():
    for value in (float("nan"), object(), np.float32(1)):
        with pytest.raises(ProtocolError):
            encode("result", id=1, value=value, arrays={}, keep={})


def test_lines_are_found_however_the_pipe_cuts_them():
    data = b"one\ntwo\r\n\nthree\nrest"
    for size in (1, 2, 5, 100):
        lines = Lines()
        found = [line for i in range(0, len(data), size) for line in lines.feed(data[i : i + size])]
        assert [line.strip() for line in found] == [b"one", b"two", b"three"]


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(protocol, "LONGEST_LINE", 10)
    lines = Lines()
    assert list(lines.feed(b"x" * 100)) == []
    assert list(lines.feed(b"\nshort\n")) == [b"short"]


def test_only_the_same_version_and_protocol_go_together():
    assert version_conflict(protocol.PROTOCOL, "1.0", "1.0") is None
    assert "different versions (2.0, protocol" in version_conflict(protocol.PROTOCOL, "2.0", "1.0")
    assert "protocol 99" in version_conflict(99, "1.0", "1.0")


# ---- arrays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mapped", [True, False])
def test_arrays_come_back_as_they_were_and_read_only(tmp_path, mapped):
    for dtype in (np.int16, np.uint8, np.float32, bool):
        array = (np.arange(24).reshape(2, 3, 4) % 2).astype(dtype)
        arrays.write_array(tmp_path, "1-a.npy", array)
        again = arrays.read_array(tmp_path, "1-a.npy", mapped)
        assert again.dtype == array.dtype
        assert (again == array).all()
        assert not again.flags.writeable
    assert [p.name for p in tmp_path.iterdir()] == ["1-a.npy"]


def test_a_mapped_array_keeps_its_values_when_its_file_is_replaced_or_removed(tmp_path):
    arrays.write_array(tmp_path, "1-a.npy", np.ones(5000))
    before = arrays.read_array(tmp_path, "1-a.npy", mapped=True)
    arrays.write_array(tmp_path, "1-a.npy", np.zeros(5000))
    (tmp_path / "1-a.npy").unlink()
    assert (before == 1).all()


@pytest.mark.parametrize(
    "file",
    ["../1-a.npy", "/etc/passwd", "1-a.npy/../../b", "1-../a.npy", "a.npy", "1-a.npz", "1-a.npy\n", "", "1-A b.npy"],
)
def test_no_name_leads_out_of_the_folder(tmp_path, file):
    inside = tmp_path / "inside"
    inside.mkdir()
    np.save(tmp_path / "1-a.npy", np.ones(3))
    with pytest.raises(ProtocolError):
        arrays.read_array(inside, file)
    with pytest.raises(ProtocolError):
        arrays.write_array(inside, file, np.ones(3))


def test_a_link_is_not_followed(tmp_path):
    np.save(tmp_path / "1-secret.npy", np.ones(3))
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "1-a.npy").symlink_to(tmp_path / "1-secret.npy")
    with pytest.raises(ProtocolError):
        arrays.read_array(inside, "1-a.npy")


def test_nothing_is_pickled_and_nothing_unpickled(tmp_path):
    with pytest.raises(ProtocolError, match="objects"):
        arrays.write_array(tmp_path, "1-a.npy", np.array([{}, None], dtype=object))
    np.save(tmp_path / "1-b.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    (tmp_path / "1-c.npy").write_bytes(b"\x80\x04K\x01.")
    for file in ("1-b.npy", "1-c.npy", "1-absent.npy"):
        with pytest.raises(ProtocolError):
            arrays.read_array(tmp_path, file)


# ---- the private folder --------------------------------------------------------------------------------------------


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A place for temporary files of this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_is_for_its_user_alone_and_goes_with_its_client(temporary):
    folder = PrivateFolder()
    assert folder.path.parent == temporary
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert is_private(folder.path)
    folder.remove()
    assert list(temporary.iterdir()) == []


def test_arrays_of_earlier_scans_are_removed_when_another_is_open(temporary):
    folder = PrivateFolder()
    for file in ("2-in-voxels.npy", "2-lungs.npy", "10-in-voxels.npy"):
        arrays.write_array(folder.path, file, np.zeros(3))
    folder.remove_older(10)
    assert [p.name for p in folder.path.glob("*.npy")] == ["10-in-voxels.npy"]


def test_folders_of_killed_programs_are_removed_and_those_of_living_ones_are_not(temporary):
    living = PrivateFolder()
    dead = temporary / f"{private_folder.PREFIX}dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "1-in-voxels.npy").touch()
    new = temporary / f"{private_folder.PREFIX}new"  # its client has not locked it yet
    new.mkdir()
    foreign = temporary / "holiday pictures"
    foreign.mkdir()
    remove_orphans()
    assert sorted(temporary.iterdir()) == sorted([living.path, new, foreign])
    living.remove()


def test_a_folder_in_which_somebody_keeps_things_is_never_taken_for_one_of_ours(tmp_path):
    home = tmp_path / f"{private_folder.PREFIX}home"
    home.mkdir()
    (home / "thesis.txt").touch()
    private_folder.remove_private(home)
    assert (home / "thesis.txt").is_file()
    done = subprocess.run(
        [sys.executable, "-m", "SScILDScoringLib.worker", "--folder", str(home)],
        env=worker_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "started by its client" in done.stderr
    assert (home / "thesis.txt").is_file()


# ---- pipes and environment -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PolledPipe, ThreadedPipe])
def test_a_pipe_is_read_without_waiting(kind):
    code = "import sys, time; print('one', flush=True); sys.stdin.readline(); print('two', flush=True)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pipe = kind(process.stdout)
    data = b""
    while b"one" not in data:
        pipe.wait(5)
        data += pipe.read()
    assert pipe.read() == b""
    assert not pipe.ended
    process.stdin.write(b"\n")
    process.stdin.close()
    while not pipe.ended:
        pipe.wait(5)
        data += pipe.read()
    assert data.split() == [b"one", b"two"]
    process.wait(5)
    pipe.close()


def test_the_worker_finds_this_library_and_inherits_nothing_odd(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/somewhere", str(LIBRARY)]))
    monkeypatch.setenv("PYTHONSTARTUP", "/tmp/startup.py")
    monkeypatch.setenv("PYTHONINSPECT", "1")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    environment = worker_environment({"OMP_NUM_THREADS": 1, "HOME": None})
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(LIBRARY), "/somewhere"]
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["OMP_NUM_THREADS"] == "1"
    assert not {"PYTHONSTARTUP", "PYTHONINSPECT", "HOME"} & set(environment)
    assert (LIBRARY / "SScILDScoringLib" / "session.py").is_file()


def test_inside_slicer_its_own_python_is_taken(monkeypatch, tmp_path):
    assert worker_python() == [sys.executable]
    slicer = type(sys)("slicer")
    slicer.app = object()
    monkeypatch.setitem(sys.modules, "slicer", slicer)
    launcher = tmp_path / "PythonSlicer"
    launcher.write_text("#!/bin/sh\n")
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert worker_python() == [str(launcher)]
    launcher.unlink()
    assert worker_python() == [sys.executable]  # the wheel and tests: an ordinary Python
    monkeypatch.setattr(sys, "executable", "/opt/Slicer/bin/SlicerApp-real")
    with pytest.raises(WorkerError, match="PythonSlicer"):
        worker_python()


# ---- values --------------------------------------------------------------------------------------------------------


def over_json(plain):
    """As the other side reads it."""
    return json.loads(json.dumps(plain, allow_nan=False))


LEVELS = Levels.from_mm((1 / 3, -20.1, -40.7, -55.123456789, -70.0), "l_net", (1.1, None, 0.3, 2 / 3, 5.0), True)


def test_levels_keep_every_digit_source_and_spread():
    moved = LEVELS.moved(4, -50.000000001)
    for levels in (LEVELS, moved):
        assert values.levels_from(over_json(values.plain_levels(levels))) == levels
    assert values.levels_from(values.plain_levels(None)) is None
    with pytest.raises(LevelError):
        values.levels_from({"positions": [[1, "manual", None]] * 5, "l4_follows": False})


def test_found_levels_keep_anatomy_and_findings():
    found = FoundLevels(LEVELS, None, (Finding("thick_slices", "warning", "5 mm."),))
    assert values.found_from(over_json(values.plain_found(found))) == found
    both = replace(found, anatomy=Levels.from_mm((5, 4, 3, 2, 1), "anatomy"))
    assert values.found_from(over_json(values.plain_found(both))) == both


@pytest.fixture
def scan():
    """Oblique, tilted, stored sagittally and head first."""
    voxels = np.random.default_rng(1).integers(-1000, 400, (6, 12, 9)).astype(np.int16)
    matrix = np.array([[0.1, 0.7, 0.05, -30], [0.05, 0.1, -0.9, 12], [2.4, 0.2, 0.1, -200], [0, 0, 0, 1.0]])
    return scan_from_array(voxels, matrix, {"name": "Jane Doe", "PatientID": "4711"}, {"kvp": 120, "kernel": "B60f"})


def test_a_scan_keeps_its_geometry_and_loses_its_identity(scan):
    plain = over_json(values.plain_geometry(scan))
    again = values.scan_from(plain, scan.voxels)
    assert (again.ras_from_index == scan.ras_from_index).all()
    assert (again.ras_from_file_index == scan.ras_from_file_index).all()
    assert again.file_axes == scan.file_axes
    assert again.acquisition == scan.acquisition
    assert again.identity == {}
    assert "Jane" not in json.dumps(plain)
    assert "4711" not in json.dumps(plain)


def test_a_result_keeps_everything(scan):
    rng = np.random.default_rng(0)
    settings = HeatMapSettings(patch=32, step=8)

    def maps():
        lung = rng.random((9, 12)) > 0.5
        score = SliceScores(tuple(rng.normal(20, 9, 3)))
        return HeatMaps(
            rng.normal(size=(3, 9, 12)).astype(np.float32), lung, ~lung, score, settings, "windowed", 9, 0.5
        )

    def own():
        return ExplanationMaps(rng.random((9, 12), np.float32), rng.random((3, 9, 12), np.float32))

    scores = tuple(SliceScores(tuple(rng.normal(20, 9, 3))) for _ in range(5))
    profile = LungProfile((1, 2), (3, 2), (1 / 3, 2 / 3), (1e4 / 7, 200.0), scores[:2])
    result = ScanResult(
        "case",
        LEVELS,
        (5, 4, 3, 2, 1),
        (0, 1, 2, 3, 4),
        scores,
        ScanFacts.of(scan),
        (Finding("a", "info", "b."),),
        settings={"lungs": "3d", "l4_follows": True},
        seconds={"total": 1.25},
        fvc_percent=65.0,
        profile=profile,
        heat_maps=tuple(maps() for _ in range(5)),
        explanations=tuple(own() for _ in range(5)),
        thresholds={"tot": -0.5, "gg": -0.25, "ret": -0.25},
    )
    sent = {f"{name}-{i}": array for i in range(5) for name, array in values.result_arrays(result, i).items()}
    again = values.result_from(over_json(values.plain_result(result)), sent)
    for name in vars(result):
        if name not in ("heat_maps", "explanations"):
            assert getattr(again, name) == getattr(result, name), name
    for mine, theirs in zip(again.heat_maps, result.heat_maps, strict=True):
        assert (mine.maps == theirs.maps).all()
        assert (mine.covered == theirs.covered).all()
        assert (mine.lung == theirs.lung).all()
        for name in ("baseline", "settings", "engine", "network_runs", "seconds"):
            assert getattr(mine, name) == getattr(theirs, name)
    for mine, theirs in zip(again.explanations, result.explanations, strict=True):
        assert (mine.lung == theirs.lung).all()
        assert (mine.patterns == theirs.patterns).all()
    assert again.derived_scores() == result.derived_scores()


def test_a_result_without_maps_needs_no_arrays(scan):
    scores = (SliceScores((1.0, 2.0, 3.0)),) * 5
    result = ScanResult("c", LEVELS, (1,) * 5, (1,) * 5, scores, ScanFacts.of(scan), settings={"l4_follows": True})
    assert values.result_arrays(result, 0) == {}
    assert values.result_from(over_json(values.plain_result(result)), {}) == result


def test_the_client_needs_neither_torch_nor_simpleitk():
    """It lives in Slicer's own process, which must not freeze for seconds while torch is imported."""
    code = (
        "import sys; from SScILDScoringLib.worker import RemoteSession, WorkerClient, values;"
        "print({'torch', 'SimpleITK', 'typer', 'slicer'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=worker_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
