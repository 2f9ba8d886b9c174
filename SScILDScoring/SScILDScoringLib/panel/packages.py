"""Which Python packages scoring needs, which are here, and how the others get here. Looks without importing them."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass

from slicer.i18n import tr as _


@dataclass(frozen=True)
class Package:
    """One package.

    Args:
        name: of the distribution, as pip knows it. module: as Python imports it.
        least: lowest version that will do. megabytes: rough size of the download.
        torch: comes through the PyTorch extension, never through pip.
        optional: what it is good for, where scoring works without it.
    """

    name: str
    module: str
    least: str
    megabytes: int
    torch: bool = False
    optional: str = ""

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}>={self.least}"

    @property
    def version(self) -> str | None:
        """The installed version, or None."""
        if importlib.util.find_spec(self.module) is None:
            return None
        try:
            return importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            return "?"

    @property
    def problem(self) -> str:
        """Why it will not do, or an empty text."""
        version = self.version
        if version is None:
            return _("missing")
        if version != "?" and numbers(version) < numbers(self.least):
            return _("too old, {least} or newer is needed").format(least=self.least)
        return ""


PACKAGES = (
    Package("torch", "torch", "2.6", 250, torch=True),
    Package("numpy", "numpy", "2.0", 20),
    Package("SimpleITK", "SimpleITK", "2.4", 50),
    Package("pydicom", "pydicom", "3.0", 3),
    Package("safetensors", "safetensors", "0.4", 1),
    Package("typer", "typer", "0.12", 1),
    Package("rich", "rich", "13", 1),
    Package("jinja2", "jinja2", "3.1", 1),
    Package("pillow", "PIL", "10", 7),
)
"""What ``pip install sscildscoring`` would bring; a test compares the two lists."""


OPTIONAL = (Package("numba", "numba", "0.61", 65, optional=_("faster heat maps")),)
"""What ``pip install sscildscoring[fast]`` would bring on top; the same test compares."""


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (2, 13, 0) of ``2.13.0+cpu``."""
    return tuple(int(number) for number in re.match(r"[\d.]*", version)[0].split(".") if number)


def missing(needed: Sequence[Package] = PACKAGES) -> list[Package]:
    """The packages that are missing or too old."""
    importlib.invalidate_caches()
    return [package for package in needed if package.problem]
