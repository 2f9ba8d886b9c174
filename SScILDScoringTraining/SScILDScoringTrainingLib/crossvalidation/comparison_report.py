"""A comparison of configurations as Markdown, CSV and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from SScILDScoringLib.files import write_text
from SScILDScoringLib.results import NOTICE

from ..agreement.markdown import number, p_value, table, with_interval
from ..runfolder import csv_text
from .comparison import MEASURES, Measured, VariantResult, seed_rows
from .complexity import Complexity
from .fold_table import UNITS
from .published import ABLATION, FACTORS, Published
from .study import Study

REPORT, CSV, RUNS, FIGURE = "comparison.md", "comparison.csv", "seeds.csv", "comparison"
NOT_RUN = "not run"


def write_comparison(
    study: Study,
    results: Sequence[VariantResult],
    *,
    samples: int,
    sizes: Mapping[str, Complexity] | None = None,
    figure: bool = True,
) -> list[Path]:
    """Writes ``comparison.md``, ``comparison.csv``, ``seeds.csv`` and the figure into the study's folder.

    Args:
        sizes: configuration -> size of its network, for a comparison of networks.
    """
    folder = study.folder
    written = [
        write_text(folder / REPORT, markdown(study, results, samples=samples, sizes=sizes or {})),
        write_text(folder / CSV, csv_text(flat_rows(results, sizes or {}))),
    ]
    runs = list(seed_rows(study))
    if runs:
        written.append(write_text(folder / RUNS, csv_text(runs)))
    if figure and any(r.columns for r in results):
        written += draw(study, results, sizes or {})
    return written


def markdown(
    study: Study,
    results: Sequence[VariantResult],
    *,
    samples: int,
    sizes: Mapping[str, Complexity],
) -> str:
    """The main table, details with intervals, what was not run, and definitions."""
    plan = study.plan
    done = next((r for r in results if r.columns), None)
    n, patients = (done.n, done.patients) if done else (0, 0)
    what = "the split test, which no run has seen" if plan.test else f"{len(plan.folds)} folds, each case held out once"
    ablation = any(r.variant.factors for r in results)
    parts = [
        f"# {plan.title}",
        f"{n} rows of {patients} patients: {what}. Seeds: {', '.join(map(str, plan.seeds))}. "
        f"Weights: {plan.weights} of each run.",
        _ablation_table(results) if ablation else _main_table(results, sizes),
        "Cells: MAE (SD) weighted kappa ICC, means over the seeds."
        + (" Published: Jia et al. 2024, 180 patients, four folds." if ablation else ""),
    ]
    if done:
        parts += ["## With intervals", _detail_table(results)]
    lacking = [f"- {r.variant.name}: {r.reason}" for r in results if r.reason]
    if lacking:
        parts += ["## Not run", "\n".join(lacking)]
    parts += ["## Definitions", _definitions(study, results, samples, sizes), NOTICE]
    return "\n\n".join(parts) + "\n"


def cell(measured: Measured | Published | None) -> str:
    """``8.87 (12.55) .42 .59``, as the published table has it; without kappa where there is none."""
    if measured is None:
        return NOT_RUN
    values = measured._asdict() if isinstance(measured, Published) else measured.values
    text = f"{number(values['mae'])} ({number(values['sd'])})"
    return " ".join([text, *(_short(values[m]) for m in ("kappa", "icc") if np.isfinite(values[m]))])


def _short(value: float) -> str:
    return number(value).replace("0.", ".", 1) if abs(value) < 1 else number(value)


def _columns(results: Sequence[VariantResult]) -> list[str]:
    return next((list(r.columns) for r in results if r.columns), [])


def _title(column: str) -> str:
    return "position, mm" if column == "position_mm" else column.upper()


def _ablation_table(results: Sequence[VariantResult]) -> str:
    columns = _columns(results) or ["tot", "gg", "ret"]
    header = [f.upper() for f in FACTORS]
    for column in columns:
        header += [_title(column), "published"]
    lines = []
    for result in results:
        on = result.variant.factors
        line = ["x" if on[f] else "-" for f in FACTORS]
        theirs = ABLATION[tuple(on[f] for f in FACTORS)]
        for column in columns:
            line += [cell(result.columns.get(column)), cell(theirs[column])]
        lines.append(line)
    return table(header, lines, left=len(FACTORS))


def _main_table(results: Sequence[VariantResult], sizes: Mapping[str, Complexity]) -> str:
    columns = _columns(results)
    header = ["configuration", *(["parameters", "GFLOP"] if sizes else []), *map(_title, columns)]
    lines = []
    for result in results:
        size = sizes.get(result.variant.name)
        extra = [f"{size.parameters:,}", f"{size.flops / 1e9:.3g}"] if size else ["", ""] if sizes else []
        lines.append([result.variant.name, *extra, *(cell(result.columns.get(c)) for c in columns)])
    return table(header, lines)


def _detail_table(results: Sequence[VariantResult]) -> str:
    header = ["", "configuration", "seeds", "MAE", "bias", "kappa", "ICC", "SD of MAE over seeds",
              "difference of MAE", "Wilcoxon p"]  # fmt: skip
    lines = []
    for column in _columns(results):
        for result in results:
            found = result.columns.get(column)
            if found is None:
                continue
            estimates = [with_interval(found.values[m], found.intervals[m]) for m in ("mae", "bias", "kappa", "icc")]
            difference = with_interval(found.difference, found.difference_interval, sign=True)
            spread = number(found.spread["mae"])
            line = [_title(column), result.variant.name, len(result.seeds), *estimates, spread]
            lines.append([*line, difference, p_value(found.wilcoxon_p)])
    return table(header, lines, left=2)


def _definitions(study: Study, results: Sequence[VariantResult], samples: int, sizes: Mapping[str, Complexity]) -> str:
    plan = study.plan
    text = [
        f"Errors in {UNITS[plan.kind]}; answers as the software reports them.",
        "MAE (SD): mean and standard deviation (ddof 0) of the absolute error. Kappa: linearly weighted over the 21 "
        "categories 0, 5, ..., 100. ICC: ICC(A,1).",
        f"Differences and tests are against {results[0].variant.name}; the Wilcoxon signed-rank test is of every row's "
        "absolute error, the mean over the seeds, and takes rows for independent, which slices of a patient are not.",
    ]
    if samples:
        text.append(
            f"Brackets: 95 % percentile bootstrap intervals ({samples} samples): patients and seeds are drawn with "
            "replacement. With few seeds the spread over seeds is known badly."
        )
    if plan.weights == "best" and not plan.test:
        text.append("The best weights were chosen on the cases that are asked about, as published.")
    if sizes:
        text.append(
            "GFLOP: billions of floating-point operations of one answer, in convolutions and matrix products; a "
            "multiplication and an addition are two."
        )
        alone = [r.variant.name for r in results if r.variant.changes.get("dense", 0) is None]
        if alone:
            text.append(f"Trained on the scores alone, for they have no maps: {', '.join(alone)}.")
    return " ".join(text)


def flat_rows(results: Sequence[VariantResult], sizes: Mapping[str, Complexity]) -> list[dict]:
    """One row for each configuration and column, for CSV; published figures beside an ablation's."""
    rows = []
    for result in results:
        on, size = result.variant.factors, sizes.get(result.variant.name)
        for column in _columns(results) or ["tot", "gg", "ret"]:
            row: dict[str, object] = {"configuration": result.variant.name}
            row |= {factor: int(on[factor]) for factor in FACTORS if on}
            row |= {"parameters": size.parameters, "flops": size.flops} if size else {}
            row |= {"column": column, "n": result.n, "patients": result.patients, "seeds": len(result.seeds)}
            row |= {"minutes": round(result.minutes, 2)}
            found = result.columns.get(column)
            for name in MEASURES:
                row[name] = found.values[name] if found else ""
                row[f"{name}_ci_low"], row[f"{name}_ci_high"] = found.intervals[name] if found else ("", "")
                row[f"{name}_sd_over_seeds"] = found.spread[name] if found else ""
            row["mae_difference"] = found.difference if found else ""
            row["difference_ci_low"], row["difference_ci_high"] = found.difference_interval if found else ("", "")
            row["wilcoxon_p"] = found.wilcoxon_p if found else ""
            if on:
                theirs = ABLATION[tuple(on[f] for f in FACTORS)][column]
                row |= {f"published_{name}": value for name, value in theirs._asdict().items()}
            row["remark"] = result.reason
            rows.append({key: _written(value) for key, value in row.items()})
    return rows


def _written(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}" if np.isfinite(value) else ""
    return value


def draw(study: Study, results: Sequence[VariantResult], sizes: Mapping[str, Complexity]) -> list[Path]:
    """MAE of every configuration with its interval; the dotted line is the first one."""
    from ..agreement.figures.architectures import Architecture, architectures
    from ..agreement.figures.style import as_pattern, save

    networks = []
    for result in results:
        if not result.columns:
            continue
        estimates = {
            as_pattern(column) or _title(column): (m.values["mae"], *m.intervals["mae"])
            for column, m in result.columns.items()
        }
        p_values = {as_pattern(column) or _title(column): m.wilcoxon_p for column, m in result.columns.items()}
        size = sizes.get(result.variant.name)
        millions = size.parameters / 1e6 if size else None
        networks.append(Architecture(result.variant.name, estimates, millions, p_values))
    done = next(r for r in results if r.columns)
    figure = architectures(networks, measure=f"MAE ({UNITS[study.plan.kind]})", n=done.n, what="rows")
    return save(figure, study.folder / FIGURE)
