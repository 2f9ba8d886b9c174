"""What the training module's worker can do: short jobs of a panel, told and answered in plain values.

Every operation stands in a function of its own, whose keyword arguments are the request's parameters:
:func:`.cohort.check`, :func:`.cohort.create`, :func:`.estimating.estimate`, :func:`.evaluating.evaluate`,
:func:`.packing.pack`.
"""

from __future__ import annotations

from .dispatch import TrainingOperations

__all__ = ["TrainingOperations"]
