"""``sscild worker``: for programs, not for people; see :mod:`SScILDScoringLib.worker`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_HELP = """Scores for another program, which sends requests as JSON lines. 3D Slicer starts it; nobody does by hand.

Example: sscild worker --folder DIR, where DIR is the private folder that the other program made.
"""


def add_to(app: typer.Typer) -> None:
    """Adds the command; it is not shown in the list of commands."""
    app.command("worker", help=_HELP, hidden=True)(worker)


def worker(
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="The other program's private folder.")],
) -> None:
    """See ``_HELP``."""
    from ..worker.server import main

    raise typer.Exit(main(["--folder", str(folder)]))
