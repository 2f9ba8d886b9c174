"""A network prepared for incremental inference."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ...networks.layout import Convolution, NormedConvolution, Pooling, WideBlock
from .blocks import WideBlockKernel
from .convolutions import ConvolutionKernel, NormedConvolutionKernel, PoolingKernel
from .kept import KeptSlice, Tick, no_tick
from .ways import Ways, ways_for

KERNELS = {
    Convolution: ConvolutionKernel,
    Pooling: PoolingKernel,
    NormedConvolution: NormedConvolutionKernel,
    WideBlock: WideBlockKernel,
}

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def describes_itself(network: nn.Module) -> bool:
    """Whether a network says which layers it consists of; see :mod:`SScILDScoringLib.networks.layout`."""
    return hasattr(network, "layers") and hasattr(network, "head")


class IncrementalNetwork:
    """A network's layers ready to run on windows; made once, used for any number of slices.

    Args:
        network: describes itself; in evaluation mode, on ``device``. Its head is used as it is, in float32.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        device: where it runs.
        ways: how the steps between products are done; the device's fastest when None.
        tick: called between layers; may cancel by raising.
    """

    def __init__(
        self,
        network: nn.Module,
        precision: str,
        device: torch.device,
        ways: Ways | None = None,
        tick: Tick = no_tick,
    ) -> None:
        self.precision, self.device, self.dtype = precision, device, DTYPES[precision]
        self.ways = ways_for(device, tick) if ways is None else ways
        self.layers = network.layers()
        self.head, self.head_of_mean = network.head, getattr(network, "head_of_mean", None)
        with torch.inference_mode():
            self.kernels = []
            for layer in self.layers:
                tick()
                self.kernels.append(KERNELS[type(layer)](layer, self.dtype, device, self.ways))

    @property
    def ends_in_wide_block(self) -> bool:
        """Whether the mean over the cells can be taken in front of the last block's last linear layer."""
        return self.head_of_mean is not None and isinstance(self.layers[-1], WideBlock)

    @property
    def last_wide_block(self) -> int | None:
        """The number of the layer that :attr:`ends_in_wide_block`, or None."""
        return len(self.layers) - 1 if self.ends_in_wide_block else None

    @property
    def skips(self) -> bool:
        """Whether rows that this arithmetic takes for unchanged are left out: on a CPU, where finding them is cheap."""
        return self.device.type == "cpu"

    def keep(self, prepared: np.ndarray, tick: Tick = no_tick) -> KeptSlice:
        """Runs the network on a prepared slice, float32 ``(size, size)``, and keeps what every layer said.

        ``tick`` is called between layers and may cancel by raising.
        """
        return KeptSlice(self, prepared, tick)
