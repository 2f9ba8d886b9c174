"""k-fold cross-validation of a recipe over a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.files import write_text
from SScILDScoringLib.progress import Progress, silent

from ..agreement.report import Agreement, compare
from ..agreement.rows import Settings
from ..cohort import read_cohort
from ..runfolder import csv_text
from .fold_table import UNITS, fold_markdown, fold_rows
from .plan import ONLY, Plan
from .pooled import pooled_answers, write_tables
from .study import Study, failures, with_folds

REPORT = "crossvalidation.md"


@dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation left.

    Args:
        folder: of the study. answers, reference: the pooled tables. agreement: of the two.
        folds: one row a fold, see :mod:`.fold_table`. failed: a sentence about folds that failed, or nothing.
    """

    folder: Path
    answers: Path
    reference: Path
    agreement: Agreement
    folds: list[dict]
    failed: str = ""


def cross_validate(
    config: Mapping,
    folder: str | Path,
    *,
    folds: int | None = None,
    seed: int | None = None,
    weights: str = "best",
    parallel: int | None = None,
    resume: bool = False,
    bootstrap: int = 2000,
    figures: bool = True,
    progress: Progress = silent,
) -> CrossValidation:
    """Trains a recipe once for every fold of its cohort; what each run says of its fold is held against the reference.

    Args:
        config: complete configuration as plain values, with ``data.cohort``.
        folder: of the cross-validation. resume: go on with the one that is there.
        folds: how many; those of the table, else four. seed: of drawn folds; the configuration's when None.
        weights: ``best`` (chosen on the fold's validation cases, as published) or ``last``.
        parallel: folds trained at once, see :func:`.runner.slots`.
        bootstrap: samples of the intervals. figures: draw the agreement's figures.

    Raises:
        SettingsError: no cohort, unusable folds, another study in the folder, or no fold that was trained to its end.
        Cancelled: asked to stop; go on with ``resume``.
    """
    study = Study.begin(folder, _plan(config, folds, seed, weights), resume)
    report = study.run(parallel, progress)
    if not report.done:
        raise SettingsError(failures(report))
    return evaluate(study, report.failed, failures(report), bootstrap, figures, progress)


def _plan(config: Mapping, folds: int | None, seed: int | None, weights: str) -> Plan:
    from ..config import to_plain
    from ..recipes import recipe_of

    complete = recipe_of(config).plain_config()  # what is wrong with it is said before anything is written
    table = complete["data"].pop("cohort", None)
    complete["data"]["fold"] = None
    if not table:
        raise SettingsError("A cross-validation needs a cohort table: set data.cohort.")
    cohort = read_cohort(table, scores=complete["recipe"] == "scores", partial=True)
    seed = complete["seed"] if seed is None else seed
    return Plan(to_plain(complete), with_folds(cohort, folds, seed), seeds=(complete["seed"],), weights=weights)


def evaluate(
    study: Study,
    failed: Mapping[str, str] | None = None,
    sentence: str = "",
    bootstrap: int = 2000,
    figures: bool = True,
    progress: Progress = silent,
) -> CrossValidation:
    """Tables, agreement and report of the folds that are done.

    Raises:
        SettingsError: no fold is.
    """
    kind = study.plan.kind
    jobs = study.of(ONLY, study.plan.seeds[0])
    done = [job for job in jobs if job.done]
    if not done:
        raise SettingsError(f"No fold of {study.folder} is finished yet.")
    rater = str(study.plan.config.get("bundle", {}).get("name", "network"))
    answers, reference = write_tables(study.folder, kind, rater, pooled_answers(done), study.cohort)
    agreement, tables = _agreement(kind, answers, reference, bootstrap, progress)
    agreement.write(study.folder / "agreement")
    if figures:
        from ..agreement.figures import draw_all
        from ..agreement.tables import align

        pair = align(*tables)
        draw_all(pair, study.folder / "agreement" / "figures", rows=agreement.rows, stages=agreement.stages)
    rows = fold_rows(jobs, study.cohort, kind, dict(failed or {}))
    write_text(study.folder / "folds.csv", csv_text(rows))
    result = CrossValidation(study.folder, answers, reference, agreement, rows, sentence)
    write_text(study.folder / REPORT, _markdown(study, result, len(done) < len(jobs)))
    return result


def _agreement(kind: str, answers: Path, reference: Path, bootstrap: int, progress: Progress):
    """Both tables read back as ``sscild agreement`` reads them, and compared."""
    from ..agreement.reading import read_level_tables, read_score_tables

    read = read_score_tables if kind == "scores" else read_level_tables
    tables = [read(path)[0] for path in (reference, answers)]
    return compare(tables[0], tables[1:], Settings(bootstrap), progress=progress), tables


def _markdown(study: Study, result: CrossValidation, partial: bool) -> str:
    plan = study.plan
    how = (
        "Each run's weights are those that were best on its own fold, as published; the figures are a little "
        "optimistic for that."
        if plan.weights == "best"
        else "Each run's weights are those at its end; nothing was chosen on the folds."
    )
    parts = [
        f"# Cross-validation, {len(plan.folds)} folds",
        f"{len(study.cohort.patients)} patients; seed {plan.seeds[0]}. Errors in {UNITS[plan.kind]}. {how}",
        "**Not all folds are in these figures.**" if partial else "",
        fold_markdown(result.folds, plan.kind),
        "## All folds together",
        result.agreement.markdown(short=True).partition("\n\n")[2].strip(),
        f"More in agreement/. Repeat it: `sscild agreement {result.reference.name} {result.answers.name}"
        + ("" if plan.kind == "scores" else " --levels")
        + "`",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
