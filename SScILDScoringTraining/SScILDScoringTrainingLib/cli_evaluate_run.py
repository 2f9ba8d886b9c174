"""``sscild evaluate run``: what the network of a training run is worth, before it is packed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.commands.terminal import console, say, shown_progress


def evaluate_run(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a training run.")],
    last: Annotated[bool, typer.Option("--last", help="Take the weights at the end, not the best ones.")] = False,
    cohort: Annotated[
        Path | None, typer.Option("--cohort", metavar="TABLE", help="A cohort table instead of the run's own.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Of the table: test, validation or train; test, else validation, if not given.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, metavar="N", help="Bootstrap samples; 0: no intervals.")] = 2000,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, and no table.")] = False,
) -> None:
    """Asks the network of a run about the cases that it held out; the report is in RUN/evaluation.

    S-Net: scores of the reference's levels with agreement, Bland-Altman, scatter and confusion plots. L-Net: errors of
    the levels in millimetres. A run without a cohort is asked about what it validated on.

    Example: sscild evaluate run runs/s_net
    """
    from rich.table import Table
    from rich.text import Text

    from .run_evaluation import evaluate_run as evaluate
    from .run_evaluation.evaluation import PAGE

    with shown_progress(quiet) as progress:
        found = evaluate(run, last=last, table=cohort, split=split, bootstrap=bootstrap, progress=progress)
        folder = found.write(progress)
    if not quiet:
        table = Table(title=Text(found.answers.data), title_justify="left", box=None, pad_edge=False)
        for n, name in enumerate(found.columns):
            table.add_column(Text(name), justify="right" if n else "left")
        for row in found.rows:
            table.add_row(*map(Text, row))
        console().print(table)
        for remark in found.remarks:
            say(remark)
    say(f"Report: {folder / PAGE}")
