"""What the worker process promises: the session's numbers, an awake application, and nothing left behind."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from small_bundles import l_net_bundle, s_net_bundle
from SScILDScoringLib import __version__
from SScILDScoringLib.errors import Cancelled, SScILDError
from SScILDScoringLib.heatmaps.replacement import HeatMapSettings
from SScILDScoringLib.lungs import LungMask
from SScILDScoringLib.phantom import DiseaseSpec, PhantomSpec, make_phantom
from SScILDScoringLib.scan import scan_from_array
from SScILDScoringLib.session import ScoringSession
from SScILDScoringLib.worker import RemoteSession, WorkerClient, WorkerError
from SScILDScoringLib.worker.environment import LIBRARY, worker_environment
from SScILDScoringLib.worker.private_folder import PREFIX, PrivateFolder
from SScILDScoringLib.worker.process_tree import kill_tree, start_tree
from SScILDScoringLib.worker.protocol import PROTOCOL, decode, encode

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
COARSE = HeatMapSettings(patch=24, step=16)
ENDLESS = HeatMapSettings(patch=16, step=1)  # thousands of network runs: minutes of work
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals of POSIX")


@pytest.fixture(scope="module")
def scan():
    """A phantom stored head first, with an identity that must stay at home."""
    disease = DiseaseSpec(ground_glass=0.2, reticulation=0.1)
    straight = make_phantom(PhantomSpec(seed=5, matrix=96, spacing=(3.8, 3.8, 5.0), disease=disease)).scan
    flip = np.eye(4)
    flip[2, 2], flip[2, 3] = -1, straight.slice_count - 1
    identity = {"name": "lady 3", "PatientID": "4711"}
    array, matrix = np.asarray(straight.voxels)[::-1], straight.lps_from_index @ flip
    return scan_from_array(array, matrix, identity, {"kvp": 120})


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "l_net": l_net_bundle(folder / "l", (48.0, 42.0, 35.0, 29.0, 22.0), depth=72),
        "s_net": s_net_bundle(folder / "s", clear_outside_body=True),
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A place for temporary files of these tests alone, so that what is left behind is seen."""
    folder = tmp_path_factory.mktemp("tmp")
    former, tempfile.tempdir = tempfile.tempdir, str(folder)
    yield folder
    tempfile.tempdir = former


@pytest.fixture(scope="module")
def warm(scan, bundles, place):
    """A client whose worker has the scan open, shared by the tests that leave it so."""
    with WorkerClient(environment=ONE_THREAD) as client:
        session = RemoteSession(client)
        client.wait(session.load(scan, device="cpu", **bundles), timeout=120)
        yield session


@pytest.fixture
def client(place):
    with WorkerClient(environment=ONE_THREAD) as client:
        yield client


@pytest.fixture(scope="module")
def here(scan, bundles):
    """The same session in this process."""
    return ScoringSession(scan, device="cpu", **bundles)


@pytest.fixture(scope="module")
def opened(scan, bundles, here):
    """Opens the scan with lungs and levels that are known, for tests of other things."""

    def open_in(client):
        session = RemoteSession(client)
        session.load(scan, here.lungs, device="cpu", **bundles)
        return session, here.find_levels().levels

    return open_in


class Heard:
    """A progress callable that remembers the stages it heard of."""

    def __init__(self):
        self.stages: list[str] = []

    def __call__(self, stage, fraction, message):
        if stage not in self.stages:
            self.stages.append(stage)


def answer(session, number, progress=lambda *_: None):
    return session.value_of(session.client.wait(number, progress, timeout=120))


def alive(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(*numbers: int, within: float = 10.0) -> bool:
    """Whether the processes end within some seconds."""
    end = time.monotonic() + within
    while any(alive(n) for n in numbers) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(alive(n) for n in numbers)


def busy(session, levels) -> int:
    """Asks for work that takes minutes and returns when it is under way."""
    number = session.score(levels, heat_maps=True, heat_map_settings=ENDLESS)
    until_progress(session.client, "heat_maps")
    return number


def until_progress(client, stage):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if any(e.kind == "progress" and e.stage == stage for e in client.poll()):
            return
        time.sleep(0.02)
    raise AssertionError(f"no progress of {stage}; {client.log_tail()}")


def wrapper(folder: Path, name: str, code: str) -> list[str]:
    """An interpreter that runs ``code`` before it does what it was told: ``-m module --folder DIR``."""
    script = folder / name
    script.write_text(
        f"import os, subprocess, sys\n{code}\n"
        "if __name__ == '__main__':\n"
        "    import runpy\n"
        "    sys.argv = sys.argv[2:]\n"
        "    runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )
    return [sys.executable, str(script)]


# ---- the same as in process ----------------------------------------------------------------------------------------


def test_a_worker_gives_what_a_session_gives(warm, here, scan):
    found = answer(warm, warm.find_levels())
    assert found == here.find_levels()
    options = {"heat_maps": True, "heat_map_settings": COARSE, "every_slice": True, "fvc_percent": 60}
    result = answer(warm, warm.score(found.levels, **options))
    wanted = here.score(found.levels, **options)
    for name in ("case", "levels", "slice_indices", "file_slice_indices", "facts", "findings", "models", "settings"):
        assert getattr(result, name) == getattr(wanted, name), name
    assert np.allclose([s.raw for s in result.scores], [s.raw for s in wanted.scores], atol=1e-3)
    assert result.case == "lady_3"
    assert result.stage == wanted.stage
    assert result.profile.mm == wanted.profile.mm
    for mine, theirs in zip(result.heat_maps, wanted.heat_maps, strict=True):
        assert np.allclose(mine.maps, theirs.maps, atol=1e-3)
        assert (mine.covered == theirs.covered).all()
        assert mine.settings == COARSE
    for mine, theirs in zip(result.explanations, wanted.explanations, strict=True):
        assert np.allclose(mine.patterns, theirs.patterns, atol=1e-4)
    assert result.scan is scan
    assert (result.lungs.labels == here.lungs.labels).all()
    assert result.lungs.method == "3d"


def test_the_heat_maps_of_one_level_come_before_those_of_the_others(warm, here):
    levels = answer(warm, warm.find_levels()).levels
    k = levels.slice_indices(here.scan)[1]
    maps, wanted = answer(warm, warm.heat_maps(k, COARSE)), here.heat_maps(k, COARSE)
    assert np.allclose(maps.maps, wanted.maps, atol=1e-3)
    assert (maps.covered == wanted.covered).all()
    assert maps.settings == COARSE
    assert np.allclose(maps.baseline.raw, wanted.baseline.raw, atol=1e-3)


def test_heat_maps_that_are_not_finished_are_shown_to_who_asks_for_them(warm, here):
    levels = answer(warm, warm.find_levels()).levels
    k = levels.slice_indices(here.scan)[2]
    fine, parts = HeatMapSettings(patch=24, step=2), []
    number = warm.heat_maps(k, fine, partial=True)
    event = warm.client.wait(number, timeout=240, partial=lambda e: parts.append(warm.value_of(e)))
    maps = warm.value_of(event)
    assert maps.exact
    assert parts, "seconds of work, and nothing of it was shown"
    reached = [int(part.covered.sum()) for part in parts]
    assert 0 < reached[0] <= reached[-1] <= int(maps.covered.sum())
    assert all(part.maps.shape == maps.maps.shape and np.isfinite(part.maps).all() for part in parts)
    # Who does not ask is not told.
    number = warm.heat_maps(k, HeatMapSettings(patch=24, step=3))
    silent = []
    warm.client.wait(number, timeout=240, partial=silent.append)
    assert silent == []


def test_loading_tells_the_device_and_the_models(warm, scan, bundles):
    number = warm.load(scan, device="cpu", **bundles)
    told = answer(warm, number)
    assert told["device"].startswith("cpu")
    assert [m["kind"] for m in told["models"]] == ["l_net", "s_net"]


def test_moving_a_level_asks_the_network_for_that_slice_only(warm):
    levels = answer(warm, warm.find_levels()).levels
    first = answer(warm, warm.score(levels))
    heard = Heard()
    moved = answer(warm, warm.score(levels.moved(1, levels[1].mm + 20)), heard)
    assert set(heard.stages) <= {"scores", "explanations"}
    assert moved.scores[1:] == first.scores[1:]
    assert moved.slice_indices[0] != first.slice_indices[0]
    assert moved.lungs is first.lungs


def test_given_lungs_are_used(warm, scan, bundles, here):
    labels = np.array(here.lungs.labels)
    labels[:, :, labels.shape[2] // 2 :] = 0  # the right lung only
    answer(warm, warm.load(scan, LungMask(labels, "given"), device="cpu", l_net=False, s_net=bundles["s_net"]))
    lungs = answer(warm, warm.find_lungs())
    assert lungs.method == "given"
    assert (lungs.labels == labels).all()
    answer(warm, warm.load(scan, device="cpu", **bundles))


def test_requests_are_done_in_their_order_without_waiting_for_each(warm):
    levels = answer(warm, warm.find_levels()).levels
    numbers = [warm.score(levels.moved(5, levels[5].mm - mm)) for mm in (5.0, 10.0, 0.0)]
    assert warm.client.busy
    results, end = [], time.monotonic() + 60
    while len(results) < 3 and time.monotonic() < end:
        results += [e for e in warm.client.poll() if e.kind == "result"]
        time.sleep(0.02)
    assert [e.id for e in results] == numbers
    assert [round(levels[5].mm - warm.value_of(e).levels[5].mm) for e in results] == [5, 10, 0]
    assert not warm.client.busy


def test_nothing_that_identifies_the_patient_goes_to_the_worker(warm):
    folder = warm.client._folder.path
    for path in folder.iterdir():
        assert b"4711" not in path.read_bytes(), path.name
    assert folder.stat().st_mode & 0o077 == 0


# ---- progress, mistakes, defects -----------------------------------------------------------------------------------


def test_progress_comes_seldom_enough_and_asking_never_waits(warm):
    levels = answer(warm, warm.find_levels()).levels
    number = warm.score(levels, heat_maps=True, heat_map_settings=HeatMapSettings(patch=24, step=3))
    started, longest, times, done = time.monotonic(), 0.0, [], False
    while not done and time.monotonic() - started < 120:
        before = time.monotonic()
        events = warm.client.poll()
        longest = max(longest, time.monotonic() - before)
        times += [e.fraction for e in events if e.kind == "progress" and e.id == number]
        done = any(e.kind in ("result", "failed") for e in events)
        time.sleep(0.01)
    seconds = time.monotonic() - started
    assert done
    assert len(times) >= 3
    assert len(times) <= 1 + seconds / 0.05
    assert all(0 <= t <= 1 for t in times)
    assert longest < 1.0 < seconds


def test_a_mistake_is_said_in_a_sentence_and_the_worker_goes_on(warm):
    levels = answer(warm, warm.find_levels()).levels
    with pytest.raises(SScILDError, match="percent of the predicted") as caught:
        answer(warm, warm.score(levels, fvc_percent=0.7))
    assert not isinstance(caught.value, WorkerError)
    with pytest.raises(SScILDError, match="outside the scan"):
        answer(warm, warm.score(levels.moved(1, 4000.0)))
    assert answer(warm, warm.score(levels)).levels == levels


def test_a_defect_is_told_with_its_traceback_in_the_log(warm):
    number = warm.client.request("dance", {"with": "wolves"})
    with pytest.raises(WorkerError, match="no operation 'dance'"):
        warm.client.wait(number, timeout=60)
    with pytest.raises(WorkerError, match="score"):
        warm.client.wait(warm.client.request("score", {"slices": 3}), timeout=60)
    assert "Traceback" in warm.client.log_tail()
    assert "ProtocolError" in warm.client.log_tail(3)
    assert warm.client.running


def test_a_scan_that_cannot_be_opened_leaves_none_open(warm, scan, bundles):
    with pytest.raises(SScILDError, match="There is no S-Net"):
        answer(warm, warm.load(scan, s_net="absent", device="cpu"))
    with pytest.raises(SScILDError, match="load one first"):
        answer(warm, warm.find_lungs())
    answer(warm, warm.load(scan, device="cpu", **bundles))


def test_an_answer_can_be_waited_for_once(warm):
    number = warm.warm()
    warm.client.wait(number, timeout=60)
    with pytest.raises(ValueError, match="no request"):
        warm.client.wait(number)


def test_an_impatient_caller_gets_a_timeout_and_the_answer_later(warm):
    number = warm.warm()
    with pytest.raises(TimeoutError):
        warm.client.wait(number, timeout=0.0)
    warm.client.wait(number, timeout=60)


# ---- cancel, crash, end ----------------------------------------------------------------------------------------------


def test_cancel_ends_the_work_at_once_and_nothing_has_to_be_opened_again(client, scan, bundles):
    session = RemoteSession(client)
    session.load(scan, device="cpu", **bundles)
    found = answer(session, session.find_levels())
    first = answer(session, session.score(found.levels))
    process = client.process_id
    number = busy(session, found.levels)
    started = time.monotonic()
    client.cancel()
    assert time.monotonic() - started < 2
    assert gone(process, within=0.5)
    assert not client.running
    (event,) = [e for e in client.poll() if e.id == number]
    assert (event.kind, event.cancelled, event.message) == ("failed", True, "Cancelled.")
    heard = Heard()
    again = answer(session, session.score(found.levels), heard)
    assert client.process_id != process
    assert again.scores == first.scores
    assert again.findings == first.findings
    assert "lungs" not in heard.stages  # lungs and levels were kept
    assert (again.lungs.labels == first.lungs.labels).all()


def test_a_progress_callable_that_raises_cancels(client, opened):
    session, levels = opened(client)

    def stop(stage, fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        client.wait(session.score(levels), stop, timeout=120)
    assert not client.running
    assert not client.busy


def test_a_crash_is_reported_with_the_log_and_the_next_request_goes_on(client, opened):
    session, levels = opened(client)
    with pytest.raises(WorkerError):
        client.wait(client.request("dance"))  # something for the log
    number = busy(session, levels)
    os.kill(client.process_id, signal.SIGKILL)
    events, end = [], time.monotonic() + 10
    while not any(e.kind == "died" for e in events) and time.monotonic() < end:
        events += client.poll()
        time.sleep(0.02)
    died = next(e for e in events if e.kind == "died")
    assert "ended unexpectedly (signal 9)" in died.message
    assert "no operation 'dance'" in died.log
    assert "no operation 'dance'" in client.log_tail()
    failed = next(e for e in events if e.kind == "failed")
    assert (failed.id, failed.user_error, failed.cancelled) == (number, False, False)
    assert answer(session, session.score(levels)).levels == levels


def test_stopping_leaves_no_process_and_no_file(opened, place):
    client = WorkerClient(environment=ONE_THREAD)
    session, levels = opened(client)
    busy(session, levels)
    process, folder = client.process_id, client._folder.path
    assert folder.parent == place
    client.stop()
    assert gone(process, within=0.5)
    assert not folder.exists()
    client.stop()


def test_a_forgotten_client_ends_its_worker(place):
    client = WorkerClient(environment=ONE_THREAD)
    client.start()
    process, folder = client.process_id, client._folder.path
    assert alive(process)
    del client
    gc.collect()
    assert gone(process)
    assert not folder.exists()


PARENT = """
import sys, time
sys.path[:0] = {path!r}
from small_bundles import s_net_bundle
from pathlib import Path
from SScILDScoringLib.heatmaps.replacement import HeatMapSettings
from SScILDScoringLib.levels import Levels
from SScILDScoringLib.models import ModelBundle
from SScILDScoringLib.phantom import PhantomSpec, make_phantom
from SScILDScoringLib.worker import RemoteSession, WorkerClient
phantom = make_phantom(PhantomSpec(seed=5, matrix=96, spacing=(3.8, 3.8, 5.0)))
client = WorkerClient({python!r}, {{"OMP_NUM_THREADS": "1"}})
session = RemoteSession(client)
session.load(phantom.scan, l_net=False, s_net={s_net!r}, device="cpu")
session.score(phantom.levels, heat_maps=True, heat_map_settings=HeatMapSettings(patch=16, step=1))
while not any(e.kind == "progress" and e.stage == "heat_maps" for e in client.poll()):
    time.sleep(0.02)
print(client.process_id, client._folder.path, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("launched", [False, True], ids=["direct", "through a launcher"])
def test_a_killed_parent_leaves_no_orphan_even_in_the_middle_of_work(launched, bundles, place, tmp_path):
    """kill -9 of the application while the worker computes and has a child of its own; through a launcher, as
    PythonSlicer is one, too."""
    child = tmp_path / "child"
    python = wrapper(
        tmp_path,
        "with_child.py",
        f"child = subprocess.Popen(['sleep', '600'])\nopen({str(child)!r}, 'w').write(str(child.pid))",
    )
    if launched:
        launcher = tmp_path / "launcher.py"
        launcher.write_text(f"import subprocess, sys\nsys.exit(subprocess.call({python!r} + sys.argv[1:]))\n")
        python = [sys.executable, str(launcher)]
    code = PARENT.format(
        path=[str(LIBRARY), str(Path(__file__).parent)], python=python, s_net=str(bundles["s_net"].folder)
    )
    environment = {**os.environ, "TMPDIR": str(place), "OMP_NUM_THREADS": "1"}
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        worker, folder = parent.stdout.readline().split()
        tree = [psutil.Process(int(worker)), *psutil.Process(int(worker)).children(recursive=True)]
        numbers = [p.pid for p in tree]
        assert int(child.read_text()) in numbers
        assert len(numbers) == (3 if launched else 2)
        assert Path(folder, "1-in-voxels.npy").is_file()
        os.kill(parent.pid, signal.SIGKILL)
        assert gone(*numbers, within=5)
        assert not Path(folder).exists()  # the patient's CT was in it
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_a_worker_that_nobody_hears_any_more_ends_and_cleans_up(place):
    """The end of its output is noticed like the end of its input, whichever comes first."""
    folder = PrivateFolder()
    command = [sys.executable, "-m", "SScILDScoringLib.worker", "--folder", str(folder.path)]
    process = start_tree(command, worker_environment(ONE_THREAD), folder.path, folder.path / "log")
    try:
        process.stdin.write(encode("hello", protocol=PROTOCOL, software=__version__, own_group=True))
        assert decode(process.stdout.readline())["kind"] == "ready"
        process.stdout.close()
        process.stdin.write(encode("request", id=1, op="dance", params={}, arrays={}))
        process.wait(60)
        assert not folder.path.exists()
        assert list(place.glob(f"{folder.path.name}*")) == []
    finally:
        kill_tree(process)
        folder.remove()


def test_cancel_through_a_launcher_ends_the_worker_behind_it(opened, place, tmp_path):
    launcher = tmp_path / "launcher.py"
    launcher.write_text("import subprocess, sys\nsys.exit(subprocess.call([sys.executable] + sys.argv[1:]))\n")
    with WorkerClient([sys.executable, str(launcher)], ONE_THREAD) as client:
        session, levels = opened(client)
        busy(session, levels)
        numbers = [p.pid for p in psutil.Process(client.process_id).children(recursive=True)]
        assert numbers
        client.cancel()
        assert gone(*numbers, within=2)


# ---- strangers -----------------------------------------------------------------------------------------------------


def test_what_libraries_print_does_not_spoil_the_answers(opened, place, tmp_path):
    python = wrapper(
        tmp_path,
        "noisy.py",
        "print('Welcome to the launcher', flush=True)\n"
        "from SScILDScoringLib import session\n"
        "former = session.ScoringSession.warm\n"
        "def warm(self, progress):\n"
        '    print(\'{"kind": "result", "id": 1}\')\n'
        "    os.write(1, b'from C, to a number\\n')\n"
        "    subprocess.run(['echo', 'from a child'])\n"
        "    print('stdin:', repr(sys.stdin.read()))\n"
        "    former(self, progress)\n"
        "session.ScoringSession.warm = warm\n",
    )
    with WorkerClient(python, ONE_THREAD) as client:
        session, _ = opened(client)
        assert answer(session, session.warm()) is None
        log = client.log_tail()
        for words in ("from C, to a number", "from a child", "stdin: ''"):
            assert words in log


def test_a_worker_of_another_version_is_refused_with_a_sentence(place, tmp_path):
    python = wrapper(tmp_path, "newer.py", "import SScILDScoringLib\nSScILDScoringLib.__version__ = '99.0'")
    with WorkerClient(python, ONE_THREAD) as client:
        with pytest.raises(SScILDError, match=r"different versions.*99\.0"):
            client.wait(client.request("warm"), timeout=60)
        assert not client.running


def test_a_worker_that_greets_with_another_protocol_is_refused(place, tmp_path):
    greeting = json.dumps({"kind": "ready", "protocol": 99, "software": "0.0", "process": 1})
    script = tmp_path / "older.py"
    script.write_text(f"import time\nprint({greeting!r}, flush=True)\ntime.sleep(600)\n")
    with WorkerClient([sys.executable, str(script)]) as client:
        with pytest.raises(SScILDError, match=r"different versions \(0.0, protocol 99"):
            client.wait(client.request("warm"), timeout=60)
        assert not client.running


def test_a_program_that_is_no_worker_is_reported_with_what_it_said(place, tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("raise ImportError('No module named torch')\n")
    with WorkerClient([sys.executable, str(script)]) as client:
        with pytest.raises(WorkerError, match="ended unexpectedly"):
            client.wait(client.request("warm"), timeout=60)
        assert "No module named torch" in client.log_tail()


def test_a_python_that_is_not_there_is_said(place):
    with WorkerClient(["/nowhere/PythonSlicer"]) as client, pytest.raises(WorkerError, match="cannot be started"):
        client.request("warm")


def test_an_answer_that_points_out_of_the_folder_is_not_used(place, tmp_path):
    outside = tmp_path / "1-secret.npy"
    np.save(outside, np.ones(3))
    answers = encode("ready", protocol=PROTOCOL, software=__version__, process=1)
    answers += encode("result", id=1, value=None, arrays={"a": f"../{outside.name}"}, keep={})
    script = tmp_path / "thief.py"
    script.write_text(
        f"import sys, time\nsys.stdout.write({answers.decode()!r})\nsys.stdout.flush()\ntime.sleep(600)\n"
    )
    with WorkerClient([sys.executable, str(script)]) as client, pytest.raises(WorkerError, match="cannot be used"):
        client.wait(client.request("warm"), timeout=60)


def test_after_all_this_nothing_is_left(place):
    """Runs last: only the shared client's folder may be there."""
    assert len(list(place.glob(PREFIX + "*"))) <= 1
