"""Slices with lesions and networks that react to them, so that the errors of heat maps mean something."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

SIDE = 512
SOURCE = {"name": "drawn slices", "licence": "Apache-2.0", "citation": "SScILDScoring"}
TEACHING = 4
"""Counted up when slices or teaching change, so that kept networks are made again."""
WARMING = 20
"""Steps in which a network being taught gets up to speed."""
COOLING = 0.3
"""Share of the time, at its end, in which it slows down."""
TEXTS = {"description": "For benchmarks.", "licence_text": "Apache License, Version 2.0", "training_data": [SOURCE]}


def lungs_of(side: int = SIDE) -> np.ndarray:
    """Boolean ``(side, side)``: two ellipses, about 30 % of the slice."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    return sum(((x - c) / 0.16) ** 2 + (y / 0.3) ** 2 < 1 for c in (-0.2, 0.2)).astype(bool)


def drawn_slice(seed: int, side: int = SIDE, lesions: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A slice in HU ``(side, side)``, its lung, and TOT, GG and RET in percent of it.

    Ground glass is a haze, reticulation a net of lines; both fill ellipses, whose pixels give the scores.
    """
    hu, lung, areas = drawn_areas(seed, side, lesions)
    return hu, lung, 100 * areas.sum((1, 2)) / lung.sum()


def drawn_areas(seed: int, side: int = SIDE, lesions: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As :func:`drawn_slice`, with the areas of TOT, GG and RET, boolean ``(3, side, side)``, for the scores."""
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
    return hu.astype(np.float32).round().astype(np.int16), lung, np.stack([areas[0] | areas[1], *areas])


def healthy_patch() -> np.ndarray:
    """The replacement: int16 HU ``(64, 64)``."""
    return np.random.default_rng(0).normal(-850, 40, (64, 64)).astype(np.int16)


def scaled(hu: np.ndarray) -> np.ndarray:
    """Hounsfield units as the networks want them, float32 from 0 to 1."""
    return ((np.clip(hu, -1500, 1500) + 1500) / 3000).astype(np.float32)


def inputs_of(drawn: list) -> tuple[torch.Tensor, torch.Tensor]:
    """Drawn slices as a network's input ``(n, 1, y, x)``, and their scores ``(n, 3)``."""
    x = np.stack([scaled(hu) for hu, _, _ in drawn])
    return torch.from_numpy(x)[:, None], torch.tensor(np.stack([s for _, _, s in drawn]), dtype=torch.float32)


def train_briefly(network: torch.nn.Module, seconds: float, side: int = SIDE) -> int:
    """Teaches a network the scores of drawn slices for some seconds, at least a step; returns how many steps it was.

    Scores alone teach a network of this size nothing within minutes: it goes on answering their mean. So every cell of
    the last map learns the extents of its own area as well, by a layer that is thrown away afterwards. Networks whose
    head begins with the mean over the cells see slices of half the size: more of them in a step.

    Args:
        network: describes its layers.
        seconds: of teaching.
        side: pixels of the slices.
    """
    from SScILDScoringLib.networks.layout import run_layers

    started, step, layers = time.monotonic(), 0, network.layers()
    of_mean = hasattr(network, "head_of_mean")
    slices, full_pace, head_factor = (8, 1e-3, 10) if of_mean else (2, 3e-4, 1)
    side = side // 2 if of_mean else side
    last = [m for m in network.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias.copy_(mean_scores())
    head, optimizer, cell_head = list(last.parameters()), None, None
    network.train().to(memory_format=torch.channels_last)
    while not step or time.monotonic() - started < seconds:
        drawn = [drawn_areas(slices * step + n, side) for n in range(slices)]
        x, wanted, areas = wholes(drawn)
        with torch.autocast("cpu", torch.bfloat16):
            last_map = run_layers(layers, x)[-1]
            answer = network.head(last_map)
        cells = torch.nn.functional.layer_norm(last_map.float().movedim(1, 3), last_map.shape[1:2])
        if optimizer is None:
            cell_head = torch.nn.Linear(cells.shape[-1], 3)
            body = [p for p in network.parameters() if all(p is not other for other in head)]
            optimizer = torch.optim.AdamW([{"params": [*body, *cell_head.parameters()]}, {"params": head}])
        done = (time.monotonic() - started) / max(seconds, 1e-9)
        pace = full_pace * min((step + 1) / WARMING, 1.0) * min(max((1 - done) / COOLING, 0.02), 1.0)
        for group, factor in zip(optimizer.param_groups, (1, head_factor), strict=True):
            group["lr"] = factor * pace
        extents = torch.nn.functional.adaptive_avg_pool2d(areas, cells.shape[1:3]).movedim(1, 3)
        loss = 10 * torch.nn.functional.binary_cross_entropy_with_logits(cell_head(cells), extents)
        loss = loss + torch.nn.functional.mse_loss(answer.float(), wanted) / 100
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
    network.eval()
    return step


def wholes(drawn: list) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Drawn slices as a network's input ``(n, 1, h, w)``, their scores ``(n, 3)`` and areas ``(n, 3, h, w)``."""
    hu, lungs, areas = (np.stack(parts) for parts in zip(*drawn, strict=True))
    x, areas = torch.from_numpy(scaled(hu))[:, None], torch.from_numpy(areas).float()
    return x, 100 * areas.sum((2, 3)) / torch.from_numpy(lungs).sum((1, 2))[:, None], areas


def mean_scores() -> torch.Tensor:
    """TOT, GG and RET of drawn slices on average, ``(3,)``."""
    return torch.tensor(np.mean([drawn_slice(n, 64)[2] for n in range(200)], axis=0), dtype=torch.float32)


def held_out_error(network: torch.nn.Module, size: int = SIDE, count: int = 12) -> tuple[float, float]:
    """Mean absolute error on drawn slices that nobody was taught, in points: the network's, and that of always
    answering the mean scores."""
    x, wanted = inputs_of([drawn_slice(10_000_000 + n, size) for n in range(count)])
    with torch.no_grad():
        found = torch.cat([network(part) for part in x.split(4)])
    return tuple(float((answers - wanted).abs().mean()) for answers in (found, mean_scores()))


def bundle_of(network: torch.nn.Module, folder: Path, size: int = SIDE, heat_maps: dict | None = None):
    """The network as an S-Net bundle in ``folder``, with settings of heat maps."""
    from SScILDScoringLib.models import write_bundle
    from SScILDScoringLib.preprocessing import SliceInput

    return write_bundle(
        folder,
        network.eval(),
        "s_net",
        SliceInput(size=size),
        healthy_patch=healthy_patch(),
        half=False,
        heat_maps=heat_maps,
        **TEXTS,
    )


def convnext(folder: Path, seconds: float):
    """ConvNeXt-Tiny: random weights with a layer scale that lets its blocks matter, or taught for some seconds.

    Returns:
        The bundle, which stays in ``folder`` and is used again when it is there, and what its weights are in words.
    """
    from SScILDScoringLib.networks import build_s_net

    return taught(folder, "convnext_tiny", seconds, lambda: build_s_net("convnext_tiny", layer_scale=0.1))


def vgg(folder: Path, seconds: float):
    """VGG11 with BatchNorm, taught or with random weights and its norms as after a few slices; as :func:`convnext`."""
    from SScILDScoringLib.networks import build_s_net

    def build() -> torch.nn.Module:
        network = build_s_net("vgg11_bn", dropout=0.0)
        for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            norm.momentum = 0.2  # there are few steps
        with torch.no_grad():
            for n in range(3):
                x, _ = inputs_of([drawn_slice(n, 128)])
                network.train()(x.repeat(2, 1, 1, 1))
        return network

    return taught(folder, "vgg11_bn", seconds, build)


def taught(folder: Path, name: str, seconds: float, build: Callable[[], torch.nn.Module]):
    """A network's bundle, taught for some seconds if any and calibrated for previews; see :func:`convnext`."""

    def make(place: Path) -> str:
        from SScILDScoringLib.heatmaps.calibration import calibrated_halo

        torch.manual_seed(0)
        network = build()
        if seconds <= 0:
            bundle_of(network, place)
            return "random weights"
        steps = train_briefly(network, seconds)
        own, mean = held_out_error(network)
        halo = calibrated_halo(bundle_of(network, place), [drawn_slice(n, lesions=6)[:2] for n in (5, 6)])
        shutil.rmtree(place)
        bundle_of(network, place, heat_maps={"preview_halo": halo})
        found = f"held-out error {own:.1f} points (mean predictor {mean:.1f}), halo {halo}"
        return f"taught for {seconds:.0f} s ({steps} steps) on drawn slices, {found}"

    return kept(folder, {"network": name, "seconds": seconds, "seed": 0, "version": TEACHING}, make)


def kept(folder: Path, settings: dict, make: Callable[[Path], str]):
    """The bundle of these settings in ``folder``, made by ``make(its place)`` when it is not there; and what its
    weights are in words, which ``make`` returns."""
    from SScILDScoringLib.errors import SScILDError
    from SScILDScoringLib.models import ModelBundle

    mark = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    place = folder / f"{settings['network']}-{mark}"
    note = place.with_suffix(".txt")  # written last: what has no note was not finished
    if note.exists():
        try:
            return ModelBundle.load(place), note.read_text(encoding="utf-8") + " (kept from an earlier run)"
        except SScILDError as error:
            print(f"Made again: {error}")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    state = make(place)
    part = note.with_suffix(".part")
    part.write_text(state, encoding="utf-8")
    part.replace(note)
    return ModelBundle.load(place), state
