"""Heat maps by incremental inference: exact, or a guarded preview of the exact ones.

The arithmetic is what the device computes fast; a few positions are computed in float32, too, and the largest
difference stays with the map. Where it is too large, float32 does all the work.

A preview keeps the recomputed windows smaller than the network's reach (``halo`` cells per stage, calibrated for a
bundle, see :mod:`.calibration`). Eight positions are computed exactly first; where the preview differs from them by
more than its tolerance the halo is widened, in the end to the exact computation.

Two things this module leaves alone on purpose. A preview by gradients has the wrong sign for these networks. And no
coarse grid decides which regions get finer steps: US patent 12,346,812 claims that together with incremental
inference; whoever redistributes this software or adds to it may want to have its claims read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from .incremental import Change, KeptSlice, Plan
from .incremental.crew import in_crew
from .precision import choose_precision
from .replacement import patch_windows
from .reporting import Outcome
from .slice_input import LocalInput

if TYPE_CHECKING:
    from .engines import Work

PROBES = 8
"""Positions, spread over the lung, that are computed first."""

CHECKED = 3
"""How many of them are computed in float32, too."""

LIMIT = 0.003
"""Error of the maps, as a share of the largest change seen, from which on float32 does all the work."""

PREVIEW_LIMIT = 0.01
"""The same for a preview's difference from the exact computation."""

DEFAULT_HALO = (3, 3, 3, 2)
"""Cells per stage for bundles that state none."""

WIDENINGS = 3
"""How often a preview's halo is widened before the exact computation takes over."""

GROUP = {"cpu": 4}
OTHER_GROUP = 64
"""Positions computed together on a kind of device."""

HEADS = {True: 8, False: 32}
"""Positions that share a run of the head: one that starts with a mean, and one that reads the whole map, whose first
layer may be large."""


class Positions:
    """The positions of one slice, ready to be answered.

    Args:
        work: what has to be done.
    """

    def __init__(self, work: Work) -> None:
        self._work, self._network = work, work.network
        self._input = LocalInput(work.hu, work.network)
        self.baseline = work.network.run(self._input.untouched[None])[0]
        self.windows = list(patch_windows(work.sums.lung, work.settings, work.texture))
        self._changes = [Change(*self._input.changed(window)) for window in self.windows]
        self._kept: dict[str, KeptSlice] = {}

    def __len__(self) -> int:
        return len(self.windows)

    def changes(
        self, numbers: Sequence[int], precision: str, halo: Sequence[int] | None = None
    ) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        """Numbers of positions and what each does to the scores, ``(n, 3)``, as they become ready."""
        kept = self._kept_in(precision)
        plan = Plan(kept, self._changes, halo)
        device = self._network.device.type
        size = self._work.batch_size or GROUP.get(device, OTHER_GROUP)
        heads = max(HEADS[kept.network.head_of_mean is not None] // size, 1) * size
        if halo is not None:
            # Windows of like size go together; where they grow to the whole map in the end this would win nothing.
            numbers = sorted(numbers, key=lambda n: self._changes[n].values.shape)
        tasks = [numbers[n : n + heads] for n in range(0, len(numbers), heads)]

        def answer(task: Sequence[int], check: Callable[[], None]) -> np.ndarray:
            ends = [kept.ends(plan, task[n : n + size], check) for n in range(0, len(task), size)]
            return kept.answers(ends) - kept.baseline

        crew = torch.get_num_threads() if device == "cpu" else 1
        yield from in_crew(tasks, answer, crew, self._work.report.tick)

    def all_changes(self, numbers: Sequence[int], precision: str, halo: Sequence[int] | None = None) -> np.ndarray:
        """Changes ``(n, 3)`` of positions, in the order asked for."""
        found = {}
        for task, changes in self.changes(numbers, precision, halo):
            found.update(zip(task, changes, strict=True))
        return np.array([found[n] for n in numbers])

    def add(self, number: int, change: np.ndarray) -> None:
        """Adds the change of one position to the sums."""
        window = self.windows[number]
        self._work.sums.add(window.rows, window.columns, window.covers, change)

    def _kept_in(self, precision: str) -> KeptSlice:
        if precision not in self._kept:
            network = self._network.incremental(precision)
            self._kept[precision] = network.keep(self._input.untouched, self._work.report.tick)
        return self._kept[precision]


def incremental_heat_maps(work: Work) -> Outcome:
    """An engine: the exact maps, in the arithmetic that the device computes fast."""
    positions = Positions(work)
    precision = choose_precision(work.precision, work.network.device)
    probes = _spread(len(positions), PROBES)
    if precision == "fp32" or not probes:
        return _rest(work, positions, [], np.empty((0, 3)), Outcome(positions.baseline))
    answers = positions.all_changes(probes, precision)
    checked = _most_telling(answers, CHECKED)
    difference = np.abs(positions.all_changes([probes[n] for n in checked], "fp32") - answers[checked]).max()
    # A pixel is the mean over the (patch / step)^2 positions that cover it, and rounding differs from one to the next.
    averaged = max(work.settings.patch / work.settings.step, 1.0)
    if work.precision == "auto" and difference / averaged > LIMIT * np.abs(answers).max():
        return _rest(work, positions, [], np.empty((0, 3)), Outcome(positions.baseline))
    outcome = Outcome(positions.baseline, precision, tolerance=float(difference), checked_positions=len(checked))
    return _rest(work, positions, probes, answers, outcome)


def preview_heat_maps(work: Work) -> Outcome:
    """An engine: a guarded preview."""
    positions = Positions(work)
    precision = choose_precision(work.precision, work.network.device)
    probes = _spread(len(positions), PROBES)
    if not probes:
        return Outcome(positions.baseline, precision)
    answers = positions.all_changes(probes, precision)
    allowed = PREVIEW_LIMIT * np.abs(answers).max()
    halo = halo_of(work.network.bundle)
    for _ in range(WIDENINGS + 1):
        difference = float(np.abs(positions.all_changes(probes, precision, halo) - answers).max())
        if difference <= allowed:
            outcome = Outcome(positions.baseline, precision, False, difference, len(probes))
            return _rest(work, positions, probes, answers, outcome, halo)
        halo = tuple(cells + max(cells // 2, 1) for cells in halo)
    return _rest(work, positions, probes, answers, Outcome(positions.baseline, precision))


def halo_of(bundle) -> tuple[int, ...]:
    """The halo of a bundle's previews: calibrated for it, or the default with its last value for further stages."""
    stated = bundle.heat_maps.get("preview_halo")
    halo = tuple(int(v) for v in stated) if stated else DEFAULT_HALO
    return halo + (halo[-1],) * 8


def _rest(
    work: Work,
    positions: Positions,
    done: Sequence[int],
    answers: np.ndarray,
    outcome: Outcome,
    halo: Sequence[int] | None = None,
) -> Outcome:
    """Computes all positions that are not done yet; gives the outcome with its tolerance as a share of the maps."""
    for number, change in zip(done, answers, strict=True):
        positions.add(number, change)
    known = set(done)
    rest = [n for n in range(len(positions)) if n not in known]
    work.report.batch(len(known), len(positions), outcome)
    finished = len(known)
    for task, changes in positions.changes(rest, outcome.precision, halo) if rest else ():
        for number, change in zip(task, changes, strict=True):
            positions.add(number, change)
        finished += len(task)
        work.report.batch(finished, len(positions), outcome)
    return outcome.relative_to(work.sums.means())


def _spread(count: int, wanted: int) -> list[int]:
    """``wanted`` of the numbers below ``count``, evenly spread; all of them where there are fewer."""
    return sorted({int(n) for n in np.linspace(0, count - 1, min(wanted, count)).round()}) if count else []


def _most_telling(answers: np.ndarray, wanted: int) -> list[int]:
    """Numbers of the answers with the largest changes."""
    return sorted(np.argsort(-np.abs(answers).max(axis=1), kind="stable")[:wanted].tolist())
