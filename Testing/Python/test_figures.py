"""The figures of an agreement: what is drawn, at which size, and that the same data give the same file."""

from __future__ import annotations

import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.report.colours import PATTERN_COLOURS
from SScILDScoringLib.scores import PATTERNS, Pattern, rounded
from SScILDScoringTrainingLib.agreement import figures, measures
from SScILDScoringTrainingLib.agreement.figures import style
from SScILDScoringTrainingLib.agreement.goh import stage_agreement
from SScILDScoringTrainingLib.agreement.rows import Settings, agreement_rows
from SScILDScoringTrainingLib.agreement.tables import LevelTable, ScoreTable, align

LEVEL = np.tile(np.arange(1, 6), 40)
CASE = np.repeat([f"p{n:02d}" for n in range(40)], 5)


def scores(seed: int, noise: float = 6.0) -> np.ndarray:
    """200 slices on the 5 % grid, half of them 0, ``(200, 3)``: the same patients for every seed."""
    patients = np.random.default_rng(0)
    truth = np.where(patients.random(200) < 0.5, 0, patients.gamma(1.2, 25, 200))[:, None] * [1, 0.6, 0.6]
    heard = np.random.default_rng(seed).normal(0, noise, truth.shape)
    return rounded(truth + np.where(truth > 0, heard, 0))


def pairs(missing: int = 0) -> dict:
    first, second = scores(1).astype(float), scores(2).astype(float)
    second[:missing] = np.nan
    return {pattern: (first[:, n], second[:, n]) for n, pattern in enumerate(PATTERNS)}


ONE = {Pattern.TOT: pairs()[Pattern.TOT]}
X, Y = ONE[Pattern.TOT]
LIKERT = {
    "Expert A": {Pattern.TOT: (2, 3, 7, 40, 106), Pattern.GG: (1, 3, 5, 50, 98)},
    "Expert B": {Pattern.TOT: (5, 8, 12, 60, 73), Pattern.GG: (0, 0, 0, 0, 0)},
}
FOREST = [
    figures.ForestRow("TOT", "A vs. reference", {"kappa": (0.66, 0.61, 0.71), "icc": (0.83, 0.79, 0.86)}, "n = 200"),
    figures.ForestRow("TOT", "B vs. reference", {"kappa": (np.nan, np.nan, np.nan), "icc": (0.7, np.nan, np.nan)}),
    figures.ForestRow("GG", "A vs. reference", {"kappa": (-0.1, -0.3, 0.1), "icc": (0.997, 0.996, 0.998)}),
]
NETWORKS = [
    figures.Architecture("ConvNeXt-Tiny", {Pattern.TOT: (5.9, 5.4, 6.4), Pattern.GG: (4.7, 4.2, 5.2)}, 27.8),
    figures.Architecture(
        "VGG11", {Pattern.TOT: (6.8, 6.3, 7.4), Pattern.GG: (4.8, 4.3, 5.3)}, 36.0, {Pattern.TOT: 0.01, Pattern.GG: 0.7}
    ),
]
TRIED = np.linspace(-4, 0, 41)
MM = (np.repeat([-76.0, -113.0, -152.0, -162.0, -172.0], 8), np.repeat([-75.0, -115.0, -150.0, -165.0, -171.0], 8))
GROUPS = np.repeat(np.arange(1, 6), 8)

EVERY = {
    "bland_altman": lambda: figures.bland_altman(pairs(3), names=("Consensus", "L&S-Net")),
    "bland_altman_one": lambda: figures.bland_altman(ONE),
    "bland_altman_mm": lambda: figures.bland_altman(
        {"Levels": MM},
        unit="mm",
        groups={"Levels": GROUPS},
        group_names={n: f"L{n}" for n in range(1, 6)},
        what="levels",
    ),
    "correlation": lambda: figures.correlation(pairs(), names=("a reader with quite a long name", "another $one$_")),
    "correlation_one": lambda: figures.correlation(ONE),
    "scatter": lambda: figures.score_scatter(pairs()),
    "scatter_one": lambda: figures.score_scatter(ONE),
    "box_plots": lambda: figures.box_plots(
        {p: {"A": (y - x, LEVEL), "B": (x - y, LEVEL)} for p, (x, y) in pairs(4).items()}
    ),
    "box_plots_one": lambda: figures.box_plots({Pattern.TOT: {"A": (Y - X, LEVEL)}}, absolute=True),
    "confusion": lambda: figures.score_confusion(pairs()),
    "confusion_long": lambda: figures.score_confusion(pairs(), names=("a reader with quite a long name, T1",) * 2),
    "confusion_one": lambda: figures.score_confusion(ONE),
    "stages": lambda: figures.stage_confusion([[20, 2, 0], [1, 9, 3], [0, 1, 4]]),
    "distributions": lambda: figures.distributions({Pattern.TOT: {"Consensus": X, "A": Y, "B": X}}),
    "forest": lambda: figures.forest(FOREST),
    "derived_scores": lambda: figures.derived_scores(pairs(), thresholds=dict.fromkeys(PATTERNS, -0.84)),
    "derived_scores_one": lambda: figures.derived_scores(ONE),
    "threshold_curve": lambda: figures.threshold_curve(
        TRIED, {p: 3 + abs(TRIED + n + 1) for n, p in enumerate(PATTERNS)}, n=30
    ),
    "likert_bars": lambda: figures.likert_bars(LIKERT),
    "likert_pies": lambda: figures.likert_pies(LIKERT),
    "architectures": lambda: figures.architectures(NETWORKS, n=900),
}


@pytest.fixture(params=EVERY, scope="module")
def figure(request):
    return EVERY[request.param]()


def texts(of) -> list[str]:
    """All texts of a figure or panel that are drawn."""
    return [t.get_text() for t in of.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text()]


def with_gid(of, gid: str) -> list:
    return of.findobj(lambda artist: artist.get_gid() == gid)


def circles(axes):
    """Positions ``(m, 2)`` and areas ``(m,)`` of a panel's circles."""
    drawn = [c for c in axes.collections if len(c.get_sizes())]
    return np.concatenate([np.asarray(c.get_offsets()) for c in drawn]), np.concatenate([c.get_sizes() for c in drawn])


# ---- what holds for every figure -------------------------------------------------------------------------------------


def test_every_figure_is_one_or_two_columns_wide_in_readable_letters(figure):
    assert figure.get_size_inches()[0] * 25.4 in (pytest.approx(85), pytest.approx(175))
    assert figure.get_size_inches()[1] * 25.4 < 230
    with style.look():
        sizes = [t.get_fontsize() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]
    assert min(sizes) >= 6


def test_no_text_of_a_figure_leaves_it(figure):
    with style.look():
        figure.draw_without_rendering()
        drawn = [t for t in figure.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text().strip()]
        outside = [
            t.get_text()
            for t in drawn
            for box in [t.get_window_extent()]
            if box.x0 < -1 or box.y0 < -1 or box.x1 > figure.bbox.width + 1 or box.y1 > figure.bbox.height + 1
            # matplotlib keeps ticks beyond the limits and does not draw them
            if not any(t in (*a.get_xticklabels(), *a.get_yticklabels()) for a in figure.axes)
        ]
    assert outside == []


def test_every_figure_states_n(figure):
    assert any("n = " in text for text in texts(figure))


def test_the_same_data_give_the_same_bytes(tmp_path):
    for number in (1, 2):
        figures.save(figures.bland_altman(pairs()), tmp_path / str(number), ("png", "pdf", "svg"))
    for ending in ("png", "pdf", "svg"):
        first, second = ((tmp_path / f"{number}.{ending}").read_bytes() for number in (1, 2))
        assert first == second
        assert b"2026" not in first[:400]


def test_a_figure_can_be_saved_twice_and_is_laid_out_as_before(tmp_path):
    figure = figures.correlation(ONE)
    figures.save(figure, tmp_path / "a", ("png",))
    figures.save(figure, tmp_path / "b", ("pdf", "png"))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_users_settings_neither_change_a_figure_nor_are_changed(tmp_path):
    figures.save(figures.correlation(ONE), tmp_path / "plain", ("png",))
    theirs = {"font.size": 20, "axes.facecolor": "black", "savefig.bbox": "tight", "figure.dpi": 40}
    with matplotlib.rc_context(theirs):
        before = dict(matplotlib.rcParams)
        figures.save(figures.correlation(ONE), tmp_path / "theirs", ("png",))
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "theirs.png").read_bytes()


def test_figures_need_neither_pyplot_nor_a_backend_and_importing_them_is_cheap():
    code = (
        "import sys; import SScILDScoringTrainingLib.agreement.figures as f\n"
        "assert not {'matplotlib', 'scipy', 'pandas', 'sklearn', 'torch'} & set(sys.modules), 'heavy import'\n"
        "f.likert_bars({'A': {'TOT': (1, 2, 3, 4, 5)}})\n"
        "import matplotlib; assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.get_backend(auto_select=False) is None"
    )
    path = {"PYTHONPATH": ":".join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_saving_makes_folders_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    figure = figures.likert_bars(LIKERT)
    written = figures.save(figure, tmp_path / "new" / "1.5 mm", ("png", "pdf"))
    assert [p.name for p in written] == ["1.5 mm.png", "1.5 mm.pdf"]
    assert sorted((tmp_path / "new").iterdir()) == sorted(written)

    def full(path, **_):
        path.write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", full)
    before = written[0].read_bytes()
    with pytest.raises(SettingsError, match="No space left"):
        figures.save(figure, tmp_path / "new" / "1.5 mm")
    assert written[0].read_bytes() == before
    assert sorted((tmp_path / "new").iterdir()) == sorted(written)


# Machado, Oliveira, Fernandes 2009, severity 1, for linear RGB.
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("blindness", [None, *BLINDNESS])
@pytest.mark.parametrize("palette", ["patterns", "raters", "levels", "likert"])
def test_colours_stay_apart_for_the_colour_blind(palette, blindness):
    from matplotlib.colors import to_rgb

    from SScILDScoringTrainingLib.agreement.figures.likert import COLOURS

    colours = {
        "patterns": PATTERN_COLOURS.values(),
        "raters": style.RATER_COLOURS[:3],
        "levels": style.LEVEL_COLOURS,
        "likert": COLOURS,
    }[palette]
    seen = np.array([lab(np.array(to_rgb(c)), BLINDNESS.get(blindness)) for c in colours])
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[np.triu_indices(len(seen), 1)]
    assert apart.min() > 10  # CIE76; 2.3 is just noticeable


@pytest.mark.parametrize("ground", ["white", *style.COUNT_COLOURS, "#80cdc1", "#a6611a"])
def test_numbers_on_coloured_cells_can_be_read(ground):
    from matplotlib.colors import to_rgb

    ink = style.ink_on(ground)
    dark, light = sorted(lab(np.array(to_rgb(c)), None)[0] for c in (ink, ground))
    assert light - dark > 35  # CIE lightness


def lab(rgb: np.ndarray, matrix) -> np.ndarray:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if matrix is not None:
        linear = np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1, 1.089], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


# ---- Bland-Altman, correlation, scatter ------------------------------------------------------------------------------


def test_bland_altman_draws_the_bias_and_its_limits_at_1_96_sd():
    axes = figures.bland_altman(ONE).axes[0]
    lines = {line.get_label(): line.get_ydata()[0] for line in axes.lines}
    difference = Y - X
    assert lines["bias"] == pytest.approx(difference.mean())
    assert lines["+1.96 SD"] == pytest.approx(difference.mean() + 1.96 * difference.std(ddof=1))
    assert lines["−1.96 SD"] == pytest.approx(difference.mean() - 1.96 * difference.std(ddof=1))
    assert with_gid(axes, "bias")[0].get_text() == style.signed(difference.mean())


def test_bland_altman_draws_the_difference_over_the_mean():
    places, areas = circles(figures.bland_altman(ONE).axes[0])
    drawn = {tuple(place) for place in places.round(3)}
    assert drawn == {tuple(v) for v in np.column_stack([(X + Y) / 2, Y - X]).round(3)}
    assert areas.sum() / areas.min() == pytest.approx(len(X))


def test_the_values_beside_narrow_limits_do_not_touch_each_other():
    x = np.tile([0.0, 50, 100], 10)
    wide = x + np.where(np.arange(30) == 0, 60, 0)
    panel = figures.bland_altman({"wide": (x, wide), "narrow": (x, x + np.tile([0, 0.1], 15))})
    panel.draw_without_rendering()
    labels = [with_gid(panel.axes[1], name)[0].get_window_extent() for name in ("−1.96 SD", "bias", "+1.96 SD")]
    assert labels[0].y1 <= labels[1].y0 + 1
    assert labels[1].y1 <= labels[2].y0 + 1


@pytest.mark.parametrize("draw", [figures.score_scatter, figures.correlation, figures.derived_scores])
def test_the_area_of_a_circle_is_its_multiplicity(draw):
    reference, answer = [0, 0, 0, 0, 10, 10, 50], [0, 0, 0, 0, 15, 15, 40]
    places, areas = circles(draw({Pattern.GG: (reference, answer)}).axes[0])
    by_place = {tuple(place): area for place, area in zip(places.tolist(), areas, strict=True)}
    single = by_place[(50, 40)]
    assert by_place[(0, 0)] == pytest.approx(4 * single)
    assert by_place[(10, 15)] == pytest.approx(2 * single)


def test_circles_have_one_scale_in_all_panels_and_the_legend_shows_it():
    many = {"a": ([0] * 200, [0] * 200), "b": ([5, 10], [5, 10])}
    drawn = figures.score_scatter(many)
    (_, first), (_, second) = (circles(axes) for axes in drawn.axes)
    assert first[0] / 200 == pytest.approx(second[0])
    handles = {
        t.get_text(): h for legend in drawn.legends for h, t in zip(legend.legend_handles, legend.texts, strict=True)
    }
    assert handles["1"].get_markersize() ** 2 == pytest.approx(second[0])
    assert handles["100 slices (area)"].get_markersize() ** 2 == pytest.approx(100 * second[0])


def test_correlation_draws_the_regression_line_and_its_equation():
    axes = figures.correlation(ONE).axes[0]
    expected = measures.regression_line(X, Y)
    line = next(line for line in axes.lines if line.get_label() == "regression")
    (x0, x1), (y0, y1) = line.get_xdata(), line.get_ydata()
    assert (x0, x1) == (X.min(), X.max())
    assert (y1 - y0) / (x1 - x0) == pytest.approx(expected.slope)
    assert y0 == pytest.approx(expected.slope * x0 + expected.intercept)
    assert f"r = {expected.r:.2f}" in with_gid(axes, "equation")[0].get_text()
    identity = next(line for line in axes.lines if line.get_label() == "identity")
    assert list(identity.get_xdata()) == list(identity.get_ydata()) == [0, 100]


def test_scores_are_drawn_on_the_same_square_axes():
    for axes in figures.score_scatter(pairs()).axes:
        assert axes.get_xlim() == axes.get_ylim() == style.GRID_LIMITS
        assert axes.get_aspect() == 1


def test_the_scatter_says_how_many_are_within_five_points():
    axes = figures.score_scatter({Pattern.TOT: ([0, 10, 20, 30], [0, 15, 30, 40])}).axes[0]
    assert with_gid(axes, "share")[0].get_text() == "50 % within ±5 percentage points"


def test_levels_have_colours_of_their_own_and_millimetres():
    drawn = EVERY["bland_altman_mm"]()
    assert {"L1", "L2", "L3", "L4", "L5"} <= set(texts(drawn))
    assert drawn.axes[0].get_ylabel() == "rater − reference (mm)"
    colours = {tuple(c.get_edgecolor()[0]) for c in drawn.axes[0].collections if len(c.get_sizes())}
    assert len(colours) == 5


# ---- confusion, boxes, distributions ---------------------------------------------------------------------------------


def test_the_confusion_matrix_counts_every_pair_once_with_the_reference_in_rows():
    matrix = figures.score_matrix([0, 0, 100, np.nan], [0, 5, 95, 0])
    assert matrix.shape == (21, 21)
    assert matrix.sum() == 3
    assert matrix[0, 0] == matrix[0, 1] == matrix[20, 19] == 1
    np.testing.assert_array_equal(
        figures.score_matrix(X, Y).sum(axis=1), np.bincount((X / 5).astype(int), minlength=21)
    )


def test_the_confusion_figure_shows_its_matrix_and_writes_its_counts():
    axes = figures.score_confusion(ONE).axes[0]
    matrix = figures.score_matrix(X, Y)
    np.testing.assert_array_equal(axes.images[0].get_array().filled(0), matrix)
    written = {t.get_position(): int(t.get_text()) for t in with_gid(axes, "count")}
    assert sum(written.values()) == 200
    assert all(matrix[row, column] == count for (column, row), count in written.items())


def test_the_stage_figure_writes_every_count_and_n():
    axes = EVERY["stages"]().axes[0]
    counts = {t.get_position(): int(t.get_text()) for t in with_gid(axes, "count")}
    assert len(counts) == 9
    assert counts[(2, 1)] == 3  # row 1: indeterminate for the reference; column 2: extensive for the rater
    assert "n = 40" in axes.get_title(loc="left")


def test_boxes_hold_the_middle_half_and_whiskers_the_middle_95_percent():
    values = np.arange(-100, 101, dtype=float)
    drawn = figures.box_plots({Pattern.TOT: {"A": (values, np.ones(201, int))}}).axes[0]
    box = drawn.patches[0].get_path().vertices
    assert (box[:, 1].min(), box[:, 1].max()) == (-50, 50)
    assert {-95.0, 95.0} <= {float(y) for line in drawn.lines for y in line.get_ydata()}
    places, _ = circles(drawn)
    assert {abs(y) for _, y in places} == {96, 97, 98, 99, 100}
    assert with_gid(drawn, "mean")[0].get_ydata()[0] == 0


def test_boxes_stand_at_their_level_with_its_n_and_missing_ones_are_named():
    values = np.where(np.arange(200) < 3, np.nan, 5.0)
    drawn = figures.box_plots({Pattern.RET: {"A": (values, LEVEL), "B": (values, LEVEL)}})
    labels = [t.get_text() for t in drawn.axes[0].get_xticklabels()]
    assert labels == ["L1\nn = 39", "L2\nn = 39", "L3\nn = 39", "L4\nn = 40", "L5\nn = 40", "pooled\nn = 197"]
    assert "6 missing" in drawn.axes[0].get_title(loc="left")
    middles = sorted(m.get_xdata()[0] for m in with_gid(drawn.axes[0], "mean"))
    assert np.round(middles).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_a_distribution_shows_shares_that_sum_to_100():
    assert figures.category_shares([0, 0, 5, 100, np.nan]).sum() == pytest.approx(100)
    assert figures.category_shares([0, 0, 5, 100, np.nan])[[0, 1, 20]].tolist() == [50, 25, 25]
    assert not figures.category_shares([]).any()
    drawn = figures.distributions({Pattern.TOT: {"Consensus": X, "A": Y}})
    zero, rest = drawn.axes
    bars = [p.get_height() for p in (*zero.patches, *rest.patches)]
    assert sum(bars) == pytest.approx(100)
    marks = np.concatenate([zero.lines[0].get_ydata(), rest.lines[0].get_ydata()])
    np.testing.assert_allclose(marks, figures.category_shares(Y))


# ---- forest, architectures -------------------------------------------------------------------------------------------


def test_the_forest_draws_estimates_and_intervals_and_writes_them():
    kappa, icc = figures.forest(FOREST).axes
    assert [p.get_xdata()[0] for p in with_gid(kappa, "estimate")] == [0.66, -0.1]
    assert [list(i.get_xdata()) for i in with_gid(kappa, "interval")] == [[0.61, 0.71], [-0.3, 0.1]]
    numbers = [t.get_text() for t in with_gid(kappa, "numbers")]
    assert numbers == ["0.66 (0.61 to 0.71)", "not defined", "−0.10 (−0.30 to 0.10)"]
    assert [t.get_text() for t in with_gid(icc, "numbers")] == ["0.83 (0.79 to 0.86)", "0.70", "0.997 (0.996 to 0.998)"]
    assert kappa.get_xlim() == icc.get_xlim()
    assert kappa.get_xlim()[0] < -0.3
    assert "A vs. reference  (n = 200)" in texts(kappa)


def test_rows_of_a_comparison_become_a_forest():
    aligned = align(ScoreTable("Ref", "", CASE, LEVEL, scores(1)), ScoreTable("A", "T1", CASE, LEVEL, scores(2)))
    rows = figures.rows_of(agreement_rows("reference", aligned, Settings(samples=20)))
    assert [(row.group, row.label, row.note) for row in rows] == [
        (name, "A T1 vs. Ref", "n = 200") for name in ("TOT", "GG", "RET")
    ]
    value, low, high = rows[0].estimates["kappa"]
    assert low <= value <= high
    assert value == pytest.approx(measures.weighted_kappa(X, Y))


def test_architectures_are_compared_with_the_first():
    drawn = figures.architectures(NETWORKS, n=900)
    tot, gg = drawn.axes
    assert [p.get_xdata()[0] for p in with_gid(tot, "estimate")] == [5.9, 6.8]
    assert len(with_gid(tot, "significant")) == 1
    assert not with_gid(gg, "significant")
    assert "n = 900 slices; * p < 0.05 against ConvNeXt-Tiny" in texts(drawn)
    assert [t.get_text() for t in tot.get_yticklabels()] == ["ConvNeXt-Tiny (27.8 M)", "VGG11 (36.0 M)"]


# ---- heat maps, Likert -----------------------------------------------------------------------------------------------


def test_derived_scores_state_r2_and_the_threshold():
    axes = figures.derived_scores(ONE, thresholds={Pattern.TOT: -0.84}).axes[0]
    r2 = measures.regression_line(X, Y).r ** 2
    assert with_gid(axes, "r2")[0].get_text() == f"R² = {r2:.2f}\nt = −0.84"


def test_the_threshold_curve_marks_the_smallest_error():
    axes = figures.threshold_curve(TRIED, {Pattern.TOT: 3 + abs(TRIED + 1)}).axes[0]
    (mark,) = with_gid(axes, "chosen")
    assert mark.get_xdata()[0] == pytest.approx(-1)
    assert mark.get_ydata()[0] == pytest.approx(3)
    assert axes.get_ylim()[0] == 0


def test_likert_bars_fill_100_percent_and_state_the_agreement():
    axes = figures.likert_bars(LIKERT).axes[0]
    widths: dict[float, float] = {}
    for bar in axes.patches:
        widths[bar.get_y()] = widths.get(bar.get_y(), 0) + bar.get_width()
    assert sorted(round(w, 6) for w in widths.values()) == [0, 100, 100, 100]
    assert with_gid(axes, "agreement")[0].get_text() == "92.4 %"
    assert with_gid(axes, "agreement")[3].get_text() == "not rated"


def test_likert_pies_open_by_their_share_and_no_two_shares_overlap():
    drawn = figures.likert_pies(LIKERT)
    first = drawn.axes[0]
    angles = [w.theta2 - w.theta1 for w in first.patches]
    np.testing.assert_allclose(angles, 360 * np.array([2, 3, 7, 40, 106]) / 158, atol=1e-3)
    with style.look():
        drawn.draw_without_rendering()
        boxes = [t.get_window_extent() for t in with_gid(first, "share")]
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[n + 1 :])
    assert "not rated" in texts(drawn.axes[3])


# ---- data that are hardly any ----------------------------------------------------------------------------------------

DEGENERATE = {
    "constant": (np.full(6, 10.0), np.full(6, 10.0)),
    "constant reference": (np.full(4, 10.0), np.array([0.0, 5, 10, 15])),
    "one point": (np.array([20.0]), np.array([35.0])),
    "nothing": (np.array([]), np.array([])),
    "all missing": (np.array([np.nan, 5.0]), np.array([5.0, np.nan])),
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize(
    "draw",
    [
        figures.bland_altman,
        figures.correlation,
        figures.score_scatter,
        figures.score_confusion,
        figures.derived_scores,
        lambda of: figures.box_plots({k: {"A": (y - x, np.ones(len(x)))} for k, (x, y) in of.items()}),
        lambda of: figures.distributions({k: {"reference": x, "A": y} for k, (x, y) in of.items()}),
    ],
)
def test_degenerate_data_are_drawn_without_a_warning(name, draw):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw({Pattern.TOT: DEGENERATE[name]}).draw_without_rendering()


def test_what_cannot_be_computed_is_said():
    assert "no regression" in with_gid(figures.correlation({"a": DEGENERATE["constant"]}), "equation")[0].get_text()
    assert "no pairs" in texts(figures.bland_altman({"a": DEGENERATE["nothing"]}))
    one = figures.bland_altman({"a": DEGENERATE["one point"]}).axes[0]
    assert [line.get_label() for line in one.lines if "SD" in line.get_label() or line.get_label() == "bias"] == [
        "bias"
    ]


def test_missing_values_are_named_not_drawn():
    axes = figures.score_scatter(pairs(missing=3)).axes[0]
    assert axes.get_title(loc="left") == "TOT (n = 197, 3 missing)"
    _, areas = circles(axes)
    assert areas.sum() / areas.min() == pytest.approx(197, rel=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: figures.bland_altman({}),
        lambda: figures.box_plots({}),
        lambda: figures.box_plots({"a": {"A": ([1, 2], [1])}}),
        lambda: figures.distributions({}),
        lambda: figures.forest([]),
        lambda: figures.architectures([]),
        lambda: figures.threshold_curve([], {}),
        lambda: figures.threshold_curve([1, 2], {"a": [1]}),
        lambda: figures.likert_bars({}),
        lambda: figures.likert_pies({}),
        lambda: figures.likert_bars({"A": {"TOT": (1, 2, 3)}}),
        lambda: figures.stage_confusion([[1, 2], [3, 4]]),
    ],
)
def test_figures_refuse_what_they_cannot_draw(wrong):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        wrong()


# ---- the set of one comparison ---------------------------------------------------------------------------------------


def test_one_comparison_gives_its_set_of_figures(tmp_path):
    reference = ScoreTable("Consensus", "", CASE, LEVEL, scores(1))
    first = align(reference, ScoreTable("L&S-Net", "", CASE[:-2], LEVEL[:-2], scores(2)[:-2]))
    second = align(reference, ScoreTable("A/B", "T1", CASE, LEVEL, scores(3)))
    settings = Settings(samples=0)
    told = []
    written = figures.draw_all(
        [first, second],
        tmp_path,
        rows=agreement_rows("reference", first, settings),
        stages=[stage_agreement("reference", first, settings)],
        formats=("png",),
        progress=lambda stage, share, message: told.append((stage, share)),
    )
    assert told[0] == ("figures", 0)
    assert told[-1] == ("figures", 1)
    one = [
        f"{kind}_{rater}_Consensus.png"
        for rater in ("L_S-Net", "A_B_T1")
        for kind in ("bland_altman", "confusion", "confusion_tot", "correlation", "scatter")
    ]
    together = ["box_plots_Consensus.png", "distributions_Consensus.png", "forest_reference.png"]
    assert sorted(p.name for p in written) == sorted([*one, *together, "goh_stage_L_S-Net_Consensus.png"])
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_raters_whose_names_look_alike_keep_files_of_their_own():
    from SScILDScoringTrainingLib.agreement.figures.sets import file_names

    names = file_names(["A/B", "A_B", "a b", "../..", "A/B", "Müller T1"])
    assert names == {"A/B": "A_B", "A_B": "A_B-2", "a b": "a_b-3", "../..": "rater", "Müller T1": "M_ller_T1"}


def test_rows_that_one_side_lacks_are_missing_in_the_figures():
    from SScILDScoringTrainingLib.agreement.figures.sets import score_pairs

    reference = ScoreTable("Consensus", "", CASE, LEVEL, scores(1))
    aligned = align(reference, ScoreTable("A", "", CASE[:-2], LEVEL[:-2], scores(2)[:-2]))
    axes = figures.score_scatter(score_pairs(aligned)).axes[0]
    assert axes.get_title(loc="left") == "TOT (n = 198, 2 missing)"


def test_levels_have_a_set_of_their_own(tmp_path):
    rng = np.random.default_rng(5)
    mm = np.tile([-110.0, -145, -190, -215, -240], 40) + rng.normal(0, 4, 200)
    manual = LevelTable("Manual", "", CASE, LEVEL, mm)
    aligned = align(manual, LevelTable("L-Net", "", CASE, LEVEL, mm + rng.normal(0, 3, 200)))
    rows = agreement_rows("reference", aligned, Settings(samples=0))
    written = figures.draw_all(aligned, tmp_path, rows=rows, formats=("svg",))
    assert sorted(p.name for p in written) == [
        "bland_altman_levels_L-Net_Manual.svg",
        "box_plots_levels_Manual.svg",
        "correlation_levels_L-Net_Manual.svg",
        "forest_levels_reference.svg",
    ]
