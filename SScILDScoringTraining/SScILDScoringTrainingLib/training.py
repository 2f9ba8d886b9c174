"""Training of any recipe: the public face of the loop.

A recipe (:class:`Recipe`) says what is particular to a network: its data, its loss, its validation. The loop (room
``loop/``) does the rest: optimiser and schedule, mixed precision, gradient accumulation and clipping, averaged and
frozen weights, several processes, validation, early stopping, checkpoints, resume, curves, time limit, pause, cancel.

>>> from SScILDScoringTrainingLib.config import read_yaml          # doctest: +SKIP
>>> from SScILDScoringTrainingLib.recipes import recipe_of         # doctest: +SKIP
>>> Trainer(recipe_of(read_yaml("s_net_quick")), "runs/look").run()   # doctest: +SKIP

Several GPUs, or several CPU processes, share every batch when torchrun starts them::

    torchrun --nproc-per-node 2 -m SScILDScoringTrainingLib.cli train scores s_net_gpu -o runs/s_net

What a run promises: killed at any moment (``kill -9``, power) and resumed, it ends with the curves and weights of an
undisturbed run, on the CPU exactly. Several processes give what one process gives with the same ``batch_size``, up to
the order in which sums are rounded, BatchNorm included; dropout and stochastic depth draw other random numbers then,
and a bias in front of a BatchNorm, which changes nothing, wanders (its gradient is rounding alone, and Adam normalises
it). All processes must see the run folder and the cache.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from SScILDScoringLib.errors import SettingsError

from .checkpoints import load_checkpoint, newest_checkpoint
from .loop.estimate import Estimate, estimate
from .loop.precision import chosen_device, low_precision_helps
from .loop.recipe import Recipe, TrainingResult, regression_loss
from .loop.schedule import learning_rate_factor
from .loop.trainer import Trainer
from .runfolder import RunFolder

__all__ = [
    "Estimate",
    "Recipe",
    "Trainer",
    "TrainingResult",
    "chosen_device",
    "estimate",
    "learning_rate_factor",
    "low_precision_helps",
    "regression_loss",
    "trained_network",
]


def trained_network(recipe: Recipe, run: str | Path, last: bool = False) -> tuple[nn.Module, dict]:
    """The network with the run's best weights (eval mode), and that checkpoint's figures.

    Args:
        last: the weights at the end instead (their moving average where one was kept); without figures but ``step``.

    Raises:
        SettingsError: no such checkpoint, or one of another network.
    """
    folder = RunFolder(run)
    if last:
        state, _ = newest_checkpoint(folder.last, folder.previous)
        weights = state["average"]["state"] if state.get("average") else state["network"]
        state = {"network": weights, "step": state["step"], "figures": {}}
    else:
        state = load_checkpoint(folder.best)
    network = recipe.network(start=False)
    try:
        network.load_state_dict(state["network"])
    except RuntimeError as error:
        raise SettingsError(f"The checkpoint does not belong to this configuration: {error}") from error
    return network.eval(), {"step": state["step"], **state["figures"]}
