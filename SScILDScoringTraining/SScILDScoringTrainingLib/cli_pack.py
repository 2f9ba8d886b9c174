"""``sscild models pack`` (also ``sscild pack``): from a training run to a model bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.commands.models import app as models
from SScILDScoringLib.commands.terminal import say, shown_progress
from SScILDScoringLib.errors import SettingsError

THRESHOLD_SLICES = 24


def add_to(app: typer.Typer) -> None:
    """Adds the command under both names."""
    models.command("pack")(pack)
    app.command("pack", help="The same as: sscild models pack.")(pack)


def pack(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a training run.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="BUNDLE", help="Folder of the bundle; RUN/bundle if not given."),
    ] = None,
    accuracy: Annotated[
        list[Path] | None, typer.Option("--accuracy", help="Figures of sscild evaluate (JSON) for the model card.")
    ] = None,
    thresholds: Annotated[
        int | None,
        typer.Option(
            "--thresholds",
            min=0,
            help=f"S-Net: choose heat-map thresholds on so many validation slices (0: none). "
            f"Default {THRESHOLD_SLICES}, where the validation slices have lung masks.",
        ),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Take the weights at the end, not the best ones.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
) -> None:
    """Makes a model bundle of a training run's best checkpoint, with model card, healthy patch and thresholds.

    Example: [bold]sscild models pack runs/s_net -o my_bundle[/bold]
    """
    from .evaluation import read_accuracy
    from .packing import pack_run
    from .runfolder import RunFolder

    figures = {key: value for path in accuracy or [] for key, value in read_accuracy(path).items()}
    folder = output or run_folder / "bundle"
    wanted = thresholds
    if wanted is None:
        wanted = THRESHOLD_SLICES if RunFolder(run_folder).config().get("recipe") == "scores" else 0
    settings = {"accuracy": figures, "last": last, "overwrite": overwrite}
    with shown_progress(quiet) as progress:
        try:
            bundle = pack_run(run_folder, folder, threshold_slices=wanted, progress=progress, **settings)
        except SettingsError as error:
            if thresholds is not None or "lung masks" not in str(error):
                raise
            say(f"Without thresholds for the heat maps: {error}")
            bundle = pack_run(run_folder, folder, progress=progress, **settings)
    say(f"{bundle.name} {bundle.version} is in {folder}. Use it: sscild models install {folder} --use")
