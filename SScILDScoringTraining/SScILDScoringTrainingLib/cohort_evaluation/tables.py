"""The cohort's reference and the networks' answers as the tables that agreement compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.levels import Level

from ..agreement.tables import LevelTable, ScoreTable
from ..evaluation.cases import Cases
from .running import CohortRun

if TYPE_CHECKING:
    from SScILDScoringLib.models import ModelBundle

S_NET, CASCADE, L_NET, ANATOMY = "S-Net", "L&S-Net", "L-Net", "anatomy"
"""Titles of the raters: S-Net on the reference levels, on L-Net's levels, L-Net's levels, and levels without L-Net."""


def check(run: CohortRun) -> None:
    """Raises SettingsError when no case went through."""
    if not run.rows:
        first = f" {run.failures[0][0]}: {run.failures[0][1]}" if run.failures else ""
        raise SettingsError(f"No case of the cohort could be scored.{first}")


def reference_title(cases: Cases, run: CohortRun) -> str:
    """What the reference is called: the phantoms' truth, the one observer's name, or the reference."""
    if cases.phantoms:
        return "truth"
    observers = {row.observer for row in run.rows}
    return observers.pop() if len(observers) == 1 and "" not in observers else "reference"


def score_tables(cases: Cases, run: CohortRun) -> tuple[ScoreTable, ...]:
    """Reference, S-Net on the reference levels, L&S-Net on the levels that were found; empty without reference scores.

    The networks' scores are those reported: limited to 0..100 and rounded to 5 %. Levels that the reference did not
    score are in no table.
    """
    keys, reference, s_net, cascade = [], [], [], []
    for row in run.rows:
        for n, level in enumerate(Level):
            if row.scores is None or row.scores[n] is None:
                continue
            keys.append((row.case, int(level)))
            reference.append(row.scores[n])
            s_net.append(run.reference[row.case].scores[n].reported)
            cascade.append(run.results[row.case].scores[n].reported)
    if not keys:
        return ()
    case, level = zip(*keys, strict=True)
    named = ((reference_title(cases, run), reference), (S_NET, s_net), (CASCADE, cascade))
    patients = {row.case: row.patient for row in run.rows if row.patient != row.case}
    return tuple(ScoreTable(t, "", case, level, values, source=t, patients=patients) for t, values in named)


def level_tables(cases: Cases, run: CohortRun, l_net: ModelBundle | None) -> tuple[LevelTable, ...]:
    """Reference and the levels found, RAS S in millimetres, with the scans' lowest slices (published: from there)."""
    case = [row.case for row in run.rows for _ in Level]
    level = [int(x) for _ in run.rows for x in Level]
    bottoms = {row.case: run.results[row.case].facts.bottom_mm for row in run.rows}
    patients = {row.case: row.patient for row in run.rows if row.patient != row.case}
    reference = [[mm] for row in run.rows for mm in row.mm]
    found = [[mm] for row in run.rows for mm in run.results[row.case].levels.mm]
    title = reference_title(cases, run)
    return (
        LevelTable(title, "", case, level, reference, source=title, bottoms=bottoms, patients=patients),
        LevelTable(L_NET if l_net is not None else ANATOMY, "", case, level, found, source="levels found"),
    )
