"""``sscild models``: the networks on this computer."""

from __future__ import annotations

import typer

from .cli_terminal import console, say

app = typer.Typer(
    no_args_is_help=True,
    help="Lists, shows, installs, removes and verifies networks (model bundles).\n\n"
    "Example: [bold]sscild models list[/bold]",
)


@app.command("list")
def list_models() -> None:
    """Lists the networks on this computer. Example: [bold]sscild models list[/bold]"""
    from rich.table import Table
    from rich.text import Text

    from .models import list_bundles

    bundles = list_bundles()
    if not bundles:
        say("No networks are here. Install one with: sscild models install FOLDER")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "kind", "version", "network", "validated", "place"):
        table.add_column(column, overflow="fold")
    for bundle in bundles:
        row = (bundle.name, bundle.kind, str(bundle.version), bundle.network_name, "yes" if bundle.validated else "no")
        table.add_row(*(Text(str(cell)) for cell in (*row, bundle.folder)))
    console().print(table)
