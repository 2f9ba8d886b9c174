"""A synthetic thorax CT with known truth: five levels, lungs, ground glass, reticulation and exact scores.

>>> from SScILDScoringLib.phantom import PhantomSpec, make_phantom          # doctest: +SKIP
>>> phantom = make_phantom(PhantomSpec(seed=1, matrix=128, spacing=(2.8, 2.8, 3.0)))  # doctest: +SKIP
>>> phantom.levels.mm, phantom.scores(phantom.levels.slice_indices(phantom.scan)[4])  # doctest: +SKIP
"""

from __future__ import annotations

from .phantom import Phantom, make_phantom
from .spec import DiseaseSpec, PhantomSpec

__all__ = ["DiseaseSpec", "Phantom", "PhantomSpec", "make_phantom"]
