"""A reader at work: the session's answers on disk, and the one blinded case in the scene that they are about."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from ..levels import Level, Levels
from ..observers.errors import ObserverError
from ..observers.reading import ReadingItem, ReadingSession
from ..scene.blinded_case import BlindedCase
from .reading_sheet import ReadingSheet


@dataclass
class _Draft:
    """A case that was left without being stored."""

    sheet: ReadingSheet
    levels: Levels | None


class ReadingSitting:
    """One reader's session from opening the study to leaving it.

    Attributes:
        case, sheet: the open case and what is typed about it; None while no case is to be seen.
        stored: the open case is stored and may be looked at until :meth:`goOn`.
        network: the network's scores of the open case once they were shown, else None.

    Args:
        scene: where cases go. folder, reader, number: study, who reads, and which session.

    Raises:
        ObserverError: the session cannot be opened.
    """

    def __init__(self, scene, folder: str | Path, reader: str, number: int) -> None:
        self.scene = scene
        self.session = ReadingSession(folder, reader, number)
        self.session.pause()
        self.case: BlindedCase | None = None
        self.sheet: ReadingSheet | None = None
        self.stored = False
        self.network: dict[Level, tuple[float, float, float]] | None = None
        self._drafts: dict[str, _Draft] = {}
        self._closed: set[str] = set()  # cases whose network answer was shown
        self._last: str | None = None

    @property
    def study(self):
        """The study."""
        return self.session.study

    @property
    def likert(self) -> bool:
        """Whether heat maps are rated."""
        return self.study.task == "likert"

    @property
    def item(self) -> ReadingItem | None:
        """The item whose turn it is; None when everything is answered."""
        return self.session.current

    @property
    def ownLevels(self) -> bool:
        """Whether the reader places the levels."""
        return self.study.levels == "own"

    # ---- a case comes and goes -------------------------------------------------------------------------------------

    def openCase(self) -> None:
        """Loads the case whose turn it is and lets time run once it is there.

        Raises:
            ObserverError: it cannot be opened; the sentence names no file.
        """
        self.hideCase()
        item = self.item
        if item is None:
            return
        try:
            self._load(item)
        except Exception as error:
            logging.exception("SScILDScoring: the case %s of a study cannot be opened", item.id)
            self.hideCase()
            raise ObserverError(
                _("{case} cannot be opened. Tell the person who runs the study, or come back to it later.").format(
                    case=item.id
                )
            ) from error
        self.session.resume()

    def _load(self, item: ReadingItem) -> None:
        from ..scan import load_scan

        given = None if item.levels_mm is None else Levels.from_mm(item.levels_mm, source="given")
        self.case = BlindedCase(self.scene, load_scan(item.scan), item.id, given)
        if self.likert:
            self.case.loadMaps(item.maps)
        draft = self._drafts.pop(item.id, None)
        if draft is not None:
            self.sheet, levels = draft.sheet, draft.levels
        else:
            answers = self.session.answers_of(item)
            self.sheet, levels = ReadingSheet(self.study.patterns, self.likert), self._storedLevels(answers)
            self.sheet.fill(answers.values())
        if levels is not None:
            self.case.putLevels(levels)
        self.showCell()

    def _storedLevels(self, answers) -> Levels | None:
        if not self.ownLevels or any((level,) not in answers for level in Level):
            return None
        return Levels.from_mm([answers[(level,)].level_mm for level in Level], source="manual")

    def hideCase(self) -> None:
        """Time stands still and the case goes out of the scene; what was typed is kept until it comes back."""
        self.session.pause()
        typed = self.case is not None and self.sheet is not None and not self.stored
        if typed and (self.case.present or not self.ownLevels):  # scores are worth nothing without their levels
            self._drafts[self.item.id] = _Draft(self.sheet, self.case.levels if self.ownLevels else None)
        if self.case is not None:
            self.case.close()
        self.case = self.sheet = self.network = None
        self.stored = False

    def showCell(self) -> None:
        """Shows the slice, and the heat map, of the sheet's current cell."""
        level, pattern = self.sheet.current
        if self.likert:
            self.case.showMap(level, pattern)
        elif self.case.level is not level:
            self.case.showLevel(level)

    # ---- answers ---------------------------------------------------------------------------------------------------

    def store(self, knowingly: bool = False) -> None:
        """Stores the sheet; the case stays when the network's answer may be asked for, else the next one's turn comes.

        Raises:
            Contradiction: scores that cannot be right together, without ``knowingly``.
            ObserverError: it could not be stored; nothing has changed then.
        """
        own = {p.level: p.mm for p in self.case.levels} if self.ownLevels else None
        self.session.store(self.sheet.answers(self.item.id, own), knowingly=knowingly)
        self._last = self.item.id
        self._drafts.pop(self.item.id, None)
        self.stored = True
        self.session.pause()
        if not self.study.reveal:
            self.goOn()

    def goOn(self) -> None:
        """The next case's turn comes, that of one that is not stored after the others; none is opened yet.

        Raises:
            ObserverError: the time spent on a case that is not stored could not be noted.
        """
        self.hideCase()
        self.session.next()
        self.session.pause()

    @property
    def correctable(self) -> str | None:
        """The identifier of the case that was stored last, if it may still be corrected."""
        last = self._last
        if last is None and self.session.answered:
            last = self.session.answered[-1].id
        return None if last in self._closed else last

    def correctLast(self) -> None:
        """The case that was stored last is the one whose turn it is; it is not opened yet.

        Raises:
            ObserverError: there is none.
        """
        last = self.correctable
        if last is None:
            raise ObserverError(_("Nothing that could be corrected is stored yet."))
        self.hideCase()
        self.session.open(last)
        self.session.pause()

    def reveal(self) -> None:
        """Fetches the network's scores of the stored case; one's own cannot be corrected any more.

        Raises:
            ObserverError: the study does not allow it, or one's own are not stored.
        """
        self.network = self.session.reveal(self.item)
        self._closed.add(self.item.id)

    def end(self) -> None:
        """Leaves the session; what is stored is stored, the open case is lost.

        Raises:
            ObserverError: the time spent on the open case could not be noted.
        """
        self.hideCase()
        self.session.close()
