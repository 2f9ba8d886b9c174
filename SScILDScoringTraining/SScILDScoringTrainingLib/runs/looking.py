"""What a run folder shows while it is being trained, and afterwards: curves, log, pictures, time left."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..run_status import RunStatus

_TAIL_BYTES = 1 << 18


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
    """The curves in ``curves.csv``; empty when there are none yet. A row that cannot be read is left out."""
    try:
        text = (Path(folder) / "curves.csv").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Curves()
    return _curves(text)


def log_tail(folder: str | Path, lines: int = 200) -> str:
    """The last lines of what the run said: its log, or, before there is one, what its process printed."""
    raise NotImplementedError


def pictures(folder: str | Path) -> tuple[Picture, ...]:
    """The pictures a run folder has by now, those that change while it trains first."""
    raise NotImplementedError


def time_left_in_words(status: RunStatus | None) -> str:
    """``about 1.5 h left``, ``a few minutes left``; empty when nobody can know."""
    raise NotImplementedError


def _curves(text: str) -> Curves:
    raise NotImplementedError
