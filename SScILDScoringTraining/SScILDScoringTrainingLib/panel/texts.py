"""Names and sentences that several sections show."""

from __future__ import annotations

from slicer.i18n import tr as _

from .known_runs import RunFacts
from .state_words import stateName as stateWord


def recipeName(recipe: str) -> str:
    """What is trained, in words."""
    return {"levels": _("levels (L-Net)"), "scores": _("scores (S-Net)")}[recipe]


def deviceWord(device: str) -> str:
    """For which computer a preset is."""
    return {
        "quick look": _("quick look"),
        "CPU": _("for a CPU"),
        "one GPU": _("for one GPU"),
        "published": _("as published"),
        "starter": _("starter network"),
    }.get(device, device)


def kindName(run: RunFacts) -> str:
    """What a run trains, in a word or two."""
    if run.kind == "training":
        return {"levels": _("levels"), "scores": _("scores")}.get(run.recipe, _("training"))
    return {
        "folds": _("cross-validation"),
        "ablation": _("ablation"),
        "architectures": _("architectures"),
        "compare": _("comparison"),
    }[run.kind]


def stateName(run: RunFacts) -> str:
    """How a run is, in a word or two."""
    if run.known.missing:
        return _("not there")
    if run.starting:
        return _("starting")
    if run.startError:
        return _("did not start")
    if run.status is None:
        return _("not started")
    return stateWord(run.status.state)


def bestText(run: RunFacts) -> str:
    """The best validation with its unit, ``2.1 mm``; a dash before the first one."""
    status = run.status
    if status is None or status.best_mae is None:
        return "–"
    unit = {"levels": " mm", "scores": " %"}.get(run.recipe, "")
    return f"{status.best_mae:.3g}{unit}"
