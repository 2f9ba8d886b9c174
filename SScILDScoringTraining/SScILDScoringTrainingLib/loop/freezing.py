"""Parts of a network that are not trained, for all of the training or until a step."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from SScILDScoringLib.errors import SettingsError


class Freezing:
    """Freezes the parameters of a network whose names match a pattern.

    BatchNorm layers among them use and keep the averages they came with: statistics of a small cohort would otherwise
    undo what the frozen weights know.

    Args:
        network: the network.
        patterns: as in a shell: ``features.*``, ``*.bias``.
        thaw_at: the step from which on everything is trained; None: never.

    Raises:
        SettingsError: a pattern that fits no parameter, or nothing left to train.
    """

    def __init__(self, network: nn.Module, patterns: Sequence[str], thaw_at: int | None) -> None:
        names = [name for name, _ in network.named_parameters()]
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
                raise SettingsError(f"training.freeze: no parameter is called {pattern}. The network's parts: {parts}.")
        self.thaw_at = thaw_at
        self.parameters = [p for n, p in network.named_parameters() if any(fnmatchcase(n, t) for t in patterns)]
        if len(self.parameters) == len(names) and thaw_at is None:
            raise SettingsError("training.freeze leaves nothing to train: name fewer parameters or give thaw_at.")
        chosen = {id(p) for p in self.parameters}
        self.norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and id(m.weight) in chosen]
        self.frozen = False

    def apply(self, step: int) -> bool:
        """Freezes or thaws for ``step``; True when that changed which parameters are trained."""
        wanted = bool(self.parameters) and (self.thaw_at is None or step < self.thaw_at)
        changed, self.frozen = wanted != self.frozen, wanted
        if changed:
            for parameter in self.parameters:
                parameter.requires_grad_(not wanted)
                parameter.grad = None
        return changed

    def quiet_norms(self) -> None:
        """After ``network.train()``: frozen BatchNorm layers back to using their averages."""
        if self.frozen:
            for norm in self.norms:
                norm.eval()
