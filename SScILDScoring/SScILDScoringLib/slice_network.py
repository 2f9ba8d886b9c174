"""S-Net ready to answer: a bundle's network on a device, fed with prepared slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from .devices import choose_device, full_float32
from .errors import ModelError
from .scores import SliceScores

if TYPE_CHECKING:
    from .heatmaps.incremental import IncrementalNetwork


class SliceNetwork:
    """A bundle's S-Net on a device.

    Args:
        bundle: an S-Net bundle.
        device: where it runs; see :func:`~SScILDScoringLib.devices.choose_device`.

    Raises:
        ModelError: the bundle is no S-Net.
    """

    def __init__(self, bundle, device: str | torch.device = "cpu") -> None:
        if bundle.kind != "s_net":
            raise ModelError(f"{bundle.name} is a bundle for levels, not for scores; choose an S-Net bundle.")
        self.bundle = bundle
        self.input = bundle.input
        self.device = choose_device(device)
        self.network = bundle.network().eval().to(self.device)
        self._incremental: dict[str, IncrementalNetwork] = {}

    @property
    def has_maps(self) -> bool:
        """Whether the network can show the lung and disease maps its scores are made of."""
        return hasattr(self.network, "maps")

    def incremental(self, precision: str, tick: Callable[[], None] = lambda: None) -> IncrementalNetwork:
        """The network prepared for heat maps in ``fp32``, ``bf16`` or ``fp16``; prepared once.

        ``tick`` is called between its layers and may cancel by raising.
        """
        if precision not in self._incremental:
            from .heatmaps.incremental import IncrementalNetwork

            self._incremental[precision] = IncrementalNetwork(self.network, precision, self.device, tick=tick)
        return self._incremental[precision]

    @full_float32()
    def run(self, inputs: np.ndarray | torch.Tensor) -> np.ndarray:
        """TOT, GG, RET in percent, float64 ``(n, 3)``, of prepared inputs ``(n, size, size)``.

        Raises:
            ModelError: an answer that is not a number, which altered or damaged weights give.
        """
        with torch.inference_mode():
            answers = self.network(self._tensor(inputs)).float().cpu().numpy().astype(float)
        self.require_numbers(answers)
        return answers

    def require_numbers(self, answers: np.ndarray) -> None:
        """Raises ModelError where an answer is not a number."""
        if not np.isfinite(answers).all():
            raise ModelError(f"{self.bundle.name} gives answers that are not numbers; install the bundle again.")

    @full_float32()
    def maps(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lung ``(n, h, w)`` and patterns ``(n, 3, h, w)`` of a ratio-head network, float32 in 0..1."""
        with torch.inference_mode():
            lung, patterns = self.network.maps(self._tensor(inputs))
        return lung[:, 0].float().cpu().numpy(), patterns.float().cpu().numpy()

    def scores(self, hu: np.ndarray, body: np.ndarray | None = None) -> SliceScores:
        """The scores of one axial slice ``(y, x)`` in HU."""
        return SliceScores(tuple(self.run(self.input.prepare(hu, body)[None])[0]))

    def _tensor(self, inputs: np.ndarray | torch.Tensor) -> torch.Tensor:
        tensor = torch.as_tensor(inputs, dtype=torch.float32)[:, None].to(self.device)
        # A third faster on a CPU, because a network with one input channel keeps the layout it is given.
        return tensor.to(memory_format=torch.channels_last) if self.device.type == "cpu" else tensor
