"""The command ``sscild``: the scoring commands and, added here, training, evaluation and packing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.cli import app, run
from SScILDScoringLib.commands.terminal import STAGES, say, shown_progress
from SScILDScoringLib.errors import SettingsError

from . import cli_agreement, cli_cohort, cli_crossvalidate, cli_evaluate, cli_study

STAGES.update(
    {
        "scans": "Reading scans",
        "phantoms": "Making phantoms",
        "train": "Training",
        "validate": "Validating",
        "evaluate": "Evaluating",
    }
)

train = typer.Typer(no_args_is_help=True, help="Trains a network. Example: sscild train levels l_net_starter -o runs/l")

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="A configuration (YAML) or the name of a preset.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="RUN", help="Run folder; runs/CONFIG when not given.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replaces a value: training.minutes=5.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]


@train.command("levels")
def train_levels(
    config: Config, output: Output = None, resume: Resume = False, set_: Set = None, quiet: Quiet = False
) -> None:
    """Trains an L-Net, which finds the five levels.

    Example: sscild train levels l_net_starter -o runs/l_net_starter
    """
    _train("levels", config, output, resume, set_ or [], quiet)


@train.command("scores")
def train_scores(
    config: Config, output: Output = None, resume: Resume = False, set_: Set = None, quiet: Quiet = False
) -> None:
    """Trains an S-Net, which scores a slice.

    Example: sscild train scores s_net_starter -o runs/s_net_starter --set training.minutes=10
    """
    _train("scores", config, output, resume, set_ or [], quiet)


def _train(kind: str, config: str, output: Path | None, resume: bool, overrides: list[str], quiet: bool) -> None:
    from .config import read_yaml
    from .recipes import recipe_of
    from .training import Trainer

    values = read_yaml(config, overrides)
    if values.get("recipe") != kind:
        raise SettingsError(f"{config} is a configuration for {values.get('recipe')}, not for {kind}.")
    folder = output or Path("runs") / Path(config).stem
    recipe = recipe_of(values)
    with shown_progress(quiet) as progress:
        result = Trainer(recipe, folder, resume, _logged(progress, quiet)).run()
    say(
        f"Best validation MAE {result.best_mae:.3g} at step {result.best_step} of {result.last_step}; the run is in "
        f"{folder}. Make a bundle of it: sscild pack {folder} -o BUNDLE"
    )


def _logged(progress, quiet: bool):
    """Without a terminal every validation and every twentieth of the training is a line of its own."""
    if quiet or sys.stderr.isatty():
        return progress

    def both(stage: str, fraction: float, message: str) -> None:
        progress(stage, fraction, message)
        if stage in ("train", "validate"):
            print(f"  {100 * fraction:5.1f} %  {message}", file=sys.stderr, flush=True)

    return both


@app.command("pack")
def pack(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a training run.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="BUNDLE", help="Folder of the model bundle.")],
    accuracy: Annotated[
        list[Path] | None, typer.Option("--accuracy", help="Figures of sscild evaluate (JSON) for the model card.")
    ] = None,
    thresholds: Annotated[
        int, typer.Option("--thresholds", min=0, help="S-Net: choose heat-map thresholds on so many validation slices.")
    ] = 0,
    last: Annotated[bool, typer.Option("--last", help="Take the weights at the end, not the best ones.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Makes a model bundle of a training run's best checkpoint.

    Example: sscild pack runs/s_net_starter -o my_bundle --thresholds 12
    """
    from .evaluation import read_accuracy
    from .packing import pack_run

    figures = {key: value for path in accuracy or [] for key, value in read_accuracy(path).items()}
    with shown_progress(quiet) as progress:
        bundle = pack_run(
            run_folder,
            output,
            accuracy=figures,
            threshold_slices=thresholds,
            last=last,
            overwrite=overwrite,
            progress=progress,
        )
    say(f"{bundle.name} {bundle.version} is in {output}.")


app.add_typer(train, name="train")
app.add_typer(cli_evaluate.app, name="evaluate")
app.add_typer(cli_cohort.app, name="cohort")
app.add_typer(cli_crossvalidate.app, name="crossvalidate")
cli_agreement.add_to(app)
cli_study.add_analyse()


def main() -> None:
    """The entry point of ``sscild``: errors become one line, exit codes as in :func:`SScILDScoringLib.cli.run`."""
    sys.exit(run(app))


if __name__ == "__main__":
    main()
