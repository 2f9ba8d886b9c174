"""What a cohort costs is told in hours, memory and disk: this computer measured, a graphics card computed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from small_training import environment
from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.loop.cohort_cost import GPUS, cohort_cost, hours
from SScILDScoringTrainingLib.recipes import recipe_of

SCORES = {
    "recipe": "scores",
    "network": {"name": "compact_ratio", "options": {"widths": [8, 8, 16, 16], "blocks": [1, 1, 1, 1]}},
    "input": {"size": 128},
    "data": {"neighbours": 1},
    "training": {"batch_size": 8, "epochs": 10, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"},
    "dense": {},
    "bundle": {"name": "x", "description": "A test."},
}


def recipe(**training):
    return recipe_of({**SCORES, "training": {**SCORES["training"], **training}})


def test_the_samples_are_those_of_all_folds_but_one():
    found = cohort_cost(recipe(), 230, GPUS["h100"], folds=4)
    assert found.samples == (230 - 57) * 15
    assert found.steps == 10 * (found.samples // 8)
    assert found.cache_bytes == 230 * 15 * 512 * 512 * 3


def test_a_faster_card_takes_less_and_twice_the_epochs_twice_the_time():
    fast, slow = (cohort_cost(recipe(), 40, GPUS[name]) for name in ("h200", "a100"))
    longer = cohort_cost(recipe(epochs=20), 40, GPUS["h200"])
    assert 0 < fast.gpu_seconds < slow.gpu_seconds
    assert longer.gpu_seconds == pytest.approx(2 * fast.gpu_seconds)
    assert longer.total_flops == pytest.approx(2 * fast.total_flops)
    assert fast.here_seconds > 0


def test_the_work_is_the_networks_and_three_times_its_answer():
    from SScILDScoringTrainingLib.crossvalidation.complexity import complexity

    given = recipe()
    network = given.config.network
    answer = complexity("s_net", network.name, network.options, given.config.input).flops
    assert cohort_cost(given, 40, GPUS["h100"]).flops == pytest.approx(3 * answer)


def test_a_card_that_is_too_small_is_told_with_a_way_out():
    large = recipe(batch_size=64)
    needed = cohort_cost(large, 40, GPUS["h100"])
    assert needed.gpu_accumulate == 1
    small = replace(GPUS["h100"], gigabytes=(needed.gpu_bytes - 0.6 * (needed.gpu_bytes - (1 << 30))) / 0.9e9)
    found = cohort_cost(large, 40, small)
    assert found.gpu_accumulate > 1
    assert any(f"training.accumulate={found.gpu_accumulate}" in text for _, text in found.rows(small, 4))
    assert cohort_cost(large, 40, replace(small, gigabytes=1.1)).gpu_accumulate is None


def test_a_cohort_that_cannot_be_divided_is_refused():
    with pytest.raises(SettingsError, match="3 patients cannot be divided into 4 folds"):
        cohort_cost(recipe(), 3, GPUS["h100"])


def test_times_are_said_in_words_a_person_uses():
    assert [hours(s) for s in (600, 10_000, 300_000)] == ["10 min", "2.8 h", "3.5 days"]


def test_the_command_shows_what_is_measured_and_what_is_computed(tmp_path):
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SCORES))
    command = [sys.executable, "-m", "SScILDScoringTrainingLib.cli", "train", "cost", "small.yaml", "--gpu", "a100"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "NVIDIA A100" in done.stdout
    assert "computed" in done.stdout
    assert "measured" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["small.yaml"]
