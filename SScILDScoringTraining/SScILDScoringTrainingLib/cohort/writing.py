"""Writing cohort tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from SScILDScoringLib.files import write_text
from SScILDScoringLib.levels import Level

from .rows import CohortRow
from .table import COLUMNS, LEVEL_COLUMNS, NUMBERS, PATH_COLUMNS, PATTERNS, SCORE_COLUMNS, ParsedCohort


def write_cohort(rows: Iterable[CohortRow], table: str | Path, remarks: Sequence[str] = ()) -> Path:
    """Writes a cohort table, complete or not at all. Optional columns stand in it where any case has them.

    Scans below the table's folder get paths relative to it, others absolute ones.

    Args:
        remarks: lines before the header; # is put before each.

    Raises:
        SettingsError: the file cannot be written.
    """
    table = Path(table)
    lines = [_cells(row, table.resolve().parent) for row in rows]
    used = [c for c in COLUMNS if c in ("case", "path", *LEVEL_COLUMNS) or any(line.get(c) for line in lines)]
    if set(used) & set(SCORE_COLUMNS):
        used = [c for c in COLUMNS if c in used or c in SCORE_COLUMNS]
    return write_cells(table, used, lines, remarks)


def write_cells(
    table: Path, header: Sequence[str], lines: Iterable[dict[str, str]], remarks: Sequence[str] = ()
) -> Path:
    """Writes rows of cells under a header, with remarks before it."""
    text = io.StringIO(newline="")
    text.writelines(f"# {remark.removeprefix('#').strip()}\n" for remark in remarks)
    writer = csv.DictWriter(text, header, lineterminator="\n", restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    return write_text(table, text.getvalue())


def with_parts(
    parsed: ParsedCohort, splits: Mapping[str, str], folds: Mapping[str, int | None], table: Path
) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows of a table as it stands in its file, with other splits and folds of the patients.

    Args:
        splits, folds: by patient. table: the file that is to be written, to which paths become relative.
    """
    place = table.resolve().parent
    header = [*parsed.content.header, *(c for c in ("split", "fold") if c not in parsed.content.header)]
    lines = []
    for row, (_, cells) in zip(parsed.cohort, parsed.content.rows, strict=True):
        fold = folds[row.patient]
        if parsed.content.decimal_comma:  # what is written has commas between the cells
            cells = {name: cell.replace(",", ".") if name in NUMBERS else cell for name, cell in cells.items()}
        line = {**cells, "split": splits[row.patient], "fold": "" if fold is None else str(fold)}
        for column in PATH_COLUMNS:
            if line.get(column) and "${" not in line[column]:
                line[column] = relative_path(parsed.cohort.path.parent / line[column].strip(), place)
        lines.append(line)
    return header, lines


def relative_path(path: Path, folder: Path) -> str:
    """``path`` as a table in ``folder`` names it: relative where it lies below."""
    path = path.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _cells(row: CohortRow, folder: Path) -> dict[str, str]:
    cells = {"case": row.case, "path": relative_path(row.path, folder)}
    cells |= {column: f"{mm:.2f}" for column, mm in zip(LEVEL_COLUMNS, row.mm, strict=True)}
    for level, triple in zip(Level, row.scores or (None,) * 5, strict=True):
        values = ("",) * 3 if triple is None else (f"{v:g}" for v in triple)
        cells |= {f"{pattern}_{level:d}": v for pattern, v in zip(PATTERNS, values, strict=True)}
    cells["split"] = "" if row.split == "train" else row.split
    cells |= {"fold": "" if row.fold is None else str(row.fold), "observer": row.observer}
    cells["healthy"] = "" if row.healthy is None else str(int(row.healthy))
    cells["lung_path"] = "" if row.lung_path is None else relative_path(row.lung_path, folder)
    cells["patient"] = "" if row.patient == row.case else row.patient
    cells["fvc_percent"] = "" if row.fvc_percent is None else f"{row.fvc_percent:g}"
    return cells
