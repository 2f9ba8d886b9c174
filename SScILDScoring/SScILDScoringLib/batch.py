"""Many scans, one after the other: goes on where it stopped, lists what failed, keeps one table of all.

The folder of results holds one folder a case (:mod:`.outputs`), ``scores.csv`` with the five levels of all of them,
``cases.csv`` with one row for each, ``failures.csv`` with every scan that could not be scored and why, and
``batch.json``, from which a batch that was stopped knows what is done. They are written anew after every case, each
complete or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .batch_cases import BatchCase, find_cases, input_state
from .batch_state import FAILURES, SCORES, BatchState
from .errors import Cancelled, SettingsError, SScILDError
from .outputs import check_case_folder, write_case
from .pipeline import BundleChoice, find_model, score_scan
from .progress import Progress, silent
from .results import ModelFacts, ScanResult, plain
from .scan import load_scan

if TYPE_CHECKING:
    from .heatmaps.replacement import HeatMapSettings

_STAGE_ENDS = {
    "read": 0.08,
    "quality": 0.09,
    "lungs": 0.3,
    "landmarks": 0.31,
    "levels": 0.4,
    "scores": 0.45,
    "explanations": 0.47,
    "profile": 0.7,
    "heat_maps": 0.97,
    "report": 1.0,
}
"""How far one case is when a stage ends, roughly; so that the bar over all cases moves within a case."""


@dataclass(frozen=True)
class CaseOutcome:
    """What became of one case.

    Args:
        case: its name.
        state: ``scored`` now, ``finished`` before with the same settings and the same scan, or ``failed``.
        message: the result in one line, or why it failed.
        defect: it failed through a defect of this software.
        seconds: what it took, this time.
    """

    case: str
    state: str
    message: str
    defect: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class BatchReport:
    """What became of a batch.

    Args:
        out: the folder of results.
        outcomes: one for every case, in their order.
        other_settings: cases of earlier batches in the same tables that were scored with other settings.
    """

    out: Path
    outcomes: tuple[CaseOutcome, ...]
    other_settings: tuple[str, ...] = ()

    def of(self, state: str) -> list[CaseOutcome]:
        """The outcomes in one state: ``scored``, ``finished`` or ``failed``."""
        return [o for o in self.outcomes if o.state == state]

    def summary(self) -> str:
        """One sentence."""
        counted = {state: len(self.of(state)) for state in ("scored", "finished", "failed")}
        parts = [f"{counted['scored']} scored"]
        if counted["finished"]:
            parts.append(f"{counted['finished']} finished before (same settings, same scan)")
        if counted["failed"]:
            parts.append(f"{counted['failed']} failed (see {FAILURES})")
        total = len(self.outcomes)
        return f"{total} scan{'s' if total != 1 else ''}: {', '.join(parts)}. Tables: {self.out / SCORES}"


def score_folder(
    folder_or_paths: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    l_net: BundleChoice = None,
    s_net: BundleChoice = None,
    lung_method: str = "3d",
    heat_maps: bool = True,
    heat_map_settings: HeatMapSettings | None = None,
    every_slice: bool = False,
    device: str = "auto",
    overwrite: bool = False,
    also: Sequence[Callable[[ScanResult, Path], None]] = (),
    on_case: Callable[[int, int, CaseOutcome], None] | None = None,
    progress: Progress = silent,
) -> BatchReport:
    """Scores many scans; one that fails does not stop the others.

    A case that was finished before with the same settings (networks, lungs, heat maps, version of this software) from
    the same scan is not scored again; one that failed is tried again. Nothing that identifies a patient is written,
    unless files or folders are named after patients: cases are named after them.

    Args:
        folder_or_paths: a folder of scans, a CSV that lists them, or their paths; see :func:`.batch_cases.find_cases`.
        out: folder for the results; made when needed.
        l_net, s_net, lung_method, heat_maps, heat_map_settings, every_slice, device: as in
            :func:`~.pipeline.score_scan`.
        overwrite: replace results in ``out`` that were made with other settings, from another scan, or not by a batch.
        also: more writers for each case's folder, see :func:`~.outputs.write_case`.
        on_case: called after every case with its number (from 1), the number of all, and what became of it.
        progress: stage ``batch``, over all cases; when it raises Cancelled, everything finished stays.

    Raises:
        SettingsError: nothing to score, a setting that cannot be, or results in the way; before any work.
        TableError, ModelError: an unusable list of scans, an unusable network; before any work.
        Cancelled: by ``progress``.
    """
    from .devices import choose_device

    out = Path(out)
    cases = find_cases(folder_or_paths, leave_out=out)
    choose_device(device)
    options = {
        "l_net": find_model(l_net, "l_net", optional=True) or False,
        "s_net": find_model(s_net, "s_net"),
        "lung_method": lung_method,
        "heat_maps": heat_maps,
        "heat_map_settings": heat_map_settings,
        "every_slice": every_slice,
    }
    state = BatchState(out, _settings(options), {case.name for case in cases})
    todo = _checked(cases, state, overwrite)
    outcomes: list[CaseOutcome] = []
    try:
        for number, case in enumerate(cases, start=1):
            if case.name not in todo:
                outcome = CaseOutcome(case.name, "finished", state.results[case.name].summary())
            else:
                part = _CaseProgress(progress, number, len(cases), case.name)
                outcome = _score_case(case, state, todo[case.name], {**options, "device": device}, also, part)
            outcomes.append(outcome)
            if on_case is not None:
                on_case(number, len(cases), outcome)
    finally:
        state.write()
    progress("batch", 1.0, f"{len(cases)} scans done")
    return BatchReport(out, tuple(outcomes), state.other_settings())


def _score_case(
    case: BatchCase, state: BatchState, digest: str, options: dict, also: Sequence[Callable], progress: Progress
) -> CaseOutcome:
    started = time.perf_counter()
    defect = False
    try:
        digest = digest or input_state(case.path)
        scan = load_scan(case.path, progress=progress)
        reading = time.perf_counter() - started
        result = score_scan(scan, case=case.name, fvc_percent=case.fvc_percent, progress=progress, **options)
        spent = {**result.seconds, "read": reading, "total": result.seconds["total"] + reading}
        result = replace(result, seconds=spent)
        write_case(result, state.out, overwrite=True, also=also, progress=progress)
    except Cancelled:
        raise
    except SScILDError as error:
        message = str(error)
    except OSError as error:
        message = f"The scan cannot be read: {error.strerror or error}."
    except MemoryError:
        message = "This computer's memory is not enough; close other programs, or use a larger one."
    except Exception as error:
        defect = True
        message = f"This should not have happened ({type(error).__name__}: {str(error)[:300]}); please report it."
    else:
        seconds = time.perf_counter() - started
        state.scored(case, digest, result, seconds)
        return CaseOutcome(case.name, "scored", result.summary(), seconds=seconds)
    seconds = time.perf_counter() - started
    state.failed(case.name, message, defect)
    return CaseOutcome(case.name, "failed", message, defect, seconds)


def _checked(cases: Sequence[BatchCase], state: BatchState, overwrite: bool) -> dict[str, str]:
    """The cases that are to be scored, with the state of their input ("" where it is not to be had).

    Raises:
        SettingsError: results are in the way of a case.
    """
    todo: dict[str, str] = {}
    in_the_way: list[str] = []
    for case in cases:
        try:
            digest = input_state(case.path)
        except OSError:
            digest = ""  # scoring will say what is wrong
        if digest and state.is_finished(case, digest):
            continue
        folder = state.out / case.name
        if folder.is_dir() and any(folder.iterdir()) and not overwrite:
            in_the_way.append(case.name)
        else:
            check_case_folder(state.out, case.name, overwrite=True)
        todo[case.name] = digest
    if in_the_way:
        named = ", ".join(in_the_way[:3]) + (f" and {len(in_the_way) - 3} more" if len(in_the_way) > 3 else "")
        raise SettingsError(
            f"{state.out} holds results of {named} that were made with other settings, from another scan, or one by "
            "one. Choose another folder, or add --overwrite (overwrite=True) to score these again."
        )
    return todo


def _settings(options: Mapping) -> dict:
    """What decides about the numbers, as plain values. The device does not."""
    from . import __version__

    models = [vars(ModelFacts.of(b)) for b in (options["l_net"], options["s_net"]) if b]
    maps = options["heat_map_settings"]
    return plain(
        {
            "software": __version__,
            "models": [{name: m[name] for name in ("kind", "name", "version", "sha256")} for m in models],
            "lungs": options["lung_method"],
            "heat_maps": options["heat_maps"],
            "heat_map_settings": maps.to_dict() if maps is not None else None,
            "every_slice": options["every_slice"],
        }
    )


class _CaseProgress:
    """Tells the progress of one case as that of all."""

    def __init__(self, progress: Progress, number: int, total: int, name: str) -> None:
        self._progress, self._number, self._total, self._name = progress, number, total, name
        self._start = self._end = 0.0

    def __call__(self, stage: str, fraction: float, message: str) -> None:
        end = _STAGE_ENDS.get(stage, self._end)
        if end > self._end:
            self._start, self._end = self._end, end
        within = self._start + (self._end - self._start) * min(max(fraction, 0.0), 1.0)
        done = (self._number - 1 + within) / self._total
        self._progress("batch", done, f"{self._number} of {self._total}, {self._name}: {message}")
