"""A whole cohort through the pipeline, against its reference, as one report (``sscild evaluate BUNDLE COHORT``)."""

from __future__ import annotations

from .evaluation import CohortEvaluation, evaluate_cohort

__all__ = ["CohortEvaluation", "evaluate_cohort"]
