"""``sscild score`` and ``sscild demo``."""

from __future__ import annotations

import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import Cancelled, SettingsError, SScILDError
from .slicer_files import scene_writers
from .terminal import complain, say, show_result, show_truth, shown_progress

NO_NETWORK = "none"


class LungMethod(StrEnum):
    """How lungs are found."""

    three_d = "3d"
    published_2d = "published_2d"


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no table: one line for each case.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.", show_default="auto")]

_SCORE_HELP = """Scores chest CTs: five levels, TOT, GG and RET of each, extent, Goh stage, heat maps, report.

CT is a DICOM folder or file, NIfTI, NRRD, MHA or MHD. Results go to OUT/<case>: scores.json, scores.csv,
report.html (open it in a browser), heatmaps/, and for 3D Slicer levels.mrk.json and scene.mrb (where slicer-core
is installed). With several CTs one that fails does not stop the others.

Example: [bold]sscild score patient1.nii.gz dicom/patient2 -o results[/bold]

With known lung function: [bold]sscild score patient1.nii.gz -o results --fvc 65[/bold]

At levels placed by hand: [bold]sscild score patient1.nii.gz -o results --levels -95,-130,-160,-185,-210[/bold]
"""

_DEMO_HELP = """Makes a synthetic chest CT with known disease, scores it, and compares with the truth.

Takes at most two minutes on two processor cores.

Example: [bold]sscild demo -o demo-output[/bold]
"""


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("demo", help=_DEMO_HELP)(demo)
    app.command("score", help=_SCORE_HELP)(score)


def score(
    ct: Annotated[list[Path], typer.Argument(metavar="CT...", help="DICOM folders or files, NIfTI, NRRD, MHA, MHD.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Folder for the results.")
    ] = None,
    series: Annotated[str | None, typer.Option(help="Series Instance UID to take from a DICOM folder.")] = None,
    list_series: Annotated[
        bool, typer.Option("--list-series", help="Show the DICOM series of the folder and which is taken; no scoring.")
    ] = False,
    levels: Annotated[
        str | None,
        typer.Option(metavar="MM,...|FILE", help="Levels given by you: five RAS S in mm, L1 first, or a file."),
    ] = None,
    every_slice: Annotated[bool, typer.Option("--every-slice", help="Score every slice too: a lung profile.")] = False,
    fvc: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="Forced vital capacity, percent of predicted, for the stage."),
    ] = None,
    heat_maps: Annotated[bool, typer.Option("--heat-maps/--no-heat-maps", help="Compute heat maps.")] = True,
    lungs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own lung mask on the grid of the CT.")
    ] = None,
    lung_method: Annotated[LungMethod, typer.Option(help="How lungs are found.")] = LungMethod.three_d,
    l_net: Annotated[
        str | None, typer.Option(metavar="BUNDLE", help="Level network: name or folder; none: by anatomy.")
    ] = None,
    s_net: Annotated[str | None, typer.Option(metavar="BUNDLE", help="Score network: name or folder.")] = None,
    device: Device = "auto",
    case: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the case; from the file name if not given.")
    ] = None,
    overwrite: Overwrite = False,
    identifiers: Annotated[
        bool, typer.Option("--identifiers", help="Write patient name, IDs, UIDs and paths into the results.")
    ] = False,
    scene: Annotated[
        bool, typer.Option("--scene/--no-scene", help="Write scene.mrb for 3D Slicer, with the CT in it.")
    ] = True,
    quiet: Quiet = False,
) -> None:
    """See ``_SCORE_HELP``."""
    if list_series:
        for path in ct:
            _show_series(path)
        return
    if output is None:
        raise SettingsError("Where should the results go? Give a folder with -o, for example: -o results")
    jobs = _jobs(ct, case, levels, {"--series": series, "--lungs": lungs})
    from ..outputs import check_case_folder

    if len(jobs) == 1:
        check_case_folder(output, next(iter(jobs)), overwrite)
    options = {
        "every_slice": every_slice,
        "fvc_percent": fvc,
        "heat_maps": heat_maps,
        "lung_method": lung_method.value,
        "device": device,
    }
    _check_fvc(fvc)
    bundles = _bundles(l_net, s_net)
    also = scene_writers(scene)
    failed: list[str] = []
    defects = 0
    for number, (name, path) in enumerate(jobs.items(), start=1):
        if len(jobs) > 1 and not quiet:
            say(f"[{number}/{len(jobs)}] {name}")
        try:
            folder, result = _score_one(
                path, name, output, series, levels, lungs, overwrite, identifiers, quiet, {**options, **bundles}, also
            )
        except Cancelled:
            raise
        except Exception as error:
            if len(jobs) == 1:
                raise
            failed.append(name)
            if isinstance(error, SScILDError):
                complain(f"sscild: {name}: {error}")
            else:  # a defect; the other CTs are scored all the same
                defects += 1
                complain(f"sscild: {name}: {type(error).__name__}: {error}. Score it alone with --debug and report it.")
            continue
        if quiet:
            say(result.summary())
        else:
            show_result(result, folder)
    if failed:
        complain(f"sscild: {len(failed)} of {len(jobs)} CTs could not be scored: {', '.join(failed)}.")
        raise typer.Exit(1 if defects else 2)


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Folder for the results.")] = Path(
        "demo-output"
    ),
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """See ``_DEMO_HELP``."""
    from .demo import run_demo

    with shown_progress(quiet) as progress:
        result, truth, folder = run_demo(output, device=device, progress=progress)
    if quiet:
        say(result.summary())
        return
    show_result(result, folder)
    show_truth(result, truth)
    say(f"The phantom's disease is synthetic. Open {folder}/report.html in a browser; then score a CT of your own:")
    say("  sscild score CT -o results")


def _score_one(path, name, output, series, levels, lungs, overwrite, identifiers, quiet, options, also):
    from ..outputs import check_case_folder, write_case
    from ..pipeline import score_scan
    from ..scan import load_scan

    check_case_folder(output, name, overwrite)
    with shown_progress(quiet) as progress:
        given = None
        if levels is not None:
            from ..given_levels import given_levels

            given = given_levels(levels, name)
        start = time.perf_counter()
        scan = load_scan(path, series=series, progress=progress)
        seconds = time.perf_counter() - start
        mask = None
        if lungs is not None:
            from ..lungs import load_lung_mask

            mask = load_lung_mask(lungs, scan)
        result = score_scan(scan, case=name, levels=given, lungs=mask, progress=progress, **options)
        spent = {**result.seconds, "read": seconds, "total": result.seconds.get("total", 0.0) + seconds}
        result = replace(result, seconds=spent)
        folder = write_case(result, output, overwrite=overwrite, identifiers=identifiers, also=also, progress=progress)
    return folder, result


def _jobs(paths: list[Path], case: str | None, levels: str | None, single: dict[str, object]) -> dict[str, Path]:
    """The CTs by case name.

    Raises:
        SettingsError: an option that belongs to one CT with several, or two CTs of the same name.
    """
    from ..results import case_name, safe_name

    if len(paths) > 1:
        single = {**single, "--case": case, "--levels": levels if levels and not Path(levels).is_file() else None}
        given = [name for name, value in single.items() if value is not None]
        if given:
            raise SettingsError(f"{given[0]} belongs to one CT; score the {len(paths)} CTs one by one.")
    jobs: dict[str, Path] = {}
    for path in paths:
        name = safe_name(case) if case else case_name(path)
        if name in jobs:
            raise SettingsError(f"Two CTs would be written to the case {name!r}; score one of them with --case NAME.")
        jobs[name] = path
    return jobs


def _check_fvc(fvc: float | None) -> None:
    from ..scores import goh_stage

    goh_stage(0.0, fvc)


def _bundles(l_net: str | None, s_net: str | None) -> dict:
    """The networks, loaded once for all CTs; False where no level network is there."""
    from ..pipeline import find_model

    levels = False if l_net == NO_NETWORK else l_net
    return {"l_net": find_model(levels, "l_net", optional=True) or False, "s_net": find_model(s_net, "s_net")}


def _show_series(path: Path) -> None:
    from ..reading.dicom_series import list_series

    infos = list_series(path)
    if not infos:
        raise SettingsError(f"No DICOM series were found in {path.name!r}.")
    for info in infos:
        size = f"{info.slices} slices" + (f", one every {info.slice_distance_mm:.2f} mm" if info.slices > 1 else "")
        say(f"{'*' if info.chosen else ' '} {info.uid}")
        say(f"    {', '.join(part for part in (info.description, size, info.reason) if part)}")
    say("* is taken; another one: --series UID")
