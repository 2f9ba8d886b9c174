"""L-Nets by name: a patch of the resized CT in, the slice numbers of the five levels out."""

from __future__ import annotations

from .catalogue import Entry, build

CATALOGUE = {
    **{
        f"vgg{layers}_3d": Entry("vgg_3d:VGG3D", {"layers": layers}, {"width": 8, "hidden": 1024, "dropout": 0.5})
        for layers in (11, 16, 19)
    },
    "compact_3d": Entry("compact_3d:Compact3D", {}, {"widths": (16, 32, 64, 96), "head_width": 128, "dropout": 0.1}),
}

L_NET_NAMES = tuple(CATALOGUE)


def build_l_net(name: str, **options):
    """An L-Net: ``forward(x (n, 1, d, h, w), z-scored) -> (n, 5)``, slice numbers L1..L5 from the patch's bottom (0).

    Args:
        name: one of :data:`L_NET_NAMES`. ``vgg11_3d`` is the published network, ``compact_3d`` the small one of the
            starter bundle.
        options: ``width`` (the published b = 8), ``hidden``, ``dropout`` (VGG); ``widths``, ``head_width``,
            ``dropout`` (compact).

    Raises:
        SettingsError: unknown name or option; the message lists the valid ones.
    """
    return build("L-Net", CATALOGUE, name, options)
