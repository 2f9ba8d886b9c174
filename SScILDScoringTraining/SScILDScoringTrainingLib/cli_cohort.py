"""``sscild cohort``: check, make and divide cohort tables."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from SScILDScoringLib.commands.terminal import STAGES, console, say, shown_progress
from SScILDScoringLib.errors import SettingsError

if TYPE_CHECKING:
    from .cohort.checking import CohortCheck

STAGES |= {"check": "Checking the cohort", "cohort": "Making the table"}

app = typer.Typer(no_args_is_help=True, help="Checks, makes and divides cohort tables.")

Table = Annotated[Path, typer.Argument(metavar="TABLE", help="A cohort table (CSV).")]
NewTable = Annotated[Path, typer.Option("-o", "--output", metavar="TABLE", help="The table to write.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a table that is there.")]
Cache = Annotated[Path, typer.Option("--cache", metavar="DIR", help="Folder of the caches.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
CACHE = Path("runs/cache")

_SHOWN = 40
"""So many problems are shown in the terminal; all of them are in the files."""


class Trusted(StrEnum):
    """Choices of ``--trust``; see :class:`.cohort.scored_cases.Trust`."""

    confirmed = "confirmed"
    reviewed = "reviewed"
    everything = "everything"


@app.command("check")
def check(
    table: Table,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="For problems.csv, check.json and pictures.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Scores between the steps of 5 % are right.")] = False,
    cache: Cache = CACHE,
    quiet: Quiet = False,
) -> None:
    """Reads every scan of a cohort and tells everything that is wrong at once, with row and column.

    Missing and unreadable files, levels out of order or outside the scan, scores that are no multiples of 5 or
    contradict each other, a scan that is there twice (also under another name or in another format), a patient in two
    splits or folds, lung masks that do not fit. Exit code 2 when there are errors. Scans that were read before are
    known again by their content.

    Example: sscild cohort check cohort.csv -o check
    """
    from .cohort.check_files import write_check
    from .cohort.checking import check_cohort

    with shown_progress(quiet) as progress:
        result = check_cohort(table, cache=cache, exact=exact, progress=progress)
    if output is not None:
        write_check(result, output)
    _show(result)
    if output is not None:
        say(f"Written: {output}/problems.csv, check.json and pictures.")
    if result.errors:
        raise typer.Exit(2)


def _show(result: CohortCheck) -> None:
    from rich.table import Table as RichTable
    from rich.text import Text

    facts = result.summary()
    out = console()
    if result.problems:
        table = RichTable(box=None, pad_edge=False)
        for name, justify in (("row", "right"), ("case", "left"), ("column", "left"), ("problem", "left")):
            table.add_column(name, justify=justify, overflow="fold", no_wrap=name != "problem")
        for problem in result.problems[:_SHOWN]:
            style = "red" if problem.severity == "error" else "yellow"
            row = "" if problem.row is None else str(problem.row)
            text = Text.assemble((f"{problem.severity}: ", style), problem.message)
            table.add_row(row, Text(problem.case), Text(problem.column), text)
        out.print(table)
        if len(result.problems) > _SHOWN:
            say(f"... and {len(result.problems) - _SHOWN} more; -o DIR writes all of them.")
    splits = ", ".join(f"{count} {name}" for name, count in facts["splits"].items())
    folds = f", {len(facts['folds'])} folds" if facts["folds"] else ""
    say(f"{facts['table']}: {facts['rows']} rows, {facts['patients']} patients ({splits}{folds}).")
    if facts["scored_slices"]:
        say(
            f"{facts['scored_slices']} scored slices, {facts['slices_without_disease_percent']:g} % of them without "
            f"disease, mean TOT {facts['mean_tot_percent']:g} %."
        )
    say(f"{facts['errors']} errors, {facts['warnings']} warnings." if result.problems else "Nothing is wrong.")


def _free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise SettingsError(f"{path} is there already; add --overwrite, or choose another name with -o.")


@app.command("create")
def create(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Results, phantoms, or scans.")],
    output: NewTable,
    scans: Annotated[
        Path | None, typer.Option("--scans", metavar="DIR", help="Where the scans of the results are.")
    ] = None,
    trust: Annotated[
        Trusted, typer.Option(help="Which levels and scores of results count as truth.")
    ] = Trusted.confirmed,
    scores: Annotated[
        Path | None, typer.Option("--scores", metavar="CSV", help="A person's scores: case, level, tot, gg, ret.")
    ] = None,
    observer: Annotated[str, typer.Option("--observer", help="Whose corrections and scores to take.")] = "",
    exact: Annotated[
        bool, typer.Option("--exact", help="Phantoms: keep exact scores instead of steps of 5 %.")
    ] = False,
    overwrite: Overwrite = False,
    cache: Cache = CACHE,
    quiet: Quiet = False,
) -> None:
    """Makes a cohort table of scored and corrected cases, of phantoms, or of scans.

    Results (folders with scores.json, as the module's export, sscild score and sscild batch write them): levels count
    that a person moved, gave, or confirmed; scores count that stand in the case's corrections.csv (see sscild cohort
    confirm) or in the table given with --scores. What the networks answered and nobody confirmed is left out;
    --trust reviewed takes all levels of cases in which a person placed one, --trust everything takes the networks'
    answers too.

    Phantoms (what sscild phantom wrote): levels, scores as a reader gives them, lung masks.

    Scans: a table with a row for each, whose levels and scores you fill in.

    Example: sscild cohort create results --scans scans -o cohort.csv
    """
    from .cohort import creating
    from .cohort.scored_cases import Trust
    from .cohort.table import COLUMNS
    from .cohort.writing import relative_path, write_cells, write_cohort

    _free(output, overwrite)
    if not folder.is_dir():
        raise SettingsError(f"There is no folder {folder}.")
    if creating.is_phantom_table(folder / "cohort.csv"):
        with shown_progress(quiet) as progress:
            made = creating.cohort_of_phantoms(folder / "cohort.csv", exact=exact, progress=progress)
    elif creating.case_folders(folder):
        with shown_progress(quiet) as progress:
            made = creating.cohort_of_results(
                folder,
                scans=scans,
                trust=Trust(trust),
                scores=scores,
                observer=observer,
                cache=cache,
                progress=progress,
            )
    else:
        places = creating.scans_to_fill_in(folder)
        here = output.resolve().parent
        lines = [{"case": name, "path": relative_path(path, here)} for name, path in places.items()]
        header = [c for c in COLUMNS if c not in ("levels_path", "fold", "healthy", "lung_path", "fvc_percent")]
        write_cells(output, header, lines)
        say(f"{output}: {len(places)} scans. Fill in levels (RAS S in mm) and scores, and check the table.")
        return
    for case, text in made.left_out:
        say(f"left out: {case}: {text}")
    for case, text in made.remarks:
        say(f"{case}: {text}")
    if not made.rows:
        raise SettingsError(f"None of the {len(made.left_out)} cases can be used; see above. Nothing was written.")
    write_cohort(made.rows, output)
    scored = sum(row.scores is not None for row in made.rows)
    say(f"{output}: {len(made.rows)} cases, {scored} of them with scores; {len(made.left_out)} left out.")


@app.command("confirm")
def confirm(
    folders: Annotated[list[Path], typer.Argument(metavar="CASE...", help="Folders of scored cases.")],
    observer: Annotated[str, typer.Option("--observer", help="Who confirms: a name or initials.")],
    levels: Annotated[bool, typer.Option("--levels/--no-levels", help="The levels are right.")] = True,
    scores: Annotated[
        bool, typer.Option("--scores/--no-scores", help="The scores are right, or will be after editing the file.")
    ] = False,
) -> None:
    """A person stands for levels and scores of scored cases: writes corrections.csv into each case's folder.

    With --scores the file gets the scores as reported; correct those that are wrong with a spreadsheet or an editor.
    What stands in the file is what sscild cohort create takes as truth. What it says already stays.

    Example: sscild cohort confirm results/p01 results/p02 --observer AB
    """
    from .cohort.creating import confirm as confirm_case

    if not observer.strip():
        raise SettingsError("Who confirms? Give a name or initials with --observer.")
    if not levels and not scores:
        raise SettingsError("There is nothing to confirm with --no-levels and --no-scores.")
    for folder in folders:
        confirm_case(folder, observer.strip(), levels=levels, scores=scores)
    what = " and ".join(name for name, wanted in (("levels", levels), ("scores", scores)) if wanted)
    say(f"{observer.strip()} stands for the {what} of {len(folders)} cases, in their corrections.csv.")


@app.command("cache")
def cache_(
    cache: Cache = CACHE,
    clear: Annotated[bool, typer.Option("--clear", help="Empty it. Training makes anew what it needs.")] = False,
    limit: Annotated[
        float | None, typer.Option("--limit", min=0, metavar="GB", help="Remove what was used longest ago above this.")
    ] = None,
) -> None:
    """Shows what resized scans, slices and facts take on disk, and removes them.

    Example: sscild cohort cache --limit 50
    """
    from .cache import caches_below, shrink

    rooms = caches_below(cache)
    if not rooms:
        say(f"There is nothing in {cache}.")
        return
    if clear or limit is not None:
        freed = shrink(rooms, 0 if clear else int(limit * 1e9))
        say(f"{freed / 1e6:.1f} MB freed.")
    for room in rooms:
        entries = room.entries()
        say(f"{room.folder}: {len(entries)} entries, {sum(e.size for e in entries) / 1e6:.1f} MB")


@app.command("split")
def split(
    table: Table,
    output: NewTable,
    folds: Annotated[int, typer.Option(min=2, help="Into how many folds.")] = 4,
    test: Annotated[
        float, typer.Option(min=0, help="Patients set aside for testing: a number, or a share below 1.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Draws test patients and folds, and writes the table with the columns split and fold.

    All scans of a patient (column patient; the case where there is none) stay together, and every part gets its share
    of mild and severe disease (mean TOT). Without --test the cases of the split test stay where they are. Everything
    else in the table stays as it is.

    Example: sscild cohort split cohort.csv --folds 4 --test 50 --seed 1 -o folds.csv
    """
    from .cohort.dividing import divide
    from .cohort.problems import refuse
    from .cohort.table import parse_cohort
    from .cohort.writing import with_parts, write_cells

    _free(output, overwrite)
    parsed = parse_cohort(table)
    refuse([p for p in parsed.problems if p.code not in ("patient_in_two_splits", "patient_in_two_folds")], table.name)
    splits, numbers = divide(parsed.cohort, folds=folds, seed=seed, test=test)
    header, lines = with_parts(parsed, splits, numbers, output)
    remark = f"sscild cohort split --folds {folds} --test {test:g} --seed {seed}"
    write_cells(output, header, lines, [*parsed.content.remarks, remark])
    counts = ", ".join(str(sum(number == n for number in numbers.values())) for n in range(1, folds + 1))
    tested = sum(name == "test" for name in splits.values())
    say(f"{output}: {folds} folds of {counts} patients, {tested} patients for testing.")
