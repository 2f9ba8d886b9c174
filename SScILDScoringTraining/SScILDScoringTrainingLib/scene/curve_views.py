"""The layout in which the curves of a run are shown: two plot views of the module's own, one above the other."""

from __future__ import annotations

from .curve_plots import CurvePlots

LAYOUT_ID = 5611
LOSS_VIEW, VALIDATION_VIEW = "SScILDTrainingLoss", "SScILDTrainingValidation"


def layoutDescription() -> str:
    """The layout as XML for ``vtkMRMLLayoutNode``: the validation error above the training loss."""
    items = [
        f'<item splitSize="50"><view class="vtkMRMLPlotViewNode" singletontag="{name}">'
        f'<property name="viewlabel" action="default">{label}</property></view></item>'
        for name, label in ((VALIDATION_VIEW, "V"), (LOSS_VIEW, "T"))
    ]
    return f'<layout type="vertical" split="true">{"".join(items)}</layout>'


def registerLayout(layoutNode) -> None:
    """Makes the layout known to Slicer's layout node, without switching to it. May be called again."""
    if layoutNode.IsLayoutDescription(LAYOUT_ID):
        layoutNode.SetLayoutDescription(LAYOUT_ID, layoutDescription())
    else:
        layoutNode.AddLayoutDescription(LAYOUT_ID, layoutDescription())


def putIntoViews(scene, plots: CurvePlots) -> None:
    """Lets the two plot views, where they exist, show the charts that there are."""
    for name, chart in ((LOSS_VIEW, plots.lossChart), (VALIDATION_VIEW, plots.validationChart)):
        view = scene.GetSingletonNode(name, "vtkMRMLPlotViewNode")
        wanted = chart.GetID() if chart is not None else None
        if view is not None and view.GetPlotChartNodeID() != wanted:
            view.SetPlotChartNodeID(wanted)
