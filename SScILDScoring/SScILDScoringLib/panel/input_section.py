"""The section of the CT: which one, whose lungs, what is remarkable about it."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled
from .desk import Desk
from .enabling import allow
from .findings_view import FindingsView, aboutScan
from .job_row import JobRow
from .sample_data import makeSample
from .worker_bridge import Job


class InputSection:
    """Volume and lung selectors, the sample CT, and the row that shows the networks being loaded."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.ui = desk, desk.ui
        self.row = JobRow(desk.ui, "input")
        self.findings = FindingsView(desk.ui.inputFindingsLabel, aboutScan)
        self._cancelled = False
        self._opening: set[int] = set()
        self.ui.sampleButton.clicked.connect(self.makeSample)
        self.ui.lungsSelector.currentNodeChanged.connect(self._onLungs)
        desk.onOpening = self.openingJob
        desk.onRefresh(self.refresh)

    def showParameters(self) -> None:
        """Puts the selector on the lungs of the settings."""
        lungs = self.desk.parameters.lungs
        if self.ui.lungsSelector.currentNode() is not lungs:
            self.ui.lungsSelector.setCurrentNode(lungs)

    def refresh(self) -> None:
        """Shows the facts of the CT and what is remarkable about it."""
        desk = self.desk
        busy = _("Wait until the running step has finished, or cancel it.") if desk.busy() else ""
        allow(self.ui.sampleButton, busy, _("Makes a synthetic chest CT with known disease, to try the module."))
        allow(self.ui.volumeSelector, busy, _("The chest CT to be scored."))
        allow(
            self.ui.lungsSelector,
            busy,
            _("A segmentation or label map of the lungs that is here already. Without one they are found in the CT."),
        )
        self.ui.scanLabel.setText(desk.scanError or _facts(desk.scan))
        self.ui.scanLabel.setVisible(bool(self.ui.scanLabel.text))
        self.findings.show(desk.case.findings if desk.case is not None else ())

    def openingJob(self, ask) -> Job:
        """The job of opening the CT in the worker: shown here, in nobody's way."""
        job = Job(ask, lambda _value: self._opened(job), self._progress, self._failed, self._cancelledOpening)
        self._opening.add(id(job))
        if not self.row.running:
            self.row.start(_("Getting the networks ready"), self.desk.cancel)
        return job

    def makeSample(self, *_args) -> None:
        """Makes the sample CT and chooses it."""
        self._cancelled = False
        self.row.start(_("Making the sample CT"), self._cancelSample)
        self.desk.sampling = True
        self.desk.refresh()
        try:
            node = makeSample(progress=self._sampleProgress)
        except Cancelled:
            self.row.tell(_("Cancelled. Nothing was changed."))
        except Exception as error:
            self.row.fail(_("The sample CT could not be made: {error}").format(error=error), self.makeSample)
            raise
        else:
            self.row.finish()
            self.desk.sampling = False
            if self.desk.parameters is not None:  # None: the module was left meanwhile
                self.desk.parameters.inputVolume = node
        finally:
            self.desk.sampling = False
            self.desk.refresh()

    def _cancelSample(self) -> None:
        self._cancelled = True

    def _sampleProgress(self, _stage: str, fraction: float, message: str) -> None:
        self.row.progress(fraction, message)
        slicer.app.processEvents()
        if self._cancelled:
            raise Cancelled

    def _onLungs(self, *_args) -> None:
        node = self.ui.lungsSelector.currentNode()  # the signal has overloads, so its argument may be a bool
        if self.desk.parameters is not None and self.desk.parameters.lungs is not node:
            self.desk.parameters.lungs = node

    def _progress(self, fraction: float, message: str) -> None:
        self.row.progress(fraction, message)

    def _opened(self, job: Job) -> None:
        self._opening.discard(id(job))
        if not self._opening:
            self.row.finish()

    def _failed(self, message: str, details: str) -> None:
        self._opening.clear()
        sentence = message or _("The worker process failed.")
        self.desk.openError = self.desk.openError or message
        self.desk.reopen()
        self.row.fail(self.desk.openError or sentence, self._again, details)

    def _again(self) -> None:
        self.desk.open()

    def _cancelledOpening(self) -> None:
        self._opening.clear()
        self.row.finish()


def _facts(scan) -> str:
    if scan is None:
        return ""
    z, y, x = scan.shape
    text = _("{x} x {y} pixels of {pixel} mm, {z} slices every {step} mm; S from {bottom} to {top} mm").format(
        x=x,
        y=y,
        z=z,
        pixel=f"{scan.spacing[0]:.2f}",
        step=f"{scan.mm_per_slice:.2f}",
        bottom=f"{scan.mm_of_slice(0):.0f}",
        top=f"{scan.mm_of_slice(z - 1):.0f}",
    )
    if scan.tilt_degrees >= 1:
        text += _("; slices tilted by {degrees} degrees").format(degrees=f"{scan.tilt_degrees:.0f}")
    return text
