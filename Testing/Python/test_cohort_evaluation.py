"""A cohort's report: ``sscild evaluate BUNDLE COHORT -o OUT``."""

from __future__ import annotations

import csv
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from small_bundles import l_net_bundle, s_net_bundle
from SScILDScoringLib.cli import run
from SScILDScoringLib.errors import Cancelled, SettingsError
from SScILDScoringLib.slice_network import SliceNetwork
from SScILDScoringTrainingLib.agreement.rows import Settings
from SScILDScoringTrainingLib.cli import app
from SScILDScoringTrainingLib.cohort_evaluation import evaluate_cohort
from SScILDScoringTrainingLib.cohort_evaluation.markdown_blocks import blocks, section
from SScILDScoringTrainingLib.cohort_evaluation.methods import methods_text
from SScILDScoringTrainingLib.evaluation.cases import cases_of_table, phantom_cases

SMALL = {"matrix": 64, "slices": 40, "tilt_deg": 0.0}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """A small L-Net and a small S-Net."""
    folder = tmp_path_factory.mktemp("models")
    return l_net_bundle(folder / "finder", (50, 40, 30, 22, 14)), s_net_bundle(folder / "scorer", size=64)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """A table with two phantoms, a damaged scan and a scan that is gone; the phantoms have an FVC and an observer."""
    folder = tmp_path_factory.mktemp("cohort")
    phantom_cases(2, 4, folder, SMALL)
    with (folder / "cohort.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row, fvc in zip(rows, (60, 90), strict=True):
        row |= {"fvc_percent": fvc, "observer": "Reader A"}
    (folder / "damaged.nii.gz").write_bytes(b"no image at all")
    rows.append({**rows[0], "case": "damaged", "path": "damaged.nii.gz"})
    rows.append({**rows[0], "case": "gone", "path": "gone.nii.gz"})
    with (folder / "study.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder / "study.csv"


@pytest.fixture(scope="module")
def evaluated(bundles, cohort, tmp_path_factory):
    """Folder of the report, and the evaluation."""
    out = tmp_path_factory.mktemp("report")
    l_net, s_net = bundles
    result = evaluate_cohort(cases_of_table(cohort), out, s_net=s_net, l_net=l_net, settings=Settings(40, 3))
    result.write(out, formats=("png",))
    return out, result


class Page(HTMLParser):
    """Tags, texts and table cells of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.tags, self.rows, self._cell = [], set(), [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = ""

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append(self._cell.strip())
            self._cell = None


# ---- the numbers -----------------------------------------------------------------------------------------------------


def test_scores_on_reference_levels_and_the_cascade_are_compared_with_the_reference(evaluated):
    _, result = evaluated
    pooled = result.scores.find("tot", kind="reference")
    assert [row.title for row in pooled] == ["S-Net - Reader A", "L&S-Net - Reader A"]
    assert {row.n for row in pooled} == {10}
    first = result.scores.differences[0]
    assert (first.first, first.second, first.n) == ("S-Net", "L&S-Net", 10)
    by_hand = [
        abs(result.run.reference[row.case].scores[n].reported[0] - row.scores[n][0])
        for row in result.run.rows
        for n in range(5)
    ]
    assert pooled[0].values["mae"] == pytest.approx(sum(by_hand) / 10)


def test_goh_stages_know_the_forced_vital_capacity(evaluated):
    _, result = evaluated
    assert [stage.n for stage in result.scores.stages] == [2, 2, 2]
    assert all(stage.with_fvc for stage in result.scores.stages)


def test_levels_are_counted_from_each_scans_lowest_slice(evaluated):
    _, result = evaluated
    row = result.levels.find("position_mm")[0]
    assert (row.n, row.cases, row.second) == (10, 2, "L-Net")
    assert any("counted from each scan's lowest slice" in remark for remark in result.levels.remarks)


def test_heat_maps_are_those_of_the_reference_levels(evaluated):
    _, result = evaluated
    assert len(result.heat_maps.records) == 10
    assert result.heat_maps.localisation


def test_cases_that_fail_are_listed_with_their_sentence_and_kept_out(evaluated):
    _, result = evaluated
    failures = dict(result.run.failures)
    assert failures.keys() == {"damaged", "gone"}
    assert "no file" in failures["gone"]
    assert [row.case for row in result.run.rows] == ["phantom-970004-0001", "phantom-970004-0002"]


# ---- the report ------------------------------------------------------------------------------------------------------


def test_the_report_is_one_file_that_needs_nothing_else(evaluated):
    out, result = evaluated
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert len([link for link in page.links if link.startswith("data:")]) > 15
    assert not re.search(r"url\(", text)
    assert str(out) not in text
    for bundle in result.bundles:
        assert bundle.sha256 in text
    assert "For research use only. Not a medical device." in text
    for raters in ("S-Net against Reader A.", "L&amp;S-Net against Reader A.", "L&amp;S-Net against S-Net."):
        assert f"<figcaption>{raters}" in text
    assert "Not clinically validated." in text
    assert dict(result.run.failures)["gone"].split()[0] in text


def test_every_table_of_the_report_is_that_of_the_markdown_files(evaluated):
    out, _ = evaluated
    rows = Page((out / "report.html").read_text(encoding="utf-8")).rows
    for name in ("scores/agreement.md", "levels/agreement.md", "heat_maps/heat_maps.md"):
        tables = [b for b in blocks((out / name).read_text(encoding="utf-8")) if b.kind == "table"]
        assert tables
        for table in tables:
            assert all(list(row) in rows for row in (table.header, *table.rows))


def test_tables_figures_and_methods_lie_beside_the_report(evaluated):
    out, result = evaluated
    for name in ("scores/agreement.csv", "scores/stages.csv", "levels/agreement.csv", "heat_maps/localisation.csv"):
        assert (out / name).stat().st_size > 100
    names = {path.stem for path in out.glob("*/figures/*.png")}
    for start in ("bland_altman_S-Net", "bland_altman_L_S-Net", "confusion_tot", "goh_stage", "forest_reference"):
        assert any(name.startswith(start) for name in names), start
    for start in ("bland_altman_levels", "threshold_curve", "derived_scores", "localisation"):
        assert any(name.startswith(start) for name in names), start
    data = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert data["cases"] == [row.case for row in result.run.rows]
    assert {f["case"] for f in data["failures"]} == {"damaged", "gone"}
    assert (out / "methods.txt").read_text(encoding="utf-8").strip() == methods_text(result)


def test_the_methods_say_what_was_done_with_what_on_what(evaluated):
    _, result = evaluated
    text = methods_text(result)
    for bundle in result.bundles:
        assert f"model {bundle.name} {bundle.version}" in text
        assert f"SHA-256 {bundle.sha256}" in text
    for part in (
        "The data were 2 chest CTs",
        "The reference scored 10 slices.",
        "2 further cases could not be scored.",
        "SD",
        "ddof 0",
        "fixed 21 categories",
        "ICC(A,1)",
        "(40 samples, seed 3)",
        "A slice is 1.2 mm.",
        "steps of 0.02",
        "Not clinically validated.",
        "For research use only. Not a medical device.",
    ):
        assert part in text, part
    assert "phantoms" not in text


def test_phantoms_are_called_phantoms(evaluated, bundles, cohort, tmp_path):
    """The same scans as an evaluation's own phantoms, without heat maps and without an L-Net."""
    shutil.copytree(cohort.parent, tmp_path / "p")
    cases = phantom_cases(2, 4, tmp_path / "p", SMALL)
    result = evaluate_cohort(
        cases, tmp_path / "out", s_net=bundles[1], l_net=None, heat_maps=False, settings=Settings(0)
    )
    assert result.heat_maps is None
    assert "The data were 2 phantoms: synthetic chest CTs" in methods_text(result)
    assert "landmarks of the anatomy, without a network" in methods_text(result)
    assert result.levels.raters == ("anatomy",)
    assert result.scores.reference == "truth"


# ---- going on --------------------------------------------------------------------------------------------------------


def copied(evaluated, tmp_path):
    shutil.copytree(evaluated[0], tmp_path / "report")
    return tmp_path / "report"


def again(bundles, table, out, **options):
    states = []
    result = evaluate_cohort(
        cases_of_table(table),
        out,
        s_net=bundles[1],
        l_net=bundles[0],
        settings=Settings(40, 3),
        on_case=lambda number, total, outcome: states.append(outcome.state),
        **options,
    )
    return result, states


def test_what_is_finished_is_not_computed_again(evaluated, bundles, cohort, tmp_path, monkeypatch):
    out = copied(evaluated, tmp_path)
    monkeypatch.setattr(SliceNetwork, "run", lambda *_: pytest.fail("the network was run again"))
    result, states = again(bundles, cohort, out)
    assert sorted(states) == ["failed", "finished", "finished"]
    assert result.scores.to_dict() == evaluated[1].scores.to_dict()
    # Records are kept with five digits; tables show two.
    assert result.heat_maps.markdown() == evaluated[1].heat_maps.markdown()


def test_other_reference_levels_are_computed_and_the_pipelines_answer_stays(evaluated, bundles, cohort, tmp_path):
    out = copied(evaluated, tmp_path)
    moved = cohort.with_name("moved.csv")
    with cohort.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))[:1]
    rows[0]["level_1_mm"] = str(float(rows[0]["level_1_mm"]) + 15)
    with moved.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    result, states = again(bundles, moved, out)
    assert states == ["finished"]
    case = rows[0]["case"]
    before, now = evaluated[1].run, result.run
    assert now.results[case].scores == before.results[case].scores
    assert now.reference[case].scores[0] != before.reference[case].scores[0]
    assert now.reference[case].scores[1:] == before.reference[case].scores[1:]


def test_a_cancelled_run_leaves_whole_cases_and_goes_on(bundles, cohort, tmp_path):
    seen = []

    def stop(stage, fraction, message):
        seen.append(stage)
        if seen.count("heat_maps") > 4 and fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        again(bundles, cohort, tmp_path, progress=stop)
    assert [p.name for p in (tmp_path / "cases").iterdir() if p.is_dir()] == []
    assert any((tmp_path / "heat_map_cache").iterdir())  # the slices that were finished are not lost
    result, _ = again(bundles, cohort, tmp_path)
    assert len(result.run.rows) == 2


# ---- as it is typed --------------------------------------------------------------------------------------------------


def test_two_arguments_are_enough(evaluated, bundles, cohort, tmp_path, capsys):
    """A cohort that nobody scored: its levels are compared, and no score is."""
    out = copied(evaluated, tmp_path)
    shutil.rmtree(out / "scores")
    unscored = cohort.with_name("unscored.csv")
    with cohort.open(newline="", encoding="utf-8") as stream:
        rows = [{k: v for k, v in row.items() if k[:3] not in ("tot", "gg_", "ret")} for row in csv.DictReader(stream)]
    with unscored.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    command = ["evaluate", str(bundles[1].folder), str(unscored), "-o", str(out), "--l-net", str(bundles[0].folder)]
    assert run(app, [*command, "-q", "--bootstrap", "0", "--no-heat-maps"]) == 0
    printed = capsys.readouterr().out
    assert "2 cases evaluated, 2 could not be used (listed in the report)" in printed
    assert "report.html" in printed
    assert not (out / "scores").exists()
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "Levels of L-Net" in text
    assert "TOT of S-Net" not in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["s_net_starter", "-o", "out"], "Give a cohort table, or --phantoms N"),
        (["s_net_starter", "c.csv", "--phantoms", "2", "-o", "out"], "and not both"),
        (["s_net_starter", "c.csv"], "add -o OUT"),
        (["s_net_starter", "c.csv", "-o", "out"], "There is no cohort table c.csv"),
        (["nothing_of_that_name", "c.csv", "-o", "out"], "nothing_of_that_name"),
        (["s_net_starter", "c.csv", "-o", "out", "--s-net", "other"], "leave out --s-net"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(app, ["evaluate", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["cohort", "levels", "scores", "heatmaps"])
def test_the_commands_of_evaluate_keep_their_names(command, capsys):
    assert run(app, ["evaluate", command, "--help"]) == 0
    assert f"evaluate {command}" in capsys.readouterr().out


def test_help_of_evaluate_names_the_short_form(capsys):
    assert run(app, ["evaluate", "--help"]) == 0
    assert "evaluate BUNDLE COHORT" in capsys.readouterr().out


def test_a_cohort_of_which_nothing_can_be_scored_says_why(bundles, cohort, tmp_path):
    table = tmp_path / "c.csv"
    lines = cohort.read_text(encoding="utf-8").splitlines()
    damaged = next(line for line in lines if line.startswith("damaged"))
    table.write_text(f"{lines[0]}\n{damaged}\n", encoding="utf-8")
    (tmp_path / "damaged.nii.gz").write_bytes(b"no image")
    with pytest.raises(SettingsError, match=r"No case of the cohort could be scored. damaged: "):
        evaluate_cohort(cases_of_table(table), tmp_path / "out", s_net=bundles[1], l_net=None)


# ---- Markdown as blocks ----------------------------------------------------------------------------------------------


def test_markdown_becomes_blocks():
    text = "# Title\n\n> Note\n\n## One\n\nSome\ntext.\n\n| a | b |\n|---|--:|\n| x\\|y | 2 |\n\n- p\n- q\n\n"
    text += "## Two\n\nleft\n"
    found = list(blocks(text))
    assert [b.kind for b in found] == ["heading", "quote", "heading", "text", "table", "list", "heading", "text"]
    table = found[4]
    assert (table.header, table.rows, table.left) == (("a", "b"), (("x|y", "2"),), (True, False))
    assert [b.kind for b in section(text, "Two")] == ["quote", "heading", "text", "table", "list"]
