"""Levels of one case in a file of its own: Slicer's ``levels.mrk.json``, or what ``sscild score --levels`` reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

from SScILDScoringLib.errors import SettingsError, TableError
from SScILDScoringLib.given_levels import given_levels
from SScILDScoringLib.levels import Level

_LABEL = re.compile(r"(?:l(?:evel)?)?[\s_-]*([1-5])", re.IGNORECASE)


def levels_from_file(path: str | Path) -> tuple[float, ...]:
    """RAS S positions of L1..L5 in millimetres.

    A markups file (``.mrk.json``) holds planes or points labelled L1 to L5, as the scoring module writes them. Of a
    point list that a person placed in a tilted scan, the points' own height counts. Other files: see
    :func:`SScILDScoringLib.given_levels.given_levels`.

    Raises:
        TableError: not readable, or not exactly the levels 1 to 5; whether they descend is for the caller to check.
    """
    path = Path(path)
    if not path.name.endswith(".mrk.json"):
        try:
            return given_levels(str(path)).mm
        except SettingsError as error:
            raise TableError(str(error)) from error
    try:
        markups = json.loads(path.read_text(encoding="utf-8-sig"))["markups"]
        points = [_point(markup, point) for markup in markups for point in markup["controlPoints"]]
    except OSError as error:
        raise TableError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise TableError(f"{path.name} is not a markups file of Slicer ({type(error).__name__}: {error}).") from error
    found: dict[int, float] = {}
    for label, mm in points:
        match = _LABEL.fullmatch(label.strip())
        if match is None:
            raise TableError(f"{path.name} has a marker {label!r}; label the five markers L1 to L5.")
        if int(match[1]) in found:
            raise TableError(f"{path.name} has level {match[1]} twice.")
        found[int(match[1])] = mm
    if sorted(found) != [1, 2, 3, 4, 5]:
        missing = ", ".join(f"L{level:d}" for level in Level if level not in found)
        raise TableError(f"{path.name} has no {missing}; label the five markers L1 to L5.")
    return tuple(found[level] for level in Level)


def _point(markup: dict, point: dict) -> tuple[str, float]:
    """Label and height of a control point; height is the same number in LPS and RAS."""
    system = markup.get("coordinateSystem", "LPS")
    if system not in ("LPS", "RAS"):
        raise ValueError(f"coordinate system {system}")
    return str(point["label"]), float(point["position"][2])
