"""A picture in a label, as wide as the panel."""

from __future__ import annotations

import qt

_MARGIN = 40
"""Pixels that frame and scroll bar of the panel may take."""


class PixmapLabel:
    """Shows a picture file in a QLabel, never larger than it is.

    Args:
        label: takes the picture.
    """

    def __init__(self, label) -> None:
        self.label = label
        self._pixmap = None
        label.setAlignment(qt.Qt.AlignCenter)
        label.setMinimumWidth(1)

    @property
    def loaded(self) -> bool:
        """Whether there is a picture."""
        return self._pixmap is not None

    def load(self, path: str | None) -> None:
        """Reads a picture; None, or a file that is none, takes the former one away."""
        pixmap = qt.QPixmap(str(path)) if path else None
        self._pixmap = pixmap if pixmap is not None and not pixmap.isNull() else None
        self.fit()

    def setVisible(self, visible: bool) -> None:
        """Shows or hides it, fitted to the panel's width as it is now."""
        if visible:
            self.fit()
        self.label.setVisible(visible)

    def fit(self) -> None:
        """Scales the picture down to the panel's width."""
        if self._pixmap is None:
            self.label.clear()
            return
        parent = self.label.parentWidget()
        room = max((parent.width if parent is not None else 480) - _MARGIN, 240)
        pixmap = self._pixmap
        if pixmap.width() > room:
            pixmap = pixmap.scaledToWidth(room, qt.Qt.SmoothTransformation)
        self.label.setPixmap(pixmap)
