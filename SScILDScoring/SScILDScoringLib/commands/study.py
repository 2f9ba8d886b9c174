"""``sscild study``: reader studies. ``analyse`` is added by the training library."""

from __future__ import annotations

import statistics
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .terminal import STAGES, complain, console, say, shown_progress

if TYPE_CHECKING:
    from ..observers.progress import SessionProgress

STAGES["study"] = "Copying the cases"

app = typer.Typer(
    no_args_is_help=True,
    help="Reader studies: blinded cases in a random order, scored or rated by several readers in Slicer.\n\n"
    "Example: [bold]sscild study create phantoms/cohort.csv --readers A,B --levels given -o STUDY[/bold]",
)

StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="KEY", help="The study's key; STUDY.key.json beside the folder.")
]


class Task(StrEnum):
    """Choices of ``--task``; see :data:`..observers.study.TASKS`."""

    scores = "scores"
    likert = "likert"


class LevelChoice(StrEnum):
    """Choices of ``--levels``; see :data:`..observers.study.LEVEL_CHOICES`."""

    own = "own"
    given = "given"


class PatternChoice(StrEnum):
    """Choices of ``--pattern``."""

    tot = "tot"
    gg = "gg"
    ret = "ret"


@app.command("create")
def create(
    ct: Annotated[list[Path], typer.Argument(metavar="CASES...", help="A table, a folder of scans, or several scans.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="STUDY", help="The study's folder; a new one.")],
    readers: Annotated[str, typer.Option("--readers", metavar="A,B", help="The readers' names.")],
    sessions: Annotated[int, typer.Option("--sessions", min=1, max=9, help="How often everyone reads.")] = 1,
    task: Annotated[Task, typer.Option("--task", help="Scores of five levels, or rating of heat maps.")] = Task.scores,
    levels: Annotated[
        LevelChoice | None, typer.Option("--levels", help="Placed by each reader, or given. Ratings: given.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="OUT", help="Results of sscild batch: levels, network's scores, heat maps."),
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=0, help="So many cases are shown twice a session.")] = 0,
    pattern: Annotated[
        list[PatternChoice] | None, typer.Option("--pattern", help="Ratings: only these patterns; repeatable.")
    ] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Readers may see the network's answer after their own (needs the key).")
    ] = False,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Of identifiers and orders; drawn when not given.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The study's name; the folder's when not given.")] = None,
    key: Key = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
) -> None:
    """Makes a blinded study of scans.

    STUDY is the folder that readers get: copies of the scans without names, dates or any other header, under
    identifiers of four letters, and study.json. STUDY.key.json beside it says which case is which; keep it from the
    readers. A creation that was stopped goes on when the same command is given again.

    A table has the column path and, if wanted, case and level_1_mm ... level_5_mm (as a cohort table has).

    Example: [bold]sscild study create cohort.csv --readers A,B --sessions 2 --seed 1 --levels given -o STUDY[/bold]

    Rating heat maps: [bold]sscild study create cohort.csv --task likert --results scored --readers A,B -o MAPS[/bold]
    """
    from ..observers.creation import create_study
    from ..observers.key import key_path
    from ..observers.sources import study_cases
    from ..scores import PATTERNS, Pattern

    chosen = levels or (LevelChoice.given if task is Task.likert else LevelChoice.own)
    with shown_progress(quiet) as progress:
        study = create_study(
            output,
            study_cases(ct[0] if len(ct) == 1 else ct, results),
            readers=[reader.strip() for reader in readers.split(",") if reader.strip()],
            name=name,
            sessions=sessions,
            seed=seed,
            task=task.value,
            levels=chosen.value,
            patterns=[p for p in PATTERNS if p in map(Pattern, pattern)] if pattern else PATTERNS,
            repeat=repeat,
            reveal=reveal,
            key=key,
            progress=progress,
        )
    times = "once" if study.sessions == 1 else f"{study.sessions} times"
    items = "1 item" if len(study.items) == 1 else f"{len(study.items)} items, each"
    say(f"{study.name}: {items} read {times} by {', '.join(study.readers)}, in {output}.")
    say(f"The key is {key or key_path(output)}: keep it from the readers until all have finished.")


@app.command("status")
def status(study_folder: StudyFolder) -> None:
    """Shows how far every reader is, and the active time a case takes. Needs no key; readers may be at work.

    Example: [bold]sscild study status STUDY[/bold]
    """
    from rich.table import Table
    from rich.text import Text

    from ..observers.export import read_answers

    answers = read_answers(study_folder, blinded=True)
    table = Table(title=Text(answers.study.name, style="bold"), title_justify="left", box=None, pad_edge=False)
    table.add_column("reader")
    for column in ("session", "done", "open", "median min", "longest min", "total h", "corrections", "last answer"):
        table.add_column(column, justify="right")
    for session in answers.sessions:
        table.add_row(*map(Text, _status_row(session)))
    console().print(table)
    foreign = sum(len(session.foreign) for session in answers.sessions)
    if foreign:
        complain(f"sscild: {foreign} stored steps belong to items that study.json no longer has; they are left out.")


def _status_row(session: SessionProgress) -> list[str]:
    done = [p for p in session.items.values() if p.is_complete]
    begun = [p for p in session.items.values() if not p.is_complete and (p.answers or p.seconds)]
    minutes = [p.seconds / 60 for p in done]
    last = max((at for p in session.items.values() for at in p.stored_at.values()), default="")
    return [
        session.reader,
        str(session.session),
        f"{len(done)} of {len(session.items)}",
        str(len(begun)),
        f"{statistics.median(minutes):.1f}" if minutes else "",
        f"{max(minutes):.1f}" if minutes else "",
        f"{sum(p.seconds + p.later_seconds for p in session.items.values()) / 3600:.1f}",
        str(sum(p.corrections for p in session.items.values())),
        last[:16].replace("T", " "),
    ]


@app.command("export")
def export(
    study_folder: StudyFolder,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Folder for the tables.")],
    key: Key = None,
    blinded: Annotated[bool, typer.Option("--blinded", help="Without the key: identifiers instead of cases.")] = False,
    open_cases: Annotated[
        bool, typer.Option("--open", help="Also what is stored of cases that are not complete.")
    ] = False,
) -> None:
    """Writes the answers as tables, under the cases' own names.

    OUT gets scores.csv (case, level, tot, gg, ret, reader, session, level_mm, seconds), levels.csv where readers
    placed the levels, ratings.csv of heat maps, times.csv, and network.csv where the key knows the network's scores.
    The session of a case's second showing ends in R. All of them fit sscild agreement.

    Example: [bold]sscild study export STUDY -o tables[/bold]
    """
    from ..observers.export import read_answers, tables, write_tables

    answers = read_answers(study_folder, key, blinded=blinded)
    written = write_tables(tables(answers, open_cases=open_cases), output)
    say(f"Written to {output}: {', '.join(path.name for path in written)}")
    left = answers.open_cases()
    if left and not open_cases:
        complain(f"sscild: {left} {'case is' if left == 1 else 'cases are'} begun and not complete; left out (--open).")
