"""Looking at a study from outside: the state of every run, and what came out, read from the study's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_cohorts import SCORES, scored_cohort
from SScILDScoringTrainingLib.crossvalidation import Study, evaluate
from SScILDScoringTrainingLib.crossvalidation.answers import write_answers
from SScILDScoringTrainingLib.crossvalidation.compare import evaluate_comparison
from SScILDScoringTrainingLib.crossvalidation.jobs import LOG, JobFolder
from SScILDScoringTrainingLib.crossvalidation.looking import StudyLook
from SScILDScoringTrainingLib.crossvalidation.plan import ONLY, Plan, Variant
from SScILDScoringTrainingLib.crossvalidation.variants import ablation_variants
from SScILDScoringTrainingLib.run_status import StatusWriter

TRUTH = {f"p{n:02d}": [(5.0 * (n + level), 5.0 * (n + level), 0.0) for level in range(5)] for n in range(6)}
PLAIN = (Variant(ONLY),)


def begun(folder: Path, variants=PLAIN, folds: int = 3) -> Study:
    """A study of which nothing is trained yet."""
    cohort = scored_cohort(TRUTH, folder / "scan.nii.gz", folds)
    study = Study.begin(folder, Plan(dict(SCORES), cohort, tuple(variants)))
    for job in study.jobs:
        job.prepare()
    return study


def finish(job: JobFolder, error: float = 10.0) -> None:
    """What a run leaves whose answers are all off by ``error``."""
    (job.path / "bundle").mkdir()
    answers = [
        {"case": row.case, "level": level, "tot": tot + error, "gg": gg, "ret": ret}
        for row in job.asked()
        for level, (tot, gg, ret) in enumerate(row.scores, start=1)
    ]
    write_answers(job.path / "answers.csv", answers)
    job.finish(4, 8, 3.5, 1.5)


def states(look: StudyLook) -> list[str]:
    return [job.state for job in look.jobs()]


def test_before_there_is_a_plan_nothing_is_known_and_nothing_fails(tmp_path):
    look = StudyLook(tmp_path / "nowhere")
    assert look.study is None
    assert (look.kind, look.jobs(), look.results(), look.report, look.figures()) == ("", (), None, None, ())


def test_every_run_has_a_state(tmp_path):
    study, look = begun(tmp_path), StudyLook(tmp_path)
    assert look.kind == "folds"
    assert states(look) == ["waiting"] * 3
    finish(study.jobs[0])
    writer = StatusWriter(study.jobs[1].path, lambda: {"step": 3, "total_steps": 8})
    writer.say(state="running")
    (study.jobs[2].path / LOG).write_text("There is no disk space left.\n", encoding="utf-8")
    assert states(look) == ["done", "running", "failed"]
    done, running, failed = look.jobs()
    assert (done.done.step, done.done.steps) == (4, 8)
    assert (running.status.step, running.status.total_steps) == (3, 8)
    assert failed.message == "There is no disk space left."
    writer.close("failed", "The loss is not a number.")
    assert look.jobs()[1].message == "The loss is not a number."


def test_a_trained_run_whose_process_is_gone_before_it_answered_is_interrupted(tmp_path):
    study, look = begun(tmp_path), StudyLook(tmp_path)
    job = study.jobs[0]
    StatusWriter(job.path, dict).close("finished", "Finished.")
    assert states(look)[0] == "interrupted"
    job.claim()  # this very process is at work there
    assert states(look)[0] == "asking"


def test_results_of_folds_are_those_of_the_report_with_all_together_below(tmp_path):
    study, look = begun(tmp_path), StudyLook(tmp_path)
    for job, error in zip(study.jobs[:2], (5, 10), strict=True):
        finish(job, error)
    evaluate(study, bootstrap=0, figures=False)
    table = look.results()
    assert table.columns == ("", "Cases", "TOT MAE (SD)", "GG MAE (SD)", "RET MAE (SD)")
    assert table.rows[0] == ("fold 1", "2", "5.00 (0.00)", "0.00 (0.00)", "0.00 (0.00)")
    assert table.rows[2][:2] == ("fold 3", "not done")
    assert table.rows[3] == ("all folds", "4", "7.50 (2.50)", "0.00 (0.00)", "0.00 (0.00)")
    assert look.report.name == "crossvalidation.md"


def test_results_of_an_ablation_stand_beside_the_published_ones(tmp_path):
    variants = ablation_variants({**SCORES, "data": {**SCORES["data"], "balanced": False}}, ("ds", "bs"))
    study, look = begun(tmp_path, variants, folds=2), StudyLook(tmp_path)
    assert look.kind == "ablation"
    for job in study.jobs:
        finish(job, 5.0 if "DS" in job.job.variant else 10.0)
    evaluate_comparison(study, bootstrap=20)
    table = look.results()
    assert table.columns == ("Configuration", "TOT MAE", "Published", "GG MAE", "Published", "RET MAE", "Published")
    by_name = {row[0]: row for row in table.rows}
    assert len(by_name) == 4
    assert by_name["none"][1].startswith("10.00 [10.00, 10.00]")
    assert by_name["DS + BS"][1].startswith("5.00")
    assert float(by_name["none"][2]) > 0, "a published figure"
    assert [path.name for path in look.figures()] == ["comparison.png"]


def test_a_configuration_that_cannot_be_trained_here_says_why(tmp_path):
    variants = (Variant("plain"), Variant("pre-trained", {}, {}, "No weights to start from."))
    begun(tmp_path, variants, folds=2)
    look = StudyLook(tmp_path)
    assert look.not_run() == ("pre-trained: No weights to start from.",)
    assert [job.name for job in look.jobs()] == ["plain/fold_1", "plain/fold_2"]


@pytest.mark.parametrize("text", ["", "{", '{"config": 3}'])
def test_a_damaged_plan_is_no_study(tmp_path, text):
    begun(tmp_path)
    (tmp_path / "plan.json").write_text(text, encoding="utf-8")
    look = StudyLook(tmp_path)
    assert look.study is None
    assert look.jobs() == ()
