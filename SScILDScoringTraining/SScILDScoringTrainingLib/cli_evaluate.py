"""``sscild evaluate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
import typer.core

from SScILDScoringLib.commands.terminal import STAGES, console, say, shown_progress
from SScILDScoringLib.errors import SettingsError

from .cli_agreement import Correction
from .cli_evaluate_run import evaluate_run

STAGES |= {"figures": "Drawing figures", "batch": "Scoring the cohort"}
SEED = 4
"""Default seed: its first six phantoms hold every kind of disease (none, either pattern, both)."""

DEFAULT = "cohort"

_HELP = """Measures what model bundles are worth: on a cohort, on phantoms, beside simple baselines.

[bold]sscild evaluate BUNDLE COHORT -o OUT[/bold] runs a whole cohort and writes one report; it is short for
[bold]sscild evaluate cohort BUNDLE COHORT -o OUT[/bold] (a bundle called like a command below needs the long form).
"""


class _WithDefault(typer.core.TyperGroup):
    """A group whose first word may be left out: what is no command goes to the command ``cohort``."""

    def parse_args(self, ctx, args: list[str]) -> list[str]:
        """Puts ``cohort`` before arguments that begin with no command; help stays the group's."""
        if args and args[0] not in self.commands and not {"-h", "--help"} & set(args[:1]):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_WithDefault, no_args_is_help=True, help=_HELP)

Bundle = Annotated[str, typer.Argument(metavar="BUNDLE", help="A model bundle's folder or name.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="For evaluation.json and .csv.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random; other seeds give fresh data.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
Folder = Annotated[Path, typer.Option("--ct", envvar="CT", help="Folder of the public scans; also the variable CT.")]


@app.command(DEFAULT)
def cohort_(
    bundle: Annotated[
        str | None, typer.Argument(metavar="BUNDLE", help="An S-Net or L-Net bundle; the default ones when not given.")
    ] = None,
    cohort: Annotated[
        Path | None, typer.Argument(metavar="COHORT", help="A cohort table; see sscild cohort --help.")
    ] = None,
    phantoms: Annotated[int, typer.Option(min=0, metavar="N", help="N phantoms instead of a cohort.")] = 0,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="OUT", help="Folder for the report.")] = None,
    l_net: Annotated[str | None, typer.Option("--l-net", help="L-Net bundle; none: levels by the anatomy.")] = None,
    s_net: Annotated[str | None, typer.Option("--s-net", help="S-Net bundle.")] = None,
    split: Annotated[str | None, typer.Option(help="Only cases of this split: validation or test.")] = None,
    heat_maps: Annotated[bool, typer.Option("--heat-maps/--no-heat-maps", help="Thresholds and localisation.")] = True,
    bootstrap: Annotated[int, typer.Option(min=0, metavar="N", help="Bootstrap samples; 0: no intervals.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of phantoms and bootstrap.")] = SEED,
    correct: Annotated[Correction | None, typer.Option("--correct", help="Correct p-values over the patterns.")] = None,
    device: Annotated[str, typer.Option(help="Where the networks run: auto, cpu, cuda, mps.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results of other settings.")] = False,
    quiet: Quiet = False,
) -> None:
    """Runs a whole cohort and writes one report: agreement, levels, heat maps, failures, methods ready to cite.

    S-Net is run on the reference's levels and, as L&S-Net, on those that L-Net finds. Where NAME_gg.nii.gz and
    NAME_ret.nii.gz lie beside the scan NAME.nii.gz (phantoms have them), heat maps are compared with the true
    disease. A case that fails is listed and left out; a run that was stopped goes on when it is started again.

    Example: sscild evaluate my_s_net cohort.csv --l-net my_l_net -o report

    Example: sscild evaluate --phantoms 6 -o example
    """
    from .agreement.rows import Settings
    from .cohort_evaluation import evaluate_cohort
    from .evaluation.cases import cases_of_table, phantom_cases

    _one_source(cohort, phantoms)
    if output is None:
        raise SettingsError("The report needs a folder: add -o OUT.")
    levels_by, scores_by = _pair(bundle, l_net, s_net)
    with shown_progress(quiet) as progress:
        if phantoms:
            cases = phantom_cases(phantoms, seed, output / "phantoms", progress=progress)
        else:
            cases = cases_of_table(cohort, split)
        result = evaluate_cohort(
            cases,
            output,
            s_net=scores_by,
            l_net=levels_by,
            heat_maps=heat_maps,
            settings=Settings(bootstrap, seed, correct.value if correct else None),
            device=device,
            overwrite=overwrite,
            progress=progress,
            on_case=None if quiet else _told,
        )
        report = result.write(output, progress)[0]
    done, failed = len(result.run.rows), len(result.run.failures)
    failures = f", {failed} could not be used (listed in the report)" if failed else ""
    say(f"{done} case{'s' if done != 1 else ''} evaluated{failures}. Report: {report}")


def _pair(bundle: str | None, l_net: str | None, s_net: str | None):
    """The L-Net (None: none) and the S-Net that are meant; ``bundle`` is one of the two, the other a default."""
    from SScILDScoringLib.models import find_bundle
    from SScILDScoringLib.pipeline import find_model

    found = {"l_net": None, "s_net": None}
    if bundle is not None:
        one = find_bundle(bundle, None)
        if {"l_net": l_net, "s_net": s_net}[one.kind] is not None:
            option = one.kind.replace("_", "-")
            raise SettingsError(f"{bundle} is an {option} bundle already; leave out --{option}.")
        found[one.kind] = one
    no_levels = l_net is not None and l_net.lower() == "none"
    return (
        None if no_levels else found["l_net"] or find_model(l_net, "l_net", optional=True),
        found["s_net"] or find_model(s_net, "s_net"),
    )


def _told(number: int, total: int, outcome) -> None:
    """What became of a case, as a line of a log; on a terminal the progress bar says enough."""
    if not sys.stderr.isatty():
        print(f"  {number} of {total} {outcome.state}: {outcome.message}", file=sys.stderr, flush=True)


app.command("run")(evaluate_run)


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


@app.command("heatmaps")
def heatmaps(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="An S-Net bundle's folder or name.")],
    cohort: Annotated[
        Path | None, typer.Argument(metavar="COHORT", help="A cohort table; see sscild cohort --help.")
    ] = None,
    phantoms: Annotated[int, typer.Option(min=0, metavar="N", help="N phantoms instead of a cohort.")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT", help="Folder for tables and figures.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only cases of this split: validation or test.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the thresholds into the bundle.")] = False,
    write_to: Annotated[
        Path | None, typer.Option("--write-to", metavar="FOLDER", help="Write a copy of the bundle with them.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Folder in which heat maps and phantoms are kept.")] = Path("runs/cache"),
    bootstrap: Annotated[int, typer.Option(min=0, metavar="N", help="Bootstrap samples; 0: no intervals.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of phantoms and bootstrap.")] = SEED,
    device: Annotated[str, typer.Option(help="Where S-Net runs: auto, cpu, cuda, mps.")] = "auto",
    quiet: Quiet = False,
) -> None:
    """Chooses heat-map thresholds on validation slices; measures derived scores and, with masks, localisation.

    For every case the five levels of the table are taken. Where NAME_gg.nii.gz and NAME_ret.nii.gz lie beside the
    scan NAME.nii.gz (phantoms have them), maps are compared with the true disease. Heat maps are kept by slice: a run
    that was stopped goes on.

    Example: sscild evaluate heatmaps my_bundle cohort.csv --split validation -o heat_maps --write
    """
    from SScILDScoringLib.models import find_bundle

    from .evaluation.cases import cases_of_table, phantom_cases
    from .heat_map_evaluation import evaluate_heat_maps
    from .heat_map_evaluation.bundle_thresholds import check_target, metadata_of, write_thresholds
    from .heat_map_evaluation.run import Settings

    _one_source(cohort, phantoms)
    network = find_bundle(bundle, "s_net")
    if write or write_to is not None:
        check_target(network, write_to)
    with shown_progress(quiet) as progress:
        if phantoms:
            cases = phantom_cases(phantoms, seed, cache / f"phantoms-{seed}", progress=progress)
        else:
            cases = cases_of_table(cohort, split)
        result = evaluate_heat_maps(
            network,
            cases.rows,
            cache=cache / "heat_maps",
            settings=Settings(bootstrap, seed, cases.what),
            failures=cases.failures,
            device=device,
            progress=progress,
        )
        written = []
        if output is not None:
            written = [path.name for path in result.write(output)]
            progress("figures", 0.0, "Drawing figures")
            written.append(f"{len(result.draw(output / 'figures'))} files in figures/")
    if not quiet:
        typer.echo(result.markdown(), nl=False)
    if written:
        say(f"\nWritten to {output}: {', '.join(written)}")
    if write or write_to is not None:
        changed = write_thresholds(network, metadata_of(result.thresholds, data=cases.what), write_to)
        say(f"{changed.name} {changed.version} in {changed.folder} has the new thresholds (SHA-256 {changed.sha256}).")


def _one_source(cohort: Path | None, phantoms: int) -> None:
    if (cohort is None) == (not phantoms):
        raise SettingsError("Give a cohort table, or --phantoms N, and not both.")


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
