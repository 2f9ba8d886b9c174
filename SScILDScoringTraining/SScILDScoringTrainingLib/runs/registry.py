"""The run folders that a user knows, kept in one small file across restarts of any program."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.files import write_text

from .locking import locked
from .places import absolute

ENVIRONMENT = "SSCILD_RUNS"
"""Variable that names another file than the one in the user's data folder."""

KINDS = ("training", "folds", "ablation", "architectures", "compare")
"""A single training run, or the kinds of studies, which train several (``sscild crossvalidate``)."""

_FILE = "training_runs.json"
_FORMAT = 1


@dataclass(frozen=True)
class KnownRun:
    """A run folder the user knows.

    Args:
        folder: absolute. kind: one of :data:`KINDS`.
        missing: the folder is not there (removed, renamed, or on a drive that is not connected).
    """

    folder: Path
    kind: str
    missing: bool


class RunRegistry:
    """The list of known run folders. Every call reads the file anew: other programs write it too.

    Args:
        path: the file; None: what the variable SSCILD_RUNS names, else ``training_runs.json`` in the user's data folder
            beside the installed models.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = Path(path) if path is not None else registry_file()
        self.complaint = ""
        """A sentence for people when the file was damaged and set aside; empty otherwise."""

    def runs(self) -> tuple[KnownRun, ...]:
        """The known runs, the one added last first."""
        return tuple(KnownRun(folder, kind, not folder.is_dir()) for folder, kind, _ in reversed(self._read()))

    def kind_of(self, folder: str | Path) -> str | None:
        """The kind of a known run; None when it is not known."""
        wanted = absolute(folder)
        return next((kind for known, kind, _ in self._read() if known == wanted), None)

    def add(self, folder: str | Path, kind: str = "training") -> None:
        """Adds a folder, or makes it the newest. It need not exist yet.

        Raises:
            SettingsError: no such kind, or the list cannot be written.
        """
        if kind not in KINDS:
            raise SettingsError(f"A run is of the kind {', '.join(KINDS)}, not {kind!r}.")
        wanted = absolute(folder)
        self._change(lambda rows: [*(r for r in rows if r[0] != wanted), (wanted, kind, time.time())])

    def forget(self, folder: str | Path) -> None:
        """Takes a folder off the list; nothing happens to the folder itself, or to a process at work there.

        Raises:
            SettingsError: the list cannot be written.
        """
        wanted = absolute(folder)
        self._change(lambda rows: [r for r in rows if r[0] != wanted])

    # ---- the file ------------------------------------------------------------------------------------------------

    def _change(self, change: Callable[[list], list]) -> None:
        with locked(self.path.with_name(f"{self.path.name}.lock")):
            rows = change(self._read(locked_already=True))
            values = [{"folder": str(folder), "kind": kind, "added": added} for folder, kind, added in rows]
            write_text(self.path, json.dumps({"format": _FORMAT, "runs": values}, indent=1) + "\n")

    def _read(self, locked_already: bool = False) -> list[tuple[Path, str, float]]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            text, why = "", str(error)
        else:
            why = "it is no list of runs"
        try:
            values = json.loads(text)
            rows = [(Path(r["folder"]), str(r["kind"]), float(r["added"])) for r in values["runs"]]
        except (ValueError, KeyError, TypeError):
            return self._set_aside(why, locked_already)
        # Kinds that a later version may know are left out here, not refused.
        return [row for row in rows if row[1] in KINDS and row[0].is_absolute()]

    def _set_aside(self, why: str, locked_already: bool) -> list:
        """Renames the damaged file, so that nothing in it is lost; an empty list goes on from here."""
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        if not locked_already:
            with locked(self.path.with_name(f"{self.path.name}.lock")):
                return self._read(locked_already=True)  # perhaps another program has mended it meanwhile
        try:
            self.path.replace(aside)
        except OSError as error:
            raise SettingsError(f"The list of training runs, {self.path}, cannot be read: {why}; {error}.") from error
        self.complaint = (
            f"The list of training runs could not be read ({why}) and was set aside as {aside.name} in {aside.parent}. "
            "The runs themselves are untouched; add their folders again."
        )
        return []


def registry_file() -> Path:
    """The file of the list: SSCILD_RUNS, else in the user's data folder, beside the installed models."""
    given = os.environ.get(ENVIRONMENT, "").strip()
    if given:
        return Path(given).expanduser().absolute()
    from SScILDScoringLib.models.store import user_folder

    return user_folder().parent / _FILE
