"""How a network's name and options become a network, with errors that name what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from ..errors import SettingsError


@dataclass(frozen=True)
class Entry:
    """One network a user can ask for.

    Args:
        factory: ``module:callable`` inside this package; called with ``fixed`` and the options as keywords.
        fixed: what makes this name different from its siblings.
        options: every option a user may set, with its default. The default's type is the option's type.
    """

    factory: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def build(kind: str, catalogue: Mapping[str, Entry], name: str, options: Mapping[str, Any]):
    """The network ``name`` of ``catalogue``, with ``name`` and the complete ``options`` written on it.

    Raises:
        SettingsError: unknown name, unknown option, or a value of the wrong type or outside its range.
    """
    if name not in catalogue:
        raise SettingsError(f"There is no {kind} called {name!r}. Choose one of: {', '.join(catalogue)}.")
    entry = catalogue[name]
    complete = {**entry.options, **{key: _checked(name, entry, key, value) for key, value in options.items()}}
    module, factory = entry.factory.split(":")
    network = getattr(import_module(f".{module}", __package__), factory)(**entry.fixed, **complete)
    network.name = name
    network.options = {key: list(value) if isinstance(value, tuple) else value for key, value in complete.items()}
    return network


def _checked(name: str, entry: Entry, key: str, value: Any) -> Any:
    if key not in entry.options:
        known = ", ".join(f"{k} (default {_shown(v)})" for k, v in entry.options.items()) or "none at all"
        raise SettingsError(f"The network {name} has no option {key!r}. It has: {known}.")
    default = entry.options[key]
    if isinstance(default, tuple):
        ok = isinstance(value, (list, tuple)) and all(type(v) is int and v > 0 for v in value)
        ok = ok and len(value) == len(default)
        wanted, result = f"{len(default)} whole numbers above 0", tuple(value) if ok else None
    elif isinstance(default, float):
        ok, wanted = isinstance(value, (int, float)) and not isinstance(value, bool), "a number"
        result = float(value) if ok else None
    else:
        ok, wanted, result = type(value) is int and value > 0, "a whole number above 0", value
    if not ok:
        raise SettingsError(f"The option {key} of {name} is {wanted} (default {_shown(default)}), not {value!r}.")
    return result


def _shown(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"


def fraction(name: str, value: float) -> float:
    """``value`` when it is at least 0 and below 1 (a dropout rate). Raises SettingsError otherwise."""
    if not 0 <= value < 1:
        raise SettingsError(f"{name} is a share from 0 to below 1, not {value:g}.")
    return value
