"""Cohorts: what a table may hold, that everything wrong is told at once, patients stay together, and what counts as
truth in scored cases."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

from SScILDScoringLib.cli import run
from SScILDScoringLib.corrections import Correction, read_corrections, write_corrections
from SScILDScoringLib.errors import Cancelled, SettingsError, TableError
from SScILDScoringLib.levels import Level, LevelPosition, Levels
from SScILDScoringLib.phantom.nifti import write_volume
from SScILDScoringLib.phantom.writing import write_cohort as write_phantoms
from SScILDScoringLib.results import ScanFacts, ScanResult, write_json
from SScILDScoringLib.scan import load_scan
from SScILDScoringLib.scores import SliceScores
from SScILDScoringTrainingLib.cli import app
from SScILDScoringTrainingLib.cohort import CohortRow, read_cohort, write_cohort
from SScILDScoringTrainingLib.cohort.check_files import write_check
from SScILDScoringTrainingLib.cohort.checking import check_cohort
from SScILDScoringTrainingLib.cohort.creating import (
    cohort_of_phantoms,
    cohort_of_results,
    confirm,
)
from SScILDScoringTrainingLib.cohort.dividing import divide
from SScILDScoringTrainingLib.cohort.level_files import levels_from_file
from SScILDScoringTrainingLib.cohort.scored_cases import Trust, consistent

LEVELS = ",".join(f"level_{n}_mm" for n in range(1, 6))
SCORES = ",".join(f"{p}_{n}" for n in range(1, 6) for p in ("tot", "gg", "ret"))
MM = "180,150,122,100,60"
ZEROS = ",".join(["0"] * 15)


def scan_at(path, seed=0):
    """A small scan of 100 slices every 2 mm from 0 to 198 mm, without anatomy."""
    voxels = np.random.default_rng(seed).integers(-1000, 200, (100, 16, 16)).astype(np.int16)
    write_volume(path, voxels, np.diag([-20.0, -20.0, 2.0, 1.0]))
    return path


@pytest.fixture
def folder(tmp_path):
    """A folder with three scans, the third a copy of the first in another format of file name."""
    for n in (1, 2):
        scan_at(tmp_path / f"s{n}.nii.gz", n)
    shutil.copy(tmp_path / "s1.nii.gz", tmp_path / "copy.nii.gz")
    return tmp_path


def table(folder, header: str, *lines: str):
    path = folder / "cohort.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


# ---- reading -------------------------------------------------------------------------------------------------------


def test_a_row_has_everything_that_the_table_says(folder):
    scan_at(folder / "lungs.nii.gz")
    header = f"# a remark\ncase,path,{LEVELS},{SCORES},split,fold,healthy,lung_path,observer,patient,fvc_percent"
    scores = "10,10,5," * 4 + "0,0,0"
    path = table(folder, header, f"a,s1.nii.gz,{MM},{scores},train,2,0,lungs.nii.gz,AB,p1,71.5", f"b,s2.nii.gz,{MM}")
    first, second = read_cohort(path)
    assert first == CohortRow(
        "a", folder / "s1.nii.gz", (180, 150, 122, 100, 60), "train", ((10, 10, 5),) * 4 + ((0, 0, 0),), 2, False,
        folder / "lungs.nii.gz", "AB", "p1", 71.5, 3,
    )  # fmt: skip
    assert first.mean_tot == 8
    assert second == CohortRow("b", folder / "s2.nii.gz", (180, 150, 122, 100, 60), number=4)
    assert second.patient == "b"


def test_semicolons_decimal_commas_and_capital_names_are_read(folder):
    mm = "180,5;150;122;100;60"
    path = table(folder, f"Case;PATH;{LEVELS.replace(',', ';')}", f"a;s1.nii.gz;{mm}")
    assert read_cohort(path)[0].mm[0] == 180.5


def test_a_healthy_case_needs_no_scores_and_levels_may_stay_unscored(folder):
    header = f"case,path,{LEVELS},{SCORES},healthy"
    partial = "10,10,0," + "," * 11
    path = table(folder, header, f"a,s1.nii.gz,{MM},{',' * 14},1", f"b,s2.nii.gz,{MM},{partial},")
    healthy, scored = read_cohort(path)
    assert healthy.scores == ((0, 0, 0),) * 5
    assert healthy.complete
    assert scored.scores == ((10, 10, 0), None, None, None, None)
    assert len(read_cohort(path, scores=True, partial=True)) == 2
    with pytest.raises(TableError, match="row 3, case b: tot_2 must be a number"):
        read_cohort(path, scores=True)


def test_levels_may_stand_in_a_file_of_each_case(folder):
    points = [
        {"type": "Fiducial", "coordinateSystem": "LPS",
         "controlPoints": [{"label": f"L{n}", "position": [1.0, 2.0, 200.0 - 30 * n]} for n in (2, 1, 3, 5, 4)]}
    ]  # fmt: skip
    (folder / "a.mrk.json").write_text(json.dumps({"markups": points}))
    path = table(folder, "case,path,levels_path", "a,s1.nii.gz,a.mrk.json")
    assert read_cohort(path)[0].mm == (170, 140, 110, 80, 50)
    points[0]["controlPoints"][0]["label"] = "carina"
    (folder / "a.mrk.json").write_text(json.dumps({"markups": points}))
    with pytest.raises(TableError, match="has a marker 'carina'; label"):
        levels_from_file(folder / "a.mrk.json")
    with pytest.raises(TableError, match="row 2, case a"):
        read_cohort(path)


def test_the_first_error_is_told_and_where_to_see_the_others(folder):
    path = table(folder, f"case,path,{LEVELS},split", f"a,gone.nii,{MM},train", f"b,s1.nii.gz,{MM},practice")
    with pytest.raises(TableError, match=r"row 2, case a: there is no file .* 1 more: see sscild cohort check"):
        read_cohort(path)


def test_folds_become_splits_and_test_cases_stay(folder):
    header = f"case,path,{LEVELS},split,fold"
    lines = [f"{c},s1.nii.gz,{MM},{s},{f}" for c, s, f in zip("abcd", ("", "", "test", ""), (1, 2, 1, ""), strict=True)]
    path = table(folder, header, *lines)
    assert [r.split for r in read_cohort(path, fold=2)] == ["train", "validation", "test", "train"]
    assert [r.split for r in read_cohort(path, split_seed=1)] == ["validation", "train", "test", "train"]
    with pytest.raises(TableError, match=r"no fold 3. Its folds: 1, 2"):
        read_cohort(path, fold=3)


def test_a_patient_in_two_splits_or_folds_is_refused(folder):
    header = f"case,path,{LEVELS},split,fold,patient"
    path = table(folder, header, f"a,s1.nii.gz,{MM},train,1,p", f"b,s2.nii.gz,{MM},test,1,p")
    with pytest.raises(TableError, match=r"row 3, case b: the split is test, but patient p is in split train in row 2"):
        read_cohort(path)
    path = table(folder, header, f"a,s1.nii.gz,{MM},train,1,p", f"b,s2.nii.gz,{MM},train,2,p")
    with pytest.raises(TableError, match="the fold is 2, but patient p is in fold 1"):
        read_cohort(path)


def test_what_is_written_is_read_back(folder):
    rows = [
        CohortRow(
            "a",
            folder / "s1.nii.gz",
            (180.25, 150, 122, 100, 60),
            "test",
            ((10, 10, 5), None, (0, 0, 0), None, None),
            fold=3,
            healthy=False,
            observer="AB",
            patient="p",
            fvc_percent=55.0,
        ),
        CohortRow("b", folder / "s2.nii.gz", (180, 150, 122, 100, 60)),
    ]
    path = write_cohort(rows, folder / "sub" / "table.csv")
    back = read_cohort(path)
    assert [CohortRow(**{**vars(r), "number": 0}) for r in back] == rows


# ---- checking ------------------------------------------------------------------------------------------------------


@pytest.fixture
def wrong(folder):
    """A table in which nearly everything is wrong that can be."""
    (folder / "broken.nii.gz").write_bytes(b"no image")
    scan_at(folder / "s3.nii.gz", 3)
    scan_at(folder / "s4.nii.gz", 4)
    scan_at(folder / "s5.nii.gz", 5)
    write_volume(folder / "far.nii.gz", np.ones((4, 4, 4), np.uint8), np.diag([1.0, 1, 1, 1]) + 9000 * np.eye(4, k=3))
    header = f"case,path,{LEVELS},{SCORES},split,patient,lung_path,obsever"
    lines = [
        f"good,s1.nii.gz,{MM},{ZEROS},train,p1,,",
        f"missing,gone.nii.gz,{MM},{ZEROS},train,,,",
        f"unreadable,broken.nii.gz,{MM},{ZEROS},train,,,",
        f"disordered,s2.nii.gz,180,150,155,100,60,{ZEROS},train,,,",
        f"outside,s3.nii.gz,250,150,122,100,60,{ZEROS},train,,,",
        f"scores,s4.nii.gz,{MM},12,10,5,120,0,0,5,10,0,30,10,10,x,0,0,train,,,",
        f"twin,copy.nii.gz,{MM},{ZEROS},test,p1,,",
        f"good,s5.nii.gz,{MM},{ZEROS},train,,far.nii.gz,",
    ]
    return table(folder, header, *lines)


WRONG = {
    (1, "obsever", "unknown_column"),
    (3, "path", "missing_file"),
    (4, "path", "unreadable_scan"),
    (5, "level_3_mm", "levels_order"),
    (6, "level_1_mm", "level_outside"),
    (7, "tot_1", "score_step"),
    (7, "tot_2", "score_range"),
    (7, "tot_3", "score_sum"),
    (7, "tot_4", "score_sum"),
    (7, "tot_5", "not_a_number"),
    (8, "path", "scan_twice"),
    (8, "split", "patient_in_two_splits"),
    (9, "case", "case_twice"),
    (9, "lung_path", "lung_mask"),
}


def test_everything_that_is_wrong_is_told_at_once_with_row_and_column(wrong, tmp_path):
    check = check_cohort(wrong, cache=tmp_path / "cache")
    found = {(p.row, p.column, p.code) for p in check.problems if p.code != "level_not_scored"}
    assert found == WRONG
    assert [p.row for p in check.problems] == sorted(p.row for p in check.problems)
    assert next(p for p in check.problems if p.code == "unknown_column").message.endswith("Is observer meant?")
    assert "row 2 (case good)" in next(p for p in check.problems if p.code == "scan_twice").message
    again = check_cohort(wrong, cache=tmp_path / "cache")
    assert again.problems == check.problems, "what is remembered of the scans says the same"


def test_a_second_check_does_not_read_the_scans_again(folder, monkeypatch):
    path = table(folder, f"case,path,{LEVELS}", f"a,s1.nii.gz,{MM}", f"b,s2.nii.gz,{MM}")
    check_cohort(path, cache=folder / "cache")

    def refuse(*_arguments, **_options):
        raise AssertionError("a scan was read")

    monkeypatch.setattr("SScILDScoringTrainingLib.cohort.scan_facts.load_scan", refuse)
    assert not check_cohort(path, cache=folder / "cache").problems


def test_the_same_scan_in_two_formats_is_found(folder):
    import SimpleITK as sitk

    image = sitk.ReadImage(str(folder / "s1.nii.gz"))
    sitk.WriteImage(image, str(folder / "s1.nrrd"))
    path = table(folder, f"case,path,{LEVELS}", f"a,s1.nii.gz,{MM}", f"b,s1.nrrd,{MM}")
    assert [p.code for p in check_cohort(path).problems] == ["scan_twice"]


def test_exact_scores_are_right_where_that_is_said(folder):
    scores = "12.3,10,5," + "0,0,0," * 3 + "0,0,0"
    path = table(folder, f"case,path,{LEVELS},{SCORES}", f"a,s1.nii.gz,{MM},{scores}")
    assert [p.column for p in check_cohort(path).errors] == ["tot_1"]
    assert not check_cohort(path, exact=True).problems


def test_numbers_that_are_no_millimetres_are_worth_a_warning(folder):
    path = table(folder, f"case,path,{LEVELS}", "a,s1.nii.gz,90,88,86,85.6,84")
    assert {p.code for p in check_cohort(path).problems} == {"levels_span", "levels_same_slice"}
    assert not check_cohort(path).errors


def test_a_check_can_be_cancelled(folder):
    path = table(folder, f"case,path,{LEVELS}", f"a,s1.nii.gz,{MM}", f"b,s2.nii.gz,{MM}")

    def cancel(stage, fraction, _message):
        if fraction > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        check_cohort(path, progress=cancel)


def test_the_check_is_written_as_table_json_and_pictures(wrong, tmp_path):
    files = write_check(check_cohort(wrong), tmp_path / "out")
    assert sorted(f.name for f in files) == [
        "check.json", "levels.pdf", "levels.png", "problems.csv", "scores.pdf", "scores.png"
    ]  # fmt: skip
    with (tmp_path / "out" / "problems.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(int(r["row"]), r["column"], r["code"]) for r in rows} >= WRONG
    content = json.loads((tmp_path / "out" / "check.json").read_text())
    assert content["rows"] == 8
    assert content["errors"] == len([r for r in rows if r["severity"] == "error"])
    assert (tmp_path / "out" / "levels.png").read_bytes()[:4] == b"\x89PNG"


def test_the_command_ends_with_2_when_there_are_errors_and_with_0_otherwise(wrong, tmp_path, capsys):
    cache = ["--cache", str(tmp_path / "cache"), "-q"]
    assert run(app, ["cohort", "check", str(wrong), "-o", str(tmp_path / "out"), *cache]) == 2
    shown = capsys.readouterr().out
    assert "level 1 at 250 mm is outside the scan, which reaches from 0.0 to 198.0 mm" in shown
    path = table(tmp_path, f"case,path,{LEVELS}", f"a,s1.nii.gz,{MM}")
    assert run(app, ["cohort", "check", str(path), *cache]) == 0
    assert "Nothing is wrong." in capsys.readouterr().out
    assert run(app, ["cohort", "cache", "--cache", str(tmp_path / "cache"), "--clear"]) == 0
    assert "0 entries" in capsys.readouterr().out


# ---- dividing ------------------------------------------------------------------------------------------------------


def cohort_of(patients: int, scans: int = 1) -> list[CohortRow]:
    """Patients of whom half have no disease, some with several scans."""
    rng = np.random.default_rng(0)
    rows = []
    for p in range(patients):
        tot = 0.0 if p % 2 else float(5 * rng.integers(1, 20))
        for s in range(1 + (p % 3 == 0) * (scans - 1)):
            rows.append(CohortRow(f"c{p}-{s}", "x", (5, 4, 3, 2, 1), scores=((tot, tot, 0.0),) * 5, patient=f"p{p}"))
    return rows


def test_patients_never_straddle_and_every_fold_has_its_share_of_disease():
    rows = cohort_of(230, scans=3)
    splits, folds = divide(rows, folds=4, seed=1, test=50)
    assert sorted(splits.values()).count("test") == 50
    counts = [sum(f == n for f in folds.values()) for n in (1, 2, 3, 4)]
    assert sum(counts) == 180
    assert max(counts) - min(counts) <= 1
    assert all(folds[p] is None for p, s in splits.items() if s == "test")
    tot = {row.patient: row.mean_tot for row in rows}
    means = [np.mean([tot[p] for p, f in folds.items() if f == n]) for n in (1, 2, 3, 4)]
    healthy = [np.mean([tot[p] == 0 for p, f in folds.items() if f == n]) for n in (1, 2, 3, 4)]
    assert max(means) - min(means) < 3
    assert max(healthy) - min(healthy) < 0.05


def test_the_same_seed_divides_alike_whatever_the_order_of_the_rows():
    rows = cohort_of(40)
    assert divide(rows, folds=5, seed=3) == divide(rows[::-1], folds=5, seed=3)
    assert divide(rows, folds=5, seed=3) != divide(rows, folds=5, seed=4)


def test_few_patients_without_scores_are_divided_too_and_too_few_are_a_sentence():
    rows = [CohortRow(f"c{n}", "x", (5, 4, 3, 2, 1)) for n in range(5)]
    _, folds = divide(rows, folds=2, seed=1)
    assert sorted(folds.values()) in ([1, 1, 1, 2, 2], [1, 1, 2, 2, 2])
    with pytest.raises(SettingsError, match="5 patients cannot fall into 6 folds"):
        divide(rows, folds=6, seed=1)
    with pytest.raises(SettingsError, match="nobody is left"):
        divide(rows, folds=2, seed=1, test=5)


def test_the_command_writes_the_table_with_parts_and_leaves_the_rest(folder, capsys):
    lines = [f"c{n};s1.nii.gz;{MM.replace(',', ';')};so it is" for n in range(4)]
    path = table(folder, f"# ours\ncase;path;{LEVELS.replace(',', ';')};note", *lines)
    out = folder / "new" / "folds.csv"
    assert run(app, ["cohort", "split", str(path), "--folds", "2", "--seed", "3", "-o", str(out)]) == 0
    cohort = read_cohort(out)
    assert cohort.folds == (1, 2)
    assert [row.path.resolve() for row in cohort] == 4 * [(folder / "s1.nii.gz").resolve()]
    text = out.read_text()
    assert text.startswith("# ours\n")
    assert text.count("so it is") == 4
    assert run(app, ["cohort", "split", str(path), "-o", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


# ---- making ------------------------------------------------------------------------------------------------------


def scored_case(results, scan_path, sources=("l_net",) * 5, l4_follows=True):
    """A case folder as the export leaves it: scores.json and a score of 20 10 12 on every level."""
    scan = load_scan(scan_path)
    mm = (180.0, 150.0, 120.0, 90.0, 60.0)
    positions = tuple(LevelPosition(level, v, s) for level, v, s in zip(Level, mm, sources, strict=True))
    levels = Levels(positions, l4_follows)
    k = tuple(scan.slice_at(v) for v in mm)
    case = scan_path.name.removesuffix(".nii.gz")
    facts = ScanFacts.of(scan)
    result = ScanResult(
        case, levels, k, k, (SliceScores((20.0, 10.0, 12.0)),) * 5, facts, (), (), "cpu",
        {"l4_follows": l4_follows}, {},
    )  # fmt: skip
    write_json(result, results / case / "scores.json")
    return results / case


@pytest.fixture
def results(folder):
    return folder / "results"


def test_what_nobody_confirmed_is_no_truth(folder, results):
    scored_case(results, folder / "s1.nii.gz", ("manual", "l_net", "l_net", "l_net", "l_net"))
    made = cohort_of_results(results, scans=folder)
    assert not made.rows
    assert "L2, L3, L4, L5: placed by the software and confirmed by nobody" in made.left_out[0][1]
    assert len(cohort_of_results(results, scans=folder, trust=Trust.reviewed).rows) == 1


def test_levels_that_a_person_moved_are_and_l4_follows_its_neighbours(folder, results):
    scored_case(results, folder / "s1.nii.gz", ("manual", "given", "manual", "l_net", "manual"))
    (row,) = cohort_of_results(results, scans=folder).rows
    assert row.mm == (180, 150, 120, 90, 60)
    assert row.scores is None, "the network's scores were not confirmed"
    (row,) = cohort_of_results(results, scans=folder, trust=Trust.everything).rows
    assert row.scores == ((20, 10, 10),) * 5


def test_planes_moved_after_the_export_count(folder, results):
    place = scored_case(results, folder / "s1.nii.gz", ("manual",) * 5, l4_follows=False)
    mm = (180.0, 150.0, 117.5, 90.0, 60.0)
    points = [{"label": f"L{n}", "position": [0, 0, v]} for n, v in enumerate(mm, start=1)]
    (place / "levels.mrk.json").write_text(
        json.dumps({"markups": [{"coordinateSystem": "LPS", "controlPoints": points}]})
    )
    (row,) = cohort_of_results(results, scans=folder).rows
    assert row.mm == mm


def test_corrections_of_a_person_are_truth_and_survive_in_a_plain_table(folder, results):
    place = scored_case(results, folder / "s1.nii.gz")
    confirm(place, "AB")
    write_corrections(
        place,
        [
            Correction(c.level, c.mm, (5.0, 5.0, 0.0) if c.level == 3 else None, c.observer)
            for c in read_corrections(place)
        ],
    )
    (row,) = cohort_of_results(results, scans=folder).rows
    assert row.observer == "AB"
    assert row.scores == (None, None, (5, 5, 0), None, None)
    confirm(place, "AB", scores=True)
    (row,) = cohort_of_results(results, scans=folder).rows
    assert row.scores == ((20, 10, 10), (20, 10, 10), (5, 5, 0), (20, 10, 10), (20, 10, 10)), "what was said stays"
    table_written = write_cohort([row], folder / "new.csv")
    assert not check_cohort(table_written).errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("level,tot,gg,ret\n7,0,0,0\n", "row 2: level is 1 to 5"),
        ("level,tot,gg,ret\n1,5,10,0\n", "TOT 5 must lie"),
        ("level,tot,gg,ret\n1,5,,0\n", "given together"),
        ("level,position_mm\n1,high\n", "position_mm must be a number"),
        ("a,b\n1,2\n", "no column level"),
    ],
)
def test_a_wrong_correction_is_named_and_leaves_its_case_out(folder, results, text, message):
    place = scored_case(results, folder / "s1.nii.gz", ("manual",) * 5)
    (place / "corrections.csv").write_text(text)
    with pytest.raises(TableError, match=message):
        read_corrections(place)
    assert message.split(": ")[-1] in cohort_of_results(results, scans=folder).left_out[0][1]


def test_corrections_of_two_persons_need_a_choice(folder, results):
    place = scored_case(results, folder / "s1.nii.gz")
    confirm(place, "AB")
    confirm(place, "CD", scores=True)
    assert "corrections of AB, CD; choose one" in cohort_of_results(results, scans=folder).left_out[0][1]
    assert cohort_of_results(results, scans=folder, observer="AB").rows[0].scores is None
    assert cohort_of_results(results, scans=folder, observer="CD").rows[0].complete


def test_scores_may_come_from_a_readers_table(folder, results):
    scored_case(results, folder / "s1.nii.gz")
    lines = [f"s1,{n},15,10,10,{reader}" for n in range(1, 6) for reader in ("AB", "CD")]
    (folder / "readers.csv").write_text("\n".join(["case,level,tot,gg,ret,reader", *lines]))
    with pytest.raises(TableError, match="choose one reader"):
        cohort_of_results(results, scans=folder, scores=folder / "readers.csv")
    (row,) = cohort_of_results(results, scans=folder, scores=folder / "readers.csv", observer="CD").rows
    assert row.scores == ((15, 10, 10),) * 5


def test_another_scan_of_the_same_name_is_noticed(folder, results):
    scored_case(results, folder / "s1.nii.gz", ("manual",) * 5)
    voxels = np.zeros((60, 16, 16), np.int16)
    write_volume(folder / "s1.nii.gz", voxels, np.diag([-20.0, -20.0, 2.0, 1.0]))
    assert "another scan than the one that was scored" in cohort_of_results(results, scans=folder).left_out[0][1]
    assert "give the folder of the scans" in cohort_of_results(results).left_out[0][1]


@pytest.mark.parametrize(
    ("raw", "given"),
    [
        ((4.9, 2.4, 2.4), (0, 0, 0)),
        ((7.6, 2.6, 9.0), (10, 5, 10)),
        ((3, 8, 1), (10, 10, 0)),
        ((120, 90, 80), (100, 90, 80)),
    ],
)
def test_scores_are_rounded_so_that_they_do_not_contradict_each_other(raw, given):
    assert consistent(raw) == given


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    return write_phantoms(tmp_path_factory.mktemp("phantoms"), count=2, seed=3, matrix=48, slices=40)


def test_phantoms_become_a_cohort_that_passes_the_check(phantoms, tmp_path):
    made = cohort_of_phantoms(phantoms)
    assert len(made.rows) == 2
    path = write_cohort(made.rows, tmp_path / "cohort.csv")
    check = check_cohort(path)
    assert not check.problems
    assert all(row.lung_path is not None and row.complete for row in check.cohort)
    exact = cohort_of_phantoms(phantoms, exact=True).rows[0].scores
    assert any(v % 5 for triple in exact for v in triple)


def test_the_commands_lead_from_scored_cases_to_a_checked_table(folder, results, capsys):
    place = scored_case(results, folder / "s1.nii.gz")
    out, cache = str(folder / "new.csv"), ["--cache", str(folder / "cache"), "-q"]
    create = ["cohort", "create", str(results), "--scans", str(folder), "-o", out, *cache]
    assert run(app, create) == 2
    captured = capsys.readouterr()
    assert "confirmed by nobody" in captured.out
    assert "Nothing was written" in captured.err
    assert run(app, ["cohort", "confirm", str(place), "--observer", "AB", "--scores"]) == 0
    assert run(app, create) == 0
    assert run(app, ["cohort", "check", out, *cache]) == 0
    assert read_cohort(out, scores=True)[0].observer == "AB"


def test_a_folder_of_scans_becomes_a_table_to_fill_in(folder, capsys):
    out = folder / "new.csv"
    assert run(app, ["cohort", "create", str(folder), "-o", str(out), "-q"]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["copy", "s1", "s2"]
    assert rows[0]["path"] == "copy.nii.gz"
    assert set(rows[0]) >= {"level_5_mm", "ret_5", "split", "observer", "patient"}
    assert run(app, ["cohort", "check", str(out), "--cache", str(folder / "cache"), "-q"]) == 2
    assert "level_1_mm must be a number, not ''" in capsys.readouterr().out
