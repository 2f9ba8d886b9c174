"""What a run is made of between two steps, and its way into a checkpoint and back."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from SScILDScoringLib.errors import SettingsError

from ..checkpoints import WeightAverage
from ..config import LoopConfig
from .precision import Precision


class Clock:
    """Seconds of training over all sessions of a run, pauses left out."""

    def __init__(self, earlier: float = 0.0) -> None:
        self._earlier, self._started = earlier, time.monotonic()

    def seconds(self) -> float:
        """Seconds so far."""
        return self._earlier + (0.0 if self._started is None else time.monotonic() - self._started)

    def stand(self) -> None:
        """Stops counting."""
        self._earlier, self._started = self.seconds(), None

    def go(self) -> None:
        """Counts again."""
        self._started = time.monotonic()


class TrainingState:
    """Network, optimiser and everything else that a checkpoint must hold for a run to go on exactly.

    Random numbers are not among it: they follow from the seed and the step (:func:`.determinism.seed_step`).

    Args:
        network: on its device. config: of the loop. precision: of the run.
    """

    def __init__(self, network: nn.Module, config: LoopConfig, precision: Precision) -> None:
        self.network = network
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        self.average = WeightAverage(network, config.ema) if config.ema else None
        self.scaler = precision.scaler
        self.clock = Clock()
        self.step = 0
        self.best_mae, self.best_step = math.inf, 0
        self.validations_since_best = 0
        self.window = Window()

    def to_checkpoint(self) -> dict[str, Any]:
        """Plain values and tensors."""
        return {
            "format": 2,
            "network": self.network.state_dict(),
            "average": {"state": self.average.state, "updates": self.average.updates} if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "elapsed": self.clock.seconds(),
            "best_mae": self.best_mae,
            "best_step": self.best_step,
            "validations_since_best": self.validations_since_best,
            "window": {"count": self.window.count, "sums": dict(self.window.sums)},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes a checkpoint's values. Raises SettingsError when it belongs to another configuration."""
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average and state["average"]:
                own = self.average.state
                self.average.state = {k: v.to(own[k].device) for k, v in state["average"]["state"].items()}
                self.average.updates = state["average"]["updates"]
            if state.get("scaler") and self.scaler.is_enabled():
                self.scaler.load_state_dict(state["scaler"])
            self.step, self.clock = state["step"], Clock(state["elapsed"])
            self.best_mae, self.best_step = state["best_mae"], state["best_step"]
            self.validations_since_best = state.get("validations_since_best", 0)
            window = state.get("window", {"count": 0, "sums": {}})
            self.window = Window(window["count"], dict(window["sums"]))
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise SettingsError(f"The checkpoint does not belong to this configuration: {reason}") from error

    def judge(self, mae: float) -> bool:
        """Takes a validation's MAE in; True when it is the best so far."""
        if mae < self.best_mae:
            self.best_mae, self.best_step, self.validations_since_best = mae, self.step, 0
            return True
        self.validations_since_best += 1
        return False

    @contextmanager
    def judged_weights(self):
        """Within the block the network holds the weights that are validated and kept: the average, where there is
        one."""
        if self.average is None:
            yield
            return
        trained = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.average.state)
        try:
            yield
        finally:
            self.network.load_state_dict(trained)


class Window:
    """Means of losses over the steps since the last row of the curves."""

    def __init__(self, count: int = 0, sums: dict[str, float] | None = None) -> None:
        self.count, self.sums = count, sums or {}

    def add(self, values: Mapping[str, float]) -> None:
        """One step's values."""
        self.count += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        """The means; starts anew."""
        means = {name: value / self.count for name, value in self.sums.items()}
        self.count, self.sums = 0, {}
        return means
