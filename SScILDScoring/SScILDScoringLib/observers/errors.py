"""The error of reader studies."""

from __future__ import annotations

from ..errors import SScILDError


class ObserverError(SScILDError, ValueError):
    """A study, its key or its answers cannot be used, or a reader asks for what the study does not allow."""


class Contradiction(ObserverError):
    """TOT, GG and RET that cannot all be right; stored only when the reader says so knowingly."""
