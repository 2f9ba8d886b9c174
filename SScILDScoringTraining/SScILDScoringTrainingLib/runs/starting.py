"""Starts trainings and studies in processes of their own, which live on when the program that started them ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def start_training(
    config: str | Path | None,
    folder: str | Path,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    python: Sequence[str] | None = None,
    environment: Mapping[str, str | None] | None = None,
) -> int:
    """Starts ``sscild train`` in ``folder`` and returns the number of the process; it does not wait.

    Standard output and error go to ``FOLDER/console.txt``. Relative paths in the configuration count from the folder
    that the run folder lies in. The folder is added to the registry of runs.

    Args:
        config: preset or configuration file; ignored with ``resume``, where that of the run folder is taken.
        overrides: ``key=value`` as for ``--set``. resume: go on with the run in ``folder``.
        python: interpreter with its arguments; :func:`SScILDScoringLib.worker.environment.worker_python` when None.
        environment: variables to add or (None) remove, for presets that name folders by variables.

    Raises:
        SettingsError: a process is at work there, the folder holds a run (and not ``resume``), holds none (and
            ``resume``), or cannot be written; or the process cannot be started.
    """
    raise NotImplementedError


def start_study(
    kind: str,
    config: str | Path | None,
    folder: str | Path,
    *,
    overrides: Sequence[str] = (),
    options: Sequence[str] = (),
    resume: bool = False,
    python: Sequence[str] | None = None,
    environment: Mapping[str, str | None] | None = None,
) -> int:
    """Starts ``sscild crossvalidate ...`` in ``folder``; as :func:`start_training`.

    Args:
        kind: ``folds`` (``crossvalidate run``), ``ablation``, ``architectures`` or ``compare``.
        config: preset, configuration or study file; ignored with ``resume``, where the folder's own plan is taken.
        options: further arguments of the command: ``("--folds", "4", "--parallel", "2")``.

    Raises:
        SettingsError: as :func:`start_training`; or no such kind.
    """
    raise NotImplementedError


def is_starting(folder: str | Path) -> bool:
    """Whether a process was started there that lives and has not written its status yet (it is loading libraries)."""
    raise NotImplementedError


def start_error(folder: str | Path) -> str:
    """Why a process that was started there ended before it wrote a status; empty when it did not.

    The last words on its console, a traceback cut away.
    """
    raise NotImplementedError


def kill(folder: str | Path) -> None:
    """The last resort: ends the process at work in ``folder`` and its children at once, without a checkpoint.

    Only the very process that the run's status names is ended, never a later one of its number.

    Raises:
        SettingsError: no process is at work there, or it runs on another computer.
    """
    raise NotImplementedError
