"""``sscild models``: the networks on this computer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ModelError
from .terminal import complain, console, say

app = typer.Typer(
    no_args_is_help=True,
    help="Lists, shows, installs, removes and verifies networks (model bundles).\n\n"
    "Example: [bold]sscild models list[/bold]",
)

Name = Annotated[str, typer.Argument(metavar="BUNDLE", help="Name of a bundle, or its folder.")]


@app.command("list")
def list_models() -> None:
    """Lists the networks on this computer; those that are used by default have a star.

    Example: [bold]sscild models list[/bold]
    """
    from rich.table import Table
    from rich.text import Text

    from ..models import default_bundle, list_bundles

    bundles = list_bundles(verify=False)
    if not bundles:
        say("No networks are here. Install one: sscild models install FOLDER")
        return
    used = {bundle.folder for bundle in map(default_bundle, ("l_net", "s_net")) if bundle is not None}
    table = Table(box=None, pad_edge=False)
    for column in ("", "name", "kind", "version", "network", "validated", "place"):
        table.add_column(column, overflow="fold")
    for bundle in bundles:
        star = "*" if bundle.folder.absolute() in used else ""
        validated = bundle.error or ("yes" if bundle.validated else "no")
        row = (star, bundle.name, bundle.kind, bundle.version, bundle.network_name, validated, bundle.place)
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


@app.command("show")
def show(bundle: Name) -> None:
    """Shows what a network is: training data, licences, accuracy, input, checksum.

    Example: [bold]sscild models show starter_scores[/bold]
    """
    from ..models.metadata import KIND_TITLES

    found = _find(bundle)
    metadata = found.metadata
    say(f"{found.name} {found.version}: {KIND_TITLES[found.kind]}")
    say(metadata.description)
    say(f"Notice: {found.notice or 'none'}")
    say(f"Network: {found.network_name} {_in_words(metadata.options)}")
    say(f"Input: {_in_words(metadata.input.to_metadata())}")
    if metadata.heat_maps:
        say(f"Heat maps: {_in_words(metadata.heat_maps)}")
    for source in metadata.training_data:
        say(f"Trained on: {source['name']} ({source['licence']}). {source['citation']}")
    for data, figures in metadata.accuracy.items():
        say(f"Accuracy, {data}: {_in_words(figures) if isinstance(figures, Mapping) else figures}")
    say(f"SHA-256 {found.sha256}")
    say(f"Folder {found.folder}")


@app.command("install")
def install(
    source: Annotated[Path, typer.Argument(metavar="FOLDER|ZIP", help="A bundle's folder, or a zip file of it.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an installed one of the same name.")] = False,
    use: Annotated[bool, typer.Option("--use", help="Use it from now on when no network is named.")] = False,
) -> None:
    """Installs a network for this user, after checking every file of it.

    Example: [bold]sscild models install our_cohort_scores.zip --use[/bold]
    """
    from ..models import install as install_bundle
    from ..models.store import choose_default

    bundle = install_bundle(source, overwrite)
    if use:
        choose_default(bundle.kind, bundle.name)
    say(f"{bundle.name} {bundle.version} is installed in {bundle.folder}" + (" and will be used." if use else "."))
    if bundle.notice:
        say(bundle.notice)


@app.command("use")
def use(
    bundle: Annotated[str | None, typer.Argument(metavar="[BUNDLE]", help="Name of a bundle.")] = None,
    starter: Annotated[bool, typer.Option("--starter", help="Go back to the starter networks.")] = False,
) -> None:
    """Chooses the network that is used when none is named.

    Example: [bold]sscild models use our_cohort_scores[/bold]
    """
    from ..models.store import choose_default

    if starter == (bundle is not None):
        raise ModelError("Name the bundle to use, or give --starter to go back to the starter networks.")
    if starter:
        for kind in ("l_net", "s_net"):
            choose_default(kind, None)
        say("The starter networks will be used.")
        return
    found = _find(bundle)
    choose_default(found.kind, found.name)
    say(f"{found.name} will be used.")


@app.command("remove")
def remove(bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Name of an installed bundle.")]) -> None:
    """Removes a network that was installed.

    Example: [bold]sscild models remove our_cohort_scores[/bold]
    """
    from ..models import remove as remove_bundle

    remove_bundle(bundle)
    say(f"{bundle} is removed.")


@app.command("verify")
def verify(
    bundle: Annotated[
        str | None, typer.Argument(metavar="[BUNDLE]", help="Name or folder; all when not given.")
    ] = None,
) -> None:
    """Compares every file with its checksum and builds the network. Exit code 2 when one is broken.

    Example: [bold]sscild models verify[/bold]
    """
    from ..models import list_bundles
    from ..models.bundle import ModelBundle

    broken = 0
    folders = [_find(bundle).folder] if bundle else [b.folder for b in list_bundles(verify=False)]
    for folder in folders:
        try:
            found = ModelBundle.load(folder)
            found.network()
            say(f"{found.name} {found.version}: whole, SHA-256 {found.sha256}")
        except ModelError as error:
            broken += 1
            complain(f"sscild: {error}")
    if not folders:
        say("No networks are here.")
    if broken:
        raise typer.Exit(2)


def _find(name: str):
    """A bundle of either kind.

    Raises:
        ModelError: there is none of that name, or it is broken.
    """
    from ..models import list_bundles
    from ..models.bundle import ModelBundle
    from ..models.metadata import METADATA

    if (Path(name).expanduser() / METADATA).is_file():
        return ModelBundle.load(Path(name).expanduser())
    entries = list_bundles(verify=False)
    for entry in entries:
        if entry.name == name:
            return entry.load()
    known = ", ".join(dict.fromkeys(entry.name for entry in entries)) or "none"
    raise ModelError(f"There is no model bundle called {name!r} on this computer. There are: {known}.")


def _in_words(values: Mapping) -> str:
    parts = []
    for key, value in values.items():
        text = f"({_in_words(value)})" if isinstance(value, Mapping) else value
        parts.append(f"{str(key).replace('_', ' ')} {text}")
    return ", ".join(parts)
