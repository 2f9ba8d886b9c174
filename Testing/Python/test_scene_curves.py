"""Curves of a training run as Slicer plots: drawn in place while the run goes on, nothing left behind afterwards."""

from __future__ import annotations

import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

import slicer.util  # noqa: E402

from SScILDScoringTrainingLib.runs import Curves  # noqa: E402
from SScILDScoringTrainingLib.scene import curve_views  # noqa: E402
from SScILDScoringTrainingLib.scene.curve_plots import CURVES_ATTRIBUTE, CurvePlots, errorUnit  # noqa: E402


def scores(rows: int, validations: int) -> Curves:
    """An S-Net's curves: two kinds of slices, three patterns."""
    errors = [9.0, 7.0, 8.0, 7.5][:validations]
    train = {"step": [10.0 * (n + 1) for n in range(rows)], "loss": [1 / (n + 1) for n in range(rows)]}
    kinds = {f"{kind}_{p}": errors for kind in ("cohort", "synthetic") for p in ("tot", "gg", "ret")}
    return Curves(train, {"step": [50.0 * (n + 1) for n in range(validations)], "mae": errors, **kinds})


def levels(validations: int) -> Curves:
    errors = [30.0 - 4 * n for n in range(validations)]
    parts = {f"mae_{n}": [e + n for e in errors] for n in range(1, 6)}
    steps = [5.0 * (n + 1) for n in range(validations)]
    return Curves({"step": steps, "loss": errors, "mae_slices": errors}, {"step": steps, "mae": errors, **parts})


def ours(scene) -> list:
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    return [node for node in nodes if node.GetAttribute(CURVES_ATTRIBUTE)]


def drawn(chart) -> dict:
    """x and y of every series of a chart by its name, as a plot view reads them."""
    found = {}
    for n in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(n)
        columns = (series.GetXColumnName(), series.GetYColumnName())
        x, y = (slicer.util.arrayFromTableColumn(series.GetTableNode(), name).tolist() for name in columns)
        found[series.GetName()] = (x, y)
    return found


@pytest.fixture
def plots(scene):
    return CurvePlots(scene)


def test_loss_and_error_are_drawn_over_the_steps(plots):
    plots.show("s_net", scores(30, 3))
    loss = drawn(plots.lossChart)
    assert loss["Loss"][0][:2] == [10, 20]
    assert loss["Loss"][1][:2] == [1, 0.5]
    error = drawn(plots.validationChart)
    assert error["Mean error"] == ([50, 100, 150], [9, 7, 8])
    assert {"TOT", "GG", "RET"} < set(error)
    assert "s_net" in plots.lossChart.GetTitle()
    assert "percentage points" in plots.validationChart.GetYAxisTitle()


def test_the_best_validation_is_one_marked_point(plots):
    plots.show("s_net", scores(30, 4))
    x, y = drawn(plots.validationChart)["Best so far"]
    assert (set(x), set(y)) == ({100}, {7})


def test_both_charts_stand_over_the_same_steps_and_errors_start_at_zero(plots):
    plots.show("s_net", scores(30, 3))
    assert tuple(plots.lossChart.GetXAxisRange()) == tuple(plots.validationChart.GetXAxisRange()) == (0, 300)
    low, high = plots.validationChart.GetYAxisRange()
    assert low == 0
    assert high > 9


def test_levels_have_their_own_lines_in_millimetres(plots):
    plots.show("l_net", levels(3))
    error = drawn(plots.validationChart)
    assert error["L5"][1] == [35, 31, 27]
    assert "(mm)" in plots.validationChart.GetYAxisTitle()
    assert errorUnit(levels(1).validation) == "mm"


def test_the_smoothed_loss_follows_the_loss_and_starts_where_it_starts(plots):
    rows = 100
    noisy = [2 - n / 100 + (0.5 if n % 2 else -0.5) for n in range(rows)]
    plots.show("run", Curves({"step": list(range(rows)), "loss": noisy}))
    smooth = drawn(plots.lossChart)["Loss, smoothed"][1]
    assert smooth[0] == noisy[0]
    assert all(abs(s - (2 - n / 100)) < 0.25 for n, s in enumerate(smooth) if n > 10)


def test_new_rows_come_into_the_nodes_that_are_there(plots, scene):
    plots.show("s_net", scores(5, 1))
    before = {id(node) for node in ours(scene)}
    array = plots.lossChart.GetNthPlotSeriesNode(0).GetTableNode().GetTable().GetColumnByName("Loss")
    changes = []
    table = plots.lossChart.GetNthPlotSeriesNode(0).GetTableNode()
    table.AddObserver("ModifiedEvent", lambda *_: changes.append(1))
    assert plots.show("s_net", scores(6, 2))
    assert {id(node) for node in ours(scene)} == before
    assert array.GetNumberOfValues() == 6
    assert len(changes) == 1, "views draw once"
    assert len(drawn(plots.validationChart)["Mean error"][1]) == 2


def test_nothing_is_touched_when_nothing_is_new(plots, scene):
    plots.show("s_net", scores(5, 1))
    changes = []
    for node in ours(scene):
        node.AddObserver("ModifiedEvent", lambda caller, _event: changes.append(caller.GetName()))
    assert not plots.show("s_net", scores(5, 1))
    assert not changes


def test_another_run_leaves_nothing_of_the_former_one(plots, scene):
    others = scene.GetNumberOfNodes()
    plots.show("s_net", scores(20, 4))
    plots.show("l_net", levels(2))
    assert set(drawn(plots.validationChart)) == {"Mean error", "Best so far", "L1", "L2", "L3", "L4", "L5"}
    assert len(ours(scene)) == len(plots.nodes)
    for node in ours(scene):
        if node.IsA("vtkMRMLTableNode"):
            assert node.GetNumberOfRows() == 2
    plots.clear()
    assert scene.GetNumberOfNodes() == others


def test_before_the_first_row_there_is_no_chart(plots, scene):
    plots.show("new", Curves({"step": [], "loss": []}, {}))
    assert plots.lossChart is None
    assert not ours(scene)
    plots.show("new", scores(1, 0))
    assert drawn(plots.lossChart)["Loss"] == ([10], [1])
    assert plots.validationChart is None
    plots.show("newer", Curves())
    assert not ours(scene)


def test_rows_without_a_number_are_left_out(plots):
    nan = float("nan")
    plots.show("run", Curves({"step": [1, 2, 3], "loss": [1.0, nan, 3.0]}, {"step": [1, 2], "mae": [nan, 4.0]}))
    assert drawn(plots.lossChart)["Loss"] == ([1, 3], [1, 3])
    assert drawn(plots.validationChart)["Mean error"] == ([2], [4])


def test_a_node_that_was_deleted_is_made_again(plots, scene):
    plots.show("s_net", scores(5, 2))
    count = len(ours(scene))
    scene.RemoveNode(plots.lossChart)
    scene.RemoveNode(drawnSeries(plots, "GG"))
    plots.show("s_net", scores(5, 2))
    assert len(ours(scene)) == count
    assert set(drawn(plots.lossChart)) == {"Loss", "Loss, smoothed"}
    assert "GG" in drawn(plots.validationChart)


def drawnSeries(plots, name: str):
    chart = plots.validationChart
    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    return next(s for s in series if s.GetName() == name)


def test_after_the_scene_was_closed_the_curves_come_back(plots, scene):
    plots.show("s_net", scores(5, 2))
    scene.Clear(0)
    assert plots.lossChart is None
    plots.show("s_net", scores(5, 2))
    assert len(drawn(plots.lossChart)["Loss"][1]) == 5
    plots.clear()
    assert not ours(scene)


def test_a_logarithmic_axis_only_for_losses_above_zero(plots):
    plots.show("s_net", scores(5, 2), logarithmic=True)
    assert plots.lossChart.GetYAxisLogScale()
    plots.show("run", Curves({"step": [1, 2], "loss": [1.0, 0.0]}))
    assert not plots.lossChart.GetYAxisLogScale()
    plots.show("s_net", scores(5, 2), logarithmic=False)
    assert not plots.lossChart.GetYAxisLogScale()


def test_a_saved_scene_holds_no_curves(plots, application, tmp_path):
    from minimal_application import savedAndLoaded

    plots.show("s_net", scores(5, 2))
    with savedAndLoaded(application, tmp_path) as loaded:
        assert not ours(loaded.scene)


def test_the_layout_has_a_view_for_each_chart(plots, application, scene):
    curve_views.registerLayout(application.layoutNode)
    curve_views.registerLayout(application.layoutNode)
    application.layoutNode.SetViewArrangement(curve_views.LAYOUT_ID)
    views = [
        scene.GetSingletonNode(n, "vtkMRMLPlotViewNode") for n in (curve_views.LOSS_VIEW, curve_views.VALIDATION_VIEW)
    ]
    assert all(views)
    plots.show("s_net", scores(5, 2))
    curve_views.putIntoViews(scene, plots)
    assert [v.GetPlotChartNodeID() for v in views] == [plots.lossChart.GetID(), plots.validationChart.GetID()]
    plots.clear()
    curve_views.putIntoViews(scene, plots)
    assert not any(v.GetPlotChartNodeID() for v in views)
