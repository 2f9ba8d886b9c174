"""A dictionary of limited size."""

from __future__ import annotations

from collections import OrderedDict


class Recent(OrderedDict):
    """A dictionary that forgets what was not used for longest when it holds more than ``limit`` entries."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __setitem__(self, key, value) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > self._limit:
            self.popitem(last=False)

    def get(self, key, default=None):
        """The value, which counts as used now; ``default`` when there is none."""
        if key not in self:
            return default
        self.move_to_end(key)
        return self[key]
