"""The curves of a run as Slicer plots, brought up to date in place while the training goes on.

Two charts, as loss and error have different units: the loss of the training samples, and the error on the validation
cases with its best value marked. The nodes are a view of files in the run's folder, so they are not saved with the
scene; when another run is shown, or none, nothing of the former one is left.

>>> plots = CurvePlots(slicer.mrmlScene)                                     # doctest: +SKIP
>>> plots.show("s_net", read_curves("runs/s_net"))                          # doctest: +SKIP
>>> slicer.modules.plots.logic().ShowChartInLayout(plots.validationChart)   # doctest: +SKIP
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import slicer
import vtk

from SScILDScoringLib.scene.removal import removeNode

if TYPE_CHECKING:
    from ..runs import Curves

CURVES_ATTRIBUTE = "SScILDTraining.curves"
"""Set on every node made here."""

SMOOTHED_SHARE = 1 / 20
"""The smoothed loss is a running mean over about this share of the rows."""

HEADROOM = 1.25
"""The axis of errors ends so far above the largest, so that the legend hides none."""

_PATTERNS = ("tot", "gg", "ret")
_Columns = Mapping[str, Sequence[float]]

_LOSS, _SMOOTHED, _ERROR, _BEST = "Loss", "Loss, smoothed", "Mean error", "Best so far"
_STEPS = ("Step", "Best step")
_COLOURS = {
    _LOSS: (0.72, 0.76, 0.82),
    _SMOOTHED: (0.13, 0.37, 0.62),
    _ERROR: (0.10, 0.10, 0.12),
    _BEST: (0.80, 0.12, 0.14),
    # Patterns as in reports; levels after Okabe and Ito, darkened for a white ground.
    "TOT": (0.54, 0.36, 0.82),
    "GG": (0.06, 0.56, 0.66),
    "RET": (0.82, 0.45, 0.10),
    "L1": (0.80, 0.52, 0.00),
    "L2": (0.20, 0.58, 0.80),
    "L3": (0.00, 0.56, 0.42),
    "L4": (0.62, 0.56, 0.00),
    "L5": (0.76, 0.36, 0.58),
}


class CurvePlots:
    """Tables, series and charts of one run at a time.

    Args:
        scene: where the nodes go. A node that is deleted there is made again by the next :meth:`show`.
    """

    def __init__(self, scene) -> None:
        self.scene = scene
        self.logarithmic = False
        self._nodes: dict[str, object] = {}
        self._shown: dict[str, dict[str, list[float]]] = {}

    @property
    def lossChart(self):
        """The chart of the training loss; None before the first row."""
        return self._here("chart loss")

    @property
    def validationChart(self):
        """The chart of the validation error; None before the first validation."""
        return self._here("chart validation")

    @property
    def nodes(self) -> list:
        """Every node in the scene that is made here."""
        return [node for key in self._nodes if (node := self._here(key)) is not None]

    def show(self, title: str, curves: Curves, logarithmic: bool | None = None) -> bool:
        """Shows the curves of a run, in the nodes that are there; a chart without a row is not there.

        Args:
            title: the run's name. logarithmic: the loss on a logarithmic axis; None leaves it as it was.

        Returns:
            Whether anything changed.
        """
        self.logarithmic = self.logarithmic if logarithmic is None else logarithmic
        loss, error = _lossColumns(curves.train), _errorColumns(curves.validation)
        changed = self._draw("loss", loss)
        changed = self._draw("validation", error) or changed
        for key, words in (
            ("loss", ("training loss", "Loss")),
            ("validation", ("validation", f"Mean absolute error ({errorUnit(curves.validation)})")),
        ):
            chart = self._here(f"chart {key}")
            if chart is not None:
                chart.SetTitle(f"{title}: {words[0]}")
                chart.SetYAxisTitle(words[1])
        self._alignAxes()
        if self.lossChart is not None:
            positive = min(self._shown["loss"][_LOSS]) > 0
            self.lossChart.SetYAxisLogScale(self.logarithmic and positive)
        return changed

    def clear(self) -> None:
        """Takes every node out of the scene."""
        for key in list(self._nodes):
            self._remove(key)
        self._shown.clear()

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _alignAxes(self) -> None:
        """Both charts over the same steps, from the start; errors from zero, so that halves look like halves."""
        last = max((columns["Step"][-1] for columns in self._shown.values()), default=0.0)
        for chart in filter(None, (self.lossChart, self.validationChart)):
            chart.SetXAxisRangeAuto(False)
            chart.SetXAxisRange(0, last or 1)
        if self.validationChart is not None:
            drawn = (values for name, values in self._shown["validation"].items() if name not in _STEPS)
            self.validationChart.SetYAxisRangeAuto(False)
            self.validationChart.SetYAxisRange(0, HEADROOM * max(map(max, drawn)) or 1)

    def _draw(self, which: str, columns: dict[str, list[float]]) -> bool:
        """Brings a table, its series and its chart up to date; takes them away when there is no row."""
        keys = [key for key in self._nodes if key.split()[1] == which]
        if not columns:
            for key in keys:
                self._remove(key)
            return self._shown.pop(which, None) is not None
        whole = all(self._here(key) is not None for key in keys) and keys
        if whole and self._shown.get(which) == columns:
            return False
        table, chart = self._node("table", which), self._node("chart", which)
        modifying = chart.StartModify()
        _fill(table, columns)
        wanted = [name for name in columns if name not in _STEPS]
        for key in keys:
            if key.startswith("series") and key.split(maxsplit=2)[2] not in wanted:
                self._remove(key)
        for name in wanted:
            series = self._node("series", which, name)
            series.SetAndObserveTableNodeID(table.GetID())
            if not chart.HasPlotSeriesNodeID(series.GetID()):
                chart.AddAndObservePlotSeriesNodeID(series.GetID())
        chart.EndModify(modifying)
        self._shown[which] = columns
        return True

    def _here(self, key: str):
        """A node, unless somebody has taken it out of the scene."""
        node = self._nodes.get(key)
        return node if node is not None and node.GetScene() is self.scene else None

    def _node(self, *parts: str):
        key = " ".join(parts)
        node = self._here(key)
        if node is None:
            node = self._nodes[key] = _MAKERS[parts[0]](self.scene, *parts[1:])
            node.SetAttribute(CURVES_ATTRIBUTE, key)
            node.SetSaveWithScene(False)
        return node

    def _remove(self, key: str) -> None:
        node = self._here(key)
        self._nodes.pop(key)
        if node is not None:
            if key.startswith("series"):
                chart = self._here(f"chart {key.split()[1]}")
                if chart is not None:
                    chart.RemovePlotSeriesNodeID(node.GetID())
            removeNode(node)


def errorUnit(validation: _Columns) -> str:
    """In what a run's validation error is given: ``mm`` for levels, ``percentage points`` for scores."""
    return "mm" if any(name.startswith("mae_") for name in validation) else "percentage points"


# ---- columns ---------------------------------------------------------------------------------------------------------


def _lossColumns(train: _Columns) -> dict[str, list[float]]:
    rows = _rows(train, "loss")
    if not rows:
        return {}
    steps, losses = zip(*rows, strict=True)
    return {"Step": list(steps), _LOSS: list(losses), _SMOOTHED: _smoothed(losses)}


def _errorColumns(validation: _Columns) -> dict[str, list[float]]:
    """Step, error, its parts that are told apart, and the best error with its step in every row."""
    rows = _rows(validation, "mae")
    if not rows:
        return {}
    steps, errors = zip(*rows, strict=True)
    columns = {"Step": list(steps), _ERROR: list(errors)}
    for name, values in _parts(validation).items():
        if len(values) == len(rows) and all(map(math.isfinite, values)):
            columns[name] = list(values)
    best = min(range(len(rows)), key=errors.__getitem__)
    return columns | {"Best step": [steps[best]] * len(rows), _BEST: [errors[best]] * len(rows)}


def _parts(validation: _Columns) -> dict[str, list[float]]:
    """The error by level, or by pattern (the mean over the kinds of slices)."""
    parts = {f"L{n}": list(validation[f"mae_{n}"]) for n in range(1, 6) if f"mae_{n}" in validation}
    for pattern in _PATTERNS:
        kinds = [values for name, values in validation.items() if name == pattern or name.endswith(f"_{pattern}")]
        if kinds:
            parts[pattern.upper()] = [sum(row) / len(row) for row in zip(*kinds, strict=False)]
    return parts


def _rows(columns: _Columns, name: str) -> list[tuple[float, float]]:
    """Step and value of every row that has both."""
    pairs = zip(columns.get("step", ()), columns.get(name, ()), strict=False)
    return [(float(step), float(value)) for step, value in pairs if math.isfinite(step) and math.isfinite(value)]


def _smoothed(values: Sequence[float]) -> list[float]:
    """A running mean that forgets exponentially, without the pull of its start towards zero."""
    keep = 1 - 1 / max(1.0, SMOOTHED_SHARE * len(values))
    total = weight = 0.0
    result = []
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        result.append(total / weight)
    return result


# ---- nodes -----------------------------------------------------------------------------------------------------------


def _fill(node, columns: Mapping[str, Sequence[float]]) -> None:
    """Makes ``columns`` all that a table node holds, as one change; arrays that are there are kept."""
    modifying = node.StartModify()
    table = node.GetTable()
    if [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())] != list(columns):
        node.RemoveAllColumns()
        for name in columns:
            array = vtk.vtkDoubleArray()
            array.SetName(name)
            node.AddColumn(array)
    for name, values in columns.items():
        array = table.GetColumnByName(name)
        array.SetNumberOfValues(len(values))
        for row, value in enumerate(values):
            array.SetValue(row, value)
        array.Modified()
    table.Modified()
    node.Modified()
    node.EndModify(modifying)


def _table(scene, which: str):
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", f"Training {which}")
    node.SetLocked(True)
    return node


def _chart(scene, which: str):
    node = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", f"Training {which}")
    node.SetXAxisTitle("Step")
    node.SetLegendVisibility(True)
    return node


def _series(scene, which: str, name: str):
    kinds = slicer.vtkMRMLPlotSeriesNode
    node = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)
    node.SetName(name)  # what the legend says; a scene would make it unique
    node.SetPlotType(kinds.PlotTypeScatter)
    node.SetXColumnName("Best step" if name == _BEST else "Step")
    node.SetYColumnName(name)
    node.SetColor(*_COLOURS[name])
    main = name in (_SMOOTHED, _ERROR)
    node.SetLineWidth(3 if main else 1.5)
    node.SetLineStyle(kinds.LineStyleSolid if main or name == _LOSS else kinds.LineStyleDash)
    node.SetMarkerStyle(kinds.MarkerStyleCircle if name == _ERROR else kinds.MarkerStyleNone)
    node.SetMarkerSize(6)
    if name == _BEST:
        node.SetLineStyle(kinds.LineStyleNone)
        node.SetMarkerStyle(kinds.MarkerStyleDiamond)
        node.SetMarkerSize(13)
    return node


_MAKERS = {"table": _table, "chart": _chart, "series": _series}
