"""The runs of the list with how each is getting on, read from their folders as seldom as will do."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from ..run_status import RunStatus, read_status
from ..runs import KnownRun, RunRegistry, is_starting, start_error
from ..runs.presets import recipe_in

QUIET_S = 15.0
"""Runs that nobody works on are looked at again after so long: another computer may have gone on with one."""


@dataclass(frozen=True)
class RunFacts:
    """One run of the list.

    Args:
        known: its folder and kind. status: as the process writes it; None before it did.
        starting: its process was started and has said nothing yet. startError: why it died before it said anything.
        recipe: ``levels`` or ``scores``; empty when not known (yet).
    """

    known: KnownRun
    status: RunStatus | None = None
    starting: bool = False
    startError: str = ""
    recipe: str = ""

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.known.folder

    @property
    def kind(self) -> str:
        """``training``, or the kind of study."""
        return self.known.kind

    @property
    def atWork(self) -> bool:
        """Whether a process is busy with it, pausing in it, or just starting."""
        return self.starting or (self.status is not None and self.status.at_work)

    @property
    def finished(self) -> bool:
        """Whether it ended as it was meant to."""
        return self.status is not None and self.status.state == "finished"


class KnownRuns:
    """The list, newest first.

    Args:
        registry: where the folders are kept.
    """

    def __init__(self, registry: RunRegistry) -> None:
        self.registry = registry
        self.runs: tuple[RunFacts, ...] = ()
        self._read: dict[Path, float] = {}

    def of(self, folder: Path | None) -> RunFacts | None:
        """The run in ``folder``, or None."""
        return next((run for run in self.runs if run.folder == folder), None)

    def look(self, *chosen: Path | None, everything: bool = False) -> bool:
        """Reads the list and the states of runs at work, and of ``chosen`` ones; of the others now and then.

        Returns:
            Whether anything changed.
        """
        now = time.monotonic()
        former = {run.folder: run for run in self.runs}
        found = []
        for known in self.registry.runs():
            old = former.get(known.folder)
            quiet = old is not None and not old.atWork and known.folder not in chosen and old.known == known
            if quiet and not everything and now - self._read.get(known.folder, 0.0) < QUIET_S:
                found.append(old)
                continue
            self._read[known.folder] = now
            found.append(_facts(known))
        runs, self.runs = self.runs, tuple(found)
        return runs != self.runs


def _facts(known: KnownRun) -> RunFacts:
    if known.missing:
        return RunFacts(known)
    try:
        starting = is_starting(known.folder)
        error = "" if starting else start_error(known.folder)
        return RunFacts(
            known, read_status(known.folder), starting, error, recipe_in(known.folder / "config.yaml") or ""
        )
    except OSError:  # a drive that went away, or a folder that may not be read
        return RunFacts(replace(known, missing=True))
