"""What a reader has typed about one case, and where the reader is in it; nothing here is stored or shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from slicer.i18n import tr as _

from ..levels import Level
from ..observers.answers import LIKERT, STEP, Answer, LikertAnswer, ScoreAnswer
from ..scores import Pattern

Cell = tuple[Level, Pattern]


class ReadingSheet:
    """Five levels by one to three patterns, filled cell by cell with digits and steps.

    Args:
        patterns: the columns. likert: ratings 1 to 5 instead of percentages on the 5 % grid.

    Attributes:
        current: the cell that keys fill.
        typed: digits of the current cell that make no score yet ("3" on the way to 30 or 35), or an empty text.
    """

    def __init__(self, patterns: Sequence[Pattern], likert: bool) -> None:
        self.likert = likert
        self.patterns = tuple(patterns)
        self.cells: tuple[Cell, ...] = tuple((level, pattern) for level in Level for pattern in self.patterns)
        self.current: Cell = self.cells[0]
        self.typed = ""
        self._values: dict[Cell, int] = {}
        self._typing = False  # whether the next digit belongs to the number that is there

    # ---- what is there ---------------------------------------------------------------------------------------------

    def __getitem__(self, cell: Cell) -> int | None:
        return self._values.get(cell)

    @property
    def missing(self) -> tuple[Cell, ...]:
        """The empty cells."""
        return tuple(cell for cell in self.cells if cell not in self._values)

    @property
    def changed(self) -> tuple:
        """Plain values that differ whenever the sheet differs."""
        return tuple(sorted((int(level), p.value, v) for (level, p), v in self._values.items()))

    def unfinished(self) -> str:
        """Why the current cell cannot be left, or an empty text."""
        if not self.typed:
            return ""
        return _("{number} is no score yet: scores go in steps of {step} %. Type one more digit, or Backspace.").format(
            number=self.typed, step=STEP
        )

    def contradictions(self) -> list[str]:
        """A sentence for every level whose scores cannot be right together, also while one of them is missing."""
        found = [] if self.likert else [self._contradiction(level) for level in Level]
        return [sentence for sentence in found if sentence]

    def contradicts(self, level: Level) -> bool:
        """Whether a level's scores cannot be right together."""
        return not self.likert and bool(self._contradiction(level))

    def _contradiction(self, level: Level) -> str:
        tot, gg, ret = (self._values.get((level, p)) for p in Pattern)
        if None not in (tot, gg, ret):
            if max(gg, ret) <= tot <= min(gg + ret, 100):
                return ""
            low, high = max(gg, ret), min(gg + ret, 100)
            if low == high:
                sentence = _("L{level}: with GG {gg} % and RET {ret} %, TOT is {low} %, not {tot} %.")
            else:
                sentence = _("L{level}: with GG {gg} % and RET {ret} %, TOT is from {low} to {high} %, not {tot} %.")
            return sentence.format(level=int(level), gg=gg, ret=ret, low=low, high=high, tot=tot)
        part = max((v for v in (gg, ret) if v is not None), default=None)
        if tot is not None and part is not None and part > tot:
            return _("L{level}: TOT {tot} % is less than {part} % of one pattern alone.").format(
                level=int(level), tot=tot, part=part
            )
        return ""

    # ---- filling ---------------------------------------------------------------------------------------------------

    def digit(self, number: int) -> None:
        """A digit was typed: it goes on with the number in the current cell, or begins a new one.

        Ratings are one digit; other digits than 1 to 5 do nothing.
        """
        if self.likert:
            if 1 <= number <= len(LIKERT):
                self.put(number)
            return
        before = self.typed or (
            str(self._values[self.current]) if self._typing and self[self.current] is not None else ""
        )
        text = before + str(number)
        self._take(text if int(text) <= 100 and len(text) <= 3 else str(number))

    def erase(self) -> None:
        """Backspace: the last digit goes."""
        value = self[self.current]
        text = self.typed or ("" if value is None or self.likert else str(value))
        self._take(text[:-1])

    def clear(self) -> None:
        """Empties the current cell."""
        self._take("")

    def step(self, by: int) -> None:
        """One step up or down; an empty cell begins at the lowest value."""
        value, (low, high, size) = self[self.current], (1, len(LIKERT), 1) if self.likert else (0, 100, STEP)
        self.put(low if value is None else min(max(value + by * size, low), high))

    def put(self, value: int) -> None:
        """Puts a whole value into the current cell."""
        self._values[self.current] = value
        self.typed, self._typing = "", False

    def _take(self, text: str) -> None:
        self._typing = True
        self.typed = ""
        if text and int(text) % STEP == 0:
            self._values[self.current] = int(text)
        else:
            self._values.pop(self.current, None)
            self.typed = text

    # ---- going around ----------------------------------------------------------------------------------------------

    def select(self, cell: Cell) -> None:
        """Goes to a cell; digits that made no score are dropped."""
        self.typed, self._typing = "", False
        self.current = cell

    def move(self, by: int) -> bool:
        """Goes that many cells on (back when negative), through all levels; False when there is an end in between."""
        place = self.cells.index(self.current) + by
        if not 0 <= place < len(self.cells):
            return False
        self.select(self.cells[place])
        return True

    def moveLevel(self, by: int) -> bool:
        """Goes to the same pattern of another level; False when there is none."""
        return self.move(by * len(self.patterns))

    # ---- in and out ------------------------------------------------------------------------------------------------

    def fill(self, answers: Iterable[Answer]) -> None:
        """Shows answers that are stored already."""
        for answer in answers:
            if isinstance(answer, LikertAnswer):
                self._values[answer.level, answer.pattern] = answer.rating
            else:
                self._values.update({(answer.level, p): v for p, v in zip(Pattern, answer.values, strict=True)})

    def answers(self, item: str, levels_mm: Mapping[Level, float] | None) -> list[Answer]:
        """The complete sheet as answers.

        Args:
            item: the blinded identifier. levels_mm: where the reader put the levels; None when they are given.
        """
        if self.likert:
            return [LikertAnswer(item, level, pattern, self._values[level, pattern]) for level, pattern in self.cells]
        return [
            ScoreAnswer(
                item, level, *(self._values[level, p] for p in Pattern), levels_mm[level] if levels_mm else None
            )
            for level in Level
        ]


def likertLabel(rating: int) -> str:
    """A rating in words."""
    return (_("strongly disagree"), _("disagree"), _("neutral"), _("agree"), _("strongly agree"))[rating - 1]
