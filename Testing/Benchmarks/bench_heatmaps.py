"""Heat maps of one slice: ours beside the published loop, MONAI's and Captum's, in one run and by turns.

    python Testing/Benchmarks/bench_heatmaps.py [--quick | --full] [--networks convnext vgg starter] [--rounds N]

``--quick`` takes some minutes: fewer positions, untaught networks. By default slow contestants do a sample of their
positions in each round and are extrapolated (marked ~); ``--full`` runs the published loop over all 1024 positions
once, too. All ratios are to the published loop of the same run. With a CUDA device the table is made on it, too, with
the share of its peak (nobody has run that part yet).

Wall times depend on what else the computer does; the ratios of processor time beside them hardly do. No test and no
check of a change depends on any figure of this script.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "SScILDScoring"), str(HERE)]

from measuring import Contestant, Measured, by_turns, line_through, load, peak_mb, percent_of_largest, table  # noqa: E402

OURS = (("incremental", "fp32"), ("incremental", "bf16"), ("preview", "auto"))
WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}


class Case:
    """One network and the slice it is asked about.

    Args:
        name: of the network. bundle: the S-Net. state: what its weights are. device: where it runs.
        quick: fewer positions. side: pixels of the slice.
    """

    def __init__(
        self, name: str, bundle, state: str, device: str = "cpu", quick: bool = False, side: int = 512
    ) -> None:
        import torch
        from heat_map_slices import drawn_slice

        from SScILDScoringLib.heatmaps.replacement import HeatMapSettings, patch_windows, replacement_texture
        from SScILDScoringLib.slice_network import SliceNetwork

        self.name, self.state, self.device, self.quick = name, state, device, quick
        self.network = SliceNetwork(bundle, device)
        self.settings = HeatMapSettings()
        self.hu, self.lung, _ = drawn_slice(777, side, lesions=6)
        self.texture = replacement_texture(self.settings, bundle)
        self.prepared = torch.from_numpy(self.network.input.prepare(self.hu))[None, None].to(device)
        self.positions = len(list(patch_windows(self.lung, self.settings, self.texture)))

    def part(self, share: float) -> np.ndarray:
        """Lung of so many rows around the middle that about ``share`` of the positions touch it."""
        rows = np.flatnonzero(self.lung.any(1))
        height = max(round(share * (len(rows) + 48)) - 48, 1)
        middle = int(rows.mean())
        part = np.zeros_like(self.lung)
        part[middle - height // 2 : middle - height // 2 + height] = True
        return part & self.lung

    def maps(self, engine: str, precision: str = "auto", lung: np.ndarray | None = None):
        """Our heat maps; of the whole lung when None."""
        from SScILDScoringLib.heatmaps import render_heat_maps

        lung = self.lung if lung is None else lung
        return render_heat_maps(
            self.hu, lung, self.network, self.settings, engine=engine, precision=precision, device=self.device
        )


def contestants(case: Case, full: bool = False) -> list[Contestant]:
    """Everybody, the published loop first."""
    from heat_map_rivals import (
        captum_occlusion,
        evenly,
        library_positions,
        monai_occlusion,
        published_corners,
        published_loop,
    )

    network = case.network.network
    corners = published_corners(len(case.hu))
    few = evenly(corners, 3 if case.quick else 16)
    images = 16 if case.quick else 32
    inside = library_positions(len(case.hu))

    def published(where, gradients: bool) -> Callable[[], int]:
        def sample() -> int:
            published_loop(network, case.hu, case.lung, case.texture, where, gradients)
            return len(where) + 1  # the untouched slice is a network run, too

        return sample

    def ours(engine: str, precision: str, share: float) -> Contestant:
        lung = case.part(share) if share < 1 else case.lung
        name = f"ours: {engine}" + ("" if precision == "auto" else f" {precision}")
        return Contestant(name, lambda: case.maps(engine, precision, lung).network_runs - 1, case.positions)

    # Off-lung positions cost the reference nothing, so that a part of the lung is a fair sample of it.
    slow, fast = (0.01, 0.1) if case.quick else (0.05, 1.0)
    found = [
        Contestant("published loop as written", published(few, True), len(corners) + 1),
        Contestant("published loop, no gradients", published(few, False), len(corners) + 1),
        *(
            Contestant(
                f"MONAI OcclusionSensitivity, {note}",
                lambda n=n: monai_occlusion(network, case.prepared, images, n),
                inside,
            )
            for n, note in ((16, "default batch"), (1, "n_batch=1"))
        ),
        Contestant("Captum Occlusion", lambda: captum_occlusion(network, case.prepared, images), inside + 1),
        ours("reference", "auto", slow),
        ours("batched", "auto", slow),
        *(ours(engine, precision, fast) for engine, precision in OURS),
    ]
    if full:
        found.insert(1, Contestant("published loop, all positions", published(corners, True), len(corners) + 1, 1))
    return found


def compare(case: Case, rounds: int, full: bool) -> list[Measured]:
    """The table of one network."""
    results = by_turns(contestants(case, full), rounds)
    published = results[0]
    rows = []
    for r in results:
        low, high = r.spread
        rows.append(
            (
                ("~" if r.extrapolated else " ") + r.contestant.name,
                str(r.contestant.positions),
                f"{1000 * r.seconds / r.contestant.positions:.1f}",
                f"{r.seconds:.1f}",
                f"{low:.1f}-{high:.1f}",
                f"{r.times_faster_than(published):.2f}",
                f"{r.cheaper_than(published):.2f}",
            )
        )
    head = ("", "positions", "ms each", "s a map", "min-max", "x faster", "x less CPU")
    print(table(head, rows))
    print("~ extrapolated from a sample of the positions; the libraries' maps are of another kind (constant filling)")
    return results


def accuracy(case: Case) -> None:
    """How far our maps lie from exact ones in fp32, computed with the whole network at every position."""
    lung = case.part(0.05 if case.quick else 1.0)
    wanted = case.maps("batched", "fp32", lung)
    from heat_map_rivals import published_corners, published_loop

    touched = (
        [(y, x) for y, x in published_corners(len(case.hu)) if lung[y : y + 64, x : x + 64].any()] if case.quick else []
    )
    rows = []
    for engine, precision in OURS:
        maps = case.maps(engine, precision, lung)
        error = percent_of_largest(maps.maps, wanted.maps)
        stated = "" if maps.tolerance is None else f"{100 * maps.tolerance:.2g} on {maps.checked_positions}"
        rows.append((f"{engine} {maps.precision}", "yes" if maps.exact else "no", f"{error:.2g}", stated))
    if touched:
        published = published_loop(case.network.network, case.hu, lung, case.texture, touched, gradients=False)
        rows.append(("published loop", "", f"{percent_of_largest(published, wanted.maps):.2g}", ""))
    print(
        f"\nErrors of the maps in % of their largest value ({np.abs(wanted.maps).max():.3g} points, fp32 exact, "
        f"{wanted.network_runs - 1} positions)"
    )
    print(table(("", "exact", "error %", "stated %, positions"), rows))


def growth(case: Case) -> None:
    """Cost against the number of positions, and of slices."""
    counts, seconds = [], []
    shares = (0.05, 0.3, 0.6) if case.quick else (0.25, 0.5, 0.75, 1.0)
    for share in shares:
        maps = case.maps("incremental", lung=case.part(share) if share < 1 else case.lung)
        counts.append(maps.network_runs - 1)
        seconds.append(maps.seconds)
    slope, start, straight = line_through(counts, seconds)
    listed = ", ".join(f"{n}: {s:.2f} s" for n, s in zip(counts, seconds, strict=True))
    print(
        f"\nCost against positions ({listed}): {1000 * slope:.1f} ms each and {start:.2f} s once; "
        f"a straight line explains {100 * straight:.1f} %"
    )
    several = [case.maps("incremental", lung=case.part(shares[0])).seconds for _ in range(3)]
    print("Three slices, one after the other: " + ", ".join(f"{s:.2f} s" for s in several))


def profile(case: Case) -> None:
    """Where the time of the exact incremental map goes, on one thread."""
    import torch
    from heat_map_profile import steps_of_profile

    from SScILDScoringLib.devices import threads

    with threads(1):
        lung = case.part(0.05)
        case.maps("incremental", lung=lung)
        shares, seconds = steps_of_profile(lambda: case.maps("incremental", lung=lung))
    print(f"\nProfile (exact incremental, one thread, {seconds:.1f} s, torch {torch.__version__})")
    print("  " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares))


def memory(case_name: str, engine: str, precision: str) -> None:
    """In a child: prints the memory that one slice takes beyond libraries and network."""
    with tempfile.TemporaryDirectory() as folder:
        case = build(case_name, Path(folder), 0, quick=True)
        case.network.run(case.prepared[:, 0].cpu())
        before = peak_mb()
        case.maps(engine, precision, case.part(0.3))
        print(f"{peak_mb() - before:.0f} MB beyond {before:.0f} MB of libraries and network")


def paths(case_name: str) -> None:
    """In a child without AMX: which path is chosen by itself."""
    with tempfile.TemporaryDirectory() as folder:
        case = build(case_name, Path(folder), 0, quick=True)
        maps = case.maps("auto", lung=case.part(0.03))
        print(f"{maps.engine} {maps.precision}, {1000 * maps.seconds / (maps.network_runs - 1):.0f} ms a position")


def child(*arguments: str, environment: dict | None = None) -> str:
    """The last line that this script prints in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    lines = (run.stdout if run.returncode == 0 else run.stderr).strip().splitlines()
    return lines[-1] if lines else "nothing"


def gpu(case: Case, results: list[Measured]) -> None:
    """The share of the device's peak that the exact map uses: useful work of whole network runs by time."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        case.network.network(case.prepared)
    a = torch.randn(8192, 8192, device=case.device, dtype=torch.bfloat16)
    matmul = by_turns([Contestant("matmul", lambda: (a @ a, torch.cuda.synchronize(), 1)[-1], 1)], 5)[0]
    peak = 2 * 8192**3 / matmul.seconds
    work = counter.get_total_flops() * case.positions
    for r in results:
        if r.contestant.name.startswith("ours: incremental"):
            print(
                f"{r.contestant.name}: {1000 * r.seconds:.0f} ms a slice, "
                f"{100 * work / r.seconds / peak:.0f} % of the measured matmul peak ({peak / 1e12:.0f} TFLOP/s), "
                "counting whole network runs"
            )


def build(name: str, folder: Path, taught: float, device: str = "cpu", quick: bool = False) -> Case:
    """A case by its network's name: ``convnext``, ``vgg`` or ``starter``."""
    from heat_map_slices import convnext, vgg

    from SScILDScoringLib.models import default_bundle

    if name == "starter":
        bundle, state = default_bundle("s_net"), "the bundled starter"
    else:
        bundle, state = convnext(folder, taught) if name == "convnext" else vgg(folder)
    return Case(name, bundle, state, device, quick)


def five_levels(case: Case) -> None:
    """All five levels of a patient with the bundled network, exact."""
    seconds = [case.maps("auto").seconds for _ in range(5)]
    print(f"\nFive levels, three patterns, exact: {sum(seconds):.1f} s ({', '.join(f'{s:.1f}' for s in seconds)})")


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="some minutes")
    parser.add_argument("--full", action="store_true", help="the published loop over all positions once, too")
    parser.add_argument("--networks", nargs="+", default=["convnext", "vgg", "starter"])
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 2")
    parser.add_argument("--teach", type=float, help="seconds of teaching for ConvNeXt-Tiny (default 240, quick 0)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    if options.child:
        {"memory": memory, "paths": paths}[options.child[0]](*options.child[1:])
        return
    from SScILDScoringLib.devices import device_name

    rounds = options.rounds or (2 if options.quick else 5)
    taught = options.teach if options.teach is not None else 0 if options.quick else 240
    print(f"{device_name('cpu')}, torch {torch.__version__}; load {load()} at the start; medians of {rounds} rounds")
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if len(devices) == 1:
        print("No CUDA device: nothing is said about GPUs (that part of this script is untested).")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            for device in devices:
                case = build(name, Path(folder) / device, taught if device == "cpu" else 0, device, options.quick)
                share = 100 * case.lung.mean()
                print(
                    f"\n=== {name} on {device}: {case.state}; lung {share:.0f} % of the slice, "
                    f"{case.positions} of 1024 positions touch it; load {load()}"
                )
                results = compare(case, rounds, options.full)
                accuracy(case)
                growth(case)
                if device == "cuda":
                    gpu(case, results)
                    continue
                profile(case)
                if name == "starter" and not options.quick:
                    five_levels(case)
                if not options.quick:
                    for engine, precision in OURS:
                        print(f"Memory, {engine} {precision}: {child('--child', 'memory', name, engine, precision)}")
                without = child("--child", "paths", name, environment=WITHOUT_AMX)
                print(f"With {WITHOUT_AMX}: {without}")
    print(f"\nload {load()} at the end")


if __name__ == "__main__":
    main()
