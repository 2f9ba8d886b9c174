"""How long readers took, and whether they became faster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SScILDScoringLib.observers.export import REPEATED, TIMES, StudyAnswers, tables

from .answer_tables import session_title


@dataclass(frozen=True)
class ReadingTimes:
    """The active time that one reader took for the cases of one session, pauses excluded.

    Args:
        reader: the name. session: from 1. rater: both as a title; the name alone where there is only one session.
        seconds: ``(n,)``, in the order in which the cases were completed.
        later_seconds: all time spent on corrections afterwards. corrections: answers that were changed.
    """

    reader: str
    session: int
    rater: str
    seconds: np.ndarray
    later_seconds: float
    corrections: int

    @property
    def n(self) -> int:
        """Completed cases."""
        return len(self.seconds)

    def quantile(self, share: float) -> float:
        """Minutes that this share of the cases took at most (0.5: the median)."""
        return float(np.quantile(self.seconds, share)) / 60

    def halves(self) -> tuple[float, float]:
        """Median minutes of the first and of the second half of the cases; NaN with a single case."""
        half = self.n // 2
        if not half:
            return float("nan"), float("nan")
        return tuple(float(np.median(part)) / 60 for part in (self.seconds[:half], self.seconds[-half:]))

    def flat(self) -> dict:
        """One row for CSV; minutes."""
        first, second = self.halves()
        return {
            "rater": self.rater,
            "n": self.n,
            "median_min": round(self.quantile(0.5), 3),
            "quartile_1_min": round(self.quantile(0.25), 3),
            "quartile_3_min": round(self.quantile(0.75), 3),
            "mean_min": round(float(self.seconds.mean()) / 60, 3),
            "sd_min": round(float(self.seconds.std()) / 60, 3),
            "longest_min": round(float(self.seconds.max()) / 60, 3),
            "total_h": round((float(self.seconds.sum()) + self.later_seconds) / 3600, 3),
            "first_half_median_min": None if np.isnan(first) else round(first, 3),
            "second_half_median_min": None if np.isnan(second) else round(second, 3),
            "corrections": self.corrections,
        }


def reading_times(answers: StudyAnswers) -> list[ReadingTimes]:
    """The times of every reader and session with a complete case; second showings count like any case."""
    rows = tables(answers).get(TIMES, [])
    found = []
    for one in answers.sessions:
        name = f"T{one.session}"
        ours = [row for row in rows if row["reader"] == one.reader and row["session"].removesuffix(REPEATED) == name]
        if not ours:
            continue
        ours.sort(key=lambda row: row["number"])
        rater = f"{one.reader} {session_title(answers, name)}".strip()
        seconds = np.array([row["seconds"] for row in ours], float)
        later, corrections = (sum(row[column] for row in ours) for column in ("later_seconds", "corrections"))
        found.append(ReadingTimes(one.reader, one.session, rater, seconds, later, corrections))
    return found
