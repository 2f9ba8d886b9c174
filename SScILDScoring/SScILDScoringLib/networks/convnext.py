"""ConvNeXt: the S-Net of the 2024 system (Jia 2024; architecture by Liu et al., "A ConvNet for the 2020s", 2022)."""

from __future__ import annotations

import torch
from torch import nn

from ..errors import SettingsError
from .catalogue import fraction
from .layout import LayerList, NormedConvolution, WideBlock

EPSILON = 1e-6


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of ``(n, c, h, w)``, each cell by itself. Free of copies in channels_last."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Reorder(nn.Module):
    """Axes in another order. It stands in the block as a module so that the parameters get torchvision's numbers."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(self.order)


class ConvNeXtBlock(nn.Module):
    """``x + layer_scale * (7x7 depthwise, LayerNorm, 4 times wider linear, GELU, linear)(x)``.

    Args:
        channels: channels in and out.
        layer_scale: start value of the factor each channel of the branch is scaled by.
        drop: share of the images of a batch whose branch is left out while training (stochastic depth).
    """

    def __init__(self, channels: int, layer_scale: float, drop: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            Reorder(0, 2, 3, 1),
            nn.LayerNorm(channels, eps=EPSILON),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            Reorder(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), layer_scale))
        self.drop = drop

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.layer_scale * self.block(x)
        if self.training and self.drop > 0:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            branch = branch * (kept.to(branch.dtype) / (1 - self.drop))
        return x + branch

    def describe(self, layers: LayerList, name: str) -> None:
        """Appends the block to the description of a network."""
        depthwise, _, norm, widen, _, narrow, _ = self.block
        layers.append(WideBlock(name, layers.last, self, depthwise, norm, widen, narrow, self.layer_scale))


class ConvNeXt(nn.Module):
    """Stem 4x4 of stride 4, four stages of blocks with 2x2 convolutions of stride 2 between them, mean, linear.

    Input ``(n, 1, s, s)`` in [0, 1], ``s`` at least 32 (published: 512); output ``(n, 3)``: TOT, GG, RET in percent,
    unbounded. Parameter names are those of torchvision: ``features.0`` stem, ``features.1``, ``.3``, ``.5``, ``.7``
    stages, ``features.2``, ``.4``, ``.6`` between them, ``classifier.0`` LayerNorm and ``classifier.2`` linear.
    The tiny variant has 27,819,363 parameters, which includes that last LayerNorm.

    The last map has a stride of 32 pixels; one of its cells sees 1,688 pixels in the tiny variant, that is, all.

    Args:
        blocks, widths: of the four stages.
        layer_scale: start value of the residual branches' scale (1e-6 in the publication; a short training without
            ImageNet weights starts better at 0.1).
        stochastic_depth: rate at the last block, rising linearly from 0 at the first.
    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        layer_scale: float = 1e-6,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        fraction("stochastic_depth", stochastic_depth)
        if not 0 < layer_scale <= 1:
            raise SettingsError(f"layer_scale is above 0 and at most 1, not {layer_scale:g}.")
        drops = iter([stochastic_depth * number / (sum(blocks) - 1) for number in range(sum(blocks))])
        features: list[nn.Module] = [nn.Sequential(nn.Conv2d(1, widths[0], 4, stride=4), ChannelNorm(widths[0]))]
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            if stage:
                narrow = widths[stage - 1]
                features.append(nn.Sequential(ChannelNorm(narrow), nn.Conv2d(narrow, width, 2, stride=2)))
            features.append(nn.Sequential(*(ConvNeXtBlock(width, layer_scale, next(drops)) for _ in range(count))))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(ChannelNorm(widths[-1]), nn.Flatten(1), nn.Linear(widths[-1], 3))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def layers(self) -> LayerList:
        """The convolutional part; :meth:`head` turns its last map into scores."""
        layers = LayerList()
        for number, group in enumerate(self.features):
            name = f"features.{number}"
            if isinstance(group[0], ConvNeXtBlock):
                layers.sequence(name, group)
            else:
                norm_first = isinstance(group[0], ChannelNorm)
                norm, convolution = group if norm_first else reversed(group)
                place = f"{name}.{int(norm_first)}"
                layers.append(NormedConvolution(place, layers.last, convolution, norm, norm_first))
        return layers

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Scores ``(n, 3)`` of the last feature map."""
        return self.head_of_mean(features.mean((2, 3)))

    def head_of_mean(self, mean: torch.Tensor) -> torch.Tensor:
        """Scores ``(n, 3)`` of the last feature map's mean over all cells, ``(n, channels)``."""
        return self.classifier(mean[:, :, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))
