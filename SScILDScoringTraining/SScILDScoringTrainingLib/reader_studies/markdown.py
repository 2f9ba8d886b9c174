"""The tables of a study as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from SScILDScoringLib.observers.answers import LIKERT
from SScILDScoringLib.scores import Pattern

from ..agreement.markdown import definitions, number, table, with_interval
from ..agreement.report import Agreement
from ..agreement.rows import KINDS
from .ratings import RatingAgreement, RatingShares
from .times import ReadingTimes


def agreement_section(title: str, agreement: Agreement) -> list[str]:
    """The main table of a comparison, what is missing, remarks and definitions, as blocks below our own heading."""
    blocks = [block for block in agreement.markdown(short=True).split("\n\n") if not block.startswith("# ")]
    deeper = [f"#{block}" if block.startswith("## ") else block for block in blocks]
    return [f"## {title}", "\n\n".join(deeper).strip(), definitions(agreement)]


def shares_table(shares: Sequence[RatingShares]) -> str:
    """The share of each Likert label in percent by pattern and rater, as a Markdown table."""
    header = ["", "rater", "maps", *(f"{label} %" for label in LIKERT), "agree or strongly agree % [95 % CI]"]
    ordered = sorted(shares, key=lambda one: list(Pattern).index(one.pattern))
    rows = [
        [
            one.pattern.name,
            one.rater,
            one.n,
            *(number(100 * count / one.n, 1) for count in one.counts),
            with_interval(one.agreement, one.interval, 1),
        ]
        for one in ordered
    ]
    return table(header, rows, left=2)


def rating_agreement_table(found: Sequence[RatingAgreement]) -> str:
    """How far two raters, or two sessions of one, rated the same maps alike, as a Markdown table."""
    header = ["", "comparison", "raters", "maps", "equal %", "at most one label apart %", "kappa, linear weights"]
    ordered = sorted(found, key=lambda one: list(Pattern).index(one.pattern))
    rows = [
        [
            one.pattern.name,
            KINDS[one.kind],
            f"{one.second} - {one.first}",
            one.n,
            number(one.equal, 1),
            number(one.within_one, 1),
            number(one.kappa),
        ]
        for one in ordered
    ]
    return table(header, rows, left=3)


def times_table(times: Sequence[ReadingTimes]) -> str:
    """Reading times per case in minutes by rater, as a Markdown table."""
    header = ["rater", "cases", "median min", "quartiles", "mean (SD)", "longest", "first half", "second half"]
    rows = []
    for one in times:
        first, second = one.halves()
        rows.append(
            [
                one.rater,
                one.n,
                number(one.quantile(0.5), 1),
                f"{number(one.quantile(0.25), 1)} to {number(one.quantile(0.75), 1)}",
                f"{number(one.seconds.mean() / 60, 1)} ({number(one.seconds.std() / 60, 1)})",
                number(one.seconds.max() / 60, 1),
                number(first, 1),
                number(second, 1),
            ]
        )
    return table([*header, "total h", "corrections"], [
        [*row, number(one.flat()["total_h"], 1), one.corrections] for row, one in zip(rows, times, strict=True)
    ])  # fmt: skip
