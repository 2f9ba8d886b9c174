"""Agreement of level positions in millimetres and in slices of 1.2 mm, as published (method.md sections 2 and 6)."""

from __future__ import annotations

from .bootstrap import NO_INTERVAL, Interval
from .rows import SLICE_MM, Row

IN_SLICES = ("mae", "sd", "bias", "limit_low", "limit_high")
"""The measures that are lengths."""

ICC_REMARK = (
    "The ICC of positions counts the spread between patients, and with RAS S millimetres that includes where each lay "
    "on the table: it is higher than one of positions counted from a scan's lowest slice, as published. The errors "
    "do not depend on this."
)


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
        length = base in IN_SLICES or base == "intercept"
        found[f"{base}_mm{name.removeprefix(base)}" if length else name] = value
    for name, (value, interval) in in_slices(row).items():
        found |= {
            f"{name}_slices": value,
            f"{name}_slices_ci_low": interval.low,
            f"{name}_slices_ci_high": interval.high,
        }
    return found
