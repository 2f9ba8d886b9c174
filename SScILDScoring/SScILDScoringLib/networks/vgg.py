"""2D VGG with BatchNorm: the S-Net of the 2022 system (Jia 2022; architecture by Simonyan and Zisserman 2014)."""

from __future__ import annotations

import torch
from torch import nn

from .catalogue import fraction
from .layout import LayerList

WIDTHS = (64, 128, 256, 512, 512)
CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions of each of the five stages, by the number of layers that carry weights."""

POOLED = 7


class VGG(nn.Module):
    """3x3 convolution + BatchNorm + ReLU in five stages, each ended by 2x2 max pooling; then fully connected.

    Input ``(n, 1, s, s)`` in [0, 1]; output ``(n, 3)``: TOT, GG, RET in percent, unbounded. ``s`` is 512 in the
    published system and at least 32. Parameter names are those of torchvision (``features.N``, ``classifier.N``).

    The last map has a stride of 32 pixels; one of its cells sees 150 pixels (VGG11), 212 (VGG16), 268 (VGG19).

    Args:
        layers: 11, 16 or 19.
        hidden: width of the two hidden fully connected layers; the 2022 system has 1024. VGG11 with 1024 has
            35,968,643 parameters: 9,224,832 in the convolutions and BatchNorms, the rest behind the 7x7 pooling.
        dropout: rate between the fully connected layers while training.
    """

    def __init__(self, layers: int, hidden: int = 1024, dropout: float = 0.5) -> None:
        super().__init__()
        fraction("dropout", dropout)
        modules: list[nn.Module] = []
        channels = 1
        for width, count in zip(WIDTHS, CONVOLUTIONS[layers], strict=True):
            for _ in range(count):
                modules += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
            modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules)
        self.avgpool = nn.AdaptiveAvgPool2d(POOLED)
        self.classifier = nn.Sequential(
            nn.Linear(channels * POOLED * POOLED, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, 3),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def layers(self) -> LayerList:
        """The convolutional part; :meth:`head` turns its last map into scores."""
        return LayerList().sequence("features", self.features)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Scores ``(n, 3)`` of the last feature map."""
        return self.classifier(self.avgpool(features).flatten(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))
