"""What the loop needs to know of a network and its data, and how a run ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from SScILDScoringLib.progress import Progress

from ..config import LoopConfig

Batch = Mapping[str, torch.Tensor]


class Recipe(Protocol):
    """A network, its data, its loss and its validation.

    Three methods are optional: ``common(batch) -> dict of float``, means over the samples of a batch that its loss
    divides by, so that a step taken in pieces or by several processes is the same step;
    ``example(count) -> batch``, random samples of the right shapes for an estimate without any data; and
    ``examples(path)``, which writes a picture of the samples that the recipe makes, where it makes any.
    """

    loop: LoopConfig
    seed: int
    samples_per_epoch: int

    def plain_config(self) -> dict:
        """The complete configuration as plain values."""

    def prepare(self, progress: Progress) -> None:
        """Reads or generates the data (cached); called once before anything else."""

    def network(self, start: bool = True) -> nn.Module:
        """The network with the weights it starts from; with ``start=False`` only the network, weights to come."""

    def batches(self, first: int, count: int, share: tuple[int, int] = (0, 1)) -> Iterable[Batch]:
        """Training batches number ``first`` to ``first + count - 1``; each depends on its number and the seed only.

        ``share``: ``(n, of)``, only the n-th of so many equal parts of each.
        """

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of a batch as a mean over its samples, and its parts for the curves.

        What :meth:`common` gave for the whole step stands in the batch under the same names.
        """

    def validate(self, network: nn.Module, device: torch.device) -> tuple[dict[str, float], list[dict]]:
        """Figures (``mae`` decides which checkpoint is best; smaller is better) and one row per validation case."""

    def picture(self, batch: Batch) -> np.ndarray:
        """The inputs of a batch as the network sees them: uint8 ``(y, x)``."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Args:
        best_mae, best_step: the best validation and its step. last_step: the last step.
        reason: ``finished``, ``time`` (the limit), ``patience`` (early stopping) or ``stopped`` (asked to, see
            :mod:`..run_status`; it can be resumed).
    """

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
