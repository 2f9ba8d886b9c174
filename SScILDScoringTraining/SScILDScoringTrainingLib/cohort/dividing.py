"""Test cases and folds: patients never straddle them, and every part has its share of mild and severe disease."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from SScILDScoringLib.errors import SettingsError

from .rows import CohortRow

STRATA = 5
"""Patients are sorted into so many groups of severity at most: those without disease, and equal parts of the rest."""


def divide(
    rows: Sequence[CohortRow], *, folds: int, seed: int, test: float = 0
) -> tuple[dict[str, str], dict[str, int | None]]:
    """Draws test patients and folds.

    Args:
        rows: of the cohort.
        folds: how many parts the other patients fall into.
        seed: of the draw; the same seed and patients give the same answer whatever the rows' order.
        test: how many patients (1 and more), or which share of them (below 1), are set aside for testing. 0: those
            whose rows say ``test`` already stay there, and nobody else.

    Returns:
        The split (``train``, ``test``) and the fold (from 1; None for test patients) of every patient.

    Raises:
        SettingsError: more folds or test patients than there are patients.
    """
    severity = _severity(rows)
    patients = sorted(severity)
    fixed = {row.patient for row in rows if row.split == "test"}
    count = round(test * len(patients)) if 0 < test < 1 else int(test)
    tested = _drawn(patients, severity, count, seed) if count else fixed
    others = [p for p in patients if p not in tested]
    if not 2 <= folds <= len(others):
        raise SettingsError(f"{len(others)} patients cannot fall into {folds} folds; 2 to {len(others)} are possible.")
    fold = _folds(others, severity, folds, seed)
    return {p: "test" if p in tested else "train" for p in patients}, {p: fold.get(p) for p in patients}


def _severity(rows: Iterable[CohortRow]) -> dict[str, float]:
    """Mean TOT of every patient over all scored levels of all scans; -1 for patients without any score."""
    tot: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        tot[row.patient] += [s[0] for s in row.scores or () if s is not None]
    return {patient: float(np.mean(values)) if values else -1.0 for patient, values in tot.items()}


def _strata(patients: Sequence[str], severity: Mapping[str, float], smallest: int) -> np.ndarray:
    """The group of every patient, ``(n,)``; groups with fewer than ``smallest`` join their neighbour."""
    values = np.array([severity[p] for p in patients])
    ill = values[values > 0]
    edges = np.unique(np.quantile(ill, np.linspace(0, 1, STRATA)[:-1])) if len(ill) else np.zeros(0)
    group = np.where(values <= 0, np.sign(values) - 1, np.searchsorted(edges, values, side="right")).astype(int)
    names = np.unique(group)
    for here, following in itertools.pairwise(names):
        if (group == here).sum() < smallest:
            group[group == here] = following
    last, before = (np.unique(group)[-1], np.unique(group)[-2:][0])
    if (group == last).sum() < smallest:
        group[group == last] = before
    return group


def _drawn(patients: Sequence[str], severity: Mapping[str, float], count: int, seed: int) -> set[str]:
    from sklearn.model_selection import train_test_split

    if not count < len(patients):
        raise SettingsError(f"{count} of {len(patients)} patients cannot be set aside for testing: nobody is left.")
    groups = _strata(patients, severity, 2)
    several = len(np.unique(groups)) <= min(count, len(patients) - count)
    _, tested = train_test_split(
        list(patients), test_size=count, random_state=seed, stratify=groups if several else None
    )
    return set(tested)


def _folds(patients: Sequence[str], severity: Mapping[str, float], folds: int, seed: int) -> dict[str, int]:
    """The fold of every patient. Patients are drawn, not scans: folds are equally large up to one patient."""
    from sklearn.model_selection import StratifiedKFold

    groups = _strata(patients, severity, folds)
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(patients)), groups)
    return {patients[i]: n for n, (_, part) in enumerate(parts, start=1) for i in part}
