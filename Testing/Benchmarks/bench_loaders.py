"""Do the loaders keep up? Samples that a loader alone makes, beside those that the training step alone consumes.

    python Testing/Benchmarks/bench_loaders.py [--workers 2] [--seconds 30] [--only NAME]

For each of the published configurations and the starters: the loader with so many processes and nothing else running,
then the step (all cores) on a batch that lies ready, and again, each for some seconds; the ratio of samples per second
is printed, by the clock and by processor time. On a busy machine the processor time is the one to go by: what the
loader's and the step's own work takes of the cores, whoever else wants them. It is taken of a step in one thread:
threads that wait for each other count as busy. A ratio of 3 leaves two thirds of the loader's time unused.

The data are phantoms that the script makes (about a minute), the networks start from random weights.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SScILDScoring"), str(ROOT / "SScILDScoringTraining")]

CONFIGURATIONS = {
    "L-Net published (3D VGG11, 256x256x192, batch 4)": ("l_net_2024_vgg11", "cohort"),
    "L-Net for a GPU (the same with augmentation)": ("l_net_gpu", "cohort"),
    "L-Net starter (compact_3d, 112x96x96, batch 4)": ("l_net_starter", "small phantoms"),
    "S-Net published (ConvNeXt-Tiny, 512, batch 10)": ("s_net_2024_convnext", "cohort"),
    "S-Net for a GPU (the same, procedural disease)": ("s_net_gpu", "cohort"),
    "S-Net starter (compact_ratio, 512, batch 16)": ("s_net_starter", "phantoms"),
}


def main() -> None:
    """Prints samples per second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes of the loader")
    parser.add_argument("--seconds", type=float, default=15, help="for each measurement")
    parser.add_argument("--turns", type=int, default=2, help="how often loader and step take turns")
    parser.add_argument("--only", default="", help="part of a configuration's name")
    parser.add_argument("--data", type=Path, help="keep the phantoms and their cache in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = options.data or Path(temporary)
        table = cohort(data)
        for title, (preset, kind) in CONFIGURATIONS.items():
            if options.only.lower() in title.lower():
                measure(title, recipe(preset, kind, table, data), options)


def cohort(folder: Path) -> Path:
    """Four phantoms of clinical size with the scores a reader would give: a cohort table."""
    from SScILDScoringLib.phantom.writing import write_cohort as write_phantoms
    from SScILDScoringTrainingLib.cohort import write_cohort
    from SScILDScoringTrainingLib.cohort.creating import cohort_of_phantoms

    table = folder / "phantoms" / "table.csv"
    if not table.is_file():
        made = write_phantoms(folder / "phantoms", count=4, seed=5, matrix=512, slices=160)
        write_cohort(cohort_of_phantoms(made).rows, table)
    return table


def recipe(preset: str, kind: str, table: Path, folder: Path):
    """The recipe of a preset on these data, ready to give batches."""
    from SScILDScoringLib.progress import silent
    from SScILDScoringTrainingLib.config import PRESETS, read_yaml
    from SScILDScoringTrainingLib.recipes import recipe_of

    os.environ |= {"COHORT": str(table), "IMAGENET": "", "CT": str(PRESETS)}
    values = read_yaml(preset)
    values["network"].pop("weights", None)
    data = values["data"]
    data["cache"] = str(folder / "cache")
    if kind == "small phantoms":
        data.pop("cohort")
        data["phantoms"] |= {"train": 4, "validation": 1}
    elif kind == "phantoms":
        data["healthy"] = []
        data["phantoms"] |= {"train": 4, "validation": 1, "seed": 8, "slices": 20}
        data["validation_synthetic"] = 0
    made = recipe_of(values)
    made.prepare(silent)
    return made


def measure(title: str, prepared, options: argparse.Namespace) -> None:
    """Loader, step, loader, step; prints the rates and their ratio."""
    from SScILDScoringLib.devices import threads

    size = prepared.loop.batch_size
    step = stepper(prepared)
    loaded, stepped, loaded_cpu, stepped_cpu = [], [], [], []
    for turn in range(options.turns):
        count, wall, cpu = run_loader(prepared, options, turn)
        loaded.append(count * size / wall)
        loaded_cpu.append(cpu / (count * size))
        count, wall, _ = run_step(step, options.seconds)
        stepped.append(count * size / wall)
        with threads(1):
            count, _, cpu = run_step(step, options.seconds)
        stepped_cpu.append(cpu / (count * size))
    rates = np.mean(loaded), np.mean(stepped)
    costs = 1000 * np.mean(loaded_cpu), 1000 * np.mean(stepped_cpu)
    print(f"\n{title}")
    print(f"  loader alone, {options.workers} processes: {rates[0]:8.2f} samples/s ({listed(loaded)})")
    print(f"  step alone, {torch.get_num_threads()} threads:      {rates[1]:8.2f} samples/s ({listed(stepped)})")
    print(f"  ratio by the clock:        {rates[0] / rates[1]:8.1f}")
    print(f"  ratio by processor time:   {costs[1] / costs[0]:8.1f} (loader {costs[0]:.0f} ms, step {costs[1]:.0f} ms)")
    sys.stdout.flush()


def listed(values: list[float]) -> str:
    """The single measurements."""
    return ", ".join(f"{v:.2f}" for v in values)


def run_loader(prepared, options: argparse.Namespace, turn: int) -> tuple[int, float, float]:
    """Batches, seconds and processor seconds of the loader's processes, without its start."""
    import dataclasses

    prepared.loop = dataclasses.replace(prepared.loop, workers=options.workers)
    batches = iter(prepared.batches(1000 * turn, 100_000))
    for _ in range(2 * options.workers):  # start of the processes; their caches of anatomy fill
        next(batches)
    workers = [worker.pid for worker in batches._workers]
    before, start, count = cpu_seconds(workers), time.perf_counter(), 0
    while time.perf_counter() - start < options.seconds:
        next(batches)
        count += 1
    wall, used = time.perf_counter() - start, cpu_seconds(workers) - before
    batches._shutdown_workers()
    return count, wall, used


def cpu_seconds(pids: list[int]) -> float:
    """Processor time of processes so far."""
    import psutil

    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def stepper(prepared):
    """A function that takes one step on a batch that lies ready, as the training loop does."""
    from SScILDScoringTrainingLib.loop.freezing import Freezing
    from SScILDScoringTrainingLib.loop.precision import Precision
    from SScILDScoringTrainingLib.loop.state import TrainingState
    from SScILDScoringTrainingLib.loop.step import Stepper
    from SScILDScoringTrainingLib.loop.team import Team

    config, device = prepared.loop, torch.device("cpu")
    precision = Precision(config.precision, device)
    network = prepared.network()
    freezing = Freezing(network, config.freeze, config.thaw_at)
    state = TrainingState(network, config, precision)
    made = Stepper(prepared, state, config, device, precision, freezing, Team.from_environment())
    batch = prepared.example(config.batch_size)
    return lambda: made.take(batch, 1e-6)


def run_step(step, seconds: float) -> tuple[int, float, float]:
    """Steps, seconds and processor seconds."""
    step()
    start, cpu, count = time.perf_counter(), time.process_time(), 0
    while not count or time.perf_counter() - start < seconds:
        step()
        count += 1
    return count, time.perf_counter() - start, time.process_time() - cpu


if __name__ == "__main__":
    main()
