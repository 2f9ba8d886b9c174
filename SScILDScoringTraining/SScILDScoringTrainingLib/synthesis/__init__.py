"""Disease drawn into healthy slices, with exact scores.

``samples.py`` puts the parts together; ``backgrounds.py`` are the healthy slices; ``procedural_*.py`` (default) and
``published_disease.py`` draw the disease; ``texture_*.py`` give patches of texture; ``density.py``, ``acquisition.py``
and ``distractors.py`` change what no score may follow; ``contact_sheet.py`` shows examples.
"""

from __future__ import annotations

from .backgrounds import Background, Slab, background_from_slice, backgrounds_from_scan
from .samples import SynthesisSettings, synthesize
from .synthetic_slice import SyntheticSlice, scores_from_masks
from .texture_patches import TexturePatch

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
