"""Reads the library's files again, for developers: Slicer's own reload knows only the module's file."""

from __future__ import annotations

import sys

LIBRARY = __name__.split(".")[0]


def reloadLibrary(library: str = LIBRARY) -> None:
    """Forgets every loaded part of the library; the next import reads it again.

    Objects made before keep their old classes: the panel is made anew by Slicer's reload right after this.
    """
    for name in [name for name in sys.modules if name == library or name.startswith(f"{library}.")]:
        del sys.modules[name]
