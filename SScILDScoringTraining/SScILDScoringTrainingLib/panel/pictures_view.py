"""Pictures of a run or an evaluation, one at a time, as wide as the panel; a file that was written anew is reread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import qt
from slicer.i18n import tr as _

from SScILDScoringLib.panel.enabling import allow

HIGHEST = 460
"""Pixels; higher pictures are shown smaller."""


class ShownPicture(NamedTuple):
    """A title for the list and the PNG file."""

    title: str
    path: Path


class PicturesView:
    """A list of titles, the chosen picture, and a button that opens it in full size; hidden without a picture.

    Args:
        ui: widgets of an .ui file. prefix: of this view's (``evaluation`` for ``evaluationPicturesFrame``).
    """

    def __init__(self, ui, prefix: str) -> None:
        self.frame = getattr(ui, f"{prefix}PicturesFrame")
        self.combo = getattr(ui, f"{prefix}PictureComboBox")
        self.button = getattr(ui, f"{prefix}PictureOpenButton")
        self.label = getattr(ui, f"{prefix}PictureLabel")
        self.pictures: tuple[ShownPicture, ...] = ()
        self._image = None
        self._drawn: tuple | None = None
        self._filling = False
        self.label.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)  # a picture never widens the panel
        self.label.setAlignment(qt.Qt.AlignHCenter | qt.Qt.AlignTop)
        self.combo.currentIndexChanged.connect(self._onChoice)
        self.button.clicked.connect(self.open)
        self.frame.setVisible(False)

    @property
    def current(self) -> ShownPicture | None:
        """The picture that is shown."""
        index = self.combo.currentIndex
        return self.pictures[index] if 0 <= index < len(self.pictures) else None

    def show(self, pictures: Sequence) -> None:
        """Offers these pictures (objects with ``title`` and ``path``); the chosen title stays chosen if it is there."""
        offered = tuple(ShownPicture(p.title, Path(p.path)) for p in pictures)
        if [p.title for p in offered] != [p.title for p in self.pictures]:
            former = self.current.title if self.current is not None else ""
            titles = [p.title for p in offered]
            self._filling = True
            self.combo.clear()
            self.combo.addItems(titles)
            self.combo.setCurrentIndex(titles.index(former) if former in titles else 0 if titles else -1)
            self._filling = False
        self.pictures = offered
        self.frame.setVisible(bool(offered))
        self.update()

    def update(self, *_args) -> None:
        """Draws the chosen picture again when its file or the width of the panel has changed."""
        if self.current is None:
            return
        path, width = self.current.path, max(int(self.label.width), 1)
        try:
            facts = path.stat()
        except OSError:
            return
        drawn = (path, facts.st_mtime_ns, facts.st_size, width)
        if drawn == self._drawn:
            return
        if self._image is None or self._drawn is None or self._drawn[:3] != drawn[:3]:
            image = qt.QImage(str(path))
            if image.isNull():
                return  # being replaced just now: the next look will find it whole
            self._image = image
        self._drawn = drawn
        image = self._image
        width = min(width, 2 * image.width())
        scaled = image.scaled(width, HIGHEST, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation)
        self.label.setPixmap(qt.QPixmap.fromImage(scaled))
        self.label.setFixedHeight(scaled.height())
        self.label.setToolTip(self.current.title)
        allow(self.button, "", _("Opens {path} in its full size.").format(path=path))

    def open(self, *_args) -> None:
        """Opens the picture with the system's viewer."""
        if self.current is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.current.path)))

    def _onChoice(self, *_args) -> None:
        if not self._filling:
            self._drawn = None
            self.update()
