"""The compact L-Net: for every level a distribution over the slices of the patch, and its mean."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .catalogue import fraction

DILATIONS = (1, 2, 4, 8)
QUADRANTS = (2, 2)


class Convolution3D(nn.Sequential):
    """3x3x3 convolution + BatchNorm + ReLU; ``stride`` along z, y, x."""

    def __init__(self, channels: int, width: int, stride: tuple[int, int, int] = (1, 1, 1)) -> None:
        super().__init__(
            nn.Conv3d(channels, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )


class ProfileBlock(nn.Module):
    """Residual block along z: two dilated convolutions of 5 cells with BatchNorm."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation, bias=False),
            nn.BatchNorm1d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.branch(x))


class Compact3D(nn.Module):
    """A small 3D encoder, pooled over the quadrants of y and x, and a 1D network along z.

    Input ``(n, 1, d, h, w)``, z-scored, any depth ``d``, ``h`` and ``w`` at least 16 (made for 96x96x96). The encoder
    halves y and x four times and z once; mean and maximum over each quadrant of y and x leave a row of vectors along
    z, two slices apart. (Quadrants and not the whole plane, because level 5 hangs on the right dome and not the left
    one.) Dilated convolutions look along the row, 126 slices to either side, and end in five rows of logits with one
    value a slice. The output is the mean slice number of each row's softmax. 1.38 million parameters by default.

    Because nothing in it knows an absolute position, a patch shifted by an even number of slices gives an answer
    shifted by as many, except for what enters and leaves at the ends: a network that needs few examples.

    Args:
        widths: channels of the four encoder stages.
        head_width: channels along z.
        dropout: rate in front of the logits while training.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 96), head_width: int = 128, dropout: float = 0.1) -> None:
        super().__init__()
        fraction("dropout", dropout)
        first, second, third, fourth = widths
        self.features = nn.Sequential(
            Convolution3D(1, first, (1, 2, 2)),
            Convolution3D(first, second, (2, 2, 2)),
            Convolution3D(second, second),
            Convolution3D(second, third, (1, 2, 2)),
            Convolution3D(third, third),
            Convolution3D(third, fourth, (1, 2, 2)),
            Convolution3D(fourth, fourth),
        )
        self.entry = nn.Sequential(
            nn.Conv1d(8 * fourth, head_width, 1, bias=False), nn.BatchNorm1d(head_width), nn.ReLU(inplace=True)
        )
        self.along_z = nn.Sequential(*(ProfileBlock(head_width, dilation) for dilation in DILATIONS))
        self.dropout = nn.Dropout(dropout)
        # Two logits a cell and level: the slices 2c and 2c + 1.
        self.logits = nn.Conv1d(head_width, 10, 1)
        for module in self.modules():
            if isinstance(module, (nn.Conv3d, nn.Conv1d)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.normal_(self.logits.weight, std=0.01)
        nn.init.zeros_(self.logits.bias)

    def profile(self, x: torch.Tensor) -> torch.Tensor:
        """Logits ``(n, 5, d)``: how much each slice looks like each level (unnormalised log-probability)."""
        return self.profile_of(self.features(x), x.shape[2])

    def profile_of(self, features: torch.Tensor, depth: int) -> torch.Tensor:
        """:meth:`profile` of a patch of ``depth`` slices whose ``features`` are known."""
        size = (features.shape[2], *QUADRANTS)
        pooled = [F.adaptive_avg_pool3d(features, size), F.adaptive_max_pool3d(features, size)]
        cells = self.entry(torch.cat([p.permute(0, 1, 3, 4, 2).flatten(1, 3) for p in pooled], dim=1))
        pairs = self.logits(self.dropout(self.along_z(cells)))
        n, _, count = pairs.shape
        return pairs.reshape(n, 5, 2, count).transpose(2, 3).reshape(n, 5, 2 * count)[..., :depth]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return expected_slice(self.profile(x))


def expected_slice(profile: torch.Tensor) -> torch.Tensor:
    """Mean slice number ``(n, 5)`` of the distributions whose logits are ``profile (n, 5, d)``; float32."""
    numbers = torch.arange(profile.shape[-1], device=profile.device, dtype=torch.float32)
    return profile.float().softmax(-1) @ numbers
