"""What a model bundle is worth: figures on data it was not trained on."""

from __future__ import annotations

from .bundles import Case, Evaluation, Scorer, evaluate_levels, evaluate_scores, read_accuracy

__all__ = ["Case", "Evaluation", "Scorer", "evaluate_levels", "evaluate_scores", "read_accuracy"]
