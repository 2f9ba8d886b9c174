"""The keys of a reader study: what each does, the table that explains them, and when they are listened to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape

import qt


@dataclass(frozen=True)
class Key:
    """What one key, or a group of them, does.

    Args:
        title: how the table names it. meaning: what it does, in a few words.
        sequences: as Qt writes key sequences, each with the function it calls.
        whilePaused: also listened to while the case is hidden.
    """

    title: str
    meaning: str
    sequences: tuple[tuple[str, Callable[[], None]], ...]
    whilePaused: bool = False


class ReadingKeys:
    """Shortcuts that hold in the whole application while a case is open: after a click into a slice view, too.

    Fields for text keep their letters and digits, as Qt asks them first.

    Args:
        owner: the widget they belong to; where it is not to be seen they do nothing.
    """

    def __init__(self, owner) -> None:
        self._owner = owner
        self.keys: tuple[Key, ...] = ()
        self._shortcuts: list[tuple[Key, object]] = []

    def set(self, keys: Iterable[Key]) -> None:
        """Replaces all keys; none is listened to before :meth:`listen`."""
        for _key, shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self.keys, self._shortcuts = tuple(keys), []
        for key in self.keys:
            for sequence, function in key.sequences:
                shortcut = qt.QShortcut(qt.QKeySequence(sequence), self._owner)
                shortcut.setContext(qt.Qt.ApplicationShortcut)
                shortcut.setAutoRepeat(sequence in _REPEATED)
                shortcut.activated.connect(function)
                shortcut.setEnabled(False)
                self._shortcuts.append((key, shortcut))

    def listen(self, reading: bool, paused: bool = False) -> None:
        """Listens to all keys while reading, to a few while paused, to none otherwise."""
        for key, shortcut in self._shortcuts:
            shortcut.setEnabled(reading or (paused and key.whilePaused))

    def table(self) -> str:
        """The keys as a table in HTML."""
        rows = "".join(
            f'<tr><td style="padding-right:10px"><b>{escape(key.title)}</b></td><td>{escape(key.meaning)}</td></tr>'
            for key in self.keys
        )
        return f"<table>{rows}</table>"


_REPEATED = ("Up", "Down", "Ctrl+Up", "Ctrl+Down", "+", "-")
"""Held down, these go on; a key that stores or goes on to another case must not."""
