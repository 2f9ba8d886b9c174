"""One step of the optimiser: pieces, mixed precision, clipping."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import nn

from SScILDScoringLib.errors import SettingsError

from ..config import LoopConfig
from .freezing import Freezing
from .precision import Precision
from .recipe import Batch, Recipe
from .state import TrainingState
from .team import Team

MOST_OVERFLOWS = 30
"""Steps in a row whose loss float16 cannot hold before a run is given up; the scale halves with each of them."""


class LossOf(nn.Module):
    """A recipe's loss as a module, so that whatever it calls of the network passes through DistributedDataParallel."""

    def __init__(self, recipe: Recipe, network: nn.Module) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = network

    def forward(self, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        return self.recipe.loss(self.network, batch)


class Stepper:
    """Takes steps.

    Args:
        recipe: for its loss. state: what is trained. config: of the loop.
        device, precision, freezing, team: of the run.
    """

    def __init__(
        self,
        recipe: Recipe,
        state: TrainingState,
        config: LoopConfig,
        device: torch.device,
        precision: Precision,
        freezing: Freezing,
        team: Team,
    ) -> None:
        self.recipe, self.state, self.config = recipe, state, config
        self.device, self.precision, self.freezing, self.team = device, precision, freezing, team
        dimensions = {p.dim() for p in state.network.parameters()}
        self.layout = torch.channels_last_3d if 5 in dimensions else torch.channels_last
        state.network.to(memory_format=self.layout)
        self._module: nn.Module | None = None
        self._overflows = 0

    def take(self, batch: Batch, rate: float) -> dict[str, float]:
        """One step on this process's share of a batch at learning rate ``rate``; its losses.

        Raises:
            SettingsError: the loss is not a number any more, or the device's memory is not enough.
        """
        state = self.state
        if self.freezing.apply(state.step) or self._module is None:
            self._module = self.team.joined(LossOf(self.recipe, state.network), self.device)
        state.network.train()
        self.freezing.quiet_norms()
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.optimizer.zero_grad(set_to_none=True)
        try:
            losses = self._gradients(batch)
        except torch.OutOfMemoryError as error:
            raise SettingsError(
                "The memory of the device is not enough for this step. Raise training.accumulate (2, 4 ...), or lower "
                "training.batch_size; `sscild train ... --estimate` tells beforehand what is needed."
            ) from error
        if self.config.clip_norm:
            state.scaler.unscale_(state.optimizer)
            nn.utils.clip_grad_norm_(state.network.parameters(), self.config.clip_norm)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        if state.average:
            state.average.update(state.network)
        return losses

    def _gradients(self, batch: Batch) -> dict[str, float]:
        count = self.config.accumulate
        common = self._common(batch)
        sums: dict[str, float] = {}
        for n, piece in enumerate(pieces(batch, count)):
            piece = {k: v.to(self.device, non_blocking=True) for k, v in piece.items()}
            piece["image"] = piece["image"].contiguous(memory_format=self.layout)
            # Gradients are averaged over the processes once a step, with the last piece.
            apart = self.team.size > 1 and n < count - 1
            with self._module.no_sync() if apart else nullcontext():
                with self.precision.autocast():
                    loss, parts = self._module({**piece, **common})
                self._check(loss)
                self.state.scaler.scale(loss / count).backward()
            for name, value in {"loss": float(loss.detach()), **parts}.items():
                sums[name] = sums.get(name, 0.0) + value / count
        return sums

    def _common(self, batch: Batch) -> dict[str, float]:
        means = getattr(self.recipe, "common", None)
        if means is None or (self.team.size == 1 and self.config.accumulate == 1):
            return {}
        return self.team.exchange([], means(batch))[1]

    def _check(self, loss: torch.Tensor) -> None:
        if torch.isfinite(loss):
            self._overflows = 0
            return
        self._overflows += 1
        if not self.state.scaler.is_enabled() or self._overflows > MOST_OVERFLOWS:
            raise SettingsError(
                f"The loss is no longer a number at step {self.state.step}: lower training.learning_rate"
                + (", or set training.precision=fp32." if self.state.scaler.is_enabled() else ".")
            )


def pieces(batch: Batch, count: int) -> Iterator[dict[str, torch.Tensor]]:
    """``batch`` in ``count`` equal pieces along the samples."""
    size = len(next(iter(batch.values()))) // count
    for n in range(count):
        yield {k: v[n * size : (n + 1) * size] for k, v in batch.items()}
