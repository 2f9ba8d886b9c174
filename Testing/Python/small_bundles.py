"""Small bundles of untrained networks, for tests of what is made of a network's answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from SScILDScoringLib.models import ModelBundle, write_bundle
from SScILDScoringLib.networks import build_l_net, build_s_net
from SScILDScoringLib.preprocessing import SliceInput, VolumeInput

SOURCE = {"name": "nothing: random weights", "licence": "Apache-2.0", "citation": "SScILDScoring"}
TEXTS = {"description": "For tests.", "licence_text": "Apache License, Version 2.0", "training_data": [SOURCE]}
COMPACT = {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1), "head_width": 32}


def s_net_bundle(
    folder: Path, name: str = "compact_ratio", size: int = 64, clear_outside_body: bool = False, **options
) -> ModelBundle:
    """An S-Net with random weights whose answers depend on every part of the slice."""
    torch.manual_seed(7)
    network = build_s_net(name, **({**COMPACT, **options} if name == "compact_ratio" else options))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        if name == "compact_ratio":
            _make_responsive(network.eval(), size)
    patch = np.random.default_rng(0).normal(-850, 40, (64, 64)).astype(np.int16)
    settings = SliceInput(size=size, clear_outside_body=clear_outside_body)
    thresholds = {"tot": -0.5, "gg": -0.25, "ret": -0.25}
    return write_bundle(
        folder, network, "s_net", settings, healthy_patch=patch, heat_maps={"thresholds": thresholds}, **TEXTS
    )


def _make_responsive(network: torch.nn.Module, size: int) -> None:
    """Sets a fresh ratio head, which hardly answers to anything, so that its maps vary over a chest-like image."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    lungs = (y / 0.6) ** 2 + ((x.abs() - 0.45) / 0.33) ** 2 < 1
    image = torch.where(lungs, 0.23, 0.51) + 0.03 * torch.randn(2, 1, size, size)
    last = network.map_head[-1]
    logits = network.map_head(network.features(image))
    last.weight.mul_(1.5 / logits.std(dim=(0, 2, 3))[:, None, None, None])
    last.bias.zero_()
    last.bias.copy_(-network.map_head(network.features(image)).mean(dim=(0, 2, 3)))


def l_net_bundle(folder: Path, answer: tuple[float, ...], size: int = 80, depth: int = 64, stride: int = 4):
    """An L-Net whose answer is known: every window says ``answer``, slice numbers from the window's own bottom."""
    torch.manual_seed(8)
    network = build_l_net("vgg11_3d", width=1)
    last = [m for m in network.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor(answer))
    return write_bundle(
        folder, network, "l_net", VolumeInput((size, 64, 64), depth, stride=stride), half=False, **TEXTS
    )
