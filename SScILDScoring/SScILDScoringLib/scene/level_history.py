"""Undo and redo for level positions."""

from __future__ import annotations

from ..levels import Levels


class LevelHistory:
    """What the levels were before each change, and after each change that was undone."""

    limit = 100

    def __init__(self) -> None:
        self._past: list[Levels] = []
        self._future: list[Levels] = []

    @property
    def canUndo(self) -> bool:
        """Whether there is an earlier state."""
        return bool(self._past)

    @property
    def canRedo(self) -> bool:
        """Whether there is a state that was undone."""
        return bool(self._future)

    def record(self, before: Levels) -> None:
        """Remembers the state before a change; what was undone can no longer be redone."""
        self._past = [*self._past, before][-self.limit :]
        self._future.clear()

    def undo(self, now: Levels) -> Levels:
        """The state before the last change."""
        self._future.append(now)
        return self._past.pop()

    def redo(self, now: Levels) -> Levels:
        """The state after the last change that was undone."""
        self._past.append(now)
        return self._future.pop()
