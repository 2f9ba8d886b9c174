"""Networks by name. L-Nets find the five levels in a volume, S-Nets score an axial slice.

>>> from SScILDScoringLib.networks import build_s_net
>>> network = build_s_net("compact_ratio", stem_stride=4)
>>> network.name, network.options["stem_stride"]
('compact_ratio', 4)

The definitions are our own and need torch alone; MONAI's families are imported when one of them is asked for.
``network.name`` and ``network.options`` describe a network completely: building again with them gives the same
parameters, which is what a model bundle stores.
"""

from __future__ import annotations

from .l_net import L_NET_NAMES, build_l_net
from .s_net import S_NET_NAMES, build_s_net

__all__ = ["L_NET_NAMES", "S_NET_NAMES", "build_l_net", "build_network", "build_s_net", "load_imagenet", "names"]

KINDS = ("l_net", "s_net")


def names(kind: str) -> tuple[str, ...]:
    """Names of the networks of a kind, ``l_net`` or ``s_net``. Raises SettingsError for another kind."""
    return {"l_net": L_NET_NAMES, "s_net": S_NET_NAMES}[_checked(kind)]


def build_network(kind: str, name: str, **options):
    """A network of a kind (``l_net`` or ``s_net``) by name; see :func:`build_l_net` and :func:`build_s_net`.

    Beside their names it knows ``ensemble``, several networks that answer together: :mod:`.ensemble`.
    """
    if name == "ensemble":
        from .ensemble import build_ensemble

        return build_ensemble(_checked(kind), **options)
    return {"l_net": build_l_net, "s_net": build_s_net}[_checked(kind)](name, **options)


def _checked(kind: str) -> str:
    if kind not in KINDS:
        from ..errors import SettingsError

        raise SettingsError(f"There is no kind of network called {kind!r}; the kinds are {' and '.join(KINDS)}.")
    return kind


def __getattr__(name: str):
    if name == "load_imagenet":
        from .imagenet import load_imagenet

        return load_imagenet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
