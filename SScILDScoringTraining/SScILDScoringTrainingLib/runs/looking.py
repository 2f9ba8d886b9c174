"""What a run folder shows while it is being trained, and afterwards: curves, log, pictures, time left."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..run_status import RunStatus

CONSOLE = "console.txt"
"""What the process of a run that :mod:`.starting` started printed."""
EVALUATION = "evaluation"
"""Folder of a run in which its evaluation lies; ``figures.json`` there names the pictures."""
VALIDATION = "validation_"
"""What names of the validation's columns begin with in ``curves.csv``."""

_PICTURES = {
    "inputs.png": "What the network was fed lately",
    "examples.png": "Examples of synthetic disease",
    "scores.png": "Distribution of the scores",
}
_TAIL_BYTES = 1 << 18
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Colours and cursor movements of a terminal."""


@dataclass(frozen=True)
class Curves:
    """The curves of a run so far.

    Args:
        train: name -> values: ``step``, ``seconds``, ``learning_rate``, ``loss`` and the loss's parts, all of one
            length. validation: the same of the validations: ``step``, ``seconds``, ``mae`` and its parts (percentage
            points for scores, millimetres for levels). A value that is missing in a row is NaN.
    """

    train: dict[str, list[float]] = field(default_factory=dict)
    validation: dict[str, list[float]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing was logged yet."""
        return not self.train and not self.validation


@dataclass(frozen=True)
class Picture:
    """A picture of a run: its title and the PNG file."""

    title: str
    path: Path


def read_curves(folder: str | Path) -> Curves:
    """The curves in ``curves.csv``; empty when there are none yet. A row that is not complete is left out."""
    try:
        text = (Path(folder) / "curves.csv").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Curves()
    header, *lines = csv.reader(io.StringIO(text[: text.rfind("\n") + 1])) if "\n" in text else [[]]
    rows = [row for line in lines if (row := _numbers(header, line))]
    judged = [name for name in header if name.startswith(VALIDATION)]
    learned = [name for name in header if name not in ("step", "seconds", *judged)]
    return Curves(_part(rows, learned), _part(rows, judged))


def log_tail(folder: str | Path, lines: int = 200) -> str:
    """The last lines of what the run said: its log, followed by what its process printed in this session."""
    said = [_tail(Path(folder) / name) for name in ("log.txt", CONSOLE)]
    return "\n".join("\n".join(filter(None, said)).splitlines()[-lines:])


def pictures(folder: str | Path) -> tuple[Picture, ...]:
    """The pictures that a run's or study's folder has by now, those that change while it trains first."""
    folder = Path(folder)
    found = [Picture(title, folder / name) for name, title in _PICTURES.items() if (folder / name).is_file()]
    found += _evaluated(folder / EVALUATION)
    drawn = {*folder.glob("*.png"), *(folder / "agreement" / "figures").glob("*.png")}
    found += [Picture(_title(path), path) for path in sorted(drawn) if path.name not in _PICTURES]
    return tuple(found)


def read_evaluation(folder: str | Path) -> dict | None:
    """What the last evaluation of a run found, as the worker's operation ``evaluate`` answered; None without one.

    See :func:`..operations.evaluating.evaluate` for the keys.
    """
    place = Path(folder) / EVALUATION
    try:
        found = json.loads((place / "evaluation.json").read_text(encoding="utf-8"))
        figures = [{"title": p.title, "path": str(p.path)} for p in _evaluated(place)]
        return {**found, "folder": str(place), "figures": figures, "page": str(place / "report.html")}
    except (OSError, ValueError, TypeError):
        return None


def time_left_in_words(status: RunStatus | None) -> str:
    """``about 1.5 h left``, ``about 5 min left``; empty when nobody can know, or nothing is being done."""
    if status is None or status.state not in ("preparing", "running") or status.seconds_left is None:
        return ""
    minutes = status.seconds_left / 60
    if minutes >= 48 * 60:
        return f"about {minutes / 1440:.1f} days left"
    if minutes >= 90:
        return f"about {minutes / 60:.1f} h left"
    return f"about {minutes:.0f} min left" if minutes >= 1 else "less than a minute left"


def last_words(path: Path) -> list[str]:
    """The lines at the end of a console's file, without colours, boxes and empty lines."""
    lines = (line.strip(" │╭╮╰╯─\t") for line in _tail(path).splitlines())
    return [line for line in lines if line]


# ---- inside ----------------------------------------------------------------------------------------------------------


def _numbers(header: list[str], line: list[str]) -> dict[str, float] | None:
    """A row's numbers by column, NaN where a cell is empty; None for a row that is none."""
    if len(line) != len(header):
        return None
    try:
        return {name: float(cell) if cell else math.nan for name, cell in zip(header, line, strict=True)}
    except ValueError:
        return None


def _part(rows: list[dict[str, float]], names: list[str]) -> dict[str, list[float]]:
    """The columns ``names`` of the rows that have any of them, with ``step`` and ``seconds``."""
    chosen = [row for row in rows if any(not math.isnan(row[name]) for name in names)]
    if not chosen:
        return {}
    always = [name for name in ("step", "seconds") if name in chosen[0]]
    return {name.removeprefix(VALIDATION): [row[name] for row in chosen] for name in (*always, *names)}


def _tail(path: Path) -> str:
    """The end of a text file, without what is meant for terminals; empty when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    if size > _TAIL_BYTES:
        text = text.partition("\n")[2]
    lines = (line.rpartition("\r")[2].rstrip() for line in _CONTROL.sub("", text.replace("\r\n", "\n")).split("\n"))
    return "\n".join(lines).strip("\n")


def _evaluated(folder: Path) -> Iterator[Picture]:
    """The pictures that an evaluation lists, those that are there."""
    try:
        listed = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        named = [(str(one["title"]), folder / str(one["file"])) for one in listed]
    except (OSError, ValueError, KeyError, TypeError):
        return
    yield from (Picture(title, path) for title, path in named if path.is_file())


def _title(path: Path) -> str:
    words = path.stem.replace("_", " ")
    return words[:1].upper() + words[1:]
