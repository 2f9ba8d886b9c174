"""``sscild agreement``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.commands.terminal import STAGES, say, shown_progress
from SScILDScoringLib.errors import SettingsError, TableError

STAGES |= {"agreement": "Comparing raters", "figures": "Drawing figures"}


class Correction(StrEnum):
    """Choices of ``--correct``; see :data:`.agreement.measures.CORRECTIONS`."""

    bonferroni = "bonferroni"
    holm = "holm"
    fdr = "fdr"


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("agreement")(agreement)


def agreement(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE.csv", help="The table the raters are held against.")],
    raters: Annotated[list[Path], typer.Argument(metavar="RATER.csv", help="Tables of raters, networks, sessions.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT", help="Folder for agreement.md, .csv, .json.")
    ] = None,
    levels: Annotated[bool, typer.Option("--levels", help="Compare level positions instead of scores.")] = False,
    bootstrap: Annotated[int, typer.Option(min=0, metavar="N", help="Bootstrap samples; 0: no intervals.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    correct: Annotated[Correction | None, typer.Option("--correct", help="Correct p-values over the patterns.")] = None,
    fvc: Annotated[
        Path | None, typer.Option("--fvc", metavar="FVC.csv", help="Columns case, fvc_percent: for the Goh stage.")
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw the raters against the reference, as PNG and PDF in OUT/figures.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, and no tables on the terminal.")] = False,
) -> None:
    """How well raters agree with a reference and with each other: MAE, bias, kappa, ICC, tests, Goh stage.

    Tables are CSV with the columns case, level, tot, gg, ret (or, with --levels, case, level, position_mm), and
    reader and session where a file holds several. All tables are printed as Markdown; with -o the main ones are, and
    OUT has all of them as Markdown, CSV and JSON.

    Example: sscild agreement consensus.csv observer_a.csv observer_b.csv network.csv -o agreement --correct holm
    """
    from .agreement.reading import read_fvc, read_level_tables, read_score_tables
    from .agreement.report import compare, distinct
    from .agreement.rows import Settings

    if levels and (fvc or correct):
        raise SettingsError("--fvc and --correct are for scores: levels have no Goh stage and no patterns.")
    if figures and output is None:
        raise SettingsError("--figures needs a folder: add -o OUT.")
    read = read_level_tables if levels else read_score_tables
    settings = Settings(bootstrap, seed, correct.value if correct else None)
    found = [(table, path) for path in (reference, *raters) for table in read(path)]
    of_reference = [table for table, path in found if path is reference]
    if len(of_reference) > 1:
        titles = ", ".join(table.title for table in of_reference)
        raise TableError(f"{reference.name} must hold one rater in one session to be the reference, not {titles}.")
    first, *others = distinct(*zip(*found, strict=True))
    with shown_progress(quiet) as progress:
        result = compare(first, others, settings, read_fvc(fvc) if fvc else None, progress)
        if output is not None:
            written = [path.name for path in result.write(output)]
        if figures:
            progress("figures", 0.0, "Drawing figures")
            written.append(f"{len(_draw(first, others, result, output / 'figures'))} files in figures/")
    if not quiet:
        typer.echo(result.markdown(short=output is not None), nl=False)
    if output is not None:
        say(f"\nWritten to {output}: {', '.join(written)}")


def _draw(reference, raters, result, folder: Path) -> list[Path]:
    """The figures of every rater against the reference; the forest plots and stages of all comparisons."""
    from .agreement.figures import draw_all
    from .agreement.tables import align

    comparisons = [align(reference, rater) for rater in raters]
    return draw_all(comparisons, folder, rows=result.rows, stages=result.stages)
