"""The few numbers of an evaluation that are shown first."""

from __future__ import annotations

from collections.abc import Sequence

from SScILDScoringLib.levels import Level
from SScILDScoringLib.scores import PATTERNS

from ..agreement.markdown import number, with_interval
from ..agreement.report import Agreement
from ..agreement.rows import EXTENT, POOLED, SLICE_MM, Row

Cells = tuple[str, ...]


def summary(agreement: Agreement, by_level: bool) -> tuple[Cells, list[Cells]]:
    """Header and rows as texts, the name of the measure or of the level first.

    Args:
        by_level: scores: the rows are of the five levels, so that a patient has an extent.
    """
    return _of_scores(agreement, by_level) if agreement.quantity == "scores" else _of_levels(agreement)


def _of_scores(agreement: Agreement, by_level: bool) -> tuple[Cells, list[Cells]]:
    rows = [_row(agreement, p.value, POOLED) for p in PATTERNS]
    lines = [
        ("MAE (percentage points)", *(_with(row, "mae", 2) for row in rows)),
        ("SD of the absolute error", *(number(row.values["sd"]) for row in rows)),
        ("Bias", *(number(row.values["bias"], 2, sign=True) for row in rows)),
        ("Limits of agreement", *map(_limits, rows)),
        ("Weighted kappa", *(_with(row, "kappa", 2) for row in rows)),
        ("ICC", *(_with(row, "icc", 2) for row in rows)),
    ]
    extents = [agreement.find(p.value, EXTENT) for p in PATTERNS]
    if by_level and all(extents):
        lines.append(("MAE of the patient's extent", *(_with(found[0], "mae", 2) for found in extents)))
    return ("", *(p.name for p in PATTERNS)), lines


def _of_levels(agreement: Agreement) -> tuple[Cells, list[Cells]]:
    header = ("Level", "MAE (mm)", f"MAE (slices of {SLICE_MM:g} mm)", "SD (mm)", "Bias (mm)", "ICC")
    lines = []
    for level in (*(one.name for one in Level), POOLED):
        found = agreement.find("position_mm", level)
        if found:
            row = found[0]
            values = row.values
            title = "all" if level == POOLED else f"{level}  {Level[level].title}"
            slices = number(values["mae"] / SLICE_MM)
            more = number(values["sd"]), number(values["bias"], 2, sign=True), number(values["icc"])
            lines.append((title, _with(row, "mae", 2), slices, *more))
    return header, lines


def _row(agreement: Agreement, column: str, level: str) -> Row:
    return agreement.find(column, level)[0]


def _with(row: Row, measure: str, digits: int) -> str:
    return with_interval(row.values[measure], row.intervals.get(measure), digits)


def _limits(row: Row) -> str:
    low, high = (number(row.values[name], 1, sign=True) for name in ("limit_low", "limit_high"))
    return f"{low} to {high}"


def as_markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table for a page."""
    from ..agreement.markdown import table

    return table(header, rows)
