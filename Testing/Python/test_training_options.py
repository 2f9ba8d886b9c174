"""What can be set in the loop: accumulation, early stopping, freezing, number formats, determinism, trackers."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from small_training import LOOP, MeanOfImage, curve
from SScILDScoringLib.errors import Cancelled, SettingsError
from SScILDScoringTrainingLib.checkpoints import load_checkpoint
from SScILDScoringTrainingLib.loop.determinism import seed_step
from SScILDScoringTrainingLib.loop.precision import Precision
from SScILDScoringTrainingLib.recipes import recipe_of
from SScILDScoringTrainingLib.training import Trainer

CPU = torch.device("cpu")


class WithoutBatchNorm(MeanOfImage):
    def network(self, start: bool = True) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3))


def last_weights(run) -> dict:
    return load_checkpoint(run / "checkpoints" / "last.pt")["network"]


def test_a_step_in_pieces_is_the_same_step(tmp_path):
    Trainer(WithoutBatchNorm(), tmp_path / "whole").run()
    Trainer(WithoutBatchNorm(replace(LOOP, accumulate=4)), tmp_path / "pieces").run()
    whole, pieces = last_weights(tmp_path / "whole"), last_weights(tmp_path / "pieces")
    for name, value in whole.items():
        assert torch.allclose(value, pieces[name], atol=2e-5), name
    for row, same in zip(curve(tmp_path / "whole"), curve(tmp_path / "pieces"), strict=True):
        assert not row["loss"] or float(row["loss"]) == pytest.approx(float(same["loss"]), rel=1e-4)


def test_dense_loss_in_pieces_is_the_same_loss():
    """The patterns' loss is divided by the lung's area in the whole step, whatever piece a sample is in."""
    recipe = recipe_of(
        {
            "recipe": "scores",
            "network": {"name": "compact_ratio", "options": {"widths": [4, 4, 4, 4], "blocks": [1, 1, 1, 1]}},
            "input": {"size": 64},
            "data": {},
            "training": {"batch_size": 6, "steps": 1, "learning_rate": 1e-3},
            "dense": {},
            "bundle": {"name": "x", "description": "A test."},
        }
    )
    batch = recipe.example(6)
    lung = torch.linspace(0, 1, 6)[:, None, None, None]
    ill = torch.tensor([0.0, 0, 0, 0, 1, 1])[:, None, None, None]
    batch["maps"] = torch.cat([lung, lung * ill, lung * ill, lung * 0], 1).expand(6, 4, *batch["maps"].shape[2:])
    batch["dense"] = torch.tensor([1.0, 1, 0, 1, 1, 0])
    network = recipe.network().eval()
    common = recipe.common(batch)
    pieces = [{k: v[n : n + 2] for k, v in batch.items()} for n in (0, 2, 4)]
    with torch.no_grad():
        whole = float(recipe.loss(network, batch)[0])
        joined = sum(float(recipe.loss(network, {**piece, **common})[0]) for piece in pieces) / 3
        apart = sum(float(recipe.loss(network, piece)[0]) for piece in pieces) / 3
    assert joined == pytest.approx(whole, rel=1e-5)
    assert apart != pytest.approx(whole, rel=1e-2), "the example would not show a difference"


def test_training_stops_early_when_it_gets_no_better(tmp_path):
    loop = replace(LOOP, steps=500, validate_every=2, patience=3, learning_rate=1e-9, ema=None)
    result = Trainer(MeanOfImage(loop), tmp_path).run()
    assert result.reason == "patience"
    assert result.last_step < 500
    errors = [float(r["validation_mae"]) for r in curve(tmp_path) if r["validation_mae"]]
    assert result.last_step == result.best_step + 2 * 3
    assert min(errors[:-3]) == pytest.approx(result.best_mae, rel=1e-4)
    assert all(e >= min(errors[:-3]) for e in errors[-3:])


def test_frozen_parts_keep_weights_and_averages_until_they_thaw(tmp_path):
    loop = replace(LOOP, freeze=("features.*",), thaw_at=20, ema=None)
    torch.manual_seed(3)
    start = {k: v.clone() for k, v in MeanOfImage().network().state_dict().items()}
    Trainer(MeanOfImage(replace(loop, steps=20)), tmp_path / "frozen").run()
    frozen = last_weights(tmp_path / "frozen")
    assert all(torch.equal(frozen[k], start[k]) for k in start if k.startswith("features."))
    assert not torch.equal(frozen["head.0.weight"], start["head.0.weight"])
    Trainer(MeanOfImage(loop), tmp_path / "thawed").run()
    thawed = last_weights(tmp_path / "thawed")
    assert not torch.equal(thawed["features.0.weight"], start["features.0.weight"])
    assert not torch.equal(thawed["features.1.running_mean"], start["features.1.running_mean"])


@pytest.mark.parametrize(
    ("freeze", "message"),
    [(("encoder.*",), "The network's parts: features, head"), (("*",), "nothing to train")],
)
def test_a_wrong_freezing_is_told(tmp_path, freeze, message):
    with pytest.raises(SettingsError, match=message):
        Trainer(MeanOfImage(replace(LOOP, freeze=freeze)), tmp_path).run()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_learns_as_float32_does(tmp_path, precision):
    results = {
        name: Trainer(MeanOfImage(replace(LOOP, steps=60, precision=name)), tmp_path / name).run()
        for name in ("fp32", precision)
    }
    assert results[precision].best_mae == pytest.approx(results["fp32"].best_mae, rel=0.2)
    assert all(v.dtype == torch.float32 for n, v in last_weights(tmp_path / precision).items() if "weight" in n)


def test_float16_scales_its_loss_and_survives_what_it_cannot_hold(tmp_path):
    assert Precision("fp16", CPU).scaler.is_enabled()
    assert not Precision("bf16", CPU).scaler.is_enabled()

    class OnceTooLarge(MeanOfImage):
        def loss(self, network, batch):
            loss, parts = super().loss(network, batch)
            self.calls = getattr(self, "calls", 0) + 1
            return (loss * float("inf"), parts) if self.calls == 7 else (loss, parts)

    result = Trainer(OnceTooLarge(replace(LOOP, precision="fp16")), tmp_path).run()
    assert result.last_step == 30
    assert all(torch.isfinite(v).all() for v in last_weights(tmp_path).values())
    assert all(torch.isfinite(torch.tensor(float(r["loss"]))) for r in curve(tmp_path) if r["loss"])


def test_random_numbers_of_a_step_depend_on_seed_step_and_process_only(tmp_path):
    def drawn(*which: int) -> float:
        seed_step(*which)
        return float(torch.rand(1))

    assert drawn(1, 5, 0) == drawn(1, 5, 0)
    assert len({drawn(1, 5, 0), drawn(2, 5, 0), drawn(1, 6, 0), drawn(1, 5, 1)}) == 4
    # With dropout a resumed run draws what the unbroken one drew.
    Trainer(MeanOfImage(dropout=0.5), tmp_path / "whole").run()

    def stop_in_the_middle(stage, fraction, message):
        if stage == "train" and fraction > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        Trainer(MeanOfImage(dropout=0.5), tmp_path / "broken", progress=stop_in_the_middle).run()
    torch.rand(1000)
    Trainer(MeanOfImage(dropout=0.5), tmp_path / "broken", resume=True).run()
    assert curve(tmp_path / "broken") == curve(tmp_path / "whole")


def test_deterministic_mode_is_on_while_training_and_off_again(tmp_path):
    seen = []

    class Looks(MeanOfImage):
        def validate(self, network, device):
            seen.append(torch.are_deterministic_algorithms_enabled())
            return super().validate(network, device)

    Trainer(Looks(replace(LOOP, deterministic=True)), tmp_path / "one").run()
    assert seen == [True] * 3
    assert not torch.are_deterministic_algorithms_enabled()
    Trainer(MeanOfImage(replace(LOOP, deterministic=True)), tmp_path / "two").run()
    one, two = last_weights(tmp_path / "one"), last_weights(tmp_path / "two")
    assert all(torch.equal(one[k], two[k]) for k in one)


def test_curves_reach_mlflow_once_also_after_a_resume(tmp_path):
    tracking = pytest.importorskip("mlflow.tracking")
    address = (tmp_path / "mlruns").as_uri()
    loop = replace(LOOP, mlflow=address)
    Trainer(MeanOfImage(replace(loop, steps=20)), tmp_path / "run").run()
    Trainer(MeanOfImage(loop), tmp_path / "run", resume=True).run()
    client = tracking.MlflowClient(address)
    runs = client.search_runs([client.get_experiment_by_name("SScILDScoring").experiment_id])
    assert len(runs) == 1, "a resumed run goes on in the same MLflow run"
    assert runs[0].info.status == "FINISHED"
    assert runs[0].data.params["seed"] == "3"
    for name in ("loss", "validation_mae"):
        sent = [(m.step, m.value) for m in client.get_metric_history(runs[0].info.run_id, name)]
        rows = [(int(r["step"]), float(r[name])) for r in curve(tmp_path / "run") if r[name]]
        assert [s for s, _ in sent] == [s for s, _ in rows]
        assert [v for _, v in sent] == pytest.approx([v for _, v in rows], rel=1e-4)


def test_mlflow_that_is_asked_for_and_missing_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(SettingsError, match="pip install mlflow-skinny"):
        Trainer(MeanOfImage(replace(LOOP, mlflow="http://localhost:1")), tmp_path).run()


def test_an_mlflow_server_that_does_not_answer_is_told_at_the_start(tmp_path):
    pytest.importorskip("mlflow.tracking")
    with pytest.raises(SettingsError, match=r"MLflow at http://127.0.0.1:9 gives no run"):
        Trainer(MeanOfImage(replace(LOOP, mlflow="http://127.0.0.1:9")), tmp_path).run()


def test_tensorboard_holds_the_curves(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Trainer(MeanOfImage(replace(LOOP, tensorboard=True)), tmp_path).run()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("validation/mae")] == [10, 20, 30]
