"""Heat maps of one slice: ours beside the published loop, MONAI's and Captum's, in one run and by turns.

    python Testing/Benchmarks/bench_heatmaps.py [--quick | --full] [--networks convnext vgg starter] [--keep FOLDER]

``--quick`` prints its first table within a minute and ends within five, also on a busy computer: two networks, one
round, small samples, nothing is taught, and nothing new is begun after three minutes. By default (a quarter of an
hour on two cores) there are up to three rounds, whole maps of our fast engines, and the large networks are taught
first, so that errors mean something; with ``--keep`` the taught networks stay in a folder, and the next run uses them.
``--full`` runs the published loop over all 1024 positions once and compares whole maps. Slow contestants do a sample
of their positions and are extrapolated (marked ~).

Every contestant is measured by turns with the published loop, and its ratios are to those very rounds. Wall times
depend on what else the computer does; the ratios of processor time beside them hardly do. No test and no check of a
change depends on any figure of this script. With a CUDA device the table is made on it, too, with the share of its
peak (nobody has run that part yet).
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "SScILDScoring"), str(HERE)]

import heat_map_sections as sections  # noqa: E402
from heat_map_contest import QUICK, USUAL, Case, compare  # noqa: E402
from measuring import Deadline, load  # noqa: E402

WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
NETWORKS = ("starter", "convnext", "vgg")
QUICK_NETWORKS = NETWORKS[:2]
TAUGHT = 240.0
SHARES = {"convnext": 1.0, "vgg": 0.4}
"""Of the time of teaching: VGG learns sooner."""
QUICK_SECONDS = 200.0
"""After these nothing new is begun in a quick run."""


def build(name: str, folder: Path, taught: float = 0.0, device: str = "cpu") -> Case:
    """A case by its network's name: one of :data:`NETWORKS`; what is made is put into ``folder``."""
    from heat_map_slices import convnext, vgg

    from SScILDScoringLib.models import default_bundle

    if name == "starter":
        bundle, state = default_bundle("s_net"), "the bundled starter"
    else:
        bundle, state = {"convnext": convnext, "vgg": vgg}[name](folder, taught * SHARES[name])
    return Case(name, bundle, state, device)


def child(what: str, case: Case, threads: int, environment: dict | None = None) -> str:
    """The last line that this script prints in a process of its own, asked about a case's bundle."""
    command = [sys.executable, str(Path(__file__).resolve()), "--threads", str(threads)]
    command += ["--child", what, str(case.bundle.folder)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    lines = (run.stdout if run.returncode == 0 else run.stderr).strip().splitlines()
    return lines[-1] if lines else "nothing"


def in_child(what: str, folder: str) -> None:
    """What :func:`child` asks for."""
    from SScILDScoringLib.models import ModelBundle

    case = Case("child", ModelBundle.load(folder))
    print({"memory": sections.memory, "path": sections.path}[what](case))


def about(case: Case, options: argparse.Namespace, deadline: Deadline) -> Callable[[], None]:
    """Prints the table of one network; gives what prints everything else about it."""
    size = QUICK if options.quick else USUAL
    print(
        f"\n=== {case.name} on {case.device}: {case.state}; lung {100 * case.lung.mean():.0f} % of the slice, "
        f"{case.positions} of 1024 positions touch it; load {load()}",
        flush=True,
    )
    results = compare(case, size, deadline, options.full)
    wanted = {"errors": lambda: sections.accuracy(case, size, options.full)}
    if case.device == "cuda":
        wanted["share of the peak"] = lambda: sections.gpu(case, results)
    else:
        if case.name == "starter":
            wanted["five levels"] = lambda: sections.five_levels(case)
        if case.name == options.networks[0] or not options.quick:
            wanted |= {
                "growth": lambda: sections.growth(case, size),
                "profile": lambda: sections.profile(case, size),
                "compiled passes": lambda: sections.passes(case, size),
                "memory": lambda: print(f"Memory of one slice: {child('memory', case, options.threads)}"),
                "path": lambda: print(f"With {WITHOUT_AMX}: {child('path', case, options.threads, WITHOUT_AMX)}"),
            }

    def rest() -> None:
        print(f"\n--- {case.name} on {case.device}; load {load()}", flush=True)
        left_out = []
        for name, section in wanted.items():
            if deadline.over:
                left_out.append(name)
            else:
                section()
                sys.stdout.flush()
        if left_out:
            print(f"Left out because the computer is too busy: {', '.join(left_out)}")

    return rest


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="up to five minutes")
    parser.add_argument(
        "--full", action="store_true", help="the published loop over all positions, errors of whole maps"
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, help="default all; quick: two")
    parser.add_argument(
        "--teach", type=float, help=f"seconds for ConvNeXt-Tiny (default {TAUGHT:.0f}, quick 0), 0.4 of it for VGG11"
    )
    parser.add_argument("--keep", type=Path, help="folder where networks stay for the next run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    if options.child:
        in_child(*options.child)
        return
    from SScILDScoringLib.devices import device_name

    started, deadline = time.monotonic(), Deadline(QUICK_SECONDS if options.quick else float("inf"))
    options.networks = options.networks or (QUICK_NETWORKS if options.quick else NETWORKS)
    kept = options.keep is not None
    taught = options.teach if options.teach is not None else 0 if options.quick and not kept else TAUGHT
    print(f"{device_name('cpu')}, torch {torch.__version__}; load {load()} at the start", flush=True)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if len(devices) == 1:
        print("No CUDA device: nothing is said about GPUs (that part of this script is untested).")
    with tempfile.TemporaryDirectory() as folder:
        later = []
        for name, device in itertools.product(options.networks, devices):
            if deadline.over:
                print(f"Left out because the computer is too busy: {name} on {device}")
                continue
            case = build(name, options.keep or Path(folder), taught, device)
            rest = about(case, options, deadline)
            if options.quick:  # all tables first
                later.append(rest)
            else:
                rest()
            print(f"{time.monotonic() - started:.0f} s so far, load {load()}", flush=True)
        for rest in later:
            rest()
    print(f"{time.monotonic() - started:.0f} s in all, load {load()}")


if __name__ == "__main__":
    main()
