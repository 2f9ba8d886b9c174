"""The evaluation of a run, and its files: numbers, tables, figures and a page."""

from __future__ import annotations

import json
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from SScILDScoringLib import __version__
from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.files import write_text
from SScILDScoringLib.progress import Progress, part_of, silent
from SScILDScoringLib.results import NOTICE, plain

from ..agreement.report import Agreement, compare
from ..agreement.rows import Settings
from ..runfolder import csv_text
from ..runs.looking import EVALUATION
from ..runs.places import absolute
from .asking import Answers, ask
from .drawing import draw
from .summary import as_markdown, summary

LONGEST_REMARK = 200
RESULT, FIGURES, PAGE = "evaluation.json", "figures.json", "report.html"


@dataclass(frozen=True, eq=False)
class RunEvaluation:
    """What a run's network is worth.

    Args:
        run: its folder. last: the weights at its end were asked, not the best ones.
        answers: what was asked and answered. agreement: all numbers. columns, rows: the main ones, as texts.
    """

    run: Path
    last: bool
    answers: Answers
    agreement: Agreement
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know about the figures, as sentences; the agreement's long lists stand in the report alone."""
        about = [r for r in self.agreement.remarks if len(r) <= LONGEST_REMARK] if self.answers.by_level else []
        return tuple(dict.fromkeys([*self.answers.remarks, *about]))

    def write(self, progress: Progress = silent) -> Path:
        """Writes everything into ``RUN/evaluation``, which is replaced as a whole; returns that folder.

        ``evaluation.json`` and ``figures.json`` for programs, ``report.html`` for people, ``answers.csv``,
        ``reference.csv``, ``agreement.*`` and ``figures/``.

        Raises:
            SettingsError: it cannot be written. Cancelled: by ``progress`` (stage ``figures``).
        """
        for left in self.run.glob(f".{EVALUATION}.*.part"):  # of a process that was ended meanwhile
            shutil.rmtree(left, ignore_errors=True)
        part = self.run / f".{EVALUATION}.{uuid.uuid4().hex[:8]}.part"
        target = self.run / EVALUATION
        try:
            part.mkdir()
            self._write_into(part, progress)
            _put_in_place(part, target)
        except OSError as error:
            raise SettingsError(f"{target} cannot be written: {error.strerror or error}.") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return target

    def _write_into(self, folder: Path, progress: Progress) -> None:
        from ..reader_studies.page import page_html

        answers = self.answers
        pictures = draw(answers, self.agreement, folder / "figures", progress)
        if answers.by_level:
            self.agreement.write(folder)
        for name, table in (("answers.csv", answers.answers), ("reference.csv", answers.reference)):
            write_text(folder / name, csv_text(_rows(table)))
        figures = [{"title": title, "file": path.relative_to(folder).as_posix()} for title, path in pictures]
        write_text(folder / FIGURES, json.dumps(figures, indent=1) + "\n")
        write_text(folder / RESULT, json.dumps(plain(self.to_dict()), indent=1, ensure_ascii=False) + "\n")
        title = f"Evaluation of {answers.answers.title}"
        write_text(folder / PAGE, page_html(title, self.markdown(), dict(pictures)))

    def to_dict(self) -> dict:
        """What ``evaluation.json`` holds."""
        answers = self.answers
        return {
            "software": __version__,
            "kind": answers.kind,
            "network": answers.answers.title,
            "last": self.last,
            "step": answers.step,
            "data": answers.data,
            "cases": answers.cases,
            "slices": len(answers.answers),
            "columns": self.columns,
            "rows": self.rows,
            "remarks": self.remarks,
            "mae": {row.column: row.values["mae"] for row in self.agreement.rows if row.level == "pooled"},
        }

    def markdown(self) -> str:
        """The report's text."""
        answers = self.answers
        which = "at the end of the run" if self.last else "that were best on the validation cases"
        parts = [
            f"# Evaluation of {answers.answers.title}",
            f"{answers.data} The weights are those {which} (step {answers.step}).",
            as_markdown(self.columns, self.rows),
        ]
        if answers.remarks:
            parts.append("\n".join(f"- {remark}" for remark in answers.remarks))
        if answers.by_level:
            parts += _below(self.agreement.markdown())
        return "\n\n".join([*parts, f"SScILDScoring {__version__}. {NOTICE}"]) + "\n"


def evaluate_run(
    run: str | Path,
    *,
    last: bool = False,
    table: str | Path | None = None,
    split: str | None = None,
    bootstrap: int = 500,
    temporary: Path | None = None,
    progress: Progress = silent,
) -> RunEvaluation:
    """Asks the network of a run about cases it was not trained on and compares its answers with the reference.

    Args:
        run: the run folder. last: the weights at its end (their moving average) instead of the best ones.
        table: a cohort table instead of the run's own. split: of the table, ``test``, ``validation``, ``train``; when
            None ``test``, else ``validation``, else all cases of a table that is not the run's own. A run without a
            cohort is asked about what it validated on.
        bootstrap: samples of the intervals; 0: none.
        temporary: folder for what is needed meanwhile; the system's when None.
        progress: stages ``evaluate``, ``answers``, ``agreement``.

    Raises:
        SettingsError: no such run, no checkpoint, or nothing to ask about. TableError: the table cannot be used.
    """
    run = absolute(run)
    answers = ask(run, last=last, table=table, split=split, temporary=temporary, progress=part_of(progress, 0, 0.85))
    agreement = compare(
        answers.reference, [answers.answers], Settings(bootstrap), progress=part_of(progress, 0.85, 1.0)
    )
    return RunEvaluation(run, last, answers, agreement, *summary(agreement, answers.by_level))


def _below(document: str) -> list[str]:
    """The blocks of a document for the end of another one: its title one level lower, and without its footer."""
    first, *rest = document.strip().split("\n\n")[:-1]
    return [f"#{first}", *rest]


def _rows(table) -> list[dict]:
    names = [f"{name}" for name in table.columns]
    return [
        {"reader": table.title, "case": case, "level": level, **dict(zip(names, map(_cell, values), strict=True))}
        for (case, level), values in zip(table.keys, table.values, strict=True)
    ]


def _cell(value: float) -> str:
    return f"{value:.6g}"


def _put_in_place(part: Path, target: Path) -> None:
    """Renames the new folder to where the former one is, which goes."""
    former = target.with_name(f".{EVALUATION}.{uuid.uuid4().hex[:8]}.part")
    with suppress(FileNotFoundError):
        target.rename(former)
    part.rename(target)
    shutil.rmtree(former, ignore_errors=True)
