"""Draws a plot chart node off screen with VTK's charts, as Slicer's plot view does (it shows a vtkChartXY, too).

Not Slicer's own view, which is Qt; read from the node are series, columns, colours, lines, markers, titles, axes and
the legend.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

FONT_SIZE = 13


def renderChart(chart, size=(760, 420)) -> np.ndarray:
    """The picture of a ``vtkMRMLPlotChartNode``: uint8 RGB, shape (height, width, 3), first row on top."""
    view = vtk.vtkContextView()
    window = view.GetRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(4)
    window.SetSize(*size)
    view.GetRenderer().SetBackground(1, 1, 1)
    drawn = vtk.vtkChartXY()
    view.GetScene().AddItem(drawn)
    drawn.SetTitle(chart.GetTitle() or "")
    drawn.GetTitleProperties().SetFontSize(FONT_SIZE + 2)
    drawn.SetShowLegend(bool(chart.GetLegendVisibility()))
    drawn.GetLegend().SetLabelSize(FONT_SIZE - 1)
    for axis, title in ((vtk.vtkAxis.BOTTOM, chart.GetXAxisTitle()), (vtk.vtkAxis.LEFT, chart.GetYAxisTitle())):
        drawn.GetAxis(axis).SetTitle(title or "")
        drawn.GetAxis(axis).GetTitleProperties().SetFontSize(FONT_SIZE)
        drawn.GetAxis(axis).GetLabelProperties().SetFontSize(FONT_SIZE - 1)
        drawn.GetAxis(axis).GetGridPen().SetColor(225, 228, 232)
    drawn.GetAxis(vtk.vtkAxis.LEFT).SetLogScale(bool(chart.GetYAxisLogScale()))
    for number in range(chart.GetNumberOfPlotSeriesNodes()):
        _addSeries(drawn, chart.GetNthPlotSeriesNode(number))
    ranges = {vtk.vtkAxis.BOTTOM: (chart.GetXAxisRangeAuto(), chart.GetXAxisRange())}
    ranges[vtk.vtkAxis.LEFT] = (chart.GetYAxisRangeAuto(), chart.GetYAxisRange())
    for axis, (automatic, limits) in ranges.items():
        if not automatic:
            drawn.GetAxis(axis).SetBehavior(vtk.vtkAxis.FIXED)
            drawn.GetAxis(axis).SetRange(*limits)
    drawn.RecalculateBounds()
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    picture = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()
    window.Finalize()
    return picture


def _addSeries(drawn, series) -> None:
    kinds = slicer.vtkMRMLPlotSeriesNode
    table = series.GetTableNode().GetTable()
    columns = (series.GetXColumnName(), series.GetYColumnName())
    line = vtk.vtkPlotLine()
    line.SetInputData(table, *columns)
    line.SetLabel(series.GetName())
    line.SetColorF(*series.GetColor())
    line.SetWidth(series.GetLineWidth())
    line.GetPen().SetLineType(
        {
            kinds.LineStyleNone: vtk.vtkPen.NO_PEN,
            kinds.LineStyleSolid: vtk.vtkPen.SOLID_LINE,
            kinds.LineStyleDash: vtk.vtkPen.DASH_LINE,
            kinds.LineStyleDot: vtk.vtkPen.DOT_LINE,
        }[series.GetLineStyle()]
    )
    line.SetMarkerStyle(
        {
            kinds.MarkerStyleNone: vtk.vtkPlotPoints.NONE,
            kinds.MarkerStyleCircle: vtk.vtkPlotPoints.CIRCLE,
            kinds.MarkerStyleSquare: vtk.vtkPlotPoints.SQUARE,
            kinds.MarkerStyleDiamond: vtk.vtkPlotPoints.DIAMOND,
        }[series.GetMarkerStyle()]
    )
    line.SetMarkerSize(series.GetMarkerSize())
    drawn.AddPlot(line)
