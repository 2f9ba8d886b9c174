"""The cohort: who, where, which levels and scores; checked, divided, and made of what was scored before.

>>> cohort = read_cohort("cohort.csv", scores=True)       # doctest: +SKIP
>>> [row.case for row in cohort.for_fold(1).of_split("validation")]   # doctest: +SKIP
['p01', 'p07']
"""

from .rows import SPLITS, VALIDATION_SHARE, Cohort, CohortRow
from .table import read_cohort
from .writing import write_cohort

__all__ = ["SPLITS", "VALIDATION_SHARE", "Cohort", "CohortRow", "read_cohort", "write_cohort"]
