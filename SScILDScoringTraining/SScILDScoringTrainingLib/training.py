"""One training loop for every recipe, on pytorch-ignite's engine.

A recipe (:class:`Recipe`) says what is particular to a network: its data, its loss, its validation. The loop does the
rest: optimiser and schedule, mixed precision, clipping, averaged weights, validation, checkpoints, resume, curves,
time limit, cancel.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from SScILDScoringLib.errors import Cancelled, SettingsError
from SScILDScoringLib.progress import Progress, silent

from .checkpoints import WeightAverage, load_checkpoint, save_checkpoint
from .config import LoopConfig
from .runfolder import Curves, RunFolder


class Recipe(Protocol):
    """What the loop needs to know of a network and its data."""

    loop: LoopConfig
    seed: int
    samples_per_epoch: int

    def plain_config(self) -> dict:
        """The complete configuration as plain values."""

    def prepare(self, progress: Progress) -> None:
        """Reads or generates the data (cached); called once before anything else."""

    def network(self) -> nn.Module:
        """The network at its start."""

    def batches(self, first: int, count: int) -> Iterable[Mapping[str, torch.Tensor]]:
        """Training batches number ``first`` to ``first + count - 1``; each depends on its number and the seed only."""

    def loss(self, network: nn.Module, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of a batch, and its parts for the curves."""

    def validate(self, network: nn.Module, device: torch.device) -> tuple[dict[str, float], list[dict]]:
        """Figures (``mae`` decides which checkpoint is best; smaller is better) and one row per validation case."""

    def picture(self, batch: Mapping[str, torch.Tensor]) -> np.ndarray:
        """The inputs of a batch as the network sees them: uint8 ``(y, x)``."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended: the best validation MAE and its step, the last step, and ``reason`` (``finished``, ``time``)."""

    best_mae: float
    best_step: int
    last_step: int
    reason: str


def regression_loss(name: str, scale: float = 1.0):
    """The loss function ``(answer, target) -> scalar`` of a configuration; ``scale`` is smooth L1's beta."""
    if name == "mse":
        return nn.functional.mse_loss
    if name == "l1":
        return nn.functional.l1_loss
    return lambda answer, target: nn.functional.smooth_l1_loss(answer, target, beta=scale)


def learning_rate_factor(config: LoopConfig, step: int, progress: float) -> float:
    """What the learning rate is multiplied by at ``step`` when the share ``progress`` of the training is over."""
    progress = min(max(progress, 0.0), 1.0)
    if config.schedule == "one_cycle":
        if progress < 0.3:
            return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / 0.3))
        return 1e-4 + (1 - 1e-4) * 0.5 * (1 + math.cos(math.pi * (progress - 0.3) / 0.7))
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    if config.schedule == "cosine":
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
    return warm


def chosen_device(name: str) -> torch.device:
    """The device of a configuration. Raises SettingsError when CUDA is asked for and absent."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise SettingsError("The configuration asks for a CUDA device, and there is none. Set training.device=cpu.")
    return torch.device(name)


def low_precision_helps(device: torch.device) -> bool:
    """Whether bf16 is faster here: on CUDA devices that know it and on CPUs with AMX matrix units."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(probe and probe())


class Trainer:
    """A run of one recipe in one folder.

    Args:
        recipe: what to train.
        run: the folder; made when it is not there.
        resume: go on from the folder's last checkpoint.
        progress: told about every logged step; raising :class:`Cancelled` in it ends the run after a checkpoint.
    """

    def __init__(self, recipe: Recipe, run: str | Path, resume: bool = False, progress: Progress = silent) -> None:
        self.recipe = recipe
        self.config = recipe.loop
        self.run_folder = RunFolder(run)
        self.resume = resume
        self.progress = progress

    def run(self) -> TrainingResult:
        """Trains to the end of the configuration. A cancelled or interrupted run can be resumed.

        Raises:
            SettingsError: the folder is in use, the checkpoint does not fit, or the data is not usable.
            Cancelled: the progress callable asked to stop; the last checkpoint is written.
        """
        from ignite.engine import Engine, Events

        config = self.config
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(self.recipe.seed)
        self.recipe.prepare(self.progress)
        self.run_folder.start(self.recipe.plain_config(), self.resume)
        self._set_up()
        curves = Curves(self.run_folder, self.step)
        engine = Engine(lambda _, batch: self._step(batch))
        engine.logger.setLevel(logging.CRITICAL)  # the command line tells about errors itself
        log_every = max(1, min(50, self.total_steps // 20))
        validate_every = config.validate_every or self.steps_per_epoch
        recent: list[dict[str, float]] = []

        @engine.on(Events.ITERATION_COMPLETED)
        def after_step(engine: Engine) -> None:
            recent.append(engine.state.output)
            if self.step == 1:
                self.run_folder.picture("inputs.png", self.recipe.picture(engine.state.batch))
            over = self.share_done() >= 1
            if self.step % log_every == 0 or over:
                parts = {k: float(np.mean([r[k] for r in recent])) for k in recent[0]}
                recent.clear()
                curves.add(self.step, seconds=self.elapsed(), learning_rate=self.rate, **parts)
                text = f"step {self.step}/{self.total_steps}, loss {parts['loss']:.4g}, best MAE {self.best_mae:.3g}"
                self.progress("train", self.share_done(), text)
            if self.step % validate_every == 0 or over:
                self._validate(curves)
            if over:
                engine.terminate()

        try:
            if self.share_done() < 1:
                batches = self.recipe.batches(self.step, self.total_steps - self.step)
                engine.run(batches, max_epochs=1, epoch_length=self.total_steps - self.step)
        except BaseException as stop:
            # Whatever stops the run between two steps (cancel, Ctrl-C, a signal) leaves a checkpoint to go on from.
            if not isinstance(stop, Exception | GeneratorExit) or isinstance(stop, Cancelled):
                self._save_unless_in_a_step()
            raise
        finally:
            curves.close()
        reason = "finished" if self.step >= self.total_steps else "time"
        return TrainingResult(self.best_mae, self.best_step, self.step, reason)

    # ---- state -------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        config = self.config
        self.device = chosen_device(config.device)
        if config.precision == "auto":
            self.low_precision = low_precision_helps(self.device)
        else:
            self.low_precision = config.precision == "bf16"
        torch.manual_seed(self.recipe.seed)
        self.network = self.recipe.network().to(self.device)
        dimensions = {p.dim() for p in self.network.parameters()}
        self.layout = torch.channels_last_3d if 5 in dimensions else torch.channels_last
        self.network = self.network.to(memory_format=self.layout)
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        self.average = WeightAverage(self.network, config.ema) if config.ema else None
        self.steps_per_epoch = max(1, self.recipe.samples_per_epoch // config.batch_size)
        self.total_steps = config.steps or config.epochs * self.steps_per_epoch
        self.step, self.best_mae, self.best_step, self.rate = 0, math.inf, 0, config.learning_rate
        self._earlier, self._started = 0.0, time.monotonic()
        self._in_step = False
        if self.resume:
            self._restore(load_checkpoint(self.run_folder.last))

    def elapsed(self) -> float:
        """Seconds of training, over all sessions of this run."""
        return self._earlier + time.monotonic() - self._started

    def share_done(self) -> float:
        """From 0 to 1: by steps, or by time when there is a limit and it is nearer."""
        share = self.step / self.total_steps
        return max(share, self.elapsed() / 60 / self.config.minutes) if self.config.minutes else share

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": {"state": self.average.state, "updates": self.average.updates} if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
            "step": self.step,
            "elapsed": self.elapsed(),
            "best_mae": self.best_mae,
            "best_step": self.best_step,
        }

    def _save(self, path: Path) -> None:
        save_checkpoint(path, self._state())

    def _save_unless_in_a_step(self) -> None:
        if not self._in_step:
            self._save(self.run_folder.last)

    def _restore(self, state: dict) -> None:
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average and state["average"]:
                self.average.state = {k: v.to(self.device) for k, v in state["average"]["state"].items()}
                self.average.updates = state["average"]["updates"]
        except (RuntimeError, KeyError, ValueError) as error:
            raise SettingsError(f"The checkpoint does not belong to this configuration: {error}") from error
        torch.set_rng_state(state["torch_rng"])
        if state["cuda_rng"] and self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        self.step, self._earlier = state["step"], state["elapsed"]
        self.best_mae, self.best_step = state["best_mae"], state["best_step"]

    # ---- one step, one validation --------------------------------------------------------------------------------

    def _step(self, batch: Mapping[str, torch.Tensor]) -> dict[str, float]:
        self._in_step = True
        self.network.train()
        factor = learning_rate_factor(self.config, self.step, self.share_done())
        self.rate = self.config.learning_rate * factor
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        batch = {k: v.to(self.device, non_blocking=True) for k, v in batch.items()}
        batch["image"] = batch["image"].contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision):
            loss, parts = self.recipe.loss(self.network, batch)
        if not torch.isfinite(loss):
            raise SettingsError(f"The loss is no longer a number at step {self.step}: lower training.learning_rate.")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.step()
        if self.average:
            self.average.update(self.network)
        self.step += 1
        self._in_step = False
        return {"loss": float(loss.detach()), **parts}

    def _validate(self, curves: Curves) -> None:
        trained = None
        if self.average:
            trained = {k: v.clone() for k, v in self.network.state_dict().items()}
            self.network.load_state_dict(self.average.state)
        self.network.eval()
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision):
            figures, rows = self.recipe.validate(self.network, self.device)
        curves.add(self.step, seconds=self.elapsed(), **{f"validation_{k}": v for k, v in figures.items()})
        if figures["mae"] < self.best_mae:
            self.best_mae, self.best_step = figures["mae"], self.step
            state = {"network": self.network.state_dict(), "step": self.step, "figures": figures}
            save_checkpoint(self.run_folder.best, state)
            self.run_folder.write_table("validation.csv", rows)
        if trained is not None:
            self.network.load_state_dict(trained)
        self._save(self.run_folder.last)
        text = ", ".join(f"{k} {v:.3g}" for k, v in figures.items())
        self.progress("validate", self.share_done(), f"step {self.step}: {text}")


def trained_network(recipe: Recipe, run: str | Path, last: bool = False) -> tuple[nn.Module, dict]:
    """The network with the run's best weights (eval mode), and that checkpoint's figures.

    Args:
        last: the weights at the end instead (their moving average where one was kept); without figures but ``step``.

    Raises:
        SettingsError: no such checkpoint, or one of another network.
    """
    if last:
        state = load_checkpoint(RunFolder(run).last)
        weights = state["average"]["state"] if state.get("average") else state["network"]
        state = {"network": weights, "step": state["step"], "figures": {}}
    else:
        state = load_checkpoint(RunFolder(run).best)
    network = recipe.network()
    try:
        network.load_state_dict(state["network"])
    except RuntimeError as error:
        raise SettingsError(f"The checkpoint does not belong to this configuration: {error}") from error
    return network.eval(), {"step": state["step"], **state["figures"]}
