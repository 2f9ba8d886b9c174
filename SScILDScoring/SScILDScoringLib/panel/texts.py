"""Names and sentences that several sections show."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..levels import Level
from ..scores import Stage


def levelTitle(level: Level) -> str:
    """A level's short anatomical name, for tables."""
    return {
        Level.L1: _("great vessels"),
        Level.L2: _("carina"),
        Level.L3: _("pulmonary veins"),
        Level.L4: _("between 3 and 5"),
        Level.L5: _("dome + 1 cm"),
    }[level]


def levelToolTip(level: Level) -> str:
    """A level's whole anatomical name."""
    return {
        Level.L1: _("Level 1: origin of the great vessels"),
        Level.L2: _("Level 2: main carina"),
        Level.L3: _("Level 3: pulmonary venous confluence"),
        Level.L4: _("Level 4: halfway between levels 3 and 5"),
        Level.L5: _("Level 5: 1 cm above the right hemidiaphragm"),
    }[level]


def sourceName(source: str) -> str:
    """Where a level's position is from, in a word."""
    names = {"l_net": _("network"), "anatomy": _("anatomy"), "manual": _("by hand"), "given": _("given")}
    return names[source]


def stageName(stage: Stage) -> str:
    """The Goh stage in words."""
    return {
        Stage.LIMITED: _("limited disease"),
        Stage.EXTENSIVE: _("extensive disease"),
        Stage.INDETERMINATE: _("indeterminate"),
    }[stage]


def stageReason(tot: float, fvcPercent: float | None) -> str:
    """Why the stage is what it is, in one sentence.

    Args:
        tot: extent of total disease in percent. fvcPercent: forced vital capacity in percent predicted, or None.
    """
    if tot < 10:
        return _("An extent below 10 % is limited disease.")
    if tot > 30:
        return _("An extent above 30 % is extensive disease.")
    if fvcPercent is None:
        return _("Between 10 and 30 % the FVC decides: enter it below.")
    if fvcPercent >= 70:
        return _("Between 10 and 30 % the FVC decides: at least 70 % predicted is limited disease.")
    return _("Between 10 and 30 % the FVC decides: below 70 % predicted is extensive disease.")


def levelNames(levels) -> str:
    """``L1, L3`` of a set of levels."""
    return ", ".join(f"L{level:d}" for level in sorted(levels))
