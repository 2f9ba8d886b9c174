"""The section of the heat maps: compute, look, and compare what they say with what the network said."""

from __future__ import annotations

from dataclasses import replace

import slicer
from slicer.i18n import tr as _

from ..errors import SScILDError
from ..heatmaps.replacement import HeatMapSettings
from ..levels import Level
from ..scores import PATTERNS
from .desk import Desk
from .enabling import allow, first
from .job_row import JobRow
from .parameter_node import PATTERN_CHOICES
from .remembered_maps import RememberedMaps
from .table_widgets import fitTable, prepareTable, setCell
from .texts import levelToolTip

PREVIEW_STEPS = 3
"""The preview's patches lie this many times further apart, which takes a ninth of the time."""

FALLBACK_THRESHOLD = -1.0
"""Percentage points, for networks that come without thresholds."""


class HeatMapsSection:
    """Computing with a quick preview, pattern, opacity, colour range, thresholds, segmentation."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.ui = desk, desk.ui
        self.row = JobRow(desk.ui, "heatMaps")
        self._settingsOf: tuple[str, HeatMapSettings] | None = None
        self._networkThresholds: dict[str, float] | None = None  # as last taken over into the settings
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
        self._settingsOf = self._networkThresholds = None

    def compute(self, *_args) -> None:
        """Computes the maps of levels that have none; a coarse preview first when that is wanted."""
        desk = self.desk
        before = RememberedMaps(desk.case)
        try:
            settings = self._settings()
        except SScILDError as error:
            self.row.fail(str(error), self.compute)
            return
        if not desk.parameters.quickPreview:
            self._askFull(before)
            return
        coarse = replace(settings, step=min(settings.step * PREVIEW_STEPS, settings.patch))
        self._ask(_("Computing a quick preview"), coarse, lambda result: self._previewed(result, before), before)

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
        done = (
            _("The heat maps of all levels are there.") if complete and not stale and not self._coarse(result) else ""
        )
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
        if result is not None and some and (stale or not result.heat_maps):
            text = _("A level moved: its heat map is missing. Compute again; the others are kept.")
        elif result is not None and result.heat_maps and self._coarse(result):
            text = _("This is the coarse preview.")
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

    def _settings(self) -> HeatMapSettings:
        """The full maps' settings: those of the chosen network. Raises ModelError when it is not here."""
        from ..pipeline import find_model

        name = self.desk.parameters.sNet
        if self._settingsOf is None or self._settingsOf[0] != name:
            self._settingsOf = name, HeatMapSettings.of_bundle(find_model(name or None, "s_net"))
        return self._settingsOf[1]

    def _coarse(self, result) -> bool:
        """Whether the maps in the scene are a preview."""
        steps = {maps.settings.step for maps in result.heat_maps}
        return bool(steps) and any(step > self._fullStep for step in steps)

    @property
    def _fullStep(self) -> int:
        try:
            return self._settings().step
        except SScILDError:  # no network here any more: what is in the scene is all there will be
            return 10**6

    def _previewed(self, result, before: RememberedMaps) -> None:
        self._computed(result)
        self._askFull(before)

    def _askFull(self, before) -> None:
        self._ask(_("Computing the heat maps"), None, self._computed, before)

    def _ask(self, message: str, settings: HeatMapSettings | None, onResult, before) -> None:
        desk = self.desk
        levels, name = desk.case.levels, desk.caseName()
        p = desk.parameters
        fvc = float(p.fvcPercent) if p.fvcKnown else None

        def restore() -> None:
            before.restore()
            desk.keep()
            desk.showPattern()
            desk.refresh()

        desk.run(
            self.row,
            message,
            lambda session: session.score(
                levels, case=name, fvc_percent=fvc, heat_maps=True, heat_map_settings=settings
            ),
            onResult,
            self.compute,
            restore,
        )
        desk.refresh()

    def _computed(self, result) -> None:
        if self.desk.parameters.pattern == "off":
            self.desk.parameters.pattern = "tot"
        self.desk.takeResult(result)

    def _choosePattern(self, name: str) -> None:
        self.desk.parameters.pattern = name


def _same(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether two sets of thresholds are equal to a hundredth of a point, which is all that the sliders show."""
    return all(abs(one[name] - other[name]) < 0.006 for name in one)


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
