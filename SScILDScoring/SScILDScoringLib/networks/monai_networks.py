"""S-Nets from MONAI's own definitions, imported when one is asked for."""

from __future__ import annotations

from importlib import import_module

from torch import nn

from ..errors import SettingsError


def _networks():
    try:
        return import_module("monai.networks.nets")
    except ImportError as error:
        raise SettingsError(
            "ResNet and DenseNet come from MONAI, which is not installed here. Install it (pip install monai) or "
            "choose another network."
        ) from error


def resnet(depth: int, stem_stride: int = 2) -> nn.Module:
    """MONAI's ResNet 18, 34 or 50 in 2D: ``(n, 1, s, s)`` in [0, 1] to TOT, GG, RET in percent ``(n, 3)``.

    ``stem_stride`` 2 is that of the original ResNet (MONAI's own default is 1).
    """
    _networks()
    from .resnet import resnet_class

    network = resnet_class()(depth, stem_stride)
    nn.init.zeros_(network.fc.bias)
    return network


def densenet(dropout: float = 0.0) -> nn.Module:
    """MONAI's DenseNet121 in 2D: ``(n, 1, s, s)`` in [0, 1] to TOT, GG, RET in percent ``(n, 3)``."""
    network = _networks().DenseNet121(spatial_dims=2, in_channels=1, out_channels=3, dropout_prob=dropout)
    nn.init.zeros_(network.class_layers.out.bias)
    return network
