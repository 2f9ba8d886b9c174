"""``sscild study create``, ``status`` and ``export`` as they are typed, and the tables they make."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reader_studies import BOTTOM_MM, MM, NAMES, NETWORK, heat_maps, make_study, scores_of, study_cases
from SScILDScoringLib.cli import app, run
from SScILDScoringLib.levels import Level, Levels
from SScILDScoringLib.observers import LikertAnswer, ObserverError, ReadingSession, ScoreAnswer, read_study
from SScILDScoringLib.observers.export import read_answers, tables
from SScILDScoringLib.observers.key import key_path, read_key
from SScILDScoringLib.observers.sources import study_cases as cases_from
from SScILDScoringLib.results import ScanFacts, ScanResult, write_json
from SScILDScoringLib.scores import Pattern, SliceScores


@pytest.fixture
def clinic(tmp_path, monkeypatch):
    """A cohort table of four scans with their levels, and a folder of results of three networks' steps."""
    monkeypatch.chdir(tmp_path)
    cases = study_cases(tmp_path)
    with (tmp_path / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["case", "path", *(f"level_{n}_mm" for n in range(1, 6))])
        rows.writerows([c.case, f"clinic/{c.path.name}", *MM] for c in cases)
    return tmp_path


def results_of(folder: Path, mm=MM, maps: bool = True) -> Path:
    """Results as ``sscild batch`` leaves them, with the scores of NETWORK."""
    for name in NAMES:
        result = ScanResult(
            case=name,
            levels=Levels.from_mm(mm),
            slice_indices=(28, 24, 20, 12, 4),
            file_slice_indices=(28, 24, 20, 12, 4),
            scores=tuple(SliceScores(v) for v in NETWORK),
            facts=ScanFacts((6, 6, 33), (1.0, 1.0, 5.0), 2, 160.0, 0.0),
        )
        write_json(result, folder / name / "scores.json")
        if maps:
            heat_maps(folder / name / "heatmaps")
    return folder


def read(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---- create ----------------------------------------------------------------------------------------------------------


def test_a_study_is_made_of_a_cohort_table(clinic, capsys):
    command = "study create cohort.csv --readers A,B --sessions 2 --seed 1 --task scores --levels given -o STUDY -q"
    assert run(app, command.split()) == 0
    printed = capsys.readouterr().out
    assert "4 items, each read 2 times by A, B" in printed
    assert "The key is" in printed
    study = read_study("STUDY")
    assert (study.readers, study.sessions, study.levels) == (("A", "B"), 2, "given")
    assert {item.levels_mm for item in study.items} == {MM}
    assert sorted(case.case for case in read_key(study, "STUDY").cases) == sorted(NAMES)


def test_a_study_is_made_of_a_folder_of_scans(clinic):
    command = "study create clinic --readers A -o STUDY --repeat 1 --name Lungs -q"
    assert run(app, command.split()) == 0
    study = read_study("STUDY")
    assert (study.name, study.levels, len(study.items)) == ("Lungs", "own", 5)


def test_results_give_levels_network_and_maps(clinic):
    results_of(clinic / "scored")
    command = "study create clinic --task likert --results scored --readers A --pattern ret -o MAPS -q"
    assert run(app, command.split()) == 0
    study = read_study("MAPS")
    assert (study.task, study.patterns, study.items[0].levels_mm) == ("likert", (Pattern.RET,), MM)
    assert len(list((clinic / "MAPS" / study.items[0].maps).iterdir())) == 5
    assert read_key(study, "MAPS").cases[0].network[0] == (35.0, 20.0, 25.0)


def test_results_at_other_levels_than_the_tables_are_refused(clinic):
    results_of(clinic / "scored", mm=(145.0, 120.0, 100.0, 60.0, 20.0))
    with pytest.raises(ObserverError, match="made at other levels than the table has"):
        cases_from("cohort.csv", "scored")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("study create cohort.csv --readers , -o STUDY", "at least one reader"),
        ("study create nothing --readers A -o STUDY", "there is no scan nothing"),
        ("study create cohort.csv --readers A --task likert -o STUDY", "name the folder of results with --results"),
        ("study create cohort.csv --readers A --results cohort.csv -o STUDY", "has no results"),
        ("study create clinic --readers A --levels given -o STUDY", "has no levels to give"),
        ("study create cohort.csv --readers A -o clinic", "holds other files"),
        ("study status clinic", "There is no study"),
        ("study export STUDY -o out", "There is no study"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(clinic, capsys, command, words):
    assert run(app, command.split()) == 2
    message = capsys.readouterr().err
    assert words in message
    assert "Traceback" not in message


def test_a_level_that_is_no_number_is_told_with_its_row(clinic):
    text = (clinic / "cohort.csv").read_text().replace("120.0", "carina", 1)
    (clinic / "cohort.csv").write_text(text)
    with pytest.raises(ObserverError, match=r"Row 1 of cohort\.csv.*'carina'"):
        cases_from("cohort.csv")


@pytest.mark.parametrize("command", ["create", "status", "export"])
def test_every_command_explains_itself_with_an_example(command, capsys):
    assert run(app, ["study", command, "--help"]) == 0
    assert f"Example: sscild study {command}" in capsys.readouterr().out


def test_looking_at_a_study_needs_neither_torch_nor_simpleitk(clinic):
    make_study(clinic)
    code = (
        "import sys\nfrom SScILDScoringLib.cli import app, run\nassert run(app, ['study', 'status', 'STUDY']) == 0\n"
        "from SScILDScoringLib.observers import ReadingSession\nReadingSession('STUDY', 'A').close()\n"
        "print([m for m in ('torch', 'SimpleITK', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    place = {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "SScILDScoring")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=place, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# ---- status and export -----------------------------------------------------------------------------------------------


def test_status_tells_how_far_everyone_is_without_the_key(clinic, capsys):
    make_study(clinic)
    key_path("STUDY").unlink()
    with ReadingSession("STUDY", "A") as session:
        for _ in range(2):
            session.store(scores_of(session.current.id))
            session.next()
        session.store(scores_of(session.current.id)[:2])
        session.open(session.items[0])
        session.store(scores_of(session.current.id, (0, 0, 0))[0])
        assert run(app, ["study", "status", "STUDY"]) == 0  # while the reader is at work
    lines = capsys.readouterr().out.splitlines()
    a, b = (next(line.split() for line in lines if line.startswith(reader)) for reader in "AB")
    assert a[:6] == ["A", "1", "2", "of", "4", "1"]
    assert a[9] == "1"
    assert b[:6] == ["B", "1", "0", "of", "4", "0"]


def test_answers_are_exported_under_the_cases_names(clinic, capsys):
    study = make_study(clinic, repeat=1)
    key = read_key(study, "STUDY")
    values = {item.id: (5 * n, 5 * n, 0) for n, item in enumerate(study.items)}
    with ReadingSession("STUDY", "B") as session:
        while session.current:
            session.store(scores_of(session.current.id, values[session.current.id]))
            session.next()
    with ReadingSession("STUDY", "A") as session:
        session.store(scores_of(session.current.id)[:3])
    assert run(app, ["study", "export", "STUDY", "-o", "out"]) == 0
    assert "1 case is begun and not complete" in capsys.readouterr().err
    rows = read(clinic / "out" / "scores.csv")
    assert list(rows[0])[:9] == ["case", "level", "tot", "gg", "ret", "reader", "session", "level_mm", "seconds"]
    assert len(rows) == 25
    assert {row["reader"] for row in rows} == {"B"}
    for row in rows:
        case = key.of(row["item"])
        assert row["case"] == case.case
        assert row["session"] == ("T1R" if case.repeat else "T1")
        assert (int(row["tot"]), int(row["ret"])) == (values[row["item"]][0], 0)
        assert float(row["level_mm"]) == MM[int(row["level"]) - 1]
    assert not (clinic / "out" / "levels.csv").exists()
    assert len(read(clinic / "out" / "times.csv")) == 5
    network = read(clinic / "out" / "network.csv")
    assert len(network) == 20
    assert [float(network[0][p]) for p in ("tot", "gg", "ret")] == list(NETWORK[0])


def test_an_export_can_stay_blinded_and_can_hold_open_cases(clinic):
    make_study(clinic)
    key_path("STUDY").unlink()
    with ReadingSession("STUDY", "A") as session:
        item = session.current
        session.store(scores_of(item.id)[:3])
    assert run(app, ["study", "export", "STUDY", "-o", "out"]) == 2
    assert run(app, ["study", "export", "STUDY", "-o", "out", "--blinded"]) == 2  # nothing is complete
    assert run(app, ["study", "export", "STUDY", "-o", "out", "--blinded", "--open"]) == 0
    assert [row["case"] for row in read(clinic / "out" / "scores.csv")] == [item.id] * 3
    assert not any(name.encode() in p.read_bytes() for p in (clinic / "out").iterdir() for name in NAMES)


def test_levels_that_readers_placed_are_a_table_of_their_own(clinic):
    make_study(clinic, levels="own")
    with ReadingSession("STUDY", "A") as session:
        item = session.current
        session.store([ScoreAnswer(item.id, level, 0, 0, 0, 150.0 - 30 * level) for level in Level])
    found = tables(read_answers("STUDY"))
    placed = [(row["level"], row["position_mm"]) for row in found["levels.csv"]]
    assert placed == [(n, 150.0 - 30 * n) for n in range(1, 6)]
    assert {row["bottom_mm"] for row in found["levels.csv"]} == {BOTTOM_MM}


def test_ratings_are_exported_with_their_words(clinic):
    make_study(clinic, task="likert")
    with ReadingSession("STUDY", "A") as session:
        item = session.current
        session.store([LikertAnswer(item.id, lv, p, 1 + (lv + n) % 5) for lv in Level for n, p in enumerate(Pattern)])
    assert run(app, ["study", "export", "STUDY", "-o", "out"]) == 0
    rows = read(clinic / "out" / "ratings.csv")
    assert len(rows) == 15
    assert {(row["rating"], row["label"]) for row in rows} == {
        *(("1", "strongly disagree"), ("2", "disagree"), ("3", "neutral"), ("4", "agree"), ("5", "strongly agree"))
    }


def test_exported_scores_are_what_agreement_reads(clinic):
    from SScILDScoringTrainingLib.agreement.reading import read_score_tables

    make_study(clinic, sessions=2)
    for session in (1, 2):
        with ReadingSession("STUDY", "A", session) as reading:
            reading.store(scores_of(reading.current.id, (10 * session, 10 * session, 0)))
    assert run(app, ["study", "export", "STUDY", "-o", "out"]) == 0
    found = read_score_tables(clinic / "out" / "scores.csv")
    assert [table.title for table in found] == ["A T1", "A T2"]
    assert [np.unique(table.values[:, 0]).tolist() for table in found] == [[10.0], [20.0]]
    assert [t.title for t in read_score_tables(clinic / "out" / "network.csv")] == ["network"]


def test_answers_to_cases_that_were_taken_out_of_the_study_are_told(clinic, capsys):
    make_study(clinic)
    with ReadingSession("STUDY", "A") as session:
        item = session.current
        session.store(scores_of(item.id))
    data = json.loads((clinic / "STUDY" / "study.json").read_text())
    data["items"] = [row for row in data["items"] if row["id"] != item.id]
    (clinic / "STUDY" / "study.json").write_text(json.dumps(data))
    assert run(app, ["study", "status", "STUDY"]) == 0
    captured = capsys.readouterr()
    assert "0 of 3" in captured.out
    assert "1 stored steps belong to items" in captured.err
