"""L-Net on all sliding windows of one CT beside one run of the network, and S-Net on five slices.

    python Testing/Benchmarks/bench_levels.py [--rounds 3] [--threads 2]

For the published network (VGG11-3D, b = 8, 17 windows of 192x256x256) and the bundled starter: one run of the network
as it comes; one with channels last; every window by itself; all windows sharing what they have in common, in fp32 and
in what is chosen by itself. All by turns with one run of the network, to which the ratios are. Then five slices with
the bundled S-Net in batches.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "SScILDScoring"), str(HERE)]

from measuring import Contestant, Rows, load, peak_mb, rounds_of  # noqa: E402


def compare(network, volume: np.ndarray, starts: Sequence[int], depth: int, mm: float, rounds: int) -> None:
    """The table of one L-Net.

    Args:
        network: in evaluation mode.
        volume: the resized CT, float32 ``(z, y, x)`` in HU.
        starts, depth: the windows.
        mm: between the resized CT's slices.
        rounds: how often everything is measured.
    """
    import torch

    from SScILDScoringLib.level_windows import window_answers
    from SScILDScoringLib.preprocessing import normalized_patch

    few = [starts[0], starts[len(starts) // 2], starts[-1]]
    patches = {k: torch.from_numpy(normalized_patch(volume[k : k + depth]))[None, None] for k in few}
    answers: dict[str, np.ndarray] = {}

    def run(x: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return network(x)[0].double().numpy()

    def once(x: torch.Tensor) -> Callable[[], int]:
        return lambda: (run(x), 1)[1]

    def one_by_one() -> int:
        for k in few:
            answers[f"by itself {k}"] = k + run(torch.from_numpy(normalized_patch(volume[k : k + depth]))[None, None])
        return len(few)

    def shared(precision: str) -> Callable[[], int]:
        def sample() -> int:
            answers[precision] = window_answers(network, volume, starts, depth, precision=precision)
            return 1

        return sample

    plain = Contestant("one run of the network", once(patches[few[0]]), 1)
    last = patches[few[0]].to(memory_format=torch.channels_last_3d)
    contestants = {
        "one run, channels last": Contestant("", once(last), 1),
        "every window by itself": Contestant("", one_by_one, len(starts), rounds=1),
        "all windows, fp32": Contestant("", shared("fp32"), 1),
        "all windows, as chosen": Contestant("", shared("auto"), 1),
    }
    rows = Rows(("", "s", "min-max", "x one run", "x one, CPU", "error mm"), 24)
    plain.sample()
    for number, (name, contestant) in enumerate(contestants.items()):
        if contestant.rounds > 1:
            contestant.sample()
        beside, result = rounds_of((plain, contestant), rounds)
        if not number:
            _add(rows, plain.name, beside, beside)
        precision = {"all windows, fp32": "fp32", "all windows, as chosen": "auto"}.get(name)
        error = ""
        if precision is not None:
            wanted = np.array([answers[f"by itself {k}"] for k in few])
            found = answers[precision][[list(starts).index(k) for k in few]]
            error = f"{np.abs(found - wanted).max() * mm:.1g}"
        _add(rows, ("~" if result.extrapolated else "") + name, result, beside, error)


def _add(rows: Rows, name: str, result, beside, error: str = "") -> None:
    low, high = result.spread
    rows.add(
        name,
        f"{result.seconds:.2f}",
        f"{low:.2f}-{high:.2f}",
        f"{1 / result.times_faster_than(beside):.2f}",
        f"{1 / result.cheaper_than(beside):.2f}",
        error,
    )


def slices_together(bundle, rounds: int, count: int = 5) -> None:
    """Slices with an S-Net, one by one and in batches."""
    from heat_map_slices import drawn_slice

    from SScILDScoringLib.slice_network import SliceNetwork

    network = SliceNetwork(bundle, "cpu")
    inputs = np.stack([network.input.prepare(drawn_slice(n)[0]) for n in range(count)])

    def batches(size: int) -> Contestant:
        def sample() -> int:
            for n in range(0, count, size):
                network.run(inputs[n : n + size])
            return count

        return Contestant(f"in batches of {size}", sample, count)

    print()
    rows = Rows((f"{count} slices, {bundle.name}", "s", "min-max", "x single", "x CPU"), 40)
    single, *others = (batches(n) for n in (1, 2, count))
    single.sample()
    for number, contestant in enumerate(others):
        contestant.sample()
        beside, result = rounds_of((single, contestant), rounds)
        for r in (beside, result) if not number else (result,):
            low, high = r.spread
            ratios = (f"{1 / r.times_faster_than(beside):.2f}", f"{1 / r.cheaper_than(beside):.2f}")
            rows.add(r.contestant.name, f"{r.seconds:.2f}", f"{low:.2f}-{high:.2f}", *ratios)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    from SScILDScoringLib.devices import device_name
    from SScILDScoringLib.models import default_bundle
    from SScILDScoringLib.networks import build_l_net
    from SScILDScoringLib.phantom import PhantomSpec, make_phantom
    from SScILDScoringLib.preprocessing import VolumeInput

    print(f"{device_name('cpu')}, load {load()}", flush=True)
    scan = make_phantom(PhantomSpec(seed=1)).scan
    height = scan.slice_count * scan.mm_per_slice
    torch.manual_seed(0)
    starter = default_bundle("l_net")
    for name, network, settings in (
        ("bundled starter", starter.network(), starter.input),
        ("VGG11-3D, b = 8, random weights", build_l_net("vgg11_3d").eval(), VolumeInput()),
    ):
        starts = settings.patch_starts()
        print(f"\n{name}: {len(starts)} windows of {settings.depth} slices of {settings.size}, load {load()}")
        volume = settings.prepare(scan.voxels)
        compare(network.eval(), volume, starts, settings.depth, height / settings.size[0], options.rounds)
        print(f"largest memory so far {peak_mb():.0f} MB")
    slices_together(default_bundle("s_net"), options.rounds)
    print(f"load {load()} at the end")


if __name__ == "__main__":
    main()
