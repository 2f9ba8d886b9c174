"""Reader studies: who reads which cases blinded, in which order, and what they answered.

``study`` is what readers have (``study.json``), ``key`` what only the owner has; ``creation`` makes both with
``blinding``, from the cases of ``sources``. ``reading`` is one reader's session, on ``answers`` kept in a ``log``;
``progress`` and ``export`` read what was stored. ``fields``, ``lock``, ``order`` and ``stopwatch`` are their tools.
"""

from __future__ import annotations

from .answers import LIKERT, LikertAnswer, ScoreAnswer
from .creation import StudyCase, create_study
from .errors import Contradiction, ObserverError
from .reading import ReadingItem, ReadingSession
from .study import Study, StudyItem, read_study, write_study

__all__ = [
    "LIKERT",
    "Contradiction",
    "LikertAnswer",
    "ObserverError",
    "ReadingItem",
    "ReadingSession",
    "ScoreAnswer",
    "Study",
    "StudyCase",
    "StudyItem",
    "create_study",
    "read_study",
    "write_study",
]
