"""What the panel remembers beyond a scene: the choices one makes once and means for longer."""

from __future__ import annotations

import qt
import slicer

_GROUP = "SScILDScoringTraining/"


def remembered(name: str) -> str:
    """The text that was remembered, or an empty one."""
    return str(slicer.util.settingsValue(_GROUP + name, "") or "")


def remember(name: str, text: str) -> None:
    """Keeps a text in the application's settings."""
    if remembered(name) != text:
        qt.QSettings().setValue(_GROUP + name, text)
