"""States of runs in words that several sections show."""

from __future__ import annotations

from slicer.i18n import tr as _


def stateName(state: str) -> str:
    """The state of a run, or of one run of a study, in a word or two."""
    names = {
        "preparing": _("preparing"),
        "running": _("running"),
        "paused": _("paused"),
        "finished": _("finished"),
        "stopped": _("stopped"),
        "failed": _("failed"),
        "interrupted": _("interrupted"),
        "waiting": _("waiting"),
        "asking": _("scoring its cases"),
        "done": _("done"),
    }
    return names.get(state, state)
