"""The check of a cohort as files: ``problems.csv``, ``check.json`` and pictures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from SScILDScoringLib.files import write_text

from .checking import CohortCheck
from .figures import write_figures

COLUMNS = ("severity", "code", "row", "case", "column", "message")


def write_check(check: CohortCheck, folder: str | Path) -> list[Path]:
    """Writes everything into ``folder``, each file complete or not at all.

    Raises:
        SettingsError: a file cannot be written.
    """
    folder = Path(folder)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(problem.as_row() for problem in check.problems)
    content = {**check.summary(), "problems": [vars(problem) for problem in check.problems]}
    return [
        write_text(folder / "problems.csv", text.getvalue()),
        write_text(folder / "check.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n"),
        *write_figures(check, folder),
    ]
