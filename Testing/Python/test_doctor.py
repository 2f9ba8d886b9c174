"""What ``sscild doctor`` promises: it looks at the real thing, says what to do, and its exit code can be relied on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import psutil
import pytest
import torch

from SScILDScoringLib import __version__
from SScILDScoringLib.cli import run
from SScILDScoringLib.commands.doctor import STATES, Check, examine, memory_bytes, processor_units
from SScILDScoringLib.models import bundled_folders, choose_default, install, write_bundle
from SScILDScoringLib.networks import build_s_net
from SScILDScoringLib.preprocessing import SliceInput


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """An empty home for the user's models."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("SSCILD_MODELS", raising=False)
    return tmp_path / "data"


@pytest.fixture
def s_net(data, tmp_path) -> Path:
    """The folder of an installed S-Net that is the user's choice."""
    network = build_s_net("compact_ratio", widths=(4, 4, 8, 8), blocks=(1, 1, 1, 1), stem_stride=4, head_width=4)
    made = write_bundle(
        tmp_path / "our_scores",
        network,
        "s_net",
        SliceInput(size=64),
        description="Untrained, for tests.",
        licence_text="Apache-2.0",
        training_data=[],
    )
    bundle = install(made.folder)
    choose_default("s_net", bundle.name)
    return bundle.folder


def by_name() -> dict[str, Check]:
    return {check.name: check for check in examine()}


def test_everything_is_examined_and_whatever_is_not_well_comes_with_advice(s_net):
    checks = by_name()
    assert {
        "SScILDScoring",
        "Python",
        "packages",
        "cpu",
        "memory",
        "heat maps",
        "score network",
        "DICOM decoders",
        "models folder",
    } <= set(checks)
    for check in checks.values():
        assert check.state in STATES
        assert check.message
        assert bool(check.advice) == (check.state != "ok"), check
    assert checks["SScILDScoring"].message == __version__
    assert f"torch {torch.__version__}" in checks["packages"].message


def test_whether_heat_maps_have_compiled_passes_is_told(monkeypatch, s_net):
    assert by_name()["heat maps"].message.startswith("compiled passes, numba ")
    monkeypatch.setattr("SScILDScoringLib.heatmaps.incremental.ways.compiled_ways", lambda: None)
    check = by_name()["heat maps"]
    assert (check.state, check.advice[:11]) == ("warning", "pip install")
    assert run(arguments=["doctor"]) == 0


def test_a_whole_network_is_well_and_its_checksum_is_told(s_net):
    check = by_name()["score network"]
    assert check.state == "ok"
    assert "our_scores" in check.message
    assert run(arguments=["doctor"]) == 0


def test_a_damaged_network_is_a_problem(s_net, capsys):
    weights = s_net / "models" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-3])
    checks = by_name()
    assert checks["score network"].state == "problem"
    assert "our_scores" in checks["model our_scores"].message
    assert run(arguments=["doctor"]) == 1
    assert "our_scores" in capsys.readouterr().out


def test_a_chosen_network_that_is_gone_is_a_problem(s_net):
    shutil.rmtree(s_net)
    assert by_name()["score network"].state == "problem"


def test_without_any_network_scoring_is_said_not_to_work(data):
    check = by_name()["score network"]
    starter = any((folder / "configs" / "metadata.json").is_file() for b in bundled_folders() for folder in b.iterdir())
    assert check.state == ("ok" if starter else "problem")


def test_json_is_for_programs(s_net, capsys):
    code = run(arguments=["doctor", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["well"] == (code == 0)
    assert {frozenset(check) for check in answer["checks"]} == {frozenset({"name", "state", "message", "advice"})}


def test_memory_is_what_the_system_says():
    total, free = memory_bytes()
    assert total == pytest.approx(psutil.virtual_memory().total, rel=0.01)
    assert free is None or 0 < free < total


def test_processor_units_are_known_ones():
    assert set(processor_units()) <= {"AMX bfloat16", "AVX-512 bfloat16", "AVX-512", "AVX2", "NEON"}


def test_more_threads_than_cores_is_a_warning(data):
    before = torch.get_num_threads()
    torch.set_num_threads(4096)
    try:
        check = by_name()["cpu"]
    finally:
        torch.set_num_threads(before)
    assert check.state == "warning"
    assert "OMP_NUM_THREADS" in check.advice


def test_a_models_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert by_name()["models folder"].state == "warning"


def test_states_are_checked():
    with pytest.raises(ValueError, match="state"):
        Check("x", "fine", "y")
