"""L-Net on all sliding windows of one CT beside one run of the network, by turns.

    python Testing/Benchmarks/bench_levels.py [--rounds 3] [--threads 2]

Compared are, for the published network (VGG11-3D, b = 8, 17 windows of 192x256x256) and the bundled starter: one run
as the network comes; one with channels last; every window by itself as before; all windows sharing what they have in
common. Then scoring five slices one by one and together.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "SScILDScoring"), str(HERE)]

from measuring import Contestant, by_turns, load, peak_mb, table  # noqa: E402


def compare(network, volume: np.ndarray, starts, depth: int, mm: float, rounds: int) -> None:
    """The table of one L-Net."""
    import torch

    from SScILDScoringLib.level_windows import window_answers
    from SScILDScoringLib.preprocessing import normalized_patch

    patch = torch.from_numpy(normalized_patch(volume[:depth]))[None, None]
    few = starts[:: max(len(starts) // 3, 1)]

    def run(x):
        with torch.inference_mode():
            return network(x)[0].double().numpy()

    def once() -> int:
        run(patch)
        return 1

    def once_channels_last() -> int:
        run(patch.to(memory_format=torch.channels_last_3d))
        return 1

    def one_by_one() -> int:
        for k in few:
            run(torch.from_numpy(normalized_patch(volume[k : k + depth]))[None, None])
        return len(few)

    answers = {}

    def shared(precision: str):
        def sample() -> int:
            answers[precision] = window_answers(network, volume, starts, depth, precision=precision)
            return 1

        return sample

    wanted = np.array([k + run(torch.from_numpy(normalized_patch(volume[k : k + depth]))[None, None]) for k in few])
    results = by_turns(
        [
            Contestant("one run of the network", once, 1),
            Contestant("one run, channels last", once_channels_last, 1),
            Contestant("all windows, one by one", one_by_one, len(starts)),
            Contestant("all windows together, fp32", shared("fp32"), 1),
            Contestant("all windows together, as chosen", shared("auto"), 1),
        ],
        rounds,
    )
    rows = []
    for r in results:
        error = ""
        if "together" in r.contestant.name:
            found = answers["fp32" if "fp32" in r.contestant.name else "auto"]
            chosen = [starts.index(k) for k in few]
            error = f"{np.abs(found[chosen] - wanted).max() * mm:.1g}"
        low, high = r.spread
        rows.append(
            (
                r.contestant.name,
                f"{r.seconds:.2f}",
                f"{low:.2f}-{high:.2f}",
                f"{r.seconds / results[0].seconds:.2f}",
                f"{r.seconds / results[1].seconds:.2f}",
                f"{r.processor_seconds / results[0].processor_seconds:.2f}",
                error,
            )
        )
    print(table(("", "s", "min-max", "x one run", "x one, cl", "x one, CPU", "error mm"), rows))


def slices_together(rounds: int) -> None:
    """Five slices with the bundled S-Net, one by one and in one batch."""
    from heat_map_slices import drawn_slice

    from SScILDScoringLib.models import default_bundle
    from SScILDScoringLib.slice_network import SliceNetwork

    network = SliceNetwork(default_bundle("s_net"), "cpu")
    inputs = np.stack([network.input.prepare(drawn_slice(n)[0]) for n in range(5)])

    def batches(size: int):
        def sample() -> int:
            for n in range(0, 5, size):
                network.run(inputs[n : n + size])
            return 5

        return sample

    results = by_turns([Contestant(f"batches of {n}", batches(n), 5) for n in (1, 2, 5)], 3 * rounds)
    head = ("five slices, bundled S-Net", "ms", "x batches of 1", "CPU")
    first = results[0]
    print(
        table(
            head,
            [
                (
                    r.contestant.name,
                    f"{1000 * r.seconds:.0f}",
                    f"{r.seconds / first.seconds:.2f}",
                    f"{r.processor_seconds / first.processor_seconds:.2f}",
                )
                for r in results
            ],
        )
    )


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

    print(f"{device_name('cpu')}, load {load()}")
    scan = make_phantom(PhantomSpec(seed=1)).scan
    height = scan.slice_count * scan.mm_per_slice
    torch.manual_seed(0)
    published = build_l_net("vgg11_3d").eval()
    starter = default_bundle("l_net")
    for name, network, settings in (
        ("VGG11-3D, b = 8, random weights", published, VolumeInput()),
        ("bundled starter", starter.network().eval(), starter.input),
    ):
        starts = settings.patch_starts()
        print(f"\n{name}: {len(starts)} windows of {settings.depth} slices of {settings.size}")
        volume = settings.prepare(scan.voxels)
        compare(network, volume, starts, settings.depth, height / settings.size[0], options.rounds)
        print(f"largest memory so far {peak_mb():.0f} MB")
    print()
    slices_together(options.rounds)
    print(f"load {load()} at the end")


if __name__ == "__main__":
    main()
