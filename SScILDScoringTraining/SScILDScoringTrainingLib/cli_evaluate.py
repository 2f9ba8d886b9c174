"""``sscild evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from SScILDScoringLib.commands.terminal import console, say, shown_progress

app = typer.Typer(no_args_is_help=True, help="Measures what a model bundle is worth, beside simple baselines.")

Bundle = Annotated[str, typer.Argument(metavar="BUNDLE", help="A model bundle's folder or name.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="For evaluation.json and .csv.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random; other seeds give fresh data.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
Folder = Annotated[Path, typer.Option("--ct", envvar="CT", help="Folder of the public scans; also the variable CT.")]


@app.command("levels")
def levels(
    bundle: Bundle,
    ct: Annotated[Path | None, typer.Option("--ct", envvar="CT", help="Folder of the public scans.")] = None,
    phantoms: Annotated[int, typer.Option(min=0, help="How many unseen phantoms.")] = 40,
    cohort: Annotated[str | None, typer.Option(help="Cohort table; its cases of the split test are used.")] = None,
    seed: Seed = 1,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Measures an L-Net on unseen phantoms and on held-out scans.

    Example: sscild evaluate levels BUNDLE --ct /data/ct -o figures
    """
    import os

    from SScILDScoringLib.models import find_bundle

    from .config import PRESETS
    from .evaluation import evaluate_levels

    table = cohort
    if ct is not None:
        os.environ["CT"] = str(ct)
        table = cohort or str(PRESETS / "public_levels.csv")
    with shown_progress(quiet) as progress:
        result = evaluate_levels(
            find_bundle(bundle, "l_net"), phantoms=phantoms, seed=seed, cohort=table, progress=progress
        )
    _show(result, output)


@app.command("scores")
def scores(
    bundle: Bundle,
    ct: Folder,
    drawn: Annotated[int, typer.Option(min=2, help="Slices with drawn disease, of each generator.")] = 236,
    phantoms: Annotated[int, typer.Option(min=0, help="How many unseen phantoms.")] = 16,
    seed: Seed = 1,
    cache: Annotated[Path, typer.Option(help="Folder for lung masks and phantom slices.")] = Path("runs/cache"),
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Measures an S-Net on drawn disease in a held-out patient, phantoms, healthy slices and single slices.

    Example: sscild evaluate scores BUNDLE --ct /data/ct -o figures
    """
    import os

    from SScILDScoringLib.models import find_bundle

    from .config import PRESETS, read_yaml
    from .evaluation import evaluate_scores

    os.environ["CT"] = str(ct)
    settings = read_yaml(PRESETS / "evaluation_slices.yaml")
    with shown_progress(quiet) as progress:
        result = evaluate_scores(
            find_bundle(bundle, "s_net"),
            drawn=drawn,
            phantoms=phantoms,
            seed=seed,
            settings=settings,
            ct=ct,
            cache=cache,
            progress=progress,
        )
    _show(result, output)


def _show(result, output: Path | None) -> None:
    from rich.table import Table

    out = console()
    for title, rows in result.tables.items():
        columns = list(dict.fromkeys(key for row in rows.values() for key in row))
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for column in ("", *columns):
            table.add_column(column.replace("_", " "), justify="left" if column in ("", "by eye") else "right")
        for name, row in rows.items():
            table.add_row(name, *(str(row.get(c, "")) for c in columns))
        out.print(table)
        out.print()
    table = Table(title="Bars", title_justify="left", box=None, pad_edge=False)
    for column in ("bar", "reached", "wanted", ""):
        table.add_column(column)
    for bar in result.bars:
        table.add_row(bar["bar"], str(bar["reached"]), bar["wanted"], "met" if bar["met"] else "[bold red]missed[/]")
    out.print(table)
    met = sum(bar["met"] for bar in result.bars)
    say(f"{result.bundle}: {met} of {len(result.bars)} bars met; seed {result.settings['seed']}.")
    if output is not None:
        result.write(output)
        say(f"Figures: {output}/evaluation.json and evaluation.csv")
