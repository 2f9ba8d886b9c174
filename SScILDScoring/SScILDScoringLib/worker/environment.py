"""Which Python a worker runs on, and with which variables."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from .protocol import WorkerError

LIBRARY = Path(__file__).resolve().parents[2]
"""The folder that holds this package; the worker must find the same one."""

NOT_INHERITED = (
    *("PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONINTERACTIVE", "PYTHONDEBUG", "PYTHONVERBOSE", "PYTHONOPTIMIZE"),
    *("PYTHONBREAKPOINT", "PYTHONPROFILEIMPORTTIME", "PYTHONDUMPREFS", "PYTHONMALLOCSTATS", "PYTHONCASEOK"),
)
"""Variables that would make the worker stop, chatter, or behave unlike the program that started it."""


def worker_python() -> list[str]:
    """The interpreter for a worker: PythonSlicer inside Slicer, else the one that runs now.

    Raises:
        WorkerError: inside Slicer, when its Python is not to be found.
    """
    application = getattr(sys.modules.get("slicer"), "app", None)  # only looked at: this layer never imports slicer
    if application is not None:
        found = shutil.which("PythonSlicer")
        if found:
            return [found]
    if not Path(sys.executable or "").stem.lower().startswith(("python", "pypy")):
        raise WorkerError(
            "Slicer's own Python (PythonSlicer) was not found beside the application; install Slicer again."
        )
    return [sys.executable]


def worker_environment(changes: Mapping[str, str | None] | None = None, library: Path | None = None) -> dict[str, str]:
    """All variables of a worker: those of this process without :data:`NOT_INHERITED`, and what a worker needs.

    Args:
        changes: variables to add or replace; None removes one.
        library: the folder of one more package that the worker must find.
    """
    environment = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    own = list(dict.fromkeys([LIBRARY] if library is None else [LIBRARY, library]))
    former = [p for p in environment.get("PYTHONPATH", "").split(os.pathsep) if p and Path(p) not in own]
    environment["PYTHONPATH"] = os.pathsep.join([*map(str, own), *former])
    environment["PYTHONSAFEPATH"] = "1"  # nothing is imported from the folder it happens to run in
    environment["PYTHONUTF8"] = "1"
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
    for name, value in (changes or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = str(value)
    return environment
