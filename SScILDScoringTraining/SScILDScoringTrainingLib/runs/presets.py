"""The presets a training or study starts from, told from the preset files themselves.

The first lines of a preset, a comment, describe it; its name says for which computer it is. The files are read as text,
so that presets can be shown before the software that training needs is installed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from SScILDScoringLib.errors import SettingsError

from ..config import PRESETS

DEVICES = ("quick look", "CPU", "one GPU", "published", "starter")
"""For what a preset is, in the order in which presets are shown."""

_BY_NAME = {"quick": "quick look", "cpu": "CPU", "gpu": "one GPU", "2022": "published", "2024": "published"}
_RECIPES = ("levels", "scores")
_STUDIES = {"factors": "ablation", "networks": "architectures", "variants": "compare"}
_OWN = ("PRESETS",)
"""Variables that the software itself knows."""


@dataclass(frozen=True)
class Preset:
    """A preset as people choose it.

    Args:
        name: as the command line takes it. path: its file.
        recipe: ``levels`` or ``scores``; or the kind of study that a study file is: ``ablation``, ``architectures`` or
            ``compare`` (see :func:`.starting.start_study`).
        title: a short name for a menu. description: what it is and what it takes, some sentences.
        device: one of :data:`DEVICES`.
        needs_cohort: it trains on the user's cohort table. needs: variables that it takes files from: ``COHORT``,
            ``IMAGENET`` (both set by :func:`overrides_for`), ``CT`` (the public scans; to be set in the environment).
    """

    name: str
    path: Path
    recipe: str
    title: str
    description: str
    device: str
    needs_cohort: bool
    needs: tuple[str, ...] = ()

    @property
    def is_study(self) -> bool:
        """Whether it trains several networks to compare them."""
        return self.recipe not in _RECIPES


def presets(folder: Path = PRESETS) -> tuple[Preset, ...]:
    """All presets: of levels, of scores, then studies, each in the order of :data:`DEVICES`."""
    found = [preset for path in folder.glob("*.yaml") if (preset := _read(path)) is not None]
    kinds = (*_RECIPES, *_STUDIES.values())
    return tuple(sorted(found, key=lambda p: (kinds.index(p.recipe), DEVICES.index(p.device), p.name)))


def preset_named(name: str) -> Preset:
    """The preset of this name.

    Raises:
        SettingsError: there is none.
    """
    known = presets()
    for preset in known:
        if preset.name == name:
            return preset
    raise SettingsError(f"There is no preset {name}. There are: {', '.join(p.name for p in known)}.")


def overrides_for(
    preset: Preset | str,
    table: str | Path | None = None,
    *,
    device: str | None = None,
    minutes: float | None = None,
    name: str | None = None,
    weights: str | Path | None = None,
    cache: str | Path | None = None,
) -> tuple[str, ...]:
    """The ``--set`` values that point a preset at what the user chose; what is None stays as the preset has it.

    Args:
        table: cohort table; used by the presets that need one. device: ``auto``, ``cpu`` or ``cuda``.
        minutes: longest time of the training (of each, in a study). name: of the model that will be packed.
        weights: what an S-Net of a preset that needs ImageNet weights starts from: torchvision's file, or ``imagenet``
            (downloaded once).
        cache: folder for resized scans and slices.

    Raises:
        SettingsError: the preset needs a cohort table or weights, and none is given; or a value is not usable.
    """
    preset = preset_named(preset) if isinstance(preset, str) else preset
    values: dict[str, object] = {}
    if preset.needs_cohort:
        if table is None:
            raise SettingsError(f"The preset {preset.name} trains on your own cases: choose a cohort table.")
        values["data.cohort"] = _absolute(table)
    if "IMAGENET" in preset.needs:
        if weights is None:
            raise SettingsError(
                f"The preset {preset.name} starts from ImageNet weights: choose torchvision's file of them, or "
                "'imagenet' to have it downloaded once."
            )
        values["network.weights"] = "imagenet" if str(weights) == "imagenet" else _absolute(weights)
    if device is not None:
        values["training.device"] = device
    if minutes is not None:
        if not minutes > 0:
            raise SettingsError(f"A training takes more than {minutes:g} minutes.")
        values["training.minutes"] = minutes
    if name is not None:
        values["bundle.name"] = name
    if cache is not None:
        values["data.cache"] = _absolute(cache)
    start = "configuration." if preset.is_study else ""
    # JSON is YAML, and it is quoted: a path may hold what YAML takes for a comment.
    return tuple(f"{start}{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items())


def recipe_in(path: Path) -> str | None:
    """What a configuration's file trains, ``levels`` or ``scores``; None when it does not say."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"""^["']?recipe["']?\s*:\s*["']?(\w+)""", text, re.MULTILINE)
    return found[1] if found else None


def _read(path: Path) -> Preset | None:
    """The preset in a file; None for a file that is none (tables of slices, for example)."""
    text = path.read_text(encoding="utf-8")
    keys = re.findall(r"^(\w+)\s*:", text, re.MULTILINE)
    recipe = recipe_in(path)
    if "configuration" in keys:
        recipe = next((kind for key, kind in _STUDIES.items() if key in keys), None)
    if recipe not in (*_RECIPES, *_STUDIES.values()):
        return None
    said = _first_comment(text)
    title = re.search(r"^title\s*:\s*(.+)$", text, re.MULTILINE)
    needs = dict.fromkeys(re.findall(r"\$\{(\w+)\}", "\n".join(_without_comments(text))))
    needs = tuple(name for name in needs if name not in _OWN)
    return Preset(
        path.stem,
        path,
        recipe,
        title[1].strip().strip("\"'") if title else _title(said),
        said,
        _device(path.stem, recipe),
        "COHORT" in needs,
        needs,
    )


def _title(said: str) -> str:
    """What stands before the colon, or the first sentence."""
    before, colon, _ = said.partition(": ")
    return before if colon else said.partition(". ")[0].rstrip(".")


def _device(name: str, recipe: str) -> str:
    for part in name.split("_"):
        if part in _BY_NAME:
            return _BY_NAME[part]
    return "starter" if recipe in _RECIPES else "CPU"


def _first_comment(text: str) -> str:
    """The comment at the head of a file up to its first empty line, as one text."""
    lines = []
    for line in text.splitlines():
        words = line.removeprefix("#").strip()
        if not line.startswith("#") or not words:
            break
        lines.append(words)
    said = " ".join(lines).removeprefix("Study: ")
    return said[:1].upper() + said[1:]


def _without_comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def _absolute(path: str | Path) -> str:
    return str(Path(path).expanduser().absolute())
