"""What the command line shows: progress bars, tables and sentences, on a terminal or in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..progress import Progress, silent

if TYPE_CHECKING:
    from ..report import Truth
    from ..results import ScanResult

STAGES = {
    "read": "Reading the CT",
    "quality": "Checking the scan",
    "lungs": "Finding the lungs",
    "landmarks": "Finding landmarks",
    "levels": "Placing the levels",
    "scores": "Scoring the slices",
    "explanations": "Network's own maps",
    "profile": "Scoring every slice",
    "heat_maps": "Heat maps",
    "phantom": "Making the phantom",
    "report": "Writing the report",
}
_MARKS = {"error": ("✖", "bold red"), "warning": ("▲", "yellow"), "info": ("•", "cyan")}


def console() -> Console:
    """Standard output; made anew each time, so that a redirected stream is respected."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, soft_wrap=True, width=120)  # a log file has no edge to wrap at


def say(text: str = "") -> None:
    """A sentence for people on standard output; brackets in it are shown as they are."""
    console().print(Text(text))


def complain(text: str) -> None:
    """One line on standard error."""
    print(" ".join(text.split()), file=sys.stderr, flush=True)


@contextmanager
def shown_progress(quiet: bool = False) -> Iterator[Progress]:
    """A progress callable that draws bars on a terminal, writes a line per stage elsewhere, or says nothing."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        yield from _bars()
    else:
        yield _Lines()


def _bars() -> Iterator[Progress]:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<20}"), BarColumn(bar_width=30), TimeElapsedColumn())
    tasks: dict[str, int] = {}
    with Bars(*columns, TextColumn("{task.fields[note]}", style="dim"), console=Console(stderr=True)) as bars:

        def progress(stage: str, fraction: float, message: str) -> None:
            title = STAGES.get(stage, stage.replace("_", " "))
            if stage not in tasks:
                for other in tasks.values():
                    bars.update(other, completed=1.0, note="")
                tasks[stage] = bars.add_task(title, total=1.0, note="")
            note = "" if message.startswith(title) or fraction >= 1 else message
            bars.update(tasks[stage], completed=min(max(fraction, 0.0), 1.0), note=note)

        yield progress


class _Lines:
    """One plain line on standard error when a stage begins, for log files."""

    def __init__(self) -> None:
        self._stage = ""
        self._start = time.perf_counter()

    def __call__(self, stage: str, fraction: float, message: str) -> None:
        if stage != self._stage:
            self._stage = stage
            seconds = time.perf_counter() - self._start
            print(f"[{seconds:6.1f} s] {STAGES.get(stage, message or stage)}", file=sys.stderr, flush=True)


def show_result(result: ScanResult, folder: object) -> None:
    """Levels, scores, extent, stage and findings of a scan, and where its report lies."""
    from ..heat_map_words import how_made
    from ..report import source_name, stage_reason
    from ..results import NOTICE
    from ..scores import PATTERNS

    out = console()
    table = Table(title=Text(result.case, style="bold"), title_justify="left", pad_edge=False, box=None)
    table.add_column("level", no_wrap=True, min_width=5)
    table.add_column("anatomy", max_width=36)
    for name in ("S mm", "slice", *(p.name for p in PATTERNS)):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("placed by", no_wrap=True)
    table.add_column("spread", justify="right", no_wrap=True)
    for i, position in enumerate(result.levels):
        spread = "" if position.spread_mm is None else f"±{position.spread_mm:.1f} mm"
        scores = (f"{v} %" for v in result.scores[i].reported)
        where = (f"{position.mm:.1f}", str(result.file_slice_indices[i]))
        row = (position.level.name, position.level.title, *where, *scores, source_name(position.source), spread)
        table.add_row(*row)
    extent = (f"{v:.0f} %" for v in result.extent)
    table.add_row("", "mean (disease extent)", "", "", *extent, "", "", style="bold")
    out.print()
    out.print(table)
    if result.profile:
        whole = ", ".join(f"{p.name} {v:.1f} %" for p, v in zip(PATTERNS, result.profile.extent, strict=True))
        out.print(Text(f"Whole lung, every slice: {whole}"))
    out.print(Text.assemble(("Goh stage: ", ""), (result.stage.value, "bold"), (f". {stage_reason(result)}", "")))
    for finding in result.findings:
        mark, style = _MARKS[finding.severity]
        out.print(Text.assemble((f"{mark} {finding.severity}: ", style), (finding.message, "")))
    if result.heat_maps:
        out.print(Text(f"Heat maps: {how_made(result.heat_maps)}"))
    out.print(Text(f"Report: {folder}/report.html"))
    out.print(Text(NOTICE, style="dim"))


def show_truth(result: ScanResult, truth: Truth) -> None:
    """The result of a phantom beside what the phantom knows."""
    from ..scores import PATTERNS

    table = Table(title=Text("Compared with the phantom's truth"), title_justify="left", pad_edge=False, box=None)
    table.add_column("level")
    for name in ("true S mm", "error", *(f"{p.name} true/network" for p in PATTERNS)):
        table.add_column(name, justify="right", no_wrap=True)
    for i, (found, known) in enumerate(zip(result.levels, truth.levels, strict=True)):
        scores = (f"{a:.0f} / {b:.0f} %" for a, b in zip(truth.scores[i], result.scores[i].clipped, strict=True))
        table.add_row(found.level.name, f"{known.mm:.1f}", f"{found.mm - known.mm:+.1f} mm", *scores)
    out = console()
    out.print()
    out.print(table)
