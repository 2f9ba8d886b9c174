"""The command ``sscild``: the scoring commands and, added here, training, evaluation and packing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.cli import app, run
from SScILDScoringLib.commands.terminal import STAGES, complain, console, say, shown_progress
from SScILDScoringLib.errors import SettingsError

from . import cli_agreement, cli_cohort, cli_cost, cli_crossvalidate, cli_evaluate, cli_pack, cli_study

STAGES.update(
    {
        "scans": "Reading scans",
        "phantoms": "Making phantoms",
        "download": "Downloading weights",
        "estimate": "Estimating",
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
Estimated = Annotated[
    bool, typer.Option("--estimate", help="Only say how much memory, disk and time it needs. Exit code 2: not enough.")
]


def _add(kind: str, what: str, example: str) -> None:
    """The command ``sscild train KIND``."""

    def command(
        config: Config,
        output: Output = None,
        resume: Resume = False,
        set_: Set = None,
        estimate: Estimated = False,
        quiet: Quiet = False,
    ) -> None:
        _train(kind, config, output, resume, set_ or [], estimate, quiet)

    train.command(kind, help=f"Trains {what}.\n\nExample: sscild train {kind} {example}")(command)


_add("levels", "an L-Net, which finds the five levels", "l_net_starter -o runs/l_net_starter")
_add("scores", "an S-Net, which scores a slice", "s_net_starter -o runs/s_net_starter --set training.minutes=10")


def _train(
    kind: str, config: str, output: Path | None, resume: bool, overrides: list[str], estimate: bool, quiet: bool
) -> None:
    from .config import read_yaml
    from .loop.team import Team
    from .recipes import recipe_of
    from .training import Trainer

    values = read_yaml(config, overrides)
    if values.get("recipe") != kind:
        raise SettingsError(f"{config} is a configuration for {values.get('recipe')}, not for {kind}.")
    folder = output or Path("runs") / Path(config).stem
    recipe = recipe_of(values)
    if estimate:
        _show_estimate(recipe, folder, quiet)
        return
    quiet = quiet or not Team.from_environment().leads
    with shown_progress(quiet) as progress:
        result = Trainer(recipe, folder, resume, _logged(progress, quiet)).run()
    if not Team.from_environment().leads:
        return
    if result.reason == "stopped":
        say(f"Stopped as asked at step {result.last_step}; go on with --resume. The run is in {folder}.")
        return
    ends = {"time": " The time was over.", "patience": " It got no better and was stopped early."}
    say(
        f"Best validation MAE {result.best_mae:.3g} at step {result.best_step} of {result.last_step}; the run is in "
        f"{folder}.{ends.get(result.reason, '')} Make a bundle of it: sscild models pack {folder}"
    )


def _show_estimate(recipe, folder: Path, quiet: bool) -> None:
    """Prints what the training needs. Exit code 2 when something is not enough."""
    from rich.table import Table
    from rich.text import Text

    from .loop.estimate import estimate, in_words

    with shown_progress(quiet) as progress:
        found = estimate(recipe, folder, progress=progress)
    table = Table(box=None, show_header=False, pad_edge=False)
    for what, how_much in in_words(found):
        table.add_row(Text(what), Text(how_much))
    console().print(table)
    for warning in found.warnings:
        complain(f"sscild: {warning}")
    if found.warnings:
        raise typer.Exit(2)


def _logged(progress, quiet: bool):
    """Without a terminal every validation and every twentieth of the training is a line of its own."""
    if quiet or sys.stderr.isatty():
        return progress

    def both(stage: str, fraction: float, message: str) -> None:
        progress(stage, fraction, message)
        if stage in ("train", "validate"):
            print(f"  {100 * fraction:5.1f} %  {message}", file=sys.stderr, flush=True)

    return both


cli_cost.add_to(train)
app.add_typer(train, name="train")
app.add_typer(cli_evaluate.app, name="evaluate")
app.add_typer(cli_cohort.app, name="cohort")
app.add_typer(cli_crossvalidate.app, name="crossvalidate")
cli_agreement.add_to(app)
cli_pack.add_to(app)
cli_study.add_analyse()


def main() -> None:
    """The entry point of ``sscild``: errors become one line, exit codes as in :func:`SScILDScoringLib.cli.run`."""
    sys.exit(run(app))


if __name__ == "__main__":
    main()
