"""``sscild doctor``."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.text import Text

from .terminal import console

_HELP = """Tells whether everything is here and well: versions, device, memory, networks, DICOM decoders, folders.

Exit code 0 when scoring will work, 1 when something must be mended first.

Example: [bold]sscild doctor[/bold]
"""
_MARKS = {"ok": ("✔", "green"), "warning": ("▲", "yellow"), "problem": ("✖", "bold red")}


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor", help=_HELP)(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Write JSON for programs.")] = False) -> None:
    """See ``_HELP``."""
    from .doctor import examine

    checks = examine()
    problems = sum(c.state == "problem" for c in checks)
    if as_json:
        typer.echo(json.dumps({"well": problems == 0, "checks": [c.to_dict() for c in checks]}, indent=2))
    else:
        out = console()
        for check in checks:
            mark, style = _MARKS[check.state]
            out.print(Text.assemble((f"{mark} {check.state:<8}", style), (f"{check.name}: ", "bold"), check.message))
            if check.advice:
                out.print(Text(f"           {check.advice}", style=style))
        warnings = sum(c.state == "warning" for c in checks)
        if problems:
            out.print(
                Text(f"{problems} problem{'s' if problems > 1 else ''} to mend before scoring.", style="bold red")
            )
        else:
            out.print(Text("All is well." if not warnings else "Scoring will work.", style="bold green"))
    if problems:
        raise typer.Exit(1)
