"""A study's answers as the tables that agreement compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from SScILDScoringLib.observers.export import LEVELS, REPEATED, SCORES, Rows, StudyAnswers, network_rows, tables

from ..agreement.tables import LevelTable, ScoreTable, Table


class ReaderTables(NamedTuple):
    """The tables of the readers.

    Args:
        sessions: one for each reader and session that has answers. repeats: of the cases shown twice within a session,
            their second showing; the session's name ends in R.
    """

    sessions: tuple[Table, ...]
    repeats: tuple[Table, ...]


def score_tables(answers: StudyAnswers) -> ReaderTables:
    """TOT, GG and RET of every reader and session, complete cases only."""
    return _split(ScoreTable, tables(answers).get(SCORES, []), answers)


def level_tables(answers: StudyAnswers) -> ReaderTables:
    """The levels that readers placed, with each scan's lowest slice where it is known; none where levels were given."""
    rows = tables(answers).get(LEVELS, [])
    bottoms = {row["case"]: row["bottom_mm"] for row in rows if row["bottom_mm"] is not None}
    sessions, repeats = _split(LevelTable, rows, answers)
    return ReaderTables(*(tuple(replace(t, bottoms=bottoms) for t in group) for group in (sessions, repeats)))


def network_table(answers: StudyAnswers) -> ScoreTable | None:
    """The network's scores that the key has; None without any."""
    rows = network_rows(answers)
    return _table(ScoreTable, "network", "", rows) if rows else None


def session_title(answers: StudyAnswers, session: str) -> str:
    """A session's name in tables and figures: left out where there is only one (``R`` stays: the second showing)."""
    return session if answers.study.sessions > 1 else session.removeprefix("T1")


def _split(kind: type[Table], rows: Rows, answers: StudyAnswers) -> ReaderTables:
    groups: dict[tuple[str, str], Rows] = {}
    for row in rows:
        groups.setdefault((row["reader"], session_title(answers, row["session"])), []).append(row)
    found = [_table(kind, reader, session, group) for (reader, session), group in groups.items()]
    again = [table for table in found if table.session.endswith(REPEATED)]
    return ReaderTables(tuple(t for t in found if t not in again), tuple(again))


def _table(kind: type[Table], reader: str, session: str, rows: Sequence[dict]) -> Table:
    return kind(
        reader,
        session,
        np.array([row["case"] for row in rows]),
        np.array([row["level"] for row in rows]),
        np.array([[row[column] for column in kind.columns] for row in rows], dtype=float),
        source="the study",
    )
