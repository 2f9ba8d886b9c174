"""Short jobs of the training module in a process of its own: cohorts, estimates, evaluations, models."""

from __future__ import annotations

import csv
import json
import math
import sys
import time
from pathlib import Path

import psutil
import pytest

from small_cohorts import LEVELS, SCORES, phantom_table, with_data
from small_runs import alive, small_config, until
from SScILDScoringLib.errors import Cancelled, SScILDError
from SScILDScoringLib.worker import WorkerError
from SScILDScoringTrainingLib.config import read_yaml
from SScILDScoringTrainingLib.recipes import recipe_of
from SScILDScoringTrainingLib.runs import pictures, read_evaluation
from SScILDScoringTrainingLib.training import Trainer
from SScILDScoringTrainingLib.worker import training_worker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals of POSIX")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def table(place):
    """Four phantoms of three patients, in two folds."""
    return phantom_table(place, count=4)


@pytest.fixture(scope="module")
def home(place):
    """Where the worker keeps the user's models."""
    return place / "home"


@pytest.fixture(scope="module")
def client(home):
    variables = {"OMP_NUM_THREADS": "1", "XDG_DATA_HOME": str(home), "APPDATA": str(home), "SSCILD_MODELS": None}
    with training_worker(environment=variables) as client:
        yield client


def trained(run: Path, config: dict) -> Path:
    Trainer(recipe_of(config), run).run()
    return run


@pytest.fixture(scope="module")
def s_net_run(place, table):
    config = with_data(SCORES, table, place / "cache")
    config["data"]["fold"] = 1
    return trained(place / "runs" / "s_net", config)


@pytest.fixture(scope="module")
def l_net_run(place, table):
    """Its configuration names the cohort from where it was started, the folder around its own."""
    config = with_data(LEVELS, table, place / "cache")
    run = trained(place / "l_net", config)
    text = (run / "config.yaml").read_text()
    assert str(table) in text
    (run / "config.yaml").write_text(text.replace(str(table), table.name).replace(str(place / "cache"), "cache"))
    return run


def ask(client, op, progress=lambda *_: None, **params):
    return client.wait(client.request(op, params), progress, timeout=200).value


def is_png(path: str | Path) -> bool:
    return Path(path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


# ---- cohorts ---------------------------------------------------------------------------------------------------------


def test_a_cohort_is_checked_with_its_cases_and_a_picture(client, table, place):
    heard = []
    found = ask(client, "check_cohort", lambda *told: heard.append(told), table=str(table), cache=str(place / "cache"))
    assert found["problems"] == []
    assert found["summary"]["rows"] == 4
    assert found["summary"]["patients"] == 3
    assert {stage for stage, _, _ in heard} == {"check"}
    rows = found["rows"]
    assert [row["state"] for row in rows] == ["ok"] * 4
    assert sorted({row["fold"] for row in rows}) == [1, 2]
    first = rows[0]
    assert Path(first["scan"]).is_file()
    assert len(first["levels_mm"]) == len(first["scores"]) == 5
    assert first["tot"] == first["mean_tot"] == sum(s[0] for s in first["scores"]) / 5
    assert is_png(found["figure"])
    assert is_png(found["levels_figure"])
    again = ask(client, "check_cohort", table=str(table), cache=str(place / "cache"))
    assert not Path(found["figure"]).exists(), "pictures do not pile up"
    assert is_png(again["figure"])


def test_everything_that_is_wrong_is_told_by_row_and_column(client, table, tmp_path):
    with table.open(newline="") as file:
        header, *lines = csv.reader(file)
    place = {name: n for n, name in enumerate(header)}
    for line in lines:
        line[place["path"]] = str(table.parent / line[place["path"]])
        line[place["lung_path"]] = ""
    lines[0][place["tot_1"]] = "33"
    lines[1][place["path"]] = "gone.nii.gz"
    lines[2][place["level_2_mm"]] = "9999"
    broken = tmp_path / "broken.csv"
    with broken.open("w", newline="") as file:
        csv.writer(file).writerows([header, *lines])
    found = ask(client, "check_cohort", table=str(broken))
    told = {(p["row"], p["column"]) for p in found["problems"] if p["severity"] == "error"}
    assert {(2, "tot_1"), (3, "path"), (4, "level_2_mm")} <= told
    assert [row["state"] for row in found["rows"]] == ["error", "error", "error", "ok"]
    assert [row["scan"] is None for row in found["rows"]] == [False, True, False, False]
    assert found["rows"][2]["levels_mm"] == []
    with pytest.raises(SScILDError, match="There is no cohort table") as caught:
        ask(client, "check_cohort", table=str(tmp_path / "nowhere.csv"))
    assert not isinstance(caught.value, WorkerError)


def test_tables_are_made_of_folders(client, table, tmp_path):
    phantoms = table.parent / "phantoms"
    made = ask(client, "create_cohort", source=str(phantoms), table=str(tmp_path / "cohort.csv"))
    assert (made["cases"], made["scored"], made["to_fill_in"]) == (4, 4, False)
    assert Path(made["table"]).is_file()
    with pytest.raises(SScILDError, match="is there already"):
        ask(client, "create_cohort", source=str(phantoms), table=str(tmp_path / "cohort.csv"))
    scans = tmp_path / "scans"
    scans.mkdir()
    (scans / "p01.nii.gz").symlink_to(next(phantoms.glob("*-0001.nii.gz")))
    made = ask(client, "create_cohort", source=str(scans), table=str(tmp_path / "empty.csv"))
    assert (made["cases"], made["scored"], made["to_fill_in"]) == (1, 0, True)
    assert "level_1_mm" in Path(made["table"]).read_text()
    with pytest.raises(SScILDError, match="There is no folder"):
        ask(client, "create_cohort", source=str(tmp_path / "nowhere"), table=str(tmp_path / "x.csv"))
    with pytest.raises(SScILDError, match="Trust is one of"):
        ask(client, "create_cohort", source=str(scans), table=str(tmp_path / "x.csv"), trust="everybody")


# ---- estimates -------------------------------------------------------------------------------------------------------


def test_a_training_is_estimated_and_told_when_it_does_not_fit(client, place, tmp_path):
    config = str(small_config(place / "estimate", steps=100))
    found = ask(client, "estimate", config=config, folder=str(tmp_path / "run"))
    rows = dict(map(tuple, found["rows"]))
    assert rows["network"].startswith("compact_ratio, ")
    assert "steps" in rows
    assert found["steps"] == 100
    assert found["seconds"] > 0
    assert found["warnings"] == found["suggested"] == []
    assert not (tmp_path / "run").exists()
    # So many samples fit into memory, but not what a step of all of them at once keeps.
    batch = 2 ** int(math.log2(psutil.virtual_memory().available / 2e5))
    wide = "network.options={widths: [96, 96, 96, 96], blocks: [1, 1, 1, 1]}"
    vast = [f"training.batch_size={batch}", wide]
    found = ask(client, "estimate", config=config, folder=str(tmp_path / "run"), overrides=vast)
    assert "of memory free and the training needs about" in found["warnings"][0]
    assert found["suggested"][0].startswith("training.accumulate=")
    with pytest.raises(SScILDError, match=r"Unknown key training\.stepps"):
        ask(client, "estimate", config=config, folder=str(tmp_path), overrides=["training.stepps=5"])


# ---- evaluations -----------------------------------------------------------------------------------------------------


def test_an_s_net_is_evaluated_on_the_fold_it_held_out(client, s_net_run, table):
    heard = []
    found = ask(client, "evaluate", lambda *told: heard.append(told), run=str(s_net_run), bootstrap=20)
    assert (found["kind"], found["network"], found["last"]) == ("scores", "small_s_net", False)
    assert found["data"] == f"{found['cases']} cases of cohort.csv, fold 1."
    with table.open(newline="") as file:
        held_out = [row["case"] for row in csv.DictReader(file) if row["fold"] == "1"]
    with (s_net_run / "evaluation" / "answers.csv").open(newline="") as file:
        assert sorted({row["case"] for row in csv.DictReader(file)}) == sorted(held_out)
    assert found["columns"] == ["", "TOT", "GG", "RET"]
    assert [row[0] for row in found["rows"]][:2] == ["MAE (percentage points)", "SD of the absolute error"]
    titles = [figure["title"] for figure in found["figures"]]
    assert titles[:3] == ["Bland-Altman plots", "Scores over the reference", "Confusion matrix of TOT"]
    assert all(is_png(figure["path"]) for figure in found["figures"])
    page = Path(found["page"]).read_text(encoding="utf-8")
    assert "Evaluation of small_s_net" in page
    assert page.count("data:image/png;base64") == len(titles)
    assert any("flatters" in remark for remark in found["remarks"])
    assert [f for _, f, _ in heard] == sorted(f for _, f, _ in heard), "progress goes forward"
    # A panel that is opened again finds it.
    assert read_evaluation(s_net_run) == found
    assert titles[0] in [picture.title for picture in pictures(s_net_run)]


def test_the_mean_absolute_error_is_that_of_the_tables(client, s_net_run):
    """Counted again from the two files."""
    place = s_net_run / "evaluation"
    if not place.is_dir():
        ask(client, "evaluate", run=str(s_net_run), bootstrap=0)
    tables = []
    for name in ("answers.csv", "reference.csv"):
        with (place / name).open(newline="") as file:
            tables.append({(row["case"], row["level"]): row for row in csv.DictReader(file)})
    answers, reference = tables
    assert answers.keys() == reference.keys()
    errors = [abs(float(answers[key]["tot"]) - float(reference[key]["tot"])) for key in answers]
    assert json.loads((place / "evaluation.json").read_text())["mae"]["tot"] == pytest.approx(sum(errors) / len(errors))


def test_an_l_net_is_evaluated_in_millimetres_also_on_another_table(client, l_net_run, table, tmp_path):
    found = ask(client, "evaluate", run=str(l_net_run), last=True, bootstrap=0)
    assert found["kind"] == "levels"
    assert found["columns"][1] == "MAE (mm)"
    assert [row[0].split()[0] for row in found["rows"]] == ["L1", "L2", "L3", "L4", "L5", "all"]
    assert found["figures"][0]["title"] == "Errors of the levels in mm"
    assert any("lowest slice" in remark for remark in found["remarks"])
    other = tmp_path / "other.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    keep = ["case", "path", *(f"level_{n}_mm" for n in range(1, 6))]
    with other.open("w", newline="") as file:
        writer = csv.DictWriter(file, keep, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "path": table.parent / row["path"]} for row in rows[:2])
    found = ask(client, "evaluate", run=str(l_net_run), table=str(other), bootstrap=0)
    assert found["data"] == "2 cases of other.csv, all of them."
    assert any("names no cases for testing" in remark for remark in found["remarks"])
    with pytest.raises(SScILDError, match="no case of the split test"):
        ask(client, "evaluate", run=str(l_net_run), table=str(other), split="test")


def test_a_run_without_a_cohort_is_evaluated_on_what_it_validated_on(client, place):
    run = trained(place / "phantoms_only", read_yaml(small_config(place / "phantoms_only_config", steps=4)))
    assert (run / "examples.png").is_file(), "it was trained on synthetic disease, too"
    found = ask(client, "evaluate", run=str(run), bootstrap=0)
    assert found["data"].startswith("The slices that the run validated on: ")
    assert found["slices"] == found["cases"] > 0
    assert any("say nothing about patients" in remark for remark in found["remarks"])
    assert not any(row[0] == "MAE of the patient's extent" for row in found["rows"])
    titles = [figure["title"] for figure in found["figures"]]
    assert {"Bland-Altman plots", "Scores over the reference", "Confusion matrices"} <= set(titles)
    assert "Errors by level" not in titles


def test_the_command_line_evaluates_a_run_too(l_net_run, capsys):
    from SScILDScoringLib.cli import run
    from SScILDScoringTrainingLib.cli import app

    assert run(app, ["evaluate", "run", str(l_net_run), "--last", "--bootstrap", "0"]) == 0
    said = capsys.readouterr().out
    assert "MAE (mm)" in said
    assert "L5  1 cm above the right hemidiaphragm" in said
    assert str(l_net_run / "evaluation" / "report.html") in said
    assert run(app, ["evaluate", "run", str(l_net_run.parent)]) == 2


def test_what_cannot_be_evaluated_is_said(client, tmp_path, s_net_run):
    with pytest.raises(SScILDError, match="not a training run"):
        ask(client, "evaluate", run=str(tmp_path))
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.yaml").write_text((s_net_run / "config.yaml").read_text())
    with pytest.raises(SScILDError, match=r"best\.pt") as caught:
        ask(client, "evaluate", run=str(bare))
    assert not isinstance(caught.value, WorkerError)


# ---- models ----------------------------------------------------------------------------------------------------------


def test_a_run_becomes_a_model_that_scoring_offers(client, s_net_run, home, monkeypatch):
    from SScILDScoringLib.models import find_bundle, list_bundles
    from SScILDScoringLib.models.store import chosen_defaults, user_folder

    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    monkeypatch.setenv("APPDATA", str(home))
    ask(client, "evaluate", run=str(s_net_run), bootstrap=0)
    packed = ask(client, "pack", run=str(s_net_run), name="our_net", default=True)
    assert (packed["name"], packed["kind"]) == ("our_net", "s_net")
    if not sys.platform.startswith("linux"):
        return
    assert Path(packed["installed"]) == user_folder() / "our_net"
    bundle = find_bundle("our_net", "s_net")
    assert bundle.sha256 == packed["sha256"]
    assert [b.name for b in list_bundles("s_net") if b.place == "user" and b.error is None] == ["our_net"]
    assert chosen_defaults() == {"s_net": "our_net"}
    card = Path(packed["card"]).read_text(encoding="utf-8")
    assert "cases of cohort.csv, fold 1." in card, "the evaluation stands in the model card"
    with pytest.raises(SScILDError, match="installed already"):
        ask(client, "pack", run=str(s_net_run), name="our_net")
    again = ask(client, "pack", run=str(s_net_run), name="our_net", last=True, replace=True, thresholds=0)
    assert again["sha256"] != packed["sha256"]
    assert find_bundle("our_net", "s_net").sha256 == again["sha256"]
    with pytest.raises(SScILDError, match="lung masks"):
        ask(client, "pack", run=str(s_net_run), name="other", thresholds=4)


def test_a_model_is_given_away_without_installing_it(client, l_net_run, tmp_path):
    target = tmp_path / "given"
    packed = ask(client, "pack", run=str(l_net_run), output=str(target), install=False, last=True)
    assert (packed["name"], packed["kind"], packed["installed"]) == ("small_l_net", "l_net", None)
    assert (target / "configs" / "metadata.json").is_file()
    with pytest.raises(SScILDError, match="already"):
        ask(client, "pack", run=str(l_net_run), output=str(target), install=False, last=True)


# ---- the process -----------------------------------------------------------------------------------------------------


def test_unknown_requests_are_defects(client):
    with pytest.raises(WorkerError, match="no operation 'load'"):
        ask(client, "load")
    with pytest.raises(WorkerError, match="estimate"):
        ask(client, "estimate", configuration="s_net_quick")
    assert client.running


def test_cancelling_ends_the_process_and_leaves_what_was_there(client, s_net_run):
    ask(client, "evaluate", run=str(s_net_run), bootstrap=0)
    before = read_evaluation(s_net_run)
    number = client.request("evaluate", {"run": str(s_net_run), "bootstrap": 20000})
    pid = client.process_id

    def stop(stage: str, fraction: float, message: str) -> None:
        if stage == "agreement":
            raise Cancelled

    with pytest.raises(Cancelled):
        client.wait(number, stop, timeout=200)
    until(lambda: not alive(pid), 10)
    assert read_evaluation(s_net_run) == before
    started = time.monotonic()
    assert ask(client, "estimate", config="s_net_quick", folder=str(s_net_run))["rows"]
    assert client.process_id != pid
    assert time.monotonic() - started < 200
