"""A reader's session: one case after the other, answers stored as they are given."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..levels import Level
from ..scores import Pattern
from .answers import Answer, LikertAnswer, ScoreAnswer
from .errors import Contradiction, ObserverError
from .key import read_key
from .log import AnswerLog, LogOwner
from .order import reading_order
from .progress import ItemProgress, SessionProgress, read_progress
from .stopwatch import Stopwatch
from .study import read_study


@dataclass(frozen=True)
class ReadingItem:
    """One case as a reader gets it.

    Args:
        id: the blinded identifier. number: its place in this session, from 1.
        scan: the CT's file. levels_mm: RAS S of the given levels, L1 first; None where the reader places them.
        maps: the heat maps' files by level and pattern; empty where scores are the task.
    """

    id: str
    number: int
    scan: Path
    levels_mm: tuple[float, ...] | None = None
    maps: Mapping[tuple[Level, Pattern], Path] = field(default_factory=dict)


class ReadingSession:
    """A reader's session of a study, opened where it was left.

    >>> session = ReadingSession("STUDY", "A", 1)                                       # doctest: +SKIP
    >>> item = session.current                                                          # doctest: +SKIP
    >>> session.store([ScoreAnswer(item.id, 1, 20, 15, 10, level_mm=-60.0), ...])       # doctest: +SKIP
    >>> session.next()                                                                  # doctest: +SKIP

    The time of the current item runs from the moment it becomes current; :meth:`pause` while a scan is being loaded
    or nobody reads. Every :meth:`store` is on the disk when it returns.

    Args:
        study_folder: with ``study.json``. reader, session: who reads, and which time (from 1).
        key: the owner's key, needed for :meth:`reveal` only; looked for beside the study folder when None.
        clock: seconds that only grow.

    Raises:
        ObserverError: no such study, reader or session; the answers are damaged or open elsewhere.
    """

    def __init__(
        self,
        study_folder: str | Path,
        reader: str,
        session: int = 1,
        *,
        key: str | Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = Path(study_folder)
        self.folder = self.folder if self.folder.is_dir() else self.folder.parent
        self.study = read_study(study_folder)
        self.study.check_session(reader, session)
        self.reader, self.session = reader, session
        self._key = key
        order = reading_order((i.id for i in self.study.items), self.study.order_seed, reader, session)
        self.items = tuple(self._item(item_id, n) for n, item_id in enumerate(order, start=1))
        owner = LogOwner(self.study.study_id, reader, session)
        self._log = AnswerLog(self.study.log_path(self.folder, reader, session), owner)
        try:
            self._progress = SessionProgress(self.study, reader, session, self._log.records)
        except BaseException:
            self._log.close()
            raise
        self._stopwatch = Stopwatch(clock)
        self._current: ReadingItem | None = None
        self._go_to(next(iter(self.remaining), None))

    # ---- where the reader is ---------------------------------------------------------------------------------------

    @property
    def current(self) -> ReadingItem | None:
        """The item that is being read; None when everything is answered."""
        return self._current

    @property
    def answered(self) -> tuple[ReadingItem, ...]:
        """The complete items, in this session's order."""
        return tuple(item for item in self.items if self._progress.items[item.id].is_complete)

    @property
    def remaining(self) -> tuple[ReadingItem, ...]:
        """The items that lack an answer, in this session's order."""
        return tuple(item for item in self.items if not self._progress.items[item.id].is_complete)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know on opening: a step that a crash cut off, an earlier session left open."""
        earlier = []
        for number in range(1, self.session):
            left = len(self.items) - len(read_progress(self.study, self.folder, self.reader, number).complete)
            if left:
                earlier.append(f"Session {number} of {self.reader} is not finished: {left} cases are left.")
        return (*self._log.notes, *earlier)

    def next(self) -> ReadingItem | None:
        """Goes to the next item that lacks an answer, after the last one to the first; None when there is none.

        An item that is left open keeps its answers and its time, and comes again.
        """
        start = self._current.number if self._current else 0
        order = (*self.items[start:], *self.items[:start])
        remaining = {item.id for item in self.remaining}
        following = next((item for item in order if item.id in remaining), None)
        return self._go_to(following)

    def open(self, item: ReadingItem | str) -> ReadingItem:
        """Goes to any item, to correct it or to read it out of turn. Raises ObserverError for one of another study."""
        return self._go_to(self._own(item))

    # ---- answers ---------------------------------------------------------------------------------------------------

    def answers_of(self, item: ReadingItem | str) -> dict[tuple, Answer]:
        """One's own last answers to an item, by ``(level,)`` or ``(level, pattern)``."""
        return dict(self._of(item).answers)

    def missing_of(self, item: ReadingItem | str) -> tuple[tuple, ...]:
        """What of an item is not answered, as keys of :meth:`answers_of`."""
        return self._of(item).missing

    def store(self, answers: Answer | Sequence[Answer], *, knowingly: bool = False) -> None:
        """Stores answers to the current item, all of them or none; they are on the disk when this returns.

        Args:
            answers: one, or those of several levels; an earlier answer to the same level is replaced (and kept in
                the log's history).
            knowingly: the reader keeps scores of which TOT cannot be the union of GG and RET.

        Raises:
            Contradiction: such scores, without ``knowingly``.
            ObserverError: another item's or task's answers, levels out of order or missing, an item whose network
                answer was revealed, or a disk that cannot be written; then nothing is stored.
        """
        answers = [answers] if isinstance(answers, ScoreAnswer | LikertAnswer) else list(answers)
        if self._current is None:
            raise ObserverError("Everything is answered; open a case to correct it.")
        if not answers:
            raise ObserverError("There is no answer to store.")
        if self._is_closed(self._current):
            raise ObserverError("The network's answer to this case was shown; your own cannot be changed any more.")
        answers = [self._checked(answer, knowingly) for answer in answers]
        if len({answer.key for answer in answers}) < len(answers):
            raise ObserverError("There are two answers to the same level; give one.")
        self._check_levels(answers)
        self._write(answers)

    def reveal(self, item: ReadingItem | str) -> dict[Level, tuple[float, float, float]]:
        """The network's TOT, GG and RET of an item's levels. Afterwards one's own answers to the case are closed.

        Closed in every session and showing. That it was seen is noted durably before it is told.

        Raises:
            ObserverError: the study does not allow it, one's own answers are not all stored, one will read the same
                case again (a later session, a repeated case), or there is no key or no answer of the network.
        """
        item = self._own(item)
        if not self.study.reveal:
            raise ObserverError("This study does not show the network's answers.")
        if self._progress.items[item.id].missing:
            raise ObserverError("Store your own answer to every level first; then the network's can be shown.")
        key = read_key(self.study, self.folder, self._key)
        network = key.of(item.id).network
        if network is None:
            raise ObserverError("The key has no answer of the network for this case.")
        if self._reads_again(key.same_case(item.id)):
            raise ObserverError("You will read this case once more; the network's answer can be shown after that.")
        for shown in key.same_case(item.id):  # its other showing is closed with it
            if shown in self._progress.items and not self._progress.items[shown].revealed:
                self._progress.add(self._log.append({"event": "reveal", "item": shown}))
        return dict(zip(Level, network, strict=True))

    # ---- time ------------------------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether time stands still."""
        return not self._stopwatch.running

    @property
    def seconds(self) -> float:
        """Active seconds on the current item so far, those of earlier sittings included."""
        if self._current is None:
            return 0.0
        progress = self._progress.items[self._current.id]
        return progress.seconds + progress.later_seconds + self._stopwatch.seconds

    def pause(self) -> None:
        """Time stands still until :meth:`resume`."""
        self._stopwatch.stop()

    def resume(self) -> None:
        """Time runs again."""
        if self._current is not None:
            self._stopwatch.start()

    def close(self) -> None:
        """Keeps the time spent on the open item, and lets others open this session. Closing twice is fine."""
        self._keep_time()
        self._current = None
        self._stopwatch.stop()
        self._log.close()

    def __enter__(self) -> ReadingSession:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _item(self, item_id: str, number: int) -> ReadingItem:
        item = self.study.item(item_id)
        maps = {}
        if item.maps is not None:
            maps = {
                (level, pattern): self.folder / item.maps / f"level_{level:d}_{pattern.value}.nrrd"
                for level in Level
                for pattern in self.study.patterns
            }
        return ReadingItem(item.id, number, self.folder / item.scan, item.levels_mm, maps)

    def _own(self, item: ReadingItem | str) -> ReadingItem:
        item_id = item if isinstance(item, str) else item.id
        self.study.item(item_id)
        return next(own for own in self.items if own.id == item_id)

    def _of(self, item: ReadingItem | str) -> ItemProgress:
        return self._progress.items[self._own(item).id]

    def _go_to(self, item: ReadingItem | None) -> ReadingItem | None:
        self._keep_time()
        self._current = item
        self._stopwatch.take()
        if item is None:
            self._stopwatch.stop()
        else:
            self._stopwatch.start()
        return item

    def _keep_time(self) -> None:
        """Time spent on an item that is left open is stored, so that it counts when the reader comes back."""
        if self._current is not None and self._stopwatch.seconds >= 0.5 and self._of(self._current).missing:
            self._write([])

    def _write(self, answers: Sequence[Answer]) -> None:
        record = {
            "item": self._current.id,
            "seconds": round(self._stopwatch.seconds, 1),
            "answers": [answer.to_dict() for answer in answers],
        }
        self._progress.add(self._log.append(record))
        self._stopwatch.take()

    def _checked(self, answer: Answer, knowingly: bool) -> Answer:
        wanted = ScoreAnswer if self.study.task == "scores" else LikertAnswer
        if not isinstance(answer, wanted):
            raise ObserverError(f"This study asks for {self.study.task}; another kind of answer cannot be stored.")
        if answer.item != self._current.id:
            raise ObserverError("This answer belongs to another case than the one that is open.")
        return self._checked_score(answer, knowingly) if wanted is ScoreAnswer else self._checked_rating(answer)

    def _checked_rating(self, answer: LikertAnswer) -> LikertAnswer:
        if answer.pattern not in self.study.patterns:
            raise ObserverError(f"This study does not rate {answer.pattern.name}.")
        return answer

    def _checked_score(self, answer: ScoreAnswer, knowingly: bool) -> ScoreAnswer:
        if answer.contradiction and not knowingly:
            raise Contradiction(f"{answer.contradiction} Change it, or keep it knowingly (rounding can do this).")
        given = self._current.levels_mm
        position = answer.level_mm if given is None else given[answer.level - 1]
        if position is None:
            raise ObserverError(f"{answer.level.name} has no position; place it first.")
        return replace(answer, level_mm=position, knowingly=bool(answer.contradiction))

    def _check_levels(self, answers: Sequence[Answer]) -> None:
        """Own levels descend from L1 to L5, those stored before included."""
        if self.study.task != "scores" or self._current.levels_mm is not None:
            return
        merged = {**self._of(self._current).answers, **{answer.key: answer for answer in answers}}
        placed = [merged[(level,)] for level in Level if (level,) in merged]
        for above, below in itertools.pairwise(placed):
            if not above.level_mm > below.level_mm:
                raise ObserverError(
                    f"{above.level.name} ({above.level_mm:.1f} mm) must lie above {below.level.name} "
                    f"({below.level_mm:.1f} mm); move one of them."
                )

    def _is_closed(self, item: ReadingItem) -> bool:
        """Whether the reader has seen the network's answer to this case, in whichever session."""
        if not self.study.reveal:
            return False
        return any(progress.items[item.id].revealed for progress in self._all_sessions())

    def _all_sessions(self) -> Iterator[SessionProgress]:
        """This reader's sessions; the others as they are on the disk now."""
        for number in range(1, self.study.sessions + 1):
            own = number == self.session
            yield self._progress if own else read_progress(self.study, self.folder, self.reader, number)

    def _reads_again(self, same: Sequence[str]) -> bool:
        return any(
            progress.items[item].missing for progress in self._all_sessions() for item in same if item in progress.items
        )
