"""``sscild batch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import SettingsError
from .score import NO_NETWORK, Device, LungMethod
from .terminal import STAGES, complain, say, shown_progress

STAGES["batch"] = "Scoring the scans"

_HELP = """Scores a folder of chest CTs, or a list of them, and keeps one table of all.

CT is a folder in which each image file and each sub-folder with DICOM files is one case; or several files and DICOM
folders; or a CSV with the column path (and, if wanted, case and fvc_percent). OUT gets a folder for every case, as
[bold]sscild score[/bold] writes it, and the tables scores.csv (levels), cases.csv (extent, stage) and failures.csv.

A batch that was stopped goes on where it stopped when it is started again: cases that are finished with the same
settings are skipped. One that fails does not stop the others. Exit code 0: all scored; 1: some failed.

Example: [bold]sscild batch scans -o results[/bold]

From a list, with lung function: [bold]sscild batch cohort.csv -o results --every-slice[/bold]
"""


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("batch", help=_HELP)(batch)


def batch(
    ct: Annotated[list[Path], typer.Argument(metavar="CT...", help="A folder of scans, a CSV, or several scans.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Folder for the results.")
    ] = None,
    every_slice: Annotated[bool, typer.Option("--every-slice", help="Score every slice too: a lung profile.")] = False,
    heat_maps: Annotated[bool, typer.Option("--heat-maps/--no-heat-maps", help="Compute heat maps.")] = True,
    lung_method: Annotated[LungMethod, typer.Option(help="How lungs are found.")] = LungMethod.three_d,
    l_net: Annotated[
        str | None, typer.Option(metavar="BUNDLE", help="Level network: name or folder; none: by anatomy.")
    ] = None,
    s_net: Annotated[str | None, typer.Option(metavar="BUNDLE", help="Score network: name or folder.")] = None,
    device: Device = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results made with other settings, or of another scan.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; failures and the last line only.")] = False,
) -> None:
    """See ``_HELP``."""
    if output is None:
        raise SettingsError("Where should the results go? Give a folder with -o, for example: -o results")
    from ..batch import CaseOutcome, score_folder

    def tell(number: int, total: int, outcome: CaseOutcome) -> None:
        if outcome.state == "failed":
            complain(f"sscild: [{number}/{total}] {outcome.case}: {outcome.message}")
        elif not quiet:
            before = " (finished before)" if outcome.state == "finished" else ""
            say(f"[{number}/{total}] {outcome.message}{before}")

    with shown_progress(quiet) as progress:
        report = score_folder(
            ct[0] if len(ct) == 1 else ct,
            output,
            l_net=False if l_net == NO_NETWORK else l_net,
            s_net=s_net,
            lung_method=lung_method.value,
            heat_maps=heat_maps,
            every_slice=every_slice,
            device=device,
            overwrite=overwrite,
            on_case=tell,
            progress=progress,
        )
    say(report.summary())
    if report.other_settings:
        named = ", ".join(report.other_settings[:3])
        complain(f"sscild: scores.csv also holds cases of earlier batches with other settings: {named} ...")
    if report.of("failed"):
        raise typer.Exit(1)
