"""What pictures and report promise: geometry a radiologist can rely on, one file that needs nothing else, no leaks."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from SScILDScoringLib.explanations import ExplanationMaps
from SScILDScoringLib.findings import Finding
from SScILDScoringLib.heatmaps import HeatMaps
from SScILDScoringLib.levels import Levels
from SScILDScoringLib.lungs import LungMask
from SScILDScoringLib.report import Truth, report_html, write_report
from SScILDScoringLib.report.colours import heat_colours, windowed
from SScILDScoringLib.report.pictures import (
    Crop,
    axial_view,
    coronal_view,
    drawn,
    heat_overlay,
    jpeg_bytes,
    lung_crop,
    png_bytes,
    sagittal_view,
    scale_bar_mm,
    whole_slice,
)
from SScILDScoringLib.report.svg_plots import profile_plot
from SScILDScoringLib.results import ModelFacts, ScanFacts, ScanResult, read_json, write_json
from SScILDScoringLib.scan import CTScan, scan_from_array
from SScILDScoringLib.scores import PATTERNS, LungProfile, SliceScores

SPACING = (1.5, 1.5, 4.0)
LEVEL_SLICES = (34, 27, 21, 15, 9)


def blank_scan(shape=(40, 64, 64), spacing=SPACING, **kwargs) -> CTScan:
    return CTScan(np.full(shape, -1000, np.int16), (-48.0, -48.0, -100.0), spacing, **kwargs)


def scan_with(points, shape=(40, 64, 64), spacing=SPACING) -> CTScan:
    """Air with a bright block around each point (k, j, i)."""
    voxels = np.full(shape, -1000, np.int16)
    for k, j, i in points:
        voxels[max(k - 1, 0) : k + 2, j - 2 : j + 3, i - 2 : i + 3] = 300
    return CTScan(voxels, (-48.0, -48.0, -100.0), spacing)


def place_of_brightest(pixels) -> tuple[float, float]:
    """Centre (row, column) of what is brighter than half."""
    rows, columns = np.nonzero(pixels > 128)
    return rows.mean(), columns.mean()


def levels_of(scan: CTScan, slices=LEVEL_SLICES) -> Levels:
    return Levels.from_mm([scan.mm_of_slice(k) for k in slices], source="l_net", spread_mm=[1.0, 2.0, 3.0, 4.0, 5.0])


@pytest.fixture
def result() -> ScanResult:
    """A complete result: heat maps, explanation maps, a profile, findings, models that are not validated."""
    scan = CTScan(
        np.random.default_rng(3).integers(-950, -700, (40, 64, 64)).astype(np.int16),
        (-48.0, -48.0, -100.0),
        SPACING,
        identity={"PatientName": "Doe^Jane", "PatientID": "ID-778899", "path": "/data/jane/doe_jane.nii.gz"},
    )
    labels = np.zeros(scan.shape, np.uint8)
    labels[4:37, 16:48, 10:28] = 1
    labels[4:37, 16:48, 36:54] = 2
    maps, own = [], []
    for k in LEVEL_SLICES:
        lung = labels[k] > 0
        change = np.zeros((3, 64, 64), np.float32)
        change[0, 16:48, 10:19] = -3.0
        change[1, 16:48, 10:19] = 2.0
        maps.append(HeatMaps(change * lung, lung, lung, SliceScores((22, 18, 7)), engine="batched", network_runs=9))
        own.append(ExplanationMaps(lung.astype(np.float32), np.stack([lung * 0.8, lung * 0.4, lung * 0.1])))
    levels = levels_of(scan)
    indices = levels.slice_indices(scan)
    scored = tuple(range(4, 37))
    return ScanResult(
        case="patient_017",
        levels=levels,
        slice_indices=indices,
        file_slice_indices=tuple(scan.file_slice(k) for k in indices),
        scores=tuple(SliceScores(s) for s in ((3, 2, 1), (12, 10, 4), (22, 18, 7), (33, 25, 12), (55, 40, 30))),
        facts=ScanFacts.of(scan),
        findings=(
            Finding("contrast", "info", "Contrast agent was probably given."),
            Finding("thick_slices", "warning", "The slices are 4.0 mm thick."),
        ),
        models=(
            ModelFacts("l_net", "starter_l", "1", "ab" * 32, False, "Starter weights: not clinically validated."),
            ModelFacts("s_net", "starter_s", "2", "cd" * 32, False, "Starter weights: not clinically validated."),
        ),
        device="cpu: test",
        settings={"lung_method": "3d", "heat_maps": True},
        seconds={"lungs": 1.25},
        profile=LungProfile(
            scored,
            scored,
            tuple(scan.mm_of_slice(k) for k in scored),
            tuple(100.0 for _ in scored),
            tuple(SliceScores((80.0 - k, 40.0 - k, 20.0)) for k in scored),
        ),
        heat_maps=tuple(maps),
        explanations=tuple(own),
        thresholds={"tot": -1.0, "gg": -1.0, "ret": -1.0},
        scan=scan,
        lungs=LungMask(labels, "3d"),
    )


class Page(HTMLParser):
    """Collects what the tests ask about: elements with attributes, and the text outside style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.style = ""
        self._raw = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, {k: v or "" for k, v in attributes}))
        self._raw = tag if tag in ("style", "script") else ""

    def handle_endtag(self, tag):
        self._raw = ""

    def handle_data(self, data):
        if self._raw == "style":
            self.style += data
        elif not self._raw:
            self.text += " " + data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


# ---- geometry ------------------------------------------------------------------------------------------------------


def test_the_right_lung_is_on_the_left_of_axial_and_coronal_pictures():
    scan = scan_with([(20, 32, 8)])  # small x: the patient's right
    axial, coronal = axial_view(scan, 20), coronal_view(scan, j=32)
    for view in (axial, coronal):
        assert place_of_brightest(view.pixels)[1] < view.width / 3
        assert view.marks[:2] == ("R", "L")


def test_axial_pictures_have_anterior_up():
    view = axial_view(scan_with([(20, 8, 32)]), 20)
    assert place_of_brightest(view.pixels)[0] < view.height / 3
    assert view.marks[2] == "A"


def test_the_head_is_up_and_anterior_is_left():
    scan = scan_with([(36, 8, 32)])  # towards the head, in front
    coronal, sagittal = coronal_view(scan, j=8), sagittal_view(scan, i=32)
    assert place_of_brightest(coronal.pixels)[0] < coronal.height / 3
    row, column = place_of_brightest(sagittal.pixels)
    assert row < sagittal.height / 3
    assert column < sagittal.width / 3
    assert (coronal.marks[2], sagittal.marks[:3]) == ("H", ("A", "P", "H"))


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 5.0), (0.7, 0.7, 0.5), (1.0, 2.0, 3.0)])
def test_pixels_are_square_in_millimetres(spacing):
    scan = blank_scan(spacing=spacing)
    z, y, x = scan.shape
    extents = [(axial_view(scan, 3), x * spacing[0], y * spacing[1])]
    extents.append((coronal_view(scan), x * spacing[0], z * spacing[2]))
    extents.append((sagittal_view(scan), y * spacing[1], z * spacing[2]))
    for view, width, height in extents:
        assert view.width * view.mm_per_pixel == pytest.approx(width, abs=view.mm_per_pixel)
        assert view.height * view.mm_per_pixel == pytest.approx(height, abs=view.mm_per_pixel)


@pytest.mark.parametrize("thickness", [0.6, 1.5, 4.0])
@pytest.mark.parametrize("upside_down", [False, True])
def test_level_lines_run_through_the_slices_that_are_scored(thickness, upside_down):
    voxels = np.full((40, 48, 48), -1000, np.int16)
    marked = (33, 26, 20, 13, 7)
    voxels[list(marked)] = 300
    matrix = np.diag([1.5, 1.5, thickness, 1.0])
    if upside_down:  # the file counts its slices from the head
        voxels, matrix[2, 2] = voxels[::-1].copy(), -thickness
    scan = scan_from_array(voxels, matrix)
    levels = levels_of(scan, marked)
    for view in (coronal_view(scan, levels), sagittal_view(scan, levels)):
        assert [line.level.name for line in view.lines] == ["L1", "L2", "L3", "L4", "L5"]
        brightness = view.pixels.mean(axis=1)
        for line in view.lines:
            assert brightness[int(line.row)] > 128
            around = np.flatnonzero(brightness > 128)
            slab = around[np.abs(around + 0.5 - line.row) <= max(thickness / view.mm_per_pixel, 1.0)]
            assert slab.mean() + 0.5 == pytest.approx(line.row, abs=1.0)


def test_the_coronal_view_goes_through_the_lungs_and_the_sagittal_one_through_the_right_lung():
    scan = scan_with([(20, 40, 12)])  # inside the right lung
    labels = np.zeros(scan.shape, np.uint8)
    labels[10:30, 34:46, 6:18] = 1
    labels[10:30, 34:46, 40:52] = 2
    assert (coronal_view(scan, lungs=labels).pixels > 128).any()
    assert (sagittal_view(scan, lungs=labels).pixels > 128).any()


def test_the_lung_window_is_the_stated_one():
    assert windowed(np.array([-2000, -1350, -600, 150, 3000])).tolist() == [0, 0, 128, 255, 255]


def test_the_crop_leaves_a_margin_in_millimetres_and_stays_inside():
    scan = blank_scan(spacing=(1.0, 2.0, 3.0))
    labels = np.zeros(scan.shape, np.uint8)
    labels[5, 20:40, 30:34] = 1
    assert lung_crop(scan, labels, margin_mm=10) == Crop(left=20, right=44, top=15, bottom=45)
    assert lung_crop(scan, labels, margin_mm=500) == whole_slice(scan)
    assert lung_crop(scan, labels * 0) == whole_slice(scan)


def test_the_scale_bar_is_a_round_length_that_fits():
    view = axial_view(blank_scan(), 0)
    assert scale_bar_mm(view) in (10, 20, 50, 100)
    assert scale_bar_mm(view) < view.width * view.mm_per_pixel / 2


# ---- colours -------------------------------------------------------------------------------------------------------


def test_heat_maps_are_warm_below_zero_cold_above_and_transparent_elsewhere():
    change = np.array([[-4.0, -9.0, -0.8, 0.0, 0.8, 4.0, 4.0]])
    covered = np.array([[True, True, True, True, True, True, False]])
    picture = Image.open(io.BytesIO(png_bytes(heat_overlay(change, covered)))).convert("RGBA")
    strong, beyond, weak, zero, weak_up, strong_up, uncovered = (picture.getpixel((x, 0)) for x in range(7))
    assert strong == beyond
    assert strong[0] > 150
    assert max(strong[1:3]) < 60  # red
    assert min(weak[0], weak[1]) > 130  # yellow
    assert weak[2] < 120
    assert weak_up[1] > max(weak_up[0], weak_up[2])  # green
    assert strong_up[2] > 2 * max(strong_up[0], strong_up[1])  # blue
    assert zero[3] == 0
    assert uncovered[3] == 0
    assert strong[3] == strong_up[3] == 255


def test_the_colour_scale_is_symmetric():
    values = np.linspace(0.1, 4, 20)
    assert np.array_equal(heat_colours(values)[:, 3], heat_colours(-values)[:, 3])


def test_drawn_pictures_keep_size_and_show_the_overlay():
    view = axial_view(blank_scan(), 0)
    overlay = heat_overlay(np.full((64, 64), -4.0), np.ones((64, 64), bool))
    plain, coloured = drawn(view, scale=2), drawn(view, overlay, scale=2)
    assert plain.size == coloured.size == (2 * view.width, 2 * view.height)
    red, green, _ = coloured.getpixel((40, 40))
    assert red > green + 50
    assert len(set(plain.getpixel((40, 40)))) == 1


def test_jpeg_pictures_stay_close_to_the_ct():
    pixels = windowed(np.linspace(-1300, 100, 64 * 64).reshape(64, 64))
    back = np.asarray(Image.open(io.BytesIO(jpeg_bytes(pixels))))
    assert np.abs(back.astype(int) - pixels).mean() < 2


# ---- report --------------------------------------------------------------------------------------------------------


def test_the_report_needs_nothing_but_itself(result):
    html = report_html(result)
    page = Page(html)
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            if name in attributes:
                assert attributes[name].startswith(("data:image/", "#")), (tag, name, attributes[name][:80])
        assert tag not in ("iframe", "object", "embed", "link", "base")
    assert not re.search(r"@import|url\(", page.style)
    assert "http:" not in html
    assert "https:" not in html


def test_the_report_says_what_was_found(result):
    words = Page(report_html(result)).words
    for expected in (
        "patient_017",
        "For research use only",
        "Starter weights: not clinically validated.",
        "25 %",  # extent: mean of 5, 10, 20, 35, 55
        "indeterminate",
        "origin of the great vessels",
        "1 cm above the right hemidiaphragm",
        "± 5.0 mm",
        "window width 1500 HU, level −600 HU",
        "The slices are 4.0 mm thick.",
        "SHA-256 " + "ab" * 32,
        "cpu: test",
        "lung method 3d",
    ):
        assert expected in words, expected
    assert words.count("Starter weights: not clinically validated.") == 1


def test_scores_derived_from_heat_maps_stand_beside_those_of_the_network(result):
    words = Page(report_html(result)).words
    # 9 of 36 lung columns are at -3 for TOT; GG and RET are nowhere below the threshold.
    assert "TOT 55 % (heat map 25 %) GG 40 % (heat map 0 %) RET 30 % (heat map 0 %)" in words


def test_severe_findings_come_first_and_an_error_forbids_use(result):
    error = Finding("no_base", "error", "The bases are missing.")
    page = Page(report_html(replace(result, findings=(*result.findings, error))))
    icons = [a["aria-label"] for a in page.all("svg") if "icon" in a.get("class", "")]
    assert icons == ["error", "warning", "info"]
    assert "Do not use these scores. The bases are missing." in page.words
    assert "Do not use" not in Page(report_html(result)).words


def test_every_picture_has_words_and_every_switch_its_label(result):
    page = Page(report_html(result))
    pictures = page.all("svg")
    assert len([p for p in pictures if p.get("class") == "ct"]) == 2 + 5 * 3
    assert all(p.get("role") == "img" and p.get("aria-label") for p in pictures)
    switches = {a["id"] for a in page.all("input") if a["type"] == "radio"}
    assert switches == {"show-tot", "show-gg", "show-ret", "show-none"}
    assert {a["for"] for a in page.all("label") if "for" in a} == switches
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    assert {a["href"][1:] for a in page.all("use")} <= set(identifiers)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_level_has_a_heat_map_and_a_map_of_the_network_for_each_pattern(result, pattern):
    page = Page(report_html(result))
    shown = [a for a in page.all("image") if f"show-{pattern.value}" in a.get("class", "").split()]
    assert len(shown) == 10
    assert f"#show-{pattern.value}:checked ~ .levels .show-{pattern.value}" in page.style


def test_names_with_html_in_them_do_no_harm(result):
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
    changed = replace(
        result,
        case=evil,
        device=evil,
        settings={evil: evil},
        findings=(Finding("x", "warning", evil),),
        models=tuple(replace(m, name=evil, notice=evil, version=evil) for m in result.models),
        facts=replace(result.facts, acquisition={"kernel": evil}),
        seconds={evil: 1.0},
    )
    page = Page(report_html(changed, identifiers={"PatientName": evil}))
    assert not page.all("script")
    assert not page.all("img")
    assert "alert(1)" in page.words  # shown as text
    allowed = {"oninput"}
    assert {name for _, a in page.elements for name in a if name.startswith("on")} <= allowed


def test_the_report_names_the_patient_only_when_asked(result):
    without = report_html(result)
    for secret in ("Doe", "Jane", "778899", "/home"):
        assert secret not in without
    assert "ID-778899" in report_html(result, identifiers=result.scan.identity)


def test_a_phantom_is_compared_with_its_truth(result):
    truth = Truth(result.levels.moved(1, result.levels[1].mm + 4), tuple((10.0, 8.0, 5.5) for _ in range(5)))
    words = Page(report_html(result, truth=truth)).words
    assert "synthetic phantom" in words
    assert "−4.0 mm" in words
    assert "10.0 %, 55.0 % +45.0" in words
    assert "phantom" not in Page(report_html(result)).words


def test_a_result_read_back_from_its_file_still_gives_a_report(result, tmp_path):
    write_json(result, tmp_path / "scores.json")
    page = Page(report_html(read_json(tmp_path / "scores.json")))
    assert "patient_017" in page.words
    assert not page.all("image")
    assert [a for a in page.all("svg") if a.get("class") == "plot"]


def test_plain_results_make_a_plain_report(result):
    page = Page(report_html(replace(result, heat_maps=(), explanations=(), profile=None, thresholds=None, findings=())))
    assert len([a for a in page.all("svg") if a.get("class") == "ct"]) == 2 + 5
    assert not page.all("input")
    assert "(heat map" not in page.words


def test_the_report_is_written_whole_and_small(result, tmp_path):
    path = write_report(result, tmp_path / "deep" / "report.html")
    assert path.stat().st_size < 6_000_000
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


# ---- profile plot --------------------------------------------------------------------------------------------------


def test_the_profile_runs_from_head_to_base_with_the_levels_in_place(result):
    plot = profile_plot(result)
    tot = [tuple(map(float, p.split(","))) for p in plot.curves[0].points.split()]
    by_slice = dict(zip(result.profile.slice_indices, tot, strict=True))
    assert by_slice[36][0] == plot.left
    assert by_slice[4][0] == plot.right
    for (x, name, _), k, position in zip(plot.levels, result.slice_indices, result.levels, strict=True):
        assert x == pytest.approx(by_slice[k][0], abs=0.2)
        assert name == position.level.name
    top, bottom = plot.top, plot.bottom
    for k, (_, y) in by_slice.items():
        assert y == pytest.approx(bottom - (80 - k) / 100 * (bottom - top), abs=0.1)
