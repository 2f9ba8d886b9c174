"""Levels that a person gives: five millimetres on the command line, or a file."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from .errors import SettingsError
from .levels import Level, LevelError, Levels

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def given_levels(text: str, case: str | None = None) -> Levels:
    """Levels from ``text``: five RAS S positions in millimetres (L1 first), or the name of a file.

    Files: ``scores.json`` and ``scores.csv`` of this software, any CSV with the columns ``level`` and
    ``position_mm`` (rows of ``case`` only, when it has a column ``case``), or plain text with five numbers.

    Raises:
        SettingsError: no such file, not five numbers, or not usable as levels.
    """
    path = Path(text)
    try:
        is_file = path.is_file()
    except OSError:  # a list of numbers can be too long for a file name
        is_file = False
    if not is_file:
        if not any(_NUMBER.fullmatch(word) for word in _words(text)):
            raise SettingsError(f"There is no levels file {text!r}; give a file, or five numbers: 180,150,120,95,70.")
        return _levels(_numbers(text, "--levels"), "--levels")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The levels file {path.name} cannot be read as text.") from error
    if content.lstrip().startswith("{"):
        return _levels(_from_json(content, path.name), path.name)
    if "position_mm" in content.split("\n", 1)[0]:
        return _levels(_from_csv(content, path.name, case), path.name)
    return _levels(_numbers(content, path.name), path.name)


def _levels(positions: list[float], name: str) -> Levels:
    try:
        return Levels.from_mm(positions, source="given")
    except LevelError as error:
        raise SettingsError(f"The levels of {name} cannot be used. {error}") from error


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,;\s]+", text) if word]


def _numbers(text: str, name: str) -> list[float]:
    words = _words(text)
    if any(not _NUMBER.fullmatch(w) for w in words) or len(words) != 5:
        raise SettingsError(f"{name} needs five numbers in millimetres (RAS S), L1 first, as in 180,150,120,95,70.")
    return [float(w) for w in words]


def _from_json(content: str, name: str) -> list[float]:
    try:
        rows = {int(row["level"]): float(row["position_mm"]) for row in json.loads(content)["levels"]}
        return [rows[level] for level in Level]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{name} has no five levels with level and position_mm, as scores.json has.") from error


def _from_csv(content: str, name: str, case: str | None) -> list[float]:
    found: dict[int, float] = {}
    for row in csv.DictReader(io.StringIO(content)):
        if case is not None and row.get("case") not in (None, "", case):
            continue
        try:
            level = int(str(row["level"]).upper().removeprefix("L"))
            position = float(row["position_mm"])
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(f"{name} has a row without a level (1 to 5) and a position_mm.") from error
        if level in found:
            raise SettingsError(f"{name} has level {level} twice; keep one case, or name the case in a column case.")
        found[level] = position
    if sorted(found) != [1, 2, 3, 4, 5]:
        which = f" of case {case!r}" if case else ""
        raise SettingsError(f"{name} does not have the levels 1 to 5{which}.")
    return [found[level] for level in Level]
