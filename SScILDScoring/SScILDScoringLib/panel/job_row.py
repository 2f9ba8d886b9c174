"""The strip below a button that shows how far its work is, cancels it, or says what went wrong."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _


class JobRow:
    """Progress, cancel and error of one section; hidden while there is nothing to say.

    Args:
        ui: the panel's widgets. prefix: of the row's widgets in the .ui file (``levels`` for ``levelsJobFrame``).
    """

    def __init__(self, ui, prefix: str) -> None:
        self.frame = getattr(ui, f"{prefix}JobFrame")
        self.label = getattr(ui, f"{prefix}JobLabel")
        self.bar = getattr(ui, f"{prefix}ProgressBar")
        self.cancelButton = getattr(ui, f"{prefix}CancelButton")
        self.retryButton = getattr(ui, f"{prefix}RetryButton")
        self.detailsButton = getattr(ui, f"{prefix}DetailsButton")
        self._onCancel = self._onRetry = None
        self._details = ""
        self.running = False
        self.cancelButton.clicked.connect(self._cancel)
        self.retryButton.clicked.connect(self._retry)
        self.detailsButton.clicked.connect(self._showDetails)
        self.hide()

    def start(self, message: str, onCancel=None) -> None:
        """Shows an empty bar; ``onCancel()`` is called by the button, which is missing when None."""
        self.running = True
        self._onCancel = onCancel
        self._set(message, running=True, cancel=onCancel is not None)
        self.bar.setRange(0, 100)
        self.bar.setValue(0)

    def progress(self, fraction: float, message: str) -> None:
        """Moves the bar; ``fraction`` runs from 0 to 1, a negative one means that nobody knows."""
        if self.running:
            self.label.setText(message)
            self.bar.setRange(0, 100 if fraction >= 0 else 0)
            self.bar.setValue(round(100 * min(max(fraction, 0.0), 1.0)))

    def finish(self) -> None:
        """Work is done: nothing to show any more."""
        self.running = False
        self.hide()

    def tell(self, message: str) -> None:
        """Says something that needs no answer (what was cancelled)."""
        self.running = False
        self._set(message)

    def fail(self, message: str, onRetry=None, details: str = "") -> None:
        """Shows what went wrong, with a button to try again and one for details where there are any."""
        self.running = False
        self._onRetry, self._details = onRetry, details
        self._set(message, retry=onRetry is not None, details=bool(details))

    def hide(self) -> None:
        """Takes the row away."""
        self.frame.setVisible(False)

    def _set(self, message: str, running=False, cancel=False, retry=False, details=False) -> None:
        self.label.setText(message)
        self.label.setTextFormat(qt.Qt.PlainText)
        self.bar.setVisible(running)
        self.cancelButton.setVisible(cancel)
        self.retryButton.setVisible(retry)
        self.detailsButton.setVisible(details)
        self.frame.setVisible(True)

    def _cancel(self, *_args) -> None:
        if self._onCancel is not None:
            self._onCancel()

    def _retry(self, *_args) -> None:
        self.hide()
        if self._onRetry is not None:
            self._onRetry()

    def _showDetails(self, *_args) -> None:
        slicer.util.infoDisplay(self.label.text, windowTitle=_("What the worker wrote"), detailedText=self._details)
