"""Starts trainings and studies in processes of their own, which live on when the program that started them ends.

A started run is steered and looked at as any other: :func:`..run_status.read_status`, :func:`..run_status.request`.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from SScILDScoringLib.errors import SettingsError

from ..run_status import read_status
from .locking import locked
from .looking import CONSOLE, last_words
from .places import PLAN, absolute, holds_run, place_of_paths
from .presets import preset_named, recipe_in
from .registry import RunRegistry
from .start_record import FILE, is_starting, now, read_record, record_of

LIBRARY = Path(__file__).resolve().parents[2]
"""The folder that holds the training library."""
MODULE = "SScILDScoringTrainingLib.cli"
LOCK = ".start.lock"

_COMMANDS = {"folds": "run", "ablation": "ablation", "architectures": "architectures", "compare": "compare"}
_KEPT_OPTIONS = ("--parallel", "--bootstrap")
"""Options of a study that do not change what it trains, and hold for its resumption too."""

_started: list[subprocess.Popen] = []
"""Processes this program started: asked after now and then, so that ended ones do not stay in the process table."""

Python = Sequence[str] | None
Environment = Mapping[str, str | None] | None


def start_training(
    config: str | Path | None,
    folder: str | Path,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    python: Python = None,
    environment: Environment = None,
) -> int:
    """Starts ``sscild train`` in ``folder`` and returns the number of the process; it does not wait.

    Standard output and error go to ``FOLDER/console.txt``. Relative paths in the configuration count from the folder
    that the run folder lies in. The folder is added to the registry of runs.

    Args:
        config: preset or configuration file; not used with ``resume``, where that of the run folder is taken.
        overrides: ``key=value`` as for ``--set``.
        resume: go on with the run in ``folder``; one that has no checkpoint yet begins anew.
        python: interpreter with its arguments; :func:`SScILDScoringLib.worker.environment.worker_python` when None.
        environment: variables to add or (None) remove, for presets that name folders by variables.

    Raises:
        SettingsError: a process is at work there, the folder holds a run (and not ``resume``), holds none (and
            ``resume``) or something else, or cannot be written; or the process cannot be started.
    """
    folder = absolute(folder)
    if resume:
        config, arguments = _config_to_resume(folder, overrides)
        place = place_of_paths(folder)
    else:
        config, arguments = _config_to_start(config), []
        place = folder.parent
    recipe = _recipe(config)
    command = ["train", recipe, str(config), "-o", str(folder), *arguments, *_set(overrides)]
    asked = {"config": str(config), "overrides": list(overrides), "options": []}
    with _claimed(folder, resume):
        return _start("training", command, folder, place, asked, python, environment)


def start_study(
    kind: str,
    config: str | Path | None,
    folder: str | Path,
    *,
    overrides: Sequence[str] = (),
    options: Sequence[str] = (),
    resume: bool = False,
    python: Python = None,
    environment: Environment = None,
) -> int:
    """Starts ``sscild crossvalidate ...`` in ``folder``; as :func:`start_training`.

    Args:
        kind: ``folds`` (``crossvalidate run``), ``ablation``, ``architectures`` or ``compare``.
        config: preset, configuration or study file; not used with ``resume``, where the study's own plan is taken.
        options: further arguments of the command: ``("--folds", "4", "--parallel", "2")``.

    Raises:
        SettingsError: as :func:`start_training`; or no such kind.
    """
    if kind not in _COMMANDS:
        raise SettingsError(f"A study is one of {', '.join(_COMMANDS)}, not {kind!r}.")
    folder = absolute(folder)
    if resume:
        command, asked = _study_to_resume(folder, kind, options)
    else:
        config = _config_to_start(config)
        asked = {"config": str(config), "overrides": list(overrides), "options": list(options)}
        command = ["crossvalidate", _COMMANDS[kind], str(config), "-o", str(folder), *options, *_set(overrides)]
    with _claimed(folder, resume):
        return _start(kind, command, folder, folder.parent, asked, python, environment)


def start_error(folder: str | Path) -> str:
    """Why the process that was started there last ended before it wrote a status; empty when it did not.

    The last words on its console, a traceback cut away. What goes wrong later stands in the run's status.
    """
    _reap()
    record = read_record(folder)
    if record is None or record.alive or not record.silent(read_status(folder)):
        return ""
    lines = last_words(Path(folder) / CONSOLE)
    missing = next((line for line in reversed(lines) if line.startswith("ModuleNotFoundError: ")), None)
    if missing:
        name = missing.rpartition("named ")[2].strip("'\"")
        return f"The Python package {name} is missing: install the software that training needs, and start again."
    said = next((line.removeprefix("sscild: ") for line in reversed(lines) if line.startswith("sscild: ")), None)
    if said:
        return said
    if not lines:
        return "The process ended without a word; was it ended from outside, or is this computer short of memory?"
    return f"The process ended before the training began. Its last words: {lines[-1]}"


# ---- what is allowed -------------------------------------------------------------------------------------------------


@contextmanager
def _claimed(folder: Path, resume: bool) -> Iterator[None]:
    """Holds the lock on starting something in ``folder``, which exists then and may be used: two panels may press
    their buttons at once.

    Raises:
        SettingsError: it may not be used.
    """
    _reap()
    if not resume and not (folder / LOCK).exists():
        _must_be_free(folder)  # before the lock makes the folder
    elif not folder.is_dir():
        raise SettingsError(f"There is no run to go on with in {folder}: the folder is not there.")
    with locked(folder / LOCK):
        if not resume:
            _must_be_free(folder)
        _must_be_idle(folder)
        yield


def _must_be_idle(folder: Path) -> None:
    status = read_status(folder)
    if status is not None and status.at_work:
        raise SettingsError(f"Process {status.pid} on {status.host} is at work in {folder} already.")
    if is_starting(folder):
        raise SettingsError(f"A process is starting in {folder} already.")


def _must_be_free(folder: Path) -> None:
    _must_be_idle(folder)
    if holds_run(folder):
        raise SettingsError(f"{folder} holds a run. Resume it, or choose another folder.")
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is a file; choose a folder.")
    known = (FILE, "status.json", "environment.json")  # of an earlier start that came to nothing
    if folder.is_dir() and not any((folder / name).exists() for name in known):
        others = [path.name for path in folder.iterdir() if path.name != LOCK]
        if others:
            raise SettingsError(f"{folder} holds other files ({others[0]} ...); choose a new or an empty folder.")


# ---- what is to be done ----------------------------------------------------------------------------------------------


def _config_to_start(config: str | Path | None) -> str | Path:
    """A file by its whole path, or the name of a preset."""
    if config is None:
        raise SettingsError("Choose a preset or a configuration file.")
    path = Path(config).expanduser()
    return path.absolute() if path.is_file() else preset_named(str(config)).name


def _config_to_resume(folder: Path, overrides: Sequence[str]) -> tuple[Path, list[str]]:
    config = folder / "config.yaml"
    if not config.is_file() or (folder / PLAN).is_file():
        raise SettingsError(f"{folder} holds no training run to go on with: it has no config.yaml of one.")
    status = read_status(folder)
    if status is not None and status.state == "finished" and not overrides:
        raise SettingsError(f"The training in {folder} is finished; there is nothing left to do.")
    return config, ["--resume"] if holds_run(folder) else []


def _recipe(config: str | Path) -> str:
    recipe = recipe_in(config) if isinstance(config, Path) else preset_named(config).recipe
    if recipe not in ("levels", "scores"):
        raise SettingsError(f"{config} is no configuration of a training: its key recipe is levels or scores.")
    return recipe


def _study_to_resume(folder: Path, kind: str, options: Sequence[str]) -> tuple[list[str], dict]:
    """By its plan; one that ended before it had a plan is started as it was started before."""
    record = read_record(folder)
    former = dict(record.asked) if record is not None and record.kind == kind else {}
    if (folder / PLAN).is_file():
        kept = [*options] or _only(former.get("options", []), _KEPT_OPTIONS)
        return ["crossvalidate", "resume", str(folder), *kept], {**former, "options": kept}
    if not former:
        raise SettingsError(f"{folder} holds no cross-validation to go on with: it has no {PLAN}.")
    start = ["crossvalidate", _COMMANDS[kind], former["config"], "-o", str(folder)]
    return [*start, *former["options"], *_set(former["overrides"])], former


def _only(options: Sequence[str], names: Sequence[str]) -> list[str]:
    """The options of these names with their values, out of a list of arguments."""
    return [part for name, value in itertools.pairwise(options) if name in names for part in (name, value)]


def _set(overrides: Sequence[str]) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]


# ---- the process -----------------------------------------------------------------------------------------------------


def _start(
    kind: str,
    arguments: Sequence[str],
    folder: Path,
    place: Path,
    asked: Mapping,
    python: Python,
    environment: Environment,
) -> int:
    from SScILDScoringLib.worker.environment import worker_environment, worker_python

    command = [*(python or worker_python()), "-m", MODULE, *arguments]
    registry = RunRegistry()
    known = registry.kind_of(folder)
    registry.add(folder, kind)  # first: a process that nobody knows of would be worse than a line too many
    started = now()
    try:
        with (folder / CONSOLE).open("wb") as console:
            process = subprocess.Popen(  # noqa: S603 - no shell, and a command that the program made itself
                command,
                cwd=place,
                env=worker_environment(environment, LIBRARY),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                **_detached(),
            )
    except OSError as error:
        if known is None:
            registry.forget(folder)
        raise SettingsError(f"The training cannot be started with {command[0]}: {error.strerror or error}.") from error
    _started.append(process)
    record_of(kind, asked, process.pid, started).write(folder)
    return process.pid


def _detached() -> dict:
    """Arguments with which a process outlives its starter, its terminal and its signals."""
    if os.name == "posix":
        return {"start_new_session": True}
    flags = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")  # pragma: no cover - Windows
    return {"creationflags": sum(getattr(subprocess, name, 0) for name in flags)}


def _reap() -> None:
    _started[:] = [process for process in _started if process.poll() is None]
