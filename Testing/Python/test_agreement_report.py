"""The whole comparison: which raters are held against which, what is missing, tests, and the files."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from SScILDScoringLib.errors import SettingsError, TableError
from SScILDScoringLib.scores import rounded
from SScILDScoringTrainingLib.agreement.measures import compare_errors, weighted_kappa
from SScILDScoringTrainingLib.agreement.report import compare, distinct
from SScILDScoringTrainingLib.agreement.rows import GROUPS, Settings, pairs
from SScILDScoringTrainingLib.agreement.tables import LevelTable, ScoreTable

QUICK = Settings(samples=100)
CASE = np.repeat([f"p{i:02d}" for i in range(8)], 5)
LEVEL = np.tile(np.arange(1, 6), 8)


def rater(name: str, seed: int, session: str = "", spread: float = 5, keep=slice(None)) -> ScoreTable:
    """A rater near the truth (of seed 0), on the 5 % grid."""
    truth = np.random.default_rng(0).gamma(1.5, 10, (len(CASE), 3))
    values = rounded(truth + np.random.default_rng(seed).normal(0, spread, truth.shape) * (seed > 0))
    return ScoreTable(name, session, CASE[keep], LEVEL[keep], values[keep], f"{name}.csv")


@pytest.fixture(scope="module")
def study():
    """Two observers in two sessions and a network, the network without the last two rows."""
    observers = [rater(name, i + 2 * j + 1, f"T{j + 1}") for i, name in enumerate("AB") for j in range(2)]
    return compare(rater("truth", 0), [*observers, rater("net", 9, keep=slice(0, -2))], Settings(100, 1, "holm"))


# ---- which comparisons -----------------------------------------------------------------------------------------------


def test_raters_meet_in_the_same_session_and_themselves_between_sessions():
    tables = [rater(name, 1, session) for name, session in (("A", "T1"), ("A", "T2"), ("B", "T1"), ("net", ""))]
    assert [(kind, a.title, b.title) for kind, a, b in pairs(tables)] == [
        ("intra", "A T1", "A T2"),
        ("inter", "A T1", "B T1"),
        ("inter", "A T1", "net"),
        ("inter", "A T2", "net"),
        ("inter", "B T1", "net"),
    ]


def test_one_table_holds_reference_inter_and_intra_observer_numbers(study):
    found = study.find("tot")
    assert [row.kind for row in found] == ["reference"] * 5 + ["inter"] * 6 + ["intra"] * 2
    assert {row.level for row in study.rows} == {*GROUPS, "extent"}
    assert study.columns == ("tot", "gg", "ret")


def test_numbers_are_those_of_the_two_tables(study):
    truth, observer = rater("truth", 0), rater("A", 1, "T1")
    row = next(r for r in study.find("gg", "L3") if (r.first, r.second) == ("truth", "A T1"))
    x, y = truth.values[LEVEL == 3, 1], observer.values[LEVEL == 3, 1]
    assert (row.n, row.cases) == (8, 8)
    assert row.values["mae"] == np.abs(x - y).mean()
    assert row.values["bias"] == pytest.approx((y - x).mean())
    assert row.values["kappa"] == pytest.approx(weighted_kappa(x, y))
    low, high = row.intervals["mae"]
    assert low < row.values["mae"] < high
    extent = next(r for r in study.find("gg", "extent") if (r.first, r.second) == ("truth", "A T1"))
    of_patients = [t.values[:, 1].reshape(8, 5).mean(axis=1) for t in (truth, observer)]
    assert extent.values["mae"] == pytest.approx(np.abs(np.subtract(*of_patients)).mean())
    assert "kappa" not in extent.values


def test_absolute_errors_are_tested_between_raters_on_the_rows_of_all_three(study):
    found = next(d for d in study.differences if (d.first, d.second) == ("B T1", "net") and d.level == "pooled")
    truth, first, second = rater("truth", 0), rater("B", 2, "T1"), rater("net", 9)
    tests = compare_errors(*(table.values[:-2, 0] for table in (truth, first, second)))
    assert (found.n, found.cases, found.column) == (38, 8, "tot")
    assert (found.difference, found.wilcoxon_p, found.t_p) == pytest.approx(tests[1:])
    assert found.mae_second - found.mae_first == pytest.approx(found.difference)
    assert found.interval.low <= found.difference <= found.interval.high


def test_p_values_are_corrected_over_the_three_patterns(study):
    three = [d for d in study.differences if (d.first, d.second, d.level) == ("A T1", "B T1", "L2")]
    assert [d.column for d in three] == ["tot", "gg", "ret"]
    smallest = min(three, key=lambda d: d.wilcoxon_p)
    assert smallest.wilcoxon_p_corrected == pytest.approx(min(1, 3 * smallest.wilcoxon_p))
    plain = compare(rater("truth", 0), [rater("A", 1), rater("B", 2)], QUICK)
    assert plain.differences[0].wilcoxon_p_corrected is None
    with pytest.raises(SettingsError, match="bonferroni, holm, fdr"):
        compare(rater("truth", 0), [rater("A", 1)], Settings(correction="none"))


def test_an_intra_observer_comparison_is_the_other_sessions_error_too(study):
    assert {d.kind for d in study.differences} == {"inter", "intra"}


# ---- missing rows and degenerate tables ------------------------------------------------------------------------------


def test_missing_rows_are_listed_and_counted_never_dropped_in_silence(study):
    assert study.missing == {"net": (("p07", 4), ("p07", 5))}
    assert {row.n for row in study.find("ret", kind="reference")} == {40, 38}
    text = study.markdown()
    assert "net lacks 2 rows: p07 L4 L5" in text
    assert "38 to 40" in text
    assert "Without extent and Goh stage, for lack of one of the five levels: p07." in text


def test_unequal_case_lists_are_listed_on_both_sides():
    reference = rater("truth", 0, keep=slice(0, 30))
    other = rater("A", 1, keep=slice(5, 40))
    result = compare(reference, [other], QUICK)
    assert set(result.missing) == {"truth", "A"}
    assert result.missing["A"] == tuple(("p00", i) for i in range(1, 6))
    assert len(result.missing["truth"]) == 10
    assert result.find("tot")[0].n == 25


def test_a_rater_without_a_common_row_is_refused_with_an_example_of_both():
    other = ScoreTable("A", "", ["P01"], [1], [[5, 5, 0]], "A.csv")
    with pytest.raises(TableError, match=r"A\.csv \(A\) has no case and level in common with truth\.csv: P01 L1 here"):
        compare(rater("truth", 0), [other])


def test_raters_that_share_no_row_with_each_other_are_said_so():
    early, late = rater("A", 1, keep=slice(0, 20)), rater("B", 2, keep=slice(20, 40))
    result = compare(rater("truth", 0), [early, late], QUICK)
    assert {row.kind for row in result.rows} == {"reference"}
    assert any("A and B have no row in common" in remark for remark in result.remarks)


def test_one_case_gives_numbers_without_intervals():
    reference, other = (rater(name, seed, keep=slice(0, 5)) for name, seed in (("truth", 0), ("A", 1)))
    result = compare(reference, [other], QUICK)
    row = result.find("tot")[0]
    assert (row.n, row.cases) == (5, 1)
    assert math.isfinite(row.values["mae"])
    assert math.isnan(row.intervals["mae"].low)
    assert any("single patient" in remark for remark in result.remarks)
    assert json.dumps(result.to_dict(), allow_nan=False)
    assert "nan" not in result.markdown().lower()


def test_constant_raters_are_dashes_and_a_remark():
    healthy = [ScoreTable(n, "", CASE, LEVEL, np.zeros((40, 3)), f"{n}.csv") for n in ("truth", "A", "B")]
    result = compare(healthy[0], healthy[1:], QUICK)
    row = result.find("tot")[0]
    assert row.values["mae"] == 0
    assert math.isnan(row.values["kappa"])
    assert any(r.startswith("Not defined") and "kappa, ICC, r of TOT pooled (A - truth)" in r for r in result.remarks)
    assert {(d.wilcoxon_p, d.t_p) for d in result.differences} == {(1.0, 1.0)}
    assert result.stages[0].matrix[0][0] == 8
    assert "nan" not in result.markdown().lower()


def test_without_bootstrap_there_are_no_intervals():
    result = compare(rater("truth", 0), [rater("A", 1)], Settings(samples=0))
    assert all(np.isnan(interval).all() for row in result.rows for interval in row.intervals.values())
    assert "bootstrap" not in result.markdown()


# ---- names -----------------------------------------------------------------------------------------------------------


def test_tables_of_the_same_rater_must_be_told_apart():
    with pytest.raises(TableError, match=r"A\.csv and A\.csv are both of rater A: .*reader or session"):
        compare(rater("truth", 0), [rater("A", 1), rater("A", 2)])


def test_files_of_the_same_name_in_two_folders_take_the_folders_names(tmp_path):
    tables = [rater("scores", 1), rater("scores", 2), rater("A", 3)]
    paths = [tmp_path / "one" / "scores.csv", tmp_path / "two" / "scores.csv", tmp_path / "A.csv"]
    assert [t.title for t in distinct(tables, paths)] == ["one/scores", "two/scores", "A"]


# ---- files -----------------------------------------------------------------------------------------------------------


def test_files_hold_every_number(study, tmp_path):
    paths = study.write(tmp_path / "out")
    assert sorted(p.name for p in paths) == sorted(p.name for p in (tmp_path / "out").iterdir())
    assert {p.name for p in paths} == {
        *("agreement.md", "agreement.json", "agreement.csv", "differences.csv", "stages.csv", "missing.csv")
    }
    with (tmp_path / "out" / "agreement.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(study.rows)
    assert float(rows[0]["kappa"]) == pytest.approx(study.rows[0].values["kappa"], rel=1e-5)
    assert float(rows[0]["icc_ci_low"]) == pytest.approx(study.rows[0].intervals["icc"].low, rel=1e-5)
    data = json.loads((tmp_path / "out" / "agreement.json").read_text(encoding="utf-8"))
    assert data["rows"][0]["values"]["mae"] == study.rows[0].values["mae"]
    assert data["settings"] == {"samples": 100, "seed": 1, "correction": "holm"}
    assert data["missing"] == {"net": [["p07", 4], ["p07", 5]]}


def test_a_table_of_an_earlier_run_does_not_stay(study, tmp_path):
    study.write(tmp_path)
    (tmp_path / "mine.csv").write_text("stays")
    compare(rater("truth", 0), [rater("A", 1)], QUICK).write(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {
        *("agreement.md", "agreement.json", "agreement.csv", "stages.csv", "mine.csv")
    }


def test_nothing_is_half_written(study, tmp_path):
    (tmp_path / "agreement.json").mkdir()  # the last file cannot take its place
    with pytest.raises(SettingsError, match="cannot be written"):
        study.write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["agreement.json"]


def test_markdown_tables_are_whole(study):
    blocks = [block for block in study.markdown().split("\n\n") if block.startswith("|")]
    assert len(blocks) > 4
    for block in blocks:
        lines = block.split("\n")
        assert len({line.count("|") for line in lines}) == 1
        assert len({len(line) for line in lines}) == 1


def test_a_pipe_in_a_name_does_not_break_the_table():
    text = compare(rater("truth", 0), [rater("A|B", 1)], QUICK).markdown()
    assert "A\\|B" in text


def test_the_same_input_gives_the_same_text():
    first, again = (compare(rater("truth", 0), [rater("A", 1)], QUICK).markdown() for _ in range(2))
    assert first == again


# ---- levels ----------------------------------------------------------------------------------------------------------


def level_table(name: str, shift: float, spread: float = 0) -> LevelTable:
    """Positions of eight patients, shifted, with an error of the given spread."""
    top = np.random.default_rng(0).normal(-100, 40, 8).repeat(5)
    errors = np.random.default_rng(1).normal(0, 1, 40) * spread
    return LevelTable(name, "", CASE, LEVEL, top - 30 * LEVEL + shift + errors, f"{name}.csv")


def test_level_errors_are_in_millimetres_and_in_slices_of_1_2_mm(tmp_path):
    result = compare(level_table("radiologist", 0), [level_table("net", -6)], QUICK)
    assert (result.quantity, result.stages, {r.level for r in result.rows}) == ("levels", (), set(GROUPS))
    result.write(tmp_path)
    with (tmp_path / "agreement.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["level"]: row for row in csv.DictReader(stream)}
    assert list(rows) == list(GROUPS)
    row = rows["L3"]
    assert (float(row["mae_mm"]), float(row["mae_slices"])) == (6, 5)
    assert (float(row["bias_mm"]), float(row["bias_slices"])) == (-6, -5)
    assert (float(row["sd_mm"]), float(row["sd_slices"])) == pytest.approx((0, 0), abs=1e-6)
    assert (float(row["slope"]), float(row["intercept_mm"])) == pytest.approx((1, -6), abs=1e-3)
    assert 0.9 < float(row["icc"]) < 1
    assert "kappa" not in row
    text = result.markdown()
    assert "| L3 " in text
    assert "5.00 (0.00)" in text
    assert "counted from a scan's lowest slice" in text


def test_positions_are_counted_from_the_lowest_slice_where_the_reference_tells_it():
    """The table's height then no longer flatters the ICC, and the errors stay."""
    reference, other = level_table("radiologist", 0), level_table("net", 0, 15)
    top = reference.values[LEVEL == 1, 0]
    bottoms = dict(zip(CASE[LEVEL == 1].tolist(), (top - 250).tolist(), strict=True))
    plain = compare(reference, [other], QUICK)
    counted = compare(replace(reference, bottoms=bottoms), [other], QUICK)
    before, after = (result.find("position_mm", "L2")[0].values for result in (plain, counted))
    assert after["icc"] < 0.5 < 0.9 < before["icc"]
    for name in ("mae", "sd", "bias", "limit_high"):
        assert after[name] == pytest.approx(before[name])
    assert any("counted from each scan's lowest slice (bottom_mm)" in remark for remark in counted.remarks)
    partly = compare(replace(reference, bottoms={"p00": -300.0}), [other], QUICK)
    assert partly.find("position_mm", "L2")[0].values == before


def test_two_raters_levels_are_compared_with_each_other_too():
    result = compare(level_table("radiologist", 0), [level_table("A", -6, 2), level_table("net", 3, 1)], QUICK)
    assert {row.kind for row in result.rows} == {"reference", "inter"}
    [pooled] = [d for d in result.differences if d.level == "pooled"]
    assert pooled.mae_second < pooled.mae_first
    assert pooled.wilcoxon_p < 0.001
    assert "| mm " in result.markdown()


# ---- patients with several cases -------------------------------------------------------------------------------------


def scanned_twice(table: ScoreTable, patients: bool) -> ScoreTable:
    """Every case once more with the same scores; ``patients``: the table tells that both are of one patient."""
    case = np.concatenate([table.case, np.char.add(table.case, "b")])
    known = {c: c.removesuffix("b") for c in case.tolist()} if patients else {}
    level, values = np.tile(table.level, 2), np.tile(table.values, (2, 1))
    return ScoreTable(table.rater, "", case, level, values, table.source, patients=known)


def test_a_patients_scans_are_drawn_together():
    """A second, equal scan of everybody adds nothing: its intervals are those without it, not narrower ones."""
    truth, other, third = rater("truth", 0), rater("A", 1), rater("B", 2)
    settings = Settings(1000, 1)
    once = compare(truth, [other, third], settings)
    # One table that knows the patients is enough.
    twice = compare(scanned_twice(truth, True), [scanned_twice(t, False) for t in (other, third)], settings)
    unknown = compare(scanned_twice(truth, False), [scanned_twice(t, False) for t in (other, third)], settings)
    for level in ("pooled", "L3", "extent"):
        one, two, none = (r.find("tot", level, "reference")[0] for r in (once, twice, unknown))
        assert (one.cases, one.patients, two.cases, two.patients, none.patients) == (8, 8, 16, 8, 16)
        assert two.intervals["mae"] == pytest.approx(one.intervals["mae"])
        assert none.intervals["mae"].high - none.intervals["mae"].low < 0.85 * (
            two.intervals["mae"].high - two.intervals["mae"].low
        )
    assert twice.differences[0].interval == pytest.approx(once.differences[0].interval)


def test_the_report_says_what_was_drawn():
    tables = [rater("truth", 0), rater("A", 1)]
    alone = compare(tables[0], tables[1:], QUICK)
    known = compare(scanned_twice(tables[0], True), [scanned_twice(tables[1], False)], QUICK)
    assert "every case counts as a patient of its own" in alone.markdown()
    assert "16 cases of 8 patients, after the column patient" in known.markdown()
    assert (alone.to_dict()["drawn"], known.to_dict()["drawn"]) == ("case", "patient")


def test_tables_that_name_different_patients_for_a_case_are_refused():
    truth, other = rater("truth", 0), rater("A", 1)
    with pytest.raises(TableError, match=r"Case p00 is of patient X in truth.csv and of Y in A.csv"):
        compare(replace(truth, patients={"p00": "X"}), [replace(other, patients={"p00": "Y"})], QUICK)
