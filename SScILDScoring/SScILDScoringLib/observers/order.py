"""The order in which a reader sees the cases of a session."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def reading_order(ids: Iterable[str], seed: str, reader: str, session: int) -> tuple[str, ...]:
    """``ids`` in an order that is random over seeds, readers and sessions, and the same every time for the same ones.

    Sorted by a digest (SHA-256), so that it does not depend on the order of ``ids``, on the version of any library,
    or on cases that are added later.
    """
    return tuple(sorted(ids, key=lambda item: _digest(seed, reader, session, item)))


def smallest_distance(order: Sequence[str], pairs: Iterable[tuple[str, str]]) -> int:
    """How many places the two of a pair are apart at least; the number of ids when there are no pairs."""
    place = {item: number for number, item in enumerate(order)}
    return min((abs(place[one] - place[other]) for one, other in pairs), default=len(order))


def _digest(*parts: object) -> bytes:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
