"""S-Nets by name: one axial slice in, TOT, GG and RET in percent of its lung area out."""

from __future__ import annotations

from .catalogue import Entry, build

# Rates of torchvision's definitions; the small variants have none.
_STOCHASTIC_DEPTH = {"tiny": 0.1, "small": 0.4, "base": 0.5}
_STAGES = {
    "atto": ((2, 2, 6, 2), (40, 80, 160, 320)),
    "femto": ((2, 2, 6, 2), (48, 96, 192, 384)),
    "pico": ((2, 2, 6, 2), (64, 128, 256, 512)),
    "nano": ((2, 2, 8, 2), (80, 160, 320, 640)),
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
}
"""Blocks and widths of the four stages of the ConvNeXt variants."""

_TRUNK = {"widths": (24, 48, 96, 160), "blocks": (1, 2, 2, 1), "stem_stride": 2}

CATALOGUE = {
    **{
        f"convnext_{variant}": Entry(
            "convnext:ConvNeXt",
            {"blocks": blocks, "widths": widths},
            {"layer_scale": 1e-6, "stochastic_depth": _STOCHASTIC_DEPTH.get(variant, 0.0)},
        )
        for variant, (blocks, widths) in _STAGES.items()
    },
    **{
        f"vgg{layers}_bn": Entry("vgg:VGG", {"layers": layers}, {"hidden": 1024, "dropout": 0.5})
        for layers in (11, 16, 19)
    },
    "compact_ratio": Entry("compact:CompactRatio", {}, {**_TRUNK, "head_width": 96}),
    "compact_pool": Entry("compact:CompactPool", {}, {**_TRUNK, "hidden": 128, "dropout": 0.0}),
    **{
        f"resnet{depth}": Entry("monai_networks:resnet", {"depth": depth}, {"stem_stride": 2}) for depth in (18, 34, 50)
    },
    "densenet121": Entry("monai_networks:densenet", {}, {"dropout": 0.0}),
}

S_NET_NAMES = tuple(CATALOGUE)


def build_s_net(name: str, **options):
    """An S-Net: ``forward(x (n, 1, s, s) float in [0, 1]) -> (n, 3)``, TOT, GG, RET in percent.

    Args:
        name: one of :data:`S_NET_NAMES`. ``convnext_tiny`` is the published network of 2024, ``vgg11_bn`` that of
            2022, ``compact_ratio`` the small one of the starter bundle.
        options: ``layer_scale``, ``stochastic_depth`` (ConvNeXt); ``hidden``, ``dropout`` (VGG); ``widths``,
            ``blocks``, ``stem_stride``, ``head_width`` or ``hidden`` (compact); ``stem_stride`` (ResNet); ``dropout``
            (DenseNet).

    Raises:
        SettingsError: unknown name or option (the message lists the valid ones), or MONAI is needed and missing.
    """
    return build("S-Net", CATALOGUE, name, options)
