"""``sscild study analyse``: added to the study commands of the scoring library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.commands.study import Key, StudyFolder
from SScILDScoringLib.commands.study import app as study_app
from SScILDScoringLib.commands.terminal import STAGES, say, shown_progress

STAGES |= {"agreement": "Comparing raters", "figures": "Drawing figures"}


def add_analyse() -> None:
    """Adds the command to those of ``sscild study``."""
    study_app.command("analyse")(analyse)


def analyse(
    study_folder: StudyFolder,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Folder for tables and figures.")],
    reference: Annotated[
        Path | None, typer.Option("--reference", metavar="REF.csv", help="Scores (and levels) to hold readers against.")
    ] = None,
    network: Annotated[
        Path | None, typer.Option("--network", metavar="NET.csv", help="The network's scores; the key's otherwise.")
    ] = None,
    key: Key = None,
    bootstrap: Annotated[int, typer.Option(min=0, metavar="N", help="Bootstrap samples; 0: no intervals.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the figures, as PNG and PDF.")] = True,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, and no tables on the terminal.")] = False,
) -> None:
    """Inter-observer, intra-observer, against reference and network; ratings of heat maps; reading times.

    Only complete cases count; a study may still be going on. REF.csv is a score table (case, level, tot, gg, ret) or a
    cohort table; where readers place the levels, its level columns are compared too. OUT gets study.html and study.md,
    all tables as CSV, and figures.

    Example: [bold]sscild study analyse STUDY --reference consensus.csv -o analysis[/bold]
    """
    from SScILDScoringLib.observers.export import read_answers

    from .agreement.reading import read_level_tables, read_score_tables
    from .agreement.rows import Settings
    from .csv_files import read_csv
    from .reader_studies.analysis import analyse as analysed
    from .reader_studies.comparing import only_table

    answers = read_answers(study_folder, key)
    truth = levels = None
    if reference is not None:
        header = set(read_csv(reference, "score table").header)
        truth = only_table(read_score_tables(reference), reference.name)
        if header & {"position_mm", "level_1_mm"}:
            levels = only_table(read_level_tables(reference), reference.name)
    net = only_table(read_score_tables(network), network.name) if network is not None else None
    with shown_progress(quiet) as progress:
        result = analysed(answers, truth, net, Settings(bootstrap, seed), level_reference=levels, progress=progress)
        written = result.write(output, formats=("png", "pdf") if figures else (), progress=progress)
    if not quiet:
        typer.echo(result.markdown(), nl=False)
    say(f"\n{len(written)} files written to {output}; begin with {output / 'study.html'}.")
