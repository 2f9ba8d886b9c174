"""L-Net on all sliding windows of one CT, with what the windows have in common computed once.

Neighbouring windows see nearly the same voxels, but each is z-scored by its own mean and deviation. A convolution is
linear: the first one is done once for the whole CT, and a window shifts and scales its result. Behind the first ReLU
the windows differ everywhere; each is computed by itself, one on every core.

The answers are the network's own, up to rounding.
"""

from __future__ import annotations

from .answers import window_answers

__all__ = ["window_answers"]
