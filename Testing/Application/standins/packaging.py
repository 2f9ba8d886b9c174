"""``slicer.packaging``: Python packages for a module. Small, but the questions and refusals are Slicer's.

``pip`` is run through ``PythonSlicer``, which must be on PATH (the fixture ``pythonSlicer`` puts one there that only
writes down what pip was asked).
"""

from __future__ import annotations

import importlib.metadata
import logging
import shlex
from pathlib import Path

import slicer.util
from packaging.requirements import InvalidRequirement, Requirement
from slicer.i18n import tr as _


def load_requirements(path) -> list[Requirement]:
    """The requirements in a requirements.txt file.

    Lines with comments, options or nothing are passed over; a comment behind a requirement is an error, as in Slicer.
    """
    lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def _asRequirements(given) -> list[Requirement]:
    if isinstance(given, str):
        try:
            return [Requirement(given)]  # one, perhaps with a marker
        except InvalidRequirement:
            return [Requirement(part) for part in given.split()]
    if isinstance(given, Requirement):
        return [given]
    if isinstance(given, list):
        return [Requirement(item) if isinstance(item, str) else item for item in given]
    raise TypeError(f"a requirement is a text, a Requirement or a list of them, not a {type(given).__name__}")


def pip_check(req, _seen=None) -> bool:
    """Whether every requirement is installed in a version that fits. Markers count; extras are followed one step."""
    for one in _asRequirements(req):
        if one.marker is not None and not one.marker.evaluate():
            continue
        try:
            installed = importlib.metadata.version(one.name)
        except importlib.metadata.PackageNotFoundError:
            return False
        if not one.specifier.contains(installed):
            return False
    return True


def isPipInstallInProgress() -> bool:
    """Never: installing blocks here."""
    return False


def pip_install(requirements, constraints=None, no_deps_requirements=None, skip_packages=None, **unused) -> None:
    """Run pip in Slicer's Python; subprocess.CalledProcessError when it fails."""
    for wanted, more in ((no_deps_requirements, ["--no-deps"]), (requirements, [])):
        if wanted is None:
            continue
        if not isinstance(wanted, str | list):
            raise ValueError("pip_install takes a string or a list of strings")
        arguments = ["install", *(shlex.split(wanted) if isinstance(wanted, str) else wanted), *more]
        if constraints is not None:
            arguments += ["-c", str(constraints)]
        slicer.util.executePythonModule("pip", arguments)


def pip_ensure(
    requirements,
    constraints=None,
    skip_packages=None,
    prompt_install=True,
    prompt_restart=True,
    requester=None,
    skip_in_testing=True,
    show_progress=True,
) -> None:
    """Install what is missing after asking; RuntimeError when the person declines. Skipped under testing."""
    missing = [str(one) for one in _asRequirements(requirements) if not pip_check(one)]
    if not missing:
        return
    if skip_in_testing and slicer.app.testingEnabled():
        logging.info("Testing: %s would be installed", ", ".join(missing))
        return
    if prompt_install:
        title = _("Install Python Packages") if not requester else f"{requester} - " + _("Install Python Packages")
        question = _("{count} Python packages need to be installed.").format(count=len(missing))
        if not slicer.util.confirmOkCancelDisplay(question, title, detailedText="\n".join(missing)):
            raise RuntimeError("User declined package installation")
    pip_install(missing, constraints=constraints)


def pip_uninstall(requirements, **unused) -> None:
    """Run pip uninstall in Slicer's Python."""
    wanted = shlex.split(requirements) if isinstance(requirements, str) else list(requirements)
    slicer.util.executePythonModule("pip", ["uninstall", *wanted, "--yes"])
