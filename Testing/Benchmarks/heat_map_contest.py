"""Who takes part in the comparison of heat maps, on which slice and network, and the table of it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from heat_map_rivals import (
    STEP,
    captum_occlusion,
    evenly,
    library_positions,
    monai_occlusion,
    published_corners,
    published_loop,
)
from heat_map_slices import drawn_slice
from measuring import Contestant, Deadline, Measured, Rows, rounds_of

FIRST = "published loop as written"
LIBRARIES = ("MONAI", "Captum")
START = 7 * STEP
"""Step of the small maps that tell what a map costs once: seven positions in a slice of 512 pixels."""


@dataclass(frozen=True)
class Size:
    """How much of the work is measured.

    Args:
        published: positions of the published loop beside every other contestant, and in its own row.
        library: images for the libraries. batches: whether MONAI's default batch of 16 takes part, too.
        slow, fast: steps of our slow and fast engines: 16 for whole maps.
        rounds, seconds: how often, and after how many seconds a contestant has had enough rounds.
        checked: step of the map that is compared with the whole network's.
        whole: whether whole maps are compared, too.
        growth: steps of the maps in the line of costs.
        unhurried: whether the engines that run whole networks take part, too.
    """

    published: int
    library: int
    batches: bool
    slow: int
    fast: int
    rounds: int
    seconds: float
    checked: int
    whole: bool
    growth: tuple[int, ...]
    unhurried: bool


QUICK = Size(1, 2, False, 5 * STEP, 2 * STEP, 1, 6.0, 5 * STEP, False, (7 * STEP, 5 * STEP, 3 * STEP), False)
USUAL = Size(3, 6, True, 3 * STEP, STEP, 3, 15.0, 5 * STEP, True, (5 * STEP, 3 * STEP, 2 * STEP, STEP), True)


class Case:
    """One network and the slice it is asked about.

    Args:
        name: of the network. bundle: the S-Net. state: what its weights are. device: where it runs.
        side: pixels of the slice.
    """

    def __init__(self, name: str, bundle, state: str = "", device: str = "cpu", side: int = 512) -> None:
        import torch

        from SScILDScoringLib.heatmaps.replacement import HeatMapSettings, patch_windows, replacement_texture
        from SScILDScoringLib.slice_network import SliceNetwork

        self.name, self.bundle, self.state, self.device, self.side = name, bundle, state, device, side
        self.network = SliceNetwork(bundle, device)
        self.settings = HeatMapSettings()
        self.hu, self.lung, _ = drawn_slice(777, side, lesions=6)
        self.texture = replacement_texture(self.settings, bundle)
        self.prepared = torch.from_numpy(self.network.input.prepare(self.hu))[None, None].to(device)
        self.positions = len(list(patch_windows(self.lung, self.settings, self.texture)))

    def of_others(self):
        """The network as its other users have it: its parameters want gradients, so that a graph is recorded where
        nobody switches that off. A bundle's own network has them switched off."""
        return copy.deepcopy(self.network.network).requires_grad_(True)

    def maps(self, engine: str, precision: str = "auto", step: int = STEP, hu: np.ndarray | None = None):
        """Our heat maps of this case's slice, or of another one with the same lung.

        A larger ``step`` makes a fair sample of the positions: patches and lung stay as they are. Odd multiples of 16
        pixels keep all the ways in which positions lie on a network's cells.
        """
        from SScILDScoringLib.heatmaps import render_heat_maps

        settings = dataclasses.replace(self.settings, step=step)
        hu = self.hu if hu is None else hu
        return render_heat_maps(
            hu, self.lung, self.network, settings, engine=engine, precision=precision, device=self.device
        )


def ours_of(case: Case) -> tuple[tuple[str, str], ...]:
    """Our exact engine in fp32 and in what the device computes fast, and the preview."""
    from SScILDScoringLib.heatmaps.precision import choose_precision

    fast = choose_precision("auto", case.network.device)
    return (("incremental", "fp32"), *([("incremental", fast)] if fast != "fp32" else []), ("preview", "auto"))


def contestants(case: Case, size: Size, full: bool = False) -> list[Contestant]:
    """Everybody, the published loop first."""
    others = case.of_others()
    corners = published_corners(len(case.hu))
    inside = library_positions(len(case.hu))

    def published(network, where, gradients: bool) -> Callable[[], int]:
        def sample() -> int:
            published_loop(network, case.hu, case.lung, case.texture, where, gradients)
            return len(where) + 1  # the untouched slice is a network run, too

        return sample

    def ours(engine: str, precision: str, step: int, once: bool = False) -> Contestant:
        def work(step: int) -> Callable[[], int]:
            return lambda: case.maps(engine, precision, step).network_runs - 1

        name = f"ours: {engine}" + ("" if precision == "auto" else f" {precision}")
        return Contestant(name, work(step), case.positions, work(max(START, step)) if once else None)

    few = evenly(corners, size.published)
    as_written = Contestant(FIRST, published(others, few, True), len(corners) + 1)
    found = [Contestant("published loop, no gradients", published(case.network.network, few, False), len(corners) + 1)]
    for engine, precision in ours_of(case):
        # In fp32 a whole map takes long wherever there is something faster.
        found.append(ours(engine, precision, size.slow if precision == "fp32" else size.fast, once=True))
    batches = [(16, "default batch", 16)] if size.batches else []
    found += [
        Contestant(f"MONAI, {note}", lambda n=n, k=k: monai_occlusion(others, case.prepared, k, n), inside)
        for n, note, k in (*batches, (1, "n_batch=1", size.library))
    ]
    found.append(Contestant("Captum", lambda: captum_occlusion(others, case.prepared, size.library), inside + 1))
    if full:
        whole = published(others, corners, True)
        found.append(Contestant("published loop, all positions", whole, len(corners) + 1, rounds=1))
    if size.unhurried:
        found += [ours(engine, "auto", START) for engine in ("reference", "batched")]
    return [as_written, *found]


def compare(case: Case, size: Size, deadline: Deadline, full: bool = False) -> dict[str, Measured]:
    """Prints the table of one network, every contestant by turns with the published loop; gives what was measured."""
    first, *others = contestants(case, size, full)
    rows = Rows(("", "positions", "rounds", "ms each", "s a map", "min-max", "x faster", "x less CPU"))
    first.sample()
    results, all_first, left_out = {}, Measured(first), []
    for contestant in others:
        if deadline.over:
            left_out.append(contestant.name)
            continue
        if contestant.name.startswith(LIBRARIES):
            import captum.attr  # noqa: F401  imports shall not count
            import monai.visualize  # noqa: F401
        if contestant.start is not None:
            contestant.start()
        beside, result = rounds_of((first, contestant), size.rounds, size.seconds)
        if not results:
            _add(rows, beside, beside)
        _add(rows, result, beside)
        all_first.walls += beside.walls
        all_first.processors += beside.processors
        all_first.done = beside.done
        results[contestant.name] = result
    if results:
        _add(rows, all_first, all_first)
    if left_out:
        print(f"Left out because the computer is too busy: {', '.join(left_out)}")
    print("~ extrapolated from a sample of the positions. Every line's ratios are to the published loop in the same")
    print("rounds; its last line is all of these. The libraries' maps are of another kind (constant filling).")
    return {first.name: all_first, **results}


def _add(rows: Rows, result: Measured, published: Measured) -> None:
    low, high = result.spread
    rows.add(
        ("~" if result.extrapolated else " ") + result.contestant.name,
        str(result.contestant.positions),
        str(len(result.walls)),
        f"{1000 * result.seconds / result.contestant.positions:.1f}",
        f"{result.seconds:.1f}",
        f"{low:.1f}-{high:.1f}",
        f"{result.times_faster_than(published):.2f}",
        f"{result.cheaper_than(published):.2f}",
    )
