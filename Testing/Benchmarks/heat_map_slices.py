"""Slices with lesions and networks that react to them, so that the errors of heat maps mean something."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

SIDE = 512
SOURCE = {"name": "drawn slices", "licence": "Apache-2.0", "citation": "SScILDScoring"}
TEXTS = {"description": "For benchmarks.", "licence_text": "Apache License, Version 2.0", "training_data": [SOURCE]}


def lungs_of(side: int = SIDE) -> np.ndarray:
    """Boolean ``(side, side)``: two ellipses, about 30 % of the slice."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    return sum(((x - c) / 0.16) ** 2 + (y / 0.3) ** 2 < 1 for c in (-0.2, 0.2)).astype(bool)


def drawn_slice(seed: int, side: int = SIDE, lesions: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A slice in HU ``(side, side)``, its lung, and TOT, GG and RET in percent of it.

    Ground glass is a haze, reticulation a net of lines; both fill ellipses, whose pixels give the scores.
    """
    rng = np.random.default_rng(seed)
    lung = lungs_of(side)
    y, x = np.mgrid[:side, :side] / side
    body = ((x - 0.5) / 0.48) ** 2 + ((y - 0.5) / 0.42) ** 2 < 1
    hu = np.where(body, 40.0, -1000.0) + rng.normal(0, 15, (side, side))
    hu[lung] = -850 + rng.normal(0, 40, int(lung.sum()))
    for _ in range(60):  # vessels
        cy, cx, radius = rng.uniform(0.15, 0.85), rng.uniform(0.1, 0.9), rng.uniform(0.002, 0.008)
        hu[((y - cy) ** 2 + (x - cx) ** 2 < radius**2) & lung] = 20
    areas = [np.zeros_like(lung), np.zeros_like(lung)]
    for _ in range(rng.integers(0, 9) if lesions is None else lesions):
        cy, cx = rng.uniform(0.2, 0.8), rng.choice([0.3, 0.7]) + rng.uniform(-0.15, 0.15)
        a, b, angle = *rng.uniform(0.03, 0.14, 2), rng.uniform(0, np.pi)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        areas[rng.integers(2)] |= ((u / a) ** 2 + (v / b) ** 2 < 1) & lung
    hu[areas[0]] += 300 + rng.normal(0, 40, int(areas[0].sum()))
    wave = np.sin(2 * np.pi * (x * 37 + rng.random())) * np.sin(2 * np.pi * (y * 41 + rng.random()))
    hu[areas[1] & (np.abs(wave) < 0.25)] = -350
    share = [100 * area.sum() / lung.sum() for area in (areas[0] | areas[1], *areas)]
    return hu.astype(np.float32).round().astype(np.int16), lung, np.array(share)


def healthy_patch() -> np.ndarray:
    """The replacement: int16 HU ``(64, 64)``."""
    return np.random.default_rng(0).normal(-850, 40, (64, 64)).astype(np.int16)


def train_briefly(network: torch.nn.Module, seconds: float, size: int = 256, batch: int = 8) -> float:
    """Teaches a network the scores of drawn slices for some seconds, at least a step; returns its last mean error."""
    end, step, errors = time.monotonic() + seconds, 0, []
    optimizer = torch.optim.AdamW(network.parameters(), 3e-4)
    network.train().to(memory_format=torch.channels_last)
    while not errors or time.monotonic() < end:
        drawn = [drawn_slice(batch * step + n, size) for n in range(batch)]
        x = np.stack([(np.clip(hu, -1500, 1500) + 1500) / 3000 for hu, _, _ in drawn]).astype(np.float32)
        wanted = torch.tensor(np.stack([share for _, _, share in drawn]), dtype=torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            answer = network(torch.from_numpy(x)[:, None]).float()
        loss = torch.nn.functional.mse_loss(answer, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(float((answer.detach() - wanted).abs().mean()))
        step += 1
    network.eval()
    return float(np.mean(errors[-10:]))


def bundle_of(network: torch.nn.Module, folder: Path, size: int = SIDE):
    """The network as an S-Net bundle in ``folder``."""
    from SScILDScoringLib.models import write_bundle
    from SScILDScoringLib.preprocessing import SliceInput

    return write_bundle(
        folder, network.eval(), "s_net", SliceInput(size=size), healthy_patch=healthy_patch(), half=False, **TEXTS
    )


def convnext(folder: Path, seconds: float):
    """ConvNeXt-Tiny: random weights with a layer scale that lets its blocks matter, or taught for some seconds."""
    from SScILDScoringLib.networks import build_s_net

    torch.manual_seed(0)
    network = build_s_net("convnext_tiny", layer_scale=0.1)
    state = "random weights, layer scale 0.1"
    if seconds > 0:
        error = train_briefly(network, seconds)
        state = f"taught for {seconds:.0f} s on drawn slices (mean absolute error {error:.1f} points at the end)"
    return bundle_of(network, folder / "convnext_tiny"), state


def vgg(folder: Path):
    """VGG11 with BatchNorm, random weights; its norms as after a few slices."""
    from SScILDScoringLib.networks import build_s_net

    torch.manual_seed(0)
    network = build_s_net("vgg11_bn")
    with torch.no_grad():
        for n in range(3):
            prepared = (np.clip(drawn_slice(n, 128)[0], -1500, 1500) + 1500) / 3000
            network.train()(torch.from_numpy(prepared).float()[None, None].repeat(2, 1, 1, 1))
    return bundle_of(network, folder / "vgg11_bn"), "random weights"
