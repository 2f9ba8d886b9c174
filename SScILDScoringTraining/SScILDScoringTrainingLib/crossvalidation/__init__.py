"""Cross-validation, ablations and comparisons of networks: many trainings as one study.

A study: ``plan.py`` what it trains, ``jobs.py`` one run and its folder, ``job_process.py`` the process that does it,
``runner.py`` several of them at once, ``study.py`` all of it on disk, ``phantom_cohort.py`` a cohort without patients.

What comes of it: ``answers.py`` what a bundle says of cases, ``pooled.py`` and ``fold_table.py`` tables of it,
``validation.py`` a plain cross-validation, ``ensemble_bundle.py`` its folds as one bundle, ``cascade.py`` two of them
one behind the other.

Comparisons: ``variants.py`` the configurations, ``compare.py`` a comparison from file to report, ``comparison.py`` its
numbers, ``comparison_report.py`` its tables and figure, ``complexity.py`` sizes of networks, ``published.py`` figures
of the paper.

>>> from SScILDScoringTrainingLib.crossvalidation import cross_validate          # doctest: +SKIP
>>> cross_validate(read_yaml("s_net_gpu"), "runs/cv", folds=4).agreement.find("tot")   # doctest: +SKIP
"""

from .study import Study
from .validation import CrossValidation, cross_validate, evaluate

__all__ = ["CrossValidation", "Study", "cross_validate", "evaluate"]
