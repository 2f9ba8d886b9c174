"""What a person stands for in a folder that the scoring module or ``sscild score`` wrote.

A level counts as a person's when the person moved it (``manual`` in ``scores.json``), gave it (``given``), moved its
plane in ``levels.mrk.json`` after the export, wrote its position or its scores into ``corrections.csv``
(:mod:`SScILDScoringLib.corrections`) or scored it in a score table. L4 that follows L3 and L5 is a person's when both
are. Answers of a network that nobody confirmed are no truth, unless :class:`Trust` says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from SScILDScoringLib.corrections import Correction, read_corrections
from SScILDScoringLib.errors import TableError
from SScILDScoringLib.levels import Level
from SScILDScoringLib.results import ScanResult, read_json
from SScILDScoringLib.scores import rounded

from .level_files import levels_from_file
from .rows import Triple

RESULT, LEVELS, LUNGS = "scores.json", "levels.mrk.json", "lungs.seg.nrrd"
_SAME_MM = 0.05
"""Positions in files differ by rounding up to this."""


class Trust(StrEnum):
    """Which answers count as truth.

    ``confirmed``: levels and scores that a person stands for. ``reviewed``: also the other levels of a case of which a
    person placed at least one, as the person has seen them. ``everything``: whatever the case holds, network answers
    included (for experiments; a network learns its own mistakes from them).
    """

    confirmed = "confirmed"
    reviewed = "reviewed"
    everything = "everything"


@dataclass
class CaseTruth:
    """Levels and scores of a case, and which of them a person stands for.

    Args:
        mm: RAS S of the levels. confirmed: levels that a person stands for.
        scores: by level, given by a person. observer: who. remarks: what to know about it.
    """

    mm: dict[Level, float]
    confirmed: set[Level] = field(default_factory=set)
    scores: dict[Level, Triple] = field(default_factory=dict)
    observer: str = ""
    remarks: list[str] = field(default_factory=list)

    def unconfirmed(self) -> str:
        """The levels nobody stands for, as ``L1, L4``; empty when there are none."""
        return ", ".join(level.name for level in Level if level not in self.confirmed)


def case_folders(folder: str | Path) -> list[Path]:
    """The case folders in a folder of results (or the folder itself), by name."""
    folder = Path(folder)
    return sorted({p.parent for pattern in (RESULT, f"*/{RESULT}", f"*/*/{RESULT}") for p in folder.glob(pattern)})


def scan_named_in(folder: Path) -> Path | None:
    """The scan's place, where the case was written with identifiers; None otherwise."""
    try:
        path = json.loads((folder / RESULT).read_text(encoding="utf-8")).get("identifiers", {}).get("path")
    except (OSError, ValueError, AttributeError):
        return None
    return Path(path) if path else None


def case_truth(
    folder: Path,
    result: ScanResult,
    trust: Trust = Trust.confirmed,
    scored: Mapping[Level, Triple] | None = None,
    observer: str = "",
) -> CaseTruth:
    """What is known of a case.

    Args:
        folder: of the case. result: its ``scores.json``, see :func:`read_result`.
        scored: scores of a score table, by level; they count more than those of ``corrections.csv``.
        observer: whose corrections to take; empty: whoever's, when they are one person's.

    Raises:
        TableError: a file of the case cannot be used, or corrections of several persons and no observer chosen.
    """
    truth = CaseTruth({p.level: p.mm for p in result.levels})
    truth.confirmed = {p.level for p in result.levels if p.source in ("manual", "given")}
    by_hand = {p.level for p in result.levels if p.source == "manual"} | _moved_planes(folder, truth)
    corrections = _corrections_of(folder, observer)
    truth.observer = next((c.observer for c in corrections if c.observer), "")
    for one in corrections:
        _apply(one, truth, by_hand)
    for level, triple in (scored or {}).items():
        truth.scores[level] = triple
        truth.confirmed.add(level)
    if result.levels.l4_follows and Level.L4 not in truth.confirmed and {Level.L3, Level.L5} <= truth.confirmed:
        truth.mm[Level.L4] = (truth.mm[Level.L3] + truth.mm[Level.L5]) / 2
        truth.confirmed.add(Level.L4)
    if trust is Trust.everything:
        for level, answer in zip(Level, result.scores, strict=True):
            truth.scores.setdefault(level, consistent(answer.clipped))
    if trust is Trust.everything or (trust is Trust.reviewed and (by_hand or corrections)):
        truth.confirmed = set(Level)
    return truth


def read_result(folder: Path) -> ScanResult:
    """The ``scores.json`` of a case folder. Raises TableError."""
    return read_json(folder / RESULT)


def consistent(scores: Triple) -> Triple:
    """Scores to the nearest 5 %, TOT put between the larger of GG and RET and their sum.

    Each of the three is rounded for itself, which alone can put TOT outside.
    """
    tot, gg, ret = (float(rounded(v)) for v in scores)
    return min(max(tot, gg, ret), gg + ret, 100.0), gg, ret


def _moved_planes(folder: Path, truth: CaseTruth) -> set[Level]:
    """Levels whose planes lie elsewhere than ``scores.json`` says: the export writes both alike."""
    path = folder / LEVELS
    if not path.is_file():
        return set()
    moved = {
        level for level, mm in zip(Level, levels_from_file(path), strict=True) if abs(mm - truth.mm[level]) > _SAME_MM
    }
    truth.mm |= {level: mm for level, mm in zip(Level, levels_from_file(path), strict=True) if level in moved}
    truth.confirmed |= moved
    return moved


def _corrections_of(folder: Path, observer: str) -> list[Correction]:
    corrections = read_corrections(folder)
    if observer:
        return [c for c in corrections if c.observer in (observer, "")]
    names = sorted({c.observer for c in corrections if c.observer})
    if len(names) > 1:
        raise TableError(f"{folder.name} has corrections of {', '.join(names)}; choose one with --observer.")
    return corrections


def _apply(one: Correction, truth: CaseTruth, by_hand: set[Level]) -> None:
    if one.mm is not None:
        away = abs(one.mm - truth.mm[one.level])
        if one.level in by_hand and away > _SAME_MM:
            truth.remarks.append(
                f"{one.level.name} lies {away:.1f} mm apart in corrections.csv and in the exported levels; "
                "corrections.csv counts."
            )
        truth.mm[one.level] = one.mm
    if one.scores is not None:
        truth.scores[one.level] = one.scores
    if one.mm is not None or one.scores is not None:
        truth.confirmed.add(one.level)
