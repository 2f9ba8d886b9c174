"""What a bundle says of the cases of a cohort: scores on the reference's slices, or level positions.

Answers are what a user of the software gets: of the packed bundle, through the functions that score a CT, limited to
0..100 and to the nearest 5 %. What the network itself said stands beside them (``tot_raw`` ...).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from SScILDScoringLib.files import write_text
from SScILDScoringLib.levels import Level
from SScILDScoringLib.progress import Progress, part_of, silent

from ..cohort import CohortRow
from ..csv_files import read_csv
from ..runfolder import csv_text

if TYPE_CHECKING:
    from SScILDScoringLib.models import ModelBundle

PATTERNS = ("tot", "gg", "ret")
Answer = dict[str, object]
"""One row of a score table (``case, level, tot, gg, ret`` and more) or a level table (``case, level, position_mm``)."""


def answers_of(
    rows: Sequence[CohortRow], bundle: ModelBundle, device: str = "auto", progress: Progress = silent
) -> list[Answer]:
    """What ``bundle`` says of ``rows``: scores where they have scores, or all level positions of an L-Net.

    Args:
        progress: stage ``answers``; may cancel.
    """
    if bundle.kind == "l_net":
        return level_answers(rows, bundle, device, progress)
    wanted = [(row, row.mm) for row in rows if row.scores is not None]
    return score_answers(wanted, bundle, device, progress)


def score_answers(
    wanted: Sequence[tuple[CohortRow, Sequence[float]]],
    bundle: ModelBundle,
    device: str = "auto",
    progress: Progress = silent,
) -> list[Answer]:
    """Scores of the slices at given positions, RAS S in mm of L1..L5; of the levels that the row has a score for."""
    from SScILDScoringLib.scan import load_scan
    from SScILDScoringLib.slice_network import SliceNetwork
    from SScILDScoringLib.slice_scoring import score_slices

    network = SliceNetwork(bundle, device)
    found: list[Answer] = []
    for n, (row, positions) in enumerate(wanted):
        progress("answers", n / len(wanted), f"Case {n + 1} of {len(wanted)}")
        scan = load_scan(row.path)
        scored = [level for level in Level if row.scores is None or row.scores[level - 1] is not None]
        indices = [scan.slice_at(positions[level - 1]) for level in scored]
        for level, scores in zip(scored, score_slices(scan, indices, network), strict=True):
            answer: Answer = {"case": row.case, "level": int(level)}
            answer |= dict(zip(PATTERNS, scores.reported, strict=True))
            answer |= {f"{p}_raw": round(v, 3) for p, v in zip(PATTERNS, scores.raw, strict=True)}
            found.append(answer)
    progress("answers", 1.0, f"{len(wanted)} cases scored")
    return found


def level_answers(
    rows: Sequence[CohortRow], bundle: ModelBundle, device: str = "auto", progress: Progress = silent
) -> list[Answer]:
    """Level positions of every case, RAS S in mm, with that of the scan's lowest slice (``bottom_mm``)."""
    from SScILDScoringLib.level_selection import find_levels
    from SScILDScoringLib.scan import load_scan

    found: list[Answer] = []
    for n, row in enumerate(rows):
        part = part_of(progress, n / len(rows), (n + 1) / len(rows))
        part("answers", 0.0, f"Case {n + 1} of {len(rows)}")
        scan = load_scan(row.path)
        levels, _ = find_levels(scan, bundle, device=_device(device))
        bottom = round(scan.mm_of_slice(0), 3)
        found += [
            {"case": row.case, "level": int(p.level), "position_mm": round(p.mm, 3), "bottom_mm": bottom}
            for p in levels
        ]
    progress("answers", 1.0, f"{len(rows)} cases")
    return found


def _device(name: str) -> str:
    from SScILDScoringLib.devices import choose_device

    return str(choose_device(name))


def write_answers(path: Path, answers: Sequence[Mapping[str, object]]) -> Path:
    """Writes answers as CSV, complete or not at all."""
    return write_text(path, csv_text(answers))


def read_answers(path: Path) -> list[dict[str, str]]:
    """The rows of a table of answers as they stand there.

    Raises:
        TableError: no such table.
    """
    return [cells for _, cells in read_csv(path, "table of answers").rows]
