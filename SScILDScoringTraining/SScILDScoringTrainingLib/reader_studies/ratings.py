"""Ratings of heat maps: shares of the five labels, and how well readers agree in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from SScILDScoringLib.observers.answers import LIKERT
from SScILDScoringLib.observers.export import RATINGS, REPEATED, StudyAnswers, tables
from SScILDScoringLib.scores import Pattern

from ..agreement.bootstrap import Interval, bootstrap_mean
from ..agreement.measures import category_kappa
from ..agreement.rows import Settings
from .answer_tables import session_title

AGREE = 4
"""From this rating on a reader agrees: agree, strongly agree."""


@dataclass(frozen=True)
class RatingShares:
    """One reader's ratings of one pattern in one session.

    Args:
        rater: reader and session. counts: of the five labels, strongly disagree first. cases: patients rated.
        agreement: percent of agree and strongly agree. interval: its 95 % interval, patients drawn again.
    """

    rater: str
    pattern: Pattern
    counts: tuple[int, ...]
    cases: int
    agreement: float
    interval: Interval

    @property
    def n(self) -> int:
        """How many maps were rated."""
        return sum(self.counts)

    def flat(self) -> dict:
        """One row for CSV."""
        low, high = (round(v, 3) if math.isfinite(v) else None for v in self.interval)
        return {
            "rater": self.rater,
            "pattern": self.pattern.value,
            "n": self.n,
            "cases": self.cases,
            **{label.replace(" ", "_"): count for label, count in zip(LIKERT, self.counts, strict=True)},
            "agree_or_strongly_agree_percent": round(self.agreement, 3),
            "ci_low": low,
            "ci_high": high,
        }


@dataclass(frozen=True)
class RatingAgreement:
    """How far two series of ratings of the same maps agree.

    Args:
        kind: ``inter`` or ``intra``. first, second: reader and session.
        n: maps both rated. equal, within_one: percent of equal ratings, and of those at most one label apart.
        kappa: Cohen's, linearly weighted over the five labels; NaN where it is not defined.
    """

    kind: str
    first: str
    second: str
    pattern: Pattern
    n: int
    equal: float
    within_one: float
    kappa: float

    def flat(self) -> dict:
        """One row for CSV."""
        numbers = {name: round(getattr(self, name), 4) for name in ("equal", "within_one", "kappa")}
        known = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        return {**vars(self), "pattern": self.pattern.value, **known}


Series = dict[tuple[str, str], dict[tuple[str, int, Pattern], int]]
"""By reader and session: the rating of every case, level and pattern."""


def rating_series(answers: StudyAnswers) -> Series:
    """The ratings of complete cases; the second showing of a case within a session is a series ``T1R``."""
    found: Series = {}
    for row in tables(answers).get(RATINGS, []):
        series = found.setdefault((row["reader"], session_title(answers, row["session"])), {})
        series[row["case"], row["level"], Pattern(row["pattern"])] = row["rating"]
    return found


def rating_shares(series: Series, settings: Settings) -> list[RatingShares]:
    """Shares of every reader, session and pattern, second showings left out."""
    found = []
    for (reader, session), ratings in series.items():
        if session.endswith(REPEATED):
            continue
        for pattern in _patterns(ratings):
            chosen = [(case, rating) for (case, _, of), rating in ratings.items() if of is pattern]
            values = np.array([rating for _, rating in chosen])
            agrees = 100.0 * (values >= AGREE)
            interval = bootstrap_mean([case for case, _ in chosen], agrees, settings.samples, settings.seed)
            counts = tuple(int(n) for n in np.bincount(values - 1, minlength=len(LIKERT)))
            cases = len({case for case, _ in chosen})
            found.append(
                RatingShares(f"{reader} {session}".strip(), pattern, counts, cases, float(agrees.mean()), interval)
            )
    return found


def rating_agreement(series: Series) -> list[RatingAgreement]:
    """Readers in the same session, and the sessions (and second showings) of one reader; by pattern."""
    found = []
    for kind, first, second in _pairs(series):
        ours, theirs = series[first], series[second]
        for pattern in _patterns(ours):
            keys = sorted((k for k in ours.keys() & theirs.keys() if k[2] is pattern), key=str)
            if not keys:
                continue
            x, y = (np.array([ratings[key] for key in keys]) for ratings in (ours, theirs))
            apart = np.abs(x - y)
            kappa = category_kappa(x, y, range(1, len(LIKERT) + 1), "linear")
            shares = (100 * float((apart <= limit).mean()) for limit in (0, 1))
            titles = (" ".join(names).strip() for names in (first, second))
            found.append(RatingAgreement(kind, *titles, pattern, len(keys), *shares, kappa))
    return found


def _pairs(series: Series) -> Iterator[tuple[str, tuple[str, str], tuple[str, str]]]:
    """Inter-observer pairs first."""
    keys = list(series)
    both = [(a, b) for i, a in enumerate(keys) for b in keys[i + 1 :]]
    yield from (("inter", a, b) for a, b in both if a[0] != b[0] and a[1] == b[1])
    yield from (("intra", a, b) for a, b in both if a[0] == b[0])


def _patterns(ratings: Mapping) -> list[Pattern]:
    return [pattern for pattern in Pattern if any(key[2] is pattern for key in ratings)]
