"""What the network of a finished run is worth: asked about cases it was not trained on, beside their reference.

>>> evaluate_run("runs/s_net").write()                                    # doctest: +SKIP
"""

from __future__ import annotations

from .evaluation import RunEvaluation, evaluate_run

__all__ = ["RunEvaluation", "evaluate_run"]
