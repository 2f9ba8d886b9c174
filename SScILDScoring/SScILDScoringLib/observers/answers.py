"""What a reader answers: the scores of a level, or the rating of a heat map."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..levels import Level
from ..scores import Pattern
from .errors import ObserverError
from .fields import Fields

LIKERT = ("strongly disagree", "disagree", "neutral", "agree", "strongly agree")
"""The five labels of a rating, 1 to 5."""

STEP = 5
"""Scores are given in steps of so many percent."""


@dataclass(frozen=True)
class ScoreAnswer:
    """TOT, GG and RET of one level, in percent of its lung area.

    TOT is the union of GG and RET, so that max(GG, RET) <= TOT <= GG + RET. Rounding to 5 % can break this rule
    rightly (2 % and 2 % make 4 %: 0, 0 and 5), so that a contradiction is a question to the reader, not a refusal:
    it is stored when the reader knows of it, and marked as such.

    Args:
        item: the blinded identifier. level: which of the five.
        tot, gg, ret: 0, 5, ..., 100.
        level_mm: RAS S of the level in millimetres; may be None where levels are given.
        knowingly: the reader keeps a contradiction.

    Raises:
        ObserverError: a score that is not on the 5 % grid, or a position that is no number.
    """

    item: str
    level: Level
    tot: int
    gg: int
    ret: int
    level_mm: float | None = None
    knowingly: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", _level(self.level))
        for name in ("tot", "gg", "ret"):
            value = getattr(self, name)
            if isinstance(value, bool) or value not in range(0, 101, STEP):
                raise ObserverError(f"{name.upper()} is one of 0, 5, 10, ..., 100 percent, not {value!r}.")
            object.__setattr__(self, name, int(value))
        if self.level_mm is not None:
            value = self.level_mm
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ObserverError(f"The position of {self.level.name} must be millimetres, not {value!r}.")
            object.__setattr__(self, "level_mm", round(float(value), 3))

    @property
    def key(self) -> tuple[Level]:
        """What of an item is answered; a later answer with the same key replaces an earlier one."""
        return (self.level,)

    @property
    def values(self) -> tuple[int, int, int]:
        """TOT, GG, RET."""
        return self.tot, self.gg, self.ret

    @property
    def contradiction(self) -> str | None:
        """A sentence when TOT cannot be the union of GG and RET; None when it can."""
        low, high = max(self.gg, self.ret), min(self.gg + self.ret, 100)
        if low <= self.tot <= high:
            return None
        allowed = f"from {low} to {high} %" if low < high else f"{low} %"
        return f"{self.level.name}: with GG {self.gg} % and RET {self.ret} %, TOT is {allowed}, not {self.tot} %."

    def to_dict(self) -> dict:
        """The answer as a log keeps it; the item is named by the record around it."""
        data = {"level": int(self.level), "tot": self.tot, "gg": self.gg, "ret": self.ret, "level_mm": self.level_mm}
        return {**data, "knowingly": True} if self.knowingly else data


@dataclass(frozen=True)
class LikertAnswer:
    """How far a reader agrees that a heat map shows a pattern where it is.

    Args:
        item: the blinded identifier. level, pattern: which of its maps. rating: 1 to 5, see :data:`LIKERT`.

    Raises:
        ObserverError: another rating.
    """

    item: str
    level: Level
    pattern: Pattern
    rating: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", _level(self.level))
        try:
            object.__setattr__(self, "pattern", Pattern(self.pattern))
        except ValueError as error:
            raise ObserverError(f"The pattern is tot, gg or ret, not {self.pattern!r}.") from error
        if isinstance(self.rating, bool) or self.rating not in range(1, len(LIKERT) + 1):
            raise ObserverError(f"A rating is 1 ({LIKERT[0]}) to 5 ({LIKERT[-1]}), not {self.rating!r}.")
        object.__setattr__(self, "rating", int(self.rating))

    @property
    def key(self) -> tuple[Level, Pattern]:
        """As :attr:`ScoreAnswer.key`."""
        return self.level, self.pattern

    @property
    def label(self) -> str:
        """The rating in words."""
        return LIKERT[self.rating - 1]

    def to_dict(self) -> dict:
        """As :meth:`ScoreAnswer.to_dict`."""
        return {"level": int(self.level), "pattern": self.pattern.value, "rating": self.rating}


Answer = ScoreAnswer | LikertAnswer


def answer_from(data: object, item: str, task: str, where: str) -> Answer:
    """The answer that :meth:`to_dict` of it gave. Raises ObserverError."""
    fields = Fields(data, where)
    level = Level(fields.count("level", 1, len(Level)))
    if task == "likert":
        answer = LikertAnswer(item, level, Pattern(fields.text("pattern", [p.value for p in Pattern])),
                              fields.count("rating", 1, len(LIKERT)))  # fmt: skip
    else:
        scores = [fields.count(name, 0, 100) for name in ("tot", "gg", "ret")]
        answer = ScoreAnswer(item, level, *scores, fields.value("level_mm"))
        if isinstance(data, dict) and "knowingly" in data:
            answer = replace(answer, knowingly=fields.flag("knowingly"))
    fields.finish()
    return answer


def _level(value: object) -> Level:
    try:
        return Level(value)
    except ValueError as error:
        raise ObserverError(f"A level is 1 to 5, not {value!r}.") from error
