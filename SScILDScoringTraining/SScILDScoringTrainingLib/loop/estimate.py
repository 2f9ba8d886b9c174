"""What a training needs, before it starts: memory of device and host, disk, time.

>>> from SScILDScoringTrainingLib.training import estimate       # doctest: +SKIP
>>> estimate(recipe, "runs/s_net").warnings                      # doctest: +SKIP
()
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from SScILDScoringLib.devices import device_name, threads
from SScILDScoringLib.errors import SScILDError
from SScILDScoringLib.progress import Progress, silent

from .freezing import Freezing
from .memory import host_memory_free, kept_for_backward, process_memory
from .precision import Precision, chosen_device
from .recipe import Recipe
from .state import TrainingState
from .step import Stepper
from .team import Team

PREFETCHED = 8
"""Batches that every loading process keeps ready (see ``datasets.loader``)."""
WORKER_BYTES = 250 << 20
"""What a loading process takes beside its batches (measured on Linux: Python, numpy and what it has changed)."""
LONGEST_TRIAL_S = 20.0
"""A whole step is only tried where one sample says that it takes no longer."""


@dataclass(frozen=True)
class Estimate:
    """What a training needs on this computer.

    Args:
        device: in words. network, parameters: what is trained.
        device_bytes: memory of the device at its highest; on the CPU it is part of ``host_bytes``.
        host_bytes: memory of the computer, loading processes included. disk_bytes: checkpoints.
        device_free, host_free, disk_free: what there is now; None where the system does not tell.
        memory_how, time_how: ``measured`` in a real step, or ``computed`` from one sample.
        seconds_per_step: of the training itself; loading and validation come on top where they are slower.
        steps, seconds: of the whole training; None when the number of samples is not known before the data is read.
        accumulate: pieces of a step that would fit, when the configured one does not; None otherwise.
        warnings: sentences, one for everything that does not fit.
    """

    device: str
    network: str
    parameters: int
    device_bytes: int
    host_bytes: int
    disk_bytes: int
    device_free: int | None
    host_free: int | None
    disk_free: int | None
    memory_how: str
    time_how: str
    seconds_per_step: float
    steps: int | None
    seconds: float | None
    accumulate: int | None
    warnings: tuple[str, ...]


def estimate(
    recipe: Recipe, folder: str | Path = ".", samples: int | None = None, progress: Progress = silent
) -> Estimate:
    """Estimates a training by trying a step with random numbers in the shapes of its samples; reads no data.

    One sample is run forward and backward, and what autograd keeps is counted. When a whole step promises to fit and
    to be short it is run as well: its time is then measured, and on CUDA its memory too.

    Args:
        recipe: prepared or not. folder: where the run would lie, for the room on that disk.
        samples: training samples of an epoch; of a prepared recipe when not given, otherwise counted in its cohort
            table.
        progress: told what is tried; may cancel.
    """
    config = recipe.loop
    device = chosen_device(config.device)
    precision = Precision(config.precision, device)
    piece = config.batch_size // config.accumulate
    network = recipe.network(start=False).to(device)
    before = process_memory()
    with threads(config.threads):
        progress("estimate", 0.0, "Trying one sample")
        trial = Trial(recipe, network, device, precision)
        one_s = trial.sample()
        per_sample, fixed = trial.kept.bytes, trial.fixed_bytes()
        computed = fixed + piece * per_sample + 2 * trial.kept.largest * piece
        free = _device_free(device)
        time_how, memory_how, seconds, needed = "computed", "computed", one_s * config.batch_size, computed
        if one_s * config.batch_size < LONGEST_TRIAL_S and (free is None or computed < 0.8 * free):
            progress("estimate", 0.5, "Trying a whole step")
            try:
                seconds, measured = trial.step()
                time_how = "measured"
                if measured:
                    needed, memory_how = measured, "measured"
            except torch.OutOfMemoryError:
                needed = max(computed, free or 0)
    steps = config.steps or _steps_of_epochs(recipe, samples)
    batch_bytes = sum(v.nbytes for v in recipe.example(1).values()) * config.batch_size
    host = before + config.workers * (WORKER_BYTES + PREFETCHED * batch_bytes) + 2 * batch_bytes
    host += needed if device.type == "cpu" else 0
    disk = 3 * trial.checkpoint_bytes() + 2 * trial.weight_bytes
    host_free = host_memory_free()
    disk_free = _disk_free(Path(folder))
    room = free
    if device.type == "cpu" and host_free is not None:
        room = host_free - (host - needed)  # what Python and the loading processes leave
    fits = _pieces_that_fit(config.batch_size, fixed, per_sample, 2 * trial.kept.largest, room)
    total = None if steps is None else steps * seconds
    if config.minutes:
        total = 60 * config.minutes if total is None else min(total, 60 * config.minutes)
    warnings = []
    if free is not None and device.type != "cpu" and needed > free:
        warnings.append(_short("The device", needed, free) + _advice(fits, config.accumulate))
    if host_free is not None and host > host_free:
        advice = _advice(fits, config.accumulate) if device.type == "cpu" else " Lower training.workers."
        warnings.append(_short("This computer", host, host_free) + advice)
    if disk_free is not None and disk > disk_free:
        warnings.append(f"The disk has {size(disk_free)} left and the checkpoints need {size(disk)}.")
    return Estimate(
        device=device_name(device),
        network=getattr(network, "name", type(network).__name__),
        parameters=sum(p.numel() for p in network.parameters()),
        device_bytes=int(needed),
        host_bytes=int(host),
        disk_bytes=int(disk),
        device_free=free,
        host_free=host_free,
        disk_free=disk_free,
        memory_how=memory_how,
        time_how=time_how,
        seconds_per_step=seconds,
        steps=steps,
        seconds=total,
        accumulate=fits if warnings and fits and fits > config.accumulate else None,
        warnings=tuple(warnings),
    )


class Trial:
    """Steps with random samples, on a copy of nothing: the network given is changed and thrown away."""

    def __init__(self, recipe: Recipe, network: torch.nn.Module, device: torch.device, precision: Precision) -> None:
        self.recipe, self.device, self.precision, self.network = recipe, device, precision, network
        self.state = TrainingState(network, recipe.loop, precision)
        freezing = Freezing(network, recipe.loop.freeze, recipe.loop.thaw_at)
        parts = (self.state, recipe.loop, device, precision, freezing, Team())
        self.stepper = Stepper(recipe, *parts)
        self.weight_bytes = sum(v.nbytes for v in network.state_dict().values())

    def sample(self, repeats: int = 2) -> float:
        """Seconds that one sample takes forward and backward (the fastest of so many); fills ``kept``."""
        batch = {k: v.to(self.device) for k, v in self.recipe.example(1).items()}
        batch["image"] = batch["image"].contiguous(memory_format=self.stepper.layout)
        self.network.train()
        # A BatchNorm after the last pooling sees one number a channel here, which it refuses to average.
        norms = [m for m in self.network.modules() if isinstance(m, torch.nn.BatchNorm1d)]
        for norm in norms:
            norm.eval()
        best = float("inf")
        for _ in range(repeats):
            self.network.zero_grad(set_to_none=True)
            self._wait()
            start = time.perf_counter()
            with kept_for_backward(self.network) as self.kept, self.precision.autocast():
                loss, _ = self.recipe.loss(self.network, batch)
            loss.backward()
            self._wait()
            best = min(best, time.perf_counter() - start)
        self.network.zero_grad(set_to_none=True)
        return best

    def step(self) -> tuple[float, int | None]:
        """Seconds of a real step (the faster of two), and on CUDA the memory it took, libraries included."""
        batch = self.recipe.example(self.recipe.loop.batch_size)
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        best = float("inf")
        for _ in range(2):
            self._wait()
            start = time.perf_counter()
            self.stepper.take(batch, 0.0)
            self._wait()
            best = min(best, time.perf_counter() - start)
        if not cuda:
            return best, None
        free, total = torch.cuda.mem_get_info(self.device)
        outside = total - free - torch.cuda.memory_reserved(self.device)
        return best, torch.cuda.max_memory_reserved(self.device) + min(outside, 1 << 30)

    def fixed_bytes(self) -> int:
        """Weights, gradients, the optimiser's two moments, the averaged weights."""
        trained = sum(p.nbytes for p in self.network.parameters())
        return self.weight_bytes * (2 if self.state.average else 1) + 3 * trained

    def checkpoint_bytes(self) -> int:
        """A checkpoint: weights, moments, averaged weights."""
        trained = sum(p.nbytes for p in self.network.parameters())
        return self.weight_bytes * (2 if self.state.average else 1) + 2 * trained

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _device_free(device: torch.device) -> int | None:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else host_memory_free()


def _disk_free(folder: Path) -> int | None:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _steps_of_epochs(recipe: Recipe, samples: int | None) -> int | None:
    samples = samples or recipe.samples_per_epoch or _samples_of_table(recipe)
    return recipe.loop.epochs * max(1, samples // recipe.loop.batch_size) if samples else None


def _samples_of_table(recipe: Recipe) -> int | None:
    """Samples of an epoch as the cohort table promises them: cases, or their scored slices and the neighbours."""
    from ..cohort import read_cohort

    config = getattr(recipe, "config", None)
    data = getattr(config, "data", None)
    if not getattr(data, "cohort", None):
        return None
    try:
        rows = read_cohort(data.cohort, split_seed=recipe.seed)
    except SScILDError:
        return None  # the training itself tells what is wrong with the table
    cases = sum(row.split == "train" for row in rows)
    return cases * 5 * (1 + 2 * data.neighbours) if config.recipe == "scores" else cases


def _pieces_that_fit(batch_size: int, fixed: int, per_sample: int, largest: int, free: int | None) -> int | None:
    """The smallest ``accumulate`` whose pieces fit; None when not even one sample does, or nothing is known."""
    if free is None:
        return None
    for count in range(1, batch_size + 1):
        if batch_size % count == 0 and fixed + batch_size // count * (per_sample + largest) < 0.9 * free:
            return count
    return None


def _short(who: str, needed: int, free: int) -> str:
    return f"{who} has {size(free)} of memory free and the training needs about {size(needed)}."


def _advice(fits: int | None, now: int) -> str:
    if fits and fits > now:
        return f" Set training.accumulate={fits}, which gives the same steps in less memory."
    return "" if fits else " Not even one sample fits: take a smaller network or input, or a larger device."


def size(count: int) -> str:
    """``1.5 GB`` of a number of bytes."""
    return f"{count / 2**30:.1f} GB" if count >= 2**29 else f"{count / 2**20:.0f} MB"


def in_words(found: Estimate) -> list[tuple[str, str]]:
    """The estimate as rows ``(what, how much)`` for a table."""

    def of(needed: int, free: int | None, how: str = "") -> str:
        text = size(needed) + (f" of {size(free)} free" if free is not None else "")
        return f"{text} ({how})" if how else text

    rows = [
        ("network", f"{found.network}, {found.parameters:,} parameters"),
        ("device", found.device),
        ("memory of the device", of(found.device_bytes, found.device_free, found.memory_how)),
        ("memory of this computer", of(found.host_bytes, found.host_free, "computed")),
        ("disk", of(found.disk_bytes, found.disk_free, "computed")),
        ("a step", f"{found.seconds_per_step:.3g} s ({found.time_how}; without loading and validation)"),
        ("steps", "known when the data is read" if found.steps is None else f"{found.steps:,}"),
    ]
    if found.seconds is not None:
        hours = found.seconds / 3600
        rows.append(("the whole training", f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"))
    return rows
