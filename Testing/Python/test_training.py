"""The training loop: what a run leaves behind, resume, best checkpoint, limits, cancel, configuration errors."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from small_training import LOOP, MeanOfImage, curve
from SScILDScoringLib.errors import Cancelled, SettingsError
from SScILDScoringTrainingLib.checkpoints import load_checkpoint
from SScILDScoringTrainingLib.config import PRESETS, LoopConfig, build, read_yaml
from SScILDScoringTrainingLib.datasets import BatchStream, RecentlyMade, loader
from SScILDScoringTrainingLib.training import Trainer, learning_rate_factor, trained_network


def test_a_run_learns_and_leaves_everything_needed_to_judge_and_repeat_it(tmp_path):
    result = Trainer(MeanOfImage(replace(LOOP, steps=60, tensorboard=True)), tmp_path / "run").run()
    assert result.reason == "finished"
    assert result.last_step == 60
    rows = curve(tmp_path / "run")
    errors = [float(r["validation_mae"]) for r in rows if r["validation_mae"]]
    assert result.best_mae == pytest.approx(min(errors), rel=1e-4)
    assert result.best_mae < 0.7 * errors[0]
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"config.yaml", "environment.json", "curves.csv", "tensorboard", "validation.csv", "inputs.png",
            "status.json", "log.txt"} <= names  # fmt: skip
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["versions"]["torch"] == torch.__version__
    assert not list((tmp_path / "run").rglob("*.part"))


def test_a_resumed_run_ends_exactly_where_an_unbroken_one_does(tmp_path):
    Trainer(MeanOfImage(), tmp_path / "whole").run()
    calls = []

    def cancel_in_the_middle(stage, fraction, message):
        calls.append(stage)
        if stage == "train" and fraction > 0.45:
            raise Cancelled

    with pytest.raises(Cancelled):
        Trainer(MeanOfImage(), tmp_path / "broken", progress=cancel_in_the_middle).run()
    assert 0 < load_checkpoint(tmp_path / "broken" / "checkpoints" / "last.pt")["step"] < 30
    Trainer(MeanOfImage(), tmp_path / "broken", resume=True).run()
    whole, broken = (load_checkpoint(tmp_path / n / "checkpoints" / "last.pt") for n in ("whole", "broken"))
    assert whole["step"] == broken["step"] == 30
    assert all(torch.equal(whole["network"][k], broken["network"][k]) for k in whole["network"])
    assert whole["best_mae"] == broken["best_mae"]
    steps = [int(r["step"]) for r in curve(tmp_path / "broken")]
    assert steps == sorted(steps)


def test_a_killed_run_goes_on_from_its_last_validation(tmp_path):
    class Killed(BaseException):
        pass

    recipe = MeanOfImage()
    sample = recipe.sample

    def dying(number):
        if number == 17 * 8:
            raise Killed
        return sample(number)

    recipe.sample = dying
    with pytest.raises(Killed):
        Trainer(recipe, tmp_path / "run").run()
    result = Trainer(MeanOfImage(), tmp_path / "run", resume=True).run()
    assert result.last_step == 30
    whole = Trainer(MeanOfImage(), tmp_path / "whole").run()
    assert whole.best_mae == result.best_mae


def test_a_run_is_not_overwritten_unless_it_is_resumed(tmp_path):
    Trainer(MeanOfImage(replace(LOOP, steps=2)), tmp_path / "run").run()
    with pytest.raises(SettingsError, match="--resume"):
        Trainer(MeanOfImage(), tmp_path / "run").run()


def test_resume_without_a_run_and_a_damaged_checkpoint_are_named(tmp_path):
    with pytest.raises(SettingsError, match="without --resume"):
        Trainer(MeanOfImage(), tmp_path / "none", resume=True).run()
    Trainer(MeanOfImage(replace(LOOP, steps=2)), tmp_path / "run").run()
    (tmp_path / "run" / "checkpoints" / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(SettingsError, match="not a readable checkpoint"):
        Trainer(MeanOfImage(), tmp_path / "run", resume=True).run()


def test_the_best_checkpoint_gives_the_network_that_was_validated(tmp_path):
    result = Trainer(MeanOfImage(), tmp_path / "run").run()
    recipe = MeanOfImage()
    recipe.prepare(None)
    network, figures = trained_network(recipe, tmp_path / "run")
    with torch.inference_mode():
        again, _ = recipe.validate(network, torch.device("cpu"))
    assert again["mae"] == pytest.approx(result.best_mae, rel=1e-5)
    assert figures["step"] == result.best_step


def test_a_time_limit_ends_the_run_and_validates_it(tmp_path):
    loop = replace(LOOP, steps=10**6, minutes=0.02)
    result = Trainer(MeanOfImage(loop), tmp_path / "run").run()
    assert result.reason == "time"
    assert result.best_mae < 1
    assert float([r for r in curve(tmp_path / "run") if r["learning_rate"]][-1]["learning_rate"]) < 0.1 * 3e-3


def test_workers_do_not_change_what_is_trained():
    recipe = MeanOfImage()
    alone = list(loader(BatchStream(recipe.sample, 4, 3, 5), 0))
    helped = list(loader(BatchStream(recipe.sample, 4, 3, 5), 2))
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(alone, helped, strict=True))


def test_reused_things_depend_on_the_sample_number_only():
    made = []
    recent = RecentlyMade(lambda n: made.append(n) or n, reuse=3, kept=10)
    first = [recent.get(n, np.random.default_rng(n)) for n in range(90)]
    assert len(made) == 30, "every third sample is made fresh and the others are found in memory"
    other = RecentlyMade(lambda n: n, reuse=3, kept=10)
    assert [other.get(n, np.random.default_rng(n)) for n in range(40, 90)] == first[40:]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_schedules_start_and_end_as_they_are_called(schedule):
    config = replace(LOOP, schedule=schedule)
    factors = [learning_rate_factor(config, n, n / 100) for n in range(101)]
    assert max(factors) == pytest.approx(1, abs=0.01)
    assert factors[-1] == pytest.approx({"constant": 1, "cosine": 0.01, "one_cycle": 1e-4}[schedule])
    if schedule == "one_cycle":
        assert factors[0] < 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "sgd"}, "adam, adamw"),
        ({"epochs": 3}, "not both"),
        ({"learning_rate": 0}, "greater than zero"),
        ({"speed": 3}, "Unknown key training.speed"),
        ({"accumulate": 3}, "multiple of training.accumulate"),
        ({"patience": 0}, "training.patience must be greater than zero"),
        ({"thaw_at": 5}, "needs training.freeze"),
        ({"precision": "fp8"}, "bf16, fp16"),
        ({"steps": "many"}, "training.steps must be of type int"),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_key_that_is_wrong(changes, message):
    values = {"batch_size": 4, "learning_rate": "1e-4", "steps": 10, **changes}
    with pytest.raises(SettingsError, match=message):
        build(LoopConfig, values, "training")


def test_numbers_written_as_yaml_reads_them_are_understood():
    assert build(LoopConfig, {"batch_size": 4, "learning_rate": "1e-4", "steps": 10}).learning_rate == 1e-4


@pytest.mark.parametrize("preset", sorted(p.stem for p in PRESETS.glob("[ls]_net_*.yaml")))
def test_every_preset_is_a_complete_configuration(preset, monkeypatch, tmp_path):
    for name in ("CT", "COHORT", "IMAGENET"):
        monkeypatch.setenv(name, str(tmp_path))
    values = read_yaml(preset, ["training.minutes=3"])
    from SScILDScoringTrainingLib.recipes.levels import LevelsConfig
    from SScILDScoringTrainingLib.recipes.scores import ScoresConfig

    config = build({"levels": LevelsConfig, "scores": ScoresConfig}[values["recipe"]], values)
    assert config.training.minutes == 3
    assert config.bundle.name


def test_a_missing_variable_file_or_key_is_named(monkeypatch):
    monkeypatch.delenv("CT", raising=False)
    with pytest.raises(SettingsError, match="environment variable CT"):
        read_yaml("s_net_starter")
    with pytest.raises(SettingsError, match="The presets are"):
        read_yaml("nothing_here.yaml")
    with pytest.raises(SettingsError, match="key=value"):
        read_yaml("l_net_gpu", ["training.minutes"])
