"""Seconds and memory of body mask, lung mask and landmarks.

    python Testing/Benchmarks/bench_lungs.py [SLICES ...]     (default: 120 600)

A phantom of 512 x 512 x 120 voxels is made once (some 20 s) and its slices are repeated for longer scans, as thinner
slices of the same patient. Prints, and decides nothing.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SScILDScoring"))

import numpy as np
import SimpleITK as sitk
import torch
from SScILDScoringLib.airways import trace_airways
from SScILDScoringLib.anatomy import find_landmarks
from SScILDScoringLib.body import body_mask
from SScILDScoringLib.coarse import coarse_scan
from SScILDScoringLib.lung_regions import lung_regions
from SScILDScoringLib.lungs import segment_lungs, slice_lung_mask
from SScILDScoringLib.phantom import PhantomSpec, make_phantom
from SScILDScoringLib.scan import CTScan

torch.set_num_threads(2)
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(2)
TARGET_SECONDS = {120: 6.0, 600: 25.0}


def measured(action):
    """The answer of ``action``, its seconds on the clock and on the processors."""
    clock, cpu = time.perf_counter(), time.process_time()
    answer = action()
    return answer, time.perf_counter() - clock, time.process_time() - cpu


def stretched(scan: CTScan, slices: int) -> CTScan:
    """The same patient in ``slices`` slices: every slice repeated, the last ones cut off or repeated."""
    index = np.minimum(np.arange(slices) * scan.slice_count // slices, scan.slice_count - 1)
    x, y, z = scan.spacing
    return CTScan(scan.voxels[index], scan.origin, (x, y, z * scan.slice_count / slices), scan.direction)


def peak_mb() -> float:
    """Largest memory this process has held so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Prints the table."""
    sizes = [int(a) for a in sys.argv[1:]] or [120, 600]
    base = make_phantom(PhantomSpec(seed=1, matrix=512, spacing=(0.72, 0.72, 2.5), slices=120)).scan
    hu = base.axial_slice(60)
    for name, action in (
        ("body_mask 512 x 512", lambda: body_mask(hu)),
        ("slice_lung_mask 512 x 512", lambda: slice_lung_mask(hu, base.spacing[1::-1])),
    ):
        action()
        times = [measured(action)[1] for _ in range(20)]
        print(f"{name:28s} {1000 * np.median(times):7.1f} ms (best {1000 * min(times):.1f})")
    for slices in sizes:
        scan = stretched(base, slices)
        volume_mb = scan.voxels.nbytes / 2**20
        before = peak_mb()
        lungs, total, cpu = measured(lambda scan=scan: segment_lungs(scan))
        peak = peak_mb()
        coarse, coarse_s, _ = measured(lambda scan=scan: coarse_scan(scan))
        airways, airways_s, _ = measured(lambda coarse=coarse: trace_airways(coarse))
        _, regions_s, _ = measured(lambda coarse=coarse, airways=airways: lung_regions(coarse, airways))
        _, landmarks_s, _ = measured(lambda scan=scan, lungs=lungs: find_landmarks(scan, lungs))
        target = TARGET_SECONDS.get(slices)
        ratio = f", {total / target:.2f} of the {target:.0f} s allowed" if target else ""
        print(f"segment_lungs 512 x 512 x {slices}: {total:.1f} s (processors {cpu:.1f} s){ratio}")
        rest = total - coarse_s - airways_s - regions_s
        print(
            f"  coarse {coarse_s:.1f}, airways {airways_s:.1f}, regions {regions_s:.1f}, repair and border {rest:.1f}; "
            f"landmarks {landmarks_s:.1f} s"
        )
        print(
            f"  peak {peak:.0f} MB = {peak / volume_mb:.2f} x the volume's {volume_mb:.0f} MB (before: {before:.0f} MB)"
        )


if __name__ == "__main__":
    main()
