"""What a cohort costs: hours, memory and disk of the configurations, on this computer and on a graphics card.

This computer is measured: one sample is run forward and backward, and its processor time counted. A graphics card is
computed, and everything says so: a step does its multiplications at a share of the card's peak and moves what it keeps
for the backward pass at a share of its memory's bandwidth, one after the other.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from SScILDScoringLib.devices import device_name, threads
from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.progress import Progress, silent

from .estimate import Trial, size
from .precision import Precision, chosen_device
from .recipe import Recipe

SHARE_OF_PEAK = 0.25
"""Of the tensor cores' peak that trainings of convolutional networks reach, a cautious assumption."""
SHARE_OF_BANDWIDTH = 0.6
"""Of the memory's bandwidth, likewise."""
TIMES_MOVED = 6
"""How often a kept byte passes through the memory in a step: written and read forward, read with its gradient written
and read backward, and once more for normalisation and activation."""
LIBRARIES_BYTES = 1 << 30
"""What CUDA and its libraries take for themselves."""


@dataclass(frozen=True)
class Gpu:
    """A graphics card, from its maker's data sheet.

    Args:
        name: as people call it. tflops: dense bf16 with float32 sums, in 10^12 operations a second, without sparsity.
        terabytes: bandwidth of its memory, 10^12 bytes a second. gigabytes: its memory.
    """

    name: str
    tflops: float
    terabytes: float
    gigabytes: float


GPUS = {
    "h200": Gpu("NVIDIA H200", 989, 4.8, 141),
    "h100": Gpu("NVIDIA H100 SXM", 989, 3.35, 80),
    "a100": Gpu("NVIDIA A100 80 GB", 312, 2.0, 80),
    "rtx4090": Gpu("NVIDIA RTX 4090", 165, 1.0, 24),
}
"""NVIDIA's data sheets of the products."""


@dataclass(frozen=True)
class Cost:
    """What one training on a cohort takes.

    Args:
        network: what is trained. samples: of an epoch. steps, batch_size: of the whole training.
        flops: floating-point operations of one sample, forward and backward.
        gpu_seconds, gpu_bytes: computed; the loading processes have to keep up.
        gpu_accumulate: pieces of a step that fit the card; None when not even one sample does.
        here: this computer's device in words. here_seconds: of all its cores, from a measured sample.
        here_bytes: computed.
        cache_bytes: of the prepared scans or slices on the disk.
    """

    network: str
    samples: int
    steps: int
    batch_size: int
    flops: float
    gpu_seconds: float
    gpu_bytes: int
    gpu_accumulate: int | None
    here: str
    here_seconds: float
    here_bytes: int
    cache_bytes: int

    def rows(self, gpu: Gpu, folds: int) -> list[tuple[str, str]]:
        """The cost in words ``(what, how much)``."""
        needed = f"{size(self.gpu_bytes)} of {gpu.gigabytes:g} GB (computed)"
        if self.gpu_accumulate is None:
            needed += ": does not fit"
        elif self.gpu_accumulate > 1:
            needed += f": set training.accumulate={self.gpu_accumulate}"
        return [
            ("network", self.network),
            ("samples of an epoch, steps", f"{self.samples:,}, {self.steps:,} of {self.batch_size}"),
            ("work", f"{self.flops / 1e9:,.0f} GFLOP a sample, {self.total_flops / 1e15:,.0f} PFLOP"),
            (f"one training, {gpu.name}", f"{hours(self.gpu_seconds)} (computed)"),
            (f"{folds} folds, {gpu.name}", f"{hours(folds * self.gpu_seconds)} (computed)"),
            (f"memory, {gpu.name}", needed),
            (f"one training, {self.here}", f"{hours(self.here_seconds)} (from a measured sample)"),
            (f"{folds} folds, {self.here}", f"{hours(folds * self.here_seconds)} (from a measured sample)"),
            (f"memory, {self.here}", f"{size(self.here_bytes)} (computed)"),
            ("cache on the disk", f"{size(self.cache_bytes)} (computed)"),
        ]

    @property
    def total_flops(self) -> float:
        """Of the whole training."""
        return self.flops * self.batch_size * self.steps


def cohort_cost(recipe: Recipe, patients: int, gpu: Gpu, folds: int = 4, progress: Progress = silent) -> Cost:
    """The cost of training a recipe on all folds but one of a cohort; reads no data.

    Args:
        recipe: a configuration of levels or scores. patients: of the cohort, one scan with five scored levels each.
        folds: of the cross-validation.

    Raises:
        SettingsError: fewer patients than folds, or fewer than two folds.
    """
    if folds < 2 or patients < folds:
        raise SettingsError(
            f"{patients} patients cannot be divided into {folds} folds: at least two, one patient each."
        )
    loop = recipe.loop
    scores = recipe.config.recipe == "scores"
    slices = 5 * (1 + 2 * recipe.config.data.neighbours) if scores else 1
    samples = (patients - patients // folds) * slices
    steps = loop.steps or (loop.epochs or 1) * max(1, samples // loop.batch_size)
    progress("estimate", 0.0, "Trying one sample")
    device = chosen_device("cpu")
    with threads(loop.threads):
        trial = Trial(recipe, recipe.network(start=False), device, Precision(loop.precision, device))
        seconds = _processor_seconds(trial)
        flops = _flops(trial)
    kept, largest, fixed = trial.kept.bytes, trial.kept.largest, trial.fixed_bytes()
    progress("estimate", 1.0, "Tried")
    room = 0.9 * gpu.gigabytes * 1e9 - LIBRARIES_BYTES - fixed
    pieces = [n for n in range(1, loop.batch_size + 1) if loop.batch_size % n == 0]
    fitting = [n for n in pieces if loop.batch_size // n * (kept + largest) < room]
    of_batch = loop.batch_size // loop.accumulate * (kept + largest) + fixed
    computing = flops / (SHARE_OF_PEAK * gpu.tflops * 1e12)
    moving = TIMES_MOVED * kept / (SHARE_OF_BANDWIDTH * gpu.terabytes * 1e12)
    given = recipe.config.input
    pixels = 512 * 512 * 3 if scores else 2 * given.size[0] * given.size[1] * given.size[2]
    return Cost(
        network=getattr(trial.network, "name", type(trial.network).__name__),
        samples=samples,
        steps=steps,
        batch_size=loop.batch_size,
        flops=flops,
        gpu_seconds=(computing + moving) * loop.batch_size * steps,
        gpu_bytes=of_batch + LIBRARIES_BYTES,
        gpu_accumulate=max(loop.accumulate, fitting[0]) if fitting else None,
        here=device_name(device),
        here_seconds=seconds * loop.batch_size * steps,
        here_bytes=of_batch + (600 << 20),
        cache_bytes=patients * slices * pixels,
    )


def _processor_seconds(trial: Trial) -> float:
    """What a sample takes of all cores, forward and backward, had it the computer to itself; the faster of two.

    Processor time over threads, and not the clock: other work on the computer would be counted as ours.
    """
    found = []
    for _ in range(2):
        start = time.process_time()
        trial.sample(repeats=1)
        found.append((time.process_time() - start) / torch.get_num_threads())
    return min(found)


def _flops(trial: Trial) -> float:
    """Floating-point operations of one sample's convolutions and matrix products: forward, and twice that backward."""
    image = trial.recipe.example(1)["image"]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        trial.network.eval()(image)
    return 3.0 * counter.get_total_flops()


def hours(seconds: float) -> str:
    """``35 min``, ``3.2 h`` or ``8.1 days``."""
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
