"""The list of known runs, and what a panel shows of one: curves, log, pictures, presets, time left."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import yaml

from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.config import PRESETS, read_yaml
from SScILDScoringTrainingLib.run_status import RunStatus
from SScILDScoringTrainingLib.runs import (
    RunRegistry,
    log_tail,
    overrides_for,
    pictures,
    presets,
    read_curves,
    time_left_in_words,
)
from SScILDScoringTrainingLib.runs.presets import DEVICES
from SScILDScoringTrainingLib.runs.registry import registry_file

ROOT = Path(__file__).resolve().parents[2]


def add(arguments: tuple[Path, Path]) -> None:
    """In a process of its own."""
    RunRegistry(arguments[0]).add(arguments[1], "training")


# ---- the list --------------------------------------------------------------------------------------------------------


def test_the_list_keeps_runs_newest_first_and_across_programs(tmp_path):
    registry = RunRegistry(tmp_path / "data" / "runs.json")
    assert registry.runs() == ()
    for name in ("one", "two", "three"):
        registry.add(tmp_path / name, "training" if name != "two" else "folds")
    (tmp_path / "one").mkdir()
    registry.add(tmp_path / "x" / ".." / "one")  # known already: it is the newest now
    known = RunRegistry(tmp_path / "data" / "runs.json").runs()
    assert [(r.folder.name, r.kind, r.missing) for r in known] == [
        ("one", "training", False),
        ("three", "training", True),
        ("two", "folds", True),
    ]
    assert registry.kind_of(tmp_path / "two") == "folds"
    assert registry.kind_of(tmp_path / "four") is None
    registry.forget(tmp_path / "one")
    registry.forget(tmp_path / "four")
    assert [r.folder.name for r in registry.runs()] == ["three", "two"]
    assert (tmp_path / "one").is_dir(), "forgetting deletes nothing"
    with pytest.raises(SettingsError, match="training, folds"):
        registry.add(tmp_path / "five", "holiday")


def test_several_programs_may_write_the_list_at_once(tmp_path):
    jobs = [(tmp_path / "runs.json", tmp_path / f"run_{n:02d}") for n in range(24)]
    with ProcessPoolExecutor(4) as programs:
        list(programs.map(add, jobs))
    assert {r.folder for r in RunRegistry(tmp_path / "runs.json").runs()} == {run for _, run in jobs}


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'{"runs": [{"folder": 5}]}', b""])
def test_a_damaged_list_is_set_aside_and_said(tmp_path, content):
    path = tmp_path / "runs.json"
    path.write_bytes(content)
    registry = RunRegistry(path)
    assert registry.runs() == ()
    assert "was set aside as runs.json.damaged-" in registry.complaint
    aside = [p for p in tmp_path.iterdir() if "damaged" in p.name]
    assert [p.read_bytes() for p in aside] == [content]
    registry.add(tmp_path / "run")
    assert [r.folder.name for r in RunRegistry(path).runs()] == ["run"]
    assert RunRegistry(path).complaint == ""


def test_what_a_later_version_may_write_is_left_out_and_kept_working(tmp_path):
    path = tmp_path / "runs.json"
    rows = [{"folder": "/a", "kind": "training", "added": 1.0}, {"folder": "/b", "kind": "federated", "added": 2.0}]
    path.write_text(json.dumps({"format": 2, "runs": rows}))
    assert [str(r.folder) for r in RunRegistry(path).runs()] == ["/a"]


def test_where_the_list_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSCILD_RUNS", raising=False)
    if sys.platform.startswith("linux"):
        assert registry_file() == tmp_path / "home" / "SScILDScoring" / "training_runs.json"
    monkeypatch.setenv("SSCILD_RUNS", str(tmp_path / "other.json"))
    assert RunRegistry().path == tmp_path / "other.json"


# ---- looking ---------------------------------------------------------------------------------------------------------

CURVES = """step,seconds,learning_rate,loss,mae,validation_mae,validation_mae_1
10,1.5,0.001,2.5,20,,
20,3,0.0005,1.25,10,,
20,3.5,,,,7.5,6
30,4.5,,,,,
40,5,0.0001,1"""


def test_curves_are_read_as_the_loop_writes_them_also_while_it_writes(tmp_path):
    assert read_curves(tmp_path).empty
    path = tmp_path / "curves.csv"
    path.write_text(CURVES)
    curves = read_curves(tmp_path)
    assert curves.train == {
        "step": [10, 20], "seconds": [1.5, 3], "learning_rate": [0.001, 0.0005], "loss": [2.5, 1.25], "mae": [20, 10],
    }  # fmt: skip
    assert curves.validation == {"step": [20], "seconds": [3.5], "mae": [7.5], "mae_1": [6]}
    for length in range(len(CURVES)):  # wherever the writer is
        path.write_text(CURVES[:length])
        found = read_curves(tmp_path)
        assert len({len(v) for v in found.train.values()}) <= 1
        assert found.train.get("loss", []) in ([], [2.5], [2.5, 1.25])
    path.write_text("step,loss,validation_mae\n1,nonsense,\n2,,\n3,0.5,\n4,0.25,nan\n")
    assert read_curves(tmp_path).train["loss"] == [0.5, 0.25]
    path.write_text("step,seconds,loss,late\n1,1,0.5,\n2,2,0.25,8\n")
    late = read_curves(tmp_path).train["late"]
    assert math.isnan(late[0])
    assert late[1] == 8


def test_the_log_is_what_the_run_said_and_what_its_process_printed(tmp_path):
    assert log_tail(tmp_path) == ""
    (tmp_path / "log.txt").write_text("2026-01-01T00:00:00+00:00  Going on from step 5.\n")
    (tmp_path / "console.txt").write_bytes(b"\x1b[31mTraining\x1b[0m\r\n 10 %\r 20 %\r 30 %  step 9\n\xff end\n\n")
    assert log_tail(tmp_path).splitlines() == [
        "2026-01-01T00:00:00+00:00  Going on from step 5.", "Training", " 30 %  step 9", "\ufffd end",
    ]  # fmt: skip
    assert log_tail(tmp_path, 1) == "\ufffd end"
    (tmp_path / "console.txt").write_text("".join(f"line {n} {'x' * 90}\n" for n in range(20_000)))
    tail = log_tail(tmp_path, 5).splitlines()
    assert [line.split()[1] for line in tail] == [str(n) for n in range(19_995, 20_000)]


def test_the_pictures_of_a_run_and_of_a_study(tmp_path):
    assert pictures(tmp_path) == ()
    for name in (
        "examples.png",
        "inputs.png",
        "comparison.png",
        "agreement/figures/scatter_a_b.png",
        "evaluation/b.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    figures = [{"title": "Bias", "file": "b.png"}, {"title": "Gone", "file": "gone.png"}]
    (tmp_path / "evaluation" / "figures.json").write_text(json.dumps(figures))
    assert [(p.title, p.path.name) for p in pictures(tmp_path)] == [
        ("What the network was fed lately", "inputs.png"),
        ("Examples of synthetic disease", "examples.png"),
        ("Bias", "b.png"),
        ("Scatter a b", "scatter_a_b.png"),
        ("Comparison", "comparison.png"),
    ]
    (tmp_path / "evaluation" / "figures.json").write_text("{")
    assert len(pictures(tmp_path)) == 4


@pytest.mark.parametrize(
    ("state", "seconds", "words"),
    [
        ("running", 20, "less than a minute left"),
        ("running", 320, "about 5 min left"),
        ("running", 5400, "about 1.5 h left"),
        ("preparing", 500_000, "about 5.8 days left"),
        ("running", None, ""),
        ("paused", 320, ""),
        ("finished", 320, ""),
    ],
)
def test_the_time_left_in_words(state, seconds, words):
    assert time_left_in_words(RunStatus(state, seconds_left=seconds)) == words
    assert time_left_in_words(None) == ""


# ---- presets ---------------------------------------------------------------------------------------------------------


def test_presets_describe_themselves():
    known = {preset.name: preset for preset in presets()}
    files = {path.stem for path in PRESETS.glob("*.yaml")}
    assert files - known.keys() == {"evaluation_slices"}
    for preset in known.values():
        values = yaml.safe_load(preset.path.read_text(encoding="utf-8"))
        assert values.get("recipe", preset.recipe) == preset.recipe
        assert preset.is_study == ("configuration" in values)
        assert preset.device in DEVICES
        assert 10 < len(preset.title) < 100
        assert len(preset.description) > len(preset.title)
        assert "sscild" not in preset.description
    assert known["s_net_gpu"].needs_cohort
    assert known["s_net_gpu"].device == "one GPU"
    assert set(known["s_net_gpu"].needs) == {"COHORT", "IMAGENET"}
    assert not known["s_net_quick"].needs_cohort
    assert known["l_net_2024_vgg11"].device == "published"
    assert known["l_net_2024_vgg11"].title == "L-Net as published (Jia et al. 2022 and 2024)"
    assert (known["s_net_starter"].device, known["s_net_starter"].needs) == ("starter", ("CT",))
    assert known["ablation_on_phantoms"].recipe == "ablation"
    assert known["synthesis_on_phantoms"].recipe == "compare"
    assert [p.recipe for p in presets()] == sorted(
        (p.recipe for p in presets()), key=["levels", "scores", "ablation", "compare"].index
    )


def test_overrides_point_a_preset_at_what_was_chosen(tmp_path):
    table = tmp_path / "our cases #2: {final}.csv"
    given = {"device": "cpu", "minutes": 7, "name": "our_net", "cache": tmp_path / "cache"}
    values = read_yaml("s_net_gpu", overrides_for("s_net_gpu", table, weights="imagenet", **given))
    assert values["data"]["cohort"] == str(table)
    assert values["data"]["cache"] == str(tmp_path / "cache")
    assert values["network"]["weights"] == "imagenet"
    assert (values["training"]["device"], values["training"]["minutes"]) == ("cpu", 7)
    assert values["bundle"]["name"] == "our_net"
    assert overrides_for("s_net_quick", table) == (), "a quick look makes its own data"
    study = read_yaml("ablation_on_phantoms", overrides_for("ablation_on_phantoms", minutes=2.5, device="cpu"))
    assert study["configuration"]["training"]["minutes"] == 2.5
    with pytest.raises(SettingsError, match="choose a cohort table"):
        overrides_for("l_net_cpu")
    with pytest.raises(SettingsError, match="ImageNet"):
        overrides_for("s_net_gpu", table)
    with pytest.raises(SettingsError, match="more than 0 minutes"):
        overrides_for("s_net_quick", minutes=0)
    with pytest.raises(SettingsError, match="There is no preset wonder"):
        overrides_for("wonder")


# ---- the room --------------------------------------------------------------------------------------------------------


def test_a_panel_imports_it_before_any_software_was_installed():
    heavy = "('torch', 'numpy', 'yaml', 'typer', 'SimpleITK', 'matplotlib')"
    code = (
        "import sys; import SScILDScoringTrainingLib.runs as runs, SScILDScoringTrainingLib.worker\n"
        "runs.presets(); runs.RunRegistry(); runs.overrides_for('s_net_cpu', 'c.csv')\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    path = f"{ROOT / 'SScILDScoring'}:{ROOT / 'SScILDScoringTraining'}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": path, "SSCILD_RUNS": "/x.json"}
    )
    assert done.stdout.strip() == "[]", done.stderr
