"""Agreement of level positions in millimetres and in slices of 1.2 mm, as published (method.md sections 2 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .bootstrap import NO_INTERVAL, Interval
from .rows import SLICE_MM, Row
from .tables import Table

IN_SLICES = ("mae", "sd", "bias", "limit_low", "limit_high", "intercept")
"""The measures that are lengths."""

FROM_BOTTOM = "Positions are counted from each scan's lowest slice (bottom_mm), as published."

FROM_ORIGIN = (
    "ICC and line are of RAS S millimetres, which include where each patient lay on the table: this ICC is higher than "
    "one of positions counted from a scan's lowest slice, as published. Give the reference a column bottom_mm (RAS S "
    "of the scan's lowest slice) to have it so. The errors do not depend on this."
)


def from_bottom(reference: Table, raters: Sequence[Table]) -> tuple[Table, list[Table], str]:
    """Level tables with positions above the scan's lowest slice, where the tables tell that for every case.

    Returns:
        reference, raters, and a sentence that says from where positions are counted.
    """
    bottoms: dict[str, float] = {}
    for table in (*raters, reference):  # the reference's word counts
        bottoms |= table.bottoms
    if {case for table in (reference, *raters) for case in table.case.tolist()} - bottoms.keys():
        return reference, list(raters), FROM_ORIGIN
    counted = [
        replace(table, values=table.values - np.array([bottoms[case] for case in table.case.tolist()])[:, None])
        for table in (reference, *raters)
    ]
    return counted[0], counted[1:], FROM_BOTTOM


def in_slices(row: Row) -> dict[str, tuple[float, Interval]]:
    """The lengths of a row in slices of 1.2 mm: measure -> value and interval."""
    return {
        name: (
            row.values[name] / SLICE_MM,
            Interval(*(v / SLICE_MM for v in row.intervals.get(name, NO_INTERVAL))),
        )
        for name in IN_SLICES
    }


def flat(row: Row) -> dict:
    """:meth:`.rows.Row.flat` of a level row, the names with their unit: ``mae_mm``, and ``mae_slices`` beside it."""
    found = {}
    for name, value in row.flat().items():
        base = name.removesuffix("_ci_low").removesuffix("_ci_high")
        found[f"{base}_mm{name.removeprefix(base)}" if base in IN_SLICES else name] = value
    for name, (value, interval) in in_slices(row).items():
        found |= {
            f"{name}_slices": value,
            f"{name}_slices_ci_low": interval.low,
            f"{name}_slices_ci_high": interval.high,
        }
    return found
