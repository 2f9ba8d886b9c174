"""Time and memory of scoring one CT, split by step, and what the heat-map engines cost beside each other.

    python Testing/Benchmarks/bench_score.py [CT] [--threads 2] [--s-net BUNDLE] [--l-net BUNDLE]

Without a CT a phantom is scored; without bundles and without bundled starters, an untrained network of the starter's
size (the time does not depend on the weights). Wall times depend on what else the computer does: the processor time
beside them hardly does.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SScILDScoring"), str(ROOT / "Testing" / "Python")]

ENGINES_PIXELS = 160
"""The engines are compared on a disc of lung of this radius in a 512x512 slice; the reference on a part of it."""


def main() -> None:
    """Runs both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ct", nargs="?", help="CT to score; a phantom when left out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--s-net", help="name or folder of an S-Net bundle")
    parser.add_argument("--l-net", help="name or folder of an L-Net bundle")
    options = parser.parse_args()
    started = Clock()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does
    import torch

    torch.set_num_threads(options.threads)
    from SScILDScoringLib.models import default_bundle, find_bundle

    with tempfile.TemporaryDirectory() as folder:
        s_net = find_bundle(options.s_net, "s_net") if options.s_net else default_bundle("s_net")
        if s_net is None:
            s_net = untrained(Path(folder))
        l_net = find_bundle(options.l_net, "l_net") if options.l_net else default_bundle("l_net")
        print(f"S-Net {s_net.name} ({s_net.network_name}, {s_net.input.size} pixels)")
        print(f"L-Net {l_net.name if l_net else 'none: levels from the anatomy'}")
        print(f"start-up (imports, bundles): {started}", flush=True)
        bench_start_up()
        bench_scan(options.ct, s_net, l_net)
        bench_engines(s_net)


def bench_start_up() -> None:
    """Processor time that processes of their own take before they do anything."""
    steps = {
        "Python alone": "pass",
        "the command line": "import SScILDScoringLib.cli",
        "what scores a scan": "import SScILDScoringLib.pipeline",
        "torch": "import torch",
        "torch and what scores a scan": "import torch, SScILDScoringLib.pipeline, SScILDScoringLib.slice_scoring",
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "SScILDScoring")}
    found = []
    for name, program in steps.items():
        before = os.times()
        subprocess.run([sys.executable, "-c", program], check=True, env=environment)
        after = os.times()
        seconds = after.children_user + after.children_system - before.children_user - before.children_system
        found.append(f"{name} {seconds:.2f} s")
    print("processor time of starting: " + ", ".join(found), flush=True)


def bench_scan(ct: str | None, s_net, l_net) -> None:
    """One scan through all steps."""
    from SScILDScoringLib.pipeline import score_scan

    scan = ct
    if ct is None:
        from SScILDScoringLib.phantom import PhantomSpec, make_phantom

        scan = make_phantom(PhantomSpec(seed=1)).scan
    clock = Clock()
    result = score_scan(scan, s_net=s_net, l_net=l_net or False, every_slice=True, device="cpu")
    print(f"\n{result.device}\nscan {result.facts.size}, all steps: {clock}")
    for step, seconds in result.seconds.items():
        print(f"  {step:14s} {seconds:8.2f} s")
    runs = sum(m.network_runs for m in result.heat_maps)
    print(f"  heat maps: {runs} patches, {1000 * result.seconds['heat_maps'] / runs:.2f} ms each")
    print(f"  peak memory {peak_mb():.0f} MB, of which voxels {result.scan.voxels.nbytes / 1e6:.0f} MB", flush=True)


def bench_engines(s_net) -> None:
    """Milliseconds for one patch by each engine, and how far their maps lie apart."""
    import numpy as np

    from SScILDScoringLib.heatmaps import render_heat_maps

    y, x = np.mgrid[:512, :512]
    lung = (y - 256) ** 2 + (x - 256) ** 2 < ENGINES_PIXELS**2
    noise = np.random.default_rng(0).normal(0, 60, lung.shape)
    hu = np.where(lung, -800 + noise, 40 + noise).astype(np.int16)
    small = (y - 256) ** 2 + (x - 256) ** 2 < 40**2
    print("\nengine       ms per patch (processor time)   patches   ratio   largest difference to the first, of")
    base, wanted = None, render_heat_maps(hu, small, s_net, engine="reference")
    for engine in ("reference", "batched", "incremental"):
        mask = lung if engine == "incremental" else small
        clock = Clock()
        maps = render_heat_maps(hu, mask, s_net, engine=engine)
        ms, cpu = (1000 * v / maps.network_runs for v in clock.times())
        base = base or cpu
        found = render_heat_maps(hu, small, s_net, engine=engine) if engine == "incremental" else maps
        error, largest = np.abs(found.maps - wanted.maps).max(), np.abs(wanted.maps).max()
        print(
            f"{engine:12s} {ms:9.2f} ({cpu:9.2f})          {maps.network_runs:10d} {base / cpu:8.1f}   "
            f"{error:.1e} of {largest:.3f} points",
            flush=True,
        )


def untrained(folder: Path):
    """A bundle of the starter's size with random weights."""
    from small_bundles import s_net_bundle

    widths = {"widths": (24, 48, 96, 160), "blocks": (1, 2, 2, 1), "head_width": 96}
    return s_net_bundle(folder / "untrained", size=256, clear_outside_body=True, **widths)


def peak_mb() -> float:
    """Largest memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1024


class Clock:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def times(self) -> tuple[float, float]:
        """Seconds: wall, processor."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu

    def __str__(self) -> str:
        return "{:.1f} s (processor time {:.1f} s)".format(*self.times())


if __name__ == "__main__":
    main()
