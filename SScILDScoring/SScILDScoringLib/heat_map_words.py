"""How heat maps were made, in a sentence: for the report, the terminal and the panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .heatmaps import HeatMaps


def how_made(maps: Sequence[HeatMaps]) -> str:
    """Engine, arithmetic and checked accuracy of heat maps: ``exact (incremental engine, bf16); ...``.

    Args:
        maps: of one scan, at least one; what differs between them is listed.
    """
    kind = "exact" if all(m.exact for m in maps) else "preview" if not any(m.exact for m in maps) else "partly preview"
    engines, precisions = (", ".join(dict.fromkeys(names)) for names in _names(maps))
    text = f"{kind} ({engines} engine, {precisions})"
    accuracy = tolerance_in_words(maps)
    return f"{text}; {accuracy}" if accuracy else text


def tolerance_in_words(maps: Sequence[HeatMaps]) -> str:
    """How far the maps may be from exact ones in fp32; an empty text where nothing had to be checked."""
    known = [m.tolerance for m in maps if m.tolerance is not None]
    if not known:
        return ""
    positions = sum(m.checked_positions for m in maps)
    share = f"{100 * max(known):.2g}"
    return f"within {share} % of the largest value on {positions} positions that were computed twice"


def _names(maps: Sequence[HeatMaps]) -> tuple[list[str], list[str]]:
    return [m.engine for m in maps], [m.precision for m in maps]
