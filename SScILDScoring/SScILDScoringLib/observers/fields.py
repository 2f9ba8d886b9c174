"""Strict reading of JSON objects: every key is known, every value checked, every message names the key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from .errors import ObserverError


class Fields:
    """The keys of one JSON object, taken one by one; :meth:`finish` refuses those nobody asked for.

    Args:
        data: what the file holds at this place. where: how messages call the place, ``study.json, item 3``.

    Raises:
        ObserverError: not an object; from the methods: a key that is missing or has an unusable value.
    """

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, Mapping):
            raise ObserverError(f"{where} must be an object in braces with named values, not {_shown(data)}.")
        self._data = dict(data)
        self._asked: list[str] = []
        self.where = where

    def problem(self, key: str, text: str) -> ObserverError:
        """The error of one key."""
        return ObserverError(f"{self.where}: {key} {text}")

    def value(self, key: str) -> object:
        """Whatever the key has; it must be there."""
        self._asked.append(key)
        if key not in self._data:
            raise self.problem(key, "is missing; add it.")
        return self._data[key]

    def text(self, key: str, choices: Iterable[str] | None = None) -> str:
        """Text that is not empty; one of ``choices`` where they are given."""
        value = self.value(key)
        if not isinstance(value, str) or not value.strip():
            raise self.problem(key, f"must be text in quotes, not {_shown(value)}.")
        if choices is not None and value not in tuple(choices):
            raise self.problem(key, f"must be one of {', '.join(choices)}, not {_shown(value)}.")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of at least one text."""
        value = self.value(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) and v.strip() for v in value):
            raise self.problem(key, f'must be a list of texts as ["A", "B"], not {_shown(value)}.')
        return tuple(value)

    def count(self, key: str, least: int, most: int) -> int:
        """A whole number from ``least`` to ``most``."""
        value = self.value(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.problem(key, f"must be a whole number from {least} to {most}, not {_shown(value)}.")
        return value

    def flag(self, key: str) -> bool:
        """``true`` or ``false``."""
        value = self.value(key)
        if not isinstance(value, bool):
            raise self.problem(key, f"must be true or false, not {_shown(value)}.")
        return value

    def numbers(self, key: str, count: int) -> tuple[float, ...] | None:
        """A list of ``count`` numbers, or null."""
        value = self.value(key)
        return None if value is None else numbers(value, count, f"{self.where}: {key}")

    def objects(self, key: str) -> list:
        """A list."""
        value = self.value(key)
        if not isinstance(value, list):
            raise self.problem(key, f"must be a list in square brackets, not {_shown(value)}.")
        return value

    def finish(self) -> None:
        """Refuses keys that were not asked for, so that a mistyped one is not silently without effect."""
        unknown = sorted(set(self._data) - set(self._asked))
        if unknown:
            known = ", ".join(self._asked)
            raise self.problem(unknown[0], f"is not known here; take it out, or write it as one of {known}.")


def numbers(value: object, count: int, where: str) -> tuple[float, ...]:
    """``value`` as ``count`` finite numbers. Raises ObserverError."""
    fits = isinstance(value, list) and len(value) == count
    if not fits or not all(_is_number(v) for v in value):
        raise ObserverError(f"{where} must be a list of {count} numbers, not {_shown(value)}.")
    return tuple(float(v) for v in value)


def read_json(path: Path, what: str) -> object:
    """The content of a JSON file; ``what`` it is, for messages. Raises ObserverError."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_doubles)
    except OSError as error:
        raise ObserverError(f"{what} {path} cannot be read: {error.strerror or error}.") from error
    except json.JSONDecodeError as error:
        raise ObserverError(
            f"{path.name}, line {error.lineno}, column {error.colno}: this is no JSON ({error.msg}); mend it there."
        ) from error
    except ValueError as error:
        raise ObserverError(f"{path.name} cannot be used: {error}.") from error


def _without_doubles(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)} is there twice")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
