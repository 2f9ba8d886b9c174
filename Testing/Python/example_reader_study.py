"""Two example studies by simulated readers, and their analyses: python Testing/Python/example_reader_study.py OUT

Scores: 24 cases, readers A and B, two sessions, six cases shown twice; B scores a little higher than A, both become
faster. Ratings: 12 cases, A agrees more often than B. The cases' voxels are empty; truth and network are drawn.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from reader_studies import noisy_ratings, noisy_scores, read_all, study_cases
from SScILDScoringLib.levels import Level
from SScILDScoringLib.observers import ReadingSession, StudyCase, create_study
from SScILDScoringLib.observers.key import read_key
from SScILDScoringLib.scores import rounded

READERS = {"A": (4.0, 0.0), "B": (6.0, 2.0)}
"""Noise and bias in percentage points."""
SHARES = {"A": (0.01, 0.03, 0.04, 0.32, 0.60), "B": (0.03, 0.08, 0.10, 0.44, 0.35)}


class SimulatedClock:
    """Seconds that pass when a reader reads."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def drawn_truth(rng: np.random.Generator) -> np.ndarray:
    """TOT, GG, RET of five levels on the 5 % grid, ``(5, 3)``; nothing in a third of the cases."""
    if rng.random() < 0.33:
        return np.zeros((5, 3))
    growth = np.linspace(0.3, 1.0, 5)
    gg, ret = (rounded(rng.beta(1.2, 2.6) * 70 * growth) for _ in range(2))
    tot = rounded(np.maximum(gg, ret) + rng.random() * np.minimum(gg, ret))
    return np.stack([np.minimum(tot, 100), gg, ret], axis=1).astype(float)


def scored_study(folder: Path, count: int = 24, repeat: int = 6) -> Path:
    """A study of scores that everybody has finished, in ``folder/STUDY``; its truth in ``folder/reference.csv``."""
    rng = np.random.default_rng(1)
    names = [f"patient{i:02d}" for i in range(count)]
    truth = {name: drawn_truth(rng) for name in names}
    cases = [
        StudyCase(c.case, c.path, c.levels_mm, None, tuple(map(tuple, network_of(truth[c.case], rng))))
        for c in study_cases(folder, names)
    ]
    study = create_study(
        folder / "STUDY", cases, readers=list(READERS), sessions=2, seed=1, levels="given", repeat=repeat
    )
    key = read_key(study, folder / "STUDY")
    clock = SimulatedClock()
    for number in (1, 2):
        for reader, (sd, bias) in READERS.items():
            session = ReadingSession(folder / "STUDY", reader, number, clock=clock)

            def answer(item, session=session, sd=sd, bias=bias, number=number):
                clock.now += 60 * rng.lognormal(1.9 - 0.015 * item.number - 0.2 * number, 0.25)
                return noisy_scores(item.id, truth[key.of(item.id).case], rng, sd / number**0.5, bias)

            read_all(session, answer)
    with (folder / "reference.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["case", "level", "tot", "gg", "ret", "reader"])
        rows.writerows([n, int(lv), *map(int, truth[n][lv - 1]), "consensus"] for n in names for lv in Level)
    return folder / "STUDY"


def network_of(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a network might say, ``(5, 3)`` on the 5 % grid."""
    return rounded(truth + (truth > 0) * rng.normal(0, 7, truth.shape)).astype(float)


def rated_study(folder: Path, count: int = 12) -> Path:
    """A study of heat maps that everybody has rated, in ``folder/STUDY``."""
    rng = np.random.default_rng(2)
    cases = study_cases(folder, [f"patient{i:02d}" for i in range(count)], maps=True)
    create_study(folder / "STUDY", cases, readers=list(SHARES), seed=1, task="likert", levels="given")
    clock = SimulatedClock()
    for reader, shares in SHARES.items():

        def answer(item, shares=shares):
            clock.now += 60 * rng.lognormal(0.9, 0.3)
            return noisy_ratings(item.id, rng, shares)

        read_all(ReadingSession(folder / "STUDY", reader, clock=clock), answer)
    return folder / "STUDY"


def main(out: Path) -> None:
    """Makes both studies and their analyses below ``out``."""
    from SScILDScoringTrainingLib.cli import app, run

    scored, rated = scored_study(out / "scores"), rated_study(out / "ratings")
    run(app, ["study", "status", str(scored)])
    reference = str(out / "scores" / "reference.csv")
    run(app, ["study", "analyse", str(scored), "--reference", reference, "-o", str(out / "scores" / "analysis")])
    run(app, ["study", "analyse", str(rated), "-o", str(out / "ratings" / "analysis")])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
