"""A study on disk: its plan, its cohort and its runs; started, gone on with, paused and stopped as one thing.

The folder holds ``plan.json`` (what was asked for), ``cohort.csv`` (with the folds), ``status.json`` and
``control.json`` as a training run has them (:mod:`..run_status` reads and steers both alike), and a folder for every
run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from SScILDScoringLib.errors import Cancelled, SettingsError
from SScILDScoringLib.files import write_text
from SScILDScoringLib.progress import Progress, silent

from ..cohort import Cohort, read_cohort, write_cohort
from ..run_status import Orders, StatusWriter, read_status
from .jobs import TABLE, JobFolder
from .plan import Plan, Variant
from .runner import JobRunner, Report, slots

PLAN = "plan.json"


class Study:
    """Runs of a plan in a folder.

    Args:
        folder: of the study. plan: what it trains; its runs are made ready by :meth:`run`.
    """

    def __init__(self, folder: str | Path, plan: Plan) -> None:
        self.folder = Path(folder)
        self.plan = plan
        self.jobs = [JobFolder(self.folder / job.name, job) for job in plan.jobs()]

    @classmethod
    def open(cls, folder: str | Path) -> Study:
        """The study that was begun in ``folder``.

        Raises:
            SettingsError: there is none.
        """
        folder = Path(folder)
        try:
            values = json.loads((folder / PLAN).read_text(encoding="utf-8"))
            config = values["config"]
            variants = tuple(Variant(**v) for v in values["variants"])
            fixed = {"seeds": tuple(values["seeds"]), "test": values["test"], "weights": values["weights"]}
            fixed["title"] = values.get("title", "")
        except FileNotFoundError:
            raise SettingsError(f"{folder} holds no cross-validation: it has no {PLAN}.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(f"{folder / PLAN} cannot be read ({error}).") from error
        cohort = read_cohort(folder / TABLE, scores=config.get("recipe") == "scores", partial=True)
        return cls(folder, Plan(config, cohort, variants, **fixed))

    @classmethod
    def begin(cls, folder: str | Path, plan: Plan, resume: bool = False) -> Study:
        """A new study, or, with ``resume``, the one in ``folder`` when it is the same.

        Folds and splits that were drawn when it was begun stay what they are.

        Raises:
            SettingsError: a study is there and is not to be resumed, or it is another one.
        """
        folder = Path(folder)
        if (folder / PLAN).is_file():
            if not resume:
                raise SettingsError(
                    f"{folder} holds a cross-validation. Add --resume to go on, or choose another folder."
                )
            begun = cls.open(folder)
            if not begun.plan.same_as(plan):
                raise SettingsError(
                    f"{folder} was begun with other settings (see {PLAN}): go on with the same ones, or choose another "
                    "folder."
                )
            return begun
        if folder.is_dir() and (folder / "config.yaml").is_file():
            raise SettingsError(f"{folder} holds a training run; choose another folder.")
        write_cohort(plan.cohort, folder / TABLE)
        study = cls.open_with(folder, plan)
        write_text(folder / PLAN, json.dumps(study.plan.to_plain(), indent=1) + "\n")
        return study

    @classmethod
    def open_with(cls, folder: Path, plan: Plan) -> Study:
        """The study with its cohort read back from its own table, as every later session sees it."""
        cohort = read_cohort(folder / TABLE, scores=plan.kind == "scores", partial=True)
        return cls(folder, replace(plan, cohort=cohort))

    @property
    def cohort(self) -> Cohort:
        """The cohort as it was when the study was begun."""
        return self.plan.cohort

    def of(self, variant: str, seed: int) -> list[JobFolder]:
        """The runs of a variant with a seed, by fold."""
        return [job for job in self.jobs if (job.job.variant, job.job.seed) == (variant, seed)]

    def run(self, parallel: int | None = None, progress: Progress = silent) -> Report:
        """Does what is left to do. What was finished stays; a run that was interrupted goes on from its checkpoint.

        Args:
            parallel: runs at once; one for each CUDA device, or one on the CPU, when None.

        Raises:
            SettingsError: somebody works on the study already.
            Cancelled: asked to stop, by ``progress`` or through :func:`..run_status.request`.
        """
        status = read_status(self.folder)
        if status is not None and status.at_work and status.pid != os.getpid():
            raise SettingsError(f"Process {status.pid} on {status.host} is at work in {self.folder} already.")
        for job in self.jobs:
            job.prepare()
        device = str(self.plan.config.get("training", {}).get("device", "auto"))
        orders = Orders(self.folder)
        orders.forget()
        runner = JobRunner(self.jobs, slots(parallel, device), orders.current, progress)
        facts = {"total_steps": len(self.jobs)}
        writer = StatusWriter(
            self.folder, lambda: {**facts, "step": len(runner.report.done), "share": min(runner.share, 1.0)}
        )
        runner.progress = _told(writer, orders, progress)
        writer.start()
        try:
            report = runner.run()
            if runner.stopped:
                raise Cancelled("Stopped as asked; go on with --resume.")
        except BaseException as error:
            stopped = not isinstance(error, Exception) or isinstance(error, Cancelled)
            with suppress(OSError):
                writer.close("stopped" if stopped else "failed", str(error) or type(error).__name__)
            raise
        failed = f"{len(report.failed)} of {len(self.jobs)} runs failed." if report.failed else "Finished."
        writer.close("failed" if report.failed else "finished", failed)
        return report


def _told(writer: StatusWriter, orders: Orders, progress: Progress) -> Progress:
    def told(stage: str, fraction: float, message: str) -> None:
        state = "paused" if orders.current() == "pause" else "running"
        writer.say(state=state, stage=stage, message=message)
        progress(stage, fraction, message)

    return told


def failures(report: Report) -> str:
    """What failed, as one sentence; empty when nothing did."""
    if not report.failed:
        return ""
    listed = " ".join(f"{name}: {text}" for name, text in report.failed.items())
    return f"{len(report.failed)} of the runs failed; the others are kept. {listed} Go on with --resume."


def with_folds(cohort: Cohort, folds: int | None, seed: int) -> Cohort:
    """The cohort with folds: its own, or drawn by patient with equal shares of mild and severe disease.

    Args:
        folds: how many are wanted; None: those of the table, or four (as published) when it has none.
        seed: of the draw.

    Raises:
        SettingsError: the table has another number of folds, or fewer patients than folds.
    """
    from ..cohort.dividing import divide

    own = cohort.folds
    if own:
        if folds not in (None, len(own)):
            raise SettingsError(
                f"{cohort.path.name} has {len(own)} folds, not {folds}. Leave --folds out, or draw new ones: sscild "
                "cohort split."
            )
        return cohort
    splits, numbers = divide(cohort.rows, folds=folds or 4, seed=seed)
    rows: Sequence = [replace(r, split=splits[r.patient], fold=numbers[r.patient]) for r in cohort]
    return replace(cohort, rows=tuple(rows), columns=(*cohort.columns, "split", "fold"))
