"""The section of the heat maps: compute, look, and compare what they say with what the network said."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from ..levels import Level
from ..scores import PATTERNS
from .desk import Desk
from .enabling import allow, first
from .job_row import JobRow
from .parameter_node import PATTERN_CHOICES
from .remembered_maps import RememberedMaps
from .table_widgets import fitTable, prepareTable, setCell
from .texts import levelToolTip

FALLBACK_THRESHOLD = -1.0
"""Percentage points, for networks that come without thresholds."""


class HeatMapsSection:
    """Computing level by level, pattern, opacity, colour range, thresholds, segmentation."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.ui = desk, desk.ui
        self.row = JobRow(desk.ui, "heatMaps")
        self._networkThresholds: dict[str, float] | None = None  # as last taken over into the settings
        self._notice = ""  # what is to be known of the map that is being shown
        ui = desk.ui
        titles = [(f"{p.value.upper()} {what}", tip) for p in PATTERNS for what, tip in _kinds()]
        prepareTable(ui.derivedTable, [(_("Level"), ""), *titles], rows=5)
        self._patternButtons = {name: getattr(ui, f"{name}PatternButton") for name in PATTERN_CHOICES}
        for name, button in self._patternButtons.items():
            button.clicked.connect(lambda *_args, name=name: self._choosePattern(name))
        self._sliders = {p: getattr(ui, f"threshold{p.value.title()}Slider") for p in PATTERNS}
        ui.heatMapsButton.clicked.connect(self.compute)
        ui.resetThresholdsButton.clicked.connect(self.resetThresholds)
        ui.segmentationButton.clicked.connect(self.makeSegmentation)
        desk.onRefresh(self.refresh)

    # ---- what the buttons do ---------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Looks at networks and thresholds anew (another scene, networks installed or removed)."""
        self._networkThresholds = None

    def compute(self, *_args) -> None:
        """Computes the maps of levels that have none; each is shown while it is computed when that is wanted.

        A preview comes first where the exact map takes long (see :meth:`ScoringSession.heat_maps`).
        """
        desk = self.desk
        before = RememberedMaps(desk.case)
        if not desk.parameters.showEachLevel:
            self._askAll(before)
        elif desk.case.staleLevels() or desk.otherNetwork():
            self._score(lambda result: self._scored(result, before), before, heatMaps=False)
        else:
            self._askNext(self._missing(), before)

    def resetThresholds(self, *_args) -> None:
        """Goes back to the thresholds that the network came with."""
        self._networkThresholds = None
        self.desk.parameters.ownThresholds = False
        self.desk.refresh()

    def makeSegmentation(self, *_args) -> None:
        """Makes a segmentation of the lung below the thresholds, to be corrected in the Segment Editor."""
        with slicer.util.tryWithErrorDisplay(_("The segmentation could not be made."), waitCursor=True):
            node = self.desk.case.updateThresholds(self.thresholds())
            node.CreateDefaultDisplayNodes()
            node.SetDisplayVisibility(True)
            message = _("The segmentation {name} is in the scene. Correct it in the module Segment Editor.")
            self.row.tell(message.format(name=node.GetName()))
            self.desk.refresh()

    def thresholds(self) -> dict[str, float]:
        """The thresholds that hold now, percentage points by pattern."""
        p = self.desk.parameters
        return {"tot": float(p.thresholdTot), "gg": float(p.thresholdGg), "ret": float(p.thresholdRet)}

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def showParameters(self) -> None:
        """Shows pattern, opacity and colour range in the views."""
        for name, button in self._patternButtons.items():
            button.setChecked(name == self.desk.parameters.pattern)
        p, known = self.desk.parameters, self._networkThresholds
        if not p.ownThresholds and known is not None and not _same(self.thresholds(), known):
            p.ownThresholds = True  # a slider was moved
        self.desk.showPattern()

    def refresh(self) -> None:
        """Shows what there is."""
        desk, ui = self.desk, self.ui
        result = desk.case.result if desk.case is not None else None
        complete = result is not None and bool(result.heat_maps)
        stale = bool(desk.case.staleLevels()) if result is not None else False
        blocked = first(desk.noScan(), desk.noLevels(), desk.noWork())
        ready = complete and not stale and not desk.otherNetwork()
        done = _("The heat maps of all levels are there.") if ready else ""
        allow(
            ui.heatMapsButton,
            first(blocked, done),
            _("Shows where in each level the network sees the disease it counts. Levels are scored too, if needed."),
        )
        some = desk.case is not None and any(
            desk.case.heatMapNodes.node(p, level) is not None for p in PATTERNS for level in Level
        )
        noMaps = "" if some else _("Compute the heat maps first.")
        for name, button in self._patternButtons.items():
            allow(button, noMaps, _patternToolTip(name))
        for widget, toolTip in (
            (ui.opacitySlider, _("How strongly the heat map covers the CT.")),
            (ui.windowSlider, _("Percentage points at both ends of the colour scale.")),
        ):
            allow(widget, noMaps, toolTip)
        missing = _("Compute the heat maps of all five levels first.")
        noAll = "" if complete else first(desk.noScan(), missing)
        for slider in self._sliders.values():
            allow(slider, noAll, _("Lung where the heat map is below this counts as diseased."))
        own = "" if desk.parameters.ownThresholds else _("These are the network's thresholds.")
        allow(ui.resetThresholdsButton, first(noAll, own), _("Goes back to the thresholds the network came with."))
        busy = desk.noWork() if desk.busy() else ""
        moved = _("A level moved: compute its heat map first.") if stale else ""
        allow(
            ui.segmentationButton,
            first(noAll, moved, busy),
            _("Makes a segmentation of the lung below the thresholds. Correct it in the Segment Editor."),
        )
        self._takeThresholds(result)
        self._showDerived(result if complete else None)
        self._showState(result, some, stale)

    def _showState(self, result, some: bool, stale: bool) -> None:
        text = ""
        if self.row.running:
            text = self._notice
        elif result is not None and some and (stale or not result.heat_maps):
            text = _("A level moved: its heat map is missing. Compute again; the others are kept.")
        self.ui.heatMapsLabel.setText(text)
        self.ui.heatMapsLabel.setVisible(bool(text))

    def _takeThresholds(self, result) -> None:
        """Takes the network's thresholds over unless the user has set own ones."""
        p = self.desk.parameters
        if p.ownThresholds or result is None:
            return
        given = result.thresholds or {}
        self._networkThresholds = {p.value: float(given.get(p.value, FALLBACK_THRESHOLD)) for p in PATTERNS}
        if not _same(self.thresholds(), self._networkThresholds):
            with slicer.util.NodeModify(p):
                p.thresholdTot = self._networkThresholds["tot"]
                p.thresholdGg = self._networkThresholds["gg"]
                p.thresholdRet = self._networkThresholds["ret"]

    def _showDerived(self, result) -> None:
        table, thresholds = self.ui.derivedTable, self.thresholds()
        for row, level in enumerate(Level):
            setCell(table, row, 0, f"L{level:d}", levelToolTip(level))
            for number, pattern in enumerate(PATTERNS):
                network = derived = "–"
                if result is not None:
                    network = f"{result.scores[row].clipped[number]:.0f}"
                    maps = result.heat_maps[row]
                    derived = f"{maps.derived_score(pattern, thresholds[pattern.value]):.0f}"
                setCell(table, row, 1 + 2 * number, network, _("percent, said by the network"), number=True)
                setCell(table, row, 2 + 2 * number, derived, _("percent, below the threshold"), bold=True, number=True)
        fitTable(table)

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _missing(self) -> list[tuple[Level, int]]:
        """Levels without heat maps of their present slices, each with its slice (canonical index)."""
        case = self.desk.case
        indices = case.levels.slice_indices(case.scan)
        return [(level, k) for level, k in zip(Level, indices, strict=True) if not case.heatMapNodes.shows(level, k)]

    def _scored(self, result, before: RememberedMaps) -> None:
        self.desk.takeResult(result)
        self._askNext(self._missing(), before)

    def _askNext(self, missing: list[tuple[Level, int]], before: RememberedMaps) -> None:
        """Asks for the first of the missing levels; what it answers asks for the next."""
        if not missing:
            self._askAll(before)
            return
        (level, k), rest = missing[0], missing[1:]
        looking = False

        def show(maps, unfinished: bool = False) -> None:
            nonlocal looking
            with slicer.util.RenderBlocker():
                self.desk.case.showHeatMaps(level, k, maps, unfinished)
            if not looking:
                self._choosePattern(self._shownPattern())
                self.desk.showPattern()
            looking = True

        def showPart(maps) -> None:
            show(maps, unfinished=True)
            self._tell(_partNotice(level, maps))

        def showAll(maps) -> None:
            show(maps)
            self._askNext(rest, before)

        message = _("Computing the heat maps of level {level}; {count} more to come")
        message = message.format(level=f"{level:d}", count=len(rest))
        self._tell("")
        self._run(message, lambda session: session.heat_maps(k, partial=True), showAll, before, showPart)

    def _askAll(self, before: RememberedMaps) -> None:
        self._tell("")
        self._score(self._computed, before, heatMaps=True)

    def _score(self, onResult, before: RememberedMaps, heatMaps: bool) -> None:
        desk = self.desk
        levels, name, p = desk.case.levels, desk.caseName(), desk.parameters
        fvc = float(p.fvcPercent) if p.fvcKnown else None
        self._run(
            _("Computing the heat maps") if heatMaps else _("Scoring the levels"),
            lambda session: session.score(levels, case=name, fvc_percent=fvc, heat_maps=heatMaps),
            onResult,
            before,
        )

    def _tell(self, notice: str) -> None:
        """Says what is to be known of the map that is being shown, until its work ends."""
        if notice != self._notice:
            self._notice = notice
            self.ui.heatMapsLabel.setText(notice)
            self.ui.heatMapsLabel.setVisible(bool(notice))

    def _run(self, message: str, ask, onResult, before: RememberedMaps, onPartial=None) -> None:
        desk = self.desk

        def restore() -> None:
            before.restore()
            desk.keep()
            desk.showPattern()
            desk.refresh()

        desk.run(self.row, message, ask, onResult, self.compute, restore, onPartial=onPartial)
        desk.refresh()

    def _shownPattern(self) -> str:
        """The pattern to show from now on: the chosen one, or the total when none is."""
        return "tot" if self.desk.parameters.pattern == "off" else self.desk.parameters.pattern

    def _computed(self, result) -> None:
        self._choosePattern(self._shownPattern())
        self.desk.takeResult(result)

    def _choosePattern(self, name: str) -> None:
        self.desk.parameters.pattern = name


def _same(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether two sets of thresholds are equal to a hundredth of a point, which is all that the sliders show."""
    return all(abs(one[name] - other[name]) < 0.006 for name in one)


def _partNotice(level: Level, maps) -> str:
    """What a map is that is not finished."""
    name = f"{level:d}"
    if maps.exact:
        return _("Level {level}: the map is unfinished; its rows appear as they are computed.").format(level=name)
    if maps.tolerance is None:
        return _("Level {level}: a preview appears; the exact map follows.").format(level=name)
    return _(
        "Level {level}: a preview, within {share} % of the map's largest value where it was checked. "
        "The exact map follows."
    ).format(level=name, share=f"{100 * maps.tolerance:.2g}")


def _kinds() -> list[tuple[str, str]]:
    return [
        (_("net"), _("The network's score in percent.")),
        (_("map"), _("Share of the lung below the threshold in percent: the score that the map stands for.")),
    ]


def _patternToolTip(name: str) -> str:
    return {
        "off": _("No heat map over the CT."),
        "tot": _("Shows what total disease extent is made of."),
        "gg": _("Shows what ground-glass opacity is made of."),
        "ret": _("Shows what reticulation is made of."),
    }[name]
