"""Answers as tables, with the cases' own names: for agreement, for a manuscript, for another program."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files import write_text
from ..levels import Level
from ..scores import PATTERNS
from .answers import LIKERT
from .errors import ObserverError
from .key import StudyKey, read_key
from .progress import ItemProgress, SessionProgress, read_progress
from .study import Study, read_study

SCORES, LEVELS, RATINGS, TIMES, NETWORK = "scores.csv", "levels.csv", "ratings.csv", "times.csv", "network.csv"
COLUMNS = {
    SCORES: (
        *("case", "level", "tot", "gg", "ret", "reader", "session"),
        *("level_mm", "seconds", "item", "stored_at", "knowingly"),
    ),
    LEVELS: ("case", "level", "position_mm", "reader", "session", "item", "bottom_mm"),
    RATINGS: ("case", "level", "pattern", "rating", "label", "reader", "session", "seconds", "item", "stored_at"),
    TIMES: ("case", "reader", "session", "number", "seconds", "later_seconds", "corrections", "revealed", "item"),
    NETWORK: ("case", "level", "tot", "gg", "ret", "reader"),
}
REPEATED = "R"
"""Ends a session's name where a case was shown for the second time within it: ``T1R``."""

Rows = list[dict[str, object]]


@dataclass(frozen=True)
class StudyAnswers:
    """Everything that was answered.

    Args:
        folder: of the study. study: what it holds. key: None when the tables are to stay blinded.
        sessions: every reader's sessions, those not begun included.
    """

    folder: Path
    study: Study
    key: StudyKey | None
    sessions: tuple[SessionProgress, ...]

    def case_of(self, item_id: str) -> str:
        """The case's own name; the blinded identifier without a key."""
        return self.key.of(item_id).case if self.key else item_id

    def session_of(self, session: SessionProgress, item_id: str) -> str:
        """``T1``; ``T1R`` for the second showing of a case within the session."""
        again = self.key is not None and self.key.of(item_id).repeat
        return f"T{session.session}{REPEATED if again else ''}"

    def open_cases(self) -> int:
        """Items that somebody began and did not complete."""
        return sum(bool(p.answers) and not p.is_complete for s in self.sessions for p in s.items.values())


def read_answers(folder: str | Path, key: str | Path | None = None, *, blinded: bool = False) -> StudyAnswers:
    """All answers of a study; its sessions may be going on.

    Args:
        folder: the study folder. key: beside the folder when None. blinded: do without the key.

    Raises:
        ObserverError: study, key or a log of answers cannot be used.
    """
    study = read_study(folder)
    folder = Path(folder) if Path(folder).is_dir() else Path(folder).parent
    sessions = tuple(
        read_progress(study, folder, reader, number)
        for reader in study.readers
        for number in range(1, study.sessions + 1)
    )
    return StudyAnswers(folder, study, None if blinded else read_key(study, folder, key), sessions)


def tables(answers: StudyAnswers, *, open_cases: bool = False) -> dict[str, Rows]:
    """File name -> rows, of those tables that have rows.

    ``seconds`` is the active time of the whole case until it was complete, the same in each of its rows.

    Args:
        open_cases: take what is stored of cases that are not complete too.
    """
    found = {SCORES: [], LEVELS: [], RATINGS: [], TIMES: []}
    bottoms = bottoms_mm(answers) if answers.study.levels == "own" else {}
    for names, progress in _items(answers, open_cases):
        time = {"seconds": round(progress.seconds, 1)}
        for key in progress.needed:
            if key not in progress.answers:
                continue
            answer = progress.answers[key]
            row = {**names, **time, "level": int(answer.level), "stored_at": progress.stored_at[key]}
            if answers.study.task == "likert":
                rating = {"pattern": answer.pattern.value, "rating": answer.rating, "label": LIKERT[answer.rating - 1]}
                found[RATINGS].append(row | rating)
                continue
            scores = dict(zip((p.value for p in PATTERNS), answer.values, strict=True))
            found[SCORES].append(row | scores | {"level_mm": answer.level_mm, "knowingly": int(answer.knowingly)})
            if answers.study.levels == "own":
                bottom = {"bottom_mm": bottoms.get(names["item"])}
                found[LEVELS].append(row | {"position_mm": answer.level_mm} | bottom)
        if progress.is_complete:
            later = {"later_seconds": round(progress.later_seconds, 1), "number": progress.completed}
            done = {"corrections": progress.corrections, "revealed": int(progress.revealed)}
            found[TIMES].append({**names, **time, **later, **done})
    found[NETWORK] = network_rows(answers)
    return {name: rows for name, rows in found.items() if rows}


def bottoms_mm(answers: StudyAnswers) -> dict[str, float]:
    """RAS S of each item's lowest slice in millimetres, from which level positions are counted as published.

    Only the copies' headers are read. Items whose scan is not here or is tilted (which ITK does not read) are left out.
    """
    import SimpleITK as sitk

    found = {}
    for item in answers.study.items:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(answers.folder / item.scan))
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            continue
        x, y, _ = reader.GetSize()
        # The copies are in canonical orientation: k = 0 is the lowest slice; S is the same in LPS and RAS.
        direction = reader.GetDirection()[6:9]
        index = ((x - 1) / 2, (y - 1) / 2, 0.0)
        steps = (d * s * i for d, s, i in zip(direction, reader.GetSpacing(), index, strict=True))
        found[item.id] = round(reader.GetOrigin()[2] + sum(steps), 3)
    return found


def network_rows(answers: StudyAnswers) -> Rows:
    """The network's scores of the cases, as far as the key has them."""
    rows = []
    for case in answers.key.cases if answers.key else ():
        if case.network is None or case.repeat:
            continue
        for level, scores in zip(Level, case.network, strict=True):
            named = dict(zip((p.value for p in PATTERNS), scores, strict=True))
            rows.append({"case": case.case, "level": int(level), **named, "reader": "network"})
    return sorted(rows, key=lambda row: (row["case"], row["level"]))


def write_tables(found: Mapping[str, Rows], folder: str | Path) -> list[Path]:
    """Writes the tables as CSV; each appears complete or not at all.

    Raises:
        SettingsError: the folder cannot be written. ObserverError: there is nothing to write.
    """
    if not set(found) - {NETWORK}:
        raise ObserverError("No case is complete yet; there is nothing to export.")
    return [write_text(Path(folder) / name, _csv(COLUMNS[name], rows)) for name, rows in found.items()]


def _items(answers: StudyAnswers, open_cases: bool) -> Iterator[tuple[dict, ItemProgress]]:
    """What names an item in a row, and its progress; by reader, session, case."""
    for session in answers.sessions:
        rows = []
        for item_id, progress in session.items.items():
            if progress.is_complete or (open_cases and progress.answers):
                names = {"case": answers.case_of(item_id), "session": answers.session_of(session, item_id)}
                rows.append(({**names, "reader": session.reader, "item": item_id}, progress))
        yield from sorted(rows, key=lambda row: (row[0]["session"], row[0]["case"]))


def _csv(columns: Sequence[str], rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
