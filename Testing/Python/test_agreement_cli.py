"""``sscild agreement`` as it is typed."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest

from SScILDScoringLib.cli import run
from SScILDScoringTrainingLib.cli import app


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A folder with a consensus, an observer of two sessions in one file, and a network that lacks a row."""
    monkeypatch.chdir(tmp_path)

    def rows(shift: int):
        for case in range(4):
            for level in range(1, 6):
                gg = 5 * (case + level)
                yield [f"p{case}", f"L{level}", gg + 10 + shift, gg, 10 + shift * (level == 2)]

    def write(name: str, header: list[str], lines: list) -> None:
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([header, *lines])

    header = ["case", "level", "tot", "gg", "ret"]
    write("consensus.csv", header, list(rows(0)))
    sessions = [[*row, "A", session] for shift, session in ((5, "T1"), (0, "T2")) for row in rows(shift)]
    write("observer.csv", [*header, "reader", "session"], sessions)
    write("net.csv", header, list(rows(5))[:-1])
    levels = [[f"p{c}", i, 100 + 7 * c - 30 * i] for c in range(3) for i in range(1, 6)]
    write("levels.csv", ["case", "level", "position_mm"], levels)
    write("net_levels.csv", ["case", "level", "position_mm"], [[c, i, mm - 6] for c, i, mm in levels])
    return tmp_path


def test_scores_are_compared_printed_and_written(study, capsys):
    arguments = ["agreement", "consensus.csv", "observer.csv", "net.csv", "-o", "out", "--bootstrap", "50"]
    assert run(app, [*arguments, "--correct", "fdr", "--seed", "4"]) == 0
    printed = capsys.readouterr().out
    assert "| TOT | against the reference | A T1" in printed
    assert "| TOT | intra-observer        | A T2 - A T1" in printed
    assert "net lacks 1 row: p3 L5" in printed
    assert "Written to out: agreement.md" in printed
    data = json.loads((study / "out" / "agreement.json").read_text(encoding="utf-8"))
    assert data["settings"] == {"samples": 50, "seed": 4, "correction": "fdr"}
    assert data["raters"] == ["A T1", "A T2", "net"]
    first = data["rows"][0]
    assert (first["column"], first["level"], first["values"]["mae"]) == ("tot", "pooled", 5)


def test_without_an_output_folder_every_table_is_printed(study, capsys):
    assert run(app, ["agreement", "consensus.csv", "net.csv", "--bootstrap", "0"]) == 0
    printed = capsys.readouterr().out
    for heading in ("## All levels together", "## Patients", "## Per level", "## Goh stage", "## Definitions"):
        assert heading in printed
    assert {p.suffix for p in study.iterdir()} == {".csv"}


def test_levels_are_compared_in_millimetres_and_slices(study, capsys):
    assert run(app, ["agreement", "levels.csv", "net_levels.csv", "--levels", "--bootstrap", "20"]) == 0
    printed = capsys.readouterr().out
    assert "6.00 (0.00)" in printed
    assert "5.00 (0.00)" in printed
    assert "Goh" not in printed


def test_figures_are_drawn_beside_the_tables(study, capsys):
    assert run(app, ["agreement", "levels.csv", "net_levels.csv", "--levels", "-o", "out", "--figures"]) == 0
    drawn = {path.name for path in (study / "out" / "figures").iterdir()}
    assert {"bland_altman_levels_net_levels_levels.png", "bland_altman_levels_net_levels_levels.pdf"} <= drawn
    assert f"{len(drawn)} files in figures/" in capsys.readouterr().out


def test_figures_need_a_folder(study, capsys):
    assert run(app, ["agreement", "levels.csv", "net_levels.csv", "--levels", "--figures"]) == 2
    assert "--figures needs a folder: add -o OUT." in capsys.readouterr().err


def test_vital_capacity_gives_stages_where_the_extent_does_not(study, capsys):
    (study / "fvc.csv").write_text("case,fvc_percent\np0,60\np1,60\np2,80\np3,80\n")
    assert run(app, ["agreement", "consensus.csv", "net.csv", "--bootstrap", "0"]) == 0
    assert "unless the forced vital capacity decides" not in capsys.readouterr().out
    assert run(app, ["agreement", "consensus.csv", "net.csv", "--bootstrap", "0", "--fvc", "fvc.csv"]) == 0
    printed = capsys.readouterr().out
    assert "unless the forced vital capacity decides" in printed
    [row] = [line for line in printed.splitlines() if line.startswith("| indeterminate")]
    assert row.replace(" ", "") == "|indeterminate|0|0|0|"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["consensus.csv", "absent.csv"], "There is no score table absent.csv"),
        (
            ["observer.csv", "net.csv"],
            "observer.csv must hold one rater in one session to be the reference, not A T1, A T2",
        ),
        (
            ["consensus.csv", "broken.csv"],
            "broken.csv, row 3, column gg: a score is a percentage from 0 to 100, not 120",
        ),
        (["consensus.csv", "net.csv", "--levels"], "consensus.csv, row 1, column position_mm: there is no such column"),
        (["consensus.csv", "consensus.csv"], "are both of rater"),
        (["levels.csv", "net_levels.csv", "--levels", "--correct", "holm"], "--fvc and --correct are for scores"),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_no_output(study, capsys, arguments, message):
    (study / "broken.csv").write_text("case,level,tot,gg,ret\np0,1,5,5,0\np0,2,100,120,0\n")
    assert run(app, ["agreement", *arguments, "-o", "out"]) == 2
    captured = capsys.readouterr()
    [line] = [line for line in captured.err.splitlines() if line.startswith("sscild")]
    assert message in line
    assert captured.out == ""
    assert not (study / "out").exists()


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = "import sys, SScILDScoringTrainingLib.cli, SScILDScoringTrainingLib.agreement; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert not {"torch", "pandas", "scipy", "sklearn", "pingouin", "matplotlib"} & set(loaded)
