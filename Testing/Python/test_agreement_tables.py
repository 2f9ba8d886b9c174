"""Score and level tables: what is read, what is refused in one line, and which rows two have in common."""

from __future__ import annotations

import numpy as np
import pytest

from SScILDScoringLib.errors import TableError
from SScILDScoringTrainingLib.agreement.reading import read_fvc, read_level_tables, read_score_tables
from SScILDScoringTrainingLib.agreement.tables import LevelTable, ScoreTable, align, keys_text, patient_means

HEADER = "case,level,tot,gg,ret\n"


@pytest.fixture
def written(tmp_path):
    """Writes a table and returns its path."""

    def write(text: str | bytes, name: str = "anna.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def scores(rater: str, *rows, session: str = "") -> ScoreTable:
    """A table of rows ``(case, level, tot, gg, ret)``."""
    return ScoreTable(rater, session, [r[0] for r in rows], [r[1] for r in rows], [r[2:] for r in rows])


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_a_score_table_is_read_with_the_files_name_as_rater(written):
    [table] = read_score_tables(written(HEADER + "p01,1,10,10,5\np01,L2,0,0,0\n"))
    assert (table.rater, table.session, table.title, table.source) == ("anna", "", "anna", "anna.csv")
    assert table.keys == [("p01", 1), ("p01", 2)]
    assert table.values.tolist() == [[10, 10, 5], [0, 0, 0]]
    assert table.remarks == ()


def test_readers_and_sessions_of_one_file_are_tables_of_their_own(written):
    text = "reader,session,case,level,tot,gg,ret\nA,T1,p01,1,10,10,5\nB,T1,p01,1,5,5,0\nA,T2,p01,1,15,10,5\n"
    tables = read_score_tables(written(text))
    assert [t.title for t in tables] == ["A T1", "B T1", "A T2"]
    assert [t.values[0, 0] for t in tables] == [10, 5, 15]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffcase,level,tot,gg,ret\r\np01,1,12.5,10,5\r\n",  # as Excel writes "CSV UTF-8"
        "case;level;tot;gg;ret\np01;1;12,5;10;5\n",  # and where the comma is the decimal sign
        "case\tlevel\ttot\tgg\tret\np01\t1.0\t12.5\t1e1\t5.\n",
        '# a remark, with "quotes\n\nCase , LEVEL,Ret,GG,tot,comment\n"p01",l1,5,10,12.5,"one, two"\n\n',
        "case,tot_1,gg_1,ret_1,tot_2,gg_2,ret_2,tot_3,gg_3,ret_3,tot_4,gg_4,ret_4,tot_5,gg_5,ret_5\n"
        "p01,12.5,10,5,0,0,0,0,0,0,0,0,0,0,0,0\n",
    ],
)
def test_the_common_ways_to_write_a_table_are_understood(written, text):
    [table] = read_score_tables(written(text))
    assert table.keys[0] == ("p01", 1)
    assert table.values[0].tolist() == [12.5, 10, 5]


def test_results_of_the_scoring_command_are_score_and_level_tables(written):
    path = written("case,level,tot,gg,ret,name,position_mm,slice_index\nct,1,5,5,0,great vessels,-76.5,84\n")
    assert read_score_tables(path)[0].values.tolist() == [[5, 5, 0]]
    assert read_level_tables(path)[0].values.tolist() == [[-76.5]]


def test_level_tables_are_long_or_wide(written):
    long = "case,level,position_mm\n" + "".join(f"p01,{i},{-40 * i}\n" for i in range(1, 6))
    wide = "case,path,level_1_mm,level_2_mm,level_3_mm,level_4_mm,level_5_mm\np01,x.nii,-40,-80,-120,-160,-200\n"
    for text in (long, wide):
        [table] = read_level_tables(written(text))
        assert table.keys == [("p01", i) for i in range(1, 6)]
        assert table.values[:, 0].tolist() == [-40, -80, -120, -160, -200]


def test_level_tables_may_tell_the_scans_lowest_slice(written):
    text = "case,level,position_mm,bottom_mm\np01,1,-40,-300\np01,2,-80,\np02,1,0,-250.5\n"
    [table] = read_level_tables(written(text))
    assert table.bottoms == {"p01": -300, "p02": -250.5}
    with pytest.raises(TableError, match="row 3, column bottom_mm: case p01 has -300 in an earlier row"):
        read_level_tables(written(text.replace("-80,", "-80,-301")))


def test_rows_that_contradict_themselves_are_used_and_named(written):
    rows = "p01,1,5,10,0\np01,2,30,10,10\np01,3,5,0,0\np01,4,10,5,5\np01,5,12,12,0\n"
    [table] = read_score_tables(written(HEADER + rows))
    assert len(table) == 5
    contradiction, grid = table.remarks
    # Row 4 is 5, 0, 0: two exact scores of 2 % and a union of 4 % are rounded to that.
    assert "in rows 2, 3; used as they are" in contradiction
    assert "steps of 5 % in row 6; rounded for kappa" in grid


# ---- what is refused -------------------------------------------------------------------------------------------------

BAD = {
    "case,level,tot,gg\np01,1,5,5\n": "row 1, column ret: there is no such column",
    "patient,level,tot,gg,ret\np01,1,5,5,0\n": "row 1, column case: .*this file has patient, level",
    "# remark\n\ncase,level,tot,gg\np01,1,5,5\n": "row 3, column ret: there is no such column",
    '"case\n1",level,tot,gg,ret\np01,1,5,5,0\n': "row 2, column case: .*this file has case 1, level",
    "case,level,tot,tot,gg,ret\np01,1,5,5,5,0\n": "row 1, column tot: the name stands in the header twice",
    HEADER: "no rows: add one row for each case and level",
    "": "is empty",
    "\n# nothing\n": "is empty",
    HEADER + "p01,1,5,five,0\n": "row 2, column gg: 'five' is not a number",
    HEADER + "p01,1,5,5 %,0\n": "row 2, column gg: '5 %' is not a number.*without a unit",
    HEADER + "p01,1,5,5,0\np01,2,5,,0\n": "row 3, column gg: the cell is empty; leave the row out",
    HEADER + "p01,1,5,5\n": "row 2, column ret: the cell is empty",
    HEADER + "p01,1,105,5,0\n": "row 2, column tot: a score is a percentage from 0 to 100, not 105",
    HEADER + "p01,1,5,5,-5\n": "row 2, column ret: .*not -5",
    HEADER + "p01,1,nan,5,0\n": "row 2, column tot: 'nan' is not a number",
    HEADER + "p01,1,1e999,5,0\n": "row 2, column tot: '1e999' is not a number",
    HEADER + "p01,1,1_0,5,0\n": "row 2, column tot: '1_0' is not a number",
    HEADER + "p01,6,5,5,0\n": "row 2, column level: '6' is no level; write 1 to 5 or L1 to L5",
    HEADER + "p01,carina,5,5,0\n": "row 2, column level: 'carina' is no level",
    HEADER + " ,1,5,5,0\n": "row 2, column case: the cell is empty",
    HEADER + "p01,1,5,5,0\np01,2,5,5,0\np01,L1,0,0,0\n": "row 4, column level: .*stands in row 2 already.*session",
    HEADER + "p01,1,5,5,0,extra\n": "row 2, column 6: 6 cells, but the header has 5",
    HEADER + '"p01,1,5,5,0\n': "row 2: not readable as CSV",
    "reader," + HEADER + ",p01,1,5,5,0\n": "row 2, column reader: the cell is empty",
    "# remark\n\n" + HEADER + "\n# another\np01,1,x,5,0\n": "row 6, column tot: 'x'",
    b"PK\x03\x04 a zipped workbook": "is a spreadsheet; save it as CSV",
    HEADER.encode() + b"M\xfcller,1,5,5,0\n": "row 2: not UTF-8 text",
    HEADER.encode() + b"p01,1,5,5,\0\n": "row 2: not a text file",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_is_off_is_one_line_with_file_row_and_column(written, text):
    with pytest.raises(TableError, match=r"anna\.csv.*" + BAD[text]) as error:
        read_score_tables(written(text))
    assert "\n" not in str(error.value)


def test_a_table_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(TableError, match="There is no score table"):
        read_score_tables(tmp_path / "anna.csv")
    with pytest.raises(TableError, match="There is no level table"):
        read_level_tables(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "case,level,position_mm\np01,1,-40\np01,2,-80\np01,4,-70\n",
            "row 4, column position_mm: level 4 .*below level 2",
        ),
        ("case,level,position_mm\np01,5,-40\np01,1,-80\n", "row 2, column position_mm: level 5 .*below level 1"),
        (
            "case,level_1_mm,level_2_mm,level_3_mm,level_4_mm,level_5_mm\np01,-40,-80,-120,-160,-150\n",
            "row 2, column level_5_mm: level 5 of case p01",
        ),
        ("case,level,position_mm\np01,1,top\n", "row 2, column position_mm: 'top' is not a number"),
        ("case,level,tot\np01,1,5\n", "row 1, column position_mm: there is no such column"),
    ],
)
def test_level_tables_descend_from_l1_to_l5(written, text, message):
    with pytest.raises(TableError, match=r"anna\.csv, " + message):
        read_level_tables(written(text))


def test_the_patient_of_a_case_is_read_where_the_table_tells_it(written):
    text = "case,patient,level,tot,gg,ret\np01a,p01,1,5,5,0\np01a,,2,5,5,0\np01b,p01,1,5,5,0\np02,,1,5,5,0\n"
    table = read_score_tables(written(text))[0]
    assert table.patients == {"p01a": "p01", "p01b": "p01"}
    both = align(table, table)
    assert both.drawn.tolist() == ["p01", "p01", "p01", "p02"]
    with pytest.raises(TableError, match="row 3, column patient: case p01a is of patient p01 in an earlier row"):
        read_score_tables(written(text.replace("p01a,,2", "p01a,p09,2")))


def test_vital_capacities_are_read_by_case(written):
    path = written("case,fvc_percent,age\np01,68.5,50\np02,,60\np03,90,70\np03,90,70\n", "cohort.csv")
    assert read_fvc(path) == {"p01": 68.5, "p03": 90}
    for text, message in (
        ("case,fvc\np01,70\n", "column fvc_percent"),
        ("case,fvc_percent\np01,0.7\n", "row 2, column fvc_percent: .*10 to 200"),
        ("case,fvc_percent\np01,70\np01,71\n", "row 3, column fvc_percent: case p01 has 70 in an earlier row"),
    ):
        with pytest.raises(TableError, match=message):
            read_fvc(written(text))


# ---- alignment -------------------------------------------------------------------------------------------------------


def test_common_rows_are_paired_whatever_their_order_and_the_others_are_listed():
    first = scores("a", ("p2", 1, 5, 5, 0), ("p1", 2, 20, 10, 10), ("p1", 1, 10, 5, 5), ("p3", 1, 0, 0, 0))
    second = scores("b", ("p1", 1, 15, 10, 5), ("p1", 2, 25, 15, 10), ("p2", 1, 0, 0, 0), ("p4", 5, 0, 0, 0))
    aligned = align(first, second)
    assert list(zip(aligned.case.tolist(), aligned.level.tolist(), strict=True)) == [("p1", 1), ("p1", 2), ("p2", 1)]
    x, y = aligned.of("tot")
    assert (x.tolist(), y.tolist()) == ([10, 20, 5], [15, 25, 0])
    x, y = aligned.of("ret", level=2)
    assert (x.tolist(), y.tolist()) == ([10], [10])
    assert aligned.only_first == (("p3", 1),)
    assert aligned.only_second == (("p4", 5),)
    assert aligned.cases == ["p1", "p2"]


def test_tables_without_a_common_row_align_to_nothing():
    aligned = align(scores("a", ("p1", 1, 5, 5, 0)), scores("b", ("P1", 1, 5, 5, 0)))
    assert len(aligned) == 0
    assert aligned.of("gg")[0].shape == (0,)
    assert len(patient_means(aligned)) == 0


def test_scores_and_levels_are_not_compared():
    with pytest.raises(ValueError, match="different kinds"):
        align(scores("a", ("p1", 1, 5, 5, 0)), LevelTable("b", "", ["p1"], [1], [[-40.0]]))


def test_extents_are_means_over_five_levels_of_the_patients_that_have_them():
    first = scores("a", *(("p1", i, 10 * i, 5, 0) for i in range(1, 6)), *(("p2", i, 0, 0, 0) for i in range(1, 5)))
    extents = patient_means(align(first, first))
    assert extents.cases == ["p1"]
    assert extents.x.tolist() == [[30, 5, 0]]
    assert extents.level.tolist() == [0]


def test_rows_are_listed_by_case():
    assert keys_text([("p1", 1), ("p1", 3), ("p2", 5)]) == "p1 L1 L3, p2 L5"


def test_a_table_holds_every_level_of_a_case_once():
    with pytest.raises(ValueError, match="once"):
        scores("a", ("p1", 1, 5, 5, 0), ("p1", 1, 5, 5, 0))
    with pytest.raises(ValueError, match="one entry for each row"):
        ScoreTable("a", "", ["p1"], [1, 2], np.zeros((2, 3)))
