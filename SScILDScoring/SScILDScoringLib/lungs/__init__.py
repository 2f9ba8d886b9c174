"""Where the lungs are: masks in three dimensions, of a single slice, or given by the user."""

from __future__ import annotations

from .masks import LungMask, load_lung_mask, lungs_from_labels, segment_lungs, slice_lung_mask

__all__ = ["LungMask", "load_lung_mask", "lungs_from_labels", "segment_lungs", "slice_lung_mask"]
