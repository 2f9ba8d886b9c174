"""The cohort table: who, where, which levels and scores."""

from .table import SPLITS, VALIDATION_SHARE, CohortRow, read_cohort

__all__ = ["SPLITS", "VALIDATION_SHARE", "CohortRow", "read_cohort"]
