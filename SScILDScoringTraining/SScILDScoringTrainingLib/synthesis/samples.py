"""Disease inserted into healthy slices, with exact scores (method.md section 4, starter.md).

>>> settings = SynthesisSettings()                                   # the procedural recipe
>>> sample = synthesize(background, np.random.default_rng(7), settings)   # doctest: +SKIP
>>> sample.scores                                                    # doctest: +SKIP
(34.2, 28.9, 11.0)

Two recipes draw disease, ``procedural`` (default) and ``published``; around them stand changes that no score may
follow (density of healthy lung, scanner, consolidation). The same generator state gives the same sample.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path

import numpy as np

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.preprocessing import AIR_HU

from .acquisition import AcquisitionSettings, change_acquisition
from .backgrounds import Background, Slab, background_from_slice, backgrounds_from_scan
from .crowded_vessels import VesselSettings, paint_vessels
from .density import DensitySettings, density_change
from .distractors import ConsolidationSettings, paint_consolidation
from .partial_volume import PartialVolumeSettings, paint_partial_volume
from .procedural_disease import ProceduralSettings, draw_regions, paint_ground_glass, paint_reticulation
from .published_disease import PublishedSettings, fill_with_patches, paint_published
from .synthetic_slice import SyntheticSlice, scores_from_masks
from .texture_patches import PatchSource, TexturePatch, load_patch, phantom_patches

__all__ = [
    "Background",
    "Slab",
    "SynthesisSettings",
    "SyntheticSlice",
    "TexturePatch",
    "background_from_slice",
    "backgrounds_from_scan",
    "scores_from_masks",
    "synthesize",
]

RECIPES = ("procedural", "published")


@dataclass(frozen=True)
class SynthesisSettings:
    """What synthesis does.

    Args:
        recipe: ``procedural`` or ``published``.
        healthy: share of samples without disease (all other changes still happen).
        procedural, published: settings of the two recipes.
        density, vessels, partial_volume, consolidation, acquisition: changes that no score follows; None leaves one
            out.
        patches: texture patches (at least one ``gg`` and one ``ret``), needed by the published recipe and by
            ``procedural.texture = patches``.
    """

    recipe: str = "procedural"
    healthy: float = 0.12
    procedural: ProceduralSettings = field(default_factory=ProceduralSettings)
    published: PublishedSettings = field(default_factory=PublishedSettings)
    density: DensitySettings | None = field(default_factory=DensitySettings)
    acquisition: AcquisitionSettings | None = field(default_factory=AcquisitionSettings)
    consolidation: ConsolidationSettings | None = field(default_factory=ConsolidationSettings)
    vessels: VesselSettings | None = field(default_factory=VesselSettings)
    partial_volume: PartialVolumeSettings | None = field(default_factory=PartialVolumeSettings)
    patches: Sequence[TexturePatch] = ()

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise SettingsError(f"A synthesis recipe is one of {', '.join(RECIPES)}, not {self.recipe!r}.")
        if not 0 <= self.healthy <= 1:
            raise SettingsError(f"The share of healthy samples lies between 0 and 1, not {self.healthy}.")

    @classmethod
    def as_published(cls, patches: Sequence[TexturePatch], **changes) -> SynthesisSettings:
        """The recipe of the publications, tiles included, and nothing else around it.

        ``changes`` go to :class:`PublishedSettings`; ``edges="box", centres="weighted"`` is the variant R.
        """
        return cls(
            recipe="published",
            healthy=0.0,
            published=PublishedSettings(**{"tiled": True, **changes}),
            density=None,
            acquisition=None,
            consolidation=None,
            vessels=None,
            partial_volume=None,
            patches=tuple(patches),
        )

    def disease_only(self) -> SynthesisSettings:
        """The same with nothing but disease changing the slice: for evaluation and for looking at it."""
        return replace(self, density=None, acquisition=None, consolidation=None, vessels=None, partial_volume=None)

    @classmethod
    def from_config(cls, values: Mapping, folder: Path | None = None) -> SynthesisSettings:
        """Settings from a configuration (nested plain values; a section set to null is left out).

        ``patches`` is a list of entries with file, slice, box, pattern, whose files are looked up below ``folder``, or
        the word ``phantom`` for patches from the phantom's texture models.

        Raises:
            SettingsError: an unknown name or an unusable value, named in the message.
        """
        values = dict(values)
        sources = values.pop("patches", None) or ()
        if sources == "phantom":
            patches = phantom_patches()
        elif isinstance(sources, str) or not all(isinstance(v, Mapping) for v in sources):
            raise SettingsError(f"Texture patches are a list of entries or the word phantom, not {sources!r}.")
        else:
            patches = tuple(load_patch(PatchSource.from_config(v, folder)) for v in sources)
        return replace(_settings_from(cls, values, "synthesis"), patches=patches)


def _settings_from(cls: type, values: Mapping, where: str):
    """A settings dataclass from plain values, sections inside it included."""
    if not isinstance(values, Mapping):
        raise SettingsError(f"The section {where!r} holds names and values, not {values!r}.")
    hints = typing.get_type_hints(cls)
    known = {f.name for f in fields(cls)}
    arguments = {}
    for name, value in values.items():
        if name not in known:
            raise SettingsError(f"{where!r} has no setting {name!r}; it has {', '.join(sorted(known))}.")
        kind = hints[name]
        if isinstance(kind, types.UnionType):
            kind = next(k for k in typing.get_args(kind) if k is not type(None))
        if is_dataclass(kind):
            value = None if value is None else _settings_from(kind, value, f"{where}.{name}")
        elif typing.get_origin(kind) is tuple:
            if not isinstance(value, list | tuple) or not all(isinstance(v, int | float) for v in value):
                raise SettingsError(f"The setting {where}.{name} is a pair of numbers, not {value!r}.")
            value = tuple(value)
            if len(value) != 2 or value[0] > value[1]:
                raise SettingsError(f"The setting {where}.{name} is a range, smaller number first, not {value!r}.")
        elif kind is float:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SettingsError(f"The setting {where}.{name} is a number, not {value!r}.")
            value = float(value)
        elif not isinstance(value, kind):
            raise SettingsError(f"The setting {where}.{name} is not usable: {value!r}.")
        arguments[name] = value
    return cls(**arguments)


def synthesize(
    background: Background, rng: np.random.Generator, settings: SynthesisSettings | None = None
) -> SyntheticSlice:
    """One sample: the background with disease, its masks and, through them, its exact scores.

    Args:
        background: a healthy slice; without lung it stays without disease.
        rng: source of all randomness; the same state gives the same sample.
        settings: the recipe; None is the procedural one.

    Raises:
        SettingsError: the published recipe without texture patches.
    """
    settings = settings or SynthesisSettings()
    hu = background.hu.astype(np.float32)
    ground_glass = np.zeros(hu.shape, bool)
    reticulation = np.zeros(hu.shape, bool)
    lung = background.lung
    if background.has_lung:
        window, inside = background.anatomy.window, background.anatomy.lung
        opacities, solid = _paint(hu[window], background, rng, settings)
        if solid is not None:
            lung = lung.copy()
            lung[window] &= ~solid
            inside = inside & ~solid
        for mask, opacity in zip((ground_glass, reticulation), opacities, strict=True):
            if opacity is not None:
                mask[window] = (opacity > 0.5) & inside
    if settings.acquisition is not None:
        hu = change_acquisition(hu, background.spacing_mm, rng, settings.acquisition)
    hu = np.clip(np.rint(hu, out=hu), AIR_HU, 3071, out=hu).astype(np.int16)
    return SyntheticSlice(hu, ground_glass, reticulation, lung, background.body, background.spacing_mm, background.name)


def _paint(hu: np.ndarray, background: Background, rng: np.random.Generator, settings: SynthesisSettings):
    """Draws everything that lies in the lung into the window ``hu``; opacities of both patterns and what is solid."""
    anatomy = background.anatomy
    airiness = anatomy.airiness.astype(np.float32)
    base = anatomy.base_hu.astype(np.float32)
    if settings.density is not None:
        change = density_change(background, rng, settings.density)
        if np.ndim(change):
            hu += change * airiness
            base += change
    if settings.vessels is not None:
        paint_vessels(hu, background, rng, settings.vessels)
    opacities = (None, None)
    if rng.random() >= settings.healthy:
        if settings.recipe == "published":
            opacities = paint_published(hu, background, rng, settings.published, settings.patches)
        else:
            spacing, recipe = background.spacing_mm, settings.procedural
            opacities = draw_regions(background, rng, recipe)
            if recipe.texture == "patches":
                filling = replace(settings.published, keep_vessels=True)
                fill_with_patches(hu, opacities, background, rng, filling, settings.patches, base)
                return opacities, _airless(hu, background, rng, settings)
            if opacities[0] is not None:
                paint_ground_glass(hu, opacities[0], airiness, base, rng, spacing, recipe.ground_glass)
            if opacities[1] is not None:
                depth = anatomy.costal_mm.astype(np.float32)
                cystic = paint_reticulation(hu, opacities[1], airiness, depth, rng, spacing, recipe.reticulation)
                if cystic is not None and opacities[0] is not None:
                    opacities[0][cystic] = 0
    return opacities, _airless(hu, background, rng, settings)


def _airless(hu: np.ndarray, background: Background, rng: np.random.Generator, settings: SynthesisSettings):
    """Draws what is no longer lung over everything else; where it is, or None."""
    found = []
    if settings.partial_volume is not None:
        found.append(paint_partial_volume(hu, background, rng, settings.partial_volume))
    if settings.consolidation is not None:
        found.append(paint_consolidation(hu, background, rng, settings.consolidation))
    masks = [mask for mask in found if mask is not None]
    return np.logical_or.reduce(masks) if masks else None
