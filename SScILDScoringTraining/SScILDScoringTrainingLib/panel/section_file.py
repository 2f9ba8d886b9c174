"""A section's own .ui file in its place in the panel."""

from __future__ import annotations

from pathlib import Path

import slicer

_UI = Path(__file__).resolve().parents[2] / "Resources" / "UI"


def loadSection(name: str, container):
    """Loads ``SScILDScoringTraining<name>.ui`` into ``container``, which has a layout; its widgets by name."""
    widget = slicer.util.loadUI(str(_UI / f"SScILDScoringTraining{name}.ui"))
    container.layout().addWidget(widget)
    ui = slicer.util.childWidgetVariables(widget)
    ui.sectionWidget = widget
    return ui
