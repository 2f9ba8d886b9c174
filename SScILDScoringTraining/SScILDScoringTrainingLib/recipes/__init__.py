"""What is particular to each network: its data, its loss, its validation. The loop is in :mod:`..training`."""

from __future__ import annotations

from collections.abc import Mapping

from SScILDScoringLib.errors import SettingsError

NAMES = ("levels", "scores")


def recipe_of(values: Mapping):
    """The recipe of a configuration's plain values, chosen by its key ``recipe``.

    Raises:
        SettingsError: an unknown recipe, or a configuration that is not usable.
    """
    name = values.get("recipe")
    if name == "levels":
        from .levels import levels_recipe

        return levels_recipe(values)
    if name == "scores":
        from .scores import scores_recipe

        return scores_recipe(values)
    raise SettingsError(f"The configuration's key recipe is one of {', '.join(NAMES)}, not {name!r}.")
