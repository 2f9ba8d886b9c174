"""The answers to all windows: which network shares what, in which precision, on which cores, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from ..devices import full_float32
from ..heatmaps.incremental.crew import in_crew
from ..heatmaps.precision import computes_bf16, has_bf16_matrix_unit
from ..preprocessing import normalized_patch
from .compact import CompactWindows
from .published import PublishedWindows

BF16_SCATTER = 0.0027
"""How far bf16's differences on the checked windows may lie apart: slices of the resized CT for every window.

What they have in common is taken out again, and a level is the mean of the windows. Of 17 windows they may lie 0.046
slices apart; of such a scatter about a third stays, 0.02 mm where slices are 1.2 mm thick. Fewer windows forgive less.
"""

Tick = Callable[[float, int], None]


@full_float32()
def window_answers(
    network: nn.Module,
    volume: np.ndarray,
    starts: Sequence[int],
    depth: int,
    device: torch.device | str = "cpu",
    precision: str = "auto",
    tick: Tick = lambda done, window: None,
) -> np.ndarray:
    """L-Net's answers on every window, counted from the bottom of the whole CT.

    Args:
        network: the L-Net, in evaluation mode, on ``device``.
        volume: the resized CT, float32 ``(z, y, x)`` in HU, not normalised.
        starts: first slices of the windows.
        depth: slices of a window.
        device: where the network is.
        precision: ``fp32``; ``bf16``, which is used only where the processor can compute it and where it agrees with
            fp32 on the windows that are checked;
            ``auto`` takes bf16 where the processor has matrix units for it.
        tick: called with the share of the work that is done, 0 to 1, and the number of the window that comes next,
            on a CPU every 20 ms; may cancel by raising.

    Returns:
        float64 ``(windows, 5)``, slice numbers of the resized CT.
    """
    place = torch.device(device)
    with torch.inference_mode():
        kind = kind_of(network, volume.shape, depth) if place.type == "cpu" else None
        if kind is not None:
            if precision == "auto":
                # Without a matrix unit the convolutions of these networks are no faster in bf16.
                precision = "bf16" if has_bf16_matrix_unit() else "fp32"
            if precision == "bf16" and not computes_bf16():
                precision = "fp32"
            return _Shared(kind(network, volume, starts, depth), starts, precision, tick).answers()
        answers = np.empty((len(starts), 5))
        for n, start in enumerate(starts):
            tick(n / len(starts), n)
            patch = torch.from_numpy(normalized_patch(volume[start : start + depth]))[None, None].to(place)
            if place.type == "cpu":
                patch = patch.to(memory_format=torch.channels_last_3d)
            answers[n] = start + network(patch)[0].float().cpu().numpy()
        return answers


def kind_of(
    network: nn.Module, shape: Sequence[int], depth: int
) -> type[PublishedWindows] | type[CompactWindows] | None:
    """Who shares the first layers of the windows of a volume of ``shape``; None where nobody knows the network."""
    return next((kind for kind in (PublishedWindows, CompactWindows) if kind.fit(network, shape, depth)), None)


def windows_to_check(count: int) -> list[int]:
    """Numbers of the windows that are computed in both precisions before bf16 is believed, of ``count``."""
    if count < 4:  # checking would cost more than bf16 saves
        return []
    return [0, count - 1] if count < 9 else [0, count // 2, count - 1]


class _Shared:
    """The work on all windows of one CT, shared out among the processor's cores."""

    def __init__(
        self, windows: PublishedWindows | CompactWindows, starts: Sequence[int], precision: str, tick: Tick
    ) -> None:
        self._windows, self._starts, self._tick = windows, starts, tick
        self._checked = windows_to_check(len(starts)) if precision == "bf16" else []
        self._total = windows.shared_cost + len(starts) + len(self._checked)
        self._before, self._answered = 0.0, set()

    def answers(self) -> np.ndarray:
        """What :func:`window_answers` gives."""
        windows, count = self._windows, len(self._starts)
        rounds = windows.rounds
        for parts in rounds:
            self._in_crew(
                parts, lambda part, check: windows.share(part), windows.shared_cost / len(rounds) / len(parts)
            )
        answers, correction = np.empty((count, 5)), np.zeros(5)
        precision, rest = torch.float32, list(range(count))
        if self._checked:
            windows.prepare(torch.bfloat16)
            checked = self._checked
            both = self._run([(n, p) for p in (torch.float32, torch.bfloat16) for n in checked])
            exact = np.array([both[n, torch.float32] for n in checked])
            differences = exact - [both[n, torch.bfloat16] for n in checked]
            answers[checked], rest = exact, [n for n in rest if n not in checked]
            # Rounded weights shift all windows alike: that part is known now and taken out again.
            if np.ptp(differences, axis=0).max() <= BF16_SCATTER * count:
                precision, correction = torch.bfloat16, differences.mean(axis=0)
        for (n, _), answer in self._run([(n, precision) for n in rest]).items():
            answers[n] = answer + correction
        return answers + np.asarray(self._starts, float)[:, None]

    def _run(self, tasks: Sequence[tuple[int, torch.dtype]]) -> dict[tuple[int, torch.dtype], np.ndarray]:
        """The network's answers to windows in precisions, counted from the windows' own bottoms."""

        def note(task: tuple[int, torch.dtype]) -> None:
            self._answered.add(task[0])

        return self._in_crew(tasks, lambda task, check: self._windows.answer(*task, check), 1.0, note)

    def _in_crew(
        self, tasks: Sequence, work: Callable, cost: float, note: Callable[[object], None] = lambda task: None
    ) -> dict:
        """``work(task, check)`` for every task; ``cost`` is a task's share of the whole work in windows.

        ``note`` is given each task that is done, one by one, before the tick that tells of it.
        """
        shares = dict.fromkeys(tasks, 0.0)
        results: dict = {}

        def told() -> None:
            self._tick(
                (self._before + cost * sum(shares.values())) / self._total,
                min(len(self._answered), len(self._starts) - 1),
            )

        def do(task, check: Callable[[], None]):
            def share(done: float) -> None:
                check()
                shares[task] = done

            with torch.inference_mode():  # which is a thread's own
                return work(task, share)

        told()
        for task, result in in_crew(tasks, do, torch.get_num_threads(), told):
            shares[task], results[task] = 1.0, result
            note(task)
            told()
        self._before += cost * len(tasks)
        return results
