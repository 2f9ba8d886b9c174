"""``sscild crossvalidate``: folds, ensembles, ablations and comparisons of networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.commands.terminal import STAGES, say, shown_progress
from SScILDScoringLib.errors import SettingsError

STAGES |= {"crossvalidate": "Training", "answers": "Asking the networks", "pack": "Packing"}

app = typer.Typer(no_args_is_help=True, help="Cross-validation, ensembles, ablations and comparisons of networks.")

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="A configuration (YAML) or the name of a preset.")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of all its runs and tables.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what is there; finished runs are kept.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replaces a value: training.minutes=5.")
]
Parallel = Annotated[
    int | None,
    typer.Option("--parallel", min=1, metavar="N", help="Runs at once; one for each CUDA device, or one on the CPU."),
]
Bootstrap = Annotated[int, typer.Option(min=0, metavar="N", help="Bootstrap samples; 0: no intervals.")]
Last = Annotated[bool, typer.Option("--last", help="Take the weights at the end of each run, not the best ones.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, and no tables on the terminal.")]


@app.command("run")
def run(
    config: Config,
    output: Output,
    folds: Annotated[int | None, typer.Option(min=2, help="How many; those of the table, else 4.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of folds that are drawn.")] = None,
    last: Last = False,
    parallel: Parallel = None,
    resume: Resume = False,
    set_: Set = None,
    bootstrap: Bootstrap = 2000,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the agreement's figures.")] = True,
    quiet: Quiet = False,
) -> None:
    """Trains a recipe once for every fold of its cohort and compares what each run says of its fold with the reference.

    Folds come from the table's column fold, or are drawn: by patient, every fold with its share of mild and severe
    disease. Writes scores.csv (or levels.csv), the reference beside it, folds.csv, agreement/ and crossvalidation.md.
    Whatever stops it, --resume goes on: finished folds are kept, a half one goes on from its checkpoint.

    Example: COHORT=cohort.csv sscild crossvalidate run s_net_gpu -o runs/cv --folds 4
    """
    from .config import read_yaml
    from .crossvalidation import cross_validate

    with shown_progress(quiet) as progress:
        result = cross_validate(
            read_yaml(config, set_ or []),
            output,
            folds=folds,
            seed=seed,
            weights="last" if last else "best",
            parallel=parallel,
            resume=resume,
            bootstrap=bootstrap,
            figures=figures,
            progress=progress,
        )
    if not quiet:
        typer.echo((output / "crossvalidation.md").read_text(encoding="utf-8"), nl=False)
    names = f"crossvalidation.md, folds.csv, {result.answers.name}, {result.reference.name}, agreement/"
    say(f"Written to {output}: {names}")
    if result.failed:
        raise SettingsError(result.failed)


@app.command("ensemble")
def ensemble(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished cross-validation.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="BUNDLE", help="Folder of the model bundle.")],
    name: Annotated[str | None, typer.Option(help="Of the bundle.")] = None,
    thresholds: Annotated[
        int, typer.Option("--thresholds", min=0, help="S-Net: choose heat-map thresholds on so many validation slices.")
    ] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Makes one model bundle of all folds: the mean of their answers. Scoring uses it like any other.

    Example: sscild crossvalidate ensemble runs/cv -o my_ensemble --thresholds 24
    """
    from .crossvalidation.ensemble_bundle import ensemble_of_folds

    with shown_progress(quiet) as progress:
        bundle = ensemble_of_folds(
            folder, output, name=name, threshold_slices=thresholds, overwrite=overwrite, progress=progress
        )
    say(f"{bundle.name} {bundle.version}, {bundle.metadata.options['members']} networks, is in {output}.")
