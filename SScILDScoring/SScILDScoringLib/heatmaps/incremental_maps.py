"""Heat maps by incremental inference: exact, or a guarded preview of the exact ones.

The arithmetic is what the device computes fast; a few positions are computed in float32, too, and the largest
difference stays with the map. Where it is too large, float32 does all the work.

A preview keeps the recomputed windows smaller than the network's reach (``halo`` cells per stage, calibrated for a
bundle, see :mod:`.calibration`), and in wide blocks it leaves out larger changes than those that rounding hides. Eight
positions are computed exactly first; where the preview differs from them by more than its tolerance less is left out,
in the end nothing.

Two things this module leaves alone on purpose. A preview by gradients has the wrong sign for these networks. And no
coarse grid decides which regions get finer steps: US patent 12,346,812 claims that together with incremental
inference; whoever redistributes this software or adds to it may want to have its claims read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import ModelError
from .incremental import Change, KeptSlice, Plan
from .incremental.crew import in_crew
from .precision import choose_precision
from .replacement import patch_windows
from .reporting import Outcome
from .slice_input import LocalInput

if TYPE_CHECKING:
    from .engines import Work

PROBES = 8
"""Positions that are computed first."""

CHECKED = 3
"""How many of them are computed in float32, too."""

CHECK_UNSEEN = 2.0**-13
"""What that may leave out, see :class:`Cut`: a hundredth of what the check has to find, in half of the time."""

LIMIT = 0.006
"""Largest difference from float32, as a share of the largest change of the probes, before float32 does all the work.
Maps are to be right within 0.3 % of their maximum: the probes need not include the strongest place of a slice, and a
pixel of the map is the mean over several positions whose rounding differs. What was reached is stated with the map."""

PREVIEW_LIMIT = 0.007
"""The same for a preview's difference from the exact computation. Its map is to be right within 1 %."""

DEFAULT_HALO = (5, 5, 4, 2)
"""Cells per stage for bundles that state none."""

MOST_STAGES = 8
"""The last value of a halo serves for so many further stages."""

UNSEEN = 2.0**-6
"""Change of a row, as a share of its spread, up to which previews let it keep what it had."""

WIDENINGS = 3
"""How often a preview leaves out less before the exact computation takes over."""

GROUP = {"cpu": 8}
OTHER_GROUP = 64
"""Positions computed together on a kind of device."""

LEAST_TASKS = 4
"""Into so many parts the positions of a slice are divided at least, on a CPU."""

HEADS = {True: 12, False: 64}
"""Positions that share a run of the head: one that starts with a mean, and one that reads the whole map, whose first
layer may be large."""


@dataclass(frozen=True)
class Cut:
    """What a preview leaves out.

    Args:
        halo: cells per stage, see :class:`.incremental.route.Routes`; None for nothing.
        unseen: see :meth:`.incremental.blocks.WideBlockKernel.change`; what rounding hides when None.
    """

    halo: tuple[int, ...] | None
    unseen: float | None = None

    def less(self) -> Cut:
        """Leaves out less."""
        unseen = None if self.unseen is None else self.unseen / 1.5
        halo = None if self.halo is None else tuple(cells + max(cells // 2, 1) for cells in self.halo)
        return Cut(halo, unseen)


@dataclass(frozen=True)
class Wanted:
    """Positions to compute.

    Args:
        numbers: of the positions. precision: of the network. cut: what may be left out; None for nothing.
    """

    numbers: Sequence[int]
    precision: str
    cut: Cut | None = None


class Positions:
    """The positions of one slice, ready to be answered.

    Args:
        work: what has to be done.
    """

    def __init__(self, work: Work) -> None:
        self._work, self._network = work, work.network
        self._input = LocalInput(work.hu, work.network)
        self.windows = list(patch_windows(work.sums.lung, work.settings, work.texture))
        self._changes = []
        for window in self.windows:
            work.report.tick()
            self._changes.append(Change(*self._input.changed(window)))
        self._kept: dict[str, KeptSlice] = {}

    def __len__(self) -> int:
        return len(self.windows)

    def changes(
        self, numbers: Sequence[int], precision: str, cut: Cut | None = None
    ) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        """Numbers of positions and what each does to the scores, ``(n, 3)``, as they become ready."""
        for _, task, changes in self._changes_of([Wanted(numbers, precision, cut)]):
            yield task, changes

    def all_changes(self, numbers: Sequence[int], precision: str, cut: Cut | None = None) -> np.ndarray:
        """Changes ``(n, 3)`` of positions, in the order asked for."""
        return self.all_of(Wanted(numbers, precision, cut))[0]

    def all_of(self, *wanted: Wanted) -> list[np.ndarray]:
        """Changes ``(n, 3)`` of several things wanted; nothing waits for the others."""
        found: list[dict[int, np.ndarray]] = [{} for _ in wanted]
        for number, task, changes in self._changes_of(wanted):
            found[number].update(zip(task, changes, strict=True))
        return [np.array([done[n] for n in one.numbers]) for done, one in zip(found, wanted, strict=True)]

    def _changes_of(self, wanted: Sequence[Wanted]) -> Iterator[tuple[int, Sequence[int], np.ndarray]]:
        device = self._network.device.type
        size = self._work.batch_size or GROUP.get(device, OTHER_GROUP)
        crew = torch.get_num_threads() if device == "cpu" else 1
        least = max(crew, LEAST_TASKS) if device == "cpu" else 1
        kept = [self._kept_in(one.precision) for one in wanted]
        plans = [
            Plan(slice_, self._changes, *(() if one.cut is None else (one.cut.halo, one.cut.unseen)))
            for slice_, one in zip(kept, wanted, strict=True)
        ]
        tasks = []
        for number, one in enumerate(wanted):
            heads = max(HEADS[kept[number].network.head_of_mean is not None] // size, 1) * size
            # Few positions are shared out, too, and not all come at once: maps appear while they are computed.
            heads = min(heads, max(-(-len(one.numbers) // least), 1))
            # Windows of like size go together; where they grow to the whole map in the end this would win nothing.
            numbers = one.numbers if one.cut is None else sorted(one.numbers, key=self._shape_of)
            tasks += [(number, numbers[n : n + heads]) for n in range(0, len(numbers), heads)]

        def answer(task: tuple[int, Sequence[int]], check: Callable[[], None]) -> np.ndarray:
            number, positions = task
            slice_, plan = kept[number], plans[number]
            ends = [slice_.ends(plan, positions[n : n + size], check) for n in range(0, len(positions), size)]
            return slice_.answers(ends) - slice_.baseline

        for (number, positions), changes in in_crew(tasks, answer, crew, self._work.report.tick):
            yield number, positions, changes

    def _shape_of(self, number: int) -> tuple[int, ...]:
        return self._changes[number].values.shape

    def telling(self, wanted: int) -> list[int]:
        """Numbers of at most so many positions, from where a patch differs most from what it replaces downwards.

        The first ones have the largest changes, in the middle arithmetic errs most: many rows change there by hardly
        less than what is left out. The last tenth touches next to no lung.
        """
        differences = [
            np.linalg.norm(change.values - self._input.untouched[change.rows, change.columns])
            for change in self._changes
        ]
        order = np.argsort(-np.array(differences), kind="stable")
        return [int(order[n]) for n in spread(max(len(order) * 9 // 10, min(wanted, len(order))), wanted)]

    def add(self, number: int, change: np.ndarray) -> None:
        """Adds the change of one position to the sums."""
        window = self.windows[number]
        self._work.sums.add(window.rows, window.columns, window.covers, change)

    @property
    def baseline(self) -> np.ndarray:
        """The network's answer to the untouched slice, in float32."""
        return self._kept_in("fp32").baseline if self.windows else self._network.run(self._input.untouched[None])[0]

    def _kept_in(self, precision: str) -> KeptSlice:
        if precision not in self._kept:
            network = self._network.incremental(precision, self._work.report.tick)
            if precision == "fp32":
                kept = network.keep(self._input.untouched, self._work.report.tick)
            else:
                kept = self._kept_in("fp32").answered_by(network, self._work.report.tick)
            self._network.require_numbers(kept.baseline)
            self._kept[precision] = kept
        return self._kept[precision]


def incremental_heat_maps(work: Work) -> Outcome:
    """An engine: the exact maps, in the arithmetic that the device computes fast."""
    positions = Positions(work)
    probes = Probes(work, positions)
    outcome = Outcome(positions.baseline, probes.precision, True, probes.rounding, probes.checked)
    return _rest(work, positions, probes, outcome)


def preview_heat_maps(work: Work) -> Outcome:
    """An engine: a guarded preview; exact where no halo is good enough."""
    positions = Positions(work)
    probes = Probes(work, positions, always=True)
    cut = Cut(halo_of(work.network.bundle), UNSEEN)
    for _ in range(WIDENINGS + 1 if probes.numbers else 0):
        found = positions.all_changes(probes.numbers, probes.precision, cut)
        difference = float(np.abs(found - probes.answers).max())
        if difference <= PREVIEW_LIMIT * probes.largest:
            # Both differences can add up.
            tolerance = difference + (probes.rounding or 0.0)
            outcome = Outcome(positions.baseline, probes.precision, False, tolerance, len(probes.numbers))
            return _rest(work, positions, probes, outcome, cut)
        cut = cut.less()
    outcome = Outcome(positions.baseline, probes.precision, True, probes.rounding, probes.checked)
    return _rest(work, positions, probes, outcome)


class Probes:
    """A few positions computed exactly before all others, and the arithmetic they show to be good enough.

    Args:
        work, positions: what has to be done.
        always: whether they are wanted where float32 leaves nothing to check, too.

    Attributes:
        numbers, answers: the positions and what they change, ``(n, 3)``.
        largest: the largest change.
        precision: the arithmetic for the other positions.
        rounding: largest difference from float32 in percentage points on ``checked`` positions; None in float32.
    """

    def __init__(self, work: Work, positions: Positions, always: bool = False) -> None:
        self.precision = choose_precision(work.precision, work.network.device)
        self.rounding: float | None = None
        self.checked = 0
        wanted = PROBES if always or self.precision != "fp32" else 0
        self.numbers = positions.telling(wanted)
        if not self.numbers:
            self.answers = np.empty((0, len(positions.baseline)))
            return
        if self.precision == "fp32":
            self.answers = positions.all_changes(self.numbers, self.precision)
            return
        telling = spread(len(self.numbers), CHECKED)
        check = Wanted([self.numbers[n] for n in telling], "fp32", Cut(None, CHECK_UNSEEN))
        exact, self.answers = positions.all_of(check, Wanted(self.numbers, self.precision))
        self.rounding, self.checked = float(np.abs(exact - self.answers[telling]).max()), len(telling)
        if work.precision == "auto" and self.rounding > LIMIT * self.largest:
            self.precision, self.rounding, self.checked = "fp32", None, 0
            self.answers = positions.all_changes(self.numbers, "fp32")

    @property
    def largest(self) -> float:
        """The largest change, in percentage points."""
        return float(np.abs(self.answers).max(initial=0.0))


def halo_of(bundle) -> tuple[int, ...]:
    """The halo of a bundle's previews: calibrated for it (:mod:`.calibration`), or the default.

    Raises:
        ModelError: the bundle states something else than whole numbers of cells.
    """
    stated = bundle.heat_maps.get("preview_halo", DEFAULT_HALO)
    if not isinstance(stated, (list, tuple)) or not stated or not all(type(v) is int and v >= 0 for v in stated):
        raise ModelError(f"heat_maps.preview_halo of the model bundle {bundle.name} is no list of whole numbers.")
    return (*stated, *[stated[-1]] * MOST_STAGES)


def _rest(
    work: Work,
    positions: Positions,
    probes: Probes,
    outcome: Outcome,
    cut: Cut | None = None,
) -> Outcome:
    """Computes all positions that are not done yet; gives the outcome with its tolerance as a share of the maps."""
    for number, change in zip(probes.numbers, probes.answers, strict=True):
        positions.add(number, change)
    known = set(probes.numbers)
    rest = [n for n in range(len(positions)) if n not in known]
    work.report.batch(len(known), len(positions), outcome)
    finished = len(known)
    for task, changes in positions.changes(rest, outcome.precision, cut) if rest else ():
        for number, change in zip(task, changes, strict=True):
            positions.add(number, change)
        finished += len(task)
        work.report.batch(finished, len(positions), outcome)
    return outcome.relative_to(work.sums.means())


def spread(count: int, wanted: int) -> list[int]:
    """``wanted`` of the numbers below ``count``, evenly spread; all of them where there are fewer."""
    return sorted({int(n) for n in np.linspace(0, count - 1, min(wanted, count)).round()}) if count else []
