"""What a batch remembers in its folder of results: its tables, and what is done already."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .batch_cases import BatchCase
from .errors import SettingsError, TableError
from .files import write_text
from .findings import SEVERITIES
from .results import FORMAT, NOTICE, ScanResult, plain, read_json, safe_name, write_csv
from .scores import PATTERNS

STATE, SCORES, CASES, FAILURES = "batch.json", "scores.csv", "cases.csv", "failures.csv"


class BatchState:
    """What is known of the cases in a folder of results: ``batch.json`` and the cases' own ``scores.json``.

    Args:
        out: the folder of results; need not be there yet.
        settings: what decides about the numbers of this batch, as plain values.
        names: the cases of this batch.

    Raises:
        SettingsError: ``batch.json`` is damaged, or from a newer version of this software.
    """

    def __init__(self, out: Path, settings: dict, names: set[str]) -> None:
        self.out = out
        self._digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        former = self._read()
        self._all_settings: dict[str, dict] = {**former.get("settings", {}), self._digest: settings}
        self._cases: dict[str, dict] = {}
        self.results: dict[str, ScanResult] = {}
        for name, row in former.get("cases", {}).items():
            if row["state"] == "failed":
                if name in names:  # else the scan was taken out of the batch, and its failure is of no interest
                    self._cases[name] = row
                continue
            try:
                self.results[name] = _slim(read_json(out / name / "scores.json"))
                self._cases[name] = row
            except TableError:  # somebody took the case's folder away: it is scored again
                continue

    def _read(self) -> dict:
        path = self.out / STATE
        if not path.is_file():
            return {}
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if int(data["format"]) > FORMAT:
                raise SettingsError(f"{path} was written by a newer version of this software; update to go on.")
            for name, row in data["cases"].items():
                needed = {"scored": ("settings", "input"), "failed": ("message",)}[row["state"]]
                if name != safe_name(name) or not all(isinstance(row[key], str) for key in needed):
                    raise ValueError(name)
            return data
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SettingsError(
                f"{path} cannot be read ({type(error).__name__}); choose another folder for the results."
            ) from error

    def is_finished(self, case: BatchCase, digest: str) -> bool:
        """Whether a case was scored with these settings from this very scan."""
        row = self._cases.get(case.name, {})
        return (
            row.get("state") == "scored"
            and row.get("settings") == self._digest
            and row.get("input") == digest
            and row.get("fvc_percent") == case.fvc_percent
        )

    def scored(self, case: BatchCase, digest: str, result: ScanResult, seconds: float) -> None:
        """Notes a scored case and writes the tables."""
        self.results[case.name] = _slim(result)
        count = {severity: sum(f.severity == severity for f in result.findings) for severity in SEVERITIES}
        self._cases[case.name] = {
            "state": "scored",
            "settings": self._digest,
            "input": digest,
            "fvc_percent": case.fvc_percent,
            "extent": {p.value: v for p, v in zip(PATTERNS, result.extent, strict=True)},
            "stage": result.stage.value,
            "findings": count,
            "seconds": round(seconds, 1),
        }
        self.write()

    def failed(self, name: str, message: str, defect: bool) -> None:
        """Notes a case that could not be scored and writes the tables."""
        self.results.pop(name, None)
        self._cases[name] = {"state": "failed", "message": message, "defect": defect}
        self.write()

    def other_settings(self) -> tuple[str, ...]:
        """Scored cases in the tables that were made with other settings than these."""
        return tuple(
            n for n, row in self._cases.items() if row["state"] == "scored" and row["settings"] != self._digest
        )

    def write(self) -> None:
        """Writes ``scores.csv``, ``cases.csv``, ``failures.csv`` and ``batch.json``.

        Raises:
            SettingsError: the folder cannot be written.
        """
        used = {row["settings"] for row in self._cases.values() if row["state"] == "scored"} | {self._digest}
        data = {
            "format": FORMAT,
            "notice": NOTICE,
            "settings": {digest: s for digest, s in self._all_settings.items() if digest in used},
            "cases": self._cases,
        }
        scored = [self.results[n] for n, row in self._cases.items() if row["state"] == "scored"]
        failed = [(n, row["message"]) for n, row in self._cases.items() if row["state"] == "failed"]
        write_csv(scored, self.out / SCORES)
        columns = ("case", *(p.value for p in PATTERNS), "stage", "fvc_percent", "warnings", "errors")
        _write_table(self.out / CASES, columns, [_case_row(result) for result in scored])
        _write_table(self.out / FAILURES, ("case", "message"), failed)
        # Last: a case counts as finished only when the tables have it.
        write_text(self.out / STATE, json.dumps(plain(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _case_row(result: ScanResult) -> tuple:
    """One row for one case: extent, stage, and how many warnings there are."""
    concerns = [sum(f.severity == severity for f in result.findings) for severity in ("warning", "error")]
    return (result.case, *result.extent, result.stage.value, result.fvc_percent, *concerns)


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _slim(result: ScanResult) -> ScanResult:
    """A result without what takes memory: only what tables need."""
    return replace(result, scan=None, lungs=None, heat_maps=(), explanations=(), profile=None)
