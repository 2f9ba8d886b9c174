"""The result table and the profile plot: what they say, how they change, and that saving keeps them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest_plugins = ["scene_fixtures"]
pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")

import slicer  # noqa: E402
import slicer.util  # noqa: E402
import vtk  # noqa: E402

from arranged_scans import scan_of  # noqa: E402
from scene_files_on_disk import saved_and_loaded  # noqa: E402
from SScILDScoringLib.heatmaps import HeatMaps  # noqa: E402
from SScILDScoringLib.levels import Level, LevelPosition, Levels  # noqa: E402
from SScILDScoringLib.report.colours import PATTERN_COLOURS  # noqa: E402
from SScILDScoringLib.results import ScanFacts, ScanResult  # noqa: E402
from SScILDScoringLib.scene.tables import updateProfile, updateResultTable  # noqa: E402
from SScILDScoringLib.scores import PATTERNS, LungProfile, SliceScores  # noqa: E402

RAW = ((0.4, 0.0, 1.0), (12.5, 7.0, 6.0), (22.0, 18.0, 8.0), (41.25, 30.0, 12.0), (103.0, 55.0, -3.0))


@pytest.fixture
def result() -> ScanResult:
    """Five levels of a scan whose file counts its slices from the head; sources and spreads of every kind."""
    scan = scan_of("flipped_k")
    indices = (8, 6, 4, 3, 1)
    sources = (("l_net", 1.25), ("anatomy", None), ("l_net", 0.5), ("given", None), ("manual", None))
    levels = Levels(
        tuple(
            LevelPosition(level, scan.mm_of_slice(k), *source)
            for level, k, source in zip(Level, indices, sources, strict=True)
        ),
        False,
    )
    scores = tuple(SliceScores(raw) for raw in RAW)
    return ScanResult(
        case="case_7",
        levels=levels,
        slice_indices=indices,
        file_slice_indices=tuple(scan.file_slice(k) for k in indices),
        scores=scores,
        facts=ScanFacts.of(scan),
        profile=LungProfile(
            (2, 3, 5), (6, 5, 3), (125.75, 129.75, 137.75), (900.0, 1000.5, 40.0), (scores[4], scores[3], scores[0])
        ),
        scan=scan,
    )


def with_heat_maps(result: ScanResult) -> ScanResult:
    """The result with maps whose first columns are below the threshold: 25, 50 and 75 % of the lung."""
    lung = np.ones(result.scan.shape[1:], bool)
    maps = np.zeros((3, *lung.shape), np.float32)
    for n in range(3):
        maps[n, :, : (n + 1) * lung.shape[1] // 4] = -3
    heat_maps = tuple(HeatMaps(maps, lung, lung, s) for s in result.scores)
    return replace(result, heat_maps=heat_maps, thresholds={"tot": -1.0, "gg": -2.0, "ret": -0.5})


def rows_of(node) -> list[list[str]]:
    """The table as it is displayed."""
    table = node.GetTable()
    return [
        [table.GetValue(row, column).ToString() for column in range(table.GetNumberOfColumns())]
        for row in range(table.GetNumberOfRows())
    ]


def test_five_levels_and_the_patient_s_extent(scene, result):
    node = updateResultTable(scene, None, result)
    assert [node.GetColumnName(n) for n in range(node.GetNumberOfColumns())] == [
        *("Level", "Name", "Position", "Slice", "Source", "Spread"),
        *("TOT", "GG", "RET", "TOTRaw", "GGRaw", "RETRaw"),
    ]
    assert rows_of(node) == [
        ["L1", "origin of the great vessels", "117.8", "0", "network", "1.2", "0", "0", "0", "0.4", "0", "1"],
        ["L2", "main carina", "109.8", "2", "anatomy", "", "15", "5", "5", "12.5", "7", "6"],
        ["L3", "pulmonary venous confluence", "101.8", "4", "network", "0.5", "20", "20", "10", "22", "18", "8"],
        ["L4", "halfway between levels 3 and 5", "97.8", "5", "given", "", "40", "30", "10", "41.25", "30", "12"],
        ["L5", "1 cm above the right hemidiaphragm", "89.8", "7", "manual", "", "100", "55", "0", "103", "55", "-3"],
        ["Mean", "patient extent (Goh stage: extensive)", "", "", "", "", "35", "22", "5", "35.83", "22", "4.8"],
    ]


def test_scores_are_numbers_and_the_header_names_their_units(scene, result):
    node = updateResultTable(scene, None, result)
    assert slicer.util.arrayFromTableColumn(node, "GG").tolist() == [0, 5, 20, 30, 55, 22]
    assert node.GetUseColumnTitleAsColumnHeader()
    assert node.GetColumnTitle("TOTRaw") == "TOT raw"
    assert [node.GetColumnUnitLabel(n) for n in ("Position", "Spread", "TOT", "RETRaw", "Level")] == [
        *("mm", "mm", "%", "%", "")
    ]
    for n in range(node.GetNumberOfColumns()):
        assert len(node.GetColumnDescription(node.GetColumnName(n))) > 10


def test_nobody_changes_a_score_in_the_table_by_accident(scene, result):
    assert updateResultTable(scene, None, result).GetLocked()


def test_heat_maps_with_thresholds_add_the_scores_that_follow_from_them(scene, result):
    node = updateResultTable(scene, None, with_heat_maps(result))
    derived = [slicer.util.arrayFromTableColumn(node, f"{p.name}Derived").tolist() for p in PATTERNS]
    assert derived == [[25.0] * 6, [50.0] * 6, [75.0] * 6]
    assert "below -2 percentage points" in node.GetColumnDescription("GGDerived")
    updateResultTable(scene, node, result)
    assert node.GetColumnIndex("TOTDerived") == -1


def test_an_update_changes_the_same_node_once(scene, result):
    node = updateResultTable(scene, None, result)
    events = []
    node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *unused: events.append(rows_of(node)))
    scores = (*result.scores[:2], SliceScores((77.0, 3.0, 3.0)), *result.scores[3:])
    levels = result.levels.moved(3, result.levels[3].mm + 2)
    changed = replace(with_heat_maps(result), scores=scores, levels=levels)
    assert updateResultTable(scene, node, changed) is node
    assert len(events) == 1  # whoever shows the table never sees it half filled
    assert events[0] == rows_of(node)
    assert rows_of(node)[2][2:9] == ["103.8", "4", "manual", "", "75", "5", "5"]
    assert node.GetColumnUnitLabel("TOTDerived") == "%"
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1


def test_the_table_is_the_same_after_saving_and_loading(scene, result, tmp_path):
    before = updateResultTable(scene, None, with_heat_maps(result))
    rows, columns = rows_of(before), before.GetNumberOfColumns()
    described = [
        (before.GetColumnTitle(n), before.GetColumnUnitLabel(n), before.GetColumnDescription(n))
        for n in (before.GetColumnName(c) for c in range(columns))
    ]
    saved_and_loaded(scene, tmp_path)
    node = slicer.util.getNode("case_7 scores")
    assert rows_of(node) == rows
    assert slicer.util.arrayFromTableColumn(node, "TOT").dtype == float
    assert [
        (node.GetColumnTitle(n), node.GetColumnUnitLabel(n), node.GetColumnDescription(n))
        for n in (node.GetColumnName(c) for c in range(columns))
    ] == described
    assert node.GetLocked()
    assert node.GetUseColumnTitleAsColumnHeader()
    updateResultTable(scene, node, result)
    assert rows_of(node)[4][6] == "100"


# ---- profile -------------------------------------------------------------------------------------------------------


def test_the_profile_is_three_curves_over_the_height_in_the_patient(scene, result):
    nodes = updateProfile(scene, result.profile)
    assert set(nodes) == {"table", "tot", "gg", "ret", "chart"}
    columns = {n: slicer.util.arrayFromTableColumn(nodes["table"], n).tolist() for n in ("Position", "TOT", "RET")}
    assert columns == {"Position": [125.75, 129.75, 137.75], "TOT": [100, 41.25, 0.4], "RET": [0, 12, 1]}
    for pattern in PATTERNS:
        series = nodes[pattern.value]
        assert series.GetTableNode() is nodes["table"]
        assert (series.GetXColumnName(), series.GetYColumnName()) == ("Position", pattern.name)
        assert series.GetName() == pattern.name
        colour = "#" + "".join(f"{round(255 * c):02x}" for c in series.GetColor())
        assert colour == PATTERN_COLOURS[pattern]
    assert len({nodes[p.value].GetLineStyle() for p in PATTERNS}) == 3  # to be told apart without colours, too
    chart = nodes["chart"]
    ids = [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert ids == [nodes[p.value].GetID() for p in PATTERNS]
    assert "mm" in chart.GetXAxisTitle()
    assert "%" in chart.GetYAxisTitle()
    assert chart.GetTitle()
    assert tuple(chart.GetYAxisRange()) == (0, 100)


def test_another_profile_goes_into_the_same_nodes(scene, result):
    nodes = updateProfile(scene, result.profile)
    count = scene.GetNumberOfNodes()
    nodes["gg"].SetColor(0, 0, 0)  # the user's taste is left alone
    shorter = LungProfile((4,), (4,), (133.75,), (10.0,), result.scores[1:2])
    assert updateProfile(scene, shorter, nodes) == nodes
    assert scene.GetNumberOfNodes() == count
    assert slicer.util.arrayFromTableColumn(nodes["table"], "GG").tolist() == [7.0]
    assert nodes["gg"].GetColor() == (0, 0, 0)


def test_a_node_that_was_deleted_is_made_again(scene, result):
    nodes = updateProfile(scene, result.profile)
    scene.RemoveNode(nodes["gg"])
    scene.RemoveNode(nodes["table"])
    again = updateProfile(scene, result.profile, {**nodes, "gg": None, "table": None})
    chart = again["chart"]
    ids = [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert sorted(ids) == sorted(again[p.value].GetID() for p in PATTERNS)
    assert all(again[p.value].GetTableNode() is again["table"] for p in PATTERNS)


def test_the_profile_is_the_same_after_saving_and_loading(scene, result, tmp_path):
    updateProfile(scene, result.profile)
    saved_and_loaded(scene, tmp_path)
    (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert [s.GetName() for s in series] == ["TOT", "GG", "RET"]
    for s in series:
        values = slicer.util.arrayFromTableColumn(s.GetTableNode(), s.GetYColumnName())
        assert len(values) == 3
        assert values.dtype == float
    nodes = {"chart": chart, "table": series[0].GetTableNode()} | {s.GetYColumnName().lower(): s for s in series}
    assert updateProfile(scene, result.profile, nodes) == nodes
