"""The presets a training or study starts from, told from the preset files themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Preset:
    """A preset as people choose it.

    Args:
        name: as the command line takes it. path: its file.
        recipe: ``levels``, ``scores``, or the kind of study that a study file is for: ``ablation``, ``compare``.
        title: a short name for a menu. description: what it is and what it takes, some sentences.
        device: ``quick look``, ``CPU``, ``one GPU``, ``published`` or ``starter``.
        needs_cohort: it trains on the user's cohort table. needs: variables it takes its files from (``COHORT``,
            ``IMAGENET``, ``CT``), see :func:`overrides_for`.
    """

    name: str
    path: Path
    recipe: str
    title: str
    description: str
    device: str
    needs_cohort: bool
    needs: tuple[str, ...] = ()


def presets() -> tuple[Preset, ...]:
    """All presets: those of levels, of scores, then studies; the quickest to try first."""
    raise NotImplementedError


def overrides_for(
    preset: Preset | Mapping | str,
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
        table: cohort table. device: ``auto``, ``cpu`` or ``cuda``. minutes: longest time of the training.
        name: of the model that will be packed. weights: what an S-Net of a preset that needs ImageNet weights starts
            from: a file, or ``imagenet`` (downloaded once). cache: folder for resized scans; beside the run folders
            when None.

    Raises:
        SettingsError: the preset needs a cohort table, or weights, and none is given.
    """
    raise NotImplementedError
