"""What heat maps are worth: thresholds, derived scores, and how well maps point at disease whose place is known.

>>> from SScILDScoringTrainingLib.heat_map_evaluation import evaluate_heat_maps             # doctest: +SKIP
>>> evaluate_heat_maps(bundle, cases).thresholds.values                                     # doctest: +SKIP
{'tot': -1.24, 'gg': -0.86, 'ret': -0.92}
"""

from __future__ import annotations

from .report import HeatMapEvaluation
from .run import evaluate_heat_maps

__all__ = ["HeatMapEvaluation", "evaluate_heat_maps"]
