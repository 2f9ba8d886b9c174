"""``sscild crossvalidate resume``: goes on with a study by its own plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.commands.terminal import say, shown_progress
from SScILDScoringLib.errors import SettingsError


def resume(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a cross-validation or comparison.")],
    parallel: Annotated[
        int | None,
        typer.Option("--parallel", min=1, metavar="N", help="Runs at once; one for each CUDA device, or one."),
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, metavar="N", help="Bootstrap samples; 0: no intervals.")] = 2000,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the agreement's figures.")] = True,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, and no tables.")] = False,
) -> None:
    """Goes on with the study in a folder as it was begun, whatever stopped it; nothing has to be said again.

    Finished runs are kept, a half one goes on from its checkpoint, and the tables are written anew.

    Example: sscild crossvalidate resume runs/cv
    """
    from .crossvalidation import Study, evaluate
    from .crossvalidation.compare import evaluate_comparison
    from .crossvalidation.comparison_report import REPORT as COMPARISON
    from .crossvalidation.study import failures
    from .crossvalidation.validation import REPORT as VALIDATION

    study = Study.open(folder)
    with shown_progress(quiet) as progress:
        report = study.run(parallel, progress)
        failed = failures(report)
        if not report.done:
            raise SettingsError(failed or "None of the configurations can be trained here.")
        if study.plan.is_comparison:
            evaluate_comparison(study, report.failed, failed, bootstrap)
        else:
            evaluate(study, report.failed, failed, bootstrap, figures, progress)
    name = COMPARISON if study.plan.is_comparison else VALIDATION
    if not quiet:
        typer.echo((folder / name).read_text(encoding="utf-8"), nl=False)
    say(f"Written to {folder}: {name} and its tables")
    if failed:
        raise SettingsError(failed)
