"""MONAI's 2D ResNet, described layer by layer so that heat maps can recompute windows of it."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

import torch
from torch import nn

from .layout import INPUT, Convolution, LayerList, Pooling

STAGES = {18: ("basic", (2, 2, 2, 2)), 34: ("basic", (3, 4, 6, 3)), 50: ("bottleneck", (3, 4, 6, 3))}
"""Kind of block and number of blocks in the four stages."""


@lru_cache(maxsize=1)
def resnet_class() -> type[nn.Module]:
    """The class of these networks. MONAI is imported when it is asked for."""
    networks = import_module("monai.networks.nets")

    class ResNet2D(networks.ResNet):
        """MONAI's ResNet 18, 34 or 50 for slices, with its own parameters and its own forward.

        Input ``(n, 1, s, s)`` in [0, 1], output TOT, GG, RET in percent ``(n, 3)``.
        """

        def __init__(self, depth: int, stem_stride: int) -> None:
            block, blocks = STAGES[depth]
            super().__init__(
                block,
                list(blocks),
                [64, 128, 256, 512],
                2,
                n_input_channels=1,
                conv1_t_stride=stem_stride,
                num_classes=3,
            )

        def layers(self) -> LayerList:
            """The convolutional part; :meth:`head` turns its last map into scores."""
            layers = LayerList([Convolution("conv1", INPUT, self.conv1, self.bn1, relu=True)])
            layers.append(Pooling("maxpool", layers.last, self.maxpool))
            for number, stage in enumerate((self.layer1, self.layer2, self.layer3, self.layer4), start=1):
                for position, block in enumerate(stage):
                    _describe(block, layers, f"layer{number}.{position}")
            return layers

        def head(self, features: torch.Tensor) -> torch.Tensor:
            """Scores ``(n, 3)`` of the last feature map."""
            return self.head_of_mean(features.mean((2, 3)))

        def head_of_mean(self, mean: torch.Tensor) -> torch.Tensor:
            """Scores ``(n, 3)`` of the last feature map's mean over all cells, ``(n, channels)``."""
            return self.fc(mean)

    return ResNet2D


def _describe(block: nn.Module, layers: LayerList, name: str) -> None:
    entry = shortcut = layers.last
    if block.downsample is not None:
        layers.append(Convolution(f"{name}.downsample.0", entry, *block.downsample))
        shortcut = layers.last
    count = 3 if hasattr(block, "conv3") else 2
    reads = entry
    for n in range(1, count + 1):
        last = n == count
        convolution, norm = getattr(block, f"conv{n}"), getattr(block, f"bn{n}")
        adds = shortcut if last else None
        layers.append(Convolution(f"{name}.conv{n}", reads, convolution, norm, adds=adds, relu=True))
        reads = layers.last
