"""Looking at a study from outside, while it runs and afterwards: its runs one by one, its results, its report.

Reads nothing but small files of the study's folder; steering it is done by :mod:`..run_status`, as for any run.

>>> look = StudyLook("runs/cv")                                          # doctest: +SKIP
>>> [(job.name, job.state) for job in look.jobs()]                       # doctest: +SKIP
[('fold_1', 'done'), ('fold_2', 'running'), ('fold_3', 'waiting'), ('fold_4', 'waiting')]
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from SScILDScoringLib.errors import SScILDError

from ..run_status import RunStatus, read_status
from .jobs import LOG, Done, JobFolder
from .study import PLAN, Study

REPORTS = ("crossvalidation.md", "comparison.md")
"""Of a plain cross-validation, and of a comparison."""

_FIGURES = ("comparison.png", "agreement/figures")
_COLUMNS = ("tot", "gg", "ret", "position_mm")


@dataclass(frozen=True)
class JobState:
    """How one run of a study is getting on.

    Args:
        name: in the study, ``fold_2``. folder: an ordinary run folder.
        state: ``waiting`` (not begun), ``done``, ``asking`` (trained; answers are being collected), or a state of
            :class:`..run_status.RunStatus`.
        status: of its training; None before it began. done: what it left; None before it was done.
        message: why it failed; empty otherwise.
    """

    name: str
    folder: Path
    state: str
    status: RunStatus | None = None
    done: Done | None = None
    message: str = ""


@dataclass(frozen=True)
class Table:
    """A table of texts, for people."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class StudyLook:
    """A study's folder, read again with every call.

    Args:
        folder: of the study, which need not have begun.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._study: Study | None = None
        self._read_at: int | None = None
        self._done: dict[str, Done] = {}

    @property
    def study(self) -> Study | None:
        """What it trains; None before its plan is written (phantoms are being made), and when that is unreadable."""
        try:
            changed = (self.folder / PLAN).stat().st_mtime_ns
        except OSError:
            self._study = self._read_at = None
            return None
        if changed != self._read_at:
            self._read_at, self._done = changed, {}
            try:
                self._study = Study.open(self.folder)
            except SScILDError:
                self._study = None
        return self._study

    @property
    def kind(self) -> str:
        """``folds``, ``ablation``, ``architectures`` or ``compare``; empty before the plan is there."""
        if self.study is None:
            return ""
        plan = self.study.plan
        if any(variant.factors for variant in plan.variants):
            return "ablation"
        if plan.compares_networks:
            return "architectures"
        return "compare" if plan.is_comparison else "folds"

    def jobs(self) -> tuple[JobState, ...]:
        """Its runs in the order in which they are done."""
        return tuple(self._state(job) for job in self.study.jobs) if self.study is not None else ()

    def not_run(self) -> tuple[str, ...]:
        """Configurations that cannot be trained here, each with the reason."""
        variants = self.study.plan.variants if self.study is not None else ()
        return tuple(f"{variant.name}: {variant.missing}" for variant in variants if variant.missing)

    def _state(self, job: JobFolder) -> JobState:
        name = job.job.name
        if name not in self._done and (done := job.done) is not None:
            self._done[name] = done  # a finished run stays what it is; its table is not read every second
        status = read_status(job.path)
        if name in self._done:
            return JobState(name, job.path, "done", status, self._done[name])
        if status is None:
            # It may have died before it said anything: then its log is all there is.
            failed = (job.path / LOG).is_file() and job.worker is None
            return JobState(
                name, job.path, "failed" if failed else "waiting", message=job.complaint() if failed else ""
            )
        if status.state == "finished":
            asking = job.worker is not None
            return JobState(name, job.path, "asking" if asking else "interrupted", status)
        message = status.message if status.state == "failed" else ""
        return JobState(name, job.path, status.state, status, message=message)

    # ---- what came out -----------------------------------------------------------------------------------------------

    @property
    def report(self) -> Path | None:
        """The report (Markdown); None before it is written."""
        return next((self.folder / name for name in REPORTS if (self.folder / name).is_file()), None)

    def figures(self) -> tuple[Path, ...]:
        """The figures of the report (PNG)."""
        found: list[Path] = []
        for name in _FIGURES:
            path = self.folder / name
            found += sorted(path.glob("*.png")) if path.is_dir() else [path] if path.is_file() else []
        return tuple(found)

    def results(self) -> Table | None:
        """The main result: folds with their errors, or the configurations compared; None before there is one."""
        folds, compared = _read(self.folder / "folds.csv"), _read(self.folder / "comparison.csv")
        if compared:
            return _comparison_table(compared)
        return self._fold_table(folds) if folds else None

    def _fold_table(self, rows: list[dict]) -> Table:
        columns = [c for c in _COLUMNS if any(row.get(f"{c}_mae") for row in rows)]
        shown = []
        for row in rows:
            if row.get("cases"):
                errors = [f"{_number(row.get(f'{c}_mae'))} ({_number(row.get(f'{c}_sd'))})" for c in columns]
                shown.append((f"fold {row['fold']}", row["cases"], *errors))
            else:
                shown.append((f"fold {row['fold']}", row["state"], *("" for _ in columns)))
        pooled = self._pooled()
        if pooled:
            cases = sum(int(row["cases"]) for row in rows if row.get("cases"))
            shown.append(("all folds", str(cases), *(pooled.get(c, "") for c in columns)))
        return Table(("", "Cases", *(f"{_title(c)} MAE (SD)" for c in columns)), tuple(shown))

    def _pooled(self) -> dict[str, str]:
        """Mean absolute error and its SD over all folds by column, from the agreement's own table."""
        try:
            values = json.loads((self.folder / "agreement" / "agreement.json").read_text(encoding="utf-8"))
            rows = [row for row in values["rows"] if row["level"] == "pooled"]
            return {r["column"]: f"{_number(r['values']['mae'])} ({_number(r['values']['sd'])})" for r in rows}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _comparison_table(rows: list[dict]) -> Table:
    """A row for each configuration: errors with intervals, and published ones beside an ablation's."""
    columns = [c for c in _COLUMNS if any(row["column"] == c for row in rows)]
    published = any(row.get("published_mae") for row in rows)
    sized = any(row.get("parameters") for row in rows)
    titles = ["Configuration", *(["Parameters"] if sized else [])]
    for column in columns:
        titles += [f"{_title(column)} MAE", *(["Published"] if published else [])]
    shown = []
    for name in dict.fromkeys(row["configuration"] for row in rows):
        found = {row["column"]: row for row in rows if row["configuration"] == name}
        any_row = next(iter(found.values()))
        line = [name, *([_count(any_row.get("parameters"))] if sized else [])]
        for column in columns:
            row = found.get(column, {})
            line.append(_with_interval(row) if row.get("mae") else "not run")
            line += [_number(row.get("published_mae"))] if published else []
        shown.append(tuple(line))
    return Table(tuple(titles), tuple(shown))


def _with_interval(row: dict) -> str:
    low, high = row.get("mae_ci_low"), row.get("mae_ci_high")
    interval = f" [{_number(low)}, {_number(high)}]" if low and high else ""
    p = row.get("wilcoxon_p")
    return f"{_number(row['mae'])}{interval}" + (f" p {float(p):.2g}" if p else "")


def _title(column: str) -> str:
    return "Position (mm)" if column == "position_mm" else column.upper()


def _number(text: object) -> str:
    return f"{float(text):.2f}" if text not in (None, "") else ""


def _count(text: str | None) -> str:
    return f"{int(float(text)):,}" if text else ""


def _read(path: Path) -> list[dict]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, csv.Error, UnicodeDecodeError):
        return []
