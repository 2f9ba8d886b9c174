"""Getting missing packages: PyTorch through its extension, the rest through Slicer's pip, after one question."""

from __future__ import annotations

import importlib.metadata
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import CalledProcessError

import slicer
from slicer.i18n import tr as _

from ..errors import SScILDError
from .packages import Package

log = logging.getLogger(__name__)

TORCH_EXTENSION = "PyTorch"


class InstallError(SScILDError):
    """Something that scoring needs could not be installed."""


def question(missing: Sequence[Package]) -> str:
    """What is asked before anything is downloaded: every package with its size."""
    lines = [_("{name} (about {size} MB)").format(name=p.requirement, size=p.megabytes) for p in missing]
    lines = [f"{line}: {p.optional}" if p.optional else line for line, p in zip(lines, missing, strict=True)]
    size = sum(p.megabytes for p in missing)
    if any(p.torch for p in missing):
        lines.append(_("PyTorch comes through Slicer's extension PyTorch; with an NVIDIA card it is up to 3000 MB."))
    head = _("The following is downloaded and installed into Slicer, about {size} MB in all:").format(size=size)
    return "\n".join([head, "", *lines, "", _("Go on?")])


def installMissing(missing: Sequence[Package]) -> str:
    """Asks, then installs ``missing``.

    Returns:
        A sentence about what was done.

    Raises:
        InstallError: the PyTorch extension or PyTorch could not be installed.
        RuntimeError, CalledProcessError: by ``slicer.packaging``.
    """
    if not missing:
        return _("Everything is installed already.")
    if not slicer.util.confirmOkCancelDisplay(question(missing), windowTitle=_("Install software")):
        return _("Nothing was installed.")
    if any(package.torch for package in missing):
        sentence = _installTorch(next(package for package in missing if package.torch))
        if sentence:
            return sentence
    others = [package.requirement for package in missing if not package.torch and not package.optional]
    if others:
        from slicer import packaging

        packaging.pip_install(others, requester="SScILDScoring")
    for package in missing:
        if package.optional and not _installedBesides(package):
            return _("The software is installed, but not {name} ({use}); scoring works without it.").format(
                name=package.name, use=package.optional
            )
    return _("The software is installed.")


def _installTorch(package: Package) -> str:
    """Installs PyTorch; returns a sentence when that is all that can be done now, else an empty text."""
    try:
        import PyTorchUtils
    except ImportError:
        manager = slicer.app.extensionsManagerModel()
        manager.interactive = False
        if not manager.installExtensionFromServer(TORCH_EXTENSION, False):
            raise InstallError(
                _("The extension PyTorch could not be installed. Install it in the Extensions Manager, then try again.")
            ) from None
        return _("The extension PyTorch is installed. Restart Slicer, then press Install again for the rest.")
    torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
        askConfirmation=False, torchVersionRequirement=f">={package.least}"
    )
    if torch is None:
        raise InstallError(_("PyTorch was not installed. Use the module PyTorch Util to choose a version."))
    return ""


def _installedBesides(package: Package) -> bool:
    """Whether something optional could be installed without touching Slicer's own numpy."""
    from slicer import packaging

    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(f"numpy=={importlib.metadata.version('numpy')}\n", encoding="utf-8")
        try:
            packaging.pip_install([package.requirement], constraints=str(constraints), requester="SScILDScoring")
        except (RuntimeError, CalledProcessError) as error:
            log.warning("%s could not be installed: %s", package.requirement, error)
            return False
    return True
