"""The table of the folds: how large each was, how its training went, and its errors."""

from __future__ import annotations

from collections.abc import Sequence

from ..agreement.markdown import number, table
from ..agreement.rows import estimates
from ..agreement.tables import align
from ..cohort import Cohort
from .answers import read_answers
from .jobs import ANSWERS, JobFolder
from .pooled import REFERENCE, reference_rows, table_of

UNITS = {"scores": "percentage points", "levels": "mm"}


def fold_rows(jobs: Sequence[JobFolder], cohort: Cohort, kind: str, failed: dict[str, str] | None = None) -> list[dict]:
    """One row a fold, for CSV: numbers, and ``state`` (``done``, or what went wrong)."""
    patient = {row.case: row.patient for row in cohort}
    rows = []
    for job in jobs:
        done = job.done
        row: dict[str, object] = {"fold": job.job.fold, "state": "done" if done else "not done"}
        if done is None:
            rows.append({**row, "state": (failed or {}).get(job.job.name, "not done")})
            continue
        answers = read_answers(job.path / ANSWERS)
        cases = list(dict.fromkeys(r["case"] for r in answers))
        row |= {"patients": len({patient[c] for c in cases}), "cases": len(cases), "rows": len(answers)}
        row |= {"steps": done.steps, "step_of_weights": done.step, "minutes": round(done.minutes, 2)}
        aligned = align(table_of(kind, REFERENCE, reference_rows(cohort, kind, cases)), table_of(kind, "fold", answers))
        for n, column in enumerate(aligned.columns):
            values = estimates(aligned.x[:, n], aligned.y[:, n], kappa=kind == "scores")
            row |= {f"{column}_{name}": values[name] for name in ("mae", "sd", "bias", "kappa", "icc")}
        rows.append(row)
    return rows


def fold_markdown(rows: Sequence[dict], kind: str) -> str:
    """The rows as a Markdown table with MAE (SD) of every column."""
    columns = {"scores": ("tot", "gg", "ret"), "levels": ("position_mm",)}[kind]
    titles = {"position_mm": "MAE (SD)"} | {c: f"{c.upper()} MAE (SD)" for c in ("tot", "gg", "ret")}
    header = ["fold", "patients", "cases", "step", "minutes", *(titles[c] for c in columns)]
    lines = []
    for row in rows:
        if "patients" not in row:
            lines.append([row["fold"], row["state"], *[""] * (len(header) - 2)])
            continue
        errors = [f"{number(row[f'{c}_mae'])} ({number(row[f'{c}_sd'])})" for c in columns]
        step = f"{row['step_of_weights']} of {row['steps']}"
        lines.append([row["fold"], row["patients"], row["cases"], step, number(row["minutes"], 1), *errors])
    return table(header, lines)
