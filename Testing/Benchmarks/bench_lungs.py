"""Seconds and memory of body mask, lung mask and landmarks.

    python Testing/Benchmarks/bench_lungs.py [SLICES ...]     (default: 120 600)

A phantom of 512 x 512 x 120 voxels is made once (some 20 s) and its slices are repeated for longer scans, as thinner
slices of the same patient. Prints, and decides nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "SScILDScoring"
sys.path.insert(0, str(LIBRARY))

import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
import torch  # noqa: E402

from SScILDScoringLib.anatomy import find_landmarks  # noqa: E402
from SScILDScoringLib.body import body_mask  # noqa: E402
from SScILDScoringLib.lungs import segment_lungs, slice_lung_mask  # noqa: E402
from SScILDScoringLib.lungs.airways import trace_airways  # noqa: E402
from SScILDScoringLib.lungs.coarse import coarse_scan  # noqa: E402
from SScILDScoringLib.lungs.regions import lung_regions  # noqa: E402
from SScILDScoringLib.phantom import PhantomSpec, make_phantom  # noqa: E402
from SScILDScoringLib.scan import CTScan  # noqa: E402

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


CHILD = """
import sys
import numpy as np, SimpleITK as sitk, torch
sys.path.insert(0, sys.argv[1])
from SScILDScoringLib.lungs import segment_lungs
from SScILDScoringLib.scan import CTScan
base, slices = np.load(sys.argv[2], mmap_mode="r"), int(sys.argv[3])
def peak():  # of this process alone, in kB; getrusage would count the parent's
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
imports = peak()
voxels = np.empty((slices, *base.shape[1:]), np.int16)
for k in range(slices):
    voxels[k] = base[k * len(base) // slices]
segment_lungs(CTScan(voxels, (0, 0, 0), (0.72, 0.72, 300 / slices)))
print(imports, peak())
"""


def peak_mb(scan: CTScan, slices: int) -> tuple[float, float]:
    """Largest memory of a fresh process that holds a scan of ``slices`` slices and segments it; and before it did."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "base.npy"
        np.save(path, scan.voxels)
        command = [sys.executable, "-c", CHILD, str(LIBRARY), str(path), str(slices)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(answer[1]) / 1024, int(answer[0]) / 1024


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
        lungs, total, cpu = measured(lambda scan=scan: segment_lungs(scan))
        peak, imports = peak_mb(base, slices)
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
            f"  peak {peak:.0f} MB, of which {imports:.0f} MB libraries: "
            f"{(peak - imports) / volume_mb:.2f} x the volume's {volume_mb:.0f} MB"
        )


if __name__ == "__main__":
    main()
