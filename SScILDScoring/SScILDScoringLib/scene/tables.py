"""The result table of a case, and the scores along the body as table, series and chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import slicer
import slicer.util
import vtk

from ..results import ScanResult
from ..scores import PATTERNS, LungProfile, Pattern

_SOURCES = {"l_net": "network", "anatomy": "anatomy", "manual": "manual", "given": "given"}


@dataclass(frozen=True)
class _Column:
    """One column: ``values`` are all texts, or all numbers."""

    name: str
    title: str
    values: Sequence[str | float]
    description: str
    unit: str = ""


# ---- result table --------------------------------------------------------------------------------------------------


def updateResultTable(scene, node, result: ScanResult) -> slicer.vtkMRMLTableNode:
    """The five levels, and the patient's extent in a sixth row.

    Scores are numbers; position, slice and spread are text, as the last row has none of them. Without heat maps and
    thresholds there are no derived scores.

    Args:
        scene: where the table goes.
        node: an earlier table that is to show this result, or None for a new one.
        result: the scored scan.

    Returns:
        The table node; locked, so that nobody changes a score in it by accident. Views redraw it once.
    """
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLTableNode", f"{result.case} scores")
    _fill(node, _resultColumns(result))
    return node


def _resultColumns(result: ScanResult) -> list[_Column]:
    rows = range(5)
    positions = result.levels.positions
    stage = result.stage.value
    columns = [
        _Column("Level", "Level", [*(p.level.name for p in positions), "Mean"], "Goh level, from the head downwards"),
        _Column(
            "Name",
            "Name",
            [*(p.level.title for p in positions), f"patient extent (Goh stage: {stage})"],
            "Anatomical landmark of the level",
        ),
        _Column("Position", "Position", [*(f"{p.mm:.1f}" for p in positions), ""], "RAS S of the level", "mm"),
        _Column(
            "Slice", "Slice", [*(str(k) for k in result.file_slice_indices), ""], "The file's own slice number, from 0"
        ),
        _Column("Source", "Source", [*(_SOURCES[p.source] for p in positions), ""], "Who placed the level"),
        _Column(
            "Spread",
            "Spread",
            [*("" if p.spread_mm is None else f"{p.spread_mm:.1f}" for p in positions), ""],
            "Standard deviation of the network's answers for the level",
            "mm",
        ),
    ]
    for n, pattern in enumerate(PATTERNS):
        values = [*(result.scores[i].reported[n] for i in rows), result.extent[n]]
        text = f"{_titled(pattern)} in percent of the slice's lung area, to the nearest 5; below, the mean"
        columns.append(_Column(pattern.name, pattern.name, values, text, "%"))
    for n, pattern in enumerate(PATTERNS):
        text = f"{_titled(pattern)}: the network's own answer, neither limited nor rounded; below, the mean"
        values = _withMean([result.scores[i].raw[n] for i in rows])
        columns.append(_Column(f"{pattern.name}Raw", f"{pattern.name} raw", values, text, "%"))
    derived = result.derived_scores()
    for pattern in PATTERNS if derived else ():
        if pattern.value in result.thresholds:
            text = (
                f"{_titled(pattern)}: share of the slice's lung whose heat map is below "
                f"{result.thresholds[pattern.value]:g} percentage points; below, the mean"
            )
            values = _withMean([one[pattern.value] for one in derived])
            columns.append(_Column(f"{pattern.name}Derived", f"{pattern.name} from map", values, text, "%"))
    return columns


def _titled(pattern: Pattern) -> str:
    return pattern.title[0].upper() + pattern.title[1:]


def _withMean(values: Sequence[float]) -> list[float]:
    return [*values, sum(values) / len(values)]


# ---- profile -------------------------------------------------------------------------------------------------------

_DASHES = {Pattern.TOT: "LineStyleSolid", Pattern.GG: "LineStyleDash", Pattern.RET: "LineStyleDot"}


def updateProfile(scene, profile: LungProfile, nodes: Mapping[str, object] | None = None) -> dict[str, object]:
    """The scores of every slice as a plot: position along the body against TOT, GG and RET in percent.

    Args:
        scene: where the nodes go.
        profile: scores limited to 0..100 are drawn.
        nodes: earlier nodes by name, as returned; what is missing or None is made.

    Returns:
        The nodes ``table``, ``tot``, ``gg``, ``ret`` (series in the report's colours and dashes) and ``chart``.
    """
    from ..report.colours import PATTERN_COLOURS

    made = {name: node for name, node in (nodes or {}).items() if node is not None}
    table = made.get("table") or scene.AddNewNodeByClass("vtkMRMLTableNode", "Score profile")
    made["table"] = table
    _fill(table, _profileColumns(profile))
    for pattern in PATTERNS:
        if pattern.value in made:
            made[pattern.value].SetAndObserveTableNodeID(table.GetID())
            continue
        series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", pattern.name)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName("Position")
        series.SetYColumnName(pattern.name)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetLineStyle(getattr(slicer.vtkMRMLPlotSeriesNode, _DASHES[pattern]))
        series.SetLineWidth(2)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        series.SetColor(*(int(PATTERN_COLOURS[pattern][n : n + 2], 16) / 255 for n in (1, 3, 5)))
        made[pattern.value] = series
    if "chart" not in made:
        chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Score profile")
        chart.SetTitle("Disease along the lungs")
        chart.SetXAxisTitle("Position along the body, S (mm)")
        chart.SetYAxisTitle("Share of the slice's lung (%)")
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(0, 100)
        chart.SetLegendVisibility(True)
        made["chart"] = chart
    for pattern in PATTERNS:
        if not made["chart"].HasPlotSeriesNodeID(made[pattern.value].GetID()):
            made["chart"].AddAndObservePlotSeriesNodeID(made[pattern.value].GetID())
    return made


def _profileColumns(profile: LungProfile) -> list[_Column]:
    columns = [
        _Column("Position", "Position", profile.mm, "RAS S of the slice", "mm"),
        _Column("Slice", "Slice", profile.file_slice_indices, "The file's own slice number, from 0"),
        _Column("LungArea", "Lung area", profile.lung_area_mm2, "Area of both lungs in the slice", "mm²"),
    ]
    for n, pattern in enumerate(PATTERNS):
        text = f"{_titled(pattern)} in percent of the slice's lung area, limited to 0..100"
        columns.append(_Column(pattern.name, pattern.name, [s.clipped[n] for s in profile.scores], text, "%"))
    return columns


# ---- table nodes ---------------------------------------------------------------------------------------------------


def _fill(node, columns: Sequence[_Column]) -> None:
    """Makes ``columns`` all that a table node holds, as one change."""
    modifying = node.StartModify()
    node.RemoveAllColumns()
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    for column in columns:
        node.AddColumn(_array(column))
        node.SetColumnTitle(column.name, column.title)
        node.SetColumnDescription(column.name, column.description)
        if column.unit:
            node.SetColumnUnitLabel(column.name, column.unit)
    node.EndModify(modifying)


def _array(column: _Column):
    if isinstance(column.values[0], str):
        array = vtk.vtkStringArray()
        values = column.values
    else:
        array = vtk.vtkDoubleArray()
        values = [round(float(v), 2) for v in column.values]
    array.SetName(column.name)
    array.SetNumberOfValues(len(values))
    for row, value in enumerate(values):
        array.SetValue(row, value)
    return array
