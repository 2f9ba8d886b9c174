"""How large a network is and how much it computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from SScILDScoringLib.preprocessing import SliceInput, VolumeInput


@dataclass(frozen=True)
class Complexity:
    """A network's size.

    Args:
        parameters: trainable numbers. flops: floating-point operations of one answer (a multiplication and an addition
            are two), of convolutions and matrix products; everything else is not counted.
    """

    parameters: int
    flops: int


def complexity(kind: str, name: str, options: Mapping[str, Any], given: SliceInput | VolumeInput) -> Complexity:
    """Size and work of a network for one slice or one patch of the input ``given``; nothing is computed for it.

    Raises:
        SettingsError: an unknown name or option.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from SScILDScoringLib.networks import build_network

    shape = (given.size, given.size) if isinstance(given, SliceInput) else (given.depth, *given.size[1:])
    with torch.device("meta"):
        network = build_network(kind, name, **options).eval()
        image = torch.zeros(1, 1, *shape)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(image)
    return Complexity(sum(p.numel() for p in network.parameters()), counter.get_total_flops())
