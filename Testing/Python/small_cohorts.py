"""A small cohort of phantoms with folds, and configurations that train on it within seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from SScILDScoringTrainingLib.cohort import Cohort, CohortRow, write_cohort
from SScILDScoringTrainingLib.cohort.creating import cohort_of_phantoms

FIXED = {"matrix": 64, "slices": 24, "tilt_deg": 0.0, "oblique_deg": (0.0, 0.0, 0.0)}
SCORES = {
    "recipe": "scores",
    "seed": 1,
    "network": {"name": "compact_ratio", "options": {"widths": [4, 8, 8, 8], "blocks": [1, 1, 1, 1]}},
    "input": {"size": 64, "hu_window": [-1024, 600]},
    "data": {"neighbours": 0, "mix": {"cohort": 1.0}},
    "training": {"batch_size": 2, "steps": 4, "learning_rate": 1e-3, "validate_every": 4, "device": "cpu",
                 "threads": 1, "tensorboard": False},
    "bundle": {"name": "small_s_net", "description": "A test."},
}  # fmt: skip
LEVELS = {
    "recipe": "levels",
    "seed": 1,
    "network": {"name": "compact_3d", "options": {"widths": [2, 4, 4, 8], "head_width": 16}},
    "input": {"size": [24, 32, 32], "depth": 20, "hu_window": [-1024, 500], "stride": 4},
    "data": {},
    "training": {"batch_size": 2, "steps": 4, "learning_rate": 1e-3, "validate_every": 4, "device": "cpu",
                 "threads": 1, "tensorboard": False},
    "bundle": {"name": "small_l_net", "description": "A test."},
}  # fmt: skip


def phantom_table(folder: Path, count: int = 6, seed: int = 3, folds: int = 2) -> Path:
    """A table of phantoms with folds; the last two cases are scans of one patient."""
    from SScILDScoringLib.phantom.writing import write_cohort as write_phantoms

    rows = cohort_of_phantoms(write_phantoms(folder / "phantoms", count, seed, **FIXED)).rows
    last = rows[-2].case
    rows = [replace(r, patient=last if r is rows[-1] else r.patient) for r in rows]
    number = {patient: n % folds + 1 for n, patient in enumerate(dict.fromkeys(r.patient for r in rows))}
    return write_cohort([replace(r, fold=number[r.patient]) for r in rows], folder / "cohort.csv")


def scored_cohort(scores: dict[str, list[tuple[float, float, float]]], path: Path, folds: int = 2) -> Cohort:
    """A cohort whose scans nobody opens: the table's own file stands for them."""
    levels = (50.0, 40.0, 30.0, 20.0, 10.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    rows = [
        CohortRow(case, path, levels, scores=tuple(values), fold=n % folds + 1)
        for n, (case, values) in enumerate(scores.items())
    ]
    return Cohort(tuple(rows), path, ("case", "path", "fold"))


def with_data(config: dict, table: Path, cache: Path, **training) -> dict:
    """The configuration on a table."""
    data = {**config["data"], "cohort": str(table), "cache": str(cache)}
    return {**config, "data": data, "training": {**config["training"], **training}}
