"""``sscild phantom``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .terminal import say, shown_progress

_HELP = """Makes synthetic chest CTs with exact levels, masks and scores, and the table of the cohort.

Useful to try the software, to test it, and to train the starter networks. The same seed makes the same
voxels. A run that was stopped goes on where it stopped when it is started again.

Example: [bold]sscild phantom -n 20 -o phantoms --seed 1[/bold]
"""


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("phantom", help=_HELP)(phantom)


def phantom(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the phantoms.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 1,
    dicom: Annotated[bool, typer.Option("--dicom", help="Write DICOM series instead of NIfTI.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """See ``_HELP``."""
    from ..phantom.writing import write_cohort

    with shown_progress(quiet) as progress:
        table = write_cohort(output, count=number, seed=seed, dicom=dicom, progress=progress)
    say(f"{number} phantom{'s' if number > 1 else ''} written to {output}; the table is {table}.")
