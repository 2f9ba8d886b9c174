"""The tables of an agreement as Markdown: aligned, so that they read well on a terminal too."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from SScILDScoringLib import __version__
from SScILDScoringLib.levels import Level
from SScILDScoringLib.results import NOTICE
from SScILDScoringLib.scores import Pattern

from .goh import STAGES, StageAgreement
from .levels import in_slices
from .rows import EXTENT, GROUPS, KINDS, POOLED, SLICE_MM, Difference, Row, Settings
from .tables import keys_text

if TYPE_CHECKING:
    from .report import Agreement

NONE = "–"
_CORRECTED = {"bonferroni": "Bonferroni", "holm": "Holm", "fdr": "Benjamini and Hochberg"}


def markdown(agreement: Agreement, short: bool = False) -> str:
    """The whole comparison as Markdown; or, when short, its first table, the missing rows and the remarks."""
    tables = _score_tables(agreement) if agreement.quantity == "scores" else _level_tables(agreement)
    parts = [
        f"# Agreement of {agreement.quantity}",
        f"Reference: {agreement.reference}. Raters: {', '.join(agreement.raters)}.",
        *(tables[:2] if short else tables),
    ]
    if agreement.differences and not short:
        parts += ["## Absolute errors of the raters compared", _differences(agreement)]
    if agreement.stages and not short:
        parts += ["## Goh stage", _stages(agreement.stages), *map(_matrix, agreement.stages)]
    if agreement.missing:
        parts += ["## Missing rows", _missing(agreement)]
    if agreement.remarks:
        parts += ["## Remarks", "\n".join(f"- {remark}" for remark in agreement.remarks)]
    if not short:
        parts += ["## Definitions", definitions(agreement), f"SScILDScoring {__version__}. {NOTICE}"]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """A Markdown table with columns of equal width; the first ``left`` columns to the left, the others to the right."""
    cells = [[str(c).replace("|", "\\|") for c in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    rule = ["-" * (w + 1) + ("-" if i < left else ":") for i, w in enumerate(widths)]
    lines = [
        "| "
        + " | ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        + " |"
        for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number, or a dash where it is not defined."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def with_interval(value: float, interval: Sequence[float] | None, digits: int = 2, sign: bool = False) -> str:
    """``0.66 [0.60, 0.71]``; without brackets where there is no interval."""
    text = number(value, digits, sign)
    if interval is None or not all(map(math.isfinite, interval)):
        return text
    return f"{text} [{', '.join(number(v, digits, sign) for v in interval)}]"


def p_value(value: float | None) -> str:
    """Three digits, ``<0.001`` below."""
    if value is None or not math.isfinite(value):
        return NONE
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def definitions(agreement: Agreement) -> str:
    """What the numbers are, as a paragraph for the methods of a paper."""
    settings: Settings = agreement.settings
    unit = "percent of lung area" if agreement.quantity == "scores" else "millimetres (RAS S)"
    text = [
        f"Differences are rater minus reference, or second minus first named, in {unit}.",
        "MAE (SD): mean and standard deviation (ddof 0) of the absolute difference.",
        "Limits of agreement: bias ± 1.96 sample standard deviations of the difference (Bland and Altman 1986).",
    ]
    if agreement.quantity == "scores":
        text.append(
            "Kappa: Cohen's, linearly weighted over the fixed 21 categories 0, 5, ..., 100. Extent: a patient's mean "
            "over the five levels. Goh stage from the TOT extent: limited below 10 %, extensive above 30 %, between "
            "them indeterminate"
            + (" unless the forced vital capacity decides." if any(s.with_fvc for s in agreement.stages) else ".")
        )
    else:
        text.append(f"A slice is {SLICE_MM:g} mm.")
    text.append(
        "ICC: single rating, absolute agreement, two-way random effects, ICC(A,1). Line: least-squares regression of "
        "the second on the first; r: Pearson."
    )
    if agreement.differences:
        text.append(
            "Absolute errors of two raters against the reference: two-sided Wilcoxon signed-rank and paired t-test on "
            "the rows that all three have. Both take rows for independent, which slices of one patient are not; the "
            "interval of the difference does not."
        )
        if settings.correction:
            text.append(f"p-values corrected over the patterns after {_CORRECTED[settings.correction]}.")
    if settings.samples:
        text.append(
            f"Brackets: 95 % percentile bootstrap intervals by patient ({settings.samples} samples, seed "
            f"{settings.seed}); {_whose(agreement)}"
        )
    return " ".join(text)


def _whose(agreement: Agreement) -> str:
    """What counts as a patient, for the sentence on the intervals."""
    if agreement.drawn == "case":
        return "every case counts as a patient of its own (no table has a column patient)."
    pooled = [row for row in agreement.rows if row.level == POOLED]
    most = max(pooled, key=lambda row: row.cases, default=None)
    return f"{most.cases} cases of {most.patients} patients, after the column patient." if most else "none compared."


# ---- scores ----------------------------------------------------------------------------------------------------------


def _score_tables(agreement: Agreement) -> list[str]:
    parts = ["## All levels together", _score_table(agreement.find(c) for c in agreement.columns)]
    if any(row.level == EXTENT for row in agreement.rows):
        parts += [
            "## Patients (mean over five levels)",
            _score_table(agreement.find(c, EXTENT) for c in agreement.columns),
        ]
    found = [
        [row for level in GROUPS if level != POOLED for row in agreement.find(column, level)]
        for column in agreement.columns
    ]
    return [*parts, "## Per level", _score_table(found, by_level=True)]


def _score_table(groups: Iterable[Sequence[Row]], by_level: bool = False) -> str:
    rows = [row for group in groups for row in group]
    kappa = any("kappa" in row.values for row in rows)
    header = ["", *(["level"] if by_level else []), "comparison", "raters", "n", "MAE (SD)", "95 % CI of MAE"]
    header += ["bias [limits of agreement]", *(["kappa"] if kappa else []), "ICC", "r", "line"]
    return table(header, (_score_cells(row, by_level, kappa) for row in rows), left=4 if by_level else 3)


def _score_cells(row: Row, by_level: bool, kappa: bool) -> list[str]:
    v, ci = row.values, row.intervals
    mae = ci["mae"]
    return [
        Pattern(row.column).name,
        *([row.level] if by_level else []),
        KINDS[row.kind],
        row.title if row.kind != "reference" else row.second,
        str(row.n),
        f"{number(v['mae'])} ({number(v['sd'])})",
        f"{number(mae.low)} to {number(mae.high)}" if math.isfinite(mae.low) else NONE,
        with_interval(v["bias"], (v["limit_low"], v["limit_high"]), 1, sign=True),
        *([with_interval(v["kappa"], ci["kappa"])] if kappa else []),
        with_interval(v["icc"], ci["icc"]),
        number(v["r"]),
        _line(v),
    ]


def _line(values) -> str:
    if not math.isfinite(values["slope"]):
        return NONE
    return f"{number(values['slope'])} x {'-' if values['intercept'] < 0 else '+'} {number(abs(values['intercept']))}"


# ---- levels ----------------------------------------------------------------------------------------------------------


def _level_tables(agreement: Agreement) -> list[str]:
    header = ["level", "comparison", "raters", "n", "MAE mm (SD)", "95 % CI of MAE mm", "MAE slices (SD)"]
    header += ["bias mm [limits of agreement]", "bias slices", "ICC", "line"]
    rows = [row for level in (*(x.name for x in Level), POOLED) for row in agreement.find("position_mm", level)]
    return ["## Levels", table(header, map(_level_cells, rows), left=3)]


def _level_cells(row: Row) -> list[str]:
    v, slices, mae = row.values, in_slices(row), row.intervals["mae"]
    return [
        row.level,
        KINDS[row.kind],
        row.title if row.kind != "reference" else row.second,
        str(row.n),
        f"{number(v['mae'])} ({number(v['sd'])})",
        f"{number(mae.low)} to {number(mae.high)}" if math.isfinite(mae.low) else NONE,
        f"{number(slices['mae'][0])} ({number(slices['sd'][0])})",
        with_interval(v["bias"], (v["limit_low"], v["limit_high"]), 2, sign=True),
        number(slices["bias"][0], 2, sign=True),
        with_interval(v["icc"], row.intervals["icc"], 3),
        _line(v),
    ]


# ---- tests, stages, missing rows -------------------------------------------------------------------------------------


def _differences(agreement: Agreement) -> str:
    corrected = agreement.settings.correction is not None
    header = [
        "",
        "level",
        "comparison",
        "raters",
        "n",
        "MAE first",
        "MAE second",
        "difference",
        "Wilcoxon p",
        "t-test p",
    ]
    header += ["Wilcoxon p corrected", "t-test p corrected"] if corrected else []
    columns = list(dict.fromkeys(d.column for d in agreement.differences))
    ordered = sorted(agreement.differences, key=lambda d: (columns.index(d.column), GROUPS.index(d.level)))
    return table(header, (_difference_cells(d, corrected) for d in ordered), left=4)


def _difference_cells(d: Difference, corrected: bool) -> list[str]:
    cells = [
        Pattern(d.column).name if d.column != "position_mm" else "mm",
        d.level,
        KINDS[d.kind],
        f"{d.second} - {d.first}",
        str(d.n),
        number(d.mae_first),
        number(d.mae_second),
        with_interval(d.difference, d.interval, 2, sign=True),
        p_value(d.wilcoxon_p),
        p_value(d.t_p),
    ]
    return cells + ([p_value(d.wilcoxon_p_corrected), p_value(d.t_p_corrected)] if corrected else [])


def _stages(stages: Sequence[StageAgreement]) -> str:
    header = ["comparison", "raters", "patients", "equal", "kappa", "kappa, linear weights"]
    rows = [
        [
            KINDS[s.kind],
            f"{s.second} - {s.first}" if s.kind != "reference" else s.second,
            s.n,
            f"{100 * s.agreement:.0f} %",
            with_interval(s.kappa, s.kappa_interval),
            with_interval(s.weighted_kappa, s.weighted_kappa_interval),
        ]
        for s in stages
    ]
    return table(header, rows, left=2)


def _matrix(stage: StageAgreement) -> str:
    header = [f"{stage.first} (down), {stage.second} (across)", *(s.value for s in STAGES)]
    return table(header, ([s.value, *line] for s, line in zip(STAGES, stage.matrix, strict=True)))


def _missing(agreement: Agreement) -> str:
    lines = [
        f"- {title} lacks {len(keys)} {'row' if len(keys) == 1 else 'rows'}: {keys_text(keys)}"
        for title, keys in agreement.missing.items()
    ]
    return "Rows that another table has; a comparison leaves out what one of its two tables lacks.\n\n" + "\n".join(
        lines
    )
