"""What one log says about every case of a session: the answers that count, the time, what was revealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .answers import Answer, answer_from
from .fields import Fields
from .log import LogOwner, read_log
from .study import Study


@dataclass
class ItemProgress:
    """What a reader has done about one item.

    Args:
        needed: the keys of the answers it takes to complete it.
        answers: key -> the last answer. stored_at: key -> when, UTC.
        seconds: active seconds until it was complete. later_seconds: those of corrections after that.
        corrections: answers that replaced an earlier one.
        revealed: the reader has seen the network's answer; nothing can change any more.
        completed: its number in the order in which items were completed, from 1; None while it is open.
    """

    needed: tuple[tuple, ...]
    answers: dict[tuple, Answer] = field(default_factory=dict)
    stored_at: dict[tuple, str] = field(default_factory=dict)
    seconds: float = 0.0
    later_seconds: float = 0.0
    corrections: int = 0
    revealed: bool = False
    completed: int | None = None

    @property
    def missing(self) -> tuple[tuple, ...]:
        """The keys that have no answer yet."""
        return tuple(key for key in self.needed if key not in self.answers)

    @property
    def is_complete(self) -> bool:
        """Whether everything is answered."""
        return not self.missing


class SessionProgress:
    """One reader's session: item -> :class:`ItemProgress`, brought up to date record by record.

    Raises:
        ObserverError: a record that this software does not write.
    """

    def __init__(self, study: Study, reader: str, session: int, records: Sequence[dict] = ()) -> None:
        self.study, self.reader, self.session = study, reader, session
        self.items = {item.id: ItemProgress(study.answers_needed()) for item in study.items}
        self.foreign: list[str] = []
        for number, record in enumerate(records, start=2):
            self.add(record, f"{study.log_path('', reader, session).name}, line {number}")

    @property
    def complete(self) -> tuple[str, ...]:
        """The items that are complete, in the order in which they became so."""
        done = [(p.completed, item) for item, p in self.items.items() if p.completed is not None]
        return tuple(item for _, item in sorted(done))

    def add(self, record: dict, where: str = "The record") -> None:
        """Takes one record of the log into account. Items that the study no longer has are listed in ``foreign``."""
        fields = Fields(record, where)
        fields.text("at")
        if "event" in record and record["event"] != "reveal":
            return
        item_id = fields.text("item")
        progress = self.items.get(item_id)
        if progress is None:
            self.foreign.append(item_id)
            return
        if "event" in record:
            progress.revealed = True
            return
        seconds = _seconds(fields)
        answers = [answer_from(a, item_id, self.study.task, where) for a in fields.objects("answers")]
        if progress.is_complete:
            progress.later_seconds += seconds
        else:
            progress.seconds += seconds
        for answer in answers:
            progress.corrections += answer.key in progress.answers
            progress.answers[answer.key] = answer
            progress.stored_at[answer.key] = record["at"]
        if progress.is_complete and progress.completed is None:
            progress.completed = 1 + sum(p.completed is not None for p in self.items.values())


def read_progress(study: Study, folder: str | Path, reader: str, session: int) -> SessionProgress:
    """How far a reader's session is; it may be going on at this moment.

    Raises:
        ObserverError: the reader's log cannot be used.
    """
    content = read_log(study.log_path(folder, reader, session), LogOwner(study.study_id, reader, session))
    return SessionProgress(study, reader, session, content.records)


def _seconds(fields: Fields) -> float:
    value = fields.value("seconds")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e7:
        raise fields.problem("seconds", f"must be a number from 0, not {value!r}.")
    return float(value)
