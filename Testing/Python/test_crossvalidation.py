"""Cross-validation: real processes on small phantoms, killed, cancelled, failing; pooled tables; the ensemble."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
import yaml

from small_cohorts import LEVELS, SCORES, phantom_table, with_data
from SScILDScoringLib.errors import Cancelled, ModelError, SettingsError
from SScILDScoringLib.heatmaps import render_heat_maps
from SScILDScoringLib.models import ModelBundle
from SScILDScoringLib.networks import build_network, build_s_net
from SScILDScoringLib.networks.ensemble import Ensemble
from SScILDScoringLib.scan import load_scan
from SScILDScoringLib.slice_network import SliceNetwork
from SScILDScoringTrainingLib.agreement.reading import read_level_tables, read_score_tables
from SScILDScoringTrainingLib.agreement.tables import align
from SScILDScoringTrainingLib.cohort import read_cohort
from SScILDScoringTrainingLib.crossvalidation import Study, cross_validate, evaluate
from SScILDScoringTrainingLib.crossvalidation.cascade import compare_cascade
from SScILDScoringTrainingLib.crossvalidation.ensemble_bundle import ensemble_of_folds
from SScILDScoringTrainingLib.crossvalidation.jobs import JobFolder
from SScILDScoringTrainingLib.crossvalidation.runner import slots
from SScILDScoringTrainingLib.crossvalidation.study import with_folds
from SScILDScoringTrainingLib.run_status import read_status, request

pytestmark = pytest.mark.timeout(900)  # sixteen processes start in this file, which takes its time on a busy machine
LIBRARIES = [str(Path(__file__).resolve().parents[2] / name) for name in ("SScILDScoring", "SScILDScoringTraining")]


def rows(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sessions(run: Path) -> list[dict]:
    return json.loads((run / "environment.json").read_text(encoding="utf-8"))["sessions"]


def wait_for(condition, seconds: float = 900, what: str = "") -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"waited in vain for {what}"
        time.sleep(0.02)


def processes_below(folder: Path) -> list[psutil.Process]:
    """Processes of jobs in ``folder`` that are still there."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = " ".join(process.info["cmdline"] or ())
        if "job_process" in command and str(folder) in command and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("crossvalidation")


@pytest.fixture(scope="module")
def table(place) -> Path:
    return phantom_table(place)


@pytest.fixture(scope="module")
def scores(place, table) -> Path:
    """A cross-validation of scores, killed with the second fold half done, and gone on with."""
    # A checkpoint at almost every step makes the training long enough to be killed in its middle.
    config = with_data(SCORES, table, place / "cache", steps=60, validate_every=60, checkpoint_minutes=0.001)
    (place / "scores.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    folder = place / "scores"
    command = [sys.executable, "-m", "SScILDScoringTrainingLib.cli", "crossvalidate", "run", str(place / "scores.yaml")]
    command += ["-o", str(folder), "--no-figures", "--bootstrap", "50", "-q"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(LIBRARIES), "OMP_NUM_THREADS": "1"}
    with (place / "killed.log").open("wb") as log:
        parent = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    half_done = folder / "fold_2" / "checkpoints" / "last.pt"
    try:
        wait_for(lambda: half_done.exists() or parent.poll() is not None, what="a half trained second fold")
        assert parent.poll() is None, (place / "killed.log").read_text()
    finally:
        parent.kill()  # the signal that no process can do anything about
        parent.wait()
    wait_for(lambda: not processes_below(folder), what="the fold's process to notice that it is alone")
    assert JobFolder(folder / "fold_1").done
    assert not JobFolder(folder / "fold_2").done
    first_done = (folder / "fold_1" / "done.json").stat().st_mtime_ns
    again = subprocess.run([*command, "--resume"], env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert (folder / "fold_1" / "done.json").stat().st_mtime_ns == first_done
    return folder


@pytest.fixture(scope="module")
def levels(place, table) -> Path:
    """A cross-validation of levels, both folds at once."""
    config = with_data(LEVELS, table, place / "cache")
    result = cross_validate(config, place / "levels", parallel=2, bootstrap=50, figures=False)
    assert not result.failed
    return result.folder


# ---- killed, cancelled, failing --------------------------------------------------------------------------------------


def test_after_a_kill_finished_folds_are_kept_and_a_half_one_goes_on(scores):
    assert [s["resumed"] for s in sessions(scores / "fold_1")] == [False]
    assert [s["resumed"] for s in sessions(scores / "fold_2")] == [False, True]
    log = (scores / "fold_2" / "log.txt").read_text()
    assert "Going on from step" in log
    for fold in (1, 2):
        assert JobFolder(scores / f"fold_{fold}").done.steps == 60
    assert read_status(scores).state == "finished"


def test_a_cancel_stops_all_processes_and_leaves_runs_that_can_go_on(place, table):
    config = with_data(SCORES, table, place / "cache", steps=100000, validate_every=100000)
    folder = place / "cancelled"

    def cancel_when_both_train(stage: str, fraction: float, message: str) -> None:
        states = [read_status(folder / f"fold_{n}") for n in (1, 2)]
        if all(s is not None and s.state == "running" and s.step > 0 for s in states):
            raise Cancelled

    with pytest.raises(Cancelled):
        cross_validate(config, folder, parallel=2, progress=cancel_when_both_train)
    assert not processes_below(folder)
    for n in (1, 2):
        assert read_status(folder / f"fold_{n}").state == "stopped"
        assert read_status(folder / f"fold_{n}").can_resume
    assert read_status(folder).state == "stopped"


def test_it_is_paused_and_stopped_from_outside_like_a_training_run(place, table):
    config = with_data(SCORES, table, place / "cache", steps=100000, validate_every=100000)
    folder, ended = place / "steered", []

    def work() -> None:
        try:
            cross_validate(config, folder)
        except Cancelled as error:
            ended.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_for(lambda: (s := read_status(folder / "fold_1")) is not None and s.step > 0, what="the first fold")
        with pytest.raises(SettingsError, match="is at work"):
            subprocess_run_in_another(folder, config)
        request(folder, "pause")
        wait_for(lambda: read_status(folder / "fold_1").state == "paused", what="the pause")
        assert read_status(folder).state == "paused"
        request(folder, "resume")
        wait_for(lambda: read_status(folder / "fold_1").state == "running", what="its end")
    finally:
        request(folder, "stop")
        thread.join(120)
    assert ended
    assert "--resume" in ended[0]
    assert not processes_below(folder)


def subprocess_run_in_another(folder: Path, config: dict) -> None:
    """Starts the same cross-validation in another process and raises what it complains about."""
    code = (
        "import json, sys\n"
        "from SScILDScoringLib.errors import SettingsError\n"
        "from SScILDScoringTrainingLib.crossvalidation import cross_validate\n"
        "try:\n    cross_validate(json.loads(sys.argv[1]), sys.argv[2], resume=True)\n"
        "except SettingsError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(LIBRARIES)}
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(config), str(folder)], capture_output=True, text=True, env=environment
    )
    assert done.stdout, done.stderr
    raise SettingsError(done.stdout.strip())


def test_one_failing_fold_leaves_the_others_alone_and_is_tried_again(place, table):
    config, folder = with_data(SCORES, table, place / "cache"), place / "failing"
    run = folder / "fold_1"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.pt").write_bytes(b"no checkpoint at all")
    (run / "status.json").write_text(json.dumps({"state": "stopped"}))
    result = cross_validate(config, folder, bootstrap=0, figures=False)
    assert "fold_1: last.pt is not a readable checkpoint" in result.failed
    assert [row["state"] for row in rows(folder / "folds.csv")][1] == "done"
    assert {r["fold"] for r in rows(result.answers)} == {"2"}
    assert "Not all folds" in (folder / "crossvalidation.md").read_text()
    with pytest.raises(SettingsError, match="fold_1"):
        ensemble_of_folds(folder, place / "no_ensemble")
    (run / "checkpoints" / "last.pt").unlink()
    result = cross_validate(config, folder, bootstrap=0, figures=False, resume=True)
    assert not result.failed
    assert {r["fold"] for r in rows(result.answers)} == {"1", "2"}


def test_another_study_never_goes_on_in_a_folder(scores, place, table):
    config = with_data(SCORES, table, place / "cache", steps=5)
    with pytest.raises(SettingsError, match="Add --resume"):
        cross_validate(config, scores)
    with pytest.raises(SettingsError, match="other settings"):
        cross_validate(config, scores, resume=True)
    with pytest.raises(SettingsError, match=r"data\.cohort"):
        cross_validate(SCORES, place / "without_cohort")
    assert not (place / "without_cohort").exists()


# ---- folds -----------------------------------------------------------------------------------------------------------


def test_folds_are_the_tables_or_drawn_by_patient(table):
    cohort = read_cohort(table, scores=True)
    assert with_folds(cohort, None, 1).folds == (1, 2)
    with pytest.raises(SettingsError, match="has 2 folds, not 3"):
        with_folds(cohort, 3, 1)
    without = [row.__class__(**{**vars(row), "fold": None}) for row in cohort]
    drawn = with_folds(cohort.__class__(tuple(without), cohort.path, cohort.columns), 3, 1)
    assert drawn.folds == (1, 2, 3)
    assert all(len({r.fold for r in drawn if r.patient == p}) == 1 for p in drawn.patients)


def test_no_case_is_answered_by_a_run_that_trained_on_its_patient(scores, table):
    cohort = read_cohort(table, scores=True)
    patient = {row.case: row.patient for row in cohort}
    for fold in (1, 2):
        job = JobFolder(scores / f"fold_{fold}")
        seen = read_cohort(job.config["data"]["cohort"], scores=True, fold=job.config["data"]["fold"])
        trained = {row.patient for row in seen.of_split("train")}
        assert trained
        assert not trained & {patient[r["case"]] for r in rows(job.path / "answers.csv")}


def test_places_for_processes_divide_the_computer():
    assert slots(1, "cpu") == [{}]
    several = slots(2, "cpu")
    assert len(several) == 2
    assert all(int(s["OMP_NUM_THREADS"]) >= 1 for s in several)
    with pytest.raises(SettingsError):
        slots(0, "cpu")


def test_every_cuda_device_gets_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert [s["CUDA_VISIBLE_DEVICES"] for s in slots(None, "auto")] == ["4", "6"]
    assert [s["CUDA_VISIBLE_DEVICES"] for s in slots(3, "cuda")] == ["4", "6", "4"]
    assert slots(None, "cpu") == [{}]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert [s["CUDA_VISIBLE_DEVICES"] for s in slots()] == ["0", "1"]


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_pooled_scores_hold_every_case_once_and_agreement_reads_them(scores, table):
    answers = read_score_tables(scores / "scores.csv")[0]
    reference = read_score_tables(scores / "reference_scores.csv")[0]
    cohort = read_cohort(table, scores=True)
    assert sorted(answers.keys) == sorted((row.case, level) for row in cohort for level in range(1, 6))
    by_case = {row.case: row.scores for row in cohort}
    for (case, level), values in zip(reference.keys, reference.values, strict=True):
        assert tuple(values) == by_case[case][level - 1]
    agreement = json.loads((scores / "agreement" / "agreement.json").read_text())
    pooled = next(r for r in agreement["rows"] if (r["column"], r["level"]) == ("tot", "pooled"))
    aligned = align(reference, answers)
    assert pooled["values"]["mae"] == pytest.approx(np.abs(aligned.x[:, 0] - aligned.y[:, 0]).mean())


def test_an_answer_is_what_the_folds_bundle_says_of_the_slice(scores, table):
    row = next(r for r in read_cohort(table, scores=True) if r.fold == 2)
    scan = load_scan(row.path)
    network = SliceNetwork(ModelBundle.load(scores / "fold_2" / "bundle"))
    wanted = network.scores(scan.axial_slice(scan.slice_at(row.mm[2])))
    found = next(r for r in rows(scores / "scores.csv") if (r["case"], r["level"]) == (row.case, "3"))
    assert tuple(int(found[p]) for p in ("tot", "gg", "ret")) == wanted.reported
    assert float(found["tot_raw"]) == pytest.approx(wanted.raw[0], abs=2e-3)


def test_the_table_of_folds_says_how_large_they_are_and_how_wrong(scores):
    folds = rows(scores / "folds.csv")
    assert [(r["fold"], r["state"]) for r in folds] == [("1", "done"), ("2", "done")]
    assert sum(int(r["cases"]) for r in folds) == 6
    assert sum(int(r["patients"]) for r in folds) == 5, "the last two cases are one patient's"
    for fold in folds:
        errors = [
            abs(float(a["gg"]) - float(b["gg"]))
            for a, b in zip(rows(scores / "scores.csv"), rows(scores / "reference_scores.csv"), strict=True)
            if a["fold"] == fold["fold"]
        ]
        assert float(fold["gg_mae"]) == pytest.approx(np.mean(errors))


def test_pooled_levels_are_read_by_agreement_and_descend(levels, table):
    answers = read_level_tables(levels / "levels.csv")[0]
    reference = read_level_tables(levels / "reference_levels.csv")[0]
    assert len(align(reference, answers)) == 30
    assert set(answers.bottoms) == set(answers.case.tolist())
    assert "mm" in (levels / "crossvalidation.md").read_text()


# ---- ensemble --------------------------------------------------------------------------------------------------------


def test_the_ensemble_answers_with_the_mean_and_is_used_like_any_bundle(scores, table, tmp_path):
    bundle = ensemble_of_folds(scores, tmp_path / "ensemble", threshold_cases=1)
    members = [ModelBundle.load(scores / f"fold_{n}" / "bundle") for n in (1, 2)]
    row = read_cohort(table, scores=True)[0]
    scan = load_scan(row.path)
    hu = scan.axial_slice(scan.slice_at(row.mm[1]))
    image = torch.from_numpy(bundle.input.prepare(hu))[None, None]
    wanted = torch.stack([m.network()(image) for m in members]).mean(0)
    assert torch.allclose(bundle.network()(image), wanted, atol=1e-5)
    maps = render_heat_maps(hu, hu < -500, bundle)
    each = np.mean([render_heat_maps(hu, hu < -500, m, engine="batched").maps for m in members], axis=0)
    assert np.allclose(maps.maps, each, atol=1e-3)
    assert set(bundle.thresholds) == {"tot", "gg", "ret"}
    card = (bundle.folder / "docs" / "README.md").read_text()
    assert "they had not seen" in card
    assert all(m.weights_sha256[:16] in card for m in members)
    weights = bundle.folder / "models" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="altered or damaged"):
        ModelBundle.load(bundle.folder)


def test_an_ensemble_of_levels_is_a_bundle_too(levels, tmp_path):
    bundle = ensemble_of_folds(levels, tmp_path / "l_ensemble", name="l_net_of_two")
    assert (bundle.name, bundle.kind, bundle.metadata.options["members"]) == ("l_net_of_two", "l_net", 2)
    answer = bundle.network()(torch.randn(1, 1, 20, 32, 32, generator=torch.Generator().manual_seed(1)))
    assert answer.shape == (1, 5)


def test_only_networks_that_are_alike_answer_together():
    small = build_s_net("compact_pool", widths=[4, 4, 4, 4], hidden=8)
    with pytest.raises(SettingsError, match="alike"):
        Ensemble([small, build_s_net("compact_pool", widths=[4, 4, 4, 8], hidden=8)])
    with pytest.raises(SettingsError, match="at least one"):
        Ensemble([])
    again = build_network("s_net", "ensemble", **Ensemble([small, small]).options)
    assert [m.options for m in again.members] == [small.options] * 2
    for options in ({"of": "ensemble", "members": 2}, {"of": "compact_pool", "members": 0}, {"members": 2}):
        with pytest.raises(SettingsError):
            build_network("s_net", "ensemble", **options)


# ---- cascade ---------------------------------------------------------------------------------------------------------


def test_the_cascade_scores_where_the_l_net_of_the_fold_looked(levels, scores, table, tmp_path):
    result = compare_cascade(levels, scores, tmp_path / "cascade", bootstrap=50, correction="holm")
    row = next(r for r in read_cohort(table, scores=True) if r.fold == 1)
    found = {int(r["level"]): float(r["position_mm"]) for r in rows(levels / "levels.csv") if r["case"] == row.case}
    scan = load_scan(row.path)
    network = SliceNetwork(ModelBundle.load(scores / "fold_1" / "bundle"))
    wanted = network.scores(scan.axial_slice(scan.slice_at(found[3]))).reported
    answers = rows(tmp_path / "cascade" / "ls_net_scores.csv")
    mine = next(r for r in answers if (r["case"], r["level"]) == (row.case, "3"))
    assert tuple(int(mine[p]) for p in ("tot", "gg", "ret")) == wanted
    pooled = result.difference("tot")
    assert (pooled.first, pooled.second, pooled.n) == ("S-Net", "L&S-Net", 30)
    assert pooled.difference == pytest.approx(pooled.mae_second - pooled.mae_first)
    report = (tmp_path / "cascade" / "cascade.md").read_text()
    assert "Wilcoxon" in report
    assert "5.86" in report
    assert result.difference("ret", "L5").n == 6
    with pytest.raises(SettingsError, match="not a cross-validation of levels"):
        compare_cascade(scores, scores, tmp_path / "wrong")


def test_a_study_is_opened_only_where_there_is_one(tmp_path):
    with pytest.raises(SettingsError, match="holds no cross-validation"):
        Study.open(tmp_path)


def test_the_tables_can_be_made_again_without_training(scores):
    before = (scores / "crossvalidation.md").read_text()
    (scores / "crossvalidation.md").unlink()
    assert not evaluate(Study.open(scores), bootstrap=50, figures=False).failed
    assert (scores / "crossvalidation.md").read_text() == before
