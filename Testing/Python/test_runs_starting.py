"""Trainings are started in processes that live on by themselves, are found again, and are gone on with."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from small_runs import ENDLESS, alive, end, small_config, until, until_state, until_step
from small_training import environment
from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.run_status import read_status, request
from SScILDScoringTrainingLib.runs import (
    RunRegistry,
    is_starting,
    kill,
    log_tail,
    read_curves,
    start_error,
    start_study,
    start_training,
)
from SScILDScoringTrainingLib.runs.killing import descendants

PYTHON = (sys.executable, "-c")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals of POSIX")


@pytest.fixture(autouse=True)
def own_registry(tmp_path, monkeypatch):
    """No test writes into the list of the person who runs it."""
    monkeypatch.setenv("SSCILD_RUNS", str(tmp_path / "known.json"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def started():
    """Notes the processes of a test and ends what is left of them."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        end(pid)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Configurations whose phantoms are made once."""
    return tmp_path_factory.mktemp("small")


# ---- a run's life ----------------------------------------------------------------------------------------------------


def test_a_training_outlives_the_program_that_started_it_and_is_found_again(place, tmp_path, started):
    run = tmp_path / "runs" / "look"
    config = small_config(place, steps=ENDLESS)
    code = (
        "import sys\nfrom SScILDScoringTrainingLib.runs import start_training\n"
        "print(start_training(sys.argv[1], sys.argv[2], overrides=('seed=7',)))"
    )
    starter = subprocess.run(
        [*PYTHON, code, str(config), str(run)],
        capture_output=True, text=True, env=environment(), start_new_session=True, check=True,
    )  # fmt: skip
    started.append(int(starter.stdout))
    assert alive(started[0]), "it ended with its starter"
    known = RunRegistry().runs()  # as a new panel after a restart sees it
    assert [(one.folder, one.kind, one.missing) for one in known] == [(run, "training", False)]
    assert is_starting(run) or read_status(run) is not None
    first = until_step(run, 3)
    assert not is_starting(run)
    assert os.getsid(first.pid) == started[0] != os.getsid(0), "signals of a terminal or of Slicer would reach it"
    until(lambda: read_curves(run).train)
    request(run, "pause")
    paused = until_state(run, "paused")
    assert paused.can_resume
    request(run, "resume")
    until_step(run, paused.step)

    os.kill(first.pid, signal.SIGKILL)
    interrupted = until_state(run, "interrupted")
    assert interrupted.can_resume
    assert start_error(run) == "", "it had begun: what became of it stands in its status"

    config.unlink()  # what it was started with is not needed again
    started.append(start_training(None, run, resume=True))
    with pytest.raises(SettingsError, match=r"is (starting|at work)"):
        start_training(None, run, resume=True)
    going_on = until_step(run, paused.step)
    assert going_on.pid != first.pid
    assert "Going on from step" in log_tail(run)
    assert "seed: 7" in (run / "config.yaml").read_text()
    request(run, "stop")
    assert until_state(run, "stopped").can_resume
    until(lambda: not alive(going_on.pid))
    assert "Stopped as asked" in log_tail(run)
    assert len(RunRegistry().runs()) == 1


def test_kill_ends_the_process_and_its_children_and_what_has_no_checkpoint_begins_anew(place, tmp_path, started):
    run = tmp_path / "run"
    config = small_config(place, steps=ENDLESS, validate_every=ENDLESS, workers=1)
    started.append(start_training(config, run))
    pid = until_step(run, 2).pid
    children = descendants(pid)
    assert children, "a loading process"
    kill(run)
    assert not alive(pid)
    until(lambda: not any(map(alive, children)))
    assert read_status(run).state == "interrupted"
    assert read_status(run).can_resume is False
    with pytest.raises(SettingsError, match="No process is at work"):
        kill(run)
    started.append(start_training(None, run, resume=True))
    until_step(run, 0)
    kill(run)


def test_a_mistake_is_said_and_mended_and_a_finished_training_is_not_started_twice(place, tmp_path, started):
    run = tmp_path / "run"
    config = small_config(place, steps=4)
    pid = start_training(config, run, overrides=("training.steps=-1",))
    started.append(pid)
    assert is_starting(run) or not alive(pid)
    until(lambda: not is_starting(run))
    assert read_status(run) is None
    assert start_error(run) == "training.steps must be greater than zero, not -1."
    # It may be tried again in the same folder.
    started.append(start_training(config, run))
    until_state(run, "finished")
    assert start_error(run) == ""
    with pytest.raises(SettingsError, match="holds a run"):
        start_training(config, run)
    with pytest.raises(SettingsError, match="nothing left to do"):
        start_training(None, run, resume=True)
    # More steps are something left to do.
    started.append(start_training(None, run, resume=True, overrides=("training.steps=8",)))
    until(lambda: (s := read_status(run)) is not None and s.state == "finished" and s.step == 8)


# ---- what goes wrong before the training begins --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nowhere_to_be_found", "package nowhere_to_be_found is missing"),
        ("", "ended without a word"),
        ("raise RuntimeError('no lungs')", "Its last words: RuntimeError: no lungs"),
    ],
    ids=["a package", "silence", "a defect"],
)
def test_a_process_that_ends_before_its_first_status_says_why(place, tmp_path, started, code, said):
    run = tmp_path / "run"
    started.append(start_training(small_config(place), run, python=(*PYTHON, code)))
    until(lambda: not is_starting(run))
    assert read_status(run) is None
    assert said in start_error(run)
    assert "Traceback" not in start_error(run)


def test_what_goes_wrong_later_stands_in_the_status(place, tmp_path, started):
    run = tmp_path / "run"
    started.append(start_training(small_config(place), run, overrides=("data.mix={cohort: 1.0}",)))
    assert "no slices to make them of" in until_state(run, "failed").message
    assert start_error(run) == ""


def test_an_interpreter_that_is_not_there_is_told_and_nothing_is_remembered(place, tmp_path):
    with pytest.raises(SettingsError, match="cannot be started with /no/python"):
        start_training(small_config(place), tmp_path / "run", python=("/no/python",))
    assert RunRegistry().runs() == ()


def test_folders_that_hold_something_else_are_refused(place, tmp_path):
    config = small_config(place)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "config.yaml").write_text("recipe: scores  # my own\n")
    with pytest.raises(SettingsError, match="holds other files"):
        start_training(config, mine)  # a training would write its own over it
    (mine / "config.yaml").unlink()
    (mine / "thesis.odt").touch()
    with pytest.raises(SettingsError, match=r"holds other files \(thesis.odt"):
        start_training(config, mine)
    with pytest.raises(SettingsError, match="is a file"):
        start_training(config, mine / "thesis.odt")
    with pytest.raises(SettingsError, match=r"no config\.yaml"):
        start_training(None, mine, resume=True)
    with pytest.raises(SettingsError, match=r"no config\.yaml"):
        start_training(None, tmp_path / "nowhere", resume=True)
    with pytest.raises(SettingsError, match="There is no preset wonder"):
        start_training("wonder", tmp_path / "new")
    with pytest.raises(SettingsError, match="Choose a preset"):
        start_training(None, tmp_path / "new")
    with pytest.raises(SettingsError, match="no configuration of a training"):
        start_training("ablation_on_phantoms", tmp_path / "new")
    with pytest.raises(SettingsError, match="folds, ablation"):
        start_study("training", config, tmp_path / "new")
    with pytest.raises(SettingsError, match=r"no plan\.json"):
        start_study("folds", None, mine, resume=True)
    assert [path.name for path in mine.iterdir()] == ["thesis.odt"]
    assert not (tmp_path / "new").exists()
    assert RunRegistry().runs() == ()


def test_of_two_that_press_start_at_once_one_is_refused(place, tmp_path, started):
    config, run = small_config(place, steps=ENDLESS), tmp_path / "run"

    def press(_number: int) -> int | str:
        try:
            return start_training(config, run)
        except SettingsError as error:
            return str(error)

    with ThreadPoolExecutor(4) as hands:
        answers = list(hands.map(press, range(4)))
    pids = [answer for answer in answers if isinstance(answer, int)]
    started += pids
    assert len(pids) == 1, answers
    assert all("is starting" in answer for answer in answers if isinstance(answer, str))
    kill(run)


# ---- the last resort -------------------------------------------------------------------------------------------------


def test_kill_ends_a_process_that_is_still_loading(place, tmp_path, started):
    run = tmp_path / "run"
    pid = start_training(small_config(place), run, python=(*PYTHON, "import time; time.sleep(100)"))
    started.append(pid)
    assert is_starting(run)
    kill(run)
    assert not alive(pid)
    assert "without a word" in start_error(run)


def test_kill_behind_a_launcher_ends_what_it_launched(place, tmp_path, started):
    """Slicer's Python is started by a launcher, which waits for it."""
    launcher = "import subprocess, sys; subprocess.call([sys.executable, '-c', 'import time; time.sleep(100)'])"
    run = tmp_path / "run"
    pid = start_training(small_config(place), run, python=(*PYTHON, launcher))
    started.append(pid)
    launched = until(lambda: descendants(pid))
    kill(run)
    assert not alive(pid)
    until(lambda: not any(map(alive, launched)), 10)


def test_kill_never_meets_another_process_of_the_same_number(tmp_path):
    """The computer was restarted: the number in the status is now somebody else's."""
    run = tmp_path / "run"
    run.mkdir()
    with subprocess.Popen([*PYTHON, "import time; time.sleep(100)"]) as other:
        text = f'{{"state": "running", "pid": {other.pid}, "host": "{platform.node()}", "mark": "1"}}'
        (run / "status.json").write_text(text)
        assert read_status(run).state == "interrupted"
        with pytest.raises(SettingsError, match="No process is at work"):
            kill(run)
        assert alive(other.pid)
        other.kill()


def test_a_run_of_another_computer_is_left_alone(tmp_path):
    import json
    import time

    run = tmp_path / "run"
    run.mkdir()
    values = {"state": "running", "pid": os.getpid(), "host": "elsewhere", "updated": time.time()}
    (run / "status.json").write_text(json.dumps(values))
    with pytest.raises(SettingsError, match="works on elsewhere; end it there"):
        kill(run)


def test_relative_paths_count_from_where_they_lead_to_something(tmp_path):
    from SScILDScoringTrainingLib.runs.places import place_of_paths

    run = tmp_path / "project" / "runs" / "s_net"
    run.mkdir(parents=True)
    config = run / "config.yaml"
    config.write_text("data: {cohort: cohort.csv, cache: runs/cache}\n")
    assert place_of_paths(run) == run.parent, "they lead nowhere yet"
    (tmp_path / "project" / "cohort.csv").touch()
    (tmp_path / "project" / "runs" / "cache").mkdir()
    assert place_of_paths(run) == tmp_path / "project", "where a person stood who typed: sscild train -o runs/s_net"
    config.write_text("data: {cohort: null, cache: /somewhere}\n")
    assert place_of_paths(run) == run.parent
    assert place_of_paths(Path("/")) == Path("/")
