"""Dialogs that wait for a person get their answer from the test, and what they said is kept.

An answer that was not given beforehand is an error: the panel opened a dialog that the test did not expect, and in
the application it would wait there.
"""

from __future__ import annotations

from dataclasses import dataclass, field


class UnexpectedDialog(AssertionError):
    """A dialog was opened that no answer had been prepared for."""


@dataclass(frozen=True)
class ShownDialog:
    """One dialog that was shown: its kind ("message", "open file", ...), text, details and answer."""

    kind: str
    text: str
    details: str = ""
    answer: object = None


@dataclass
class Dialogs:
    """What was shown, and the answers to what will be."""

    shown: list[ShownDialog] = field(default_factory=list)
    _answers: list[object] = field(default_factory=list)

    def willAnswer(self, *answers: object) -> None:
        """Prepare the answers to the next dialogs: a ``qt.QMessageBox`` button, a path, or "" for a cancelled one."""
        self._answers += answers

    def ask(self, kind: str, text: str, details: str = "", default: object = None) -> object:
        """Show a dialog (called by the stand-ins). Without a prepared answer it takes ``default``, if there is one."""
        if not self._answers and default is None:
            raise UnexpectedDialog(f"nobody answers this {kind} dialog: {text}")
        answer = self._answers.pop(0) if self._answers else default
        self.shown.append(ShownDialog(kind, text, details, answer))
        return answer

    def reset(self) -> None:
        """Forget everything."""
        self.shown.clear()
        self._answers.clear()


dialogs = Dialogs()
"""The one of this process; ``slicer.app.dialogs`` in the stand-ins."""
