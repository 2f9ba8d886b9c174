"""What a reader study is, as readers have it: ``study.json``. It names no case; the key does (see :mod:`.key`)."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..files import write_text
from ..levels import Level, LevelError, Levels
from ..results import safe_name
from ..scores import PATTERNS, Pattern
from .errors import ObserverError
from .fields import Fields, read_json

FILE = "study.json"
ANSWERS = "answers"
FORMAT = 1
TASKS = {"scores": "TOT, GG and RET of five levels", "likert": "rating of heat maps"}
LEVEL_CHOICES = {"own": "the reader places the five levels", "given": "the five levels are fixed"}
MOST_SESSIONS = 9
_ID = re.compile(r"[A-Z0-9]{3,12}")


@dataclass(frozen=True)
class StudyItem:
    """One case as readers see it.

    Args:
        id: the blinded identifier, letters and digits.
        scan: the CT, relative to the study folder.
        levels_mm: RAS S of the five levels in millimetres, L1 first; None where readers place them.
        maps: folder of the heat maps ``level_1_tot.nrrd`` ..., relative to the study folder; None without any.
    """

    id: str
    scan: str
    levels_mm: tuple[float, ...] | None = None
    maps: str | None = None


@dataclass(frozen=True)
class Study:
    """A reader study as readers have it.

    Args:
        name: for people. study_id: ties study, key and answers together.
        task: a key of :data:`TASKS`. levels: a key of :data:`LEVEL_CHOICES`.
        patterns: what is scored or rated; a score needs all three.
        readers: their names, each with an own log of answers per session. sessions: how often everyone reads.
        order_seed: what the readers' orders are made from; tells nothing about the cases.
        reveal: whether a reader may see the network's answer after having stored an own one.
        items: the cases, sorted by their blinded identifier.

    Raises:
        ObserverError: a combination that cannot be read by anyone.
    """

    name: str
    study_id: str
    task: str
    levels: str
    patterns: tuple[Pattern, ...]
    readers: tuple[str, ...]
    sessions: int
    order_seed: str
    reveal: bool
    items: tuple[StudyItem, ...]

    def __post_init__(self) -> None:
        if not self.items:
            raise ObserverError("A study needs at least one case.")
        check_readers(self.readers)
        if len(set(self.patterns)) != len(self.patterns) or not self.patterns:
            raise ObserverError("patterns: each of tot, gg, ret at most once, and at least one.")
        if self.task == "scores" and self.patterns != PATTERNS:
            raise ObserverError("patterns: scores are always given for all three: tot, gg, ret, in this order.")
        if self.task == "likert" and self.levels != "given":
            raise ObserverError("levels: heat maps belong to levels that are given; write given.")
        for item in self.items:
            if (item.levels_mm is None) == (self.levels == "given"):
                hint = "needs levels_mm, since levels is given" if self.levels == "given" else "must not have levels_mm"
                raise ObserverError(f"Item {item.id} {hint}.")
            if self.task == "likert" and item.maps is None:
                raise ObserverError(f"Item {item.id} has no maps to rate; name their folder.")
            if self.task == "scores" and item.maps is not None:
                raise ObserverError(f"Item {item.id} has maps, which would tell the network's answer; take them out.")
        for one, other in itertools.pairwise(sorted(item.id for item in self.items)):
            if one == other:
                raise ObserverError(f"Item {one} is there twice; every item needs an id of its own.")

    def item(self, item_id: str) -> StudyItem:
        """The item with this blinded identifier. Raises ObserverError."""
        for item in self.items:
            if item.id == item_id:
                return item
        raise ObserverError(f"The study {self.name} has no item {item_id!r}.")

    def check_session(self, reader: str, session: int) -> None:
        """Raises ObserverError unless this reader has this session."""
        if reader not in self.readers:
            raise ObserverError(
                f"{reader!r} is not a reader of {self.name}; its readers are {', '.join(self.readers)}."
            )
        if session not in range(1, self.sessions + 1):
            raise ObserverError(f"{self.name} has the sessions 1 to {self.sessions}, not {session}.")

    def log_path(self, folder: str | Path, reader: str, session: int) -> Path:
        """Where a reader's answers of a session are kept."""
        return Path(folder) / ANSWERS / f"{safe_name(reader)}_session_{session}.jsonl"

    def answers_needed(self) -> tuple[tuple, ...]:
        """What one item needs: levels, or level and pattern; the keys of :attr:`.answers.Answer.key`."""
        if self.task == "scores":
            return tuple((level,) for level in Level)
        return tuple((level, pattern) for level in Level for pattern in self.patterns)


def check_readers(readers: tuple[str, ...]) -> None:
    """Raises ObserverError unless there are readers whose answers can have files of their own."""
    if not readers:
        raise ObserverError("readers: a study needs at least one reader.")
    files: dict[str, str] = {}
    for reader in readers:
        if reader != reader.strip() or len(reader) > 60 or not reader.isprintable() or not reader:
            raise ObserverError(f"readers: {reader!r} is not usable as a name; use up to 60 printable characters.")
        file = safe_name(reader).casefold()
        if file in files:
            raise ObserverError(f"readers: {files[file]!r} and {reader!r} are too alike; each needs an own file name.")
        files[file] = reader


def read_study(path: str | Path) -> Study:
    """The study in a folder, or in its ``study.json``.

    Raises:
        ObserverError: no study there, or a key that is missing, unknown or has an unusable value; the message names
            the key and says what to do.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise ObserverError(f"There is no study in {path.parent}: it has no {FILE}. Make one with: sscild study create")
    fields = Fields(read_json(path, "The study"), path.name)
    if fields.count("format", 1, 10_000) > FORMAT:
        raise ObserverError(f"{path} was written by a newer version of this software; update to use it.")
    study = {
        "name": fields.text("name"),
        "study_id": fields.text("study"),
        "task": fields.text("task", TASKS),
        "levels": fields.text("levels", LEVEL_CHOICES),
        "patterns": _patterns(fields),
        "readers": fields.texts("readers"),
        "sessions": fields.count("sessions", 1, MOST_SESSIONS),
        "order_seed": fields.text("order_seed"),
        "reveal": fields.flag("reveal"),
        "items": tuple(_item(data, i, path.name) for i, data in enumerate(fields.objects("items"), start=1)),
    }
    fields.finish()
    try:
        return Study(**study)
    except ObserverError as error:
        raise ObserverError(f"{path.name}: {error}") from error


def write_study(study: Study, folder: str | Path) -> Path:
    """Writes ``study.json`` into the study's folder; it appears complete or not at all.

    Raises:
        SettingsError: it cannot be written.
    """
    data = {
        "format": FORMAT,
        "name": study.name,
        "study": study.study_id,
        "task": study.task,
        "levels": study.levels,
        "patterns": [p.value for p in study.patterns],
        "readers": list(study.readers),
        "sessions": study.sessions,
        "order_seed": study.order_seed,
        "reveal": study.reveal,
    }
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    rows = [json.dumps(_row(item), ensure_ascii=False, allow_nan=False) for item in study.items]
    text += ',\n  "items": [\n    ' + ",\n    ".join(rows) + "\n  ]\n}\n"  # one line an item, for people who edit
    return write_text(Path(folder) / FILE, text)


def _row(item: StudyItem) -> dict:
    levels_mm = None if item.levels_mm is None else list(item.levels_mm)
    return {"id": item.id, "scan": item.scan, "levels_mm": levels_mm, "maps": item.maps}


def _patterns(fields: Fields) -> tuple[Pattern, ...]:
    try:
        return tuple(Pattern(name) for name in fields.texts("patterns"))
    except ValueError as error:
        raise fields.problem("patterns", "must be a list of some of tot, gg, ret.") from error


def _item(data: object, number: int, name: str) -> StudyItem:
    fields = Fields(data, f"{name}, item {number}")
    item_id = fields.text("id")
    if not _ID.fullmatch(item_id):
        raise fields.problem("id", f"must be 3 to 12 capital letters and digits, not {item_id!r}.")
    scan = _inside(fields, "scan", fields.text("scan"))
    levels_mm = fields.numbers("levels_mm", len(Level))
    if levels_mm is not None:
        try:
            Levels.from_mm(levels_mm)
        except LevelError as error:
            raise fields.problem("levels_mm", f"cannot be used. {error}") from error
    maps = fields.value("maps")
    if maps is not None:
        maps = _inside(fields, "maps", fields.text("maps"))
    fields.finish()
    return StudyItem(item_id, scan, levels_mm, maps)


def _inside(fields: Fields, key: str, text: str) -> str:
    """A path that stays inside the study folder: what a reader opens must have been blinded."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or ":" in text:
        raise fields.problem(key, f"must be a path inside the study folder as scans/ABCD.nii.gz, not {text!r}.")
    return text
