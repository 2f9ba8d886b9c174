"""One way of telling how far a long step is, and of stopping it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float, str], None]
"""``progress(stage, fraction, message)``.

``stage`` is a short identifier (``read``, ``lungs``, ``levels``, ``scores``, ``heat_maps`` ...), ``fraction`` runs
from 0 to 1 within that stage, ``message`` is a sentence for people. To cancel, the callable raises
:class:`~SScILDScoringLib.errors.Cancelled`.
"""


def silent(stage: str, fraction: float, message: str) -> None:
    """The progress callable that neither shows anything nor cancels."""


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """A progress callable whose fractions 0..1 fill the range ``start``..``end`` of ``progress``."""

    def scaled(stage: str, fraction: float, message: str) -> None:
        progress(stage, start + (end - start) * min(max(fraction, 0.0), 1.0), message)

    return scaled
