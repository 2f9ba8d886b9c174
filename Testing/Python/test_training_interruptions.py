"""A training that is killed, damaged or stopped goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from small_training import LOOP, PROGRAM, MeanOfImage, curve, environment, program
from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.checkpoints import load_checkpoint, save_checkpoint
from SScILDScoringTrainingLib.run_status import read_status, request
from SScILDScoringTrainingLib.training import Trainer


def started(*arguments: object) -> subprocess.Popen:
    """Starts ``small_training.py``."""
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True)


def until(condition, seconds: float = 120.0) -> None:
    """Waits for something that must happen."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def assert_same_training(one: Path, other: Path) -> None:
    """Both runs have the same curves, weights, optimiser state and best validation."""
    assert curve(one) == curve(other)
    a, b = (load_checkpoint(run / "checkpoints" / "last.pt") for run in (one, other))
    assert a["step"] == b["step"]
    assert (a["best_mae"], a["best_step"]) == (b["best_mae"], b["best_step"])
    assert all(torch.equal(a["network"][k], b["network"][k]) for k in a["network"])
    for n, moments in a["optimizer"]["state"].items():
        assert all(torch.equal(v, b["optimizer"]["state"][n][k]) for k, v in moments.items())
    assert (one / "validation.csv").read_text() == (other / "validation.csv").read_text()


def test_kill_9_at_six_moments_even_while_a_checkpoint_is_written_changes_nothing(tmp_path):
    how = ["--width", 3000, "--set", "steps=160", "--set", "validate_every=5", "--set", "learning_rate=1e-4"]
    # Slow enough that no computer is through before the last kill.
    kills = json.loads(program(tmp_path / "killed", *how, "--pause", 0.004, "--kills", 1))
    assert kills["at random"] == 3
    assert kills["while writing"] >= 1, "no kill met a half-written checkpoint"
    program(tmp_path / "whole", *how)
    assert_same_training(tmp_path / "whole", tmp_path / "killed")
    assert not list((tmp_path / "killed").rglob("*.part"))


@pytest.mark.parametrize("damage", ["cut", "flipped bit", "empty", "gone"])
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    Trainer(MeanOfImage(), tmp_path / "whole").run()
    Trainer(MeanOfImage(replace(LOOP, steps=20)), tmp_path / "run").run()
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    content = bytearray(last.read_bytes())
    if damage == "cut":
        last.write_bytes(content[: len(content) // 2])
    elif damage == "flipped bit":
        content[len(content) // 2] ^= 16
        last.write_bytes(content)
    elif damage == "empty":
        last.write_bytes(b"")
    else:
        last.unlink()
    told = []
    # The schedule of 20 steps differs from that of 30: what counts here is where it goes on from.
    Trainer(MeanOfImage(), tmp_path / "run", resume=True, progress=lambda *a: told.append(a[2])).run()
    assert any("Going on from the checkpoint before it (step 10)" in text for text in told)
    assert "step 10" in (tmp_path / "run" / "log.txt").read_text()
    steps = [int(row["step"]) for row in curve(tmp_path / "run")]
    assert steps == [int(row["step"]) for row in curve(tmp_path / "whole")]


def test_a_full_disk_is_told_and_leaves_the_former_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"step": 1})

    class Full(dict):
        """Stands for what cannot be written: torch answers it as it answers a full disk, with an error on the way."""

        def __reduce_ex__(self, protocol):
            raise OSError(28, "No space left on device")

    with pytest.raises(SettingsError, match="Make room on the disk"):
        save_checkpoint(path, {"step": 2, "x": Full()}, tmp_path / "previous.pt")
    assert load_checkpoint(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("whom", ["the training", "everybody, as Ctrl-C in a terminal", "everybody, as a cluster does"])
def test_a_polite_kill_keeps_the_very_step_it_met(tmp_path, whom):
    workers = 0 if whom == "the training" else 1
    number = signal.SIGTERM if "cluster" in whom else signal.SIGINT
    slow = ["--set", "steps=400", "--set", "validate_every=400", "--pause", 0.002, "--set", f"workers={workers}"]
    process = started(tmp_path / "run", *slow)
    until(lambda: (s := read_status(tmp_path / "run")) is not None and s.step > 5)
    (os.killpg if workers else os.kill)(process.pid, number)
    process.wait(timeout=60)
    assert process.returncode != 0
    kept = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")["step"]
    assert 5 < kept < 400
    status = read_status(tmp_path / "run")
    assert status.state == "stopped"
    assert status.can_resume
    assert status.step == kept


def test_another_process_pauses_resumes_and_stops_a_run(tmp_path):
    run = tmp_path / "run"
    process = started(run, "--set", "steps=100000", "--pause", 0.001)
    try:
        until(lambda: (s := read_status(run)) is not None and s.state == "running" and s.step > 5)
        with pytest.raises(SettingsError, match=f"Process {process.pid}"):
            Trainer(MeanOfImage(), run, resume=True).run()
        request(run, "pause")
        until(lambda: read_status(run).state == "paused")
        paused = read_status(run)
        assert load_checkpoint(run / "checkpoints" / "last.pt")["step"] == paused.step
        time.sleep(0.5)
        assert read_status(run).step == paused.step
        assert read_status(run).seconds == pytest.approx(paused.seconds, abs=0.2), "a pause is no training time"
        request(run, "resume")
        until(lambda: read_status(run).state == "running" and read_status(run).step > paused.step)
        request(run, "stop")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    status = read_status(run)
    assert status.state == "stopped"
    assert status.can_resume
    assert status.step == load_checkpoint(run / "checkpoints" / "last.pt")["step"]
    with pytest.raises(SettingsError, match="No process is training"):
        request(run, "pause")


def test_a_run_found_dead_reads_as_interrupted_and_goes_on(tmp_path):
    run = tmp_path / "run"
    process = started(run, "--set", "steps=60", "--pause", 0.01, "--set", "validate_every=5")
    until(lambda: (run / "checkpoints" / "last.pt").exists())
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: read_status(run).state == "interrupted")  # also before its parent has looked at the remains
    process.wait()
    status = read_status(run)
    assert status.state == "interrupted"
    assert status.can_resume
    assert "can be resumed" in status.in_words
    result = Trainer(MeanOfImage(replace(LOOP, steps=60, validate_every=5)), run, resume=True).run()
    assert result.last_step == 60
    assert read_status(run).state == "finished"
    assert not read_status(run).can_resume


def test_another_process_of_the_same_number_is_not_taken_for_the_training(tmp_path):
    Trainer(MeanOfImage(replace(LOOP, steps=2)), tmp_path).run()
    path = tmp_path / "status.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "state": "running", "pid": os.getpid()}))
    assert read_status(tmp_path).state == "running"
    time.sleep(0.05)  # start times are told apart to a hundredth of a second
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        path.write_text(json.dumps({**values, "state": "running", "pid": other.pid}))
        assert read_status(tmp_path).state == "interrupted", "the other process was started at another time"
    finally:
        other.communicate(b"\n")


def test_a_failed_run_says_why(tmp_path):
    class Broken(MeanOfImage):
        def loss(self, network, batch):
            loss, parts = super().loss(network, batch)
            return loss * float("nan"), parts

    with pytest.raises(SettingsError, match="no longer a number at step 0"):
        Trainer(Broken(), tmp_path).run()
    status = read_status(tmp_path)
    assert status.state == "failed"
    assert "learning_rate" in status.message


def test_a_folder_without_a_run_has_no_status(tmp_path):
    assert read_status(tmp_path) is None
    with pytest.raises(SettingsError, match="ever started"):
        request(tmp_path, "stop")
    with pytest.raises(SettingsError, match="pause, resume, stop"):
        request(tmp_path, "faster")
