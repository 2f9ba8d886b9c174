"""What is said about our heat maps beside the table: errors, growth, profile, memory, paths, five levels, GPU."""

from __future__ import annotations

import itertools
from unittest import mock

import numpy as np
from heat_map_contest import FIRST, START, Case, Size, ours_of
from heat_map_profile import steps_of_profile
from heat_map_rivals import STEP
from heat_map_slices import drawn_slice
from measuring import Contestant, Measured, Rows, by_turns, line_through, peak_mb, percent_of_largest, timed


def accuracy(case: Case, size: Size, whole: bool = False) -> None:
    """How far our maps lie from exact ones in fp32.

    Against the whole network at every position on maps with a larger step; where whole maps are wanted against our
    exact engine in fp32, which the first comparison has checked. ``whole`` compares whole maps with the whole network.
    """
    step = STEP if whole else size.checked
    wanted = case.maps("batched", "fp32", step)
    _errors(case, f"every position of a step of {step} with the whole network", wanted, step, ours_of(case))
    if size.whole and not whole:
        wanted = case.maps("incremental", "fp32")
        others = [o for o in ours_of(case) if o != ("incremental", "fp32")]
        _errors(case, "whole map by our exact engine in fp32", wanted, STEP, others)


def _errors(case: Case, what: str, wanted, step: int, engines) -> None:
    largest = np.abs(wanted.maps).max()
    print(
        f"\nErrors in % of the map's largest value, {largest:.3g} points ({what}, {wanted.network_runs - 1} positions)"
    )
    rows = Rows(("", "exact", "error %", "stated %", "checked"), 24)
    for engine, precision in engines:
        found = case.maps(engine, precision, step)
        error = percent_of_largest(found.maps, wanted.maps)
        stated = "" if found.tolerance is None else f"{100 * found.tolerance:.2g}"
        checked = str(found.checked_positions or "")
        rows.add(f"{engine} {found.precision}", "yes" if found.exact else "no", f"{error:.2g}", stated, checked)


def growth(case: Case, size: Size) -> None:
    """Cost against the number of positions, and of slices: straight lines."""
    case.maps("incremental", step=START)
    counts, seconds = [], []
    for step in size.growth:
        done, _, processor = timed(lambda step=step: case.maps("incremental", step=step).network_runs - 1)
        counts.append(done)
        seconds.append(processor)
    _line("positions", counts, seconds)
    slices = [drawn_slice(seed, case.side, lesions=6)[0] for seed in range(1, 5)]
    each = [timed(lambda hu=hu: case.maps("incremental", step=size.growth[0], hu=hu).network_runs)[2] for hu in slices]
    _line("slices", list(range(1, 5)), list(itertools.accumulate(each)))


def _line(what: str, counts: list[int], seconds: list[float]) -> None:
    slope, start, straight = line_through(counts, seconds)
    listed = ", ".join(f"{n}: {s:.2f} s" for n, s in zip(counts, seconds, strict=True))
    each = f"{1000 * slope:.1f} ms" if slope < 0.5 else f"{slope:.2f} s"
    print(
        f"Processor time against {what} ({listed}): {each} each and {start:.2f} s once; "
        f"a straight line explains {100 * straight:.1f} %",
        flush=True,
    )


def profile(case: Case, size: Size) -> None:
    """Where the time of the exact incremental map goes, on one thread."""
    import torch

    from SScILDScoringLib.devices import threads

    with threads(1):
        shares, seconds = steps_of_profile(lambda: case.maps("incremental", step=size.growth[0]))
    print(f"Profile (exact incremental, one thread, {seconds:.1f} s, torch {torch.__version__}):", end=" ")
    print(", ".join(f"{name} {100 * share:.0f} %" for name, share in shares), flush=True)


def passes(case: Case, size: Size) -> None:
    """Our compiled passes against PyTorch's operators for the same steps, by turns."""
    from SScILDScoringLib.heatmaps.incremental import network
    from SScILDScoringLib.heatmaps.incremental.ways import ONE_BY_ONE, compiled_ways

    if compiled_ways() is None:
        print("No compiled passes: numba is not here.")
        return
    plain = Case(case.name, case.bundle, device=case.device, side=case.side)
    step = size.growth[-2]
    with mock.patch.object(network, "ways_for", return_value=ONE_BY_ONE):
        plain.maps("incremental", step=START)  # the network is made ready now, once for all of its maps
    results = by_turns(
        [Contestant("", lambda c=c: c.maps("incremental", step=step).network_runs, 1) for c in (plain, case)], 3
    )
    ratios = results[1].times_faster_than(results[0]), results[1].cheaper_than(results[0])
    print("Compiled passes against PyTorch's operators: {:.2f} times faster, {:.2f} times less CPU".format(*ratios))


def memory(case: Case) -> str:
    """The largest memory of this process, with libraries, network and one slice; wants a fresh process."""
    case.network.run(case.prepared[:, 0].cpu())
    before = peak_mb()
    maps = case.maps("auto", step=2 * STEP)
    return f"{peak_mb():.0f} MB at most ({before:.0f} MB before the map), {maps.engine} {maps.precision}"


def path(case: Case) -> str:
    """Which engine and arithmetic are chosen by themselves, and whether that gives the whole network's map."""
    maps, wanted = case.maps("auto", step=START), case.maps("batched", "fp32", START)
    error = percent_of_largest(maps.maps, wanted.maps)
    each = 1000 * maps.seconds / (maps.network_runs - 1)
    return f"{maps.engine} {maps.precision} is chosen, {each:.0f} ms a position, error {error:.1g} % of the maximum"


def five_levels(case: Case) -> None:
    """All five levels of a patient with a network that was not prepared before, exact, three patterns."""
    fresh = Case(case.name, case.bundle, device=case.device, side=case.side)
    slices = [drawn_slice(seed, case.side, lesions=6)[0] for seed in range(11, 16)]
    took = [timed(lambda hu=hu: fresh.maps("auto", hu=hu).network_runs) for hu in slices]
    walls = [wall for _, wall, _ in took]
    print(
        f"Five levels, three patterns, exact, network prepared on the way: {sum(walls):.1f} s "
        f"({', '.join(f'{s:.1f}' for s in walls)}), processor time {sum(cpu for _, _, cpu in took):.1f} s",
        flush=True,
    )


def gpu(case: Case, results: dict[str, Measured]) -> None:
    """The share of the device's peak that the exact map uses: useful work of whole network runs by time."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        case.network.network(case.prepared)
    a = torch.randn(8192, 8192, device=case.device, dtype=torch.bfloat16)
    matmul = by_turns([Contestant("matmul", lambda: (a @ a, torch.cuda.synchronize(), 1)[-1], 1)], 5)[0]
    peak = 2 * 8192**3 / matmul.seconds
    work = counter.get_total_flops() * case.positions
    for name, r in results.items():
        if name.startswith("ours: incremental"):
            print(
                f"{name}: {1000 * r.seconds:.0f} ms a slice, {results[FIRST].seconds / r.seconds:.0f} times faster "
                f"than the published loop, {100 * work / r.seconds / peak:.0f} % of the measured matmul peak "
                f"({peak / 1e12:.0f} TFLOP/s), counting whole network runs"
            )
