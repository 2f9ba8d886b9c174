"""3D VGG with BatchNorm: the published L-Net (Jia 2022 and 2024)."""

from __future__ import annotations

import torch
from torch import nn

from .catalogue import fraction

STAGES = {
    11: ((1, 1), (2, 1), (4, 2), (8, 2), (16, 2)),
    16: ((1, 2), (2, 2), (4, 3), (8, 3), (16, 3)),
    19: ((1, 2), (2, 2), (4, 4), (8, 4), (16, 4)),
}
"""Width (as a multiple of b) and number of convolutions of the five stages, each ended by max pooling."""

POOLED = 6


class VGG3D(nn.Module):
    """3x3x3 convolution + ReLU + BatchNorm in five stages, each ended by max pooling (3, stride 2, no padding).

    Then adaptive mean pooling to 6x6x6 and fully connected layers. Input ``(n, 1, d, h, w)``, z-scored, every side at
    least 63; published 192x256x256. Output ``(n, 5)``: slice numbers of L1..L5, 0 the patch's bottom slice.

    With 11 layers and b = 8: 876,000 parameters in the convolutions and BatchNorms, 28,312,576 in the first fully
    connected layer (16 * 8 channels on 6x6x6 cells), 1,049,600 in the second, 5,125 in the last, together 30,243,301.
    The publication says 28.84 M and the reference implementation about 29 M, which is the sum without the second
    fully connected layer (29.19 M). The 2D architecture's widths end 8b, 8b; here they end 16b, 16b as published.

    Args:
        layers: 11, 16 or 19.
        width: b, the channels of the first convolution.
        hidden: width of the two hidden fully connected layers.
        dropout: rate behind each of them while training.
    """

    def __init__(self, layers: int, width: int = 8, hidden: int = 1024, dropout: float = 0.5) -> None:
        super().__init__()
        fraction("dropout", dropout)
        modules: list[nn.Module] = []
        channels = 1
        for multiple, count in STAGES[layers]:
            for _ in range(count):
                wide = multiple * width
                modules += [nn.Conv3d(channels, wide, 3, padding=1), nn.ReLU(inplace=True), nn.BatchNorm3d(wide)]
                channels = wide
            modules.append(nn.MaxPool3d(3, stride=2))
        self.features = nn.Sequential(*modules)
        self.avgpool = nn.AdaptiveAvgPool3d(POOLED)
        self.classifier = nn.Sequential(
            nn.Linear(channels * POOLED**3, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, 5),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv3d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))
