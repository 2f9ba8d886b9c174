"""The compact S-Nets: small residual networks of 3x3 convolutions, with a ratio head or a pooled regression.

They are our own. Small kernels keep the part of the map that a replaced patch changes small, so that heat maps can
recompute windows instead of slices.
"""

from __future__ import annotations

import torch
from torch import nn

from ..errors import SettingsError
from .catalogue import fraction
from .layout import Convolution, LayerList
from .ratio import ratio_scores


class ResidualBlock(nn.Module):
    """``relu(norm2(conv2(relu(norm1(conv1(x))))) + shortcut(x))``, both convolutions 3x3 of stride 1.

    The shortcut is the identity, or a 1x1 convolution with BatchNorm where the number of channels changes.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        if channels == width:
            self.shortcut: nn.Module = nn.Identity()
        else:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))

    def describe(self, layers: LayerList, name: str) -> None:
        """Appends the block's convolutions to the description of a network."""
        entry = shortcut = layers.last
        if not isinstance(self.shortcut, nn.Identity):
            layers.append(Convolution(f"{name}.shortcut.0", entry, *self.shortcut))
            shortcut = layers.last
        layers.append(Convolution(f"{name}.conv1", entry, self.conv1, self.norm1, relu=True))
        layers.append(Convolution(f"{name}.conv2", layers.last, self.conv2, self.norm2, adds=shortcut, relu=True))


def trunk(widths: tuple[int, ...], blocks: tuple[int, ...], stem_stride: int) -> nn.Sequential:
    """Stem and four stages of residual blocks as one flat sequence; the last map's stride is ``4 * stem_stride``.

    Max pooling 2x2 follows the first and the second stage; the third and the fourth work at one resolution. The stem
    convolution is ``2 * stem_stride`` wide, so that its cells are centred on the pixels they stand for.
    """
    if stem_stride not in (2, 4):
        raise SettingsError(f"stem_stride is 2 or 4, not {stem_stride}.")
    modules: list[nn.Module] = [
        nn.Conv2d(1, widths[0], 2 * stem_stride, stride=stem_stride, padding=stem_stride // 2, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    channels = widths[0]
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for _ in range(count):
            modules.append(ResidualBlock(channels, width))
            channels = width
        if stage < 2:
            modules.append(nn.MaxPool2d(2))
    return nn.Sequential(*modules)


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class CompactRatio(nn.Module):
    """Maps of lung and of the three patterns, and the scores as their ratio.

    Input ``(n, 1, s, s)`` in [0, 1], ``s`` a multiple of ``4 * stem_stride``; 256 with ``stem_stride=2`` or 512 with
    ``stem_stride=4`` give maps of 32x32 cells. Output ``(n, 3)``: TOT, GG, RET in percent, 0 to 100 by construction.

    One map cell sees 162 of 256 pixels (``stem_stride=2``, the default depth) or 324 of 512 (``stem_stride=4``).
    0.90 million parameters by default.

    Args:
        widths: channels of the four stages.
        blocks: residual blocks of the four stages.
        stem_stride: 2 or 4.
        head_width: channels of the 3x3 convolution in front of the maps.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (24, 48, 96, 160),
        blocks: tuple[int, ...] = (1, 2, 2, 1),
        stem_stride: int = 2,
        head_width: int = 96,
    ) -> None:
        super().__init__()
        self.features = trunk(widths, blocks, stem_stride)
        self.map_head = nn.Sequential(
            nn.Conv2d(widths[-1], head_width, 3, padding=1, bias=False),
            nn.BatchNorm2d(head_width),
            nn.ReLU(inplace=True),
            nn.Conv2d(head_width, 4, 1),
        )
        _initialise(self)
        # The start says "a quarter of the image is lung, a tenth of it ill", which is what most slices look like.
        with torch.no_grad():
            self.map_head[-1].weight.mul_(0.1)
            self.map_head[-1].bias.copy_(torch.tensor([-1.1, -2.2, -2.2, -2.2]))

    def layers(self) -> LayerList:
        """Everything up to the map logits ``(n, 4, h, w)``; :meth:`head` turns them into scores."""
        return LayerList().sequence("features", self.features).sequence("map_head", self.map_head)

    def map_logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of lung ``(n, 1, h, w)`` and of TOT, GG, RET ``(n, 3, h, w)``, for dense supervision."""
        logits = self.map_head(self.features(x))
        return logits[:, :1], logits[:, 1:]

    def maps(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How much each cell is lung ``(n, 1, h, w)``, and the patterns' shares there ``(n, 3, h, w)``; 0..1."""
        lung, patterns = self.map_logits(x)
        return lung.float().sigmoid(), patterns.float().sigmoid()

    @staticmethod
    def head(logits: torch.Tensor) -> torch.Tensor:
        """Scores ``(n, 3)`` of map logits ``(n, 4, h, w)``, lung first."""
        probabilities = logits.float().sigmoid()
        return ratio_scores(probabilities[:, :1], probabilities[:, 1:])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.map_head(self.features(x)))


class CompactPool(nn.Module):
    """The same trunk with a pooled regression: mean over the map, one hidden layer, three outputs.

    Input as for :class:`CompactRatio`; output ``(n, 3)``: TOT, GG, RET in percent, unbounded. One cell of the last
    map sees 146 of 256 pixels (``stem_stride=2``) or 292 of 512 (``stem_stride=4``).

    Args:
        widths, blocks, stem_stride: as for :class:`CompactRatio`.
        hidden: width of the hidden layer.
        dropout: rate in front of the output while training.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (24, 48, 96, 160),
        blocks: tuple[int, ...] = (1, 2, 2, 1),
        stem_stride: int = 2,
        hidden: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        fraction("dropout", dropout)
        self.features = trunk(widths, blocks, stem_stride)
        self.regression = nn.Sequential(
            nn.Linear(widths[-1], hidden), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(hidden, 3)
        )
        _initialise(self)
        nn.init.normal_(self.regression[-1].weight, std=0.01)

    def layers(self) -> LayerList:
        """The convolutional part; :meth:`head` turns its last map into scores."""
        return LayerList().sequence("features", self.features)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Scores ``(n, 3)`` of the last feature map."""
        return self.head_of_mean(features.mean((2, 3)))

    def head_of_mean(self, mean: torch.Tensor) -> torch.Tensor:
        """Scores ``(n, 3)`` of the last feature map's mean over all cells, ``(n, channels)``."""
        return self.regression(mean)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))
