"""What a training will need is told before it starts, and from a run to a bundle with one command."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from small_training import LOOP, MeanOfImage, environment
from SScILDScoringTrainingLib.loop import estimate as estimating
from SScILDScoringTrainingLib.loop.memory import host_memory_free, kept_for_backward
from SScILDScoringTrainingLib.recipes import recipe_of
from SScILDScoringTrainingLib.training import estimate

SCORES = {
    "recipe": "scores",
    "network": {"name": "compact_ratio", "options": {"widths": [8, 8, 16, 16], "blocks": [1, 1, 1, 1]}},
    "input": {"size": 128},
    "data": {},
    "training": {"batch_size": 8, "steps": 100, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"},
    "dense": {},
    "bundle": {"name": "x", "description": "A test."},
}


def scores(**training):
    return recipe_of({**SCORES, "training": {**SCORES["training"], **training}})


def test_what_is_kept_for_the_backward_pass_is_counted_exactly():
    network = torch.nn.Sequential(torch.nn.Linear(100, 50), torch.nn.ReLU(), torch.nn.Linear(50, 10))
    x = torch.randn(32, 100)
    with kept_for_backward(network) as kept:
        network(x).sum()
    assert kept.bytes == 4 * 32 * (100 + 50), "the input, and the ReLU's output once"
    assert kept.largest == 4 * 32 * 100


def test_an_estimate_needs_no_data_and_leaves_none(tmp_path):
    found = estimate(scores(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    assert found.parameters == sum(p.numel() for p in scores().network().parameters())
    assert found.steps == 100
    assert found.time_how == "measured"
    assert found.memory_how == "computed"
    assert found.seconds == pytest.approx(100 * found.seconds_per_step)
    assert 0 < found.device_bytes < found.host_bytes
    assert found.warnings == ()


def test_memory_grows_with_the_batch_and_shrinks_with_pieces():
    whole, larger, pieces = (
        estimate(scores(**t)) for t in ({}, {"batch_size": 32}, {"batch_size": 32, "accumulate": 4})
    )
    assert larger.device_bytes > 3 * whole.device_bytes
    assert pieces.device_bytes == pytest.approx(whole.device_bytes, rel=0.05)


def test_what_does_not_fit_is_warned_of_with_a_way_out(monkeypatch, tmp_path):
    free = host_memory_free()
    assert free is None or free > 100 << 20
    # What a process holds changes by itself; here it is the training's need alone that does not fit.
    monkeypatch.setattr(estimating, "process_memory", lambda: 600 << 20)
    known = estimate(scores(batch_size=128))
    monkeypatch.setattr(estimating, "host_memory_free", lambda: known.host_bytes - known.device_bytes // 4)
    found = estimate(scores(batch_size=128))
    assert found.accumulate in (2, 4, 8, 16)
    assert f"training.accumulate={found.accumulate}" in found.warnings[0]
    assert estimate(scores(batch_size=128, accumulate=found.accumulate)).warnings == ()
    monkeypatch.setattr(estimating, "_disk_free", lambda folder: 1000)
    assert any("The disk has 0 MB left" in w for w in estimate(scores(), tmp_path).warnings)


def test_epochs_need_the_number_of_samples():
    recipe = scores(steps=None, epochs=10)
    assert estimate(recipe).steps is None
    assert estimate(recipe, samples=800).steps == 1000


def test_the_loop_takes_any_recipe_whose_example_has_its_shapes():
    class WithExample(MeanOfImage):
        def example(self, count):
            return {"image": torch.randn(count, 1, 8, 8), "target": torch.rand(count, 3)}

    found = estimate(WithExample(replace(LOOP, batch_size=16)))
    assert found.steps == 30


def test_computed_memory_is_what_a_step_really_takes(tmp_path):
    """The highest memory of a process that takes a step, against the estimate: right within a factor of two."""
    code = """
import re, sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
from test_training_estimate import scores
from SScILDScoringTrainingLib.loop.estimate import Trial
from SScILDScoringTrainingLib.loop.precision import Precision
recipe = scores(batch_size=int(sys.argv[2]))
trial = Trial(recipe, recipe.network(), torch.device("cpu"), Precision("fp32", torch.device("cpu")))
trial.step()
print(1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)))
"""
    peaks = []
    for batch in (8, 72):
        command = [sys.executable, "-c", code, str(__file__).rpartition("/")[0], str(batch)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    small, large = (estimate(scores(batch_size=b)).device_bytes for b in (8, 72))
    assert (large - small) / (peaks[1] - peaks[0]) == pytest.approx(1, abs=0.5)


def test_the_command_shows_a_table_and_no_run(tmp_path):
    import yaml

    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SCORES))
    command = [sys.executable, "-m", "SScILDScoringTrainingLib.cli", "train", "scores", "small.yaml", "--estimate"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "compact_ratio" in done.stdout
    assert "measured" in done.stdout
    assert not (tmp_path / "runs").exists()
