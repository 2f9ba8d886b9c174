"""What a model bundle is worth on data it was not trained on, beside simple baselines (`sscild evaluate`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.progress import Progress

from ..agreement.measures import absolute_error, icc_agreement, weighted_kappa
from ..runfolder import csv_text, write_text

if TYPE_CHECKING:
    from SScILDScoringLib.models import ModelBundle

PATTERNS = ("tot", "gg", "ret")


@dataclass
class Evaluation:
    """Figures of one bundle.

    Args:
        bundle: its name and version. settings: seeds and numbers it was measured with.
        tables: by the data, by the row, by the column: a number or a text.
        bars: every bar of the project: what, the wanted and the reached figure, met or not.
        rows: one per answer, for the CSV.
    """

    bundle: str
    settings: dict[str, Any]
    tables: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    bars: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def bar(self, what: str, reached: float, limit: float, least: bool = False) -> None:
        """Notes a bar: ``reached`` must be at most ``limit``, or at least when ``least``."""
        met = bool(reached >= limit if least else reached <= limit)
        sign = ">=" if least else "<="
        self.bars.append({"bar": what, "reached": round(float(reached), 3), "wanted": f"{sign} {limit:g}", "met": met})

    def write(self, folder: Path) -> None:
        """Writes ``evaluation.json`` and ``evaluation.csv``."""
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            "bundle": self.bundle,
            "settings": self.settings,
            "accuracy": self.tables,
            "bars": self.bars,
        }
        write_text(folder / "evaluation.json", json.dumps(values, indent=2) + "\n")
        write_text(folder / "evaluation.csv", csv_text(self.rows))


def read_accuracy(path: Path) -> dict[str, Any]:
    """The tables of an ``evaluation.json``, for a model card.

    Raises:
        SettingsError: not such a file.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))["accuracy"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path} is not a file written by sscild evaluate.") from error


# ---- L-Net -----------------------------------------------------------------------------------------------------------


def evaluate_levels(
    bundle: ModelBundle, *, phantoms: int, seed: int, cohort: str | Path | None, progress: Progress
) -> Evaluation:
    """Errors in millimetres of every level on fresh phantoms and on the cohort's cases of the split ``test``, beside
    those of the landmarks without a network (:mod:`SScILDScoringLib.anatomy`).

    Phantoms have 128 pixels a side and any slice thickness and coverage that :class:`PhantomSpec` draws; seeds start
    at ``900000 + 1000 * seed``, which no training uses.
    """
    from SScILDScoringLib.level_selection import levels_from_answers, run_windows
    from SScILDScoringLib.scan import load_scan

    from ..cohort import read_cohort
    from ..phantoms import phantom_of_seed

    result = Evaluation(f"{bundle.name} {bundle.version}", {"phantoms": phantoms, "seed": seed})

    def errors_of(scan, mm: Sequence[float], data: str, case: str) -> np.ndarray:
        """Errors ``(2, 5)`` of the network and of the anatomy, the latter NaN where it does not tell."""
        levels, _ = levels_from_answers(run_windows(scan, bundle), bundle.input, scan)
        errors = np.array([levels.mm, _anatomy_mm(scan)]) - np.array(mm)
        values = {f"error_{n}_mm": round(float(e), 2) for n, e in enumerate(errors[0], start=1)}
        others = {f"anatomy_error_{n}_mm": _rounded(e) for n, e in enumerate(errors[1], start=1)}
        result.rows.append({"data": data, "case": case, **values, **others})
        return errors

    found = []
    for n in range(phantoms):
        progress("evaluate", n / max(phantoms, 1), f"phantom {n + 1} of {phantoms}")
        number = 900_000 + 1000 * seed + n
        phantom = phantom_of_seed(number, {"matrix": 128})
        found.append(errors_of(phantom.scan, phantom.levels.mm, "phantoms", f"phantom {number}"))
    if found:
        table = _level_table(np.array(found))
        result.tables[f"{phantoms} unseen phantoms"] = table
        for level, row in table.items():
            result.bar(f"phantoms, {level}, MAE mm", row["mae_mm"], 6)
    for row in read_cohort(cohort) if cohort else []:
        if row.split != "test":
            continue
        errors = errors_of(load_scan(row.path), row.mm, "scans", row.case)
        result.tables[f"held-out scan {row.case}"] = {
            f"L{n}": {"error_mm": round(float(e), 1), "anatomy_error_mm": _rounded(other)}
            for n, (e, other) in enumerate(errors.T, start=1)
        }
        result.bar(f"scan {row.case}, worst of the five, error mm", float(np.abs(errors[0]).max()), 15)
    return result


def _anatomy_mm(scan) -> tuple[float, ...]:
    """The five levels by the landmarks alone; NaN where there are none to go by."""
    from SScILDScoringLib.anatomy import estimate_levels, find_landmarks
    from SScILDScoringLib.errors import ScanError
    from SScILDScoringLib.lungs import segment_lungs

    try:
        return estimate_levels(find_landmarks(scan, segment_lungs(scan)), scan).mm
    except ScanError:
        return (float("nan"),) * 5


def _rounded(value: float) -> float | str:
    return round(float(value), 2) if np.isfinite(value) else ""


def _level_table(errors: np.ndarray) -> dict[str, dict[str, float]]:
    """Figures per level of errors ``(cases, 2, 5)``."""
    table = {}
    others, errors = errors[:, 1], errors[:, 0]
    for n in range(5):
        mae, deviation = absolute_error(errors[:, n], np.zeros(len(errors)))
        table[f"L{n + 1}"] = {
            "mae_mm": round(mae, 2),
            "sd_mm": round(deviation, 2),
            "mean_error_mm": round(float(errors[:, n].mean()), 2),
            "largest_mm": round(float(np.abs(errors[:, n]).max()), 1),
            "anatomy_mae_mm": _rounded(np.abs(others[:, n][np.isfinite(others[:, n])]).mean())
            if np.isfinite(others[:, n]).any()
            else "",
            "anatomy_found": int(np.isfinite(others[:, n]).sum()),
        }
    return table


# ---- S-Net -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Case:
    """A slice to be scored: HU, lung and body masks (for the baseline and the input), truth in percent or None."""

    name: str
    hu: np.ndarray
    lung: np.ndarray
    body: np.ndarray | None
    truth: tuple[float, float, float] | None


class Scorer:
    """Answers of a bundle's network, limited to 0..100: as scoring a CT gives them."""

    def __init__(self, bundle: ModelBundle) -> None:
        self.input = bundle.input
        self.network = bundle.network()

    def __call__(self, cases: Sequence[Case], batch: int = 8) -> np.ndarray:
        """TOT, GG, RET in percent ``(n, 3)``. The body mask is found anew, as in use."""
        import torch

        answers = []
        for start in range(0, len(cases), batch):
            images = np.stack([self.input.prepare(c.hu) for c in cases[start : start + batch]])
            with torch.inference_mode():
                answers.append(self.network(torch.from_numpy(images)[:, None]).float().numpy())
        return np.clip(np.concatenate(answers), 0, 100) if answers else np.zeros((0, 3))


def evaluate_scores(
    bundle: ModelBundle,
    *,
    drawn: int,
    phantoms: int,
    seed: int,
    settings: Mapping[str, Any],
    ct: Path,
    cache: Path,
    progress: Progress,
) -> Evaluation:
    """All S-Net figures of the project: drawn disease by both generators in a held-out patient, phantoms, healthy
    slices under perturbations, single slices; beside the linear HU baseline.

    Args:
        drawn: samples of each generator. phantoms: how many phantoms (up to 8 slices each).
        settings: the content of ``presets/evaluation_slices.yaml``.
        ct: folder of the public scans. cache: for lung masks and phantom slices.
    """
    from . import slices

    scorer = Scorer(bundle)
    result = Evaluation(f"{bundle.name} {bundle.version}", {"drawn": drawn, "phantoms": phantoms, "seed": seed})
    progress("evaluate", 0.0, "Reading scans")
    backgrounds = slices.backgrounds(settings["held_out"], cache, progress)
    baseline = slices.fitted_baseline(slices.backgrounds(settings["baseline"], cache, progress), seed)
    patient = ", ".join(source["name"] for source in settings["held_out"])

    progress("evaluate", 0.2, "Disease drawn from noise")
    table = _compared(result, scorer, baseline, slices.drawn(backgrounds, drawn, seed), "drawn")
    result.tables[f"drawn disease in {patient}, {drawn} slices"] = table
    for name, mae, icc in zip(PATTERNS, (3, 2, 4), (0.97, 0.97, 0.95), strict=True):
        result.bar(f"drawn disease, {name.upper()}, MAE", table[name]["mae"], mae)
        result.bar(f"drawn disease, {name.upper()}, ICC", table[name]["icc"], icc, least=True)

    progress("evaluate", 0.4, "Disease of the published recipe")
    others = slices.published(backgrounds, drawn, seed, settings["patches"], ct)
    table = _compared(result, scorer, baseline, others, "other generator")
    result.tables[f"disease by the published recipe, textures never seen, in {patient}, {drawn} slices"] = table
    result.bar("other generator, TOT, MAE", table["tot"]["mae"], 3)

    progress("evaluate", 0.55, "Phantoms")
    cases = slices.phantom_cases(phantoms, seed, cache, progress)
    if cases:
        table = _compared(result, scorer, baseline, cases, "phantoms")
        result.tables[f"slices of {phantoms} unseen phantoms"] = table
        for name in PATTERNS:
            result.bar(f"phantoms, {name.upper()}, MAE", table[name]["mae"], 5)

    progress("evaluate", 0.75, "Healthy slices")
    table = {}
    for name, cases in slices.perturbed(backgrounds, seed):
        table[name] = _healthy(result, scorer, baseline, cases, name)
        result.bar(f"healthy, {name}: share with TOT <= 5", table[name]["share_tot_up_to_5"], 0.95, least=True)
        result.bar(f"healthy, {name}: highest TOT", table[name]["highest_tot"], 10)
    result.tables[f"healthy slices of {patient}, {len(backgrounds)} slices"] = table

    progress("evaluate", 0.95, "Single slices")
    result.tables["single slices (by eye, viral pneumonia)"] = _single(result, scorer, baseline, settings["single"])
    return result


def _compared(result: Evaluation, scorer: Scorer, baseline, cases: Sequence[Case], data: str) -> dict[str, dict]:
    answers = scorer(cases)
    simple = np.array([baseline(c.hu, c.lung) for c in cases])
    truth = np.array([c.truth for c in cases])
    for case, answer in zip(cases, answers, strict=True):
        _note(result, data, case, answer)
    table = {}
    for n, name in enumerate(PATTERNS):
        mae, deviation = absolute_error(truth[:, n], answers[:, n])
        table[name] = {
            "mae": round(mae, 2),
            "sd": round(deviation, 2),
            "icc": round(icc_agreement(truth[:, n], answers[:, n]), 3),
            "kappa": _number(weighted_kappa(truth[:, n], answers[:, n])),
            "mean_error": round(float((answers[:, n] - truth[:, n]).mean()), 2),
            "baseline_mae": round(absolute_error(truth[:, n], simple[:, n])[0], 2),
            "mean_predictor_mae": round(absolute_error(truth[:, n], np.full(len(truth), truth[:, n].mean()))[0], 2),
        }
    return table


def _healthy(result: Evaluation, scorer: Scorer, baseline, cases: Sequence[Case], name: str) -> dict[str, float]:
    answers = scorer(cases)
    simple = np.array([baseline(c.hu, c.lung) for c in cases])
    for case, answer in zip(cases, answers, strict=True):
        _note(result, f"healthy, {name}", case, answer)
    return {
        "share_tot_up_to_5": round(float((answers[:, 0] <= 5).mean()), 3),
        "highest_tot": round(float(answers[:, 0].max()), 1),
        "mean_tot": round(float(answers[:, 0].mean()), 2),
        "baseline_mean_tot": round(float(simple[:, 0].mean()), 1),
        "baseline_highest_tot": round(float(simple[:, 0].max()), 1),
    }


def _single(result: Evaluation, scorer: Scorer, baseline, entries: Sequence[Mapping]) -> dict[str, dict]:
    from .slices import single_case

    table = {}
    for entry in entries:
        case = single_case(entry["path"])
        answer = scorer([case])[0]
        _note(result, "single", case, answer)
        wanted = entry.get("at_least", entry.get("at_most"))
        table[case.name] = {
            "by eye": entry["what"],
            **{p: round(float(v), 1) for p, v in zip(PATTERNS, answer, strict=True)},
            "baseline_tot": round(float(baseline(case.hu, case.lung)[0]), 1),
        }
        if wanted is not None:
            result.bar(f"{case.name} ({entry['what']}), TOT", float(answer[0]), wanted, least="at_least" in entry)
    return table


def _note(result: Evaluation, data: str, case: Case, answer: np.ndarray) -> None:
    row: dict[str, Any] = {"data": data, "case": case.name}
    for n, name in enumerate(PATTERNS):
        row[name] = "" if case.truth is None else round(float(case.truth[n]), 2)
        row[f"{name}_raw"] = round(float(answer[n]), 2)
    result.rows.append(row)


def _number(value: float) -> float | str:
    return round(value, 3) if np.isfinite(value) else "not defined"
