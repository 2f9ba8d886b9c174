"""``sscild study analyse``: one table as the published Table 6, Likert shares, reading times, one HTML."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from example_reader_study import rated_study, scored_study
from reader_studies import MM, make_study, read_all, scores_of
from SScILDScoringLib.levels import Level
from SScILDScoringLib.observers import LikertAnswer, ObserverError, ReadingSession, ScoreAnswer
from SScILDScoringLib.observers.export import read_answers
from SScILDScoringLib.observers.key import key_path, read_key
from SScILDScoringLib.scores import PATTERNS, Pattern
from SScILDScoringTrainingLib.agreement.reading import read_score_tables
from SScILDScoringTrainingLib.agreement.rows import Settings
from SScILDScoringTrainingLib.cli import app, run
from SScILDScoringTrainingLib.reader_studies.analysis import analyse
from SScILDScoringTrainingLib.reader_studies.page import page_html

FAST = Settings(samples=50)


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """A finished study of scores: eight cases, two of them shown twice, A and B, two sessions."""
    return scored_study(tmp_path_factory.mktemp("scored"), count=8, repeat=2)


@pytest.fixture(scope="module")
def rated(tmp_path_factory) -> Path:
    """A finished study of heat maps: four cases, A and B."""
    return rated_study(tmp_path_factory.mktemp("rated"), count=4)


def read(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---- scores ----------------------------------------------------------------------------------------------------------


def test_one_table_compares_readers_with_reference_network_each_other_and_themselves(scored):
    (reference,) = read_score_tables(scored.parent / "reference.csv")
    result = analyse(read_answers(scored), reference, settings=FAST)
    pooled = result.scores.find("tot")
    assert [(row.kind, row.second, row.first, row.n) for row in pooled] == [
        *(("reference", name, "consensus", 40) for name in ("A T1", "A T2", "B T1", "B T2", "network")),
        *(("inter", *pair, 40) for pair in (("B T1", "A T1"), ("network", "A T1"), ("B T2", "A T2"))),
        *(("inter", *pair, 40) for pair in (("network", "A T2"), ("network", "B T1"), ("network", "B T2"))),
        *(("intra", *pair, 40) for pair in (("A T2", "A T1"), ("B T2", "B T1"))),
        *(("intra", f"{name}R", name, 10) for name in ("A T1", "A T2", "B T1", "B T2")),
    ]
    text = result.markdown()
    assert "| TOT | intra-observer        | A T2 - A T1" in text
    assert "Sessions that end in R" in text


def test_the_tables_numbers_are_those_of_the_answers(tmp_path):
    """A says the truth; B says 10 too much everywhere: MAE 0 and 10, bias 0 and +10, by hand."""
    study = make_study(tmp_path)
    key = read_key(study, tmp_path / "STUDY")
    truth = {case.id: (10 + 10 * n, 10 + 10 * n, 0) for n, case in enumerate(key.cases)}
    for reader, shift in (("A", 0), ("B", 10)):
        session = ReadingSession(tmp_path / "STUDY", reader)
        read_all(session, lambda item, s=shift: scores_of(item.id, (truth[item.id][0] + s, truth[item.id][1] + s, 0)))
    lines = ["case,level,tot,gg,ret,reader"]
    lines += [f"{c.case},{lv},{','.join(map(str, truth[c.id]))},truth" for c in key.cases for lv in range(1, 6)]
    (tmp_path / "ref.csv").write_text("\n".join(lines) + "\n")
    (reference,) = read_score_tables(tmp_path / "ref.csv")
    result = analyse(read_answers(tmp_path / "STUDY"), reference, settings=FAST)
    values = {(row.second, row.first): row.values for row in result.scores.find("tot")}
    assert (values["A", "truth"]["mae"], values["A", "truth"]["kappa"]) == (0, 1)
    assert (values["B", "truth"]["mae"], values["B", "truth"]["bias"]) == (10, 10)
    assert values["B", "A"]["bias"] == 10
    errors = np.abs(np.subtract.outer([10, 20, 30, 40], [35, 36, 37, 38, 39]))
    assert values["network", "truth"]["mae"] == pytest.approx(errors.mean())


def test_without_a_reference_readers_are_compared_with_each_other(scored):
    result = analyse(read_answers(scored), settings=FAST)
    assert {row.kind for row in result.scores.rows} == {"inter", "intra"}
    assert result.scores.stages
    assert "Reference: none" in result.markdown()
    assert "There is no reference" in result.markdown()


def test_levels_that_readers_placed_are_compared_in_millimetres(tmp_path):
    make_study(tmp_path, levels="own", repeat=1)
    for reader, shift in (("A", 0.0), ("B", 6.0)):
        session = ReadingSession(tmp_path / "STUDY", reader)
        read_all(session, lambda item, s=shift: [ScoreAnswer(item.id, n, 20, 15, 10, MM[n - 1] + s) for n in Level])
    result = analyse(read_answers(tmp_path / "STUDY"), settings=FAST)
    row, *again = result.levels.find("position_mm")
    assert (row.kind, row.n, row.values["mae"], row.values["bias"]) == ("inter", 20, 6, 6)
    assert [(one.second, one.first, one.n, one.values["mae"]) for one in again] == [
        ("A R", "A", 5, 0),
        ("B R", "B", 5, 0),
    ]
    assert "## Levels" in result.markdown()
    assert "counted from each scan's lowest slice" in result.markdown()


def test_an_unfinished_study_is_analysed_as_far_as_it_is(tmp_path):
    make_study(tmp_path)
    with pytest.raises(ObserverError, match="nothing to analyse"):
        analyse(read_answers(tmp_path / "STUDY"))
    with ReadingSession(tmp_path / "STUDY", "A") as session:
        session.store(scores_of(session.current.id, (5, 0, 0)), knowingly=True)
        session.next()
        session.store(scores_of(session.current.id)[:2])
    result = analyse(read_answers(tmp_path / "STUDY"), settings=FAST)
    text = result.markdown()
    assert "A is not finished: 1 of 4 items are complete" in text
    assert "B is not finished: 0 of 4" in text
    assert "kept knowingly: A T1" in text


# ---- ratings ---------------------------------------------------------------------------------------------------------


def test_shares_and_agreement_of_ratings_are_those_of_the_answers(tmp_path):
    """A: 4 everywhere but one 1; B: 5 everywhere but 4 on level 1 and 2 on level 2."""
    make_study(tmp_path, task="likert", names=("one",), patterns=(Pattern.GG,))
    by_reader = {"A": (4, 4, 4, 4, 1), "B": (4, 2, 5, 5, 5)}
    for reader, ratings in by_reader.items():
        session = ReadingSession(tmp_path / "STUDY", reader)
        read_all(session, lambda item, r=ratings: [LikertAnswer(item.id, n, Pattern.GG, r[n - 1]) for n in Level])
    result = analyse(read_answers(tmp_path / "STUDY"), settings=FAST)
    a, b = result.shares
    assert (a.rater, a.counts, a.agreement) == ("A", (1, 0, 0, 4, 0), 80)
    assert (b.rater, b.counts, b.agreement) == ("B", (0, 1, 0, 1, 3), 80)
    (both,) = result.rating_agreement
    assert (both.kind, both.n, both.equal, both.within_one) == ("inter", 5, 20, 60)
    # Linear weights, by hand: observed |differences| 0 2 1 1 4, sum 8; expected from the two lists: 41 / 5.
    expected = sum(abs(x - y) for x in by_reader["A"] for y in by_reader["B"]) / 5
    assert both.kappa == pytest.approx(1 - 8 / expected)
    assert result.scores is None


def test_second_showings_of_maps_are_intra_observer_and_do_not_count_twice(tmp_path):
    make_study(tmp_path, task="likert", repeat=1, readers=["A"], names=("one", "two"))
    session = ReadingSession(tmp_path / "STUDY", "A")
    read_all(session, lambda item: [LikertAnswer(item.id, n, p, 4) for n in Level for p in PATTERNS])
    result = analyse(read_answers(tmp_path / "STUDY"), settings=FAST)
    assert [one.n for one in result.shares] == [10, 10, 10]
    pairs = [(one.kind, one.first, one.second, one.n) for one in result.rating_agreement]
    assert pairs == [("intra", "A", "A R", 5)] * 3
    assert "–" in result.markdown()  # kappa of constant ratings is not defined


# ---- times -----------------------------------------------------------------------------------------------------------


def test_reading_times_are_summed_up_in_minutes(scored):
    times = {one.rater: one for one in analyse(read_answers(scored), settings=FAST).times}
    assert list(times) == ["A T1", "A T2", "B T1", "B T2"]
    one = times["B T2"]
    assert one.n == 10
    row = one.flat()
    assert row["median_min"] == pytest.approx(float(np.median(one.seconds)) / 60, abs=1e-3)
    assert row["total_h"] == pytest.approx(one.seconds.sum() / 3600, abs=1e-3)
    assert row["quartile_1_min"] <= row["median_min"] <= row["quartile_3_min"] <= row["longest_min"]
    assert one.halves()[0] == pytest.approx(float(np.median(one.seconds[:5])) / 60)


# ---- files and command -----------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Counts tags and refuses those that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.count: dict[str, int] = {}
        self.links: list[str] = []
        self.feed(text)
        assert not self.opened

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.links += [v for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "img"):
            self.opened.append(tag)

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag


def test_the_command_writes_tables_figures_and_one_page(scored, rated, tmp_path, capsys):
    reference = str(scored.parent / "reference.csv")
    options = ["--bootstrap", "20", "-o", str(tmp_path / "scores"), "--reference", reference]
    assert run(app, ["study", "analyse", str(scored), *options, "--no-figures"]) == 0
    assert "### All levels together" in capsys.readouterr().out
    out = tmp_path / "scores"
    assert {p.name for p in out.iterdir()} == {"study.md", "study.html", "reading_times.csv", "tables", "agreement"}
    assert len(read(out / "tables" / "scores.csv")) == 4 * 50
    assert len(read(out / "reading_times.csv")) == 4
    assert json.loads((out / "agreement" / "agreement.json").read_text())["reference"] == "consensus"
    page = Page((out / "study.html").read_text(encoding="utf-8"))
    assert page.count["table"] == 2
    assert page.count["h1"] == 1

    assert run(app, ["study", "analyse", str(rated), "--bootstrap", "20", "-o", str(tmp_path / "maps"), "-q"]) == 0
    pictures = {p.name for p in (tmp_path / "maps" / "figures").iterdir()}
    names = ("ratings_bars", "ratings_pies", "reading_times")
    assert pictures == {f"{name}.{ending}" for name in names for ending in ("png", "pdf")}
    page = Page((tmp_path / "maps" / "study.html").read_text(encoding="utf-8"))
    assert page.count["img"] == 3
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    shares = read(tmp_path / "maps" / "rating_shares.csv")
    assert [(row["rater"], row["pattern"], row["n"]) for row in shares] == [
        (reader, pattern.value, "20") for reader in "AB" for pattern in PATTERNS
    ]


def test_figures_against_the_reference_are_drawn(tmp_path):
    make_study(tmp_path, readers=["A"])
    read_all(ReadingSession(tmp_path / "STUDY", "A"), lambda item: scores_of(item.id, (20, 20, int(item.number) * 5)))
    key = key_path(tmp_path / "STUDY")
    data = json.loads(key.read_text())
    data["cases"] = [{**case, "network": None} for case in data["cases"]]
    key.write_text(json.dumps(data))
    lines = ["case,level,tot,gg,ret"]
    lines += [f"{name},{lv},{10 * lv},{10 * lv},0" for name in ("Svensson_Eva", "Nakamura_Jun") for lv in range(1, 6)]
    (tmp_path / "truth.csv").write_text("\n".join(lines) + "\n")
    (reference,) = read_score_tables(tmp_path / "truth.csv")
    result = analyse(read_answers(tmp_path / "STUDY"), reference, settings=FAST)
    result.write(tmp_path / "out", formats=("png",))
    drawn = {p.name for p in (tmp_path / "out" / "figures" / "against_reference").iterdir()}
    assert {"bland_altman_A_truth.png", "scatter_A_truth.png", "box_plots_truth.png"} <= drawn
    assert (tmp_path / "out" / "figures" / "agreement_reference.png").stat().st_size > 1000
    assert "truth lacks 10 rows" in result.markdown()


def test_a_reference_of_two_raters_or_of_other_cases_is_refused(scored, tmp_path, capsys):
    (tmp_path / "two.csv").write_text("case,level,tot,gg,ret,reader\np,1,5,5,0,X\np,1,5,5,0,Y\n")
    (tmp_path / "other.csv").write_text("case,level,tot,gg,ret\np,1,5,5,0\n")
    for name, words in (("two.csv", "must hold one rater"), ("other.csv", "no case and level in common")):
        command = ["study", "analyse", str(scored), "--reference", str(tmp_path / name), "-o", str(tmp_path / "out")]
        assert run(app, command) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_explains_itself_with_an_example(capsys):
    assert run(app, ["study", "analyse", "--help"]) == 0
    assert "Example: sscild study analyse STUDY" in capsys.readouterr().out


def test_a_page_shows_text_as_text():
    page = page_html("A & B", "# <b>\n\n| a\\|b | n |\n|---|--:|\n| x < y | 2 |\n\n- one\n- two", {})
    assert "<h1>&lt;b&gt;</h1>" in page
    assert "<td>x &lt; y</td><td class=right>2</td>" in page
    assert "<th>a|b</th>" in page
    Page(page)
