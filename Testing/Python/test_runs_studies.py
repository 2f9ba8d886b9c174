"""Cross-validations and comparisons are started, stopped and gone on with as single trainings are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from small_cohorts import SCORES, phantom_table, with_data
from small_runs import alive, end, until, until_state
from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.run_status import read_status, request
from SScILDScoringTrainingLib.runs import RunRegistry, log_tail, start_error, start_study, start_training
from SScILDScoringTrainingLib.runs.starting import _study_to_resume

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals of POSIX")


@pytest.fixture(autouse=True)
def own_registry(tmp_path, monkeypatch):
    monkeypatch.setenv("SSCILD_RUNS", str(tmp_path / "known.json"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def started():
    pids: list[int] = []
    yield pids
    for pid in pids:
        end(pid)


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("study")
    values = with_data(SCORES, phantom_table(place, count=4), place / "cache", steps=20, validate_every=10)
    path = place / "s_net.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_a_cross_validation_is_stopped_and_gone_on_with_by_its_own_plan(config, tmp_path, started):
    folder = tmp_path / "runs" / "cv"
    options = ("--folds", "2", "--bootstrap", "0", "--no-figures")
    started.append(start_study("folds", config, folder, options=options))
    assert [(run.folder, run.kind) for run in RunRegistry().runs()] == [(folder, "folds")]
    status = until_state(folder, "running")
    until(lambda: (one := read_status(folder / "fold_1")) is not None and one.step > 0)
    with pytest.raises(SettingsError, match="is at work in"):
        start_study("folds", None, folder, resume=True)
    with pytest.raises(SettingsError, match="is at work in"):
        start_training(config, folder)
    request(folder, "stop")
    assert until_state(folder, "stopped").step < 2
    until(lambda: not alive(status.pid))
    assert not (folder / "crossvalidation.md").exists()
    with pytest.raises(SettingsError, match="holds a run"):
        start_study("folds", config, folder, options=options)

    config.unlink()  # its plan is all it needs
    started.append(start_study("folds", None, folder, resume=True))
    until(lambda: (folder / "crossvalidation.md").is_file() or start_error(folder), 250)
    assert start_error(folder) == ""
    assert until_state(folder, "finished").step == 2
    report = (folder / "crossvalidation.md").read_text(encoding="utf-8")
    assert "# Cross-validation, 2 folds" in report
    until(lambda: "Written to" in log_tail(folder))


def test_a_study_that_cannot_begin_says_why_and_is_tried_again_as_it_was_asked_for(config, tmp_path, started):
    folder = tmp_path / "networks"
    how = {"options": ("--networks", "no_such_network", "--parallel", "1"), "overrides": ("seed=3",)}
    with pytest.raises(SettingsError, match="There is no preset"):
        start_study("architectures", "nowhere", folder, **how)
    preset = "s_net_quick"
    started.append(start_study("architectures", preset, folder, **how))
    until(lambda: start_error(folder))
    assert "cohort" in start_error(folder)
    command, asked = _study_to_resume(folder, "architectures", ())
    assert command == [
        "crossvalidate", "architectures", preset, "-o", str(folder), "--networks", "no_such_network",
        "--parallel", "1", "--set", "seed=3",
    ]  # fmt: skip
    assert asked["config"] == preset
    (folder / "plan.json").touch()
    assert _study_to_resume(folder, "architectures", ())[0] == [
        "crossvalidate", "resume", str(folder), "--parallel", "1",
    ]  # fmt: skip
